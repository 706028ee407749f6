/**
 * Syncline's own messages, as `src/lsp/ext.rs` defines and `editors/PROTOCOL.md` documents them. A test compares these
 * types with the samples of that page.
 */
import type { Range } from 'vscode-languageclient';

/** The version of the protocol that this extension speaks. */
export const PROTOCOL = 1;

/** What the protocol's words may be; a test compares them with the page. */
export const WORDS = {
  backend: ['local', 'redis'],
  health: ['ok', 'degraded', 'error'],
  phase: ['idle', 'waiting', 'syncing', 'paused'],
  state: ['waiting', 'syncing'],
  stage: ['scan', 'text', 'symbols'],
  outcome: ['synced', 'failed', 'superseded'],
} as const;

export type Backend = (typeof WORDS.backend)[number];
export type Health = (typeof WORDS.health)[number];
export type Phase = (typeof WORDS.phase)[number];
export type BatchState = (typeof WORDS.state)[number];
export type Stage = (typeof WORDS.stage)[number];
export type Outcome = (typeof WORDS.outcome)[number];

/** `capabilities.experimental` of the server. */
export interface Experimental {
  syncline: { protocol: number };
}

/** `capabilities.experimental` of a client that knows Syncline. */
export interface ClientExperimental {
  /** Whether it takes `syncline/queueState`. */
  syncline: { queueState: boolean };
}

/** A codebase at one moment. Times are Unix milliseconds, durations milliseconds, sizes bytes. */
export interface QueueState {
  codebase: CodebaseInfo;
  backend: Backend;
  health: Health;
  /** When `health` isn't `ok`: one sentence that says what, why, and how to fix it. */
  message?: string;
  phase: Phase;
  /** Of the engine's own batch: 0 is the head of the queue, null is none in the queue. */
  position: number | null;
  /** The queue, head first. */
  queue: Batch[];
  progress?: Progress;
  lastSync?: LastSync;
  index: IndexState;
}

export interface CodebaseInfo {
  id: string;
  name: string;
  /** A `file:` URI. */
  root: string;
}

export interface Batch {
  id: string;
  createdAt: number;
  owner: BatchOwner;
  files: number | 'all';
  state: BatchState;
}

export interface BatchOwner {
  host: string;
  pid: number;
  /** Whether it is the engine which sends this. */
  self: boolean;
}

export interface Progress {
  done: number;
  /** 0 while that isn't known. */
  total: number;
  stage: Stage;
}

export interface LastSync {
  id: string;
  outcome: Outcome;
  files: number;
  durationMs: number;
  finishedAt: number;
  error?: string;
}

export interface IndexState {
  generation: number;
  files: number;
  symbols: number;
  bytes: number;
  pending: number;
  fresh: boolean;
}

/** Which codebase is meant, by its id or root; all of this window without one. */
export interface CodebaseParams {
  codebase?: string;
}

export interface SearchParams {
  query: string;
  isRegex?: boolean;
  isCaseSensitive?: boolean;
  wholeWord?: boolean;
  include?: string[];
  exclude?: string[];
  codebase?: string;
  maxResults?: number;
  fresh?: boolean;
  partialResultToken?: string | number;
}

export interface SearchResult {
  matches: SearchMatch[];
  limitHit: boolean;
  fresh: boolean;
  generation: number;
}

export interface SearchMatch {
  uri: string;
  /** Within one line; columns in UTF-16 units, which VS Code's client negotiates. */
  range: Range;
  /** The line without its end. */
  text: string;
}

export interface SearchProgressParams {
  token: string | number;
  value: SearchChunk;
}

export interface SearchChunk {
  matches: SearchMatch[];
}

/** Methods of Syncline's own. */
export const methods = {
  queueState: 'syncline/queueState',
  queue: 'syncline/queue',
  search: 'syncline/search',
  sync: 'syncline/sync',
} as const;

/** Commands of `workspace/executeCommand`. Each takes an optional {@link CodebaseParams}. */
export const serverCommands = {
  sync: 'syncline.sync',
  pause: 'syncline.pause',
  resume: 'syncline.resume',
  rebuild: 'syncline.rebuild',
} as const;
