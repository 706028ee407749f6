//! Promise 5: `syncline search` answers what `rg --sort path` answers, byte for byte, without an index, with a fresh one
//! and with a stale one.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use syncline::core::{CodebaseId, CodebaseRoot, Dirty};
use syncline::index::{Index, Overlay, Update, Verdict};
use syncline::watch::tree::TreeRules;
use tempfile::TempDir;

/// Larger files are scanned, so that the fixture can have one.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// A tree to search, an empty home, and a folder for indexes.
struct Place {
    folder: TempDir,
}

/// What a program said.
#[derive(Clone, PartialEq, Eq)]
struct Answer {
    code: Option<i32>,
    stdout: Vec<u8>,
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().unwrap();
        for name in ["tree", "home", "indexes"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Place { folder }
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Brings the index of the tree up to date.
    fn index(&self) {
        // Files that changed just now are searched whatever the index says.
        std::thread::sleep(Duration::from_millis(100));
        let root = CodebaseRoot::open(&self.tree()).unwrap();
        let folder = self.folder.path().join("indexes").join(CodebaseId::of(&root).as_str());
        let (index, problems) = Index::open(&folder);
        assert!(problems.is_empty(), "{problems:?}");
        let cancel = tokio_util::sync::CancellationToken::new();
        let rules = TreeRules::new(root.as_path(), false, &[]).unwrap();
        let tree = rules
            .scan(
                root.as_path(),
                2,
                &cancel,
                &(std::sync::Arc::new(|_: &std::path::Path| {}) as syncline::watch::tree::Enter),
            )
            .unwrap();
        let difference = index.snapshot().difference(&tree.files, MAX_FILE_BYTES);
        let overlay = Overlay::default();
        overlay.mark(difference.changed.into_iter().map(|path| (path, Verdict::Read)));
        overlay.mark(difference.gone.into_iter().map(|path| (path, Verdict::Gone)));
        let update = Update {
            index: &index,
            root: root.as_path(),
            overlay: &overlay,
            max_file_bytes: MAX_FILE_BYTES,
            threads: 2,
            cancel: &cancel,
            progress: &|_, _| {},
        };
        update.run(&Dirty::Everything).unwrap();
    }

    fn command(&self, program: &OsStr, below: &str, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.tree().join(below))
            .stdin(Stdio::null())
            .env_remove("RIPGREP_CONFIG_PATH")
            .env_remove("XDG_CONFIG_HOME")
            .env("HOME", self.folder.path().join("home"))
            .env("SYNCLINE_INDEX_DIR", self.folder.path().join("indexes"));
        command
    }

    fn rg(&self, below: &str, arguments: &[OsString]) -> Answer {
        let mut all = vec!["--sort".into(), "path".into()];
        all.extend_from_slice(arguments);
        answer(&mut self.command(&ripgrep(), below, &all))
    }

    fn syncline(&self, below: &str, arguments: &[OsString]) -> Answer {
        let mut all = vec!["search".into()];
        all.extend_from_slice(arguments);
        answer(&mut self.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), below, &all))
    }

    /// How many files a search reads, and how many the index rules out.
    fn searched_and_ruled_out(&self, arguments: &[&str]) -> (usize, usize) {
        let mut all = words("--log-level debug search");
        all.extend(arguments.iter().map(OsString::from));
        let output = self.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), "", &all).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let plain: String = log.split('\u{1b}').map(|s| s.split_once('m').map_or(s, |(_, rest)| rest)).collect();
        let number = |name: &str| {
            let rest = plain.split_once(name).unwrap_or_else(|| panic!("{name} is not in {plain}")).1;
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        (number(" files="), number("ruled_out="))
    }

    /// Asks both programs all of `cases` and fails with the first answers that differ.
    fn compare(&self, state: &str, cases: &[Case]) {
        let next = AtomicUsize::new(0);
        let different = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(Case { below, arguments }) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (theirs, ours) = (self.rg(below, arguments), self.syncline(below, arguments));
                        if theirs != ours {
                            let what = format!("in {below:?}: {arguments:?}\n--- rg\n{theirs}--- syncline\n{ours}");
                            different.lock().unwrap().push(what);
                        }
                    }
                });
            }
        });
        let different = different.into_inner().unwrap();
        let first = different.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
        assert!(different.is_empty(), "{} of {} differ {state}:\n{first}", different.len(), cases.len());
        eprintln!("{} searches equal {state}", cases.len());
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.stdout);
        let short: String = text.chars().take(3000).collect();
        writeln!(f, "{short:?}\nexit code {:?}", self.code)
    }
}

