#![allow(clippy::unwrap_used)]

use tokio_util::sync::CancellationToken;

use super::super::{Extractor, LARGEST_PARSED, Language, Unfinished, verify};

/// What is found, one line for each: its line, kind, name, and what it is in.
fn symbols(path: &str, text: &str) -> Vec<String> {
    let language = Language::of(path.as_bytes()).unwrap();
    let found = Extractor::default().symbols(language, text.as_bytes(), &CancellationToken::new()).unwrap();
    assert!(verify::are_of(&found, text.as_bytes()), "others would believe them: {found:?}");
    for symbol in &found {
        let line = text.lines().nth(symbol.line as usize).unwrap();
        let at = &line[symbol.column.utf8 as usize..];
        assert!(at.starts_with(&symbol.name), "{:?} isn't where it should be: {at:?}", symbol.name);
    }
    let shown = |symbol: &super::Symbol| {
        let container = if symbol.container.is_empty() { String::new() } else { format!(" in {}", symbol.container) };
        format!("{} {} {}{container}", symbol.line + 1, symbol.kind.as_str(), symbol.name)
    };
    found.iter().map(shown).collect()
}

#[test]
fn c() {
    let text = "\
#define LIMIT 10
#define MAX(a, b) ((a) > (b) ? (a) : (b))
typedef unsigned long word_t;
typedef int (*callback_t)(void *);
struct point {
    int x;
};
union number { int i; };
enum colour { RED, GREEN = 2 };
static int counter = 1;
extern int elsewhere;
int prototype(void);
static struct point *find(int a)
{
    int local = 1;
    return 0;
}
#ifdef CONFIG
char *names[] = { \"a\" };
void inside_ifdef(void) {}
#endif
typedef struct { int a; } anonymous_t;
int (*handler)(int) = 0;
struct point origin;
";
    let expected = [
        "1 macro LIMIT",
        "2 macro MAX",
        "3 type word_t",
        "4 type callback_t",
        "5 struct point",
        "6 field x in point",
        "8 union number",
        "8 field i in number",
        "9 enum colour",
        "9 enumMember RED in colour",
        "9 enumMember GREEN in colour",
        "10 variable counter",
        "12 function prototype",
        "13 function find",
        "19 variable names",
        "20 function inside_ifdef",
        "22 field a",
        "22 type anonymous_t",
        "23 variable handler",
        "24 variable origin",
    ];
    assert_eq!(symbols("a.c", text), expected);
    assert_eq!(symbols("a.h", text), expected, "a header without C++ is C");
}

#[test]
fn cpp() {
    let text = "\
namespace outer {
class Shape : public Base {
public:
    Shape();
    int area() const { return 1; }
    int size;
};
template <typename T> T largest(T a) { return a; }
using Text = std::string;
}
int outer::Shape::other(int x) { return x; }
outer::Shape::~Shape() {}
enum class Side { Left };
";
    let expected = [
        "1 module outer",
        "2 class Shape in outer",
        "4 method Shape in Shape",
        "5 method area in Shape",
        "6 field size in Shape",
        "8 function largest in outer",
        "9 type Text in outer",
        "11 method other in Shape",
        "12 method ~Shape in Shape",
        "13 enum Side",
        "13 enumMember Left in Side",
    ];
    assert_eq!(symbols("a.cpp", text), expected);
    assert_eq!(symbols("a.h", text), expected, "a header with classes is C++");
}

#[test]
fn rust() {
    let text = "\
mod inner {
    pub const LIMIT: usize = 1;
}
pub struct Point<T> { x: T }
enum Side { Left, Right }
trait Shape { fn area(&self) -> f64; type Unit; }
impl<T> Shape for Point<T> {
    fn area(&self) -> f64 { let inner = 1; 0.0 }
}
static COUNT: u8 = 0;
type Short = Point<u8>;
macro_rules! twice { ($x:expr) => { fn hidden() {} } }
async fn main() {}
union Both { a: u8 }
";
    let expected = [
        "1 module inner",
        "2 constant LIMIT in inner",
        "4 struct Point",
        "4 field x in Point",
        "5 enum Side",
        "5 enumMember Left in Side",
        "5 enumMember Right in Side",
        "6 interface Shape",
        "6 method area in Shape",
        "6 type Unit in Shape",
        "8 method area in Point",
        "10 variable COUNT",
        "11 type Short",
        "12 macro twice",
        "13 function main",
        "14 union Both",
        "14 field a in Both",
    ];
    assert_eq!(symbols("a.rs", text), expected);
}

