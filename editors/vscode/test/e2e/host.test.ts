/** Runs `test/host/main.ts` inside the extension host of a real VS Code, which loads the extension from this folder. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';

import { bundleForHost, runInHost } from './host.ts';
import { provided, Rig } from './rig.ts';

test('in the extension host', async () => {
  const scratch = await mkdtemp(path.join(tmpdir(), 'syncline-host-'));
  const workspace = await makeWorkspace(scratch);
  const bundle = path.join(scratch, 'tests.js');
  await bundleForHost('main.ts', bundle);
  const rig = await Rig.start({ vsix: false, path: path.dirname(provided.server) });
  try {
    const extension = path.resolve(import.meta.dirname, '../..');
    const say = (line: string): void => {
      // The host says much else.
      if (/^(ok|FAILED|\d+ passed)/.test(line)) {
        console.log(line);
      }
    };
    const { page, code } = await runInHost(rig, { workspace, extension, bundle, say });
    assert.equal(await code, 0, 'see above');
    await page.goto('about:blank');
  } finally {
    await rig.stop();
    await rm(scratch, { recursive: true, force: true });
  }
});

/** Two folders and a third beside them; a file of two names what is left out. */
async function makeWorkspace(scratch: string): Promise<string> {
  const files: Record<string, string> = {
    'one/a.txt': 'the needle one\n',
    'one/code.rs': 'pub struct Finder;\nimpl Finder {\n    pub fn find_thing(&self) {}\n}\n',
    'one/lines.txt': 'a line\n'.repeat(100),
    'two/b.txt': 'the needle two\n',
    'two/c.log': 'in a log\n',
    'two/d.log': 'in a log\n',
    'two/.syncline.toml': 'index.exclude = ["c.log"]\n',
    'three/c.txt': 'the needle three\n',
    'tests.code-workspace': JSON.stringify({ folders: [{ path: 'one' }, { path: 'two' }] }),
  };
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(scratch, name)), { recursive: true });
    await writeFile(path.join(scratch, name), content);
  }
  return path.join(scratch, 'tests.code-workspace');
}
