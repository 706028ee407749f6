/** What a glance says, what the log's lines mean, which versions will do, what models get. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { QueueState } from '../../src/ext.ts';
import { activityOf, glanceOf, type ServerStatus } from '../../src/glance.ts';
import { LineReader, readLine } from '../../src/logLine.ts';
import { boundedLimit, searchReport, statusReport, symbolReport } from '../../src/report.ts';
import { Restarts } from '../../src/restarts.ts';
import { inEditorSpelling, nest, variables } from '../../src/settings.ts';
import { isAtLeast, versionIn } from '../../src/version.ts';

const RUNNING: ServerStatus = { kind: 'running', version: '0.1.0', source: 'path' };

function state(fields: Partial<QueueState> = {}): QueueState {
  return {
    codebase: { id: fields.codebase?.id ?? 'a', name: 'tree', root: 'file:///tree' },
    backend: 'local',
    health: 'ok',
    phase: 'idle',
    position: null,
    queue: [],
    index: { generation: 1, files: 10, symbols: 0, bytes: 100, pending: 0, fresh: true },
    ...fields,
  };
}

describe('a glance', () => {
  test('says what the server is doing when there are no codebases yet', () => {
    assert.equal(glanceOf({ kind: 'none' }, []), undefined);
    assert.deepEqual(glanceOf({ kind: 'starting' }, [])?.activity, { kind: 'starting' });
    assert.deepEqual(glanceOf(RUNNING, [])?.activity, { kind: 'starting' });
    const failed = glanceOf({ kind: 'failed', problem: 'gone', cause: 'ended' }, []);
    assert.deepEqual([failed?.health, failed?.message], ['error', 'gone']);
  });

  test('counts the queue from 1', () => {
    assert.deepEqual(activityOf(state({ phase: 'waiting', position: 1 })), { kind: 'waiting', ordinal: 2 });
    assert.deepEqual(activityOf(state({ phase: 'waiting' })), { kind: 'waiting' });
  });

  test('calls an index up to date only when it is', () => {
    assert.deepEqual(activityOf(state()), { kind: 'idle', isFresh: true });
    const index = { generation: 1, files: 10, symbols: 0, bytes: 100, pending: 2, fresh: false };
    assert.deepEqual(glanceOf(RUNNING, [state(), state({ index })])?.activity, { kind: 'idle', isFresh: false });
  });

  test('gives a percentage where there is one that moves only forward', () => {
    const syncing = (progress: QueueState['progress']): object =>
      activityOf(state({ phase: 'syncing', ...(progress && { progress }) }));
    assert.deepEqual(syncing({ done: 425, total: 1000, stage: 'text' }), { kind: 'syncing', percent: 42 });
    assert.deepEqual(syncing({ done: 1200, total: 1000, stage: 'text' }), { kind: 'syncing', percent: 100 });
    assert.deepEqual(syncing({ done: 5, total: 0, stage: 'text' }), { kind: 'syncing' });
    assert.deepEqual(syncing({ done: 500, total: 1000, stage: 'scan' }), { kind: 'syncing' });
    assert.deepEqual(syncing(undefined), { kind: 'syncing' });
  });

  test('of several codebases is the worst health and the liveliest activity', () => {
    const glance = glanceOf(RUNNING, [
      state(),
      state({ phase: 'paused' }),
      state({ health: 'degraded', message: 'no watches' }),
      state({ phase: 'waiting', position: 2 }),
    ]);
    assert.deepEqual(glance, {
      activity: { kind: 'waiting', ordinal: 3 },
      health: 'degraded',
      message: 'no watches',
    });
    assert.equal(glanceOf(RUNNING, [state({ health: 'error' }), state({ health: 'degraded' })])?.health, 'error');
    assert.equal(glanceOf(RUNNING, [state(), state({ phase: 'paused' })])?.activity.kind, 'paused');
  });
});

describe('a version', () => {
  test('is read from what our server prints, and from nothing else', () => {
    assert.equal(versionIn('syncline 0.1.0 (7c82a85 2026-11-24)\n'), '0.1.0');
    assert.equal(versionIn('syncline 1.20.3-rc.1\n'), '1.20.3-rc.1');
    for (const other of ['', 'synclined 1.0.0', 'rg 15.2.0', 'syncline one', 'syncline 1.0', ' syncline 1.0.0']) {
      assert.equal(versionIn(other), undefined, other);
    }
  });

  test('is compared by numbers, a pre-release being older than its release', () => {
    const newer: [string, string][] = [
      ['0.1.0', '0.1.0'],
      ['0.10.0', '0.9.9'],
      ['1.0.0', '0.99.99'],
      ['0.1.1-rc.1', '0.1.0'],
    ];
    for (const [version, minimum] of newer) {
      assert.ok(isAtLeast(version, minimum), `${version} ${minimum}`);
    }
    for (const [version, minimum] of [['0.0.9', '0.1.0'], ['0.1.0-rc.1', '0.1.0'], ['0.9.9', '0.10.0']] as const) {
      assert.ok(!isAtLeast(version, minimum), `${version} ${minimum}`);
    }
  });
});

describe('the log', () => {
  test('keeps the level of each line', () => {
    const plain = '2026-11-24T11:26:00.123456Z  WARN syncline::watch: too many';
    assert.deepEqual(readLine(plain), { level: 'warn', text: 'syncline::watch: too many' });
    assert.deepEqual(readLine(`\u001b[2m2026-11-24T11:26:00Z\u001b[0m \u001b[31mERROR\u001b[0m gone`), {
      level: 'error',
      text: 'gone',
    });
    assert.deepEqual(readLine('[Info  - 10:00:00 AM] started'), { level: 'info', text: 'started' });
    assert.deepEqual(readLine('anything else'), { level: 'info', text: 'anything else' });
  });

  test('is cut into lines wherever its pieces end, and never kept without bound', () => {
    const lines: string[] = [];
    const reader = new LineReader((line) => lines.push(line));
    for (const piece of ['a', 'b\r\nc', '\n', '\nd']) {
      reader.push(piece);
    }
    reader.end();
    assert.deepEqual(lines, ['ab', 'c', '', 'd']);
    reader.push('x'.repeat(100_000));
    assert.equal(lines.at(-1)?.length, 100_000);
  });
});

test('a server that ends is restarted, but not for ever', () => {
  const restarts = new Restarts();
  const delays = [0, 1, 2, 3, 4].map((second) => restarts.next(second * 1000));
  assert.deepEqual(delays, [100, 200, 400, 800, undefined]);
  const slow = new Restarts();
  for (let minute = 0; minute < 50; minute++) {
    assert.notEqual(slow.next(minute * 60_000), undefined);
  }
});

test('settings are nested by section', () => {
  assert.deepEqual(nest({ 'queue.redisUrl': 'redis://a', 'queue.leaseMs': 1, 'index.hidden': true }), {
    queue: { redisUrl: 'redis://a', leaseMs: 1 },
    index: { hidden: true },
  });
});

test('a sentence of the server names settings as editors do', () => {
  const said: [string, string][] = [
    ['correct queue.redis_url.', 'correct syncline.queue.redisUrl.'],
    ['set index.dir to another, or index.max_file_bytes', 'set syncline.index.dir to another, or syncline.index.maxFileBytes'],
    ["can't use /home/index.dir/x and ./log.file", "can't use /home/index.dir/x and ./log.file"],
    ['queue.redis_urls, my.index.dir, index.dir.old', 'queue.redis_urls, my.index.dir, index.dir.old'],
  ];
  for (const [sentence, spelled] of said) {
    assert.equal(inEditorSpelling(sentence), spelled);
  }
});

test('settings become variables that the server reads as they are', () => {
  const values = { 'queue.redisUrl': 'redis://a', 'queue.staleAfterS': 1, 'index.hidden': true, 'index.exclude': ['a,b', '"'] };
  assert.deepEqual(variables(values), {
    SYNCLINE_QUEUE_REDIS_URL: '"redis://a"',
    SYNCLINE_QUEUE_STALE_AFTER_S: '1',
    SYNCLINE_INDEX_HIDDEN: 'true',
    SYNCLINE_INDEX_EXCLUDE: '["a,b","\\""]',
  });
});

describe('what models get', () => {
  test('never is longer than its bound', () => {
    const matches = Array.from({ length: 5000 }, (_, line) => ({
      uri: 'a',
      text: 'x'.repeat(9000),
      range: { start: { line, character: 8000 }, end: { line, character: 8001 } },
    }));
    const query = { text: 'x', isRegex: false, isCaseSensitive: false, wholeWord: false, include: [], exclude: [] };
    const report = searchReport({ query, matches, state: 'done', limitHit: true, fresh: false }, (uri) => uri);
    assert.ok(report.length < 21_000, String(report.length));
    assert.match(report, /lines left out/);
    assert.match(report, /There are more results/);
    assert.match(report, /newest changes may be missing/);
    const symbol = { name: 'n'.repeat(5000), kind: 'Function', path: 'p' };
    assert.ok(symbolReport(Array<typeof symbol>(200).fill(symbol), 200).length < 21_000);
  });

  test('has as many results as were asked for, within limits', () => {
    const limits: [unknown, number][] = [
      [undefined, 50],
      ['many', 50],
      [NaN, 50],
      [0, 1],
      [7.9, 7],
      [1e9, 200],
    ];
    for (const [asked, given] of limits) {
      assert.equal(boundedLimit(asked), given, String(asked));
    }
  });

  test('is where a symbol is, and how many more there are', () => {
    const symbols = [
      { name: 'run', kind: 'Method', container: 'Worker', path: 'src/a.rs', line: 3 },
      { name: 'Run', kind: 'Struct', path: 'src/b.rs' },
    ];
    assert.equal(symbolReport(symbols, 5), 'method run (in Worker) src/a.rs:3\nstruct Run src/b.rs');
    assert.match(symbolReport(symbols, 1), /There are 1 more\.$/);
    assert.equal(symbolReport([], 5), 'No symbol found.');
  });

  test('is the truth about the index', () => {
    const index = { generation: 3, files: 10, symbols: 5, bytes: 1, pending: 2, fresh: false };
    const report = statusReport(RUNNING, [state({ health: 'degraded', message: 'no watches', index })], 0);
    assert.match(report, /tree: idle; 10 files, 5 symbols, generation 3; 2 files are newer/);
    assert.match(report, /degraded: no watches/);
    assert.match(statusReport({ kind: 'failed', problem: 'gone', cause: 'ended' }, [], 0), /does not run: gone/);
  });
});