#[test]
fn go() {
    let text = "\
package main
const A, B = 1, 2
var Global int
type Point struct { X int }
type Shape interface { Area() int }
type Name = string
type Number int
func (p *Point) Move(dx int) { var local int; _ = local }
func main() {}
";
    let expected = [
        "2 constant A",
        "2 constant B",
        "3 variable Global",
        "4 struct Point",
        "4 field X in Point",
        "5 interface Shape",
        "5 method Area in Shape",
        "6 type Name",
        "7 type Number",
        "8 method Move in Point",
        "9 function main",
    ];
    assert_eq!(symbols("a.go", text), expected);
}

#[test]
fn python() {
    let text = "\
LIMIT = 3
name = 'x'
class Shape(Base):
    side: int = 1
    def area(self):
        local = 1
        return local
async def run():
    def inner(): pass
double = lambda x: 2 * x
";
    let expected = [
        "1 constant LIMIT",
        "2 variable name",
        "3 class Shape",
        "4 field side in Shape",
        "5 method area in Shape",
        "8 function run",
        "9 function inner in run",
        "10 function double",
    ];
    assert_eq!(symbols("a.py", text), expected);
}

#[test]
fn javascript_and_typescript() {
    let text = "\
const LIMIT = 3, name = 'x';
export function run() { const local = 1; }
class Shape extends Base { side = 1; area() { return 1; } }
const double = (x) => 2 * x;
export const thing = function () {};
";
    let expected = [
        "1 constant LIMIT",
        "1 variable name",
        "2 function run",
        "3 class Shape",
        "3 field side in Shape",
        "3 method area in Shape",
        "4 function double",
        "5 function thing",
    ];
    assert_eq!(symbols("a.js", text), expected);
    let text = "\
interface Shape { area(): number }
type Name = string;
enum Side { Left, Right = 2 }
namespace Inner { export function f(): void {} }
abstract class Base { private size = 1; abstract go(): void; run<T>(a: T): T { return a; } }
declare function outside(a: string): void;
";
    let expected = [
        "1 interface Shape",
        "1 method area in Shape",
        "2 type Name",
        "3 enum Side",
        "3 enumMember Left in Side",
        "3 enumMember Right in Side",
        "4 module Inner",
        "4 function f in Inner",
        "5 class Base",
        "5 field size in Base",
        "5 method go in Base",
        "5 method run in Base",
        "6 function outside",
    ];
    assert_eq!(symbols("a.ts", text), expected);
    assert_eq!(symbols("a.tsx", "export const App = () => <div>x</div>;\n"), ["1 function App"]);
}

#[test]
fn java_and_csharp() {
    let text = "\
class Shape {
    private int size = 1;
    Shape() {}
    int area() { int local = 1; return local; }
    enum Side { LEFT, RIGHT }
    interface Inner { void go(); }
    record Pair(int a, int b) {}
}
";
    let expected = [
        "1 class Shape",
        "2 field size in Shape",
        "3 method Shape in Shape",
        "4 method area in Shape",
        "5 enum Side in Shape",
        "5 enumMember LEFT in Side",
        "5 enumMember RIGHT in Side",
        "6 interface Inner in Shape",
        "6 method go in Inner",
        "7 struct Pair in Shape",
        "7 field a in Pair",
        "7 field b in Pair",
    ];
    assert_eq!(symbols("A.java", text), expected);
    let text = "\
namespace Shapes {
    public class Shape {
        private int size = 1;
        public int Size { get; set; }
        public int Area() { int local = 1; return local; }
    }
    struct Pair { }
    interface IShape { void Go(); }
    enum Side { Left }
    delegate void Handler(int a);
}
";
    let expected = [
        "1 module Shapes",
        "2 class Shape in Shapes",
        "3 field size in Shape",
        "4 field Size in Shape",
        "5 method Area in Shape",
        "7 struct Pair in Shapes",
        "8 interface IShape in Shapes",
        "8 method Go in IShape",
        "9 enum Side in Shapes",
        "9 enumMember Left in Side",
        "10 type Handler in Shapes",
    ];
    assert_eq!(symbols("a.cs", text), expected);
}

