//! The rules are held to ripgrep's own walker.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use ignore::WalkBuilder;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::watch::tree::Enter;

const FOLDERS: [&str; 9] = ["", "a", "a/b", "a/b/c", "a/.h", "build", "build/a", "b", ".h"];
const NAMES: [&str; 10] = ["a", "b", "x.txt", "x.log", ".x", ".keep.txt", "é", "build", "a b", "X.TXT"];
const LINES: [&str; 30] = [
    "a",
    "b",
    "*.txt",
    "*.log",
    "!x.txt",
    "!*.log",
    "/a",
    "/a/b",
    "a/b",
    "b/",
    "build/",
    "!build/",
    "**/c",
    "a/**",
    "*",
    "!*/",
    "!.x",
    "!.keep.txt",
    ".h",
    "!.h",
    "é",
    "a b",
    "# a",
    "\\#",
    "[ab]",
    "x.{txt,log}",
    "!a/",
    "c/",
    "/x.txt",
    "[",
];
const FILES_THAT_DECIDE: [&str; 4] = [".gitignore", ".ignore", ".rgignore", ".git/info/exclude"];

/// Something that is put into a tree.
#[derive(Clone, Debug)]
enum Put {
    File(usize, usize),
    Rules { folder: usize, file: usize, lines: Vec<usize>, crlf: bool, linked: bool },
    Repository { folder: usize, kind: usize },
}

fn put() -> impl Strategy<Value = Put> {
    let folder = 0..FOLDERS.len();
    prop_oneof![
        3 => (folder.clone(), 0..NAMES.len()).prop_map(|(folder, name)| Put::File(folder, name)),
        3 => (folder.clone(), 0..FILES_THAT_DECIDE.len(), prop::collection::vec(0..LINES.len(), 0..4), any::<bool>(), any::<bool>())
            .prop_map(|(folder, file, lines, crlf, linked)| Put::Rules { folder, file, lines, crlf, linked }),
        1 => (folder, 0..6usize).prop_map(|(folder, kind)| Put::Repository { folder, kind }),
    ]
}

/// Puts it into the tree at `top`; what is in the way of another stays.
fn make(top: &Path, number: usize, put: &Put) {
    let folder = |index: usize| {
        let folder = top.join(FOLDERS[index]);
        // A file may be in the way.
        fs::create_dir_all(&folder).map(|()| folder)
    };
    match put {
        Put::File(at, name) => {
            if let Ok(folder) = folder(*at) {
                let _ = fs::write(folder.join(NAMES[*name]), "");
            }
        }
        Put::Rules { folder: at, file, lines, crlf, linked } => {
            let Ok(folder) = folder(*at) else { return };
            let path = folder.join(FILES_THAT_DECIDE[*file]);
            let _ = fs::create_dir_all(path.parent().unwrap());
            let end = if *crlf { "\r\n" } else { "\n" };
            let text: String = lines.iter().map(|&line| format!("{}{end}", LINES[line])).collect();
            let _ = match linked {
                true => {
                    let target = top.join(format!("../rules-{number}"));
                    fs::write(&target, text).and_then(|()| symlink(target, path))
                }
                false => fs::write(path, text),
            };
        }
        Put::Repository { folder: at, kind } => {
            let Ok(folder) = folder(*at) else { return };
            let _ = match kind {
                0 => fs::create_dir(folder.join(".git")),
                1 => fs::create_dir(folder.join(".jj")),
                2 => fs::write(folder.join(".git"), "nothing that git would write"),
                3 => symlink("nowhere", folder.join(".git")),
                4 => symlink(top, folder.join(".jj")),
                _ => {
                    let main = top.join("../main/.git");
                    let _ = fs::create_dir_all(main.join("worktrees/w"));
                    let _ = fs::create_dir_all(main.join("info"));
                    let _ = fs::write(main.join("info/exclude"), "x.txt\n/b\n");
                    let _ = fs::write(main.join("worktrees/w/commondir"), "../..\n");
                    fs::write(folder.join(".git"), format!("gitdir: {}\n", main.join("worktrees/w").display()))
                }
            };
        }
    }
}

