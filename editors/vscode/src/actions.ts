/** What the user can do: the commands, and the menu behind the status bar item. */
import { execFile } from 'node:child_process';
import * as path from 'node:path';
import {
  commands,
  type ConfigurationChangeEvent,
  type Disposable,
  l10n,
  type LogOutputChannel,
  type QuickPickItem,
  QuickPickItemKind,
  window,
  workspace,
} from 'vscode';

import { serverEnvironment } from './config.ts';
import type { Server } from './server.ts';
import { type CodebaseParams, type QueueState, serverCommands } from './ext.ts';
import { glanceOf } from './glance.ts';
import { openReadOnly } from './readOnly.ts';
import { SERVER_SETTINGS } from './settings.ts';
import * as words from './words.ts';

/** The checks ask disks and hosts, each with its own limit; beyond this, something hangs. */
const DOCTOR_TIME_MS = 60_000;

/** Registers the commands. */
export function registerActions(server: Server, log: LogOutputChannel): Disposable[] {
  const register = (command: string, act: (target: unknown) => Promise<void> | void): Disposable =>
    commands.registerCommand(command, async (target: unknown) => {
      try {
        await act(target);
      } catch (error) {
        const sentence = error instanceof Error ? error.message : String(error);
        log.error(`${command}: ${sentence}`);
        await tellFailure(sentence);
      }
    });
  return [
    register('syncline.showActions', () => showActions(server)),
    register('syncline.syncNow', (target) => syncNow(server, paramsOf(target))),
    register('syncline.pauseSync', (target) => server.run(serverCommands.pause, paramsOf(target))),
    register('syncline.resumeSync', (target) => server.run(serverCommands.resume, paramsOf(target))),
    register('syncline.rebuildIndex', (target) => rebuild(server, paramsOf(target))),
    register('syncline.restartServer', () => server.restart()),
    register('syncline.runDoctor', () => runDoctor(server)),
    register('syncline.showLog', () => {
      log.show();
    }),
    register('syncline.openSettings', async () => {
      await commands.executeCommand('workbench.action.openSettings', '@ext:syncline.syncline');
    }),
    register('syncline.openWalkthrough', async () => {
      await commands.executeCommand('workbench.action.openWalkthrough', 'syncline.syncline#start', false);
      // VS Code ticks a step when something becomes so after it knows of the step, not when it was so before.
      await commands.executeCommand('setContext', 'syncline.walkthrough', true);
    }),
  ];
}

/** Says that there is no server, and offers what can be done about it. */
export async function offerRemedies(server: Server, cause: 'missing' | 'broken' | 'tooOld' | 'ended'): Promise<void> {
  if (server.status.kind !== 'failed') {
    return;
  }
  const settings = l10n.t('Open Settings');
  const install = l10n.t('How to Install');
  const log = l10n.t('Open Log');
  const retry = l10n.t('Retry');
  const offers = cause === 'ended' ? [log, retry] : [settings, install, retry];
  const chosen = await window.showErrorMessage(server.status.problem, ...offers);
  switch (chosen) {
    case settings:
      await commands.executeCommand('workbench.action.openSettings', 'syncline.server.path');
      break;
    case install:
      await commands.executeCommand('syncline.openWalkthrough');
      break;
    case log:
      await commands.executeCommand('syncline.showLog');
      break;
    case retry:
      await server.restart();
      break;
    case undefined:
      break;
  }
}

/** Says that a setting of the server counts only after a restart, and offers that. */
export async function offerRestart(server: Server, change: ConfigurationChangeEvent): Promise<void> {
  const isOver = (key: string): boolean => key !== 'log.level' && change.affectsConfiguration(`syncline.${key}`);
  if (server.status.kind !== 'running' || !SERVER_SETTINGS.some(isOver)) {
    return;
  }
  const restart = l10n.t('Restart the Server');
  const sentence = l10n.t('The settings of Syncline have changed, and count once its server has been restarted.');
  if ((await window.showInformationMessage(sentence, restart)) === restart) {
    await server.restart();
  }
}

/** A command on a row of the queue is about that codebase, elsewhere about all. */
function paramsOf(target: unknown): CodebaseParams {
  const state = (target as { state?: QueueState } | undefined)?.state;
  // By its root, since folders may share an id.
  return state === undefined ? {} : { codebase: state.codebase.root };
}

