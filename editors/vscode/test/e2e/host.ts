/** Runs a bundle of ours inside the extension host. */
import * as path from 'node:path';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';

import type { Rig } from './rig.ts';

const HOST_TIME_MS = 120_000;

/** Bundles `source` of `test/host` into `bundle`. */
export async function bundleForHost(source: string, bundle: string): Promise<void> {
  await build({
    entryPoints: [path.resolve(import.meta.dirname, '../host', source)],
    outfile: bundle,
    bundle: true,
    external: ['vscode'],
    format: 'cjs',
    platform: 'node',
    logLevel: 'warning',
  });
}

/**
 * Opens a workspace with the extension in folder `extension`, and has its host run `bundle`. Gives the page and the
 * exit code to come. What the bundle prints is handed to `say`.
 */
export async function runInHost(
  rig: Rig,
  options: { workspace: string; extension: string; bundle: string; say: (line: string) => void },
): Promise<{ page: Page; code: Promise<number> }> {
  const page = await rig.page();
  // A workbench that is served as built runs such bundles only when its configuration allows it.
  await page.addInitScript(allowTests);
  const { promise: code, resolve, reject } = Promise.withResolvers<number>();
  setTimeout(() => {
    reject(new Error(`not done within ${HOST_TIME_MS / 1000} s`));
  }, HOST_TIME_MS).unref();
  await page.exposeFunction('codeAutomationExit', resolve);
  await page.exposeFunction('codeAutomationLog', (_type: string, said: unknown[]) => {
    if (typeof said[0] === 'string') {
      options.say(said[0]);
    }
  });
  const remote = (file: string): string => `vscode-remote://127.0.0.1:${rig.port}${file}`;
  const payload = JSON.stringify([
    ['extensionDevelopmentPath', remote(options.extension)],
    ['extensionTestsPath', remote(options.bundle)],
  ]);
  const kind = options.workspace.endsWith('.code-workspace') ? 'workspace' : 'folder';
  const query = `${kind}=${encodeURIComponent(options.workspace)}&payload=${encodeURIComponent(payload)}`;
  await page.goto(`http://127.0.0.1:${rig.port}/?${query}`, { waitUntil: 'domcontentloaded' });
  return { page, code };
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