/// What ripgrep's walker finds.
fn walked(root: &Path, hidden: bool) -> BTreeSet<PathBuf> {
    let mut builder = WalkBuilder::new(root);
    builder.hidden(!hidden).add_custom_ignore_filename(".rgignore");
    let files = builder.build().flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    files.map(|entry| entry.path().strip_prefix(root).unwrap().to_owned()).collect()
}

/// All files below `folder`.
fn all_files(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => all_files(root, &entry.path(), found),
            kind if kind.is_file() => found.push(entry.path().strip_prefix(root).unwrap().to_owned()),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever ignore files and repositories there are, above the root and below: a walk finds what ripgrep's finds, and
    /// each file by itself is decided likewise, whether it is there or only about to be.
    #[test]
    fn what_belongs_is_what_ripgrep_walks(puts in prop::collection::vec(put(), 0..24), root in 0..3usize, hidden: bool) {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir_all(&top).unwrap();
        for (number, put) in puts.iter().enumerate() {
            make(&top, number, put);
        }
        let root = top.join(FOLDERS[root]);
        prop_assume!(fs::create_dir_all(&root).is_ok());
        let root = root.canonicalize().unwrap();
        let expected = walked(&root, hidden);
        let rules = TreeRules::new(&root, hidden, &[]).unwrap();
        for threads in [1, 3] {
            let tree = rules.scan(&root, threads, &CancellationToken::new(), &(Arc::new(|_: &Path, _| {}) as Enter)).unwrap();
            prop_assert!(tree.unlisted.is_empty() && tree.unreadable.is_empty() && tree.met.odd.is_empty(), "{tree:?}");
            let found: BTreeSet<_> = tree.files.iter().map(|file| file.path.to_path(Path::new(""))).collect();
            prop_assert_eq!(&found, &expected);
        }
        let open = RootFolder::open(&root).unwrap();
        let mut ruling = Ruling::new(&rules, &open);
        let mut files = Vec::new();
        all_files(&root, &root, &mut files);
        for file in &files {
            let belongs = ruling.takes_in(&RelPath::new(file).unwrap(), false);
            prop_assert_eq!(belongs, expected.contains(file), "{:?}", file);
        }
        // And those that are about to be: what was decided beforehand is what is found once they are there.
        for (folder, name) in FOLDERS.iter().flat_map(|folder| NAMES.iter().map(move |name| (folder, name))) {
            let path = root.join(folder).join(name);
            if path.symlink_metadata().is_ok() || !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            let file = path.strip_prefix(&root).unwrap();
            let belongs = Ruling::new(&rules, &open).takes_in(&RelPath::new(file).unwrap(), false);
            fs::write(&path, "").unwrap();
            prop_assert_eq!(belongs, walked(&root, hidden).contains(file), "{:?} in the making", file);
            fs::remove_file(&path).unwrap();
        }
    }
}

/// A link to a device would be read without end, a pipe waited for, by ripgrep and all that is built upon it.
#[test]
fn ignore_files_without_end_are_said_and_the_others_count() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    fs::create_dir(root.join("pipe")).unwrap();
    fs::create_dir(root.join("large")).unwrap();
    symlink("/dev/zero", root.join(".ignore")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe/.ignore"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::write(root.join("large/.ignore"), "# nothing\n".repeat(500_000)).unwrap();
    for folder in ["", "pipe", "large"] {
        fs::write(root.join(folder).join(".rgignore"), "b.txt\n").unwrap();
        fs::write(root.join(folder).join("a.txt"), "").unwrap();
        fs::write(root.join(folder).join("b.txt"), "").unwrap();
    }
    let rules = TreeRules::new(&root, false, &[]).unwrap();
    let tree = rules.scan(&root, 1, &CancellationToken::new(), &(Arc::new(|_: &Path, _| {}) as Enter)).unwrap();
    let files: Vec<_> = tree.files.iter().map(|file| file.path.to_string()).collect();
    assert_eq!(files, ["a.txt", "large/a.txt", "pipe/a.txt"]);
    assert_eq!(tree.met.odd.len(), 3, "{:?}", tree.met.odd);
}
