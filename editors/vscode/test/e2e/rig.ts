/**
 * A real VS Code to test in: code-server on a free port of this machine, with a home and settings of its own, and a
 * Chromium that shows it. Nothing outlives {@link Rig.stop}.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';

/** How long a state may take to come. Generous: it is only reached when something is broken. */
export const TIMEOUT_MS = 20_000;

/** What the test run provides; see `cargo xtask test`. */
export const provided = {
  codeServer: environment('SYNCLINE_TEST_CODE_SERVER'),
  chromium: environment('SYNCLINE_TEST_CHROMIUM'),
  server: environment('SYNCLINE_BIN'),
  vsix: environment('SYNCLINE_TEST_VSIX'),
  redis: environment('SYNCLINE_TEST_REDIS'),
  /** Where pictures of what is on the screen go. */
  shots: environment('SYNCLINE_TEST_SHOTS'),
};

/** Settings that keep everything quiet which isn't ours. */
const QUIET = {
  'workbench.startupEditor': 'none',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'update.showReleaseNotes': false,
  'extensions.autoUpdate': 'off',
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'typescript.disableAutomaticTypeAcquisition': true,
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'editor.minimap.enabled': false,
  'workbench.reduceMotion': 'on',
};

export interface Options {
  /** Ask for trust in a folder, as VS Code does by default. */
  trust?: boolean;
  /** Install the extension from its vsix. */
  vsix?: boolean;
  /** A folder that the user's profile puts on PATH. */
  path?: string;
  settings?: Record<string, unknown>;
}

