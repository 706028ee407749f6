/** The queue: codebases, and below each the batches that wait or sync. */
import {
  type Disposable,
  EventEmitter,
  l10n,
  MarkdownString,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  window,
} from 'vscode';

import type { Server } from './server.ts';
import type { Batch, QueueState } from './ext.ts';
import { activityOf, glanceOf } from './glance.ts';
import { tooltipOf } from './status.ts';
import * as words from './words.ts';

/** How often ages are written anew while the view is visible. */
const TICK_MS = 1000;

type QueueNode =
  | { kind: 'codebase'; state: QueueState }
  | { kind: 'batch'; root: string; batch: Batch; position: number }
  | { kind: 'note'; icon: string; text: string; description?: string };

export class QueueView implements TreeDataProvider<QueueNode>, Disposable {
  readonly #server: Server;
  readonly #changed = new EventEmitter<void>();
  readonly #view: TreeView<QueueNode>;
  readonly #disposables: Disposable[];
  readonly #timer: NodeJS.Timeout;

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(server: Server) {
    this.#server = server;
    this.#view = window.createTreeView('syncline.queue', { treeDataProvider: this });
    this.#timer = setInterval(() => {
      if (this.#view.visible && server.states.length > 0) {
        this.#changed.fire();
      }
    }, TICK_MS);
    this.#disposables = [
      this.#view,
      this.#changed,
      server.onDidChange(() => {
        this.#changed.fire();
      }),
    ];
  }

  getChildren(node?: QueueNode): QueueNode[] {
    if (node === undefined) {
      return this.#server.states.map((state) => ({ kind: 'codebase', state }));
    }
    return node.kind === 'codebase' ? below(node.state) : [];
  }

  getTreeItem(node: QueueNode): TreeItem {
    switch (node.kind) {
      case 'codebase':
        return this.#codebaseItem(node.state);
      case 'batch':
        return batchItem(node.root, node.batch, node.position);
      case 'note': {
        const item = new TreeItem(node.text);
        item.iconPath = new ThemeIcon(node.icon);
        item.description = node.description ?? '';
        item.tooltip = node.description === undefined ? node.text : `${node.text}: ${node.description}`;
        item.accessibilityInformation = { label: item.tooltip };
        return item;
      }
    }
  }

  dispose(): void {
    clearInterval(this.#timer);
    for (const disposable of this.#disposables) {
      disposable.dispose();
    }
  }

  #codebaseItem(state: QueueState): TreeItem {
    const item = new TreeItem(state.codebase.name, TreeItemCollapsibleState.Expanded);
    // Folders may share a codebase's id, and with it the queue.
    item.id = state.codebase.root;
    item.description = words.state(state);
    item.iconPath = new ThemeIcon(iconOf(state));
    const glance = glanceOf(this.#server.status, [state]);
    item.tooltip = glance === undefined ? '' : tooltipOf(glance, { kind: 'starting' }, [state]);
    item.accessibilityInformation = { label: `${state.codebase.name}, ${words.state(state)}` };
    item.contextValue = state.phase === 'paused' ? 'codebase.paused' : 'codebase';
    return item;
  }
}

function iconOf(state: QueueState): string {
  if (state.health !== 'ok') {
    return state.health === 'error' ? 'error' : 'warning';
  }
  return { idle: 'check', starting: 'loading~spin', syncing: 'sync~spin', waiting: 'watch', paused: 'debug-pause' }[
    activityOf(state).kind
  ];
}

/** What stands below a codebase: never nothing, so that an empty queue explains itself. */
function below(state: QueueState): QueueNode[] {
  const nodes: QueueNode[] = [];
  if (state.message !== undefined) {
    nodes.push({ kind: 'note', icon: state.health === 'error' ? 'error' : 'warning', text: words.sentence(state.message) });
  }
  const { root } = state.codebase;
  nodes.push(...state.queue.map((batch, position): QueueNode => ({ kind: 'batch', root, batch, position })));
  if (state.phase === 'paused') {
    const description = l10n.t('searches stay right');
    nodes.push({ kind: 'note', icon: 'debug-pause', text: l10n.t('Paused'), description });
  } else if (state.queue.length === 0) {
    const description = l10n.t('saves queue here');
    nodes.push({ kind: 'note', icon: 'circle-outline', text: l10n.t('Nothing waits'), description });
  }
  if (state.lastSync !== undefined) {
    const icon = state.lastSync.outcome === 'failed' ? 'error' : 'history';
    const description = words.lastSync(state.lastSync, Date.now(), state.message);
    nodes.push({ kind: 'note', icon, text: l10n.t('Last sync'), description });
  }
  return nodes;
}

function batchItem(root: string, batch: Batch, position: number): TreeItem {
  const item = new TreeItem(words.files(batch.files));
  const state = words.batchState(batch, position);
  const age = words.age(batch.createdAt, Date.now());
  item.id = `${root}/${batch.id}`;
  item.description = `${state} · ${age} · ${words.owner(batch)}`;
  item.iconPath = new ThemeIcon(batch.state === 'syncing' ? 'sync~spin' : 'watch');
  item.tooltip = new MarkdownString()
    .appendText(`${words.files(batch.files)}, ${state}\n`)
    .appendText(l10n.t('Queued {0} ago by {1}, process {2}', age, batch.owner.host, batch.owner.pid))
    .appendText(`\n${batch.id}`);
  item.accessibilityInformation = {
    label: l10n.t('Batch of {0}, {1}, of {2}, {3} old', words.files(batch.files), state, words.owner(batch), age),
  };
  return item;
}
