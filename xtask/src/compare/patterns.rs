//! What is asked: patterns picked by hand, and patterns made of the tree's own words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::random::Random;

/// Flags and a pattern, as `rg` and `syncline search` both take them.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) flags: Vec<&'static str>,
    pub(super) pattern: String,
}

impl Question {
    /// As it stands on a command line.
    pub(super) fn arguments(&self) -> Vec<&str> {
        let mut arguments = self.flags.clone();
        arguments.extend(["-e", &self.pattern]);
        arguments
    }
}

/// What is easily got wrong: classes, anchors, what matches nothing or everything, letters whose case folds to
/// others, bytes that are no text, short literals, repetitions that end in the middle of a trigram.
#[rustfmt::skip]
const PICKED: &[&str] = &[
    "(?i)straße", "(?i)ſ[a-z]+k", "(?i)K\\w", "é", "[À-ÿ]{2}", "\\p{Greek}", "\\p{Han}+", "(?-u:\\xff)", "(?-u:[\\x80-\\xff]{3})",
    "", "^$", "^", "$", "x*", "\\b", "(?:a|)", "^\\s+$", "\\s$", "^\\S", "[^\\x00-\\x7f]", "(?i)todo|fixme|xxx",
    "\\bif\\b.*\\breturn\\b", "ab", "z{2}", "q[^u]", "0x[0-9a-f]{6}", "(?i)0XDEAD", "[a-z]{3}_[0-9]{4}", "\\d{7}",
    "[A-Z]{12}", "(foo|bar|baz)+", "(ab){3}", "a.c.e", "[aeiou]{5}", "(?i)license", "\\*/$", "^#\\s*include\\s+[<\"]",
    "return -E[A-Z]+;", "(struct|union|enum)\\s+\\w+\\s*\\{", "->\\w+->\\w+", "%[0-9]*l?[dux]", "==\\s*NULL", "\"[^\"]{60,}\"",
    "(?m)^}$", "\\Aint", "\\)\\z", "fn main", "\\t\\t\\t\\t\\t\\t\\t", "https?://[^\\s]+\\.org", "\\u{2019}",
];

/// Flags that questions are asked with.
#[rustfmt::skip]
const FLAGS: &[&[&str]] = &[
    &["-n"], &["-n"], &["-n"], &["-n"], &["-l"], &["-c"], &["-i", "-n"], &["-w", "-n"], &["-x"], &["-S", "-n"], &["-F", "-n"],
    &["-C1", "-n"], &["-m2"], &["--json"], &["-i", "-l"], &["-F", "-i", "-c"], &["-w", "-i"], &["-A1"], &["-B2", "-c"],
    &["-n", "-g", "*.h"], &["-l", "-t", "c"], &["-c", "-T", "c"], &["-l", "--hidden"],
    &["-o", "-n"], &["-v", "-c"], &["-U", "-n"], &["--files-without-match"], &["--vimgrep"], &["--column", "-H"], &["-r", "X", "-n"],
    &["-l", "--hidden", "-g", "!.git"], &["-n", "-g", "!*.h"], &["-n", "--iglob", "*.C"], &["-l", "-uu"], &["-c", "-uuu"],
    &["--count-matches", "-d", "3"], &["-M", "80", "-n"], &["-b", "-0"], &["-q"], &["--max-filesize", "20K", "-l"], &["-a", "-n"],
    &["--no-unicode", "-i", "-n"], &["--crlf", "-n"], &["--trim", "--heading", "-p"], &["-l", "--sortr", "path"], &["--json", "-U"],
];

/// `count` questions: the picked ones first, each once, then made ones.
pub(super) fn questions(tree: &Path, seed: u64, count: usize) -> Vec<Question> {
    let mut random = Random::new(seed);
    let words = words(tree, &mut random);
    let picked = PICKED.iter().map(|pattern| Question { flags: vec!["-n"], pattern: (*pattern).to_owned() });
    let mut questions: Vec<_> = picked.take(count).collect();
    while questions.len() < count {
        let flags = random.pick(FLAGS).to_vec();
        questions.push(Question { flags, pattern: made(&words, &mut random) });
    }
    questions
}

fn made(words: &[String], random: &mut Random) -> String {
    let (one, two) = (random.pick(words).clone(), random.pick(words).clone());
    let letters: Vec<char> = one.chars().collect();
    let at = random.below(letters.len());
    let (before, letter, after) =
        (letters[..at].iter().collect::<String>(), letters[at], letters[at + 1..].iter().collect::<String>());
    let tail: String = letters[at..].iter().collect();
    match random.below(18) {
        0..=3 => one,
        4 => tail,
        5 => format!("{one}|{two}"),
        6 => format!("{one}.*{two}"),
        7 => format!("{before}.{after}"),
        8 => format!("{before}[{letter}qz]{after}"),
        9 => format!("^\\s*{one}"),
        10 => format!("{one}\\W*$"),
        11 => format!("(?i){one}"),
        12 => format!("(?i:{one})|{two}"),
        13 => format!("({one}|{two})\\s+\\w"),
        14 => format!("{before}{letter}+{after}"),
        15 => format!("{before}{letter}?{after}"),
        16 => format!("{before}\\w{{1,3}}{after}"),
        _ => format!("({tail}{{1,2}}|{two}*)"),
    }
}

/// Words of some hundred files of the tree, wherever they lie.
fn words(tree: &Path, random: &mut Random) -> Vec<String> {
    let files = files(tree);
    let mut words = BTreeSet::new();
    for _ in 0..300 {
        let Ok(bytes) = fs::read(random.pick(&files)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let all = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        words.extend(all.filter(|word| (2..40).contains(&word.len())).take(400).map(str::to_owned));
    }
    words.insert("nothing_like_this_anywhere".to_owned());
    words.into_iter().collect()
}

/// The files below a folder that `rg` would search, in the order of their paths.
pub(crate) fn files(tree: &Path) -> Vec<PathBuf> {
    let walk = ignore::WalkBuilder::new(tree).sort_by_file_name(std::cmp::Ord::cmp).build();
    let files = walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    files.map(ignore::DirEntry::into_path).collect()
}