fn ripgrep() -> OsString {
    std::env::var_os("SYNCLINE_TEST_RG").expect("SYNCLINE_TEST_RG names no rg; run the tests by `cargo xtask test`")
}

fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer { code: output.status.code(), stdout: without_times(output.stdout) }
}

/// JSON lines with how long it took taken out, and nothing else.
fn without_times(stdout: Vec<u8>) -> Vec<u8> {
    if !stdout.starts_with(b"{\"type\":") && !stdout.starts_with(b"{\"data\":") {
        return stdout;
    }
    let text = String::from_utf8(stdout).unwrap();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("\"elapsed") {
        let begin = at + rest[at..].find('{').unwrap();
        out.push_str(&rest[..begin]);
        rest = &rest[begin + rest[begin..].find('}').unwrap()..];
    }
    (out + rest).into_bytes()
}

/// A question: where it is asked, and what.
struct Case {
    below: &'static str,
    arguments: Vec<OsString>,
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

fn case(flags: &str, pattern: &str) -> Case {
    let mut arguments = words(flags);
    arguments.extend(["-e".into(), pattern.into()]);
    Case { below: "", arguments }
}

fn case_at(below: &'static str, arguments: &[&str]) -> Case {
    Case { below, arguments: arguments.iter().map(OsString::from).collect() }
}

/// Every oddity a tree can have.
fn fixture() -> Place {
    let place = Place::new();
    place.write("plain.txt", "alpha beta\ngamma delta\nalphabet soup\nALPHA\n\nthe end\n");
    place.write(
        "src/main.rs",
        "fn main() {\n    println!(\"needle in a haystack\");\n}\n\n// Straße, naïve café, Ünïcode: ſ K\n",
    );
    place.write("src/lib.rs", "pub mod alpha;\npub fn needle() -> u32 { 42 }\n// foo_bar fooBar FOO_BAR\n");
    place.write("src/deep/er/nest.rs", "mod beta;\nuse alpha::needle;\n");
    place.write("src/deep.rs", "// sorts after deep/ : needle\n");
    place.write("src/deep-er.rs", "// sorts between : needle\n");
    place.write("a.h", "int alpha;\n#define NEEDLE 1\n");
    place.write("a.cpp", "int beta() { return alpha; }\n");
    place.write("script.py", "def needle():\n    return 'alpha'\n");
    place.write("日本語.txt", "検索エンジン\nneedle と 針\n検索\n");
    // Ignored, and not: a .gitignore counts only where there is a repository.
    place.write(".gitignore", "ignored-without-git.txt\n");
    place.write("ignored-without-git.txt", "needle: there is no repository here\n");
    place.write(".ignore", "by-ignore.txt\n*.skip\n!kept.skip\n");
    place.write("by-ignore.txt", "needle ignored by .ignore\n");
    place.write("x.skip", "needle skipped\n");
    place.write("kept.skip", "needle kept\n");
    place.write(".rgignore", "by-rgignore.txt\n");
    place.write("by-rgignore.txt", "needle ignored by .rgignore\n");
    fs::create_dir_all(place.tree().join("repo/.git")).unwrap();
    place.write("repo/.git/HEAD", "ref: refs/heads/needle\n");
    place.write("repo/.git/info/exclude", "excluded.txt\n");
    place.write("repo/.gitignore", "target/\n*.log\n/rooted.txt\n");
    place.write("repo/excluded.txt", "needle excluded\n");
    place.write("repo/rooted.txt", "needle ignored at the root\n");
    place.write("repo/sub/rooted.txt", "needle not ignored here\n");
    place.write("repo/target/out.txt", "needle in target\n");
    place.write("repo/run.log", "needle in a log\n");
    place.write("repo/sub/.gitignore", "!important.log\nlocal.txt\n");
    place.write("repo/sub/important.log", "needle important\n");
    place.write("repo/sub/local.txt", "needle local\n");
    place.write("repo/seen.txt", "needle seen\nalpha seen\n");
    place.write(".hidden.txt", "needle hidden\n");
    place.write(".config/inner.txt", "needle in a hidden folder\n");
    // Text that isn't UTF-8, and what isn't text.
    place.write("binary-early.bin", b"needle\0\nneedle after\nalpha\n");
    let mut late = b"needle before\n".to_vec();
    late.extend(b"filler line of text\n".repeat(8000));
    late.extend(b"late\0needle\nneedle after the end\n");
    place.write("binary-late.bin", late);
    let mut middle = b"some text\nalpha\nneedle middle\n".repeat(3);
    middle.extend(b"nul \0 here\nneedle after\n");
    place.write("binary-middle.bin", middle);
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(unit).collect()
    };
    place.write("utf16le.txt", utf16("needle in UTF-16\r\nalpha größer\n", false));
    place.write("utf16be.txt", utf16("another needle\nbeta 針\n", true));
    place.write("utf8-bom.txt", b"\xef\xbb\xbfneedle after a mark\nalpha\n");
    place.write("latin1.txt", b"caf\xe9 na\xefve needle\n\xfcber alpha\n");
    place.write("crlf.txt", "needle one\r\nalpha two\r\n\r\nneedle three\r\n");
    place.write("no-newline.txt", "alpha\nneedle at the end");
    place.write("blank.txt", "\n\n\n");
    place.write("empty.txt", "");
    place.write("huge-line.txt", [b"x".repeat(200_000), b" needle ".to_vec(), b"y".repeat(100_000)].concat());
    place.write("large.txt", [b"a line of a large file\n".repeat(5000), b"needle large\n".to_vec()].concat());
    place.write(
        "long/context.txt",
        (1..=60).map(|n| format!("line {n} {}\n", if n % 9 == 0 { "needle" } else { "" })).collect::<String>(),
    );
    place.write("dash/-e", "needle in a file named -e\n");
    place.write("brackets/[x].txt", "needle in [x]\n");
    fs::write(place.tree().join(OsStr::from_bytes(b"not-\xff\xfe-text.txt")), "needle in a name that isn't text\n")
        .unwrap();
    symlink("plain.txt", place.tree().join("link-to-file.txt")).unwrap();
    symlink("src", place.tree().join("link-to-folder")).unwrap();
    symlink("..", place.tree().join("src/loop")).unwrap();
    symlink("nowhere", place.tree().join("dangling")).unwrap();
    place
}

