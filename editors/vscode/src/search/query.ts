/** What is searched for and how. Knows nothing of VS Code. */
import type { SearchParams } from '../ext.ts';

/** How to search; remembered from one search to the next. */
export interface Options {
  readonly isRegex: boolean;
  readonly isCaseSensitive: boolean;
  readonly wholeWord: boolean;
  /** Globs of files to search, and of files not to search. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export interface Query extends Options {
  readonly text: string;
}

export const DEFAULT_OPTIONS: Options = {
  isRegex: false,
  isCaseSensitive: false,
  wholeWord: false,
  include: [],
  exclude: [],
};

/** Options as an earlier run, perhaps of another version, has stored them. */
export function optionsFrom(stored: unknown): Options {
  const fields = (typeof stored === 'object' && stored !== null ? stored : {}) as Record<string, unknown>;
  const globs = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((glob): glob is string => typeof glob === 'string' && glob !== '') : [];
  return {
    isRegex: fields.isRegex === true,
    isCaseSensitive: fields.isCaseSensitive === true,
    wholeWord: fields.wholeWord === true,
    include: globs(fields.include),
    exclude: globs(fields.exclude),
  };
}

/** Globs as one types them: with commas between, and `!` before those of files to leave out. */
export function parseGlobs(text: string): Pick<Options, 'include' | 'exclude'> {
  const include: string[] = [];
  const exclude: string[] = [];
  for (const glob of splitGlobs(text)) {
    if (glob.startsWith('!')) {
      const rest = glob.slice(1).trim();
      if (rest !== '') {
        exclude.push(rest);
      }
    } else {
      include.push(glob);
    }
  }
  return { include, exclude };
}

/** What {@link parseGlobs} reads back. */
export function printGlobs({ include, exclude }: Pick<Options, 'include' | 'exclude'>): string {
  return [...include, ...exclude.map((glob) => `!${glob}`)].join(', ');
}

/** At commas, but not at those within braces: `*.{ts,tsx}` is one glob. */
function splitGlobs(text: string): string[] {
  const globs: string[] = [];
  let depth = 0;
  let glob = '';
  for (const letter of text) {
    if (letter === ',' && depth === 0) {
      globs.push(glob);
      glob = '';
      continue;
    }
    depth = Math.max(0, depth + (letter === '{' ? 1 : letter === '}' ? -1 : 0));
    glob += letter;
  }
  globs.push(glob);
  return globs.map((glob) => glob.trim()).filter((glob) => glob !== '');
}

/** The query as the server takes it. */
export function paramsOf(query: Query, maxResults: number): SearchParams {
  return {
    query: query.text,
    isRegex: query.isRegex,
    isCaseSensitive: query.isCaseSensitive,
    wholeWord: query.wholeWord,
    maxResults,
    ...(query.include.length > 0 ? { include: [...query.include] } : {}),
    ...(query.exclude.length > 0 ? { exclude: [...query.exclude] } : {}),
  };
}
