//! `cargo xtask reproduce`: programs that reproduce faults, run one after the other, each with a time limit. Each is given
//! the path of syncline, finds ripgrep in `RG`, and exits with 0 if the fault isn't there.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sandbox::{self, Scratch};
use crate::tools::RIPGREP;
use crate::workspace::{Workspace, run as run_command};

/// Run folders of programs that reproduce faults: each `NAME.sh` and `NAME.py` gets the path of syncline, and ripgrep's in `RG`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folders of programs, or single ones.
    #[arg(value_name = "FOLDER", required = true)]
    folders: Vec<PathBuf>,
    /// Use this syncline instead of building one.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// How long each may take, in seconds.
    #[arg(long, value_name = "N", default_value_t = 240)]
    patience: u64,
}

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Letters of a program's last line that are shown.
const SHOWN: usize = 160;

/// How one program ended.
struct Outcome {
    name: String,
    /// What is wrong, if anything.
    fault: Option<String>,
    took: Duration,
}

/// Runs all of them and prints a table; an error if any finds its fault, fails or takes too long.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    let programs = programs(&options.folders)?;
    let ripgrep = RIPGREP.ensure(&workspace)?;
    let syncline = match &options.program {
        Some(program) => program.canonicalize().with_context(|| format!("no program at {}", program.display()))?,
        None => {
            run_command(&mut workspace.cargo(&["build", "--release"]))?;
            workspace.target.join("release/syncline")
        }
    };
    let mut outcomes = Vec::new();
    for program in programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        eprintln!("{name}");
        let start = Instant::now();
        let scratch = Scratch::folder(&std::env::temp_dir())?;
        let patience = Duration::from_secs(options.patience);
        let fault = reproduce(&program, &syncline, &ripgrep.program, scratch.path(), patience, sandbox::reap_orphans)?;
        let took = start.elapsed();
        sandbox::hold_if_stopping();
        // Engines that it has started, too.
        sandbox::end_descendants();
        outcomes.push(Outcome { name, fault, took });
    }
    table(&outcomes)
}

/// The programs in the folders, in the order of their names.
fn programs(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for folder in folders {
        let folder = folder.canonicalize().with_context(|| format!("there is no {}", folder.display()))?;
        if folder.is_file() {
            programs.push(folder);
            continue;
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        found.retain(|path| path.is_file() && interpreter(path).is_some());
        if found.is_empty() {
            bail!("no NAME.sh and no NAME.py in {}", folder.display());
        }
        found.sort();
        programs.extend(found);
    }
    Ok(programs)
}

/// What runs a program of this name.
fn interpreter(program: &Path) -> Option<&'static str> {
    match program.extension()?.to_str()? {
        "sh" => Some("bash"),
        "py" => Some("python3"),
        _ => None,
    }
}

/// Runs a program, telling `meanwhile` its process again and again, and gives what it says last if it doesn't end with 0 in time.
fn reproduce(
    program: &Path,
    syncline: &Path,
    ripgrep: &Path,
    scratch: &Path,
    patience: Duration,
    meanwhile: impl Fn(u32),
) -> Result<Option<String>> {
    let said = scratch.join("output");
    let output = fs::File::create(&said).with_context(|| format!("cannot create {}", said.display()))?;
    let errors = output.try_clone().context("cannot share a file")?;
    let home = scratch.join("home");
    let mut command = Command::new(interpreter(program).unwrap_or("bash"));
    sandbox::isolate(&mut command, &home)?;
    command.arg(program).arg(syncline).env("RG", ripgrep).current_dir(&home);
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().context("cannot start it")?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().context("cannot wait for it")? {
            Some(status) => break Some(status),
            None if start.elapsed() < patience => {
                meanwhile(child.id());
                thread::sleep(LOOK);
            }
            None => {
                // What it has started goes with the others below this process.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    if status.is_some_and(|status| status.success()) {
        return Ok(None);
    }
    let mut text = Vec::new();
    fs::File::open(&said).and_then(|mut file| file.read_to_end(&mut text)).context("cannot read what it said")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    let last: String = last.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
    Ok(Some(match status {
        Some(status) => format!("{status}: {last}"),
        None => format!("no end within {} s: {last}", patience.as_secs()),
    }))
}

/// Prints how each ended; an error if one has a fault.
fn table(outcomes: &[Outcome]) -> Result<()> {
    let width = outcomes.iter().map(|outcome| outcome.name.chars().count()).max().unwrap_or_default();
    println!();
    for Outcome { name, fault, took } in outcomes {
        let (word, says) = match fault {
            None => ("ok", ""),
            Some(says) => ("FAULT", says.as_str()),
        };
        println!("{word:<5}  {name:<width$}  {:>6.1} s  {says}", took.as_secs_f64());
    }
    let faults = outcomes.iter().filter(|outcome| outcome.fault.is_some()).count();
    println!("programs: {} ok, {faults} with a fault", outcomes.len() - faults);
    if faults > 0 {
        bail!("{faults} of {} programs reproduce their fault", outcomes.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_judged_by_their_end() -> Result<()> {
        let folder = Scratch::folder(&std::env::temp_dir())?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("a.sh", "[ \"$RG\" = /rg ] && [ \"$1\" = /syncline ]\n")?;
        write("b.sh", "echo first; echo last >&2; echo; exit 1\n")?;
        write("c.sh", "echo waits; exec sleep 60\n")?;
        write("notes.md", "no program\n")?;
        let programs = programs(&[folder.path().to_owned()])?;
        let mut faults = Vec::new();
        for program in &programs {
            let scratch = Scratch::folder(folder.path())?;
            let patience = Duration::from_secs(if program.ends_with("c.sh") { 1 } else { 60 });
            faults.push(reproduce(
                program,
                Path::new("/syncline"),
                Path::new("/rg"),
                scratch.path(),
                patience,
                |_| {},
            )?);
        }
        let faults: Vec<_> = faults.iter().map(Option::as_deref).collect();
        assert_eq!(faults, [None, Some("exit status: 1: last"), Some("no end within 1 s: waits")]);
        Ok(())
    }
}