#[test]
fn ruby_php_lua_and_bash() {
    let text = "\
module Shapes
  LIMIT = 1
  class Shape < Base
    def area; local = 1; end
    def self.build; end
  end
end
def helper; end
";
    let expected = [
        "1 module Shapes",
        "2 constant LIMIT in Shapes",
        "3 class Shape in Shapes",
        "4 method area in Shape",
        "5 method build in Shape",
        "8 function helper",
    ];
    assert_eq!(symbols("a.rb", text), expected);
    let text = "\
<?php
namespace Shapes;
const LIMIT = 1;
interface HasArea { function area(); }
trait Sized {}
class Shape { const SIDES = 4; private $size = 1; function area() { $local = 1; } }
function helper() {}
enum Side { case Left; }
";
    let expected = [
        "2 module Shapes",
        "3 constant LIMIT",
        "4 interface HasArea",
        "4 method area in HasArea",
        "5 interface Sized",
        "6 class Shape",
        "6 constant SIDES in Shape",
        "6 field size in Shape",
        "6 method area in Shape",
        "7 function helper",
        "8 enum Side",
        "8 enumMember Left in Side",
    ];
    assert_eq!(symbols("a.php", text), expected);
    let text = "\
local function helper() local x = 1 end
function Shape.area(self) end
function Shape:size() end
Shape.build = function() end
";
    let expected = ["1 function helper", "2 method area in Shape", "3 method size in Shape", "4 method build in Shape"];
    assert_eq!(symbols("a.lua", text), expected);
    assert_eq!(symbols("a.sh", "one() { :; }\nfunction two { :; }\n"), ["1 function one", "2 function two"]);
}

#[test]
fn markdown() {
    let text = "\
# Top

text

## First part
```c
# not a heading
```
### Deep

Second part
-----------

#  Other top #
";
    let expected = [
        "1 heading Top",
        "5 heading First part in Top",
        "9 heading Deep in First part",
        "11 heading Second part in Top",
        "14 heading Other top",
    ];
    assert_eq!(symbols("a.md", text), expected);
}

#[test]
fn columns_are_counted_in_every_unit() {
    let found = Extractor::default()
        .symbols(Language::C, "/* é𝒳 */ int f(void) { return 0; }\n".as_bytes(), &CancellationToken::new())
        .unwrap();
    let column = found[0].column;
    assert_eq!((column.utf8, column.utf16, column.utf32), (17, 14, 13));
}

// Line feeds alone ended lines, but an editor counts lone carriage returns too.
#[test]
fn lines_are_those_of_editors() {
    let places = |text: &str| -> Vec<_> {
        let found = Extractor::default().symbols(Language::C, text.as_bytes(), &CancellationToken::new()).unwrap();
        found.into_iter().map(|symbol| (symbol.name, symbol.line, symbol.column.utf16)).collect()
    };
    let place = |name: &str, line, column| (name.to_owned(), line, column);
    let code = "int a(void) {}\r\n/* \r\r */ int b(void) {}\rint c(void) {}\n";
    assert_eq!(places(code), [place("a", 0, 4), place("b", 3, 8), place("c", 4, 4)]);
    // Which would be read without the grammar.
    let header = "#define A 1 /* \r */\n#define B 2\n";
    assert_eq!(places(header), [place("A", 0, 8), place("B", 2, 8)]);
}

