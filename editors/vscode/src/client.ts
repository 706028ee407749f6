/** The connection to the server: its life, its states, and its questions. It owns what is known of both. */
import {
  CancellationTokenSource,
  Disposable,
  EventEmitter,
  type ExtensionContext,
  type LogOutputChannel,
  type OutputChannel,
  Uri,
  workspace,
} from 'vscode';
import {
  CloseAction,
  ErrorAction,
  ExecuteCommandRequest,
  LanguageClient,
  ProgressType,
  RevealOutputChannelOn,
  type StaticFeature,
  type SymbolInformation,
  type WorkspaceSymbol,
  WorkspaceSymbolRequest,
} from 'vscode-languageclient/node';

import { findServer, ServerProblem } from './bootstrap.ts';
import { serverPath, serverSection } from './config.ts';
import {
  type CodebaseParams,
  type Experimental,
  type LastSync,
  methods,
  PROTOCOL,
  type QueueState,
  type SearchChunk,
  type SearchMatch,
  type SearchParams,
  type SearchResult,
  type serverCommands,
} from './ext.ts';
import type { ServerStatus } from './glance.ts';
import { leveled } from './log.ts';
import { Restarts } from './restarts.ts';
import { l10n } from 'vscode';

type ServerCommand = (typeof serverCommands)[keyof typeof serverCommands];

/** The server as this window sees it. */
export class Server implements Disposable {
  readonly #context: ExtensionContext;
  readonly #log: LogOutputChannel;
  readonly #output: OutputChannel;
  readonly #changed = new EventEmitter<void>();
  readonly #failed = new EventEmitter<ServerProblem | Error>();
  readonly #disposables: Disposable[] = [];
  #status: ServerStatus = { kind: 'none' };
  #states: readonly QueueState[] = [];
  #client: LanguageClient | undefined;
  #path: string | undefined;
  #turn: Promise<void> = Promise.resolve();
  #searches = 0;
  #restarts = new Restarts();
  #restartTimer: NodeJS.Timeout | undefined;

  /** Its status or one of its states changed. */
  readonly onDidChange = this.#changed.event;
  /** It can't be started, or ended too often. */
  readonly onDidFail = this.#failed.event;

