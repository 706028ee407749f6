/**
 * Measures what the extension costs, and tests nothing: `npm run measure FOLDER`, with the environment of the tests
 * (`rig.ts` has it). FOLDER is large, so that a cold index of it lasts longer than a measurement.
 *
 * - What VS Code waits for when it activates the extension, while nothing else runs and while FOLDER is indexed.
 * - How long the event loop of the extension host is held up, and a key takes to the screen: with the extension and
 *   without, while FOLDER is indexed and while nothing is. Without the extension, the index is the same work of the
 *   same server, which the command line has asked for.
 *
 * The kinds take turns, so that what drifts is shared by all.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';

import { bundleForHost, runInHost } from './host.ts';
import { makeRepository } from './repository.ts';
import { TIMEOUT_MS, provided, Rig, type Window } from './rig.ts';

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, only: { type: 'string' } },
  allowPositionals: true,
});
const [tree] = positionals;
const runs = Number(values.runs);
if (tree === undefined || !Number.isSafeInteger(runs) || runs < 1) {
  throw new Error('usage: node test/e2e/measure.ts FOLDER [--runs N] [--only activation|typing]');
}
const scratch = await mkdtemp(path.join(tmpdir(), 'syncline-measure-'));
const small = path.join(scratch, 'small');
await makeRepository(small, 200);

/** Starts a cold index of the tree by a process that has nothing to do with any window. */
function indexBeside(name: string): ChildProcess {
  const env = { ...process.env, SYNCLINE_INDEX_DIR: path.join(scratch, name) };
  return spawn(provided.server, ['index', '--standalone', tree ?? ''], { env, stdio: 'ignore' });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

async function measureActivation(): Promise<void> {
  const table = new Table();
  for (let run = 0; run < runs; run++) {
    for (const kind of ['quiet', 'while a tree is indexed']) {
      const rig = await Rig.start();
      const load = kind === 'quiet' ? undefined : indexBeside(`activation-${run}`);
      const window = await rig.open(small);
      await window.waitForLabel(/Syncline: up to date/);
      if (load && load.exitCode !== null) {
        throw new Error('the index of the tree was done before the window was up: it needs a larger tree');
      }
      const { loading, calling, finishing } = await activationOf(window);
      table.add(kind, 'load the code', loading);
      table.add(kind, 'activate until it returns', calling);
      table.add(kind, 'until it is settled', finishing);
      table.add(kind, 'all that VS Code counts', loading + calling + finishing);
      await window.close();
      if (load) {
        await end(load);
      }
      await rig.stop();
    }
  }
  table.print(`activation, as VS Code measures it, in ms, ${runs} runs each`);
}

/** The extension's row in VS Code's own report of its start: milliseconds. */
async function activationOf(window: Window): Promise<{ loading: number; calling: number; finishing: number }> {
  await window.command('Developer: Startup Performance');
  const lines = window.page.locator('.editor-instance .view-line');
  await lines.filter({ hasText: 'System Info' }).first().waitFor({ timeout: TIMEOUT_MS });
  await window.page.keyboard.press('Control+f');
  await window.page.keyboard.type('| syncline.syncline |');
  const row = lines.filter({ hasText: /\|\s*syncline\.syncline\s*\|/ }).first();
  await row.waitFor({ timeout: TIMEOUT_MS });
  const cells = (await row.innerText()).split('|').map((cell) => cell.trim());
  const [loading, calling, finishing] = cells.slice(3, 6).map(Number);
  if (![loading, calling, finishing].every(Number.isFinite)) {
    throw new Error(`not a row of activation times: ${cells.join(' | ')}`);
  }
  return { loading: loading ?? NaN, calling: calling ?? NaN, finishing: finishing ?? NaN };
}

async function measureTyping(): Promise<void> {
  const bundle = path.join(scratch, 'measure.js');
  await bundleForHost('measure.ts', bundle);
  const probe = path.join(scratch, 'probe');
  await mkdir(probe);
  const manifest = { name: 'probe', publisher: 'syncline', version: '0.0.1', engines: { vscode: '^1.109.0' } };
  await writeFile(path.join(probe, 'package.json'), JSON.stringify(manifest));
  const table = new Table();
  for (let run = 0; run < runs; run++) {
    for (const isIndexed of [false, true]) {
      // Which one is first changes.
      for (const vsix of run % 2 === 0 ? [false, true] : [true, false]) {
        const kind = `${vsix ? 'with' : 'without'} the extension, ${isIndexed ? 'indexing' : 'nothing else'}`;
        await measureTypingOnce(table, { kind, vsix, isIndexed, probe, bundle });
      }
    }
  }
  table.print(`while somebody types, ${runs} runs each`);
}

async function measureTypingOnce(
  table: Table,
  options: { kind: string; vsix: boolean; isIndexed: boolean; probe: string; bundle: string },
): Promise<void> {
  const { kind, vsix, isIndexed, probe, bundle } = options;
  const rig = await Rig.start({ vsix });
  const workspace = path.join(scratch, 'typing.code-workspace');
  await writeFile(workspace, JSON.stringify({ folders: [{ path: small }] }));
  const begun = Promise.withResolvers<undefined>();
  let measured: Record<string, number> = {};
  let indexing: ChildProcess | undefined;
  const say = (line: string): void => {
    const [word, rest] = line.split(/: (.*)/s);
    if (word === 'begun') {
      // With the extension, the folder that the probe adds is indexed by itself.
      indexing = isIndexed && !vsix ? rig.spawn('watch', '--json', tree ?? '') : undefined;
      begun.resolve(undefined);
    } else if (word === 'measured') {
      measured = JSON.parse(rest ?? '{}') as Record<string, number>;
    }
  };
  await writeFile(path.join(probe, 'measure.json'), JSON.stringify({ tree: isIndexed ? tree : null }));
  const { page, code } = await runInHost(rig, { workspace, extension: probe, bundle, say });
  await page.locator('.monaco-workbench').waitFor({ timeout: TIMEOUT_MS });
  await page.locator('.editor-instance .view-line').first().waitFor({ timeout: TIMEOUT_MS });
  await begun.promise;
  const keys: number[] = [];
  for (let i = 0; i < 150; i++) {
    await page.evaluate(echo);
    await page.keyboard.press('abcdefgh '[i % 9] ?? 'x');
    keys.push(await page.evaluate(() => (globalThis as unknown as { shown: Promise<number> }).shown));
  }
  if ((await code) !== 0) {
    throw new Error(`the probe failed: ${kind}`);
  }
  for (const [name, value] of Object.entries(measured)) {
    table.add(kind, name, value);
  }
  table.add(kind, 'key to screen p50, ms', percentile(keys, 50));
  table.add(kind, 'key to screen p99, ms', percentile(keys, 99));
  await page.goto('about:blank');
  if (indexing) {
    await end(indexing);
  }
  await rig.stop();
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((share / 100) * sorted.length))] ?? NaN;
}

/** Figures by kind and name, of several runs. */
class Table {
  readonly #kinds = new Map<string, Map<string, number[]>>();

  add(kind: string, name: string, value: number): void {
    const names = this.#kinds.get(kind) ?? new Map<string, number[]>();
    this.#kinds.set(kind, names);
    names.set(name, [...(names.get(name) ?? []), value]);
  }

  /** Prints of each figure the median, and all of them in their order. */
  print(title: string): void {
    console.log(`\n${title}: median (each run)`);
    for (const [kind, names] of this.#kinds) {
      console.log(`  ${kind}`);
      for (const [name, figures] of names) {
        const all = figures.map((figure) => figure.toFixed(1)).join(', ');
        console.log(`    ${name.padEnd(34)} ${percentile(figures, 50).toFixed(1).padStart(7)}   (${all})`);
      }
    }
  }
}

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

try {
  // Read once, so that the first kind doesn't wait for the disk alone.
  spawnSync(provided.server, ['search', '--standalone', 'there is no such text', tree], { stdio: 'ignore' });
  if (values.only !== 'typing') {
    await measureActivation();
  }
  if (values.only !== 'activation') {
    await measureTyping();
  }
} finally {
  await rm(scratch, { recursive: true, maxRetries: 5 });
}
