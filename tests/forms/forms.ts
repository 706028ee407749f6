interface User { // => interface User
  readonly id: number; // => field id in User
  onDone?: () => void; // => field onDone in User
  greet(to: string): void; // => method greet in User
}
type Shape = { kind: 'a'; area(): number }; // => type Shape, field kind in Shape, method area in Shape
namespace Deep.Inner { // => module Deep, module Inner in Deep
  export class Thing {} // => class Thing in Inner
}
abstract class Base { // => class Base
  constructor(private readonly injected: User, plain: number) {} // => method constructor in Base, field injected in Base
  abstract run(): void; // => method run in Base
  handler = () => {}; // => method handler in Base
}
declare module 'outside' { // => module outside
  export function imported(): void; // => function imported in outside
}
enum Level { Low = 1, High } // => enum Level, enumMember Low in Level, enumMember High in Level
function take(options: { inline: number }) {} // => function take
let { picked, other: renamed } = load(); // => variable picked, variable renamed
export const api = { remove: (id: number) => id } as const; // => variable api, method remove in api
