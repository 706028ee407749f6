/**
 * Measures whether typing is held up while a large folder is indexed for the first time, with the extension and
 * without: `node test/e2e/measure.ts FOLDER`, with the environment of the tests. It tests nothing.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import { bundleForHost, runInHost } from './host.ts';
import { PATIENCE_MS, Rig } from './rig.ts';

const folder = process.argv[2];
if (folder === undefined) {
  throw new Error('usage: node test/e2e/measure.ts FOLDER');
}
const scratch = await mkdtemp(path.join(tmpdir(), 'syncline-measure-'));
const bundle = path.join(scratch, 'measure.js');
const extension = path.join(scratch, 'extension');
await mkdir(extension);
await writeFile(
  path.join(extension, 'package.json'),
  JSON.stringify({ name: 'probe', publisher: 'syncline', version: '0.0.1', engines: { vscode: '^1.109.0' } }),
);
await bundleForHost('measure.ts', bundle);
for (const vsix of [true, false, true, false]) {
  const rig = await Rig.start({ vsix });
  const say = (line: string): void => {
    if (line.startsWith('measured')) {
      console.log(line);
    }
  };
  const { page, code } = await runInHost(rig, { workspace: folder, extension, bundle, say });
  await page.locator('.monaco-workbench').waitFor({ timeout: PATIENCE_MS });
  await page.locator('.editor-group-container').first().dblclick();
  const editor = page.locator('.editor-instance .view-line').first();
  await editor.waitFor({ timeout: PATIENCE_MS });
  const delays: number[] = [];
  const status: string[] = [];
  for (let i = 0; i < 150; i++) {
    await page.evaluate(echo);
    await page.keyboard.press('abcdefgh '[i % 9] ?? 'x');
    delays.push(await page.evaluate(() => (globalThis as unknown as { shown: Promise<number> }).shown));
    status.push((await page.locator('[id="syncline.syncline.status"]').allTextContents()).join(''));
  }
  delays.sort((a, b) => a - b);
  const at = (share: number): string => (delays[Math.floor(share * (delays.length - 1))] ?? NaN).toFixed(1);
  console.log(`typed ${vsix ? 'with' : 'without'} Syncline: key to screen in ms: p50 ${at(0.5)}, p99 ${at(0.99)}`);
  console.log(`  the status bar said: ${[...new Set(status)].join(' | ')}`);
  await code;
  await page.goto('about:blank');
  if (vsix) {
    const window = await rig.open(folder);
    await window.waitForLabel(/Syncline/);
    await window.command('Developer: Show Running Extensions');
    const row = window.page.locator('.runtime-extensions-editor .monaco-list-row', { hasText: 'Syncline' });
    await row.getByText('Activation:').waitFor({ timeout: PATIENCE_MS });
    console.log(`VS Code says: ${(await row.allTextContents()).join(' ')}`);
    await window.close();
  }
  await rig.stop();
}
await rm(scratch, { recursive: true });

/** Runs in the page: from the next key to the frame after the editor has changed. */
function echo(): void {
  interface Observer {
    observe(target: unknown, options: object): void;
    disconnect(): void;
  }
  const page = globalThis as unknown as {
    shown: Promise<number>;
    document: {
      querySelector(selector: string): unknown;
      addEventListener(type: string, listener: () => void, options: object): void;
    };
    MutationObserver: new (changed: () => void) => Observer;
    requestAnimationFrame(then: () => void): void;
  };
  page.shown = new Promise((resolve) => {
    let pressed = 0;
    page.document.addEventListener('keydown', () => (pressed = performance.now()), { capture: true, once: true });
    const observer = new page.MutationObserver(() => {
      if (pressed > 0) {
        observer.disconnect();
        page.requestAnimationFrame(() => {
          resolve(performance.now() - pressed);
        });
      }
    });
    const lines = page.document.querySelector('.view-lines');
    observer.observe(lines, { childList: true, subtree: true, characterData: true });
  });
}
