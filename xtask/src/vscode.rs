//! The extension for VS Code: its tools, its tests, its packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::sandbox::{self, Scratch};
use crate::tools::{CHROMIUM, CODE_SERVER, NODE, NPM, REDIS, Tool};
use crate::workspace::{Workspace, run};

/// What the extension's tests need.
pub(crate) const TOOLS: &[&Tool] = &[&NPM, &NODE, &CODE_SERVER, &CHROMIUM, &REDIS];

/// The extension's folder, with what it is built with installed.
pub(crate) struct Extension {
    folder: PathBuf,
    node: PathBuf,
}

impl Extension {
    /// Installs Node and the packages that the lock file names, where they are missing.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        NPM.ensure(workspace)?;
        let node = NODE.ensure(workspace)?.program;
        let extension = Self { folder: workspace.root.join("editors/vscode"), node };
        // A copy of the lock file says what was installed last.
        let wanted = fs::read(extension.folder.join("package-lock.json")).context("cannot read package-lock.json")?;
        let installed = extension.folder.join("node_modules/.installed");
        if fs::read(&installed).ok().as_ref() != Some(&wanted) {
            let mut command = Command::new("npm");
            command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            run(command.current_dir(&extension.folder).stdin(Stdio::null()))?;
            fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
        }
        Ok(extension)
    }

    /// Types and style of the code, then the tests of what needs no VS Code.
    pub(crate) fn check(&self) -> Result<()> {
        run(&mut self.node(&["node_modules/typescript/bin/tsc", "--noEmit"]))?;
        run(&mut self.node(&["node_modules/eslint/bin/eslint.js", "."]))?;
        run(&mut self.tests("test/unit/*.test.ts"))
    }

    /// Installs the package in a real VS Code and uses it there. `server` goes into the package.
    pub(crate) fn end_to_end(&self, workspace: &Workspace, server: &Path) -> Result<()> {
        let code_server = CODE_SERVER.ensure(workspace)?;
        let chromium = CHROMIUM.ensure(workspace)?;
        let redis = REDIS.ensure(workspace)?;
        eprintln!("testing with {}, {}, {}", code_server.label, chromium.label, redis.label);
        let home = Scratch::folder(&std::env::temp_dir())?;
        let package = home.path().join("syncline.vsix");
        self.build()?;
        self.package(&package, Some(server))?;
        let screens = workspace.target.join("vscode-screens");
        fs::create_dir_all(&screens).with_context(|| format!("cannot create {}", screens.display()))?;
        let mut command = self.tests("test/e2e/*.test.ts");
        sandbox::isolate(&mut command, home.path())?;
        command
            .env("SYNCLINE_BIN", server)
            .env("SYNCLINE_TEST_CODE_SERVER", &code_server.program)
            .env("SYNCLINE_TEST_CHROMIUM", &chromium.program)
            .env("SYNCLINE_TEST_REDIS", &redis.program)
            .env("SYNCLINE_TEST_VSIX", &package)
            .env("SYNCLINE_TEST_SHOTS", &screens);
        run(&mut command)
    }

    /// Bundles the code.
    pub(crate) fn build(&self) -> Result<()> {
        run(&mut self.node(&["scripts/build.mjs"]))
    }

    /// Makes a package at `out`: for this platform, with `server` inside, or for all, with none.
    pub(crate) fn package(&self, out: &Path, server: Option<&Path>) -> Result<()> {
        let mut command = self.node(&["scripts/package.mjs", "--out"]);
        command.arg(out);
        if let Some(server) = server {
            command.arg("--server").arg(server).arg("--target").arg(platform()?);
        }
        run(&mut command)
    }

    fn tests(&self, files: &str) -> Command {
        // Node says that it had to look into a file to know that it is a module; that costs nothing here.
        self.node(&["--test", "--test-concurrency=1", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", files])
    }

    fn node(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.node);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        // For what it starts in turn.
        let own = self.node.parent().map(Path::to_path_buf);
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))) {
            command.env("PATH", path);
        }
        command
    }
}

/// Make the extension's packages: one with the server inside for this platform, and one without.
#[derive(clap::Args)]
pub(crate) struct DistOptions {
    /// Put this program into the package, instead of building it.
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
}

/// Makes the packages in `target/dist` and prints their sizes.
pub(crate) fn dist(options: &DistOptions) -> Result<()> {
    let workspace = Workspace::locate()?;
    let extension = Extension::prepare(&workspace)?;
    let server = match &options.server {
        Some(server) => server.clone(),
        None => {
            // The names of functions would be a tenth of the package.
            let mut build = workspace.cargo(&["build", "--release", "--package", "syncline"]);
            run(build.env("CARGO_PROFILE_RELEASE_STRIP", "symbols"))?;
            workspace.target.join("release").join(format!("syncline{}", std::env::consts::EXE_SUFFIX))
        }
    };
    if !server.is_file() {
        bail!("there is no program {}", server.display());
    }
    let folder = workspace.target.join("dist");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let version = env!("CARGO_PKG_VERSION");
    extension.build()?;
    extension.package(&folder.join(format!("syncline-{version}-{}.vsix", platform()?)), Some(&server))?;
    extension.package(&folder.join(format!("syncline-{version}.vsix")), None)?;
    println!("in {}", folder.display());
    Ok(())
}

/// This platform, as VS Code's marketplace calls it.
fn platform() -> Result<String> {
    let system = match std::env::consts::OS {
        "linux" if cfg!(target_env = "musl") => "alpine",
        "linux" => "linux",
        "macos" => "darwin",
        "windows" => "win32",
        other => bail!("VS Code has no packages for {other}"),
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("VS Code has no packages for {other}"),
    };
    Ok(format!("{system}-{machine}"))
}
