/** Opens results as a document in the form of VS Code's search editors, whose links and colours it so has. */
import { l10n } from 'vscode';

import { openReadOnly } from '../readOnly.ts';
import * as words from '../words.ts';
import { pathOf } from './place.ts';
import { byFile, searchDocument } from './results.ts';
import type { Found } from './session.ts';

/** Opens all results in an editor. */
export async function openSearchEditor(found: Found): Promise<void> {
  const title = l10n.t('Search: {0}', found.query.text.slice(0, 60));
  await openReadOnly(title, 'search-result', searchDocument(found, pathOf, summaryOf(found)));
}

/** How much was found, and what of it is missing. */
export function summaryOf(found: Found): string {
  const summary = words.results(found.matches.length, byFile(found.matches).length);
  return found.limitHit ? l10n.t('{0}; there are more', summary) : summary;
}
