/** Finds the server: the setting, else the one inside this extension, else the one on PATH. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { l10n, type LogOutputChannel, type Uri } from 'vscode';

import { isAtLeast, MINIMUM_VERSION, versionIn } from './version.ts';

/** How long `--version` may take. A machine that is just starting can be slow; a program that hangs isn't ours. */
const VERSION_TIME_MS = 10_000;

/** A server that was found to work. */
export interface FoundServer {
  readonly path: string;
  readonly version: string;
  readonly source: 'setting' | 'bundled' | 'path';
}

/** Why there is no server, in one sentence for people. */
export class ServerProblem extends Error {
  readonly kind: 'missing' | 'broken' | 'tooOld';

  constructor(kind: ServerProblem['kind'], message: string) {
    super(message);
    this.name = 'ServerProblem';
    this.kind = kind;
  }
}

/** The server to start. Fails with a {@link ServerProblem}. */
export async function findServer(
  extension: Uri,
  setting: string | undefined,
  log: LogOutputChannel,
): Promise<FoundServer> {
  const candidate = await locate(extension, setting);
  log.info(`server: ${candidate.path} (${candidate.source})`);
  const version = await versionOf(candidate.path);
  if (!isAtLeast(version, MINIMUM_VERSION)) {
    throw new ServerProblem(
      'tooOld',
      l10n.t(
        'Syncline {0} at {1} is too old: this extension needs {2} or newer. Update it, or set syncline.server.path.',
        version,
        candidate.path,
        MINIMUM_VERSION,
      ),
    );
  }
  log.info(`server: version ${version}`);
  return { ...candidate, version };
}

async function locate(extension: Uri, setting: string | undefined): Promise<Omit<FoundServer, 'version'>> {
  if (setting) {
    // Said by the user, so nothing else will do.
    const named = setting.startsWith('~/') ? path.join(homedir(), setting.slice(2)) : setting;
    if (!path.isAbsolute(named)) {
      throw new ServerProblem('missing', l10n.t('syncline.server.path must be an absolute path, not "{0}".', setting));
    }
    if (!(await isFile(named))) {
      throw new ServerProblem(
        'missing',
        l10n.t('There is no file {0}, which the setting syncline.server.path names.', named),
      );
    }
    return { path: named, source: 'setting' };
  }
  const name = process.platform === 'win32' ? 'syncline.exe' : 'syncline';
  const bundled = path.join(extension.fsPath, 'server', name);
  if (await isFile(bundled)) {
    return { path: bundled, source: 'bundled' };
  }
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    // A relative entry would look into the workspace, whose programs aren't ours to run.
    const onPath = path.join(folder, name);
    if (path.isAbsolute(folder) && (await isExecutable(onPath))) {
      return { path: onPath, source: 'path' };
    }
  }
  throw new ServerProblem(
    'missing',
    l10n.t('The program syncline was not found. Install it so that it is on PATH, or set syncline.server.path.'),
  );
}

async function isFile(file: string): Promise<boolean> {
  return await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function isExecutable(file: string): Promise<boolean> {
  const mayRun = access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
  return (await isFile(file)) && (await mayRun);
}

/** The version that the program at `file` says it has. */
async function versionOf(file: string): Promise<string> {
  const output = await new Promise<string>((resolve, reject) => {
    const options = { timeout: VERSION_TIME_MS, cwd: path.dirname(file), windowsHide: true, maxBuffer: 64 * 1024 };
    execFile(file, ['--version'], options, (error, stdout) => {
      if (error) {
        const why = error.killed
          ? l10n.t('it gave no version within {0} seconds', VERSION_TIME_MS / 1000)
          : (error.message.split('\n', 1)[0] ?? error.message);
        reject(new ServerProblem('broken', l10n.t('The server {0} does not start: {1}.', file, why)));
      } else {
        resolve(stdout);
      }
    });
  });
  const version = versionIn(output);
  if (version === undefined) {
    throw new ServerProblem('broken', l10n.t('The program {0} is not a Syncline server.', file));
  }
  return version;
}
