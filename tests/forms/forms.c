#define CAPACITY 16 // => macro CAPACITY
#define CLAMP(a, b) ((a) < (b) ? (a) : (b)) // => macro CLAMP
struct queue { // => struct queue
	int head, *tail; // => field head in queue, field tail in queue
	unsigned flags : 3; // => field flags in queue
	void (*on_full)(int); // => field on_full in queue
	struct { int depth; } limits; // => field depth in queue, field limits in queue
	struct slot { char byte; } slots[CAPACITY]; // => struct slot in queue, field byte in slot, field slots in queue
};
union word { int whole; char parts[4]; }; // => union word, field whole in word, field parts in word
enum state { IDLE, BUSY = 4 }; // => enum state, enumMember IDLE in state, enumMember BUSY in state
enum { NAMELESS_FIRST }; // => enumMember NAMELESS_FIRST
typedef int (*compare_t)(int, int), plain_t; // => type compare_t, type plain_t
typedef struct { int row; } cell_t; // => field row, type cell_t
struct declared_elsewhere;
int promised(int a); // => declared function promised
extern int counted_elsewhere;
static int count = 1, *cursor; // => variable count, variable cursor
int (*handler)(int); // => variable handler
static inline int __attribute__((always_inline)) quick(int a) { return a; } // => function quick
EXPORTED struct queue *opened(int a) { return 0; } // => function opened
int (wrapped)(int a) { return a; } // => function wrapped
DWORD
typed_above(void) { return 0; } // => function typed_above
int older(a) int a; { return a; } // => function older
void with_macros(void) // => function with_macros
{
#define STEP 2 // => macro STEP in with_macros
	int local = STEP;
	# define INDENTED(x) x // => macro INDENTED in with_macros
}
#if defined(FEATURE)
void conditional(void) {} // => function conditional
#endif
