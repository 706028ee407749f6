/**
 * The connection to one server process, in Syncline's own words. Only this file needs the language client at run time,
 * and `server.ts` loads it when a server starts, so that VS Code waits for none of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { CancellationTokenSource, type LogOutputChannel, type OutputChannel } from 'vscode';
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

import { serverSection } from './config.ts';
import {
  type ClientExperimental,
  type CodebaseParams,
  type Experimental,
  type LastSync,
  methods,
  type QueueState,
  type SearchChunk,
  type SearchMatch,
  type SearchParams,
  type SearchResult,
  type serverCommands,
} from './ext.ts';

/** How long a server may take to start, and to end when it is asked to. */
const START_TIME_MS = 30_000;
const END_TIME_MS = 2_000;

export type ServerCommand = (typeof serverCommands)[keyof typeof serverCommands];
export type Symbols = readonly (SymbolInformation | WorkspaceSymbol)[];

/** What a connection reports of itself. */
export interface Listener {
  /** A codebase has another state. */
  stateChanged(state: QueueState): void;
  /** Other folders were announced to the server. */
  foldersChanged(): Promise<void>;
  /** The server is gone. While it starts, or is being stopped, those who do that see it themselves. */
  closed(): void;
}

/** The connection; it is made once for each process. */
export class Connection {
  readonly #client: LanguageClient;
  readonly #log: LogOutputChannel;
  #process: ChildProcess | undefined;
  #searches = 0;

  constructor(command: string, log: LogOutputChannel, output: OutputChannel, listener: Listener) {
    this.#log = log;
    this.#client = new QuietClient(
      'syncline',
      'Syncline',
      async () => {
        // Not in the workspace: a program that runs there could take files of strangers for its own.
        const child = spawn(command, ['lsp', '--stdio'], { cwd: homedir(), windowsHide: true });
        this.#process = child;
        child.on('error', (error) => {
          log.error(`the server's process: ${error.message}`);
        });
        await once(child, 'spawn');
        return child;
      },
      {
        documentSelector: [{ scheme: 'file' }],
        outputChannel: output,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: serverSection(log.logLevel),
        initializationFailedHandler: () => false,
        errorHandler: {
          error: (error) => {
            log.error(`the connection to the server has an error: ${error.message}`);
            // One that is broken is closed as well.
            return { action: ErrorAction.Continue, handled: true };
          },
          closed: () => {
            listener.closed();
            return { action: CloseAction.DoNotRestart, handled: true };
          },
        },
        middleware: {
          workspace: {
            didChangeWorkspaceFolders: async (change, next) => {
              await next(change);
              await listener.foldersChanged();
            },
            configuration: ({ items }) =>
              items.map((item) => (item.section === 'syncline' ? serverSection(log.logLevel) : null)),
          },
        },
      },
    );
    this.#client.registerFeature(announcement);
    this.#client.onNotification(methods.queueState, (state: QueueState) => {
      listener.stateChanged(state);
    });
  }

  /** Starts the server, and waits until it has said what it can. Fails when it ends before, or takes too long. */
  async start(): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      reject(new Error(`it has not started within ${START_TIME_MS / 1000} s`));
    }, START_TIME_MS);
    try {
      await Promise.race([this.#client.start(), late]);
    } finally {
      clearTimeout(timer);
    }
    // The client takes a server that ends meanwhile for one that it was asked not to wait for.
    if (!this.#client.isRunning()) {
      throw new Error('it ended while it started');
    }
  }

  /** Ends the server. It may be gone already; one that doesn't end is killed soon after. */
  async end(): Promise<void> {
    // One that never started, or is gone, can't be asked.
    await this.#client.dispose(END_TIME_MS).catch((error: unknown) => {
      this.#log.debug(`the server could not be asked to end: ${String(error)}`);
    });
    const child = this.#process;
    if (child?.exitCode === null && child.signalCode === null) {
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIME_MS);
      child.once('exit', () => {
        clearTimeout(timer);
      });
    }
  }

  get isRunning(): boolean {
    return this.#client.isRunning();
  }

  /** The version of the protocol that the server speaks; undefined if it isn't ours. */
  get protocol(): number | undefined {
    const announced = this.#client.initializeResult?.capabilities.experimental as Partial<Experimental> | undefined;
    return announced?.syncline?.protocol;
  }

  /** See `Server.search`. */
  async search(
    params: SearchParams,
    onMatches: (matches: SearchMatch[]) => void,
    signal: AbortSignal,
  ): Promise<SearchResult> {
    const token = `search-${++this.#searches}`;
    const parts = this.#client.onProgress(new ProgressType<SearchChunk>(), token, ({ matches }) => {
      onMatches(matches);
    });
    try {
      const all = { ...params, partialResultToken: token };
      return await withSignal(signal, (cancel) => this.#client.sendRequest<SearchResult>(methods.search, all, cancel));
    } finally {
      parts.dispose();
    }
  }

  /** Symbols by name; undefined if this server has none. */
  async symbols(query: string, signal: AbortSignal): Promise<Symbols | undefined> {
    if (!this.#client.initializeResult?.capabilities.workspaceSymbolProvider) {
      return undefined;
    }
    const ask = WorkspaceSymbolRequest.type;
    return (await withSignal(signal, (cancel) => this.#client.sendRequest(ask, { query }, cancel))) ?? [];
  }

  async queue(params: CodebaseParams): Promise<QueueState[]> {
    return await this.#client.sendRequest<QueueState[]>(methods.queue, params);
  }

  async sync(params: CodebaseParams): Promise<LastSync> {
    return await this.#client.sendRequest<LastSync>(methods.sync, params);
  }

  async run(command: ServerCommand, params: CodebaseParams): Promise<void> {
    await this.#client.sendRequest(ExecuteCommandRequest.type, { command, arguments: [params] });
  }

  /** Sends the settings, which have changed, to the server. */
  sendSettings(): void {
    const settings = { syncline: serverSection(this.#log.logLevel) };
    this.#client.sendNotification('workspace/didChangeConfiguration', { settings }).catch((error: unknown) => {
      this.#log.warn(`the settings could not be sent to the server: ${String(error)}`);
    });
  }
}

/** Writes what goes wrong into the log and shows nothing: what users are to know, the window shows once. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

/** What is announced to the server of this client beside what the language client says by itself. */
const announcement: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    // The status bar says how far a sync is, so no second bar is asked for.
    capabilities.window = { ...capabilities.window, workDoneProgress: false };
    const ours: ClientExperimental = { syncline: { queueState: true } };
    capabilities.experimental = { ...(capabilities.experimental as object | undefined), ...ours };
  },
  initialize: () => undefined,
  getState: () => ({ kind: 'static' }),
  clear: () => undefined,
};

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
