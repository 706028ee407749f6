/** Where matches are: paths for people, and showing a match in an editor. */
import {
  commands,
  Range,
  type TextEditor,
  TextEditorRevealType,
  type TextDocumentShowOptions,
  Uri,
  ViewColumn,
  window,
  workspace,
} from 'vscode';

import type { SearchMatch } from '../ext.ts';

/** A file's path below its folder, with the folder's name before it where there are several. */
export function pathOf(uri: string): string {
  const file = Uri.parse(uri);
  const folders = workspace.workspaceFolders ?? [];
  const relative = workspace.asRelativePath(file, false);
  const folder = folders.length > 1 ? workspace.getWorkspaceFolder(file) : undefined;
  return folder === undefined ? relative : `${folder.name} • ${relative}`;
}

export function rangeOf({ range: { start, end } }: SearchMatch): Range {
  return new Range(start.line, start.character, end.line, end.character);
}

/** Shows a match, selected and in the middle of an editor. */
export async function showMatch(match: SearchMatch, options: TextDocumentShowOptions): Promise<TextEditor> {
  const range = rangeOf(match);
  const document = await workspace.openTextDocument(Uri.parse(match.uri));
  const editor = await window.showTextDocument(document, { ...options, selection: range });
  editor.revealRange(range, TextEditorRevealType.InCenterIfOutsideViewport);
  return editor;
}

/** Opens a match for good. */
export async function openMatch(match: SearchMatch, viewColumn = ViewColumn.Active): Promise<void> {
  const options = { viewColumn, preview: false };
  try {
    await showMatch(match, options);
  } catch {
    // Extensions get no document of a file that is vast, binary or gone; VS Code itself shows it, or says why not.
    await commands.executeCommand('vscode.open', Uri.parse(match.uri), { ...options, selection: rangeOf(match) });
  }
}
