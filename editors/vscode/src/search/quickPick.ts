/** Search as one types: a quick pick whose entries are the matches. */
import {
  commands,
  Disposable,
  type ExtensionContext,
  l10n,
  type QuickInputButton,
  QuickInputButtonLocation,
  type QuickPick,
  type QuickPickItem,
  QuickPickItemKind,
  type Selection,
  type Tab,
  TabInputText,
  type TextEditor,
  ThemeIcon,
  Uri,
  ViewColumn,
  window,
} from 'vscode';

import type { Server } from '../server.ts';
import { maxResults, previewsOnMove } from '../config.ts';
import type { SearchMatch } from '../ext.ts';
import * as words from '../words.ts';
import { openMatch, pathOf, showMatch } from './place.ts';
import { type Options, optionsFrom, parseGlobs, printGlobs, type Query } from './query.ts';
import { byFile, snippet } from './results.ts';
import type { ResultsView } from './resultsView.ts';
import { openSearchEditor, summaryOf } from './searchEditor.ts';
import { type Found, SearchSession } from './session.ts';

/** More entries than anybody reads, and few enough to be drawn while somebody types. */
const MOST_ENTRIES = 500;
/** Letters of a line that an entry shows. */
const LONGEST_ENTRY = 160;
/** Moving on within this time shows no preview: holding an arrow key opens no files. */
const PREVIEW_AFTER_MS = 90;
/** A new search waits no longer than this for the one before to be gone. */
const LONGEST_WAY_MS = 1000;
/** While the pick is open, this context key is set, and its keys count. */
const CONTEXT_KEY = 'syncline.searchOpen';
const OPTIONS_KEY = 'search.options';
const TEXT_KEY = 'search.text';

type Toggle = 'isRegex' | 'isCaseSensitive' | 'wholeWord';

interface Entry extends QuickPickItem {
  match?: SearchMatch;
}

/** Where the user was before the pick opened. */
interface Origin {
  uri: Uri;
  selection: Selection;
  column: ViewColumn | undefined;
}

/** Registers the search and what can be done while it is open. */
export function registerSearch(context: ExtensionContext, server: Server, results: ResultsView): Disposable[] {
  let pick: SearchPick | undefined;
  const start = async (text?: string): Promise<void> => {
    pick?.dispose();
    // The one before may still be on its way to where the user is to be. This one starts from there; and VS Code closes
    // it when something else takes the focus.
    const arrived = Promise.allSettled([pick?.way]);
    await Promise.race([arrived, new Promise((resolve) => setTimeout(resolve, LONGEST_WAY_MS))]);
    pick?.dispose();
    pick = new SearchPick(context, server, results);
    pick.show(typeof text === 'string' ? text : undefined);
  };
  const whileOpen = (command: string, act: (pick: SearchPick) => void): Disposable =>
    commands.registerCommand(command, () => {
      if (pick?.takesCommands === true) {
        act(pick);
      }
    });
  return [
    commands.registerCommand('syncline.search', start),
    whileOpen('syncline.search.toggleRegex', (pick) => {
      pick.toggle('isRegex');
    }),
    whileOpen('syncline.search.toggleCase', (pick) => {
      pick.toggle('isCaseSensitive');
    }),
    whileOpen('syncline.search.toggleWord', (pick) => {
      pick.toggle('wholeWord');
    }),
    whileOpen('syncline.search.editGlobs', (pick) => void reporting(pick.editGlobs())),
    whileOpen('syncline.search.openToSide', (pick) => {
      pick.openToSide();
    }),
    whileOpen('syncline.search.openAllInEditor', (pick) => void reporting(pick.openAllInEditor())),
    whileOpen('syncline.search.keepResults', (pick) => void reporting(pick.keepResults())),
    new Disposable(() => pick?.dispose()),
  ];
}

