/** A folder that nobody has said to trust, with settings that would start a program of its own. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';

import { TIMEOUT_MS, Rig } from './rig.ts';

test('an untrusted folder starts nothing that its settings name, and is searched', async () => {
  const scratch = await mkdtemp(path.join(tmpdir(), 'syncline-untrusted-'));
  const root = path.join(scratch, 'stranger');
  const marks = path.join(scratch, 'marks');
  const program = path.join(root, 'syncline');
  await mkdir(path.join(root, '.vscode'), { recursive: true });
  await mkdir(marks);
  await writeFile(program, `#!/bin/sh\ntouch ${marks}/started\necho 'syncline 9.0.0'\n`);
  await chmod(program, 0o755);
  await writeFile(path.join(root, 'notes.txt'), 'a stranger has written this\n');
  const settings = {
    'syncline.server.path': program,
    'syncline.queue.redisUrl': 'redis://127.0.0.1:1',
    'syncline.index.dir': `${marks}/index`,
    'syncline.log.file': `${marks}/log`,
  };
  await writeFile(path.join(root, '.vscode/settings.json'), JSON.stringify(settings));
  const rig = await Rig.start({ trust: true, path: '.' });
  try {
    const window = await rig.open(root);
    await window.page.locator('.statusbar-item', { hasText: 'Restricted Mode' }).waitFor({ timeout: TIMEOUT_MS });
    await window.waitForLabel(/Syncline: up to date/);
    await window.page.keyboard.press('Control+Alt+f');
    await window.type('stranger has');
    await window.rows().filter({ hasText: 'a stranger has written this' }).first().waitFor({ timeout: TIMEOUT_MS });
    await window.shot('untrusted');
    await window.close();
    assert.deepEqual(await readdir(marks), [], 'nothing was started, and nothing written where the folder says');
  } finally {
    await rig.stop();
    await rm(scratch, { recursive: true });
  }
});
