/** package.json agrees with the code, the table of settings in docs, and the texts. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { getL10nJson } from '@vscode/l10n-dev';

import { MACHINE_SETTINGS, SERVER_SETTINGS } from '../../src/settings.ts';

interface Setting {
  scope: string;
  default: unknown;
  markdownDescription: string;
  enum?: (string | null)[];
  enumDescriptions?: string[];
  minimum?: number;
  maximum?: number;
}

interface Manifest {
  version: string;
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
  contributes: {
    configuration: { properties: Record<string, Setting> }[];
    commands: { command: string }[];
    menus: Record<string, { command: string }[]>;
    keybindings: { command: string }[];
    languageModelTools: { name: string; inputSchema: { properties: Record<string, unknown> } }[];
  };
}

const here = path.resolve(import.meta.dirname, '../..');
const text = readFileSync(path.join(here, 'package.json'), 'utf8');
const manifest = JSON.parse(text) as Manifest;
const settings = Object.assign({}, ...manifest.contributes.configuration.map((part) => part.properties)) as Record<
  string,
  Setting
>;

test('the settings are those of docs/settings.md, spelled as editors do', () => {
  const documented = readFileSync(path.join(here, '../../docs/settings.md'), 'utf8');
  const rows = [...documented.matchAll(/^\| (`[a-z_.`, ]+`) \|.*\| (yes|no)(?:, [^|]*)? \|$/gm)];
  const table = new Map(
    rows.flatMap(([, keys = '', byRepository]) =>
      [...keys.matchAll(/`([a-z_.]+)`/g)].map(([, key = '']): [string, boolean] => [
        key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
        byRepository === 'yes',
      ]),
    ),
  );
  assert.deepEqual([...SERVER_SETTINGS].sort(), [...table.keys()].sort());
  for (const [key, byRepository] of table) {
    assert.equal(MACHINE_SETTINGS.has(key), !byRepository, `${key}: a workspace may set what a repository may`);
  }
});

test('every setting has a scope and a description; those of the machine are restricted', () => {
  const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
  for (const key of [...SERVER_SETTINGS, 'server.path']) {
    const setting = settings[`syncline.${key}`];
    assert.ok(setting, `${key} is contributed`);
    assert.equal(setting.default, null, `${key}: a default here would win over the user's file`);
    assert.equal(setting.scope, MACHINE_SETTINGS.has(key) ? 'machine' : 'window', key);
    if (MACHINE_SETTINGS.has(key)) {
      assert.ok(restricted.includes(`syncline.${key}`), `${key} is restricted`);
    }
  }
  for (const [key, setting] of Object.entries(settings)) {
    assert.ok(setting.markdownDescription, key);
    assert.equal(setting.enum?.length, setting.enumDescriptions?.length, `${key}: each choice is described`);
  }
});

test('every command that is named is contributed', () => {
  const { commands, menus, keybindings } = manifest.contributes;
  const known = new Set(commands.map(({ command }) => command));
  const named = [...Object.values(menus).flat(), ...keybindings].map(({ command }) => command);
  assert.deepEqual(
    named.filter((command) => !known.has(command)),
    [],
  );
});

test('every text of package.json is there, and none is left over', () => {
  const named = [...new Set([...text.matchAll(/"%([^%"]+)%"/g)].map(([, key]) => key))].sort();
  const texts = JSON.parse(readFileSync(path.join(here, 'package.nls.json'), 'utf8')) as object;
  assert.deepEqual(named, Object.keys(texts).sort());
});

test('the strings for translators are those of the code', async () => {
  const folders = [path.join(here, 'src'), path.join(here, 'src/search')];
  const files = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => path.join(folder, name)),
  );
  const sources = files.map((file) => ({ extension: '.ts' as const, contents: readFileSync(file, 'utf8') }));
  const bundle: unknown = JSON.parse(readFileSync(path.join(here, 'l10n/bundle.l10n.json'), 'utf8'));
  assert.deepEqual(await getL10nJson(sources), bundle, 'run `npm run l10n`');
});

test('the version is that of the server', () => {
  const cargo = readFileSync(path.join(here, '../../Cargo.toml'), 'utf8');
  assert.equal(/^version = "(.*)"$/m.exec(cargo)?.[1], manifest.version);
});
