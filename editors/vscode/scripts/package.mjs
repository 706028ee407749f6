// Makes a vsix: node scripts/package.mjs --out FILE [--server PROGRAM --target PLATFORM]
//
// The files are gathered in a folder of their own, so that the working tree stays as it is. With a server, the package
// is for one platform (such as linux-x64) and has the program inside; without, it finds the one on PATH.
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { createVSIX } from '@vscode/vsce';

const { values } = parseArgs({
  options: { out: { type: 'string' }, server: { type: 'string' }, target: { type: 'string' } },
});
if (values.out === undefined || (values.server === undefined) !== (values.target === undefined)) {
  console.error('usage: node scripts/package.mjs --out FILE [--server PROGRAM --target PLATFORM]');
  process.exit(2);
}
const here = path.resolve(import.meta.dirname, '..');
const root = path.resolve(here, '../..');
const stage = mkdtempSync(path.join(tmpdir(), 'syncline-vsix-'));
try {
  const parts = ['dist', 'images', 'media', 'l10n', 'package.json', 'package.nls.json'];
  for (const part of [...parts, 'README.md', 'CHANGELOG.md', '.vscodeignore']) {
    cpSync(path.join(here, part), path.join(stage, part), { recursive: true });
  }
  for (const license of ['LICENSE-MIT', 'LICENSE-APACHE']) {
    copyFileSync(path.join(root, license), path.join(stage, license));
  }
  if (values.server !== undefined) {
    const name = values.target.startsWith('win32') ? 'syncline.exe' : 'syncline';
    mkdirSync(path.join(stage, 'server'));
    copyFileSync(values.server, path.join(stage, 'server', name));
    chmodSync(path.join(stage, 'server', name), 0o755);
  }
  const packagePath = path.resolve(values.out);
  await createVSIX({
    cwd: stage,
    packagePath,
    dependencies: false,
    allowMissingRepository: true,
    skipLicense: true,
    // Images are in the package; there is no address to point at instead.
    rewriteRelativeLinks: false,
    ...(values.target === undefined ? {} : { target: values.target }),
  });
  console.log(`${path.basename(packagePath)}: ${(statSync(packagePath).size / 1e6).toFixed(1)} MB`);
} finally {
  rmSync(stage, { recursive: true });
}