  constructor(context: ExtensionContext, log: LogOutputChannel) {
    this.#context = context;
    this.#log = log;
    this.#output = leveled(log);
    this.#disposables.push(
      this.#changed,
      this.#failed,
      this.#output,
      workspace.onDidChangeWorkspaceFolders(() => void this.#followFolders()),
      workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration('syncline.server.path')) {
          void this.restart();
        } else if (change.affectsConfiguration('syncline')) {
          this.#tellSettings();
        }
      }),
      workspace.onDidGrantWorkspaceTrust(() => {
        this.#tellSettings();
      }),
      log.onDidChangeLogLevel(() => {
        this.#tellSettings();
      }),
    );
  }

  get status(): ServerStatus {
    return this.#status;
  }

  /** The codebases' last states, in the order of the workspace's folders. */
  get states(): readonly QueueState[] {
    return this.#states;
  }

  /** The program that runs, or ran last. */
  get path(): string | undefined {
    return this.#path;
  }

  /** Starts it, if the workspace has a folder of this machine. How that went is the status's to say. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#client === undefined) {
        await this.#start();
      }
    });
  }

  /** Ends it, and starts it anew. */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      this.#restarts = new Restarts();
      await this.#stop();
      await this.#start();
    });
  }

  /** Ends it. */
  stop(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stop();
      this.#become({ kind: 'none' });
    });
  }

  /** Finds text. Parts of the answer go to `onMatches` as they come; a search that is aborted rejects. */
  async search(
    params: SearchParams,
    onMatches: (matches: SearchMatch[]) => void,
    signal: AbortSignal,
  ): Promise<SearchResult> {
    const client = this.#running();
    const token = `search-${++this.#searches}`;
    const parts = client.onProgress(new ProgressType<SearchChunk>(), token, ({ matches }) => {
      onMatches(matches);
    });
    try {
      const all = { ...params, partialResultToken: token };
      return await withSignal(signal, (cancel) => client.sendRequest<SearchResult>(methods.search, all, cancel));
    } finally {
      parts.dispose();
    }
  }

  /** Symbols by name; undefined if this server has none. */
  async symbols(
    query: string,
    signal: AbortSignal,
  ): Promise<readonly (SymbolInformation | WorkspaceSymbol)[] | undefined> {
    const client = this.#running();
    if (!client.initializeResult?.capabilities.workspaceSymbolProvider) {
      return undefined;
    }
    const ask = WorkspaceSymbolRequest.type;
    return (await withSignal(signal, (cancel) => client.sendRequest(ask, { query }, cancel))) ?? [];
  }

  /** Asks for the states as they are now. */
  async queue(): Promise<readonly QueueState[]> {
    const params: CodebaseParams = {};
    this.#states = await this.#running().sendRequest<QueueState[]>(methods.queue, params);
    this.#changed.fire();
    return this.#states;
  }

  /** Syncs now; the outcome, when the changes known at the call are committed or that failed. */
  async sync(params: CodebaseParams): Promise<LastSync> {
    return await this.#running().sendRequest<LastSync>(methods.sync, params);
  }

  /** Runs one of the server's commands. */
  async run(command: ServerCommand, params: CodebaseParams): Promise<void> {
    await this.#running().sendRequest(ExecuteCommandRequest.type, { command, arguments: [params] });
  }

  dispose(): void {
    clearTimeout(this.#restartTimer);
    Disposable.from(...this.#disposables).dispose();
  }

  /** One start or stop at a time, in the order they were asked for. */
  #inTurn(action: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(action, action);
    return this.#turn;
  }

  async #start(): Promise<void> {
    if (!hasLocalFolder()) {
      this.#become({ kind: 'none' });
      return;
    }
    this.#become({ kind: 'starting' });
    try {
      const found = await findServer(this.#context.extensionUri, serverPath(), this.#log);
      this.#path = found.path;
      const client = this.#createClient(found.path);
      this.#client = client;
      await client.start();
      const announced = client.initializeResult?.capabilities.experimental as Partial<Experimental> | undefined;
      const protocol = announced?.syncline?.protocol;
      if (protocol !== PROTOCOL) {
        throw new ServerProblem(
          'tooOld',
          l10n.t(
            'Syncline {0} at {1} speaks another protocol than this extension. Update the older of the two.',
            found.version,
            found.path,
          ),
        );
      }
      this.#become({ kind: 'running', version: found.version, source: found.source });
    } catch (error) {
      await this.#stop();
      if (error instanceof ServerProblem) {
        this.#fail(error);
      } else {
        this.#startAgain(error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** A server that ended is started again after a while, unless it ends again and again. */
  #startAgain(why: string): void {
    this.#log.warn(`the server has ended: ${why}`);
    // The states of a process that is gone say nothing any more.
    this.#states = [];
    const delay = this.#restarts.next(Date.now());
    if (delay === undefined) {
      this.#fail(
        new Error(l10n.t('The Syncline server ends again and again, so it is left alone. Its log may say why.')),
      );
      return;
    }
    this.#become({ kind: 'restarting' });
    this.#restartTimer = setTimeout(() => {
      void this.#inTurn(async () => {
        await this.#stop();
        await this.#start();
      });
    }, delay);
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#restartTimer);
    const client = this.#client;
    this.#client = undefined;
    this.#states = [];
    if (client === undefined) {
      return;
    }
    // One that never started, or is gone, can't be asked to end; there is nothing left of it then.
    await client.dispose().catch((error: unknown) => {
      this.#log.debug(`the server had ended already: ${String(error)}`);
    });
  }

  #createClient(command: string): LanguageClient {
    const log = this.#log;
    const client: LanguageClient = new LanguageClient(
      'syncline',
      'Syncline',
      { command, args: ['lsp', '--stdio'] },
      {
        documentSelector: [{ scheme: 'file' }],
        outputChannel: this.#output,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: serverSection(log.logLevel),
        initializationFailedHandler: () => false,
        errorHandler: {
          error: (error) => {
            this.#log.error(`the connection to the server has an error: ${error.message}`);
            // One that is broken is closed as well.
            return { action: ErrorAction.Continue, handled: true };
          },
          closed: () => {
            // While it starts, or is being stopped, those who do that see it themselves.
            if (this.#client === client && this.#status.kind === 'running') {
              this.#startAgain('the connection was closed');
            }
            return { action: CloseAction.DoNotRestart, handled: true };
          },
        },
        middleware: {
          workspace: {
            didChangeWorkspaceFolders: async (change, next) => {
              await next(change);
              // Codebases that were closed say nothing any more, so those that are left are asked for.
              await this.queue();
            },
            configuration: ({ items }) =>
              items.map((item) => (item.section === 'syncline' ? serverSection(log.logLevel) : null)),
          },
        },
      },
    );
    client.registerFeature(withoutProgressBars);
    client.onNotification(methods.queueState, (state: QueueState) => {
      if (this.#client === client) {
        this.#take(state);
      }
    });
    return client;
  }

  #take(state: QueueState): void {
    const others = this.#states.filter((other) => other.codebase.id !== state.codebase.id);
    this.#states = inFolderOrder([...others, state]);
    this.#changed.fire();
  }

  /** The first folder starts the server, and the last one ends it; what is between, the client tells the server. */
  async #followFolders(): Promise<void> {
    await (hasLocalFolder() ? this.start() : this.stop());
  }

  #tellSettings(): void {
    const client = this.#client;
    if (client?.isRunning()) {
      const settings = { syncline: serverSection(this.#log.logLevel) };
      client.sendNotification('workspace/didChangeConfiguration', { settings }).catch((error: unknown) => {
        this.#log.warn(`the server was not told of the settings: ${String(error)}`);
      });
    }
  }

  #running(): LanguageClient {
    if (!this.#client?.isRunning()) {
      throw new Error(
        this.#status.kind === 'failed' ? this.#status.problem : l10n.t('Syncline is not running in this window.'),
      );
    }
    return this.#client;
  }

  #become(status: ServerStatus): void {
    this.#status = status;
    this.#changed.fire();
  }

  #fail(error: Error): void {
    this.#log.error(error.message);
    this.#become({
      kind: 'failed',
      problem: error.message,
      cause: error instanceof ServerProblem ? error.kind : 'ended',
    });
    this.#failed.fire(error);
  }
}

