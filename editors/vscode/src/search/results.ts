/** Matches brought into a form for showing. Knows nothing of VS Code. */
import type { SearchMatch } from '../ext.ts';
import type { Found } from './session.ts';

/** The matches of one file, from its top. */
export interface FileMatches {
  readonly uri: string;
  readonly matches: SearchMatch[];
}

/** Matches by file, files in the order in which they came. */
export function byFile(matches: readonly SearchMatch[]): FileMatches[] {
  const files = new Map<string, FileMatches>();
  for (const match of matches) {
    const file = files.get(match.uri);
    if (file === undefined) {
      files.set(match.uri, { uri: match.uri, matches: [match] });
    } else {
      file.matches.push(match);
    }
  }
  return [...files.values()];
}

/** A match's line, cut to what is worth showing, and where the match is in it. */
export interface Snippet {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** The line around a match: without its indentation, at most `most` UTF-16 units, and the match's begin among them. */
export function snippet({ text, range }: SearchMatch, most: number): Snippet {
  const line = text.replace(/\t/g, ' ');
  // The line may have been cut before the match.
  const start = Math.min(range.start.character, line.length);
  const end = Math.max(start, Math.min(range.end.character, line.length));
  const indentation = Math.min(line.length - line.trimStart().length, start);
  // A third of the room shows what stands before a match that is far to the right.
  const from = end - indentation <= most ? indentation : Math.max(indentation, start - Math.floor(most / 3));
  const before = from > indentation ? '…' : '';
  const shown = line.slice(from, from + most).trimEnd();
  const after = from + shown.length < line.trimEnd().length ? '…' : '';
  const place = (column: number): number =>
    before.length + Math.max(0, Math.min(column, from + shown.length) - from);
  return { text: before + shown + after, start: place(start), end: place(end) };
}

/** Says where a file is: as VS Code's search does, with the folder's name before it where there are several. */
export type PathOf = (uri: string) => string;

/**
 * The matches as VS Code's search editor writes them. Its lines are told apart by their form, which links and colours
 * rely on: `path:`, then `  12: text` for each line with a match.
 */
export function searchDocument(found: Found, pathOf: PathOf, summary: string): string {
  const { query } = found;
  const flags = [
    query.isCaseSensitive ? 'CaseSensitive' : '',
    query.wholeWord ? 'WordMatch' : '',
    query.isRegex ? 'RegExp' : '',
  ].filter((flag) => flag !== '');
  const lines = [`# Query: ${query.text}`];
  if (flags.length > 0) {
    lines.push(`# Flags: ${flags.join(' ')}`);
  }
  if (query.include.length > 0) {
    lines.push(`# Including: ${query.include.join(', ')}`);
  }
  if (query.exclude.length > 0) {
    lines.push(`# Excluding: ${query.exclude.join(', ')}`);
  }
  lines.push('', summary, '');
  for (const file of byFile(found.matches)) {
    lines.push(`${pathOf(file.uri)}:`);
    const width = String((file.matches.at(-1)?.range.start.line ?? 0) + 1).length;
    let last = -1;
    for (const { range, text } of file.matches) {
      // A line with several matches is one line.
      if (range.start.line !== last) {
        last = range.start.line;
        lines.push(`  ${String(last + 1).padStart(width)}: ${text}`);
      }
    }
    lines.push('');
  }
  return lines.join('\n');
}
