/** Opens results as a document in the form of VS Code's search editors, whose links and colours it so has. */
import { l10n, window, workspace } from 'vscode';

import * as words from '../words.ts';
import { pathOf } from './place.ts';
import { byFile, searchDocument } from './results.ts';
import type { Found } from './session.ts';

/** Opens all results in an editor. */
export async function openSearchEditor(found: Found): Promise<void> {
  const content = searchDocument(found, pathOf, summaryOf(found));
  const document = await workspace.openTextDocument({ language: 'search-result', content });
  await window.showTextDocument(document, { preview: false });
}

/** How much was found, and what of it is missing. */
export function summaryOf(found: Found): string {
  const summary = words.results(found.matches.length, byFile(found.matches).length);
  return found.limitHit ? l10n.t('{0}; there are more', summary) : summary;
}