#[test]
fn nonsense_has_no_symbols_and_does_no_harm() {
    for path in ["a.c", "a.cpp", "a.rs", "a.py", "a.md", "a.php", "a.sh", "a.ts"] {
        symbols(path, "");
        symbols(path, "((((((((((((((((((((((((((((((((((((((\n{{{{{{{{{{{{{{\0\u{1}\n");
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let found = Extractor::default().symbols(Language::Cpp, &bytes, &CancellationToken::new());
    assert!(found.is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::with_cases(2_000)
    })]

    /// Forms that are cut off, nested, or of another language.
    #[test]
    fn words_in_any_order_do_no_harm(
        parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..30),
        language in 0..Language::COUNT as u8,
    ) {
        let (text, language) = (parts.concat(), Language::from_number(language).unwrap());
        let found = Extractor::default().symbols(language, text.as_bytes(), &CancellationToken::new());
        for symbol in found.unwrap() {
            proptest::prop_assert!(!symbol.name.is_empty() && symbol.name.len() <= 200, "{symbol:?}");
        }
    }
}

/// What definitions are made of.
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "#!/bin/sh\n", "#define A", "#if X\n", "#endif\n", "LIB_API ", "class ", "struct ", "enum ", "namespace ", "a", "B", "é", "::", ".",
    "#", "$", "@test ", "'", "\"", "(", ")", "{", "}", "[[", "]]", "<", ">", ";", ",", "=", ":", "=>", "\n", "\r", " ", "operator ", "bool",
    "macro ", "trait ", "m! {", "fn ", "impl ", "r#", "def ", "end\n", "attr_accessor :", "alias ", "task ", "self.", "lambda", "type ",
    "interface ", "function ", "exports.", "this.", "prototype", "const ", "constructor(private ", "<?php ", "define(", "local ", "export ",
    "module ", "record ", "~", "// ", "/*", "*/", "# ", "##\n", "---\n", "_", "0", "\u{0}",
];

#[test]
fn a_cancelled_search_ends() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let text = "int f(void) { return 0; }\n".repeat(100_000);
    assert_eq!(Extractor::default().symbols(Language::C, text.as_bytes(), &cancel), Err(Unfinished::Cancelled));
}

/// A byte order mark is no part of the first line for any editor, nor for a search.
#[test]
fn a_byte_order_mark_is_not_counted() {
    for text in
        ["\u{feff}int f(void) { return 0; }\n", "\u{feff}/* é */ int f(void) { return 0; }\n", "\u{feff}#define f 1\n"]
    {
        let found = Extractor::default().symbols(Language::C, text.as_bytes(), &CancellationToken::new()).unwrap();
        let (bytes, plain) = (text.trim_start_matches('\u{feff}'), found[0].column);
        let at = bytes.find('f').map(|at| if text.contains("#def") { bytes.rfind("f 1").unwrap() } else { at });
        let before = &bytes[..at.unwrap()];
        assert_eq!(plain.utf8 as usize, before.len(), "{text}");
        assert_eq!(plain.utf16 as usize, before.encode_utf16().count(), "{text}");
    }
}

/// A repository may set `index.max_file_bytes` as it likes: one file took seconds and hundreds of megabytes, and a long
/// line the square of its length.
#[test]
fn a_text_that_takes_too_much_is_given_up() {
    let symbols = |language, text: &str| {
        Extractor::default().symbols(language, text.as_bytes(), &CancellationToken::new()).map(|found| found.len())
    };
    let large = "int f(void) { return 0; }\n".repeat(LARGEST_PARSED as usize / 26 + 1);
    assert_eq!(symbols(Language::C, &large), Err(Unfinished::TooMuch));
    assert_eq!(symbols(Language::C, &"#define A 1\n".repeat(140_000)), Err(Unfinished::TooMuch));
    assert_eq!(
        symbols(Language::Go, &format!("package a\n{}", "var A int\n".repeat(140_000))),
        Err(Unfinished::TooMuch)
    );
    let line = (0..20_000).fold(String::new(), |line, number| line + &format!("/* é */ function f{number}() {{}} "));
    assert_eq!(symbols(Language::JavaScript, &line), Ok(20_000));
    let long = "x".repeat(5000);
    let found = Extractor::default()
        .symbols(Language::Rust, format!("mod {long} {{ fn f() {{}} }}").as_bytes(), &CancellationToken::new())
        .unwrap();
    assert!(found.iter().all(|symbol| symbol.name.len() <= 200 && symbol.container.len() <= 200), "{found:?}");
}
