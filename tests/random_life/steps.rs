//! What happens, one step at a time. What can't be done to a tree in this state isn't.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::Random;
use crate::world::{FOLDERS, Repository, World, run};

/// How often it happens beside the others, and what; that gives what it was done to.
type Step = (usize, &'static str, fn(&mut World, &mut Random, usize) -> String);

#[rustfmt::skip]
const STEPS: &[Step] = &[
    (36, "written", write),
    (6, "removed", remove),
    (6, "renamed", rename),
    (4, "folder renamed", rename_folder),
    (3, "folder removed", remove_folder),
    (5, "folder removed, a link out in its place", link_out),
    (4, "folder moved away, a link renamed into its place", link_by_rename),
    (3, "folder and link exchanged", exchange),
    (4, "folder becomes a link inside the tree", link_inside),
    (9, "link becomes a folder", unlink),
    (4, "checked out", checkout),
    (4, "second name inside the tree", link_file),
    (3, "second name outside the tree", link_file_out),
    (4, "written outside the tree", write_outside),
    (4, "closed", close),
    (5, "all opened", open),
    (5, "rules above", rules_above),
    (2, "repository above", repository_above),
    (2, "the user's rules", rules_of_user),
    (4, "rules", rules),
    (3, "rules are a link", rules_link),
    (4, "rules that are linked to", rules_linked),
    (2, ".jj", jj),
    (3, "repository's own rules", exclude),
    (3, "nested repository", nested),
    (2, "folder above replaced", replace_above),
    (2, "written through a map", map),
    (1, "written through a map twice", map_twice),
    (3, "mounted over a folder", mount),
    (4, "unmounted", unmount),
];

/// Lets one thing happen, and says which.
pub fn step(world: &mut World, random: &mut Random, number: usize) -> String {
    let mut at = random.below(STEPS.iter().map(|(weight, ..)| weight).sum());
    for (weight, name, act) in STEPS {
        if at < *weight {
            return format!("{name}: {}", act(world, random, number));
        }
        at -= weight;
    }
    unreachable!("a number below the sum of the weights")
}

/// A file's path in the tree; it need not exist.
fn path(random: &mut Random) -> String {
    let folders = ["", "", "a/", "a/", "b/", "a/c/", "b/a/", "ignored/", "a/ignored/"];
    format!("{}f{}.txt", folders[random.below(folders.len())], random.below(8))
}

fn folder(random: &mut Random) -> &'static str {
    FOLDERS[random.below(FOLDERS.len())]
}

fn write(world: &mut World, random: &mut Random, number: usize) -> String {
    let path = path(random);
    // Now and then as long as the one before, and within the same tick of the clock.
    world.write(&world.at(&path), &format!("line {:05}\n", number * 10 + random.below(10)));
    path
}

fn remove(world: &mut World, random: &mut Random, _: usize) -> String {
    let path = path(random);
    drop(fs::remove_file(world.at(&path)));
    path
}

fn rename(world: &mut World, random: &mut Random, _: usize) -> String {
    let (from, to) = (path(random), path(random));
    drop(fs::rename(world.at(&from), world.at(&to)));
    format!("{from} {to}")
}

fn rename_folder(world: &mut World, random: &mut Random, _: usize) -> String {
    let (from, to) = [("a", "b/a"), ("b/a", "a"), ("a/c", "b/c"), ("b", "d"), ("d", "b")][random.below(5)];
    drop(fs::rename(world.at(from), world.at(to)));
    format!("{from} {to}")
}

fn remove_folder(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = folder(random);
    drop(fs::remove_dir_all(world.at(folder)));
    folder.to_owned()
}

fn link_out(world: &mut World, random: &mut Random, _: usize) -> String {
    let (folder, target) = (folder(random), ["a", "b", "", "c", "nowhere"][random.below(5)]);
    drop(fs::remove_dir_all(world.at(folder)));
    drop(symlink(world.outside.join(target), world.at(folder)));
    format!("{folder} to {target}")
}