/// Patterns picked by hand.
const PATTERNS: &[&str] = &[
    "needle",
    "Needle",
    "alpha",
    "alphabet",
    "beta",
    "absent_word_zzz",
    "zzz",
    "a",
    "e",
    "",
    "^",
    "$",
    "^$",
    ".",
    ".*",
    "x*",
    "\\b",
    "(?:)",
    "need.e",
    "need[a-m]e",
    "n.*e",
    "needle|alpha",
    "alpha|beta|gamma",
    "needle.*haystack",
    "haystack.*needle",
    "^alpha",
    "^needle",
    "soup$",
    "needle$",
    "^needle$",
    "two\r",
    "two\\r",
    "one$",
    "^the end$",
    "^\\s*$",
    "(?i)needle",
    "(?i)straße",
    "(?i)STRASSE",
    "Straße",
    "stra(ß|ss)e",
    "café",
    "caf.",
    "caf(?-u:.)",
    "(?-u:\\xe9)",
    "na.ve",
    "größer",
    "GRÖSSER",
    "針",
    "検索",
    "検.",
    "[検-索]+",
    "\\p{Han}",
    "\\p{Lu}+",
    "(?i)ſ",
    "(?i)k",
    "foo_bar",
    "(?i)foo_?bar",
    "[Ff]oo[_B]",
    "\\bfoo",
    "bar\\b",
    "\\w+_\\w+",
    "\\d+",
    "[0-9]{2}",
    "line [1-3]",
    "line \\d8",
    "(need)(le)",
    "(n|N)(e|E)edle",
    "ne{2}dle",
    "ne+dle",
    "(alpha){1,2}",
    "al(ph)?a",
    "al(ph)*a",
    "needle.",
    ".needle",
    "needle\\b.",
    "[^n]eedle",
    "[^a-z]needle",
    "\\Aneedle",
    "needle\\z",
    "in a (haystack|name)",
    "fn \\w+\\(",
    "\\{$",
    "println!",
    "::",
    "use alpha::needle;",
    "large file",
    "needle large",
    "filler",
    "x{1000}",
    "xxxx needle yyyy",
    "\u{feff}",
    "after a mark",
    "^needle after",
    "UTF-16",
    "late",
    "after the end",
    "nul",
    "middle",
    "seen",
    "kept",
    "local|important",
    "int",
    "#define",
    "'alpha'",
];

