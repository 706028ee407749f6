/**
 * Searches one after another, as somebody types: a new one ends the one before, and nothing of an outdated one is
 * shown. Knows nothing of VS Code.
 */
import type { SearchMatch, SearchParams, SearchResult } from '../ext.ts';
import { paramsOf, type Query } from './query.ts';

/** Asks the server; see `Server.search`. */
export type Ask = (
  params: SearchParams,
  onMatches: (matches: SearchMatch[]) => void,
  signal: AbortSignal,
) => Promise<SearchResult>;

/** What is known of the newest search. */
export interface Found {
  readonly query: Query;
  readonly matches: readonly SearchMatch[];
  readonly state: 'searching' | 'done' | 'failed';
  /** There are more matches than were asked for. */
  readonly limitHit: boolean;
  /** Every change on disk is in the answer. */
  readonly fresh: boolean;
  /** When it failed: why, in a sentence. */
  readonly error?: string;
}

/** While matches stream in, they are shown at most this often: showing costs more than finding. */
const BETWEEN_SHOWS_MS = 80;
/** LSP's `ContentModified`: the engine has died while it answered, and there is another to ask. */
const CONTENT_MODIFIED = -32801;
const MAX_RETRIES = 2;

export class SearchSession {
  readonly #ask: Ask;
  readonly #show: (found: Found) => void;
  #running: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `show` gets each search's first matches at once, more now and then, and its end. */
  constructor(ask: Ask, show: (found: Found) => void) {
    this.#ask = ask;
    this.#show = show;
  }

  /** Searches, and ends the search before. Resolves when it is over, or outdated. */
  async search(query: Query, maxResults: number): Promise<void> {
    this.cancel();
    const running = new AbortController();
    this.#running = running;
    const matches: SearchMatch[] = [];
    const show = (found: Pick<Found, 'state'> & Partial<Found>): void => {
      this.#show({ query, matches, limitHit: false, fresh: true, ...found });
    };
    try {
      const onMatches = (more: SearchMatch[]): void => {
        // A part that was on its way when the search was cancelled still comes.
        if (running.signal.aborted) {
          return;
        }
        const isFirst = matches.length === 0;
        for (const match of more) {
          matches.push(match);
        }
        if (isFirst) {
          show({ state: 'searching' });
        } else {
          this.#timer ??= setTimeout(() => {
            this.#timer = undefined;
            show({ state: 'searching' });
          }, BETWEEN_SHOWS_MS);
        }
      };
      const ask = (retries: number): Promise<SearchResult> =>
        this.#ask(paramsOf(query, maxResults), onMatches, running.signal).catch((error: unknown) => {
          const isModified = (error as { code?: unknown }).code === CONTENT_MODIFIED;
          // Matches that came would come once more.
          if (retries === 0 || !isModified || running.signal.aborted || matches.length > 0) {
            throw error;
          }
          return ask(retries - 1);
        });
      const { limitHit, fresh } = await ask(MAX_RETRIES);
      if (!running.signal.aborted) {
        this.#end();
        show({ state: 'done', limitHit, fresh });
      }
    } catch (error) {
      if (!running.signal.aborted) {
        this.#end();
        show({ state: 'failed', error: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  /** Ends the search that runs, if one does; nothing of it is shown any more. */
  cancel(): void {
    this.#running?.abort();
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = undefined;
  }
}
