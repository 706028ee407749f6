/** The table of settings, as far as code needs it. A test compares it with package.json and docs/settings.md. */

/** The settings that are the server's: the table of docs/settings.md, spelled as editors do. */
export const SERVER_SETTINGS = [
  'queue.backend',
  'queue.redisUrl',
  'queue.redisCa',
  'queue.codebase',
  'queue.trust',
  'queue.sharedTree',
  'queue.leaseMs',
  'queue.sliceMs',
  'queue.staleAfterS',
  'sync.debounceMs',
  'sync.maxWaitMs',
  'watch.mode',
  'index.exclude',
  'index.hidden',
  'index.maxFileBytes',
  'index.symbols',
  'index.home',
  'index.dir',
  'index.maxDiskMb',
  'index.maxMemoryMb',
  'daemon.idleMinutes',
  'log.level',
  'log.file',
] as const;

/** Those that name programs, hosts or folders, or are about the whole machine: a workspace has no say in them. */
export const MACHINE_SETTINGS: ReadonlySet<string> = new Set([
  'server.path',
  'queue.backend',
  'queue.redisUrl',
  'queue.redisCa',
  'queue.trust',
  'queue.sharedTree',
  'queue.leaseMs',
  'queue.sliceMs',
  'queue.staleAfterS',
  'index.home',
  'index.dir',
  'index.maxDiskMb',
  'index.maxMemoryMb',
  'daemon.idleMinutes',
  'log.level',
  'log.file',
]);

/** `{ 'a.b': 1 }` as `{ a: { b: 1 } }`. */
export function nest(values: Readonly<Record<string, unknown>>): object {
  const nested: Record<string, Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(values)) {
    const dot = key.indexOf('.');
    (nested[key.slice(0, dot)] ??= {})[key.slice(dot + 1)] = value;
  }
  return nested;
}

/**
 * A sentence of the server with its settings spelled as editors do: `queue.redis_url` is `syncline.queue.redisUrl`. The
 * same sentence goes to terminals, so the server can't know.
 */
export function inEditorSpelling(sentence: string): string {
  return sentence.replace(SERVER_SPELLING, (key) => `syncline.${EDITOR_SPELLING.get(key) ?? key}`);
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const EDITOR_SPELLING: ReadonlyMap<string, string> = new Map(SERVER_SETTINGS.map((key) => [snakeCase(key), key]));
/** A key as a word of its own: neither in a path nor in a longer name. */
const SERVER_SPELLING = new RegExp(
  `(?<![\\w./\\\\-])(?:${[...EDITOR_SPELLING.keys()].map((key) => key.replace('.', '\\.')).join('|')})(?![\\w/\\\\-]|\\.\\w)`,
  'g',
);

/**
 * The values as environment variables, for runs of the server that no editor speaks to. Nobody else's process sees them
 * there, as they would see arguments.
 */
export function variables(values: Readonly<Record<string, unknown>>): Record<string, string> {
  const name = (key: string): string => `SYNCLINE_${snakeCase(key).replace('.', '_').toUpperCase()}`;
  // The server reads texts and lists in quotes as TOML, which spells them like JSON.
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [name(key), JSON.stringify(value)]));
}