/// Flags that every pattern is asked with in turn.
const FLAGS: &[&str] = &[
    "",
    "-n",
    "-l",
    "-c",
    "-i",
    "-S",
    "-w",
    "-x",
    "-F",
    "--json",
    "--heading -n",
    "--color always",
    "-C 1",
    "-A 2 -n",
    "-B 1",
    "-m 1",
    "--hidden",
    "--color always --heading -n -C 1",
    "-i -w -c",
    "-F -i -n",
    "-S -x",
    "-t rust",
    "-T rust -l",
    "-g *.rs",
    "-g !*.txt -c",
    "--json -C 1 -m 2",
    "-e alpha",
    "-e alpha -w --json",
    "-i -s",
    "-s -i -l",
    "-w -x",
    "-C 3 -A 0",
    "-m 2 -C 1",
    "-l --json",
    "--json -c",
    "-N --json",
    "--heading --no-heading",
    "-n -N",
];

fn picked() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, pattern) in PATTERNS.iter().enumerate() {
        cases.push(case("-n", pattern));
        cases.extend((0..4).map(|turn| case(FLAGS[(at * 4 + turn) % FLAGS.len()], pattern)));
    }
    cases.extend(FLAGS.iter().map(|flags| case(flags, "needle")));
    cases.extend(FLAGS.iter().map(|flags| case(flags, "in UTF-16")));
    let named = [
        &["needle", "plain.txt"][..],
        &["needle", "src/main.rs"],
        &["-c", "needle", "src/main.rs"],
        &["-l", "needle", "src/main.rs"],
        &["needle", "src/main.rs", "src/lib.rs"],
        &["needle", "src", "a.h"],
        &["needle", "a.h", "src"],
        &["-n", "needle", "./src"],
        &["needle", "src/"],
        &["needle", "src//"],
        &["needle", "."],
        &["needle", "./"],
        &["needle", "src", "src"],
        &["needle", "src/lib.rs", "src", "./src/lib.rs"],
        &["needle", "by-ignore.txt"],
        &["needle", "x.skip", "repo/run.log"],
        &["needle", "repo/target"],
        &["needle", ".hidden.txt"],
        &["needle", ".config"],
        &["needle", "binary-early.bin"],
        &["-C1", "needle", "binary-early.bin", "plain.txt", "binary-late.bin"],
        &["after", "binary-early.bin"],
        &["needle", "binary-late.bin"],
        &["-c", "needle", "binary-late.bin"],
        &["needle after", "binary-late.bin"],
        &["--json", "needle", "binary-late.bin"],
        &["--json", "absent_word_zzz", "binary-late.bin"],
        &["needle", "binary-middle.bin"],
        &["alpha", "binary-middle.bin", "src"],
        &["-c", "needle", "binary-middle.bin", "binary-early.bin"],
        &["--json", "after", "binary-middle.bin"],
        &["needle", "utf16le.txt"],
        &["--json", "needle", "utf16be.txt"],
        &["needle", "latin1.txt"],
        &["--json", "caf", "latin1.txt"],
        &["--json", "needle", "huge-line.txt"],
        &["needle", "empty.txt"],
        &["", "empty.txt"],
        &["", "blank.txt"],
        &["-c", "", "blank.txt", "empty.txt"],
        &["needle", "link-to-file.txt"],
        &["alpha", "link-to-file.txt"],
        &["needle", "link-to-folder"],
        &["needle", "link-to-folder/"],
        &["-n", "needle", "src/loop"],
        &["needle", "dangling"],
        &["needle", "missing"],
        &["needle", "missing", "src"],
        &["needle", "src", "missing"],
        &["absent_word_zzz", "missing", "src"],
        &["needle", "dash/-e"],
        &["needle", "dash"],
        &["needle", "--", "dash"],
        &["-e", "needle", "--", "-e"],
        &["-t", "c", "-T", "cpp", "alpha"],
        &["-T", "cpp", "-t", "c", "alpha"],
        &["-t", "nosuchtype", "alpha"],
        &["-T", "nosuchtype", "alpha"],
        &["-tpy", "-trust", "needle"],
        &["-t", "all", "needle"],
        &["-g", "[", "needle"],
        &["-g", "{a", "needle"],
        &["-g", "src/**", "needle"],
        &["-g", "/src/*.rs", "needle"],
        &["-g", "!src", "needle"],
        &["-g", "*.log", "needle"],
        &["-g", "*.rs", "-g", "!lib.rs", "needle"],
        &["-g", "!lib.rs", "-g", "*.rs", "needle"],
        &["-g", ".hidden.txt", "needle"],
        &["-g", "*.nosuch", "needle"],
        &["-g", "*.nosuch", "needle", "src"],
        &["-g", "[[]x].txt", "needle"],
        &["(", "src"],
        &["[a", "src"],
        &["a\nb"],
        &["a\\nb"],
        &["-F", "a\nb"],
        &["\\x00"],
        &["(?s).\\n"],
        &["*"],
        &["a{2,1}"],
        &["\\p{Nope}"],
        &["(?=x)"],
        &["-F", "("],
        &["-F", "fn main() {"],
        &["-F", "-e", "needle", "-e", "beta"],
        &["-e", "needle", "-e", "needle"],
        &["-e", "needle", "src"],
        &["-m0", "needle"],
        &["-m0", "("],
        &["-m", "0", "--json", "needle"],
        &["-m1", "-c", "needle"],
        &["-e", "-e"],
        &["--", "-e"],
        &["-e-e"],
        &["--regexp=needle"],
        &["--glob=*.rs", "needle"],
        &["-nC1", "needle", "long"],
        &["-nA1", "-B2", "needle", "long"],
        &["--context=2", "needle", "long/context.txt"],
        &["-C1", "needle", "long/context.txt", "plain.txt", "long"],
        &["--heading", "needle", "long/context.txt"],
        &["--heading", "-C1", "needle", "long", "src"],
        &["--max-count=3", "needle", "long"],
        &["--color=always", "needle", "plain.txt", "binary-early.bin"],
        &["--color=always", "-l", "needle"],
        &["--color=always", "-c", "needle"],
        &["--color=never", "needle"],
        &["needle", ".", "-l", "--hidden"],
    ];
    cases.extend(named.iter().map(|arguments| case_at("", arguments)));
    // The files of a link to a folder, of a folder above, of the folder one is in.
    let elsewhere: &[(&'static str, &[&str])] = &[
        ("src", &["needle"]),
        ("src", &["needle", ".."]),
        ("src", &["-l", "needle", "../repo", "."]),
        ("src", &["-g", "*.rs", "-l", "needle", ".."]),
        ("src", &["-g", "/lib.rs", "needle"]),
        ("src/deep", &["needle", "../lib.rs"]),
        ("src/deep", &["alpha"]),
        ("repo", &["needle"]),
        ("repo/sub", &["needle"]),
        ("repo/target", &["needle"]),
        ("repo/sub", &["needle", "../.."]),
        ("long", &["-c", "needle"]),
        ("link-to-folder", &["needle"]),
        (".config", &["needle"]),
        ("repo/.git", &["needle"]),
        ("src/deep", &["--json", "needle"]),
        ("repo", &["--json", "needle", "target"]),
    ];
    cases.extend(elsewhere.iter().map(|(below, arguments)| case_at(below, arguments)));
    let name = OsString::from_vec(b"not-\xff\xfe-text.txt".to_vec());
    cases.push(Case { below: "", arguments: vec!["needle".into(), name.clone()] });
    cases.push(Case { below: "", arguments: vec!["--json".into(), "needle".into(), name] });
    cases
}

