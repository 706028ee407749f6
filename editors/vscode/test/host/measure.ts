/** Runs in the extension host while somebody types, and says how long its event loop was held up. */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as vscode from 'vscode';

import type { Api } from '../../src/extension.ts';

const MEASURED_MS = 12_000;
const TIMEOUT_MS = 30_000;

export async function run(): Promise<void> {
  const probe = vscode.extensions.getExtension('syncline.probe');
  const text = await readFile(path.join(probe?.extensionPath ?? '', 'measure.json'), 'utf8');
  const { tree } = JSON.parse(text) as { tree: string | null };
  const extension = vscode.extensions.getExtension<Api>('syncline.syncline');
  if (extension) {
    const { server } = await extension.activate();
    await until(() => server.states.length === 1 && server.states.every((state) => state.index.fresh));
  }
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: '' }));
  console.log('begun');
  if (tree !== null) {
    vscode.workspace.updateWorkspaceFolders(1, 0, { uri: vscode.Uri.file(tree) });
  }
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const used = process.cpuUsage();
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, MEASURED_MS));
  delay.disable();
  const { user, system } = process.cpuUsage(used);
  const last = extension?.exports.server.states.at(-1);
  // After the text come the symbols, which are a part of the first index.
  if (tree !== null && last?.index.fresh === true && !last.progress) {
    throw new Error('the tree was indexed before the end: it needs a larger one');
  }
  const ms = (ns: number): number => ns / 1e6;
  console.log(
    `measured: ${JSON.stringify({
      'event loop delay p50, ms': ms(delay.percentile(50)),
      'event loop delay p99, ms': ms(delay.percentile(99)),
      'event loop delay p99.9, ms': ms(delay.percentile(99.9)),
      'event loop delay max, ms': ms(delay.max),
      'CPU of the host, ms per second': (user + system) / MEASURED_MS,
    })}`,
  );
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (!isSo()) {
    if (Date.now() > deadline) {
      throw new Error('the extension is not ready');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
