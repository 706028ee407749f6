/** The server as this window sees it: its life, its states, and its questions. It owns what is known of both. */
import {
  Disposable,
  EventEmitter,
  type ExtensionContext,
  l10n,
  type LogOutputChannel,
  type OutputChannel,
  Uri,
  workspace,
} from 'vscode';

import { findServer, ServerProblem } from './bootstrap.ts';
import type { Connection, ServerCommand, Symbols } from './client.ts';
import { serverPath } from './config.ts';
import {
  type CodebaseParams,
  type LastSync,
  PROTOCOL,
  type QueueState,
  type SearchMatch,
  type SearchParams,
  type SearchResult,
} from './ext.ts';
import type { ServerStatus } from './glance.ts';
import { leveled } from './log.ts';
import { Restarts } from './restarts.ts';
import { inEditorSpelling } from './settings.ts';

/** The server. */
export class Server implements Disposable {
  readonly #context: ExtensionContext;
  readonly #log: LogOutputChannel;
  readonly #output: OutputChannel;
  readonly #changed = new EventEmitter<void>();
  readonly #failed = new EventEmitter<ServerProblem | Error>();
  readonly #disposables: Disposable[] = [];
  #status: ServerStatus = { kind: 'none' };
  #states: readonly QueueState[] = [];
  #connection: Connection | undefined;
  #path: string | undefined;
  #lastAction: Promise<void> = Promise.resolve();
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
          this.#sendSettings();
        }
      }),
      workspace.onDidGrantWorkspaceTrust(() => {
        this.#sendSettings();
      }),
      log.onDidChangeLogLevel(() => {
        this.#sendSettings();
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
    return this.#inOrder(async () => {
      if (this.#connection === undefined) {
        await this.#start();
      }
    });
  }

  /** Ends it, and starts it anew. */
  restart(): Promise<void> {
    return this.#inOrder(async () => {
      this.#restarts = new Restarts();
      await this.#stop();
      await this.#start();
    });
  }

  /** Ends it. */
  stop(): Promise<void> {
    return this.#inOrder(async () => {
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
    return await this.#running().search(params, onMatches, signal);
  }

  /** Symbols by name; undefined if this server has none. */
  async symbols(query: string, signal: AbortSignal): Promise<Symbols | undefined> {
    return await this.#running().symbols(query, signal);
  }

  /** Asks for the states as they are now. */
  async queue(): Promise<readonly QueueState[]> {
    this.#states = (await this.#running().queue({})).map(spelled);
    this.#changed.fire();
    return this.#states;
  }

  /** Syncs now; the outcome, when the changes known at the call are committed or that failed. */
  async sync(params: CodebaseParams): Promise<LastSync> {
    return await this.#running().sync(params);
  }

  /** Runs one of the server's commands. */
  async run(command: ServerCommand, params: CodebaseParams): Promise<void> {
    await this.#running().run(command, params);
  }

  dispose(): void {
    clearTimeout(this.#restartTimer);
    Disposable.from(...this.#disposables).dispose();
  }

  /** One start or stop at a time, in the order they were asked for. */
  #inOrder(action: () => Promise<void>): Promise<void> {
    this.#lastAction = this.#lastAction.then(action, action);
    return this.#lastAction;
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
      const connection = await this.#connect(found.path);
      this.#connection = connection;
      await connection.start();
      if (connection.protocol !== PROTOCOL) {
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
      void this.#inOrder(async () => {
        await this.#stop();
        await this.#start();
      });
    }, delay);
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#restartTimer);
    const connection = this.#connection;
    this.#connection = undefined;
    this.#states = [];
    await connection?.end();
  }

  async #connect(program: string): Promise<Connection> {
    // Loaded now, so that the extension is active before.
    const { Connection } = await import('./client.ts');
    const connection: Connection = new Connection(program, this.#log, this.#output, {
      stateChanged: (state) => {
        if (this.#connection === connection) {
          this.#take(state);
        }
      },
      // Codebases that were closed say nothing any more, so those that are left are asked for.
      foldersChanged: async () => {
        await this.queue();
      },
      closed: () => {
        if (this.#connection === connection && this.#status.kind === 'running') {
          this.#startAgain('the connection was closed');
        }
      },
    });
    return connection;
  }

  #take(state: QueueState): void {
    // Under other settings a codebase may have another id; its root stays.
    const others = this.#states.filter((other) => other.codebase.root !== state.codebase.root);
    this.#states = inFolderOrder([...others, spelled(state)]);
    this.#changed.fire();
  }

  /** The first folder starts the server, and the last one ends it; what is between, the client sends to the server. */
  async #followFolders(): Promise<void> {
    await (hasLocalFolder() ? this.start() : this.stop());
  }

  #sendSettings(): void {
    if (this.#connection?.isRunning === true) {
      this.#connection.sendSettings();
    }
  }

  #running(): Connection {
    if (this.#connection?.isRunning !== true) {
      throw new Error(
        this.#status.kind === 'failed' ? this.#status.problem : l10n.t('Syncline is not running in this window.'),
      );
    }
    return this.#connection;
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

/** The state with what it says to people in the words of an editor's settings. */
function spelled(state: QueueState): QueueState {
  const { message, lastSync } = state;
  return {
    ...state,
    ...(message === undefined ? {} : { message: inEditorSpelling(message) }),
    ...(lastSync?.error === undefined ? {} : { lastSync: { ...lastSync, error: inEditorSpelling(lastSync.error) } }),
  };
}

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
