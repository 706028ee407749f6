/** The extension's begin and end: makes the parts and ties them together. */
import { commands, type ExtensionContext, workspace } from 'vscode';

import { offerRemedies, offerRestart, registerActions } from './actions.ts';
import { Server } from './server.ts';
import { registerTools } from './languageModel.ts';
import { createLog } from './log.ts';
import { QueueView } from './queueView.ts';
import { registerReadOnly } from './readOnly.ts';
import { registerSearch } from './search/quickPick.ts';
import { ResultsView } from './search/resultsView.ts';
import { showStatus } from './status.ts';

/** What other extensions, and tests, get from this one. */
export interface Api {
  readonly server: Server;
}

let server: Server | undefined;

/** Called by VS Code once its window is up. Nothing waits for the server. */
export function activate(context: ExtensionContext): Api {
  const log = createLog();
  const started = new Server(context, log);
  server = started;
  const results = new ResultsView(started);
  let shown: string | undefined;
  const updateViews = (): void => {
    const { kind } = started.status;
    if (kind !== shown) {
      shown = kind;
      void commands.executeCommand('setContext', 'syncline.server', kind);
    }
  };
  context.subscriptions.push(
    log,
    started,
    results,
    new QueueView(started),
    ...showStatus(started),
    ...registerActions(started, log),
    ...registerReadOnly(),
    ...registerSearch(context, started, results),
    ...registerTools(started),
    started.onDidChange(updateViews),
    workspace.onDidChangeConfiguration((change) => void offerRestart(started, change)),
    started.onDidFail(() => {
      if (started.status.kind === 'failed') {
        void offerRemedies(started, started.status.cause);
      }
    }),
  );
  updateViews();
  void started.start();
  return { server: started };
}

/** Called by VS Code before its window goes; it waits for this some seconds. */
export async function deactivate(): Promise<void> {
  await server?.stop();
}
