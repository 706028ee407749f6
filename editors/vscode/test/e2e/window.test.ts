/** The extension as its users see it, installed from its vsix into a real VS Code. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';

import type { QueueState } from '../../src/ext.ts';
import { makeRepository } from './repository.ts';
import { TIMEOUT_MS, provided, Rig, until, type Window } from './rig.ts';

describe('a window with a repository of 10,000 files', () => {
  let scratch: string;
  let root: string;
  let rig: Rig;
  let window: Window;

  before(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), 'syncline-repository-'));
    root = path.join(scratch, 'workers');
    await makeRepository(root, 10_000);
    rig = await Rig.start();
    window = await rig.open(root);
  });

  afterEach(async (context) => {
    if ('passed' in context && !context.passed) {
      await window.shot(`failed-${context.name.replace(/\W+/g, '-')}`);
    }
  });

  after(async () => {
    await window.close();
    await rig.stop();
    await rm(scratch, { recursive: true });
  });

  test('indexes, then is up to date', async () => {
    await window.waitForLabel(/Syncline: up to date/);
    // What is over between two states isn't drawn: it may take writing all files anew until it shows.
    await until('it has shown that it indexes', async () => {
      if ((await window.labels()).some((label) => /syncing|indexing \d+%/.test(label))) {
        return true;
      }
      const last = await lastSync(rig, root);
      await makeRepository(root, 10_000);
      await until('it has synced', async () => (await lastSync(rig, root)) !== last);
      await window.waitForLabel(/Syncline: up to date/);
      return false;
    });
    await window.waitForTooltip('Files: 10,000');
    await window.shot('idle');
    await window.page.keyboard.press('Escape');
  });

  test('a save waits, syncs, and is found', async () => {
    await openFile(window, 'worker_00042.rs');
    await window.page.keyboard.press('Control+Home');
    await window.page.keyboard.type('// freshly written\n');
    await openSearch(window, 'freshly written');
    await window.rows().filter({ hasText: '// freshly written' }).first().waitFor({ timeout: TIMEOUT_MS });
    await window.page.keyboard.press('Escape');
    await window.page.locator('.editor-instance .view-line').first().click({ timeout: TIMEOUT_MS });
    await window.labels();
    let last = await lastSync(rig, root);
    await window.page.keyboard.press('Control+s');
    // A state that the next one follows within a tick isn't drawn: it may take several saves until one shows its way.
    const way = ['Syncline: 1st in line', 'Syncline: syncing', 'Syncline: up to date'].join(' | ');
    const said: string[] = [];
    await until(`a save has shown: ${way}`, async () => {
      await until('it has synced', async () => (await lastSync(rig, root)) !== last);
      last = await lastSync(rig, root);
      said.push(...(await window.labels()));
      if (said.join(' | ').includes(way)) {
        return true;
      }
      await window.page.keyboard.press('End');
      await window.page.keyboard.type('!');
      await window.page.keyboard.press('Control+s');
      return false;
    });
    assert.match(await readFile(path.join(root, 'src/part_000/worker_00042.rs'), 'utf8'), /^\/\/ freshly written/);
  });

  test('a symbol is found by the picker that VS Code has for them', async () => {
    await window.page.keyboard.press('Control+t');
    await window.type('#run_04711');
    await window.rows().filter({ hasText: 'run_04711' }).first().waitFor({ timeout: TIMEOUT_MS });
    await window.shot('symbol');
    await window.page.keyboard.press('Enter');
    await activeTab(window, 'worker_04711.rs');
    await window.page.locator('.statusbar-item', { hasText: /Ln 13, Col/ }).waitFor({ timeout: TIMEOUT_MS });
    await closeTab(window);
  });

  test('a search streams, previews and opens', async () => {
    await openSearch(window, 'Some(format!("worker 100');
    await window.waitForTitle('11 results in 11 files');
    await window.rows().filter({ hasText: 'worker 100 did' }).first().waitFor({ timeout: TIMEOUT_MS });
    await activeTab(window, 'worker_00100.rs');
    await window.shot('search');
    await window.page.keyboard.press('ArrowDown');
    await activeTab(window, 'worker_01000.rs');
    await window.page.keyboard.press('Escape');
    await activeTab(window, 'worker_00042.rs');
    await noTab(window, 'worker_01000.rs');
    await openSearch(window, 'Some(format!("worker 100');
    await window.waitForTitle('11 results in 11 files');
    await window.page.keyboard.press('ArrowDown');
    await window.page.keyboard.press('Enter');
    await activeTab(window, 'worker_01000.rs');
    await window.page.locator('.statusbar-item', { hasText: /Ln 15, Col/ }).waitFor({ timeout: TIMEOUT_MS });
  });

  test('Enter opens a result of what was typed, not of a part of it, however soon', async () => {
    for (const number of ['0300', '0400', '0500', '0600', '0700']) {
      await openSearch(window, `/// How long worker ${Number(number)} waits`);
      await window.page.keyboard.press('Enter');
      await window.page.locator('.quick-input-widget').waitFor({ state: 'hidden', timeout: TIMEOUT_MS });
      await activeTab(window, `worker_0${number}.rs`);
      await closeTab(window);
    }
  });

  test('a search that is opened as another closes starts from where the user was, and stays', async () => {
    for (const number of [310, 410, 510]) {
      await openSearch(window, `/// How long worker ${number} waits`);
      await activeTab(window, `worker_00${number}.rs`);
      await window.page.keyboard.press('Escape');
      await window.page.keyboard.press('Control+Alt+f');
      // With what is selected there, not in the preview.
      await window.waitForTitle('11 results in 11 files');
      await activeTab(window, 'worker_00100.rs');
      await window.page.keyboard.press('Escape');
      await activeTab(window, 'worker_01000.rs');
      await noTab(window, 'worker_00100.rs');
    }
  });

  test('whoever moves on while more results come stays there', async () => {
    // What is in a vast file, which takes long to be searched, comes after what is in small ones before it.
    const [first, last] = [path.join(root, 'a'), path.join(root, 'z')];
    await Promise.all([first, last].map((folder) => mkdir(folder)));
    await Promise.all([0, 1, 2].map((n) => writeFile(path.join(first, `small_${n}.txt`), `small ${n} did\n`)));
    await writeFile(path.join(last, 'vast.txt'), `${'workers wait in the pool\n'.repeat(8_000_000)}vast 3 did\n`);
    const engines = await rig.servers('daemon');
    await openSearch(window, '');
    await window.page.keyboard.press('Alt+r');
    await window.page.keyboard.insertText('\\w+ \\d \\w{3}$');
    await window.rows().filter({ hasText: 'small 2 did' }).waitFor({ timeout: TIMEOUT_MS });
    engines.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    const chosen = window.page.locator('.quick-input-list .monaco-list-row.focused');
    await until('it has moved on', async () => {
      // A key that crosses more results on their way counts for nothing.
      if ((await chosen.innerText()).includes('small 0')) {
        await window.page.keyboard.press('ArrowDown');
      }
      return await window.page.locator('.tab.active', { hasText: 'small_1.txt' }).isVisible();
    }).finally(() => {
      engines.forEach((pid) => process.kill(pid, 'SIGCONT'));
    });
    await window.waitForTitle('4 results in 4 files');
    await window.rows().filter({ hasText: 'vast 3 did' }).waitFor({ timeout: TIMEOUT_MS });
    assert.match(await chosen.innerText(), /small 1 did/);
    await window.page.keyboard.press('Alt+r');
    await window.page.keyboard.press('Escape');
    await Promise.all([first, last].map((folder) => rm(folder, { recursive: true })));
  });

  test('a result that can not be previewed is opened as VS Code opens such files', async () => {
    const [first, gone] = ['first.txt', 'gone.txt'].map((name) => path.join(root, name)) as [string, string];
    await Promise.all([first, gone].map((file) => writeFile(file, 'gone soon\n')));
    await openSearch(window, 'gone soon');
    await window.waitForTitle('2 results in 2 files');
    await activeTab(window, 'first.txt');
    await rm(gone);
    await window.page.keyboard.press('ArrowDown');
    await window.page.keyboard.press('Enter');
    await activeTab(window, 'gone.txt');
    await window.page.getByText('the file was not found').waitFor({ timeout: TIMEOUT_MS });
    await noTab(window, 'first.txt');
    await closeTab(window);
    await rm(first);
  });

  test('whoever goes to another tab while a search is open stays there', async () => {
    const size = window.page.viewportSize() ?? assert.fail('it has a size');
    // So wide that the search covers no tab.
    await window.page.setViewportSize({ ...size, width: 2000 });
    await openSearch(window, '/// How long worker 310 waits');
    await activeTab(window, 'worker_00310.rs');
    await window.page.locator('.tab', { hasText: 'worker_00042.rs' }).click();
    // Another search begins once the one before has ended, and comes back to where that was.
    await openSearch(window, '');
    await window.page.keyboard.press('Escape');
    await activeTab(window, 'worker_00042.rs');
    await noTab(window, 'worker_00310.rs');
    await window.page.setViewportSize(size);
  });

  test('regular expression, case, words and globs are toggled by keys, and remembered', async () => {
    await openSearch(window, 'WORKER 10[01]\\b');
    await window.rows().filter({ hasText: 'Nothing found' }).waitFor({ timeout: TIMEOUT_MS });
    await window.page.keyboard.press('Alt+r');
    await window.waitForTitle('6 results in 2 files');
    await window.page.keyboard.press('Alt+c');
    await window.rows().filter({ hasText: 'Nothing found' }).waitFor({ timeout: TIMEOUT_MS });
    await window.page.keyboard.press('Alt+c');
    await window.page.keyboard.press('Alt+g');
    await window.waitForTitle('Files to Search');
    // Keys of the search count for nothing here, and a click elsewhere doesn't end it.
    await window.page.keyboard.press('Alt+r');
    await window.page.keyboard.press('Alt+k');
    await window.page.locator('.editor-instance').first().click({ timeout: TIMEOUT_MS });
    await window.page.locator('.quick-input-widget input[type=text]').click({ timeout: TIMEOUT_MS });
    await window.waitForTitle('Files to Search');
    await window.type('src/part_001, !*_00101.rs');
    await window.page.keyboard.press('Enter');
    await window.waitForTitle('3 results in 1 file');
    await window.page.keyboard.press('Escape');
    await openSearch(window, 'worker [0-9]+ of');
    await window.waitForTitle('99 results in 99 files');
    await window.shot('search-options');
    await window.page.keyboard.press('Alt+g');
    await window.waitForTitle('Files to Search');
    await window.type('');
    await window.page.keyboard.press('Enter');
    await window.waitForTitle('500 results in 500 files; there are more');
    await window.page.keyboard.press('Alt+r');
    await window.page.keyboard.press('Escape');
  });

  test('results are kept in the view, and opened in a search editor', async () => {
    await openSearch(window, 'worker 200');
    await window.waitForTitle('33 results in 11 files');
    await window.page.keyboard.press('Alt+k');
    const view = window.page.locator('.pane', { hasText: 'Search Results' });
    await view.locator('.message', { hasText: '33 results in 11 files' }).waitFor({ timeout: TIMEOUT_MS });
    const row = view.locator('.monaco-list-row', { hasText: 'worker_00200.rs' });
    await row.waitFor({ timeout: TIMEOUT_MS });
    await view.locator('.monaco-list-row', { hasText: 'Worker 200 of the pool' }).click();
    await activeTab(window, 'worker_00200.rs');
    await window.shot('results');
    // While a new search runs, nothing of the one before is there, and it is the new one that is asked anew.
    await openSearch(window, 'worker 100');
    await window.waitForTitle('33 results in 11 files');
    const engines = await rig.servers('daemon');
    engines.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    try {
      await window.page.keyboard.press('Alt+k');
      await view.locator('.message', { hasText: 'Searching' }).waitFor({ timeout: TIMEOUT_MS });
      await row.waitFor({ state: 'hidden', timeout: TIMEOUT_MS });
      await view.getByRole('button', { name: 'Search Again' }).click({ timeout: TIMEOUT_MS });
    } finally {
      engines.forEach((pid) => process.kill(pid, 'SIGCONT'));
    }
    await view.locator('.monaco-list-row', { hasText: 'worker_00100.rs' }).waitFor({ timeout: TIMEOUT_MS });
    await openSearch(window, 'worker 200');
    await window.waitForTitle('33 results in 11 files');
    await window.page.keyboard.press('Alt+Enter');
    await window.page.locator('.view-line', { hasText: 'src/part_002/worker_00200.rs:' }).waitFor({ timeout: TIMEOUT_MS });
    await window.page.locator('.view-line', { hasText: '33 results in 11 files' }).waitFor({ timeout: TIMEOUT_MS });
    await activeTab(window, 'Search: worker 200');
    await window.shot('search-editor');
    await closeTab(window);
    // Nothing is asked about saving, and no preview is left.
    await activeTab(window, 'worker_00200.rs');
    await noTab(window, 'worker_00000.rs');
  });

  test('pauses and resumes, and shows the queue', async () => {
    await window.command('Syncline: Pause');
    await window.waitForLabel(/Syncline: paused/);
    await window.status('Syncline: paused').waitFor({ timeout: TIMEOUT_MS });
    await writeFile(path.join(root, 'src/paused.rs'), '// written while paused\n');
    await window.page.locator('.monaco-list-row', { hasText: 'searches stay right' }).waitFor({ timeout: TIMEOUT_MS });
    await window.shot('paused');
    await window.command('Syncline: Resume');
    await window.waitForLabel(/Syncline: up to date/);
    await window.page.locator('.monaco-list-row', { hasText: 'Nothing waits' }).waitFor({ timeout: TIMEOUT_MS });
    await window.status('Syncline').click();
    await window.rows().filter({ hasText: 'Sync Now' }).waitFor({ timeout: TIMEOUT_MS });
    await window.shot('actions');
    await window.page.keyboard.press('Escape');
  });

  test('every row and button says what it is to those who see neither icons nor colours, and is reached by keys', async () => {
    const named = async (rows: string): Promise<string[]> =>
      await window.page
        .locator(rows)
        .evaluateAll((found) => found.map((row: { getAttribute(name: string): string | null }) => row.getAttribute('aria-label') ?? ''));
    await window.command('Syncline: Focus on Queue View');
    await window.page.keyboard.press('Home');
    await window.page.locator('.pane .monaco-list-row.focused', { hasText: 'workers' }).waitFor({ timeout: TIMEOUT_MS });
    const pane = '.pane:has(.pane-header[aria-label*="Queue"])';
    assert.match((await named(`${pane} .monaco-list-row`)).join(' | '), /^workers, .+ \| Nothing waits: .+ \| Last sync: .+ in .+$/);
    const buttons = await named(`${pane} .pane-header .action-label`);
    assert.ok(buttons.length > 0 && buttons.every((label) => label !== ''), buttons.join(' | '));
    const results = '.pane:has(.pane-header[aria-label*="Search Results"])';
    const found = await named(`${results} .monaco-list-row`);
    assert.ok(found.length > 0 && found.every((label) => /^(src\/.+, \d+ results?|line \d+: .+)$/.test(label)), found.join(' | '));
    await openSearch(window, 'worker 200');
    await window.waitForTitle('33 results in 11 files');
    for (const name of ['Match case (Alt+C)', 'Match whole word (Alt+W)', 'Use regular expression (Alt+R)']) {
      await window.page.locator('.quick-input-widget').getByRole('checkbox', { name }).waitFor({ timeout: TIMEOUT_MS });
    }
    await window.page.keyboard.press('Escape');
  });

  test('a shared engine that is killed comes back, unnoticed', async () => {
    await window.labels();
    const killed = await kill(rig, 'daemon');
    await writeFile(path.join(root, 'src/orphaned.rs'), '// written after the engine was killed\n');
    await openSearch(window, 'after the engine was killed');
    await window.rows().filter({ hasText: '// written after' }).first().waitFor({ timeout: TIMEOUT_MS });
    await window.page.keyboard.press('Escape');
    await window.waitForLabel(/Syncline: up to date/);
    const [engine, ...others] = await rig.servers('daemon');
    assert.ok(engine !== undefined && others.length === 0 && !killed.includes(engine), 'there is another engine');
    const said = await window.labels();
    assert.ok(!said.some((label) => /starting|error/.test(label)), said.join(' | '));
  });

  test('a server that is killed comes back', async () => {
    await window.restarts(async () => {
      await kill(rig, 'lsp');
    });
    await openSearch(window, 'freshly written');
    await window.rows().filter({ hasText: '// freshly written' }).first().waitFor({ timeout: TIMEOUT_MS });
    await window.page.keyboard.press('Escape');
  });

  test('a server that is killed together with the shared engine comes back', async () => {
    await window.restarts(async () => {
      await kill(rig, 'daemon');
      await kill(rig, 'lsp');
    });
    assert.equal((await rig.servers('daemon')).length, 1);
  });

  test('an index that can not be written is said, and heals', async () => {
    const indexes = path.join(rig.folder, 'home/cache/syncline');
    await rename(indexes, `${indexes}.away`);
    await writeFile(indexes, 'no folder');
    // The one that runs has its files open, and doesn't miss their folder.
    await kill(rig, 'daemon');
    await window.waitForLabel(/Syncline: degraded, idle\. Can't use the index folder/);
    await window.page.locator('.monaco-list-row', { hasText: "Can't use the index folder" }).waitFor({ timeout: TIMEOUT_MS });
    await window.waitForTooltip('free space, or set syncline.index.dir');
    await window.shot('degraded');
    await openSearch(window, 'freshly written');
    await window.rows().filter({ hasText: '// freshly written' }).first().waitFor({ timeout: TIMEOUT_MS });
    await window.page.keyboard.press('Escape');
    await rm(indexes);
    await rename(`${indexes}.away`, indexes);
    await window.waitForLabel(/Syncline: up to date/);
  });

  test('a server that is missing, too old, or none is said with what to do', async () => {
    const program = path.join(scratch, 'syncline');
    await rig.set({ 'syncline.server.path': program });
    const missing = window.notification('which the setting syncline.server.path names');
    // A window was seen to go on with the settings of before, also once it had been loaded anew.
    for (let said = '', loaded = 0; !said.includes('There is no file'); loaded++) {
      assert.ok(loaded < 5, `it has been loaded ${loaded} times, and says: ${said}`);
      await window.page.reload();
      await window.waitForLabel(/Syncline: (up to date|error\. There is no file)/);
      said = (await window.labels()).join(' | ');
    }
    await missing.waitFor({ timeout: TIMEOUT_MS });
    for (const name of ['Open Settings', 'How to Install', 'Retry']) {
      await missing.getByRole('button', { name }).waitFor({ timeout: TIMEOUT_MS });
    }
    await window.page.getByText('The Syncline server does not run.').waitFor({ timeout: TIMEOUT_MS });
    await window.shot('missing');

    await writeFile(program, '#!/bin/sh\necho "syncline 0.0.9 (0000000 2025-01-01)"\n', { mode: 0o755 });
    await missing.getByRole('button', { name: 'Retry' }).click();
    const old = window.notification('is too old: this extension needs 0.1.0 or newer');
    await old.waitFor({ timeout: TIMEOUT_MS });

    await writeFile(program, '#!/bin/sh\necho "something else 1.0"\n');
    await old.getByRole('button', { name: 'Retry' }).click();
    const other = window.notification('is not a Syncline server');
    await other.waitFor({ timeout: TIMEOUT_MS });

    const ending = '#!/bin/sh\n[ "$1" = --version ] && echo "syncline 9.0.0 (0000000 2030-01-01)"\n';
    await writeFile(program, ending);
    await other.getByRole('button', { name: 'Retry' }).click();
    const ends = window.notification('ends again and again');
    await ends.waitFor({ timeout: TIMEOUT_MS });

    await rm(program);
    await symlink(provided.server, program);
    await ends.getByRole('button', { name: 'Retry' }).click();
    await window.waitForLabel(/Syncline: up to date/);
  });

  test('the walkthrough ticks what was done: the server runs, a search, the queue was shown', async () => {
    await window.command('Syncline: How to Begin');
    await window.page.getByText('See that the server runs').first().waitFor({ timeout: TIMEOUT_MS });
    const done = (step: string): Promise<void> =>
      window.page.locator(`.getting-started-step[data-step-id$="#${step}"] .codicon.complete`).first().waitFor({ timeout: TIMEOUT_MS });
    await done('server');
    await openSearch(window, 'worker 200');
    await window.waitForTitle('33 results in 11 files');
    await window.page.keyboard.press('Escape');
    // The preview of a result may have taken its place; as it goes, the walkthrough takes the focus.
    await noTab(window, 'worker_00200.rs');
    await window.command('Syncline: Focus on Queue View');
    await window.command('Syncline: How to Begin');
    await done('search');
    await done('queue');
    await window.shot('walkthrough');
  });
});

async function activeTab(window: Window, name: string): Promise<void> {
  await window.page.locator('.tab.active', { hasText: name }).waitFor({ timeout: TIMEOUT_MS });
}

async function noTab(window: Window, name: string): Promise<void> {
  await window.page.locator('.tab', { hasText: name }).waitFor({ state: 'detached', timeout: TIMEOUT_MS });
}

async function closeTab(window: Window): Promise<void> {
  await window.page.locator('.tab.active').getByRole('button', { name: /^Close/ }).click({ timeout: TIMEOUT_MS });
}

/** Kills servers of the rig, and gives which. */
async function kill(rig: Rig, subcommand: 'lsp' | 'daemon'): Promise<number[]> {
  const servers = await rig.servers(subcommand);
  assert.ok(servers.length > 0, 'a server runs');
  for (const pid of servers) {
    process.kill(pid, 'SIGKILL');
  }
  return servers;
}

