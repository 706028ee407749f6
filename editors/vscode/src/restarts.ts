/** Decides whether a server that ended is started again. Knows nothing of VS Code. */

const MOST = 5;
const WITHIN_MS = 3 * 60_000;

/** So many ends are forgiven within so much time. */
export class Restarts {
  #ends: number[] = [];

  /** Whether one that ended at `now` (Unix ms) is to be started again. */
  mayRestart(now: number): boolean {
    this.#ends = [...this.#ends.filter((end) => now - end < WITHIN_MS), now];
    return this.#ends.length < MOST;
  }
}