/// A generator that gives the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Searches made of words of the tree.
fn generated(tree: &Path, seed: u64, count: usize) -> Vec<Case> {
    let mut vocabulary = BTreeSet::new();
    for entry in ignore::WalkBuilder::new(tree).sort_by_file_name(|a, b| a.cmp(b)).build().flatten() {
        if entry.file_type().is_some_and(|kind| kind.is_file()) && vocabulary.len() < 3000 {
            let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            vocabulary.extend(words.filter(|word| (2..40).contains(&word.len())).map(str::to_owned));
        }
    }
    let vocabulary: Vec<String> = vocabulary.into_iter().collect();
    let mut random = Random(seed);
    let mut cases = Vec::new();
    for _ in 0..count {
        let (one, two) = (random.pick(&vocabulary).clone(), random.pick(&vocabulary).clone());
        let letters: Vec<char> = one.chars().collect();
        let cut: String = letters[random.below(letters.len())..].iter().collect();
        let at = random.below(letters.len());
        let with = |middle: &str| {
            let (before, after): (String, String) =
                (letters[..at].iter().collect(), letters[at + 1..].iter().collect());
            format!("{before}{middle}{after}")
        };
        let pattern = match random.below(17) {
            0 | 1 => one.clone(),
            2 => cut,
            3 => format!("{one}|{two}"),
            4 => format!("{one}.*{two}"),
            5 => with("."),
            6 => with(&format!("[{}xq]", letters[at])),
            7 => format!("^\\s*{one}"),
            8 => format!("{one}\\W*$"),
            9 => format!("\\b{one}\\b"),
            10 => format!("(?i){one}"),
            11 => format!("(?i:{one})|{two}"),
            12 => format!("({one}|{two})\\s+\\w"),
            13 => with(&format!("{}+", letters[at])),
            14 => with(&format!("{}?", letters[at])),
            15 => format!("[^\\w]{one}[^\\w]"),
            _ => format!("({cut}{{1,2}}|{two}*)"),
        };
        let mut arguments = Vec::new();
        for _ in 0..random.below(4) {
            let flags = [
                "-i",
                "-S",
                "-s",
                "-w",
                "-x",
                "-F",
                "-l",
                "-c",
                "-n",
                "-N",
                "-C1",
                "-A2",
                "-B1",
                "-m2",
                "--json",
                "--heading",
                "--hidden",
                "--color=always",
                "-trust",
                "-Trust",
                "-g*.rs",
                "-g!*.md",
                "-C 2 -n",
                "--json -C1",
                "-i --json",
                "-w -i",
                "-x -c",
            ];
            arguments.extend(words(random.pick::<&str>(&flags)));
        }
        if random.below(6) == 0 {
            arguments.extend(["-e".into(), two.into()]);
        }
        arguments.extend(["-e".into(), pattern.into()]);
        if random.below(5) == 0 {
            arguments.push("src".into());
        }
        cases.push(Case { below: "", arguments });
    }
    cases
}

