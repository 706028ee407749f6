/** How things are said to people. */
import { l10n } from 'vscode';

import type { Batch, LastSync, QueueState } from './ext.ts';
import { type Activity, activityOf, type Glance } from './glance.ts';

/** "1,234" as the user's language writes it. */
export function count(number: number): string {
  return number.toLocaleString();
}

export function files(number: number | 'all'): string {
  if (number === 'all') {
    return l10n.t('all files');
  }
  return number === 1 ? l10n.t('1 file') : l10n.t('{0} files', count(number));
}

export function results(matches: number, inFiles: number): string {
  const found = matches === 1 ? l10n.t('1 result') : l10n.t('{0} results', count(matches));
  return l10n.t('{0} in {1}', found, files(inFiles));
}

/** "2nd in line". */
export function ordinal(position: number): string {
  const suffixes: Partial<Record<Intl.LDMLPluralRule, string>> = { one: 'st', two: 'nd', few: 'rd', other: 'th' };
  const suffix = suffixes[new Intl.PluralRules('en', { type: 'ordinal' }).select(position)] ?? 'th';
  return l10n.t({
    message: '{0}{1} in line',
    args: [position, suffix],
    comment: ['{0} is a number, {1} the suffix that makes it an English ordinal: "2nd in line". Leave {1} out elsewhere'],
  });
}

/** "12 ms", "3.4 s". The server counts whole milliseconds. */
export function duration(ms: number): string {
  if (ms < 1) {
    return l10n.t('less than 1 ms');
  }
  return ms < 1000 ? l10n.t('{0} ms', ms) : l10n.t('{0} s', (ms / 1000).toFixed(1));
}

/** "5 s ago", "just now". */
export function ago(then: number, now: number): string {
  return now - then < 1000 ? l10n.t('just now') : l10n.t('{0} ago', age(then, now));
}

/** "5 s", "3 min": how long ago `then` was. Clocks of two hosts may differ, so it is never less than nothing. */
export function age(then: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 60) {
    return l10n.t('{0} s', seconds);
  }
  if (seconds < 3600) {
    return l10n.t('{0} min', Math.floor(seconds / 60));
  }
  return seconds < 2 * 86_400
    ? l10n.t('{0} h', Math.floor(seconds / 3600))
    : l10n.t('{0} days', Math.floor(seconds / 86_400));
}

export function bytes(number: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit++;
  }
  return `${unit === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[unit] ?? ''}`;
}

export function activity(what: Activity): string {
  switch (what.kind) {
    case 'idle':
      return what.isFresh ? l10n.t('up to date') : l10n.t('idle');
    case 'starting':
      return l10n.t('starting');
    case 'paused':
      return l10n.t('paused');
    case 'waiting':
      return what.ordinal === undefined ? l10n.t('waiting') : ordinal(what.ordinal);
    case 'syncing':
      return what.percent === undefined ? l10n.t('syncing') : l10n.t('indexing {0}%', what.percent);
  }
}

/** Of a glance, all that is said by text alone: for screen readers, and for those who don't see icons. */
export function glance({ activity: what, health, message }: Glance): string {
  switch (health) {
    case 'ok':
      return l10n.t('Syncline: {0}', activity(what));
    case 'degraded':
      return l10n.t('Syncline: degraded, {0}. {1}', activity(what), sentence(message ?? ''));
    case 'error':
      return l10n.t('Syncline: error. {0}', sentence(message ?? ''));
  }
}

/** A sentence of the server, as one begins. */
export function sentence(text: string): string {
  return text.slice(0, 1).toLocaleUpperCase() + text.slice(1);
}

/** A codebase in a few words. */
export function state(state: QueueState): string {
  const shown = activity(activityOf(state));
  switch (state.health) {
    case 'ok':
      return shown;
    case 'degraded':
      return l10n.t('degraded, {0}', shown);
    case 'error':
      return l10n.t('error, {0}', shown);
  }
}

/** How the last sync ended. `known` is the codebase's message, which isn't repeated. */
export function lastSync(last: LastSync, now: number, known?: string): string {
  const when = ago(last.finishedAt, now);
  switch (last.outcome) {
    case 'synced':
      return l10n.t('{0}, {1} in {2}', when, files(last.files), duration(last.durationMs));
    case 'failed':
      if (last.error !== undefined && last.error === known) {
        return l10n.t('failed {0}', when);
      }
      return l10n.t('failed {0}: {1}', when, last.error ?? l10n.t('the log says why'));
    case 'superseded':
      return l10n.t('gave way to another batch, {0}', when);
  }
}

export function backend(state: QueueState): string {
  return state.backend === 'redis' ? l10n.t('Redis, shared with other hosts') : l10n.t('this machine');
}

export function batchState(batch: Batch, position: number): string {
  return batch.state === 'syncing' ? l10n.t('syncing') : ordinal(position + 1);
}

export function owner({ owner }: Batch): string {
  return owner.self ? l10n.t('this engine') : l10n.t('{0}, process {1}', owner.host, owner.pid);
}
