//! Neovim: the versions that the plugin is tested with, its tests, and the checks of its Lua.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sandbox::{self, Scratch};
use crate::tools::{Installed, LUACHECK, NEOVIM, NEOVIM_FIRST, NEOVIM_NEWEST, NEOVIM_TOO_OLD, SNACKS, STYLUA, Tool};
use crate::workspace::{Workspace, run};

/// How long one file of tests may take before it is killed and counts as failed.
const DEADLINE: Duration = Duration::from_secs(180);

/// What the plugin and its tests are in, below the root.
const LUA: [&str; 2] = ["editors/nvim", "tests/nvim"];

/// What the tests of the plugin need.
pub(crate) const TOOLS: &[&Tool] =
    &[&NEOVIM, &NEOVIM_FIRST, &NEOVIM_NEWEST, &NEOVIM_TOO_OLD, &SNACKS, &LUACHECK, &STYLUA];

/// Everything that the tests of the plugin need.
pub(crate) struct Neovim {
    /// The version that most people have.
    pub(crate) usual: Installed,
    first: Installed,
    newest: Installed,
    too_old: Installed,
    snacks: Installed,
    luacheck: Installed,
    stylua: Installed,
}

impl Neovim {
    /// Installs what is missing.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            usual: NEOVIM.ensure(workspace)?,
            first: NEOVIM_FIRST.ensure(workspace)?,
            newest: NEOVIM_NEWEST.ensure(workspace)?,
            too_old: NEOVIM_TOO_OLD.ensure(workspace)?,
            snacks: SNACKS.ensure(workspace)?,
            luacheck: LUACHECK.ensure(workspace)?,
            stylua: STYLUA.ensure(workspace)?,
        })
    }

    /// What there is, for people.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        [&self.first, &self.usual, &self.newest, &self.too_old, &self.snacks, &self.luacheck, &self.stylua]
            .into_iter()
            .map(|tool| tool.label.as_str())
    }

    /// Checks the Lua: how it is laid out, and what luacheck sees.
    pub(crate) fn check_lua(&self, workspace: &Workspace) -> Result<()> {
        run_stylua(workspace, &self.stylua, &["--check"])?;
        let mut luacheck = Command::new(&self.luacheck.program);
        luacheck.args(["--quiet", "--config", "editors/nvim/.luacheckrc"]).args(LUA);
        run(luacheck.current_dir(&workspace.root).stdin(Stdio::null()))
    }

    /// The files of tests, each with a version to run it in.
    pub(crate) fn tests(&self, workspace: &Workspace) -> Result<Vec<(PathBuf, &Installed)>> {
        let folder = workspace.root.join("tests/nvim");
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut scripts: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        scripts.retain(|path| path.extension().is_some_and(|extension| extension == "lua"));
        scripts.sort();
        let mut tests = Vec::new();
        for script in scripts {
            let name = script.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let versions = match name {
                // The other plugins are packaged for the newest; the one that is too old can't run tests itself.
                "sources" => vec![&self.newest],
                "too_old" => vec![&self.usual],
                _ => vec![&self.first, &self.usual, &self.newest],
            };
            tests.extend(versions.into_iter().map(|version| (script.clone(), version)));
        }
        Ok(tests)
    }

    /// Runs one file of tests in a Neovim with an empty home; exit code 0 within [`DEADLINE`] is a pass.
    pub(crate) fn run_test(&self, workspace: &Workspace, script: &Path, version: &Installed) -> Result<()> {
        let home = home()?;
        let syncline = workspace.target.join("debug/syncline");
        let mut command = script_command(workspace, script, version, &syncline, home.path())?;
        command.env("TEST_NVIM_OLD", &self.too_old.program);
        command.env("TEST_NVIM_SNACKS", &self.snacks.program);
        if let Some(folder) = self.newest.program.ancestors().nth(2) {
            command.env("TEST_NVIM_PLUGINS", folder.join("root/usr/share"));
        }

        eprintln!("$ nvim --clean --headless -l {} ({})", script.display(), version.label);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", version.program.display()))?;
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = child.try_wait().context("cannot wait for nvim")? {
                // What it wrote last may have no newline at its end.
                eprintln!();
                if !status.success() {
                    bail!("nvim ended with {status}");
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!();
        sandbox::end_descendants();
        bail!("not done after {} s, killed", DEADLINE.as_secs());
    }
}

/// A home for a script's Neovims; in the system's temporary folder because a socket's path must be short.
fn home() -> Result<Scratch> {
    Scratch::folder(&std::env::temp_dir())
}

/// Runs a script in a Neovim with an empty home, to drive others of the same version.
fn script_command(
    workspace: &Workspace,
    script: &Path,
    version: &Installed,
    syncline: &Path,
    home: &Path,
) -> Result<Command> {
    let mut command = Command::new(&version.program);
    command.args(["--clean", "--headless", "-l"]).arg(script);
    sandbox::isolate(&mut command, home)?;
    // An editor around us would hand on its own runtime files.
    for name in ["VIM", "VIMRUNTIME", "NVIM", "NVIM_APPNAME"] {
        command.env_remove(name);
    }
    command.env("SYNCLINE_BIN", syncline).env("TEST_NVIM", &version.program);
    command.current_dir(&workspace.root).stdin(Stdio::null());
    Ok(command)
}

/// Measure how long Neovim takes for a key while a tree is indexed for the first time, without the plugin and with it,
/// taking turns. It prints quantiles of each turn in milliseconds, then their medians, what the plugin adds, and what
/// two turns without it differ by.
#[derive(clap::Args)]
pub(crate) struct Typing {
    /// The tree that is indexed meanwhile; so large that this takes longer than the typing.
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// The file of it that is typed into. It isn't saved.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How often all turns are taken.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many keys are typed in a turn, 33 a second at most.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(100..))]
    keys: u32,
    /// Attach a language server that wants each change, too, in all turns.
    #[arg(long)]
    language_server: bool,
    /// Measure with this syncline instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Measures typing, as [`Typing`] says.
pub(crate) fn typing(options: &Typing) -> Result<()> {
    let workspace = Workspace::locate()?;
    let version = NEOVIM.ensure(&workspace)?;
    let corpus =
        fs::canonicalize(&options.corpus).with_context(|| format!("no corpus at {}", options.corpus.display()))?;
    let syncline = match &options.binary {
        Some(binary) => fs::canonicalize(binary).with_context(|| format!("no program at {}", binary.display()))?,
        None => {
            run(&mut workspace.cargo(&["build", "--release"]))?;
            workspace.target.join("release/syncline")
        }
    };
    let home = home()?;
    let script = workspace.root.join("tests/nvim/measure/typing.lua");
    let mut command = script_command(&workspace, &script, &version, &syncline, home.path())?;
    command.env("TYPING_CORPUS", corpus).env("TYPING_FILE", &options.file);
    command.env("TYPING_ROUNDS", options.rounds.to_string()).env("TYPING_KEYS", options.keys.to_string());
    command.env("TYPING_SERVER", if options.language_server { "1" } else { "0" });
    run(&mut command)
}

/// Formats the plugin's Lua.
pub(crate) fn format_lua(workspace: &Workspace) -> Result<()> {
    run_stylua(workspace, &STYLUA.ensure(workspace)?, &[])
}

fn run_stylua(workspace: &Workspace, stylua: &Installed, arguments: &[&str]) -> Result<()> {
    let mut node = Command::new("node");
    node.arg("editors/nvim/scripts/format.mjs").arg(&stylua.program).args(arguments).args(LUA);
    run(node.current_dir(&workspace.root).stdin(Stdio::null()))
}
