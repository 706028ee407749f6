//! What happens to a tree: random edits, renames and deletes, and a switch of branches.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::patterns::files;
use super::random::Random;
use crate::sandbox;

/// Entries of a folder that becomes a link, at most.
const SMALL: usize = 200;
/// The branch that [`commit`] makes beside the first one.
const OTHER: &str = "other";

/// Makes the tree a repository of two branches that differ in `changed` files: edited, deleted and new ones.
pub(crate) fn commit(tree: &Path, home: &Path, random: &mut Random, changed: usize) -> Result<()> {
    let first = [
        &["init", "--quiet", "--initial-branch", "first"][..],
        &["config", "user.email", "compare@localhost"],
        &["config", "user.name", "compare"],
        &["config", "gc.auto", "0"],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "first"],
        &["checkout", "--quiet", "-b", OTHER],
    ];
    first.iter().try_for_each(|arguments| git(tree, home, arguments))?;
    let all = files(tree);
    for number in 0..changed {
        let file = random.pick(&all);
        match number % 10 {
            0 => drop(fs::remove_file(file)),
            1 => write(&file.with_file_name(format!("branch-{number}.c")), random, "branch")?,
            _ if file.exists() => edit(file, random)?,
            _ => {}
        }
    }
    let second =
        [&["add", "--all"][..], &["commit", "--quiet", "--message", "other"], &["checkout", "--quiet", "first"]];
    second.iter().try_for_each(|arguments| git(tree, home, arguments))
}

/// Goes to the other branch, or back to the first, over whatever was edited meanwhile; gives the number of files that differ between them.
pub(crate) fn switch(tree: &Path, home: &Path, to_other: bool) -> Result<usize> {
    git(tree, home, &["checkout", "--quiet", "--force", if to_other { OTHER } else { "first" }])?;
    let output =
        command(tree, home)?.args(["diff", "--name-only", "first", OTHER]).output().context("cannot run git")?;
    Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count())
}

/// `count` random steps: appended lines, atomic saves, new files, renames of files and folders, deletes; folders that become
/// links out of the tree, and folders again; second names, in the tree and outside, written through.
pub(super) fn live(tree: &Path, random: &mut Random, count: usize) -> Result<()> {
    let mut all = files(tree);
    let (outside, mut links) = (tree.with_file_name("outside"), Vec::new());
    fs::create_dir_all(&outside).with_context(|| format!("cannot create {}", outside.display()))?;
    for number in 0..count {
        // Folders move, so that what was listed may be elsewhere.
        if number % 200 == 199 {
            all = files(tree);
        }
        let file = random.pick(&all).clone();
        if !file.is_file() {
            continue;
        }
        match random.below(23) {
            0..=8 => edit(&file, random)?,
            9..=12 => {
                let other = file.with_extension("saving");
                fs::copy(&file, &other).with_context(|| format!("cannot copy {}", file.display()))?;
                edit(&other, random)?;
                rename(&other, &file)?;
            }
            13 | 14 => write(&file.with_file_name(format!("new-{number}.c")), random, "new")?,
            15 | 16 => rename(&file, &file.with_file_name(format!("renamed-{number}.h")))?,
            17 | 18 => fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?,
            19 => {
                let folder = file.parent().unwrap_or(tree);
                if folder != tree {
                    rename(folder, &folder.with_file_name(format!("moved-{number}")))?;
                }
            }
            20 => {
                let folder = file.parent().unwrap_or(tree);
                // What moves away would be a large part of the tree otherwise.
                if folder != tree && !folder.is_symlink() && fs::read_dir(folder)?.count() < SMALL {
                    let away = outside.join(format!("moved-{number}"));
                    rename(folder, &away)?;
                    symlink(&away, folder).with_context(|| format!("cannot link {}", folder.display()))?;
                    links.push((folder.to_owned(), away));
                }
            }
            21 => {
                if let Some((link, away)) = links.pop().filter(|(link, _)| link.is_symlink()) {
                    fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
                    rename(&away, &link)?;
                }
            }
            _ => {
                let name = format!("second-{number}.c");
                let second = if random.below(2) == 0 { outside.join(name) } else { file.with_file_name(name) };
                fs::hard_link(&file, &second).with_context(|| format!("cannot link {}", second.display()))?;
                edit(&second, random)?;
            }
        }
    }
    Ok(())
}

fn edit(file: &Path, random: &mut Random) -> Result<()> {
    let open = fs::OpenOptions::new().append(true).open(file);
    let line = format!("\nstatic int edited_{}; /* needle_{} */\n", random.below(1000), random.below(50));
    open.and_then(|mut open| open.write_all(line.as_bytes())).with_context(|| format!("cannot edit {}", file.display()))
}

fn write(file: &Path, random: &mut Random, what: &str) -> Result<()> {
    let text = format!("int {what}_{}(void)\n{{\n\treturn {};\n}}\n", random.below(1000), random.below(1000));
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn rename(from: &Path, to: &PathBuf) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename {}", from.display()))
}

fn command(tree: &Path, home: &Path) -> Result<Command> {
    let mut command = Command::new("git");
    sandbox::isolate(&mut command, home)?;
    command.arg("-C").arg(tree);
    Ok(command)
}

fn git(tree: &Path, home: &Path, arguments: &[&str]) -> Result<()> {
    let status = command(tree, home)?.args(arguments).status().context("cannot run git")?;
    if !status.success() {
        bail!("`git {}` failed ({status})", arguments.join(" "));
    }
    Ok(())
}
