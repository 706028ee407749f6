//! Where the project is and how its commands are started.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The project's folders.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the environment or a configuration has put it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo for the workspace that this command belongs to.
    pub(crate) fn locate() -> Result<Self> {
        let here = env!("CARGO_MANIFEST_DIR");
        let output = Command::new(cargo())
            .args(["metadata", "--format-version=1", "--no-deps"])
            .current_dir(here)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed in {here}");
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;
        let folder = |key: &str| -> Result<PathBuf> {
            let path = metadata[key].as_str();
            Ok(path.with_context(|| format!("`cargo metadata` names no {key}"))?.into())
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// A cargo command, to be run in the root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The compiler that cargo uses, to be run in the root.
    pub(crate) fn rustc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Where the tools that this project installs for itself live.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}

/// The cargo that runs us, so that the toolchain stays the same.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Prints a command and runs it to its end, its output shown; an error if it cannot start or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end without a word; an error, with what it said, if it cannot start or fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// A command as one would type it, programs by their name alone.
fn command_line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
