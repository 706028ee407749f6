@interface Marked { // => interface Marked
    String name() default "x"; // => method name in Marked
}
record Pair(int left, String right) { // => struct Pair, field left in Pair, field right in Pair
    Pair { } // => method Pair in Pair
    int sum() { return 1; } // => method sum in Pair
}
class Shape<T> { // => class Shape
    static final int SIDES = 4, CORNERS = 4; // => field SIDES in Shape, field CORNERS in Shape
    Shape(int a) { int local = 1; } // => method Shape in Shape
    enum Side { LEFT { void turn() {} }, RIGHT } // => enum Side in Shape, enumMember LEFT in Side, method turn in Side, enumMember RIGHT in Side
}
interface HasArea { double area(); } // => interface HasArea, method area in HasArea
