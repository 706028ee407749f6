/** Runs in the extension host while somebody types, and says how long its event loop was held up. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as vscode from 'vscode';

export async function run(): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const seconds = 15;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  delay.disable();
  const ms = (ns: number): string => (ns / 1e6).toFixed(1);
  const percentiles = [50, 99, 99.9].map((p) => `p${p} ${ms(delay.percentile(p))}`).join(', ');
  const extension = vscode.extensions.getExtension('syncline.syncline');
  console.log(
    `measured ${extension?.isActive ? 'with' : 'without'} Syncline: event loop delay over ${seconds} s in ms: ` +
      `${percentiles}, max ${ms(delay.max)}`,
  );
}
