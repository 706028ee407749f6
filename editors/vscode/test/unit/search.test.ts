/** Queries, sessions, and how matches are shown. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { SearchMatch, SearchParams, SearchResult } from '../../src/ext.ts';
import { DEFAULT_OPTIONS, optionsFrom, paramsOf, parseGlobs, printGlobs, type Query } from '../../src/search/query.ts';
import { byFile, searchDocument, snippet } from '../../src/search/results.ts';
import { type Ask, type Found, SearchSession } from '../../src/search/session.ts';

const DONE: SearchResult = { matches: [], limitHit: false, fresh: true, generation: 1 };

function query(text: string): Query {
  return { ...DEFAULT_OPTIONS, text };
}

function match(uri: string, line: number, text: string, start: number, end: number): SearchMatch {
  return { uri, text, range: { start: { line, character: start }, end: { line, character: end } } };
}

describe('globs', () => {
  test('are read with commas between, and with ! left out', () => {
    assert.deepEqual(parseGlobs(' src , *.rs, !src/generated,! target ,, !'), {
      include: ['src', '*.rs'],
      exclude: ['src/generated', 'target'],
    });
    assert.deepEqual(parseGlobs('*.{ts,tsx}, a'), { include: ['*.{ts,tsx}', 'a'], exclude: [] });
    assert.deepEqual(parseGlobs('}a,b{c,d'), { include: ['}a', 'b{c,d'], exclude: [] });
    assert.deepEqual(parseGlobs(''), { include: [], exclude: [] });
  });

  test('are printed as they are read', () => {
    const globs = { include: ['src', '*.{ts,tsx}'], exclude: ['dist'] };
    assert.deepEqual(parseGlobs(printGlobs(globs)), globs);
  });
});

test('options that were stored are taken as far as they are options', () => {
  assert.deepEqual(optionsFrom(undefined), DEFAULT_OPTIONS);
  assert.deepEqual(optionsFrom('nonsense'), DEFAULT_OPTIONS);
  assert.deepEqual(optionsFrom({ isRegex: true, wholeWord: 1, include: ['a', 2, ''], exclude: 'b', more: 3 }), {
    ...DEFAULT_OPTIONS,
    isRegex: true,
    include: ['a'],
  });
});

test('a query without globs names none, since an empty list could mean no file at all', () => {
  const params = paramsOf(query('x'), 10);
  assert.ok(!('include' in params) && !('exclude' in params));
  assert.deepEqual(paramsOf({ ...query('x'), include: ['a'] }, 10).include, ['a']);
});

describe('a session', () => {
  /** A server that answers when the test has it answer. */
  class Asked {
    readonly asks: {
      params: SearchParams;
      signal: AbortSignal;
      give: (matches: SearchMatch[]) => void;
      answer: (result: SearchResult) => void;
      fail: (error: Error) => void;
    }[] = [];

    readonly ask: Ask = (params, give, signal) =>
      new Promise((answer, fail) => {
        this.asks.push({ params, signal, give, answer, fail });
      });
  }

  test('shows first matches at once, and all of them in the end', async () => {
    const server = new Asked();
    const shown: Found[] = [];
    const session = new SearchSession(server.ask, (found) => {
      shown.push({ ...found, matches: [...found.matches] });
    });
    const over = session.search(query('x'), 10);
    const [first] = server.asks;
    first?.give([match('a', 0, 'x', 0, 1)]);
    assert.deepEqual(shown.map(({ state, matches }) => [state, matches.length]), [['searching', 1]]);
    first?.give([match('a', 1, 'x', 0, 1)]);
    first?.give([match('a', 2, 'x', 0, 1)]);
    first?.answer({ ...DONE, limitHit: true, fresh: false });
    await over;
    const last = shown.at(-1);
    assert.deepEqual([last?.state, last?.matches.length, last?.limitHit, last?.fresh], ['done', 3, true, false]);
    assert.equal(shown.length, 2, 'what comes soon after is shown with what follows');
  });

  test('ends what is outdated, and shows nothing of it', async () => {
    const server = new Asked();
    const shown: string[] = [];
    const session = new SearchSession(server.ask, ({ query, state }) => {
      shown.push(`${query.text} ${state}`);
    });
    const overs = ['n', 'ne', 'nee'].map((text) => session.search(query(text), 10));
    assert.deepEqual(server.asks.map(({ signal }) => signal.aborted), [true, true, false]);
    server.asks[0]?.give([match('a', 0, 'n', 0, 1)]);
    server.asks[0]?.fail(new Error('cancelled'));
    server.asks[1]?.answer(DONE);
    server.asks[2]?.answer(DONE);
    await Promise.all(overs);
    assert.deepEqual(shown, ['nee done']);
  });

  test('says why a search failed, unless it was cancelled', async () => {
    const server = new Asked();
    const shown: Found[] = [];
    const session = new SearchSession(server.ask, (found) => {
      shown.push(found);
    });
    const failing = session.search(query('('), 10);
    server.asks[0]?.fail(new Error('unclosed group'));
    await failing;
    assert.equal(shown.at(-1)?.error, 'unclosed group');
    const cancelled = session.search(query('x'), 10);
    session.cancel();
    server.asks[1]?.fail(new Error('cancelled'));
    await cancelled;
    assert.equal(shown.length, 1);
  });

  describe('whose server asks to be asked again', () => {
    const modified = (): Error => Object.assign(new Error('asked again'), { code: -32801 });

    test('asks again, and shows what comes then', async () => {
      const server = new Asked();
      const shown: Found[] = [];
      const session = new SearchSession(server.ask, (found) => {
        shown.push(found);
      });
      const over = session.search(query('x'), 10);
      server.asks[0]?.fail(modified());
      await until(() => server.asks.length === 2);
      assert.deepEqual(server.asks[1]?.params, server.asks[0]?.params);
      server.asks[1]?.give([match('a', 0, 'x', 0, 1)]);
      server.asks[1]?.answer(DONE);
      await over;
      assert.deepEqual(shown.map(({ state, matches }) => [state, matches.length]), [['searching', 1], ['done', 1]]);
    });

    test('asks twice more, and no more', async () => {
      const server = new Asked();
      const shown: string[] = [];
      const session = new SearchSession(server.ask, ({ state }) => {
        shown.push(state);
      });
      const over = session.search(query('x'), 10);
      for (const times of [1, 2, 3]) {
        await until(() => server.asks.length === times);
        server.asks[times - 1]?.fail(modified());
      }
      await over;
      assert.deepEqual([server.asks.length, shown], [3, ['failed']]);
    });

    test('does not ask again once there are matches, or when it is outdated', async () => {
      const server = new Asked();
      const session = new SearchSession(server.ask, () => undefined);
      const streamed = session.search(query('x'), 10);
      server.asks[0]?.give([match('a', 0, 'x', 0, 1)]);
      server.asks[0]?.fail(modified());
      await streamed;
      const outdated = session.search(query('y'), 10);
      session.cancel();
      server.asks[1]?.fail(modified());
      await outdated;
      assert.equal(server.asks.length, 2);
    });
  });
});