fn link_by_rename(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = folder(random);
    // It leads to where the folder itself is now, so that all that was indexed is there by the same names.
    let number = world.next();
    let away = world.outside.join(format!("moved-{number}"));
    let link = world.at("link-to-be");
    drop(fs::remove_file(&link));
    drop(symlink(&away, &link));
    drop(fs::rename(world.at(folder), &away));
    drop(fs::rename(&link, world.at(folder)));
    format!("{folder} to {}", away.display())
}

fn exchange(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = folder(random);
    let link = world.at("link");
    drop(fs::remove_file(&link));
    drop(symlink(world.outside.join("a"), &link));
    let _ = renameat_with(CWD, world.at(folder), CWD, &link, RenameFlags::EXCHANGE);
    folder.to_owned()
}

fn link_inside(world: &mut World, random: &mut Random, number: usize) -> String {
    let (folder, target) = (folder(random), ["a", "b", ".", "ignored"][random.below(4)]);
    match random.below(2) {
        0 => drop(fs::remove_dir_all(world.at(folder))),
        _ => drop(fs::rename(world.at(folder), world.at(&format!("was-{}", number)))),
    }
    drop(symlink(world.at(target), world.at(folder)));
    format!("{folder} to {target}")
}

fn unlink(world: &mut World, random: &mut Random, number: usize) -> String {
    let folder = folder(random);
    let path = world.at(folder);
    if !path.is_symlink() {
        return format!("{folder} is none");
    }
    let target = fs::read_link(&path).unwrap();
    drop(fs::remove_file(&path));
    // Back from where it went, or a new one.
    if target.starts_with(world.outside.join("moved")) || random.below(2) == 0 {
        drop(fs::rename(&target, &path));
    }
    for name in 0..3 {
        world.write(&path.join(format!("f{name}.txt")), &format!("line {number:05}\n"));
    }
    folder.to_owned()
}

fn checkout(world: &mut World, random: &mut Random, _: usize) -> String {
    let branch = ["first", "linked"][random.below(2)];
    if world.repository == Repository::Git {
        let root = world.fixture.root.as_os_str();
        run("git", &["-C".as_ref(), root, "checkout".as_ref(), "-q".as_ref(), "-f".as_ref(), branch.as_ref()]);
    }
    branch.to_owned()
}

fn link_file(world: &mut World, random: &mut Random, _: usize) -> String {
    let (from, to) = (path(random), path(random));
    if from != to {
        drop(fs::remove_file(world.at(&to)));
        drop(fs::hard_link(world.at(&from), world.at(&to)));
    }
    format!("{from} {to}")
}

fn link_file_out(world: &mut World, random: &mut Random, _: usize) -> String {
    let (from, name) = (path(random), format!("h{}", random.below(4)));
    let to = world.outside.join(&name);
    drop(fs::remove_file(&to));
    match random.below(2) {
        0 => drop(fs::hard_link(world.at(&from), &to)),
        // It comes from outside.
        _ => {
            world.write(&to, "line that came\n");
            drop(fs::remove_file(world.at(&from)));
            drop(fs::hard_link(&to, world.at(&from)));
        }
    }
    format!("{from} {name}")
}

fn write_outside(world: &mut World, random: &mut Random, number: usize) -> String {
    let name = match random.below(3) {
        0 => path(random),
        _ => format!("h{}", random.below(4)),
    };
    world.write(&world.outside.join(&name), &format!("line {number:05} outside\n"));
    name
}

fn close(world: &mut World, random: &mut Random, _: usize) -> String {
    if !world.may_close {
        return "not here".to_owned();
    }
    let (path, mode) = match random.below(2) {
        0 => (path(random), 0),
        // Not at all; only what is asked for by name; only the names.
        _ => (folder(random).to_owned(), [0o000, 0o311, 0o644][random.below(3)]),
    };
    if !world.at(&path).is_symlink() {
        drop(fs::set_permissions(world.at(&path), fs::Permissions::from_mode(mode)));
    }
    format!("{path} {mode:o}")
}