/// Changes of all kinds, after the tree was indexed.
fn edit(place: &Place) {
    let tree = place.tree();
    let modified = fs::metadata(tree.join("plain.txt")).unwrap().modified().unwrap();
    // Of the same length, at the same time as before.
    place.write("plain.txt", "betas beta\ngamma delta\nneedle t soup\nALPHA\n\nthe end\n");
    fs::File::options().write(true).open(tree.join("plain.txt")).unwrap().set_modified(modified).unwrap();
    place.write("src/lib.rs", "pub mod gone;\nabsent_word_zzz\n");
    place.write("src/brand_new.rs", "needle absent_word_zzz\n");
    fs::remove_file(tree.join("script.py")).unwrap();
    fs::rename(tree.join("a.cpp"), tree.join("a.h")).unwrap();
    fs::rename(tree.join("src/deep"), tree.join("src/deeper")).unwrap();
    place.write("src/deep/er/other.rs", "zzz needle\n");
    place.write("repo/.gitignore", "seen.txt\n");
    place.write(".ignore", "kept.skip\n");
    place.write("binary-early.bin", "alpha needle, no longer binary\n");
    place.write("crlf.txt", b"alpha \0 now binary, needle\n");
    fs::remove_file(tree.join("blank.txt")).unwrap();
    symlink("plain.txt", tree.join("blank.txt")).unwrap();
}

