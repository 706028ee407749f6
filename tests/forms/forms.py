A, (B, *rest) = 1, (2, 3)  # => constant A, constant B, variable rest
[C, D] = 5, 6  # => constant C, constant D
first = second = 7  # => variable first, variable second
type Pair[T] = tuple[T, T]  # => type Pair
table['key'] = lambda: 1
double = lambda x: 2 * x  # => function double
class Model(Base):  # => class Model
    x, y = 1, 2  # => field x in Model, field y in Model
    name: str  # => field name in Model
    handler = lambda self: 1  # => method handler in Model
    def __init__(self):  # => method __init__ in Model
        self.size = 1  # => field size in Model
        self.size = 2
        local = 3
def factory():  # => function factory
    hidden = 1
    class Local:  # => class Local in factory
        field = 1  # => field field in Local
    async def inner(): pass  # => function inner in factory