/** The status bar says how far a sync is, so no second bar is asked for. */
const withoutProgressBars: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    capabilities.window = { ...capabilities.window, workDoneProgress: false };
  },
  initialize: () => undefined,
  getState: () => ({ kind: 'static' }),
  clear: () => undefined,
};

function hasLocalFolder(): boolean {
  return workspace.workspaceFolders?.some((folder) => folder.uri.scheme === 'file') ?? false;
}

function inFolderOrder(states: QueueState[]): QueueState[] {
  const folders = (workspace.workspaceFolders ?? []).map((folder) => folder.uri.toString());
  // A root that is reached by a link has another path than its folder, and goes last.
  const place = (state: QueueState): number => {
    const index = folders.indexOf(Uri.parse(state.codebase.root).toString());
    return index < 0 ? folders.length : index;
  };
  return states.sort((a, b) => place(a) - place(b) || a.codebase.root.localeCompare(b.codebase.root));
}

async function withSignal<T>(
  signal: AbortSignal,
  ask: (token: CancellationTokenSource['token']) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const source = new CancellationTokenSource();
  const cancel = (): void => {
    source.cancel();
  };
  signal.addEventListener('abort', cancel);
  try {
    const answer = await ask(source.token);
    // It may have been on its way already.
    signal.throwIfAborted();
    return answer;
  } finally {
    signal.removeEventListener('abort', cancel);
    source.dispose();
  }
}
