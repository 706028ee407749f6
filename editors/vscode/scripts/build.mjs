// Bundles the extension into dist/extension.js; `--watch` keeps doing so, `--dev` leaves it readable.
import { context } from 'esbuild';

const flags = new Set(process.argv.slice(2));
const bundle = await context({
  entryPoints: ['src/extension.ts'],
  outfile: 'dist/extension.js',
  bundle: true,
  external: ['vscode'],
  format: 'cjs',
  platform: 'node',
  // The extension host of the oldest VS Code we support runs Node 22.
  target: 'node22',
  minify: !flags.has('--dev'),
  sourcemap: flags.has('--dev'),
  logLevel: 'warning',
});
if (flags.has('--watch')) {
  await bundle.watch();
} else {
  await bundle.rebuild();
  await bundle.dispose();
}