fn open(world: &mut World, _: &mut Random, _: usize) -> String {
    world.open();
    String::new()
}

/// An ignore file's text.
fn rule(random: &mut Random) -> &'static str {
    ["f3.txt\n", "/tree/b\n", "b/\n", "*1.txt\n!a/f1.txt\n", "/b\n", "a/c\n", "# nothing\n", "!f3.txt\n"]
        [random.below(8)]
}

/// Writes a file of rules, or removes it.
fn write_rules(random: &mut Random, file: PathBuf, world: &World) -> String {
    match random.below(3) {
        0 => drop(fs::remove_file(&file)),
        _ => {
            // Not through a link: those have steps of their own.
            if file.is_symlink() {
                drop(fs::remove_file(&file));
            }
            world.write(&file, rule(random));
        }
    }
    file.display().to_string()
}

fn rules_above(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = [&world.above, &world.base][random.below(2)];
    let name = [".ignore", ".gitignore", ".rgignore"][random.below(3)];
    write_rules(random, folder.join(name), world)
}

fn repository_above(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = world.above.join([".git", ".jj"][random.below(2)]);
    match random.below(3) {
        0 => drop(fs::create_dir(&folder)),
        1 => drop(fs::remove_dir_all(&folder)),
        _ => world.write(&folder.join("info/exclude"), rule(random)),
    }
    folder.display().to_string()
}

fn rules_of_user(world: &mut World, random: &mut Random, _: usize) -> String {
    write_rules(random, world.excludes.clone(), world)
}

fn rules(world: &mut World, random: &mut Random, _: usize) -> String {
    let name =
        ["", "", "a/", "b/"][random.below(4)].to_owned() + [".ignore", ".gitignore", ".rgignore"][random.below(3)];
    write_rules(random, world.at(&name), world)
}

fn rules_link(world: &mut World, random: &mut Random, _: usize) -> String {
    let name = ["", "a/"][random.below(2)].to_owned() + [".ignore", ".gitignore"][random.below(2)];
    let target = match random.below(3) {
        0 => world.outside.join("rules"),
        1 => world.at("conf/rules"),
        _ => world.outside.join("rules-to-come"),
    };
    drop(fs::remove_file(world.at(&name)));
    drop(symlink(&target, world.at(&name)));
    format!("{name} to {}", target.display())
}

fn rules_linked(world: &mut World, random: &mut Random, _: usize) -> String {
    let file = match random.below(3) {
        0 => world.at("conf/rules"),
        1 => world.outside.join("rules-to-come"),
        _ => world.outside.join("rules"),
    };
    write_rules(random, file, world)
}

fn jj(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = world.at([".jj", "a/.jj"][random.below(2)]);
    match random.below(2) {
        0 => drop(fs::create_dir(&folder)),
        _ => drop(fs::remove_dir_all(&folder)),
    }
    folder.display().to_string()
}

fn exclude(world: &mut World, random: &mut Random, _: usize) -> String {
    match world.repository {
        Repository::None | Repository::Jj => "no git".to_owned(),
        Repository::Git => write_rules(random, world.at(".git/info/exclude"), world),
        Repository::Worktree => write_rules(random, world.base.join("main/.git/info/exclude"), world),
    }
}

fn nested(world: &mut World, random: &mut Random, _: usize) -> String {
    let folder = world.at(["a/.git", "b/.git", "a/c/.git"][random.below(3)]);
    match random.below(5) {
        0 => drop(fs::remove_dir_all(&folder)),
        1 => drop(fs::create_dir(&folder)),
        _ => world.write(&folder.join("info/exclude"), rule(random)),
    }
    folder.display().to_string()
}

