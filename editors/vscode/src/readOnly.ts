/** Documents that are only to be read: they are no files, can't be changed, and closing one asks nothing. */
import { type Disposable, languages, Uri, window, workspace } from 'vscode';

const SCHEME = 'syncline';

/** The texts of those that are open, by their URI. */
const contents = new Map<string, string>();
let opened = 0;

/** Makes {@link openReadOnly} possible. */
export function registerReadOnly(): Disposable[] {
  return [
    workspace.registerTextDocumentContentProvider(SCHEME, {
      // One that VS Code restores from an earlier run is empty; what it showed was of then.
      provideTextDocumentContent: (uri) => contents.get(uri.toString()) ?? '',
    }),
    workspace.onDidCloseTextDocument(({ uri }) => contents.delete(uri.toString())),
  ];
}

/** Opens a new one in the active group. */
export async function openReadOnly(title: string, language: string, text: string): Promise<void> {
  // The path is the tab's title, so it has no slashes that would cut it.
  const uri = Uri.from({ scheme: SCHEME, path: title.replace(/[\\/]/g, ' ').trim(), query: String(++opened) });
  contents.set(uri.toString(), text);
  const document = await workspace.openTextDocument(uri);
  await languages.setTextDocumentLanguage(document, language);
  await window.showTextDocument(document, { preview: false });
}
