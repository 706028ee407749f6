/**
 * Takes the pictures of the README anew: `cargo xtask test` says how its environment is set, and
 * `node test/e2e/pictures.ts` then writes into `images`. Look at each before committing it.
 */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import { TIMEOUT_MS, Rig, until } from './rig.ts';

const images = path.resolve(import.meta.dirname, '../../images');
const project = path.resolve(import.meta.dirname, '../../../..');
const scratch = await mkdtemp(path.join(tmpdir(), 'syncline-pictures-'));
const root = path.join(scratch, 'syncline');
await mkdir(path.join(root, '.git'), { recursive: true });
// What is committed and nothing else: no build, no packages.
for (const file of execFileSync('git', ['ls-files', 'src', 'tests'], { cwd: project, encoding: 'utf8' }).split('\n')) {
  if (file !== '') {
    await cp(path.join(project, file), path.join(root, file));
  }
}
const rig = await Rig.start({ settings: { 'workbench.colorTheme': 'Default Dark Modern' } });
try {
  const window = await rig.open(root);
  const { page } = window;
  await page.setViewportSize({ width: 1100, height: 640 });
  await window.waitForLabel(/Syncline: up to date/);

  await page.keyboard.press('Control+p');
  await window.type('manager.rs');
  await window.rows().filter({ hasText: 'manager.rs' }).first().waitFor({ timeout: TIMEOUT_MS });
  await page.keyboard.press('Enter');
  await page.locator('.tab.active', { hasText: 'manager.rs' }).waitFor({ timeout: TIMEOUT_MS });
  await page.keyboard.press('Control+Alt+f');
  await window.waitForTitle('Search Text');
  await window.type('queuestate');
  await window.waitForTitle('results in');
  await window.rows().filter({ hasText: 'presence.rs' }).first().waitFor({ timeout: TIMEOUT_MS });
  await until('the second file is previewed', async () => {
    await page.keyboard.press('ArrowDown');
    await page.waitForTimeout(300);
    return await page.locator('.tab.active', { hasText: 'presence.rs' }).isVisible();
  });
  await window.shot('search', images);

  await page.keyboard.press('Alt+k');
  const results = page.locator('.pane', { hasText: 'Search Results' });
  await results.locator('.message', { hasText: 'results in' }).waitFor({ timeout: TIMEOUT_MS });
  await results.locator('.monaco-list-row').nth(1).click();
  await window.shot('results', images);

  await page.keyboard.press('F1');
  await window.type('>Syncline: Sync Now');
  await page.keyboard.press('Enter');
  await page.locator('.monaco-list-row', { hasText: 'Last sync' }).waitFor({ timeout: TIMEOUT_MS });
  await window.waitForTooltip('Files:');
  await window.shot('queue', images);
  await window.close();
} finally {
  await rig.stop();
  await rm(scratch, { recursive: true });
}
