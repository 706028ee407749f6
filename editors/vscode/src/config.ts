/** The settings: what this extension reads itself, and what it hands to the server. */
import { type LogLevel, workspace } from 'vscode';

import { serverLogLevel } from './log.ts';
import { MACHINE_SETTINGS, nest, SERVER_SETTINGS, variables } from './settings.ts';

/** Where the server is, when the user says so. */
export function serverPath(): string | undefined {
  return explicit('server.path') as string | undefined;
}

/** Most matches that a search gives to the results view and to a search editor. */
export function maxResults(): number {
  return workspace.getConfiguration('syncline').get('search.maxResults', 10_000);
}

/** Whether the search shows the file of the entry that is moved to. */
export function previewsOnMove(): boolean {
  return workspace.getConfiguration('syncline').get('search.previewOnMove', true);
}

/** The section that the server is given. */
export function serverSection(logLevel: LogLevel): object {
  return nest({ 'log.level': serverLogLevel(logLevel), ...serverSettings() });
}

/** The environment for a run of the server beside the one that this window speaks to, with the same settings. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  // What is in the environment wins over an editor's settings, as it does in the server.
  return { ...variables(serverSettings()), ...process.env };
}

/**
 * What somebody has set, and no defaults of ours, since those would win over the user's file and the repository's
 * `.syncline.toml`.
 */
function serverSettings(): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const key of SERVER_SETTINGS) {
    const value = explicit(key);
    if (value !== undefined && value !== null) {
      values[key] = value;
    }
  }
  return values;
}

/** The value that somebody has set; of machine settings, the user only, whatever a workspace says. */
function explicit(key: string): unknown {
  const found = workspace.getConfiguration('syncline').inspect(key);
  return MACHINE_SETTINGS.has(key)
    ? found?.globalValue
    : (found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue);
}
