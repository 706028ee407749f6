/** Runs `test/host` inside the extension host of a real VS Code, which loads the extension from this folder. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';

import { provided, Rig } from './rig.ts';

const HOST_TIME_MS = 120_000;

test('in the extension host', async () => {
  const scratch = await mkdtemp(path.join(tmpdir(), 'syncline-host-'));
  const workspace = await makeWorkspace(scratch);
  const extension = path.resolve(import.meta.dirname, '../..');
  const bundle = path.join(scratch, 'tests.js');
  await build({
    entryPoints: [path.join(extension, 'test/host/main.ts')],
    outfile: bundle,
    bundle: true,
    external: ['vscode'],
    format: 'cjs',
    platform: 'node',
    logLevel: 'warning',
  });
  const rig = await Rig.start({ vsix: false, path: path.dirname(provided.server) });
  try {
    const page = await rig.page();
    // A workbench that is served as built runs such tests only when its configuration allows it.
    await page.addInitScript(allowTests);
    const code = await new Promise<number>((resolve, reject) => {
      const start = async (): Promise<void> => {
        await page.exposeFunction('codeAutomationExit', resolve);
        await page.exposeFunction('codeAutomationLog', (_type: string, said: unknown[]) => {
          // The host says much else.
          if (typeof said[0] === 'string' && /^(ok|FAILED|\d+ passed)/.test(said[0])) {
            console.log(...said);
          }
        });
        const remote = (file: string): string => `vscode-remote://127.0.0.1:${rig.port}${file}`;
        const payload = JSON.stringify([
          ['extensionDevelopmentPath', remote(extension)],
          ['extensionTestsPath', remote(bundle)],
        ]);
        const query = `workspace=${encodeURIComponent(workspace)}&payload=${encodeURIComponent(payload)}`;
        await page.goto(`http://127.0.0.1:${rig.port}/?${query}`, { waitUntil: 'domcontentloaded' });
      };
      start().catch(reject);
      setTimeout(() => {
        reject(new Error(`the tests were not done within ${HOST_TIME_MS / 1000} s`));
      }, HOST_TIME_MS).unref();
    });
    assert.equal(code, 0, 'see above');
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

/** Runs in the page. */
function allowTests(): void {
  interface Tag {
    id: string;
  }
  const { Element } = globalThis as unknown as {
    Element: { prototype: { getAttribute(this: Tag, name: string): string | null } };
  };
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with its element below
  const own = Element.prototype.getAttribute;
  Element.prototype.getAttribute = function (this: Tag, name: string) {
    const value = own.call(this, name);
    if (name !== 'data-settings' || this.id !== 'vscode-workbench-web-configuration' || value === null) {
      return value;
    }
    const settings = JSON.parse(value) as { developmentOptions?: object };
    settings.developmentOptions = { ...settings.developmentOptions, enableSmokeTestDriver: true };
    return JSON.stringify(settings);
  };
}