/** Lets what was answered have its effects, until something is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !isSo(); turn++) {
    await Promise.resolve();
  }
  assert.ok(isSo());
}

describe('a snippet', () => {
  test('leaves indentation out and knows where the match is', () => {
    assert.deepEqual(snippet(match('a', 0, '\t  let needle = 1;  ', 7, 13), 100), {
      text: 'let needle = 1;',
      start: 4,
      end: 10,
    });
    assert.deepEqual(snippet(match('a', 0, '   ', 0, 3), 100), { text: '', start: 0, end: 0 });
  });

  test('of a long line is what stands around the match', () => {
    const line = `${'a'.repeat(500)}needle${'b'.repeat(500)}`;
    const { text, start, end } = snippet(match('a', 0, line, 500, 506), 60);
    assert.equal(text.slice(start, end), 'needle');
    assert.ok(text.startsWith('…a') && text.endsWith('b…') && text.length <= 62, text);
  });

  test('of a match beyond the end of a line that was cut is empty', () => {
    const { start, end, text } = snippet(match('a', 0, 'cut', 10_000, 10_006), 60);
    assert.ok(start <= end && end <= text.length);
  });

  test('stays within the text, whatever the match', () => {
    for (let length = 0; length < 80; length += 7) {
      for (let from = 0; from <= length; from += 3) {
        for (let to = from; to <= length; to += 5) {
          const { text, start, end } = snippet(match('a', 0, '  word'.repeat(20).slice(0, length), from, to), 20);
          assert.ok(0 <= start && start <= end && end <= text.length && text.length <= 22, `${length} ${from} ${to}`);
        }
      }
    }
  });
});

test('matches are grouped by file in the order in which they came', () => {
  const matches = [match('b', 0, 'x', 0, 1), match('a', 0, 'x', 0, 1), match('b', 3, 'x', 0, 1)];
  assert.deepEqual(byFile(matches).map(({ uri, matches }) => [uri, matches.length]), [
    ['b', 2],
    ['a', 1],
  ]);
});

test('the document has the form of search editors', () => {
  const found: Found = {
    query: { ...query('le+t'), isRegex: true, wholeWord: true, include: ['src'] },
    matches: [
      match('src/a.rs', 8, 'let a;', 0, 3),
      match('src/a.rs', 99, '  let b; let c;', 2, 5),
      match('src/a.rs', 99, '  let b; let c;', 9, 12),
    ],
    state: 'done',
    limitHit: false,
    fresh: true,
  };
  const expected = [
    '# Query: le+t',
    '# Flags: WordMatch RegExp',
    '# Including: src',
    '',
    '3 results in 1 file',
    '',
    'src/a.rs:',
    '    9: let a;',
    '  100:   let b; let c;',
    '',
  ];
  assert.deepEqual(searchDocument(found, (uri) => uri, '3 results in 1 file').split('\n'), expected);
});