class SearchPick implements Disposable {
  /** To where the user is once the pick has closed. */
  way: Promise<unknown> = Promise.resolve();
  readonly #context: ExtensionContext;
  readonly #server: Server;
  readonly #results: ResultsView;
  readonly #pick: QuickPick<Entry> = window.createQuickPick<Entry>();
  readonly #session: SearchSession;
  readonly #origin: Origin | undefined;
  readonly #buttons: Record<Toggle, QuickInputButton>;
  readonly #globsButton: () => QuickInputButton;
  readonly #editorButton: QuickInputButton = {
    iconPath: new ThemeIcon('go-to-file'),
    tooltip: l10n.t('Open all results in a search editor (Alt+Enter)'),
  };
  readonly #keepButton: QuickInputButton = {
    iconPath: new ThemeIcon('list-tree'),
    tooltip: l10n.t('Keep the results in the results view (Alt+K)'),
  };
  readonly #sideButton: QuickInputButton = {
    iconPath: new ThemeIcon('split-horizontal'),
    tooltip: l10n.t('Open to the side (Ctrl+Enter)'),
  };
  #options: Options;
  #isOpen = true;
  #isEditingGlobs = false;
  /** The file that was previewed last. */
  #previewed: Uri | undefined;
  /** The files that were open before. */
  readonly #openBefore = openFiles();
  #hasLeft = false;
  /** What was typed has no results yet: the entries, if any, are of what was there before. */
  #isAwaited = false;
  /** What was chosen before there were results of what was typed; its first result is meant. */
  #whenFound: ((match: SearchMatch) => Promise<void>) | undefined;
  #previewTimer: NodeJS.Timeout | undefined;
  #previewing: Promise<unknown> = Promise.resolve();

  constructor(context: ExtensionContext, server: Server, results: ResultsView) {
    this.#context = context;
    this.#server = server;
    this.#results = results;
    this.#options = optionsFrom(context.globalState.get(OPTIONS_KEY));
    this.#origin = originOf(window.activeTextEditor);
    this.#session = new SearchSession(
      (params, onMatches, signal) => server.search(params, onMatches, signal),
      (found) => {
        this.#present(found);
      },
    );
    const toggle = (key: Toggle, icon: string, tooltip: string): QuickInputButton => ({
      iconPath: new ThemeIcon(icon),
      tooltip,
      location: QuickInputButtonLocation.Input,
      toggle: { checked: this.#options[key] },
    });
    this.#buttons = {
      isCaseSensitive: toggle('isCaseSensitive', 'case-sensitive', l10n.t('Match case (Alt+C)')),
      wholeWord: toggle('wholeWord', 'whole-word', l10n.t('Match whole word (Alt+W)')),
      isRegex: toggle('isRegex', 'regex', l10n.t('Use regular expression (Alt+R)')),
    };
    this.#globsButton = () => ({
      iconPath: new ThemeIcon(hasGlobs(this.#options) ? 'filter-filled' : 'filter'),
      tooltip: hasGlobs(this.#options)
        ? l10n.t('Files: {0} (Alt+G)', printGlobs(this.#options))
        : l10n.t('Files to search (Alt+G)'),
    });
    this.#prepare();
  }

  /** The pick is what the user sees, and nothing of it has been chosen. */
  get takesCommands(): boolean {
    return this.#isOpen && !this.#hasLeft && !this.#isEditingGlobs;
  }

  /** Opens with `text`, or what is selected, or what was searched last. */
  show(text?: string): void {
    void commands.executeCommand('setContext', CONTEXT_KEY, true);
    const seed = text ?? selectedText() ?? this.#context.workspaceState.get<string>(TEXT_KEY) ?? '';
    this.#pick.value = seed;
    this.#pick.show();
    this.#search();
  }

  toggle(key: Toggle): void {
    this.#setOptions({ ...this.#options, [key]: !this.#options[key] });
    const { toggle } = this.#buttons[key];
    if (toggle !== undefined) {
      toggle.checked = this.#options[key];
    }
    this.#showButtons();
    this.#search();
  }

  /** Asks for globs, then comes back to the search. */
  async editGlobs(): Promise<void> {
    this.#isEditingGlobs = true;
    this.#whenFound = undefined;
    const answer = await window.showInputBox({
      title: l10n.t('Files to Search'),
      value: printGlobs(this.#options),
      placeHolder: l10n.t('for example: src, *.rs, !src/generated'),
      prompt: l10n.t('Globs with commas between, in the style of .gitignore; ! leaves files out. Empty for all files.'),
      // Whoever goes elsewhere would have the pick come over what they do there.
      ignoreFocusOut: true,
    });
    if (!this.#isOpen) {
      return;
    }
    this.#isEditingGlobs = false;
    if (answer !== undefined) {
      this.#setOptions({ ...this.#options, ...parseGlobs(answer) });
    }
    this.#showButtons();
    this.#pick.show();
    this.#search();
  }

  openToSide(): void {
    this.#choose((match) => this.#openToSide(match));
  }

  async openAllInEditor(): Promise<void> {
    const found = await this.#findAll();
    if (found !== undefined) {
      await openSearchEditor(found);
    }
  }

  async keepResults(): Promise<void> {
    const query = this.#query();
    if (query.text !== '') {
      this.#leave();
      await this.#comeBack();
      await this.#results.search(query);
    }
  }

  dispose(): void {
    if (!this.#isOpen) {
      return;
    }
    this.#isOpen = false;
    // A pick that goes meanwhile is hidden for good.
    this.#isEditingGlobs = false;
    clearTimeout(this.#previewTimer);
    this.#session.cancel();
    void this.#context.workspaceState.update(TEXT_KEY, this.#pick.value);
    this.#pick.dispose();
    void commands.executeCommand('setContext', CONTEXT_KEY, false);
  }

  #prepare(): void {
    const pick = this.#pick;
    // Not in the API of extensions, yet understood: without it VS Code sorts matches by how their text resembles the
    // query, instead of leaving them in the order of their files. Where it isn't understood, that is all that happens.
    Object.assign(pick, { sortByLabel: false });
    pick.keepScrollPosition = true;
    this.#showButtons();
    pick.onDidChangeValue(() => {
      this.#search();
    });
    pick.onDidChangeActive(([entry]) => {
      this.#preview(entry);
    });
    pick.onDidTriggerButton((button) => {
      if (!this.takesCommands) {
        return;
      }
      const toggled = (Object.keys(this.#buttons) as Toggle[]).find((key) => this.#buttons[key] === button);
      if (toggled !== undefined) {
        this.toggle(toggled);
      } else if (button === this.#editorButton) {
        void reporting(this.openAllInEditor());
      } else if (button === this.#keepButton) {
        void reporting(this.keepResults());
      } else {
        void reporting(this.editGlobs());
      }
    });
    pick.onDidTriggerItemButton(({ item: { match } }) => {
      if (match !== undefined && this.takesCommands) {
        this.way = reporting(this.#openToSide(match));
      }
    });
    pick.onDidAccept(() => {
      this.#choose((match) => this.#open(match));
    });
    pick.onDidHide(() => {
      if (!this.#isEditingGlobs) {
        if (!this.#hasLeft) {
          // Disposing of it hides it once more.
          this.#hasLeft = true;
          this.way = reporting(this.#comeBack());
        }
        this.dispose();
      }
    });
  }

  #search(): void {
    const query = this.#query();
    this.#pick.title = this.#titleOf();
    this.#whenFound = undefined;
    this.#isAwaited = query.text !== '';
    if (query.text === '') {
      this.#session.cancel();
      this.#pick.busy = false;
      this.#pick.items = [];
      return;
    }
    this.#pick.busy = true;
    void this.#session.search(query, MOST_ENTRIES);
  }

  #present(found: Found): void {
    const pick = this.#pick;
    const isMore = !this.#isAwaited;
    this.#isAwaited = false;
    pick.busy = found.state === 'searching';
    pick.title = this.#titleOf(found);
    if (found.state === 'failed') {
      pick.items = [notice('$(error)', found.error ?? '')];
    } else if (found.matches.length === 0) {
      const nothing = hasGlobs(found.query)
        ? l10n.t('Nothing found in {0}', printGlobs(found.query))
        : l10n.t('Nothing found');
      pick.items = [notice('$(info)', nothing)];
    } else {
      this.#showMatches(found.matches, isMore);
    }
    const [first] = found.matches;
    const act = this.#whenFound;
    this.#whenFound = undefined;
    if (first !== undefined && act !== undefined) {
      this.way = reporting(act(first));
    }
  }

  /** `isMore`: the first of them are shown already. */
  #showMatches(matches: readonly SearchMatch[], isMore: boolean): void {
    const pick = this.#pick;
    if (isMore && matches.length === pick.items.filter(({ match }) => match !== undefined).length) {
      return;
    }
    const active = isMore ? pick.activeItems[0]?.match : undefined;
    pick.items = byFile(matches).flatMap(({ uri, matches }) => {
      const path = pathOf(uri);
      const separator: Entry = { label: path, kind: QuickPickItemKind.Separator };
      return [separator, ...matches.map((match) => this.#entry(match))];
    });
    // New entries make the first one active, also when somebody has moved on since.
    const chosen = active !== undefined && active !== matches[0] && pick.items.find(({ match }) => match === active);
    if (chosen) {
      pick.activeItems = [chosen];
    }
  }

  /** Does something with the active match, or, while there is none of what was typed, with the first to come. */
  #choose(act: (match: SearchMatch) => Promise<void>): void {
    if (!this.takesCommands) {
      return;
    }
    if (this.#isAwaited) {
      this.#whenFound = act;
      return;
    }
    const { activeItems, items } = this.#pick;
    // VS Code says a moment later which of new entries is active. Until then it's one of those before.
    const [active] = activeItems.filter((entry) => items.includes(entry));
    const match = (active ?? items.find(({ match }) => match !== undefined))?.match;
    if (match !== undefined) {
      this.way = reporting(act(match));
    }
  }

  #entry(match: SearchMatch): Entry {
    const { text } = snippet(match, LONGEST_ENTRY);
    const line = match.range.start.line + 1;
    return {
      // What looks like an icon in somebody's code is text.
      label: text === '' ? ' ' : text.replace(/\$\(/g, '\\$('),
      description: String(line),
      alwaysShow: true,
      buttons: [this.#sideButton],
      match,
    };
  }

  #titleOf(found?: Found): string {
    const title = l10n.t('Search Text');
    if (found === undefined || found.state === 'failed' || found.matches.length === 0) {
      return title;
    }
    const summary = summaryOf(found);
    return found.fresh
      ? l10n.t('{0}: {1}', title, summary)
      : l10n.t('{0}: {1}, perhaps without the newest changes', title, summary);
  }

  #showButtons(): void {
    this.#pick.placeholder = this.#placeholder();
    this.#pick.buttons = [
      this.#buttons.isCaseSensitive,
      this.#buttons.wholeWord,
      this.#buttons.isRegex,
      this.#globsButton(),
      this.#keepButton,
      this.#editorButton,
    ];
  }

  #placeholder(): string {
    const files = this.#server.states.reduce((sum, state) => sum + state.index.files, 0);
    const where = hasGlobs(this.#options) ? printGlobs(this.#options) : words.files(files);
    return files > 0 || hasGlobs(this.#options)
      ? l10n.t('Type what to find in {0}', where)
      : l10n.t('Type what to find');
  }

  #preview(entry: Entry | undefined): void {
    clearTimeout(this.#previewTimer);
    const match = entry?.match;
    if (match === undefined || !previewsOnMove()) {
      return;
    }
    this.#previewTimer = setTimeout(() => {
      this.#previewing = showMatch(match, { preview: true, preserveFocus: true }).then(
        ({ document }) => {
          this.#previewed = document.uri;
        },
        () => {
          // A file that can't be shown, or is gone, has no preview; choosing it says why.
        },
      );
    }, PREVIEW_AFTER_MS);
  }

  async #openToSide(match: SearchMatch): Promise<void> {
    this.#leave();
    await this.#comeBack();
    await openMatch(match, ViewColumn.Beside);
  }

  async #open(match: SearchMatch): Promise<void> {
    this.#leave();
    // A preview that is on its way would come after it.
    await this.#previewing;
    try {
      await openMatch(match);
    } finally {
      await this.#closePreview();
    }
  }

  /** Back to where the user was, unless they have gone elsewhere meanwhile. */
  async #comeBack(): Promise<void> {
    await this.#previewing;
    try {
      if (this.#previewed !== undefined && this.#origin !== undefined && !this.#isElsewhere()) {
        const { uri, selection, column } = this.#origin;
        // VS Code gives the focus back by itself; taken once more, it would close a search that was opened meanwhile.
        const options = { selection, preserveFocus: true };
        await window.showTextDocument(uri, column === undefined ? options : { ...options, viewColumn: column });
      }
    } catch {
      // Where the user was may be gone by now.
    }
    await this.#closePreview();
  }

  /** Whether the user has gone to what is neither the preview nor where they were. */
  #isElsewhere(): boolean {
    // A click on a tab reports the tab before it hides the pick, and the tab's editor only later.
    const tab = window.tabGroups.activeTabGroup.activeTab;
    return tab !== undefined && ![this.#previewed, this.#origin?.uri].some((uri) => uri?.toString() === fileIn(tab));
  }

  /** Closes the preview, unless its file was open before or has been opened for good. */
  async #closePreview(): Promise<void> {
    const previewed = this.#previewed?.toString();
    if (previewed !== undefined && !this.#openBefore.has(previewed)) {
      const left = tabs().filter((tab) => tab.isPreview && fileIn(tab) === previewed);
      await window.tabGroups.close(left, true);
    }
  }

  /** The pick goes, since something was chosen. */
  #leave(): void {
    this.#hasLeft = true;
    clearTimeout(this.#previewTimer);
    this.#pick.hide();
  }

  /** Of the query all results, which are more than the pick shows. */
  async #findAll(): Promise<Found | undefined> {
    const query = this.#query();
    if (query.text === '') {
      return undefined;
    }
    this.#leave();
    await this.#comeBack();
    return await findAll(this.#server, query);
  }

  #query(): Query {
    return { ...this.#options, text: this.#pick.value };
  }

  #setOptions(options: Options): void {
    this.#options = options;
    void this.#context.globalState.update(OPTIONS_KEY, options);
  }
}

