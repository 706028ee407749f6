/** Decides whether and when a server that ended is started again. Knows nothing of VS Code. */

const MOST = 5;
const WITHIN_MS = 3 * 60_000;
const FIRST_DELAY_MS = 100;

/** So many ends are forgiven within so much time, each with twice the delay of the one before. */
export class Restarts {
  #ends: number[] = [];

  /** The ms to wait until one that ended at `now` (Unix ms) is started again; undefined when it is to be left alone. */
  next(now: number): number | undefined {
    this.#ends = [...this.#ends.filter((end) => now - end < WITHIN_MS), now];
    return this.#ends.length < MOST ? FIRST_DELAY_MS * 2 ** (this.#ends.length - 1) : undefined;
  }
}
