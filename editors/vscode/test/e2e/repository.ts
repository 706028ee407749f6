/** Repositories to open. */
import { mkdir, writeFile } from 'node:fs/promises';
import * as path from 'node:path';

/** Makes a repository of so many small files in Rust, all alike and each with a name of its own in it. */
export async function makeRepository(root: string, files: number): Promise<void> {
  await mkdir(path.join(root, '.git'), { recursive: true });
  const perFolder = 100;
  for (let first = 0; first < files; first += perFolder) {
    const folder = path.join(root, 'src', `part_${String(first / perFolder).padStart(3, '0')}`);
    await mkdir(folder, { recursive: true });
    const numbers = Array.from({ length: Math.min(perFolder, files - first) }, (_, i) => first + i);
    await Promise.all(numbers.map((n) => writeFile(path.join(folder, `worker_${pad(n)}.rs`), source(n))));
  }
}

function source(n: number): string {
  return `//! Worker ${n} of the pool.

/// How long worker ${n} waits for the next job, in milliseconds.
pub const TIMEOUT_MS: u64 = ${100 + (n % 900)};

/// Takes jobs until none is left.
pub struct Worker${pad(n)} {
    jobs: Vec<String>,
}

impl Worker${pad(n)} {
    /// Runs the next job, if one waits.
    pub fn run_${pad(n)}(&mut self) -> Option<String> {
        let job = self.jobs.pop()?;
        Some(format!("worker ${n} did {job}"))
    }
}
`;
}

function pad(n: number): string {
  return String(n).padStart(5, '0');
}
