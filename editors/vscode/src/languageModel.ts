/** Tools for assistants inside VS Code. Each reads, none writes, and every answer has a bound. */
import {
  type CancellationToken,
  type Disposable,
  l10n,
  type LanguageModelTool,
  LanguageModelTextPart,
  LanguageModelToolResult,
  lm,
  MarkdownString,
  type PreparedToolInvocation,
  SymbolKind,
} from 'vscode';

import type { Server } from './server.ts';
import { boundedLimit, searchReport, type SearchInput, statusReport, type SymbolInput, symbolReport } from './report.ts';
import { pathOf } from './search/place.ts';
import { optionsFrom } from './search/query.ts';
import { type Found, SearchSession } from './search/session.ts';

/** Letters of an error that a model gets: it may quote the query. */
const LONGEST_ERROR = 1000;

/** Registers the tools, where this VS Code knows of such. */
export function registerTools(server: Server): Disposable[] {
  // Forks of VS Code leave parts of the API out.
  if (typeof (lm as Partial<typeof lm> | undefined)?.registerTool !== 'function') {
    return [];
  }
  return [
    lm.registerTool('syncline_search_text', searchTextTool(server)),
    lm.registerTool('syncline_search_symbols', searchSymbolsTool(server)),
    lm.registerTool('syncline_index_status', indexStatusTool(server)),
  ];
}

export function searchTextTool(server: Server): LanguageModelTool<SearchInput> {
  return {
    prepareInvocation: ({ input }) =>
      prepared(
        l10n.t('Searching for {0}', input.query),
        l10n.t('Search text'),
        l10n.t('Search all files of this workspace for'),
        input.query,
      ),
    invoke: async ({ input }, token) => {
      if (typeof input.query !== 'string' || input.query === '') {
        throw new Error('query must be a text that is not empty.');
      }
      let found: Found | undefined;
      const session = new SearchSession(
        (params, onMatches, signal) => server.search(params, onMatches, signal),
        (now) => {
          found = now;
        },
      );
      const cancelled = token.onCancellationRequested(() => {
        session.cancel();
      });
      try {
        await session.search(
          { ...optionsFrom(input), text: input.query },
          boundedLimit(input.maxResults),
        );
      } finally {
        cancelled.dispose();
      }
      if (found === undefined) {
        throw new Error('The search was cancelled.');
      }
      if (found.state === 'failed') {
        throw new Error(found.error?.slice(0, LONGEST_ERROR));
      }
      return answer(searchReport(found, pathOf));
    },
  };
}

export function searchSymbolsTool(server: Server): LanguageModelTool<SymbolInput> {
  return {
    prepareInvocation: ({ input }) =>
      prepared(
        l10n.t('Searching for the symbol {0}', input.query),
        l10n.t('Search symbols'),
        l10n.t('Search the definitions of this workspace for'),
        input.query,
      ),
    invoke: async ({ input }, token) => {
      if (typeof input.query !== 'string' || input.query === '') {
        throw new Error('query must be a text that is not empty.');
      }
      const symbols = await server.symbols(input.query, signalOf(token));
      if (symbols === undefined) {
        return answer('This version of Syncline has no symbols; search for text instead.');
      }
      const found = symbols.map(({ name, kind, containerName, location }) => ({
        name,
        // The protocol counts kinds from 1, VS Code from 0.
        kind: SymbolKind[kind - 1] ?? 'Symbol',
        ...(containerName === undefined ? {} : { container: containerName }),
        path: pathOf(location.uri),
        ...('range' in location ? { line: location.range.start.line + 1 } : {}),
      }));
      return answer(symbolReport(found, boundedLimit(input.maxResults)));
    },
  };
}

export function indexStatusTool(server: Server): LanguageModelTool<object> {
  return {
    prepareInvocation: () => ({ invocationMessage: l10n.t('Reading the state of the index') }),
    invoke: () => answer(statusReport(server.status, server.states, Date.now())),
  };
}


/** What the user is asked before the tool runs. The query was written by a model, so it is shown as text. */
function prepared(invocation: string, title: string, question: string, query: unknown): PreparedToolInvocation {
  const shown = typeof query === 'string' ? query.slice(0, 500) : '';
  const message = new MarkdownString().appendText(`${question}:`).appendCodeblock(shown, 'text');
  return { invocationMessage: invocation.slice(0, 200), confirmationMessages: { title, message } };
}

function answer(text: string): LanguageModelToolResult {
  return new LanguageModelToolResult([new LanguageModelTextPart(text)]);
}

function signalOf(token: CancellationToken): AbortSignal {
  const controller = new AbortController();
  token.onCancellationRequested(() => {
    controller.abort();
  });
  return controller.signal;
}
