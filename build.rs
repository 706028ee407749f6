//! Tells the program its version: the package's, the commit, the commit's date.

use std::process::Command;

fn main() {
    let package = env!("CARGO_PKG_VERSION");
    // A packaged source has no repository; its version is the package's alone.
    let commit = Command::new("git").args(["log", "-1", "--format=%h %cs"]).output().ok();
    let commit = commit.filter(|out| out.status.success()).and_then(|out| String::from_utf8(out.stdout).ok());
    let version = match commit.as_deref().map(str::trim) {
        Some(commit) if !commit.is_empty() => format!("{package} ({commit})"),
        _ => package.to_owned(),
    };
    println!("cargo::rustc-env=SYNCLINE_VERSION={version}");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    println!("cargo::rerun-if-changed=build.rs");
}
