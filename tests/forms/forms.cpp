#define NS_BEGIN namespace lib { // => macro NS_BEGIN
NS_BEGIN
namespace outer::inner { // => module outer, module inner in outer
class API_EXPORT Shape final : public Base { // => class Shape in inner
public:
	Shape(); // => declared method Shape in Shape
	~Shape() {} // => method ~Shape in Shape
	explicit operator bool() const { return true; } // => method operator bool in Shape
	Shape operator+(const Shape &other) const; // => declared method operator+ in Shape
	virtual double area() const = 0; // => declared method area in Shape
	void lock() ACQUIRES(mutex) { } // => method lock in Shape
	int width() const NOTHROW { return 1; } // => method width in Shape
	static int made; // => field made in Shape
	std::vector<int> owned GUARDED_BY(mutex); // => field owned in Shape
public Q_SLOTS:
	void clicked(int times); // => declared method clicked in Shape
Q_SIGNALS:
	void resized(); // => declared method resized in Shape
	int sides = 4, *first; // => field sides in Shape, field first in Shape
	using Value = int; // => type Value in Shape
	enum Corner { kLeft }; // => enum Corner in Shape, enumMember kLeft in Corner
};
struct DEPRECATED_SINCE("2") Old { int age() { return 3; } }; // => struct Old in inner, method age in Old
enum class API_EXPORT Mode : int { fast [[deprecated]] = 1, slow }; // => enum Mode in inner, enumMember fast in Mode, enumMember slow in Mode
}
namespace short_name = outer::inner; // => module short_name
NS_END
template <typename T> T largest(T a, T b) { return a; } // => function largest
template <typename T> concept Small = sizeof(T) < 4; // => interface Small
template <typename T> struct Box { T held; }; // => struct Box, field held in Box
auto doubled = [](int a) { return 2 * a; }; // => function doubled
int outer::inner::Shape::counted() { return 1; } // => method counted in Shape
Shape::operator int() const { return 1; } // => method operator int in Shape
bool operator==(const Shape &a, const Shape &b) { return true; } // => function operator==
int promised(int a); // => declared function promised
LIB_API std::string formatted(const char *text); // => declared function formatted
template <typename T>
class LIB_NODISCARD Forward;
[[nodiscard]] int attributed() { return 1; } // => function attributed
extern "C" { int c_linkage(void) { return 0; } } // => function c_linkage
