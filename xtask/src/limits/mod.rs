//! `cargo xtask limits`: what happens where trees, files and lines are as large as they get, and what it costs. Each case
//! has a tree and a server of its own; what the table says was measured, and what it calls right was compared with `rg`.

mod cases;
mod server;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use self::server::Place;
use crate::namespace;
use crate::sandbox::Scratch;
use crate::tools::RIPGREP;
use crate::workspace::{Workspace, run as run_command};

/// What happens at the limits: a million files, too few watches, huge files and lines, many codebases.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the trees are made and removed: 10 GB and two million inodes must be free.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Only these cases.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Use this syncline instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Measures each case, and prints a line of a table for each; an error when an answer differs from `rg`'s.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    let ripgrep = RIPGREP.ensure(&workspace)?;
    if !namespace::is_inside() {
        if options.binary.is_none() {
            run_command(&mut workspace.cargo(&["build", "--release"]))?;
        }
        return namespace::enter();
    }
    let syncline = match &options.binary {
        Some(binary) => binary.canonicalize().with_context(|| format!("no program at {}", binary.display()))?,
        None => workspace.target.join("release/syncline"),
    };
    let known: Vec<_> = cases::CASES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = options.only.iter().find(|only| !known.contains(&only.as_str())) {
        bail!("there is no case {unknown}; there are {}", known.join(", "));
    }
    println!("| case | first, until fresh | CPU, peak memory, on disk | then |\n| --- | --- | --- | --- |");
    for (name, case) in cases::CASES {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            let scratch = Scratch::folder(options.folder.as_ref().unwrap_or(&workspace.target))?;
            let place = Place::new(scratch.path(), &syncline, &ripgrep.program)?;
            case(&place).with_context(|| format!("the case {name}"))?;
        }
    }
    Ok(())
}
