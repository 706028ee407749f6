/** The queue in a real Redis, as a window shows it: shared with another engine, cut off, and healed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';

import type { QueueState } from '../../src/ext.ts';
import { Redis } from './redis.ts';
import { makeRepository } from './repository.ts';
import { TIMEOUT_MS, provided, Rig, until, type Window } from './rig.ts';

describe('a window whose queue is in Redis', () => {
  let scratch: string;
  let root: string;
  let redis: Redis;
  let rig: Rig;
  let window: Window;

  before(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), 'syncline-queue-'));
    root = path.join(scratch, 'workers');
    await makeRepository(root, 200);
    redis = await Redis.start();
    // Settings of the user, as those of the machine have to be.
    rig = await Rig.start({ settings: { 'syncline.queue.redisUrl': redis.url, 'syncline.queue.codebase': 'workers' } });
    window = await rig.open(root);
  });

  afterEach(async (context) => {
    if ('passed' in context && !context.passed) {
      await window.shot(`failed-${context.name.replace(/\W+/g, '-')}`);
    }
  });

  after(async () => {
    await window.close();
    await rig.stop();
    await redis.kill();
    await rm(scratch, { recursive: true });
  });

  test('says so', async () => {
    await window.waitForLabel(/Syncline: up to date/);
    await tooltip(window, 'Queue: Redis, shared with other hosts', 'redis');
  });

  test('the check of the installation knows the settings of the window', async () => {
    await window.command('Syncline: Check the Installation');
    const report = window.page.locator('.editor-instance .view-lines');
    await report.getByText(`${redis.url} can be used`).waitFor({ timeout: TIMEOUT_MS });
    await window.shot('doctor');
  });

  test('says its place in line while another engine is at the head', async () => {
    const other = await Other.start(path.join(scratch, 'other'), redis);
    try {
      await other.stopAtTheHead();
      await window.status('Syncline').click();
      await window.rows().filter({ hasText: 'Show the Queue' }).click();
      await window.labels();
      await writeFile(path.join(root, 'src/waiting.rs'), '// written while another is at the head\n');
      await window.waitForLabel(/Syncline: 2nd in line/);
      await window.status('Syncline: 2nd in line').waitFor({ timeout: TIMEOUT_MS });
      const rows = window.page.locator('.pane:has(.pane-header[aria-label*="Queue"]) .monaco-list-row');
      const others = rows.filter({ hasText: 'syncing · ' }).filter({ hasText: `process ${other.pid}` });
      await others.waitFor({ timeout: TIMEOUT_MS });
      await rows.filter({ hasText: /2nd in line · .* · this engine/ }).waitFor({ timeout: TIMEOUT_MS });
      await window.shot('second-in-line');
      other.goOn();
      await window.waitForLabel(/Syncline: up to date/);
      await rows.filter({ hasText: 'Nothing waits' }).waitFor({ timeout: TIMEOUT_MS });
    } finally {
      await other.end();
    }
  });

  test('is degraded while Redis is gone, and heals', async () => {
    await redis.kill();
    await window.waitForLabel(/Syncline: degraded, .*Can't use Redis at redis:.*; until then .* a queue of its own/);
    await window.status('Syncline: degraded').waitFor({ timeout: TIMEOUT_MS });
    await tooltip(window, 'Queue: this machine', 'redis-gone');
    // Saves sync meanwhile.
    await writeFile(path.join(root, 'src/alone.rs'), '// written while Redis is gone\n');
    await until('it has synced', async () => {
      const [state] = JSON.parse(await rig.syncline('queue', '--json', root)) as QueueState[];
      return state?.index.fresh === true && state.index.files === 202;
    });
    await redis.start();
    await window.waitForLabel(/Syncline: up to date/);
    await tooltip(window, 'Queue: Redis, shared with other hosts', 'redis-healed');
  });
});

/** Waits until the tooltip of the status bar says this, and takes a picture of it. */
async function tooltip(window: Window, text: string, picture?: string): Promise<void> {
  await window.waitForTooltip(text);
  if (picture !== undefined) {
    await window.shot(picture);
  }
  await window.page.keyboard.press('Escape');
}

/** Another engine, as another host would have it, on a codebase of the same name. */
class Other {
  readonly #process: ChildProcess;
  #state: QueueState | undefined;

  private constructor(process: ChildProcess) {
    this.#process = process;
    let text = '';
    process.stdout?.on('data', (chunk: Buffer) => {
      const lines = (text + chunk.toString()).split('\n');
      text = lines.pop() ?? '';
      const last = lines.at(-1);
      if (last !== undefined) {
        this.#state = JSON.parse(last) as QueueState;
        this.#changed();
      }
    });
  }

  #changed = (): void => undefined;

  static async start(home: string, redis: Redis): Promise<Other> {
    const root = path.join(home, 'workers');
    await mkdir(home);
    // So many that it syncs until it is stopped.
    await makeRepository(root, 10_000);
    const env = {
      ...process.env,
      SYNCLINE_QUEUE_REDIS_URL: redis.url,
      SYNCLINE_QUEUE_CODEBASE: 'workers',
      // It stays at the head for as long as the test may take.
      SYNCLINE_QUEUE_LEASE_MS: '120000',
      SYNCLINE_INDEX_DIR: path.join(home, 'index'),
    };
    const args = ['watch', '--json', '--standalone', root];
    return new Other(spawn(provided.server, args, { env, stdio: ['ignore', 'pipe', 'inherit'] }));
  }

  get pid(): number {
    assert.ok(this.#process.pid !== undefined, 'it runs');
    return this.#process.pid;
  }

  /** Stops it as soon as it is at the head. */
  async stopAtTheHead(): Promise<void> {
    let isStopped = false;
    this.#changed = (): void => {
      if (!isStopped && this.#state?.phase === 'syncing' && this.#state.position === 0) {
        isStopped = this.#process.kill('SIGSTOP');
      }
    };
    await until('the other engine is at the head', () => isStopped);
    this.#changed = (): void => undefined;
  }

  goOn(): void {
    this.#process.kill('SIGCONT');
  }

  async end(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
  }
}
