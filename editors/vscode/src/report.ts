/**
 * What the tools answer a model: plain text, in English, never longer than a bound. Knows nothing of VS Code.
 */
import type { QueueState } from './ext.ts';
import type { ServerStatus } from './glance.ts';
import { byFile, type PathOf, snippet } from './search/results.ts';
import type { Found } from './search/session.ts';

export interface SearchInput {
  query: string;
  isRegex?: boolean;
  isCaseSensitive?: boolean;
  wholeWord?: boolean;
  include?: string[];
  exclude?: string[];
  maxResults?: number;
}

export interface SymbolInput {
  query: string;
  maxResults?: number;
}

export interface SymbolFound {
  name: string;
  kind: string;
  container?: string;
  path: string;
  /** From 1. */
  line?: number;
}

const USUAL_RESULTS = 50;
const MOST_RESULTS = 200;
/** Letters of a line, and of an answer. */
const LONGEST_LINE = 200;
const LONGEST_ANSWER = 20_000;

/** How many results a model gets that asks for `asked`. */
export function boundedLimit(asked: unknown): number {
  return typeof asked === 'number' && Number.isFinite(asked)
    ? Math.min(MOST_RESULTS, Math.max(1, Math.floor(asked)))
    : USUAL_RESULTS;
}

/** Matches as `path:line: text`, one a line. */
export function searchReport(found: Found, pathOf: PathOf): string {
  if (found.matches.length === 0) {
    return found.fresh ? 'Nothing found.' : 'Nothing found, perhaps without the newest changes.';
  }
  const lines: string[] = [];
  for (const { uri, matches } of byFile(found.matches)) {
    const path = pathOf(uri);
    let last = -1;
    for (const match of matches) {
      if (match.range.start.line !== last) {
        last = match.range.start.line;
        lines.push(`${path}:${last + 1}: ${snippet(match, LONGEST_LINE).text}`);
      }
    }
  }
  const notes: string[] = [];
  if (found.limitHit) {
    notes.push('There are more results; narrow the search with include, exclude or a longer query.');
  }
  if (!found.fresh) {
    notes.push('The newest changes may be missing.');
  }
  return bounded(lines, notes);
}

/** Symbols as `kind name (in container) path:line`, one a line. */
export function symbolReport(symbols: readonly SymbolFound[], most: number): string {
  if (symbols.length === 0) {
    return 'No symbol found.';
  }
  const lines = symbols.slice(0, most).map(({ name, kind, container, path, line }) => {
    const where = line === undefined ? path : `${path}:${line}`;
    return `${kind.toLowerCase()} ${name}${container ? ` (in ${container})` : ''} ${where}`;
  });
  return bounded(lines, symbols.length > most ? [`There are ${symbols.length - most} more.`] : []);
}

/** How fresh the index is, and what is wrong. */
export function statusReport(server: ServerStatus, states: readonly QueueState[], now: number): string {
  if (server.kind === 'failed') {
    return `Syncline does not run: ${server.problem}`;
  }
  if (states.length === 0) {
    return server.kind === 'none' ? 'No folder is open.' : 'Syncline is starting.';
  }
  const lines = states.map(({ codebase, phase, health, message, index, progress, queue, lastSync }) => {
    const facts = [
      `${codebase.name}: ${phase}`,
      `${index.files} files, ${index.symbols} symbols, generation ${index.generation}`,
      index.fresh ? 'every known change is indexed' : `${index.pending} files are newer than the index; searches read them`,
    ];
    if (progress !== undefined && progress.total > 0) {
      facts.push(`${progress.stage}: ${progress.done} of ${progress.total} files`);
    }
    if (queue.length > 0) {
      facts.push(`${queue.length} batches in the queue`);
    }
    if (lastSync !== undefined) {
      const seconds = Math.max(0, Math.round((now - lastSync.finishedAt) / 1000));
      facts.push(`last sync ${lastSync.outcome} ${seconds} s ago`);
    }
    if (health !== 'ok') {
      facts.push(`${health}: ${message ?? 'no reason given'}`);
    }
    return facts.join('; ');
  });
  return bounded(lines, []);
}

/** As many of `lines` as there is room for, and a note when that isn't all. */
function bounded(lines: readonly string[], notes: readonly string[]): string {
  const shown: string[] = [];
  let room = LONGEST_ANSWER;
  for (const line of lines) {
    room -= line.length + 1;
    if (room < 0) {
      break;
    }
    shown.push(line);
  }
  const left = lines.length - shown.length;
  return [...shown, ...(left > 0 ? [`${left} more lines left out for length.`] : []), ...notes].join('\n');
}
