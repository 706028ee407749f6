//! What is asked: searches picked by hand, and searches made of a tree's words.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::place::words;

/// A question: where it is asked, and what.
pub struct Case {
    pub below: &'static str,
    pub arguments: Vec<OsString>,
}

pub fn case(flags: &str, pattern: &str) -> Case {
    let mut arguments = words(flags);
    arguments.extend(["-e".into(), pattern.into()]);
    Case { below: "", arguments }
}

fn case_at(below: &'static str, arguments: &[&str]) -> Case {
    Case { below, arguments: arguments.iter().map(OsString::from).collect() }
}

/// Patterns picked by hand.
#[rustfmt::skip]
const PATTERNS: &[&str] = &[
    "needle", "Needle", "alpha", "alphabet", "beta", "absent_word_zzz", "zzz", "a", "e", "", "^", "$", "^$", ".",
    ".*", "x*", "\\b", "(?:)", "need.e", "need[a-m]e", "n.*e", "needle|alpha", "alpha|beta|gamma", "needle.*haystack",
    "haystack.*needle", "^alpha", "^needle", "soup$", "needle$", "^needle$", "two\r", "two\\r", "one$", "^the end$",
    "^\\s*$", "(?i)needle", "(?i)straße", "(?i)STRASSE", "Straße", "stra(ß|ss)e", "café", "caf.", "caf(?-u:.)",
    "(?-u:\\xe9)", "na.ve", "größer", "GRÖSSER", "針", "検索", "検.", "[検-索]+", "\\p{Han}", "\\p{Lu}+", "(?i)ſ", "(?i)k",
    "foo_bar", "(?i)foo_?bar", "[Ff]oo[_B]", "\\bfoo", "bar\\b", "\\w+_\\w+", "\\d+", "[0-9]{2}", "line [1-3]",
    "line \\d8", "(need)(le)", "(n|N)(e|E)edle", "ne{2}dle", "ne+dle", "(alpha){1,2}", "al(ph)?a", "al(ph)*a",
    "needle.", ".needle", "needle\\b.", "[^n]eedle", "[^a-z]needle", "\\Aneedle", "needle\\z", "in a (haystack|name)",
    "fn \\w+\\(", "\\{$", "println!", "::", "use alpha::needle;", "large file", "needle large", "filler", "x{1000}",
    "xxxx needle yyyy", "\u{feff}", "after a mark", "^needle after", "UTF-16", "late", "after the end", "nul",
    "middle", "seen", "kept", "local|important", "int", "#define", "'alpha'",
];

/// Flags that every pattern is asked with in turn.
#[rustfmt::skip]
const FLAGS: &[&str] = &[
    "", "-n", "-l", "-c", "-i", "-S", "-w", "-x", "-F", "--json", "--heading -n", "--color always", "-C 1", "-A 2 -n",
    "-B 1", "-m 1", "--hidden", "--color always --heading -n -C 1", "-i -w -c", "-F -i -n", "-S -x", "-t rust",
    "-T rust -l", "-g *.rs", "-g !*.txt -c", "--json -C 1 -m 2", "-e alpha", "-e alpha -w --json", "-i -s",
    "-s -i -l", "-w -x", "-C 3 -A 0", "-m 2 -C 1", "-l --json", "--json -c", "-N --json", "--heading --no-heading",
    "-n -N",
];

