//! Taking figures of processes and folders.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wait4::Wait4;

/// A process that has run to its end.
pub(crate) struct Finished {
    /// From its start to its end, its output read.
    pub(crate) wall: Duration,
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The most memory it had resident, in bytes.
    pub(crate) peak_rss: u64,
    /// What it wrote to standard output.
    pub(crate) stdout: Vec<u8>,
    status: ExitStatus,
    stderr: String,
}

/// Runs a command to its end, whatever its exit code; an error if it can't start.
pub(crate) fn run(command: &mut Command) -> Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let errors = child.stderr.take();
    // Both pipes are read at once, because the child stops when one of them is full.
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        errors.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes)).map(|_| bytes)
    });
    let mut stdout = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut stdout).with_context(|| format!("cannot read from {name}"))?;
    }
    let used = child.wait4().with_context(|| format!("cannot wait for {name}"))?;
    let wall = start.elapsed();
    let Ok(stderr) = errors.join() else { bail!("reading the errors of {name} failed") };
    Ok(Finished {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        peak_rss: used.rusage.maxrss,
        stdout,
        status: used.status,
        stderr: String::from_utf8_lossy(&stderr?).into_owned(),
    })
}

/// As [`run`]; an error, with the last line of what the command said, if its exit code is not 0.
pub(crate) fn run_ok(command: &mut Command) -> Result<Finished> {
    let finished = run(command)?;
    if !finished.status.success() {
        let said = finished.stderr.lines().last().unwrap_or("nothing on standard error").to_owned();
        bail!("{} failed ({}): {said}", command.get_program().to_string_lossy(), finished.status);
    }
    Ok(finished)
}

/// As [`run`] for a search, where exit code 1 says that nothing was found.
pub(crate) fn run_search(command: &mut Command) -> Result<Finished> {
    let finished = run(command)?;
    match finished.status.code() {
        Some(0 | 1) => Ok(finished),
        _ => bail!("{} failed ({}): {}", command.get_program().to_string_lossy(), finished.status, finished.stderr),
    }
}

/// The length of a file, or of all files below a folder, in bytes. What goes meanwhile takes no room.
pub(crate) fn bytes_on_disk(path: &Path) -> Result<u64> {
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if gone(&error) => return Ok(0),
        metadata => metadata.with_context(|| format!("cannot read {}", path.display()))?,
    };
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    match fs::read_dir(path) {
        Err(error) if gone(&error) => Ok(0),
        entries => entries
            .with_context(|| format!("cannot list {}", path.display()))?
            .map(|entry| bytes_on_disk(&entry?.path()))
            .sum(),
    }
}

/// The memory that a process has resident, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most memory that a process has ever had resident, in bytes.
pub(crate) fn peak(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, kind: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("no {kind} in {path}"))? * 1024)
}

/// The user and system time that a process has used so far, in steps of the kernel's clock tick (mostly 10 ms).
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The name between parentheses may hold anything, so fields count from the last one: utime and stime are the 14th
    // and 15th of all, the 12th and 13th from there.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>();
    let ticks = ticks.with_context(|| format!("no times in {path}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_measured() -> Result<()> {
        let finished = run_ok(Command::new("sh").args(["-c", "echo out; echo err >&2; sleep 0.05"]))?;
        assert_eq!(finished.stdout, b"out\n");
        assert!(finished.wall >= Duration::from_millis(50));
        assert!(finished.cpu < Duration::from_secs(1));
        assert!(finished.peak_rss > 0);
        Ok(())
    }

    #[test]
    fn a_failure_says_what_the_child_said() {
        let error =
            run_ok(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.ends_with(": broken")));
    }

    #[test]
    fn own_figures_are_there() -> Result<()> {
        let own = std::process::id();
        assert!(resident(own)? > 0);
        assert!(peak(own)? >= resident(own)?);
        assert!(cpu(own)? < Duration::from_secs(3600));
        Ok(())
    }
}