/** Searches to the end, up to the setting's number of results; says when that fails. */
export async function findAll(server: Server, query: Query): Promise<Found | undefined> {
  let last: Found | undefined;
  const session = new SearchSession(
    (params, onMatches, signal) => server.search(params, onMatches, signal),
    (found) => {
      last = found;
    },
  );
  await session.search(query, maxResults());
  if (last?.state === 'failed') {
    void window.showErrorMessage(last.error ?? '');
    return undefined;
  }
  return last;
}

/** Does what the user has asked for, and shows why when that fails. */
async function reporting(action: Promise<void>): Promise<void> {
  try {
    await action;
  } catch (error) {
    void window.showErrorMessage(error instanceof Error ? error.message : String(error));
  }
}

function notice(icon: string, text: string): Entry {
  return { label: `${icon} ${text}`, alwaysShow: true };
}

function hasGlobs({ include, exclude }: Options): boolean {
  return include.length + exclude.length > 0;
}

function originOf(editor: TextEditor | undefined): Origin | undefined {
  return editor && { uri: editor.document.uri, selection: editor.selection, column: editor.viewColumn };
}

function tabs(): Tab[] {
  return window.tabGroups.all.flatMap((group) => group.tabs);
}

function fileIn(tab: Tab): string | undefined {
  return tab.input instanceof TabInputText ? tab.input.uri.toString() : undefined;
}

function openFiles(): ReadonlySet<string | undefined> {
  return new Set(tabs().map(fileIn));
}

/** What is selected, if it is within one line. */
function selectedText(): string | undefined {
  const editor = window.activeTextEditor;
  return editor && !editor.selection.isEmpty && editor.selection.isSingleLine
    ? editor.document.getText(editor.selection)
    : undefined;
}
