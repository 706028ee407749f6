// Bundles the extension into dist/extension.js, and what it loads when a server starts into dist/client.js: the language
// client is most of the code, and VS Code waits for none of it. `--watch` keeps bundling, `--dev` leaves it readable.
import { context } from 'esbuild';

const flags = new Set(process.argv.slice(2));
/** @type {import('esbuild').Plugin} */
const later = {
  name: 'later',
  setup: (build) => {
    build.onResolve({ filter: /^\.\/client\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './client.js', external: true } : undefined,
    );
  },
};
const bundle = await context({
  entryPoints: ['src/extension.ts', 'src/client.ts'],
  outdir: 'dist',
  plugins: [later],
  // VS Code hands out its API to what is required.
  supported: { 'dynamic-import': false },
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
