/** What one glance should say of the server and all codebases of a window. Knows nothing of VS Code. */
import type { Health, QueueState } from './ext.ts';

/** The server's process. */
export type ServerStatus =
  /** No folder is open, so there is none. */
  | { kind: 'none' }
  | { kind: 'starting' }
  | { kind: 'running'; version: string; source: ServerSource }
  /** It ended, and is being started again. */
  | { kind: 'restarting' }
  | { kind: 'failed'; problem: string; cause: 'missing' | 'broken' | 'tooOld' | 'ended' };

export type ServerSource = 'setting' | 'bundled' | 'path';

/** What is going on. */
export type Activity =
  /** `isFresh`: every change that is known is in the index. */
  | { kind: 'idle'; isFresh: boolean }
  | { kind: 'starting' }
  | { kind: 'syncing'; percent?: number }
  /** `ordinal` 1 is the head of the queue; none while the batch isn't enqueued yet. */
  | { kind: 'waiting'; ordinal?: number }
  | { kind: 'paused' };

/** One glance: what is going on, and whether all is well. */
export interface Glance {
  activity: Activity;
  health: Health;
  /** When `health` isn't `ok`. */
  message?: string;
}

/** The glance of a window; undefined when there is nothing to say. */
export function glanceOf(server: ServerStatus, states: readonly QueueState[]): Glance | undefined {
  switch (server.kind) {
    case 'none':
      return undefined;
    case 'failed':
      return { activity: { kind: 'idle', isFresh: false }, health: 'error', message: server.problem };
    case 'starting':
    case 'restarting':
      return { activity: { kind: 'starting' }, health: 'ok' };
    case 'running': {
      const worst = states.reduce<QueueState | undefined>(
        (worst, state) => (badness(state.health) > badness(worst?.health ?? 'ok') ? state : worst),
        undefined,
      );
      const activity = activityOfAll(states);
      return worst === undefined
        ? { activity, health: 'ok' }
        : { activity, health: worst.health, ...(worst.message === undefined ? {} : { message: worst.message }) };
    }
  }
}

/** What is going on in one codebase. */
export function activityOf({ phase, progress, position, index }: QueueState): Activity {
  switch (phase) {
    case 'idle':
      return { kind: 'idle', isFresh: index.fresh };
    case 'paused':
      return { kind: 'paused' };
    case 'waiting':
      return position === null ? { kind: 'waiting' } : { kind: 'waiting', ordinal: position + 1 };
    case 'syncing':
      // The share of a comparison or of a few files says nothing: it would jump.
      return progress !== undefined && progress.stage !== 'scan' && progress.total >= 100
        ? { kind: 'syncing', percent: Math.min(100, Math.floor((100 * progress.done) / progress.total)) }
        : { kind: 'syncing' };
  }
}

/** What moves comes before what waits, that before what was halted. Before there is any state, it starts. */
function activityOfAll(states: readonly QueueState[]): Activity {
  const order: Activity['kind'][] = ['syncing', 'waiting', 'paused', 'starting', 'idle'];
  const activities = states.map(activityOf);
  activities.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || progressOf(a) - progressOf(b));
  return activities[0] ?? { kind: 'starting' };
}

/** The one that has furthest to go is shown. */
function progressOf(activity: Activity): number {
  switch (activity.kind) {
    case 'syncing':
      return activity.percent ?? 101;
    case 'waiting':
      return -(activity.ordinal ?? 0);
    case 'idle':
      return activity.isFresh ? 1 : 0;
    case 'starting':
    case 'paused':
      return 0;
  }
}

function badness(health: Health): number {
  return { ok: 0, degraded: 1, error: 2 }[health];
}