/** The id of the batch that was synced last. */
async function lastSync(rig: Rig, root: string): Promise<string | undefined> {
  const [state] = JSON.parse(await rig.syncline('queue', '--json', root)) as QueueState[];
  return state?.lastSync?.id;
}

async function openFile(window: Window, name: string): Promise<void> {
  await window.page.keyboard.press('Control+p');
  await window.type(name);
  await window.rows().filter({ hasText: name }).first().waitFor({ timeout: TIMEOUT_MS });
  await window.page.keyboard.press('Enter');
  await window.page.locator('.tab.active', { hasText: name }).waitFor({ timeout: TIMEOUT_MS });
  await window.page.locator('.editor-instance .view-line').first().click({ timeout: TIMEOUT_MS });
}

/** Opens the search and types into it. Results of what it opens with are gone then. */
async function openSearch(window: Window, text: string): Promise<void> {
  // One that is closing still gives the focus back, which may close this one.
  await window.page.locator('.quick-input-widget').waitFor({ state: 'hidden', timeout: TIMEOUT_MS });
  await window.page.keyboard.press('Control+Alt+f');
  await window.waitForTitle('Search Text');
  await window.type('');
  await window.page.locator('.quick-input-title').getByText('Search Text', { exact: true }).waitFor({ timeout: TIMEOUT_MS });
  await window.rows().first().waitFor({ state: 'hidden', timeout: TIMEOUT_MS });
  await window.page.keyboard.type(text);
}
