//! Debian's packages: those of the system, and programs from other releases beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::workspace::run;

/// How long apt waits, in seconds, for somebody else who installs packages; it says for which process.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=300";
/// How often a list of packages that somebody else writes is tried again, a second apart.
const LIST_TRIES: usize = 300;

/// Installs packages of the system in one go, where that is possible: as root, with `apt-get` there.
pub(crate) fn install_debian(packages: &[&str]) -> Result<()> {
    if Command::new("apt-get").arg("--version").output().is_err() {
        bail!("there is no apt-get");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("apt-get needs root");
    }
    let options = ["-o", LOCK_TIMEOUT, "install", "--quiet", "--yes", "--no-install-recommends"];
    let install = [&options, packages].concat();
    // A fresh machine has no package lists yet, or old ones.
    apt_get(&install).or_else(|_| apt_get(&["update", "--quiet"]).and_then(|()| apt_get(&install)))
}

/// Runs apt-get, its errors shown; as often as it takes while another holds one of its folders, for which it has no timeout of
/// its own.
fn apt_get(arguments: &[&str]) -> Result<()> {
    for tries in 1.. {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").stdin(Stdio::null());
        eprintln!("$ apt-get {}", arguments.join(" "));
        let output = command.stdout(Stdio::inherit()).output().context("cannot start apt-get")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break;
        }
        let held = said.lines().find(|line| line.contains("Could not get lock"));
        match held {
            Some(held) if tries < LIST_TRIES => {
                if tries == 1 {
                    eprintln!("waiting up to {LIST_TRIES} s: {held}");
                }
                thread::sleep(Duration::from_secs(1));
            }
            _ => bail!("`apt-get {}` failed ({}): {}", arguments.join(" "), output.status, said.trim()),
        }
    }
    Ok(())
}

/// Unpacks packages of a Debian release, with all that they need, into a folder, and puts `bin/nvim` there, which
/// starts with the libraries of that release. The system's own packages stay as they are.
pub(crate) fn unpack_debian(folder: &Path, release: &str, packages: &[&str]) -> Result<()> {
    let state = folder.join("apt");
    for name in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(name))?;
    }
    fs::write(state.join("status"), "")?;
    // From where the system has its own packages.
    let sites = Command::new("apt-get")
        .args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"])
        .stdin(Stdio::null())
        .output()
        .context("there is no apt-get")?;
    let sites = String::from_utf8_lossy(&sites.stdout).into_owned();
    let site = sites.lines().find(|site| !site.contains("security")).context("apt knows no source of packages")?;
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(state.join("sources.list"), format!("deb [signed-by={keyring}] {site} {release} main\n"))?;
    let at = state.display();
    fs::write(
        state.join("apt.conf"),
        format!(
            "Dir::State \"{at}/state\";\nDir::State::status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n\
             Dir::Etc::sourcelist \"{at}/sources.list\";\nDir::Etc::sourceparts \"-\";\n\
             APT::Sandbox::User \"\";\nAcquire::Languages \"none\";\nAPT::Keep-Downloaded-Packages \"true\";\n"
        ),
    )?;
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("APT_CONFIG", state.join("apt.conf")).stdin(Stdio::null()).stdout(Stdio::null());
        run(&mut command)
    };
    apt_get(&["update", "--quiet", "--quiet"])?;
    apt_get(&[&["install", "--quiet", "--yes", "--no-install-recommends", "--download-only"], packages].concat())?;

    let root = folder.join("root");
    for entry in fs::read_dir(state.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let status =
                Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root).stdin(Stdio::null()).status();
            if !status.context("there is no dpkg-deb")?.success() {
                bail!("dpkg-deb can't unpack {}", package.display());
            }
        }
    }
    // Parsers of tree-sitter are in a folder that only an installed Neovim looks into.
    let parsers = root.join("usr/lib/nvim/parser");
    let runtime = root.join("usr/share/nvim/runtime");
    if parsers.is_dir() && !runtime.join("parser").exists() {
        std::os::unix::fs::symlink(&parsers, runtime.join("parser"))?;
    }
    let loader = loader(&root)?;
    let libraries: Vec<_> = ["usr/lib", "lib"]
        .iter()
        .flat_map(|name| fs::read_dir(root.join(name)).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu"))
        .map(|path| path.display().to_string())
        .collect();
    let program = folder.join("bin/nvim");
    fs::create_dir_all(folder.join("bin"))?;
    fs::write(
        &program,
        format!(
            "#!/bin/sh\nexport VIMRUNTIME='{}'\nexec '{}' --library-path '{}' --argv0 \"$0\" '{}' \"$@\"\n",
            runtime.display(),
            loader.display(),
            libraries.join(":"),
            root.join("usr/bin/nvim").display()
        ),
    )?;
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::remove_dir_all(&state)?;
    Ok(())
}

/// The program that loads programs and their libraries, of an unpacked system.
fn loader(root: &Path) -> Result<PathBuf> {
    for name in ["usr/lib", "lib"] {
        for folder in fs::read_dir(root.join(name)).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                if file.file_name().to_string_lossy().starts_with("ld-linux") {
                    return Ok(file.path());
                }
            }
        }
    }
    bail!("the packages hold no ld-linux");
}