export class Rig {
  readonly folder: string;
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #browser: Browser;
  readonly #settings: Record<string, unknown>;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(
    folder: string,
    port: number,
    process: ChildProcess,
    browser: Browser,
    settings: Record<string, unknown>,
    environment: NodeJS.ProcessEnv,
  ) {
    this.#environment = environment;
    this.folder = folder;
    this.port = port;
    this.#process = process;
    this.#browser = browser;
    this.#settings = settings;
  }

  static async start(options: Options = {}): Promise<Rig> {
    const folder = await mkdtemp(path.join(tmpdir(), 'syncline-vscode-'));
    const settings = { ...QUIET, 'security.workspace.trust.enabled': options.trust === true, ...options.settings };
    await mkdir(path.join(folder, 'data/User'), { recursive: true });
    await writeSettings(folder, settings);
    const env = {
      ...process.env,
      HOME: path.join(folder, 'home'),
      XDG_CONFIG_HOME: path.join(folder, 'home/config'),
      XDG_CACHE_HOME: path.join(folder, 'home/cache'),
      XDG_DATA_HOME: path.join(folder, 'home/share'),
      XDG_STATE_HOME: path.join(folder, 'home/state'),
      XDG_RUNTIME_DIR: path.join(folder, 'run'),
      EXTENSIONS_GALLERY: '{"serviceUrl":"","itemUrl":""}',
    };
    await mkdir(env.HOME, { recursive: true });
    await mkdir(env.XDG_RUNTIME_DIR, { mode: 0o700 });
    if (options.path !== undefined) {
      // VS Code asks the user's shell for its environment.
      await writeFile(path.join(env.HOME, '.profile'), `PATH="${options.path}:$PATH"\n`);
    }
    const entry = path.join(provided.codeServer, 'node_modules/code-server/out/node/entry.js');
    const args = [entry, '--user-data-dir', path.join(folder, 'data'), '--extensions-dir', path.join(folder, 'ext')];
    if (options.vsix !== false) {
      const { stdout } = await promisify(execFile)(process.execPath, [...args, '--install-extension', provided.vsix], {
        env,
      });
      if (!stdout.includes('was successfully installed')) {
        throw new Error(`the extension was not installed: ${stdout}`);
      }
    }
    args.push('--bind-addr', '127.0.0.1:0', '--auth', 'none', '--disable-telemetry', '--disable-update-check');
    args.push('--disable-getting-started-override');
    if (options.trust !== true) {
      args.push('--disable-workspace-trust');
    }
    const server = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const port = await portOf(server);
    const browser = await chromium.launch({
      executablePath: provided.chromium,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    return new Rig(folder, port, server, browser, settings, env);
  }

  /** Opens a window with a folder, or with a `.code-workspace` file. */
  async open(workspace: string): Promise<Window> {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.addInitScript(recordLabels);
    const kind = workspace.endsWith('.code-workspace') ? 'workspace' : 'folder';
    await page.goto(`http://127.0.0.1:${this.port}/?${kind}=${encodeURIComponent(workspace)}`, {
      waitUntil: 'domcontentloaded',
    });
    await page.locator('.monaco-workbench').waitFor({ timeout: TIMEOUT_MS });
    return new Window(page);
  }

  /** A page of the browser, for what {@link open} doesn't do. */
  async page(): Promise<Page> {
    return await (await this.#browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  }

  /** Changes the user's settings, while windows are open; undefined takes one out. */
  async set(settings: Record<string, unknown>): Promise<void> {
    Object.assign(this.#settings, settings);
    await writeSettings(this.folder, this.#settings);
  }

  /** Processes of the server that serve this rig: those of its windows, or the engine that they share. */
  async servers(subcommand: 'lsp' | 'daemon'): Promise<number[]> {
    const mark = `XDG_RUNTIME_DIR=${this.#environment.XDG_RUNTIME_DIR ?? ''}`;
    const found: number[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      // It may have ended since.
      const read = async (name: string): Promise<string[]> =>
        (await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')).split('\0');
      if ((await read('cmdline'))[1] === subcommand && (await read('environ')).includes(mark)) {
        found.push(Number(pid));
      }
    }
    return found;
  }

  /** Runs the server's program where the windows' servers run, and gives what it printed. */
  async syncline(...args: string[]): Promise<string> {
    return (await promisify(execFile)(provided.server, args, { env: this.#environment, cwd: this.folder })).stdout;
  }

  /** Starts the server's program there, for as long as it lasts. */
  spawn(...args: string[]): ChildProcess {
    return spawn(provided.server, args, { env: this.#environment, cwd: this.folder, stdio: 'ignore' });
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await ended;
    await until('the servers of the windows have ended', async () => (await this.servers('lsp')).length === 0);
    await this.syncline('daemon', 'stop');
    await until('the shared engine has ended', async () => (await this.servers('daemon')).length === 0);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Runs in the page: keeps all that our item of the status bar has said, also what it says for a moment only. */
function recordLabels(): void {
  // The types of a page aren't known here; these are what is used of it.
  const page = globalThis as unknown as {
    labels: string[];
    document: { querySelector(selector: string): { getAttribute(name: string): string | null } | null };
    MutationObserver: new (changed: () => void) => { observe(target: unknown, options: object): void };
  };
  page.labels = [];
  const record = (): void => {
    const item = page.document.querySelector('.statusbar-item[id="syncline.syncline.status"] [role=button]');
    const label = item?.getAttribute('aria-label') ?? null;
    if (label !== null && label !== page.labels.at(-1)) {
      page.labels.push(label);
    }
  };
  new page.MutationObserver(record).observe(page.document, { childList: true, subtree: true, attributes: true });
}

/** A window of VS Code. */
export class Window {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Our item of the status bar, with this in its text. */
  status(text: string | RegExp): Locator {
    return this.page.locator('.statusbar-item[id="syncline.syncline.status"]', { hasText: text });
  }

  /** Hovers our item of the status bar until its tooltip says this. */
  async waitForTooltip(text: string): Promise<void> {
    const tooltip = this.page.locator('.monaco-hover', { hasText: text });
    await until(`the tooltip says: ${text}`, async () => {
      // A tooltip that changes while it is to be shown is not shown.
      await this.page.mouse.move(640, 300);
      await this.status('Syncline').hover();
      return await tooltip.waitFor({ timeout: 3000 }).then(() => true, () => false);
    });
  }

  async waitForStatus(text: string | RegExp): Promise<void> {
    await this.status(text).waitFor({ timeout: TIMEOUT_MS });
  }

  /** What the item of the status bar says to those who can't see it. */
  async waitForLabel(label: RegExp): Promise<void> {
    await this.page
      .locator('.statusbar-item[id="syncline.syncline.status"]')
      .getByRole('button', { name: label })
      .waitFor({ timeout: TIMEOUT_MS });
  }

  /** All that the item of the status bar has said since the last call, in order. */
  async labels(): Promise<string[]> {
    return await this.page.evaluate(() => {
      const page = globalThis as unknown as { labels: string[] };
      return page.labels.splice(0);
    });
  }

  /** Does something that ends the server, and waits until there is another and the index is up to date. */
  async restarts(end: () => Promise<void>): Promise<void> {
    await this.labels();
    await end();
    const said: string[] = [];
    await until('the server has come back', async () => {
      said.push(...(await this.labels()));
      return said.includes('Syncline: starting') && said.at(-1) === 'Syncline: up to date';
    });
  }

  /** Runs a command by its title, as one does with the keyboard. */
  async command(title: string): Promise<void> {
    await this.page.keyboard.press('F1');
    await this.type(`>${title}`);
    await this.rows().filter({ hasText: title }).first().waitFor({ timeout: TIMEOUT_MS });
    await this.page.keyboard.press('Enter');
  }

  /** The rows of the quick pick that is open. */
  rows(): Locator {
    return this.page.locator('.quick-input-list .monaco-list-row');
  }

  /** Types into the quick pick or input box that is open, in place of what is there. */
  async type(text: string): Promise<void> {
    await this.page.locator('.quick-input-widget input:focus').waitFor({ timeout: TIMEOUT_MS });
    await this.page.keyboard.press('Control+a');
    await this.page.keyboard.press('Delete');
    await this.page.keyboard.type(text);
  }

  /** Waits for the title of the quick pick or input box that is open. */
  async waitForTitle(text: string): Promise<void> {
    await this.page.locator('.quick-input-title', { hasText: text }).waitFor({ timeout: TIMEOUT_MS });
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator('.notification-list-item', { hasText: text });
  }

  /** Takes a picture, once all that fades in is there; by default into the folder of the test run. */
  async shot(name: string, folder = provided.shots): Promise<void> {
    await this.page.evaluate(async () => {
      interface Animation {
        effect: { getTiming(): { iterations: number } } | null;
        finished: Promise<unknown>;
      }
      const { document } = globalThis as unknown as { document: { getAnimations(): Animation[] } };
      const ending = document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations === 1);
      await Promise.allSettled(ending.map(({ finished }) => finished));
    });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`) });
  }

  /** Closes it as a user does, so that its extension host ends as well. */
  async close(): Promise<void> {
    await this.page.goto('about:blank');
    await this.page.context().close();
  }
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (!(await isSo())) {
    if (Date.now() > deadline) {
      throw new Error(`not so within ${TIMEOUT_MS / 1000} s: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** At once, so that nobody reads half of them. */
async function writeSettings(folder: string, settings: Record<string, unknown>): Promise<void> {
  const file = path.join(folder, 'data/User/settings.json');
  await writeFile(`${file}.new`, JSON.stringify(settings, null, 2));
  await rename(`${file}.new`, file);
}

/** The port that code-server has taken, from what it prints. */
async function portOf(server: ChildProcess): Promise<number> {
  return await new Promise((resolve, reject) => {
    let said = '';
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const match = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
      if (match) {
        resolve(Number(match[1]));
      }
    };
    server.stdout?.on('data', listen);
    server.stderr?.on('data', listen);
    server.once('exit', () => {
      reject(new Error(`code-server ended:\n${said}`));
    });
  });
}

function environment(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} isn't set: run these tests by \`cargo xtask test\``);
  }
  return value;
}
