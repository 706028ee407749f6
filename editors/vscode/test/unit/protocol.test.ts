/** The types of our messages are those of `editors/PROTOCOL.md`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';

import { methods, PROTOCOL, serverCommands, WORDS } from '../../src/ext.ts';

const here = path.resolve(import.meta.dirname, '../..');
const page = readFileSync(path.join(here, '../PROTOCOL.md'), 'utf8');

/** The samples of the page: a name and JSON. */
function samples(): { name: string; json: string }[] {
  return [...page.matchAll(/^```json (\w+)\n(.*?)^```$/gms)].map(([, name = '', json = '']) => ({ name, json }));
}

test('each sample of the page is of the type of its name, with every field', () => {
  const types = samples().filter(({ name }) => name !== 'words');
  assert.ok(types.length >= 6, 'the samples are found');
  const checks = types.map(({ name, json }, i) => `export const sample${i}: Whole<ext.${name}> = ${json};`).join('\n');
  // Fields that may be left out are in the samples too, so that none is missing here.
  const source = `import type * as ext from './ext.ts';
    type Whole<T> = T extends object ? { [K in keyof T]-?: Whole<T[K]> } : T;\n${checks}`;
  assert.deepEqual(problems(source), []);
  assert.notDeepEqual(problems(source.replace('"generation"', '"generations"')), [], 'a difference is noticed');
});

test('the words that fields take are those of the page', () => {
  const words = samples().find(({ name }) => name === 'words');
  assert.ok(words);
  assert.deepEqual(JSON.parse(words.json), WORDS);
});

test('the methods, commands and version are those of the page', () => {
  for (const method of Object.values(methods)) {
    assert.ok(page.includes(`\`${method}\``), method);
  }
  for (const command of Object.values(serverCommands)) {
    assert.ok(page.includes(`| \`${command}\` |`), command);
  }
  assert.ok(page.includes(`"protocol": ${PROTOCOL} `), String(PROTOCOL));
});

/** What the compiler says of a file beside `src/ext.ts`. */
function problems(source: string): string[] {
  const file = path.join(here, 'src/samples.test.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, target) =>
    name === file ? ts.createSourceFile(name, source, target, true) : read(name, target);
  const program = ts.createProgram([file], options, host);
  const found = ts.getPreEmitDiagnostics(program);
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}
