/** The output channel "Syncline", and how the server's lines get the level they have. */
import { LogLevel, type LogOutputChannel, type OutputChannel, window } from 'vscode';

import { type Level, LineReader, readLine } from './logLine.ts';

/** Makes the output channel; its level is the user's to set with "Set Log Level…". */
export function createLog(): LogOutputChannel {
  return window.createOutputChannel('Syncline', { log: true });
}

/** The server's name for the channel's level, so that both say as much as the user asked for. */
export function serverLogLevel(level: LogLevel): Level | 'off' {
  switch (level) {
    case LogLevel.Off:
      return 'off';
    case LogLevel.Trace:
      return 'trace';
    case LogLevel.Debug:
      return 'debug';
    case LogLevel.Info:
      return 'info';
    case LogLevel.Warning:
      return 'warn';
    case LogLevel.Error:
      return 'error';
  }
}

/**
 * What the language client writes to. It hands over the server's standard error in pieces, and its own lines with their
 * level in front; each becomes a line of the log with its level.
 */
export function leveled(log: LogOutputChannel): OutputChannel {
  const write = (line: string): void => {
    const { level, text } = readLine(line);
    if (text !== '') {
      log[level](text);
    }
  };
  const reader = new LineReader(write);
  // What the client asks for beside writing, the channel does as it always does.
  return {
    ...log,
    append: (value: string) => {
      reader.push(value);
    },
    appendLine: (value: string) => {
      for (const line of value.split('\n')) {
        write(line);
      }
    },
    // The channel is the extension's; it outlives a client.
    dispose: () => {
      reader.end();
    },
  };
}
