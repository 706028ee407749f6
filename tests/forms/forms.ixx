module;
export module figures; // => module figures
import std;
export namespace figures { // => module figures
class Circle { int radius() { return 1; } }; // => class Circle in figures, method radius in Circle
}
export int exported() { return 1; } // => function exported
export struct Sent { int size; }; // => struct Sent, field size in Sent
