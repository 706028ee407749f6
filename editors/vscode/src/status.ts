/** The status bar item: one glance says what is going on, and a click what can be done. */
import { type Disposable, MarkdownString, StatusBarAlignment, type StatusBarItem, window } from 'vscode';
import { l10n } from 'vscode';

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
      return `${warning ? '$(warning)' : '$(watch)'} Syncline: ${words.activity(activity)}`;
    case 'paused':
      return `${warning ? '$(warning)' : '$(debug-pause)'} Syncline: ${words.activity(activity)}`;
  }
}

/** The facts behind the glance. Names and sentences come from outside, so they are put in as text. */
export function tooltipOf(glance: Glance, server: ServerStatus, states: readonly QueueState[]): MarkdownString {
  const now = Date.now();
  const tooltip = new MarkdownString();
  if (server.kind === 'failed') {
    tooltip.appendText(server.problem);
  }
  if (states.length === 0 && server.kind !== 'failed') {
    tooltip.appendText(words.glance(glance));
  }
  for (const state of states) {
    tooltip.appendMarkdown('**').appendText(state.codebase.name).appendMarkdown('** · ');
    tooltip.appendText(words.state(state)).appendMarkdown('\n\n');
    if (state.message !== undefined) {
      tooltip.appendText(state.message).appendMarkdown('\n\n');
    }
    const { index } = state;
    const facts: [string, string][] = [
      [l10n.t('Files'), words.count(index.files)],
      [l10n.t('Symbols'), words.count(index.symbols)],
      [l10n.t('Index'), l10n.t('generation {0}, {1}', words.count(index.generation), words.bytes(index.bytes))],
      [l10n.t('Waiting line'), words.backend(state)],
    ];
    if (index.pending > 0) {
      facts.push([l10n.t('Newer than the index'), l10n.t('{0}; searches read them', words.files(index.pending))]);
    }
    if (state.lastSync !== undefined) {
      facts.push([l10n.t('Last sync'), words.lastSync(state.lastSync, now, state.message)]);
    }
    for (const [name, value] of facts) {
      tooltip.appendMarkdown('- ').appendText(`${name}: ${value}`).appendMarkdown('\n');
    }
    tooltip.appendMarkdown('\n');
  }
  if (server.kind === 'running') {
    tooltip.appendMarkdown('---\n\n').appendText(l10n.t('Server {0}', server.version));
  }
  return tooltip;
}