/// The folder above goes elsewhere, and another tree is at the old path: a new one, or a copy with a change.
fn replace_above(world: &mut World, random: &mut Random, number: usize) -> String {
    if !world.mounts().is_empty() {
        return "not while something is mounted".to_owned();
    }
    let serial = world.next();
    let old = world.base.join(format!("old-{serial}"));
    fs::rename(&world.above, &old).unwrap();
    let is_copied = random.below(3) > 0;
    if !is_copied || !run("cp", &["-a".as_ref(), old.as_os_str(), world.above.as_os_str()]) {
        world.write(&world.at(".ignore"), "ignored\n");
    }
    world.write(&world.at("a/f1.txt"), &format!("line {number:05}\n"));
    // The old one goes on elsewhere.
    world.write(&old.join("tree/a/f0.txt"), "line of the old tree\n");
    if random.below(2) == 0 {
        drop(fs::remove_dir_all(&old));
    }
    format!("copied {is_copied}")
}

/// Maps the file named first, and writes what the other arguments say to its beginning; between two of them it waits for a
/// line.
const MAP: &str = "
import mmap, sys
file = open(sys.argv[1], 'r+b')
memory = mmap.mmap(file.fileno(), 0)
for number, text in enumerate(sys.argv[2:]):
    if number > 0:
        print(flush=True)
        sys.stdin.readline()
    memory[:len(text)] = text.encode()
memory.close()
file.close()
";

fn map(world: &mut World, random: &mut Random, number: usize) -> String {
    let path = path(random);
    let file = world.at(&path);
    if file.is_file() {
        let text = format!("line {number:05}");
        run("python3", &["-c".as_ref(), MAP.as_ref(), file.as_os_str(), text.as_ref()]);
    }
    path
}

/// The second time within the same page, so that the file's time stays as it was after the first.
fn map_twice(world: &mut World, random: &mut Random, number: usize) -> String {
    let path = path(random);
    let file = world.at(&path);
    if !file.is_file() {
        return format!("{path} isn't there");
    }
    let texts = [format!("line {number:05}"), format!("line {:05}", number + 50_000)];
    let mut command = Command::new("python3");
    command.args(["-c", MAP]).arg(&file).args(&texts).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.stderr(Stdio::null()).spawn() else { return "no python3".to_owned() };
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // It ends early if the file can't be written.
    if stdout.read_exact(&mut [0]).is_ok() {
        // Whoever looks now takes the first text, and has time for that.
        drop(fs::OpenOptions::new().append(true).open(&file));
        std::thread::sleep(Duration::from_millis(100 + random.below(300) as u64));
        drop(stdin.write_all(b"\n"));
    }
    child.wait().unwrap();
    path
}

fn mount(world: &mut World, random: &mut Random, number: usize) -> String {
    let (folder, source) = (folder(random), random.below(4));
    let at = world.at(folder);
    if !world.may_mount || !at.is_dir() || at.is_symlink() || world.mounts().len() > 3 {
        return "not here".to_owned();
    }
    let what = match source {
        0 | 1 => world.outside.join("a"),
        2 => world.at("b"),
        _ => PathBuf::from("tmpfs"),
    };
    let is_mounted = match source {
        3 => run("mount", &["-t".as_ref(), "tmpfs".as_ref(), "none".as_ref(), at.as_os_str()]),
        _ => run("mount", &["--bind".as_ref(), what.as_os_str(), at.as_os_str()]),
    };
    if source == 3 && is_mounted {
        world.write(&at.join("f2.txt"), &format!("line {number:05}\n"));
    }
    format!("{} over {folder}: {is_mounted}", what.display())
}

fn unmount(world: &mut World, _: &mut Random, _: usize) -> String {
    let Some(point) = world.mounts().first().cloned() else { return "nothing".to_owned() };
    world.unmount(&point);
    point.display().to_string()
}