#[test]
fn answers_are_ripgreps_over_a_tree_of_oddities() {
    let place = fixture();
    let mut cases = picked();
    cases.extend(generated(&place.tree(), 1, 250));
    place.compare("without an index", &cases);

    place.index();
    let (searched, ruled_out) = place.searched_and_ruled_out(&["haystack"]);
    assert!(searched <= 10 && ruled_out >= 25, "the index narrows: {searched} searched, {ruled_out} ruled out");
    let (_, ruled_out) = place.searched_and_ruled_out(&["--json", "haystack"]);
    assert!(ruled_out >= 20, "the index narrows for JSON: {ruled_out} ruled out");
    place.compare("with a fresh index", &cases);

    edit(&place);
    let mut cases = picked();
    cases.extend(generated(&place.tree(), 2, 250));
    assert!(place.searched_and_ruled_out(&["haystack"]).1 >= 15, "a stale index narrows still");
    place.compare("with a stale index", &cases);

    place.index();
    place.compare("with the index brought up to date", &cases);
}

#[test]
fn answers_are_ripgreps_over_a_real_tree() {
    let place = Place::new();
    copy(&source_of("tokio"), &place.tree());
    let git = Command::new("git").args(["init", "-q"]).arg(place.tree()).status().unwrap();
    assert!(git.success(), "git init");
    let cases = generated(&place.tree(), 3, 150);
    place.compare("without an index", &cases);
    place.index();
    let (searched, ruled_out) = place.searched_and_ruled_out(&["block_in_place"]);
    assert!(searched < ruled_out, "the index narrows: {searched} searched, {ruled_out} ruled out");
    place.compare("with a fresh index", &cases);
}

#[test]
fn damaged_indexes_cost_time_only() {
    let place = fixture();
    place.index();
    let cases: Vec<_> = ["needle", "alpha", "haystack", "absent_word_zzz"].iter().map(|p| case("-n", p)).collect();
    let files = |place: &Place| -> Vec<PathBuf> {
        let folders = fs::read_dir(place.folder.path().join("indexes")).unwrap();
        folders
            .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    };
    for file in files(&place) {
        let bytes = fs::read(&file).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 7 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            fs::write(&file, &damaged).unwrap();
            place.compare("with a damaged index", &cases[..2]);
        }
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        place.compare("with a truncated index", &cases);
        fs::remove_file(&file).unwrap();
        place.compare("with half an index", &cases);
        fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn a_reader_that_leaves_ends_the_search_quietly() {
    let place = fixture();
    for arguments in ["search needle", "search a large.txt", "search --json a"] {
        let mut command = place.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), "", &words(arguments));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code().is_some_and(|code| code < 2), "{arguments}: {}", output.status);
    }
}

#[test]
fn errors_are_one_sentence() {
    let place = fixture();
    for (arguments, says) in [
        (&["search", "("][..], "unclosed group"),
        (&["search", "a\\nb"], "not allowed"),
        (&["search", "-t", "nosuch", "x"], "unrecognized file type"),
        (&["search", "-g", "{a", "x"], "glob"),
        (&["search", "x", "missing"], "missing"),
    ] {
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        let output = place.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), "", &arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text.starts_with("syncline: ") && text.lines().count() == 1 && text.contains(says), "{text}");
    }
}

/// The source folder of a package that this one is built from.
fn source_of(package: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found = packages.iter().find(|p| p["name"] == package).unwrap_or_else(|| panic!("{package} is a dependency"));
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
