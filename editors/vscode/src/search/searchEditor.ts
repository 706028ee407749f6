/** Opens results as a document in the form of VS Code's search editors, whose links and colours it so has. */
import { type Disposable, l10n, languages, Uri, window, workspace } from 'vscode';

import * as words from '../words.ts';
import { pathOf } from './place.ts';
import { byFile, searchDocument } from './results.ts';
import type { Found } from './session.ts';

/** Documents of this scheme are read-only, and closing one asks nothing. */
const SCHEME = 'syncline-results';

/** The documents that are open, by their URI. */
const contents = new Map<string, string>();
let opened = 0;

/** Makes {@link openSearchEditor} possible. */
export function registerSearchEditors(): Disposable[] {
  return [
    workspace.registerTextDocumentContentProvider(SCHEME, {
      // One that VS Code restores from an earlier run is empty; the results of then are gone.
      provideTextDocumentContent: (uri) => contents.get(uri.toString()) ?? '',
    }),
    workspace.onDidCloseTextDocument(({ uri }) => contents.delete(uri.toString())),
  ];
}

/** Opens all results in an editor. */
export async function openSearchEditor(found: Found): Promise<void> {
  // The path is the tab's title, so it has no slashes that would cut it.
  const title = found.query.text.replace(/[\\/]/g, ' ').slice(0, 60).trim();
  const uri = Uri.from({ scheme: SCHEME, path: l10n.t('Search: {0}', title), query: String(++opened) });
  contents.set(uri.toString(), searchDocument(found, pathOf, summaryOf(found)));
  const document = await workspace.openTextDocument(uri);
  await languages.setTextDocumentLanguage(document, 'search-result');
  await window.showTextDocument(document, { preview: false });
}

/** How much was found, and what of it is missing. */
export function summaryOf(found: Found): string {
  const summary = words.results(found.matches.length, byFile(found.matches).length);
  return found.limitHit ? l10n.t('{0}; there are more', summary) : summary;
}
