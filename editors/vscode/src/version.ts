/** Versions of the server: reading what `--version` prints, and comparing. Knows nothing of VS Code. */

/** The oldest server that this extension works with. */
export const MINIMUM_VERSION = '0.1.0';

/** The version in what `syncline --version` prints, such as `syncline 0.1.0 (7c82a85 2026-11-24)`; else undefined. */
export function versionIn(output: string): string | undefined {
  return /^syncline (\d{1,9}\.\d{1,9}\.\d{1,9}(?:-[0-9A-Za-z.-]+)?)(?:\s|$)/.exec(output)?.[1];
}

/** Whether `version` is `minimum` or newer. A pre-release comes before its release. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [a, b] = [parts(version), parts(minimum)];
  for (let i = 0; i < 3; i++) {
    const difference = (a.numbers[i] ?? 0) - (b.numbers[i] ?? 0);
    if (difference !== 0) {
      return difference > 0;
    }
  }
  return !a.isPreRelease || b.isPreRelease;
}

function parts(version: string): { numbers: number[]; isPreRelease: boolean } {
  const dash = version.indexOf('-');
  const release = dash < 0 ? version : version.slice(0, dash);
  return { numbers: release.split('.').map(Number), isPreRelease: dash >= 0 };
}