async function syncNow(server: Server, params: CodebaseParams): Promise<void> {
  const outcome = await server.sync(params);
  switch (outcome.outcome) {
    case 'synced': {
      const took = words.duration(outcome.durationMs);
      const sentence =
        outcome.files === 0
          ? l10n.t('The index agrees with the files')
          : l10n.t('Synced {0} in {1}', words.files(outcome.files), took);
      window.setStatusBarMessage(sentence, 5000);
      break;
    }
    case 'failed':
      throw new Error(outcome.error ?? l10n.t('The sync failed; the log says why.'));
    case 'superseded':
      window.setStatusBarMessage(l10n.t('Another batch syncs these changes'), 5000);
      break;
  }
}

async function rebuild(server: Server, params: CodebaseParams): Promise<void> {
  const yes = l10n.t('Rebuild');
  const chosen = await window.showWarningMessage(
    l10n.t('Rebuild the index?'),
    { modal: true, detail: l10n.t('All files are read anew. Searches stay right meanwhile, but are slower.') },
    yes,
  );
  if (chosen === yes) {
    await server.run(serverCommands.rebuild, params);
  }
}

/** Runs the server's own checks, with the settings of this window, and shows what they say. No shell is between. */
async function runDoctor(server: Server): Promise<void> {
  const program = server.path;
  if (program === undefined) {
    throw new Error(
      server.status.kind === 'failed' ? server.status.problem : l10n.t('Syncline is not running in this window.'),
    );
  }
  const folder = workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file')?.uri.fsPath;
  const report = await new Promise<string>((resolve) => {
    const cwd = folder ?? path.dirname(program);
    const options = { cwd, env: serverEnvironment(), timeout: DOCTOR_TIME_MS, windowsHide: true };
    execFile(program, ['doctor'], options, (error, stdout, stderr) => {
      // It ends with an error when it has found one; what it says is the report.
      const said = [stdout.trim(), stderr.trim()].filter((text) => text !== '').join('\n\n');
      resolve(said === '' && error ? error.message : said);
    });
  });
  await openReadOnly(l10n.t('Syncline: the Installation'), 'plaintext', `${report}\n`);
}

async function tellFailure(sentence: string): Promise<void> {
  const log = l10n.t('Open Log');
  if ((await window.showErrorMessage(sentence, log)) === log) {
    await commands.executeCommand('syncline.showLog');
  }
}

interface Action extends QuickPickItem {
  command?: string;
}

async function showActions(server: Server): Promise<void> {
  const isRunning = server.status.kind === 'running';
  const isPaused = server.states.some((state) => state.phase === 'paused');
  const isActive = server.states.length === 0 || server.states.some((state) => state.phase !== 'paused');
  const separator = (label: string): Action => ({ label, kind: QuickPickItemKind.Separator });
  const action = (icon: string, label: string, command: string, detail?: string): Action => ({
    label: `$(${icon}) ${label}`,
    command,
    ...(detail === undefined ? {} : { description: detail }),
  });
  const glance = glanceOf(server.status, server.states);
  const actions: Action[] = [];
  if (isRunning) {
    actions.push(
      action('search', l10n.t('Search Text…'), 'syncline.search'),
      action('symbol-class', l10n.t('Go to Symbol…'), 'workbench.action.showAllSymbols'),
      action('list-ordered', l10n.t('Show the Queue'), 'syncline.queue.focus'),
      separator(l10n.t('Index')),
      action('sync', l10n.t('Sync Now'), 'syncline.syncNow'),
    );
    if (isActive) {
      const detail = l10n.t('searches stay right');
      actions.push(action('debug-pause', l10n.t('Pause'), 'syncline.pauseSync', detail));
    }
    if (isPaused) {
      actions.push(action('play', l10n.t('Resume'), 'syncline.resumeSync'));
    }
    actions.push(action('discard', l10n.t('Rebuild the Index…'), 'syncline.rebuildIndex'));
  }
  actions.push(
    separator(l10n.t('Help')),
    action('pulse', l10n.t('Check the Installation'), 'syncline.runDoctor'),
    action('output', l10n.t('Open Log'), 'syncline.showLog'),
    action('debug-restart', l10n.t('Restart the Server'), 'syncline.restartServer'),
    action('gear', l10n.t('Open Settings'), 'syncline.openSettings'),
    action('mortar-board', l10n.t('How to Begin'), 'syncline.openWalkthrough'),
  );
  const chosen = await window.showQuickPick(actions, {
    title: 'Syncline',
    placeHolder: glance === undefined ? l10n.t('No folder is open') : words.glance(glance),
  });
  if (chosen?.command !== undefined) {
    await commands.executeCommand(chosen.command);
  }
}

