/** The view of results that stay: files with their counts, and the lines below. */
import {
  type Disposable,
  EventEmitter,
  l10n,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  Uri,
  commands,
  window,
} from 'vscode';

import type { Server } from '../server.ts';
import { maxResults } from '../config.ts';
import type { SearchMatch } from '../ext.ts';
import { pathOf, rangeOf } from './place.ts';
import { printGlobs, type Query } from './query.ts';
import { byFile, type FileMatches, snippet } from './results.ts';
import { openSearchEditor, summaryOf } from './searchEditor.ts';
import { type Found, SearchSession } from './session.ts';

/** Letters of a line that a row shows. */
const LONGEST_ROW = 250;
/** Up to so many files are shown with their lines; more are for the user to open. */
const EXPANDED_FILES = 20;
const CONTEXT_KEY = 'syncline.hasResults';

type Node = { kind: 'file'; file: FileMatches } | { kind: 'match'; match: SearchMatch; parent: Node };

export class ResultsView implements TreeDataProvider<Node>, Disposable {
  readonly #changed = new EventEmitter<void>();
  readonly #view: TreeView<Node>;
  readonly #session: SearchSession;
  readonly #disposables: Disposable[];
  #query: Query | undefined;
  #found: Found | undefined;
  #files: Node[] = [];

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(server: Server) {
    this.#session = new SearchSession(
      (params, onMatches, signal) => server.search(params, onMatches, signal),
      (found) => {
        this.#present(found);
      },
    );
    this.#view = window.createTreeView('syncline.results', { treeDataProvider: this, showCollapseAll: true });
    this.#disposables = [
      this.#view,
      this.#changed,
      commands.registerCommand('syncline.results.refresh', () => this.#query && this.search(this.#query)),
      commands.registerCommand('syncline.results.clear', () => {
        this.#clear();
      }),
      commands.registerCommand('syncline.results.openInEditor', () => this.#found && openSearchEditor(this.#found)),
    ];
  }

  /** Shows the view, with what a search for `query` finds. */
  async search(query: Query): Promise<void> {
    this.#query = query;
    this.#forget();
    await commands.executeCommand('syncline.results.focus');
    this.#view.description = query.text;
    this.#view.message = l10n.t('Searching…');
    await this.#session.search(query, maxResults());
  }

  getChildren(node?: Node): Node[] {
    if (node === undefined) {
      return this.#files;
    }
    return node.kind === 'file'
      ? node.file.matches.map((match): Node => ({ kind: 'match', match, parent: node }))
      : [];
  }

  getParent(node: Node): Node | undefined {
    return node.kind === 'match' ? node.parent : undefined;
  }

  getTreeItem(node: Node): TreeItem {
    return node.kind === 'file' ? this.#fileItem(node.file) : matchItem(node.match);
  }

  dispose(): void {
    this.#session.cancel();
    for (const disposable of this.#disposables) {
      disposable.dispose();
    }
  }

  #fileItem({ uri, matches }: FileMatches): TreeItem {
    const state =
      this.#files.length <= EXPANDED_FILES ? TreeItemCollapsibleState.Expanded : TreeItemCollapsibleState.Collapsed;
    const item = new TreeItem(Uri.parse(uri), state);
    const path = pathOf(uri);
    const slash = path.lastIndexOf('/');
    const folder = slash < 0 ? '' : ` · ${path.slice(0, slash)}`;
    item.iconPath = ThemeIcon.File;
    item.description = `${matches.length.toLocaleString()}${folder}`;
    item.tooltip = path;
    const count = matches.length === 1 ? l10n.t('1 result') : l10n.t('{0} results', matches.length);
    item.accessibilityInformation = { label: `${path}, ${count}` };
    item.contextValue = 'file';
    return item;
  }

  #present(found: Found): void {
    this.#found = found;
    this.#files = byFile(found.matches).map((file) => ({ kind: 'file', file }));
    const globs = printGlobs(found.query);
    this.#view.description = globs === '' ? found.query.text : `${found.query.text} · ${globs}`;
    this.#view.message = messageOf(found);
    void commands.executeCommand('setContext', CONTEXT_KEY, true);
    this.#changed.fire();
  }

  #clear(): void {
    this.#query = undefined;
    this.#forget();
    this.#view.description = '';
    this.#view.message = '';
    void commands.executeCommand('setContext', CONTEXT_KEY, false);
  }

  /** What was found before is neither shown nor acted on any more. */
  #forget(): void {
    this.#session.cancel();
    this.#found = undefined;
    this.#files = [];
    this.#changed.fire();
  }
}

function messageOf(found: Found): string {
  if (found.state === 'failed') {
    return found.error ?? '';
  }
  if (found.state === 'done' && found.matches.length === 0) {
    return l10n.t('Nothing found.');
  }
  return found.fresh ? summaryOf(found) : l10n.t('{0}, perhaps without the newest changes', summaryOf(found));
}

function matchItem(match: SearchMatch): TreeItem {
  const { text, start, end } = snippet(match, LONGEST_ROW);
  const item = new TreeItem({ label: text, highlights: [[start, end]] });
  const line = match.range.start.line + 1;
  item.description = String(line);
  item.tooltip = match.text.slice(0, 1000);
  item.accessibilityInformation = { label: l10n.t('line {0}: {1}', line, text) };
  item.contextValue = 'match';
  item.command = {
    command: 'vscode.open',
    title: l10n.t('Open'),
    arguments: [Uri.parse(match.uri), { selection: rangeOf(match), preview: true }],
  };
  return item;
}
