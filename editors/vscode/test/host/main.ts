/** Tests inside the extension host, with VS Code's own API. VS Code calls them; see `test/e2e/host.test.ts`. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';

import type { Api } from '../../src/extension.ts';
import { searchTextTool } from '../../src/languageModel.ts';

const TIMEOUT_MS = 30_000;

/** The workspace has two folders, `one` and `two`; see the other side. */
const tests: Record<string, () => Promise<void>> = {
  'is active once the window is up': async () => {
    await until('it is active', () => extension().isActive);
  },

  'opens the codebases of all folders, in their order': async () => {
    const { server } = api();
    await until('two codebases are up to date', () => server.states.filter((state) => state.index.fresh).length === 2);
    assert.deepEqual(
      server.states.map((state) => state.codebase.name),
      ['one', 'two'],
    );
    assert.deepEqual(server.status, { ...server.status, kind: 'running', source: 'path' });
  },

  'registers every command that it contributes': async () => {
    const known = new Set(await vscode.commands.getCommands(true));
    const contributed = manifest().contributes.commands.map(({ command }) => command);
    assert.deepEqual(
      contributed.filter((command) => !known.has(command)),
      [],
    );
  },

  'a search of all folders finds saved and unsaved text': async () => {
    const document = await vscode.workspace.openTextDocument(fileOf('one', 'a.txt'));
    const edit = new vscode.WorkspaceEdit();
    edit.insert(document.uri, new vscode.Position(0, 0), 'needle unsaved ✂ 😀 needle\n');
    assert.ok(await vscode.workspace.applyEdit(edit));
    const found = await search('needle');
    assert.deepEqual(found, ['a.txt:1:0', 'a.txt:1:20', 'a.txt:2:4', 'b.txt:1:4'], 'columns are in UTF-16 units');
    await until('it is as it was saved', async () => {
      // What the command is about, the active editor, may be another a moment later.
      await vscode.window.showTextDocument(document);
      await vscode.commands.executeCommand('workbench.action.files.revert');
      return !document.isDirty;
    });
    assert.deepEqual(await search('needle'), ['a.txt:1:4', 'b.txt:1:4']);
  },

  'a search that is aborted rejects, and a wrong one says what is wrong': async () => {
    const { server } = api();
    const aborted = new AbortController();
    const search = server.search({ query: 'e' }, () => undefined, aborted.signal);
    aborted.abort();
    await assert.rejects(search);
    const wrong = server.search({ query: '(', isRegex: true }, () => undefined, new AbortController().signal);
    await assert.rejects(wrong, /regex|parenthes|group/i);
  },

  'a folder that is added is opened, and one that is removed is closed': async () => {
    const { server } = api();
    const three = vscode.Uri.file(path.join(path.dirname(folder('one').uri.fsPath), 'three'));
    const names = (): string => server.states.map((state) => state.codebase.name).join(' ');
    assert.ok(vscode.workspace.updateWorkspaceFolders(2, 0, { uri: three }));
    await until('three codebases are open', () => names() === 'one two three');
    await until('the third is searched', async () => (await search('needle')).includes('c.txt:1:4'));
    assert.ok(vscode.workspace.updateWorkspaceFolders(2, 1));
    await until('two codebases are open', () => names() === 'one two');
  },

  'pause and resume act on the codebase they are asked for': async () => {
    const { server } = api();
    const phases = (): string => server.states.map((state) => state.phase).join(' ');
    await vscode.commands.executeCommand('syncline.pauseSync', { state: server.states[1] });
    await until('the second is paused', () => phases() === 'idle paused');
    await writeFile(fileOf('two', 'new.txt').fsPath, 'written while paused\n');
    assert.deepEqual(await search('written while paused'), ['new.txt:1:0'], 'answers stay right');
    await vscode.commands.executeCommand('syncline.resumeSync', { state: server.states[1] });
    await until('it goes on', () => phases() === 'idle idle');
    await vscode.commands.executeCommand('syncline.syncNow');
    assert.ok(server.states.every((state) => state.lastSync?.outcome === 'synced'));
  },

  'settings that somebody has set reach the server, and defaults do not': async () => {
    const { server } = api();
    // The file of folder `two` leaves c*.log out; a default of ours would win over it.
    assert.deepEqual(await search('in a log'), ['d.log:1:0']);
    const settings = vscode.workspace.getConfiguration('syncline');
    await settings.update('index.exclude', ['d.log'], vscode.ConfigurationTarget.Global);
    await server.restart();
    await until('it is started anew', () => server.states.filter((state) => state.index.fresh).length === 2);
    assert.deepEqual(await search('in a log'), ['c.log:1:0'], 'the setting wins over the file');
    await settings.update('index.exclude', undefined, vscode.ConfigurationTarget.Global);
    await server.restart();
  },

  'a command is about the row it is asked on, also when folders share an id': async () => {
    const { server } = api();
    const settings = vscode.workspace.getConfiguration('syncline');
    await settings.update('queue.codebase', 'shared', vscode.ConfigurationTarget.Global);
    await server.restart();
    await until('it is started anew', () => server.states.filter((state) => state.index.fresh).length === 2);
    assert.deepEqual(server.states.map((state) => state.codebase.id), ['shared', 'shared']);
    const phases = (): string => server.states.map((state) => state.phase).join(' ');
    await until('the queues are empty', () => phases() === 'idle idle');
    await vscode.commands.executeCommand('syncline.pauseSync', { state: server.states[1] });
    await until('the second is paused', () => phases() === 'idle paused');
    await vscode.commands.executeCommand('syncline.resumeSync', { state: server.states[1] });
    await until('it goes on', () => phases() === 'idle idle');
    await settings.update('queue.codebase', undefined, vscode.ConfigurationTarget.Global);
    await server.restart();
  },

  'a workspace can not name a program or a host': async () => {
    const settings = vscode.workspace.getConfiguration('syncline');
    for (const key of ['server.path', 'queue.redisUrl', 'index.dir', 'log.file']) {
      await assert.rejects(
        Promise.resolve(settings.update(key, '/tmp/elsewhere', vscode.ConfigurationTarget.Workspace)),
        /only be configured|machine|User settings|Workspace Settings/i,
        key,
      );
    }
  },

  'tools for assistants are there, and answer within bounds': async () => {
    const names = vscode.lm.tools.map((tool) => tool.name).filter((name) => name.startsWith('syncline_'));
    assert.deepEqual(names.sort(), ['syncline_index_status', 'syncline_search_symbols', 'syncline_search_text']);
    await until('it runs', () => api().server.states.filter((state) => state.index.fresh).length === 2);
    assert.match(await invoke('syncline_search_text', { query: 'needle' }), /^one • a\.txt:1: the needle one\ntwo • b\.txt:1: /);
    const many = await invoke('syncline_search_text', { query: 'line', maxResults: 3 });
    assert.equal(many.split('\n').length, 4, many);
    assert.match(many, /There are more results/);
    assert.equal(
      await invoke('syncline_search_symbols', { query: 'find_thing' }),
      'method find_thing (in Finder) one • code.rs:3',
    );
    assert.match(await invoke('syncline_index_status', {}), /^one: idle; \d+ files/);
    await assert.rejects(invoke('syncline_search_text', { query: '(', isRegex: true }), /regex|parenthes|group/i);
  },

  'a tool asks before it runs, and shows what a model wrote as text': async () => {
    const tool = searchTextTool(api().server);
    const cancel = new vscode.CancellationTokenSource();
    const input = { query: '[click](command:evil) `$(x)`' };
    const prepared = await tool.prepareInvocation?.({ input }, cancel.token);
    const message = prepared?.confirmationMessages?.message;
    assert.ok(message instanceof vscode.MarkdownString);
    assert.match(message.value, /```text\n\[click\]\(command:evil\)/, 'it stands in a block of code');
    assert.ok(!message.isTrusted);
    cancel.dispose();
  },
};

export async function run(): Promise<void> {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log(`ok ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
  if (failed > 0) {
    throw new Error(`${failed} tests failed`);
  }
}

function extension(): vscode.Extension<Api> {
  const found = vscode.extensions.getExtension<Api>('syncline.syncline');
  assert.ok(found, 'the extension is not there');
  return found;
}

function api(): Api {
  return extension().exports;
}

function manifest(): { contributes: { commands: { command: string }[] } } {
  return extension().packageJSON as { contributes: { commands: { command: string }[] } };
}

function folder(name: string): vscode.WorkspaceFolder {
  const found = vscode.workspace.workspaceFolders?.find((folder) => folder.name === name);
  assert.ok(found, `there is no folder ${name}`);
  return found;
}

function fileOf(name: string, file: string): vscode.Uri {
  return vscode.Uri.joinPath(folder(name).uri, file);
}

/** Matches as `file:line:column`, lines from 1, columns from 0. */
async function search(query: string): Promise<string[]> {
  const found: string[] = [];
  await api().server.search(
    { query },
    (matches) => {
      for (const { uri, range } of matches) {
        found.push(`${path.basename(uri)}:${range.start.line + 1}:${range.start.character}`);
      }
    },
    new AbortController().signal,
  );
  return found;
}

async function invoke(name: string, input: object): Promise<string> {
  const result = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined });
  return result.content.map((part) => (part instanceof vscode.LanguageModelTextPart ? part.value : '')).join('');
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (!(await isSo())) {
    if (Date.now() > deadline) {
      throw new Error(`not so within ${TIMEOUT_MS / 1000} s: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
