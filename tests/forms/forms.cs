namespace Acme.Tools { // => module Acme, module Tools in Acme
public partial class Reader // => class Reader in Tools
#if HAVE_ASYNC
    : IAsyncDisposable
#endif
{
    public event Changed Updated; // => field Updated in Reader
    public event Changed Closed { add { } remove { } } // => field Closed in Reader
    public int this[int at] => at; // => field this in Reader
    public static Reader operator +(Reader a, Reader b) => a; // => method operator + in Reader
    public static implicit operator string(Reader r) => ""; // => method operator string in Reader
    ~Reader() { } // => method ~Reader in Reader
    public string Name { get; set; } // => field Name in Reader
    private int size = 1; // => field size in Reader
    public int Size() { int local = 1; return local; } // => method Size in Reader
}
record Person(string First, string Last); // => struct Person in Tools, field First in Person, field Last in Person
class Service(ILogger logger) { } // => class Service in Tools
delegate void Handler(int a); // => type Handler in Tools
enum Mode : byte { None = 0 } // => enum Mode in Tools, enumMember None in Mode
}
