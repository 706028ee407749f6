//! The repository that lives: 20,000 files, and branches that differ.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use super::place::Place;
use super::words;
use crate::compare::patterns::files;
use crate::compare::random::Random;

const AREAS: usize = 20;
const PARTS: usize = 20;
const FILES_OF_A_PART: usize = 50;
/// Kinds of files, the frequent ones more than once.
const EXTENSIONS: &[&str] = &["rs", "rs", "c", "c", "py", "md", "txt", "json", "js", "h"];
/// The branches beside the first, and in how many files they differ from it.
pub(super) const BRANCHES: &[(&str, usize)] = &[("near", 200), ("far", 1500), ("farther", 4000)];
/// The first branch.
pub(super) const FIRST: &str = "first";
/// A branch on which folders are links: one leads out of the tree, one elsewhere in it.
pub(super) const LINKED: &str = "linked";
/// What a build, a package manager and programs leave behind is ignored.
pub(super) const IGNORED: &str = "/target/\n/build/\nnode_modules/\n*.log\n";

/// Makes the repository in the place's tree, which is empty.
pub(super) fn make(place: &Place, random: &mut Random) -> Result<()> {
    let tree = &place.tree;
    for area in 0..AREAS {
        for part in 0..PARTS {
            let folder = tree.join(format!("area{area:02}/part{part:02}"));
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            for number in 0..FILES_OF_A_PART {
                let extension = random.pick(EXTENSIONS);
                let file = folder.join(format!("{}{number:02}.{extension}", words::word(random)));
                write(&file, words::text(extension, random))?;
            }
        }
    }
    // What is asked for after a switch.
    let to_be_linked = [tree.join("area02/part03"), tree.join("area04/part05")];
    to_be_linked.iter().try_for_each(|folder| write(&folder.join("marked.txt"), "odd_0\n"))?;
    write(&tree.join(".gitignore"), IGNORED)?;
    place.git(&["init", "--quiet", "--initial-branch", FIRST])?;
    commit(place, "everything")?;
    let all = files(tree);
    for (branch, differing) in BRANCHES {
        place.git(&["checkout", "--quiet", "-b", branch, FIRST])?;
        for number in 0..*differing {
            let file = random.pick(&all);
            match number % 10 {
                // It may have been removed before.
                0 => drop(fs::remove_file(file)),
                1 => write(&file.with_file_name(format!("{branch}-{number}.rs")), words::text("rs", random))?,
                _ => write(file, words::text("c", random))?,
            }
        }
        commit(place, branch)?;
    }
    place.git(&["checkout", "--quiet", "-b", LINKED, FIRST])?;
    let out = place.outside.join("tracked");
    for (folder, to) in to_be_linked.iter().zip([&out, Path::new("part06")]) {
        match to.is_absolute() {
            true => fs::rename(folder, to).with_context(|| format!("cannot move {}", folder.display()))?,
            false => fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?,
        }
        symlink(to, folder).with_context(|| format!("cannot link {}", folder.display()))?;
    }
    commit(place, LINKED)?;
    place.git(&["checkout", "--quiet", FIRST])
}

/// Commits everything, if there is anything.
pub(super) fn commit(place: &Place, message: &str) -> Result<()> {
    place.git(&["add", "--all"])?;
    place.git(&["commit", "--quiet", "--allow-empty", "--message", message])
}

fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
