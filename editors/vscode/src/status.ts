/** The status bar item: one glance says what is going on, and a click what can be done. */
import { type Disposable, l10n, MarkdownString, StatusBarAlignment, type StatusBarItem, window } from 'vscode';

import type { Server } from './server.ts';
import type { QueueState } from './ext.ts';
import { type Glance, glanceOf, type ServerStatus } from './glance.ts';
import * as words from './words.ts';

/** Shows the item as long as there is something to say. */
export function showStatus(server: Server): Disposable[] {
  const item = window.createStatusBarItem('status', StatusBarAlignment.Left, 50);
  item.name = 'Syncline';
  item.command = 'syncline.showActions';
  const update = (): void => {
    show(item, server.status, server.states);
  };
  update();
  return [item, server.onDidChange(update)];
}

function show(item: StatusBarItem, server: ServerStatus, states: readonly QueueState[]): void {
  const glance = glanceOf(server, states);
  if (glance === undefined) {
    item.hide();
    return;
  }
  item.text = textOf(glance);
  item.tooltip = tooltipOf(glance, server, states);
  item.accessibilityInformation = { label: words.glance(glance), role: 'button' };
  item.show();
}

/** The text of the item: an icon, the name, and words for all that isn't as usual. */
export function textOf({ activity, health }: Glance): string {
  if (health === 'error') {
    return `$(error) ${l10n.t('Syncline: error')}`;
  }
  const warning = health === 'degraded';
  switch (activity.kind) {
    case 'idle':
      return warning ? `$(warning) ${l10n.t('Syncline: degraded')}` : '$(check) Syncline';
    case 'starting':
      return '$(loading~spin) Syncline';
    case 'syncing': {
      const icon = warning ? '$(warning)' : '$(sync~spin)';
      return activity.percent === undefined ? `${icon} Syncline` : `${icon} Syncline ${activity.percent}%`;
    }
    case 'waiting':
      // It is at the head for a moment at each save, at which the items beside shouldn't jump.
      if (activity.ordinal === undefined || activity.ordinal === 1) {
        return `${warning ? '$(warning)' : '$(sync~spin)'} Syncline`;
      }
      return `${warning ? '$(warning)' : '$(watch)'} Syncline: ${words.activity(activity)}`;
    case 'paused':
      return `${warning ? '$(warning)' : '$(debug-pause)'} Syncline: ${words.activity(activity)}`;
  }
}

/** Text from outside: nothing in it is markup. `appendText` alone would glue its words together, to break anywhere. */
function appendWords(tooltip: MarkdownString, text: string): MarkdownString {
  const [first = '', ...others] = text.split(/\s+/);
  tooltip.appendText(first);
  for (const word of others) {
    tooltip.appendMarkdown(' ').appendText(word);
  }
  return tooltip;
}

/** The facts behind the glance. */
export function tooltipOf(glance: Glance, server: ServerStatus, states: readonly QueueState[]): MarkdownString {
  const now = Date.now();
  const tooltip = new MarkdownString();
  if (server.kind === 'failed') {
    appendWords(tooltip, server.problem);
  }
  if (states.length === 0 && server.kind !== 'failed') {
    appendWords(tooltip, words.glance(glance));
  }
  for (const state of states) {
    appendWords(tooltip.appendMarkdown('**'), state.codebase.name).appendMarkdown('** · ');
    appendWords(tooltip, words.state(state)).appendMarkdown('\n\n');
    if (state.message !== undefined) {
      appendWords(tooltip, words.sentence(state.message)).appendMarkdown('\n\n');
    }
    const { index } = state;
    const facts: [string, string][] = [
      [l10n.t('Files'), words.count(index.files)],
      [l10n.t('Symbols'), words.count(index.symbols)],
      [l10n.t('Index'), l10n.t('generation {0}, {1}', words.count(index.generation), words.bytes(index.bytes))],
      [l10n.t('Queue'), words.backend(state)],
    ];
    if (index.pending > 0) {
      facts.push([l10n.t('Newer than the index'), l10n.t('{0}; searches read them', words.files(index.pending))]);
    }
    if (state.lastSync !== undefined) {
      facts.push([l10n.t('Last sync'), words.lastSync(state.lastSync, now, state.message)]);
    }
    for (const [name, value] of facts) {
      appendWords(tooltip.appendMarkdown('- '), `${name}: ${value}`).appendMarkdown('\n');
    }
    tooltip.appendMarkdown('\n');
  }
  if (server.kind === 'running') {
    appendWords(tooltip.appendMarkdown('---\n\n'), l10n.t('Server {0}', server.version));
  }
  return tooltip;
}
