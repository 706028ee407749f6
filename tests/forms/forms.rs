pub struct Point<T> { pub x: T, y: T } // => struct Point, field x in Point, field y in Point
pub struct Pair(pub i32, i32); // => struct Pair
pub union Bits { whole: u32 } // => union Bits, field whole in Bits
enum Side { Left, Right { far: bool }, Up(u8) } // => enum Side, enumMember Left in Side, enumMember Right in Side, field far in Side, enumMember Up in Side
trait Shape { // => interface Shape
    const SIDES: u8; // => constant SIDES in Shape
    type Unit; // => type Unit in Shape
    fn area(&self) -> f64; // => method area in Shape
}
impl<T> Shape for &Point<T> { // no name of its own
    fn area(&self) -> f64 { 0.0 } // => method area in Point
}
impl Shape for [u8; 4] {
    fn area(&self) -> f64 { 0.0 } // => method area
}
const _: () = ();
static COUNT: u8 = 0; // => variable COUNT
pub fn r#match() { fn nested() {} } // => function match, function nested in match
pub macro declared($x:expr) { $x } // => macro declared
trait Alias = Clone + Send; // => interface Alias
macro_rules! twice { ($x:expr) => { fn hidden() {} } } // => macro twice
feature! {
    pub mod gated; // => module gated
    pub struct Inside { // => struct Inside
        pub field: u8, // => field field in Inside
    }
    impl Inside {
        pub async fn run(&self) {} // => method run in Inside
    }
    pub fn spawned() {} // => function spawned
}
fn body() { // => function body
    let words = vec![1];
    select! {
        pub fn not_an_item() {}
    }
}