/// Whole command lines, asked at the root of the tree.
#[rustfmt::skip]
const ARGUMENTS: &[&[&str]] = &[
    // Not with every pattern: it prints a line for each match, so a long line of many matches would fill the memory.
    &["--vimgrep", "needle"], &["--vimgrep", "-i", "alpha|beta", "src"], &["--vimgrep", "e", "src"],
    &["--vimgrep", "-c", "needle"], &["--vimgrep", "--heading", "-C1", "needle", "src"],
    &["--vimgrep", "-N", "needle", "src"], &["--vimgrep", "-m", "1", "needle"], &["--vimgrep", "needle", "plain.txt"],
    &["--vimgrep", "-w", "--color", "always", "needle", "src"], &["--vimgrep", "--json", "needle", "src"],
    &["needle", "plain.txt"], &["needle", "src/main.rs"], &["-c", "needle", "src/main.rs"],
    &["-l", "needle", "src/main.rs"], &["needle", "src/main.rs", "src/lib.rs"], &["needle", "src", "a.h"],
    &["needle", "a.h", "src"], &["-n", "needle", "./src"], &["needle", "src/"], &["needle", "src//"],
    &["needle", "."], &["needle", "./"], &["needle", "src", "src"], &["needle", "src/lib.rs", "src", "./src/lib.rs"],
    &["needle", "by-ignore.txt"], &["needle", "x.skip", "repo/run.log"], &["needle", "repo/target"],
    &["needle", ".hidden.txt"], &["needle", ".config"], &["needle", "binary-early.bin"],
    &["-C1", "needle", "binary-early.bin", "plain.txt", "binary-late.bin"], &["after", "binary-early.bin"],
    &["needle", "binary-late.bin"], &["-c", "needle", "binary-late.bin"], &["needle after", "binary-late.bin"],
    &["--json", "needle", "binary-late.bin"], &["--json", "absent_word_zzz", "binary-late.bin"],
    &["needle", "binary-middle.bin"], &["alpha", "binary-middle.bin", "src"],
    &["-c", "needle", "binary-middle.bin", "binary-early.bin"], &["--json", "after", "binary-middle.bin"],
    &["needle", "utf16le.txt"], &["--json", "needle", "utf16be.txt"], &["needle", "latin1.txt"],
    &["--json", "caf", "latin1.txt"], &["--json", "needle", "huge-line.txt"], &["needle", "empty.txt"],
    &["", "empty.txt"], &["", "blank.txt"], &["-c", "", "blank.txt", "empty.txt"], &["needle", "link-to-file.txt"],
    &["alpha", "link-to-file.txt"], &["needle", "link-to-folder"], &["needle", "link-to-folder/"],
    &["-n", "needle", "src/loop"], &["needle", "dangling"], &["needle", "missing"], &["needle", "missing", "src"],
    &["needle", "src", "missing"], &["absent_word_zzz", "missing", "src"], &["needle", "dash/-e"],
    &["needle", "dash"], &["needle", "--", "dash"], &["-e", "needle", "--", "-e"], &["-t", "c", "-T", "cpp", "alpha"],
    &["-T", "cpp", "-t", "c", "alpha"], &["-t", "nosuchtype", "alpha"], &["-T", "nosuchtype", "alpha"],
    &["-tpy", "-trust", "needle"], &["-t", "all", "needle"], &["-g", "[", "needle"], &["-g", "{a", "needle"],
    &["-g", "src/**", "needle"], &["-g", "/src/*.rs", "needle"], &["-g", "!src", "needle"],
    &["-g", "*.log", "needle"], &["-g", "*.rs", "-g", "!lib.rs", "needle"],
    &["-g", "!lib.rs", "-g", "*.rs", "needle"], &["-g", ".hidden.txt", "needle"], &["-g", "*.nosuch", "needle"],
    &["-g", "*.nosuch", "needle", "src"], &["-g", "[[]x].txt", "needle"], &["(", "src"], &["[a", "src"], &["a\nb"],
    &["a\\nb"], &["-F", "a\nb"], &["\\x00"], &["(?s).\\n"], &["*"], &["a{2,1}"], &["\\p{Nope}"], &["(?=x)"],
    &["-F", "("], &["-F", "fn main() {"], &["-F", "-e", "needle", "-e", "beta"], &["-e", "needle", "-e", "needle"],
    &["-e", "needle", "src"], &["-m0", "needle"], &["-m0", "("], &["-m", "0", "--json", "needle"],
    &["-m1", "-c", "needle"], &["-e", "-e"], &["--", "-e"], &["-e-e"], &["--regexp=needle"],
    &["--glob=*.rs", "needle"], &["-nC1", "needle", "long"], &["-nA1", "-B2", "needle", "long"],
    &["--context=2", "needle", "long/context.txt"], &["-C1", "needle", "long/context.txt", "plain.txt", "long"],
    &["--heading", "needle", "long/context.txt"], &["--heading", "-C1", "needle", "long", "src"],
    &["--max-count=3", "needle", "long"], &["--color=always", "needle", "plain.txt", "binary-early.bin"],
    &["--color=always", "-l", "needle"], &["--color=always", "-c", "needle"], &["--color=never", "needle"],
    &["needle", ".", "-l", "--hidden"],
];

/// Command lines asked elsewhere: in a folder, in one that a link leads to, in an ignored one.
#[rustfmt::skip]
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("src", &["needle"]), ("src", &["needle", ".."]), ("src", &["-l", "needle", "../repo", "."]),
    ("src", &["-g", "*.rs", "-l", "needle", ".."]), ("src", &["-g", "/lib.rs", "needle"]),
    ("src/deep", &["needle", "../lib.rs"]), ("src/deep", &["alpha"]), ("repo", &["needle"]),
    ("repo/sub", &["needle"]), ("repo/target", &["needle"]), ("repo/sub", &["needle", "../.."]),
    ("long", &["-c", "needle"]), ("link-to-folder", &["needle"]), (".config", &["needle"]),
    ("repo/.git", &["needle"]), ("src/deep", &["--json", "needle"]), ("repo", &["--json", "needle", "target"]),
];

pub fn picked() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, pattern) in PATTERNS.iter().enumerate() {
        cases.push(case("-n", pattern));
        cases.extend((0..4).map(|turn| case(FLAGS[(at * 4 + turn) % FLAGS.len()], pattern)));
    }
    cases.extend(FLAGS.iter().map(|flags| case(flags, "needle")));
    cases.extend(FLAGS.iter().map(|flags| case(flags, "in UTF-16")));
    cases.extend(ARGUMENTS.iter().map(|arguments| case_at("", arguments)));
    cases.extend(ELSEWHERE.iter().map(|(below, arguments)| case_at(below, arguments)));
    let name = OsString::from_vec(b"not-\xff\xfe-text.txt".to_vec());
    cases.push(Case { below: "", arguments: vec!["needle".into(), name.clone()] });
    cases.push(Case { below: "", arguments: vec!["--json".into(), "needle".into(), name] });
    cases
}

/// A generator that gives the same numbers every time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Flags that generated searches choose from.
#[rustfmt::skip]
const SOME_FLAGS: &[&str] = &[
    "-i", "-S", "-s", "-w", "-x", "-F", "-l", "-c", "-n", "-N", "-C1", "-A2", "-B1", "-m2", "--json", "--heading",
    "--hidden", "--color=always", "-trust", "-Trust", "-g*.rs", "-g!*.md", "-C 2 -n", "--json -C1", "-i --json",
    "-w -i", "-x -c",
];

/// Searches made of words of the tree.
pub fn generated(tree: &Path, seed: u64, count: usize) -> Vec<Case> {
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
            arguments.extend(words(random.pick::<&str>(SOME_FLAGS)));
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
