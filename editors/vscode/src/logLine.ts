/** Reads lines of the server's log. Knows nothing of VS Code. */

export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** A line longer than this is handed on in parts, so that a server which ends none can't fill the memory. */
const LONGEST_LINE = 16 * 1024;

/** Cuts a stream of text into lines. */
export class LineReader {
  #rest = '';
  readonly #take: (line: string) => void;

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    lines.forEach(this.#take);
    if (this.#rest.length > LONGEST_LINE) {
      this.end();
    }
  }

  /** Nothing follows: what is left is a line. */
  end(): void {
    const rest = this.#rest;
    this.#rest = '';
    if (rest !== '') {
      this.#take(rest);
    }
  }
}

/** A line's level, and its text without time and level, which the channel writes itself. */
export function readLine(line: string): { level: Level; text: string } {
  const plain = line.replace(/\u001b\[[0-9;]*m/g, '').trimEnd();
  const match =
    // The server: `2026-01-01T00:00:00.000000Z  INFO syncline: text`.
    /^\d{4}-\d\d-\d\dT\S+\s+(TRACE|DEBUG|INFO|WARN|ERROR)\s+(.*)$/.exec(plain) ??
    // The language client: `[Error - 10:00:00 AM] text`.
    /^\[(Trace|Debug|Info|Warn|Error)\s+- [^\]]*\]\s+(.*)$/.exec(plain);
  return match?.[1] === undefined || match[2] === undefined
    ? { level: 'info', text: plain }
    : { level: match[1].toLowerCase() as Level, text: match[2] };
}
