/** The settings: what this extension reads itself, and what it hands to the server. */
import { type LogLevel, workspace } from 'vscode';

import { serverLogLevel } from './log.ts';
import { MACHINE_SETTINGS, nest, SERVER_SETTINGS } from './settings.ts';

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

/**
 * The section that the server is given: what somebody has set, and no defaults of ours, since those would win over the
 * user's file and the repository's `.syncline.toml`.
 */
export function serverSection(logLevel: LogLevel): object {
  const values: Record<string, unknown> = {};
  for (const key of SERVER_SETTINGS) {
    const value = explicit(key);
    if (value !== undefined && value !== null) {
      values[key] = value;
    }
  }
  values['log.level'] ??= serverLogLevel(logLevel);
  return nest(values);
}

/** The value that somebody has set; of machine settings, the user only, whatever a workspace says. */
function explicit(key: string): unknown {
  const found = workspace.getConfiguration('syncline').inspect(key);
  return MACHINE_SETTINGS.has(key)
    ? found?.globalValue
    : (found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue);
}
