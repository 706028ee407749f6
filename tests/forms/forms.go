package shapes // the package has no symbol

const A, B = 1, 2 // => constant A, constant B

var (
	_      io.Reader = nil
	Global int       // => variable Global
)

type Stack[T any] struct { // => struct Stack
	items, spare []T // => field items in Stack, field spare in Stack
	io.Reader
	inner struct { // => field inner in Stack
		deep int // => field deep in Stack
	}
}

type Shape interface { // => interface Shape
	Area() int // => method Area in Shape
}

type (
	ID    int // => type ID
	Alias = ID // => type Alias
)

func (s *Stack[T]) Push(v T) { s.items = append(s.items, v) } // => method Push in Stack

func Map[A any](a []A) { // => function Map
	var hidden int
	type local struct { // => struct local in Map
		own int // => field own in local
	}
}
