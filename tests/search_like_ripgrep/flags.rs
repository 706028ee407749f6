//! Command lines of any of ripgrep's flags.

use std::ffi::OsString;

use crate::cases::{Case, Random};

/// Flags, and now and then what a value of theirs can be. Not among them: what tells of the program or of time, what rests
/// on chance (`--sort accessed`), and PCRE2, which ripgrep is often built without.
#[rustfmt::skip]
const FLAGS: &[&str] = &[
    "-A1", "-B2", "-C1", "--context=0", "--block-buffered", "--line-buffered", "-b", "--no-byte-offset", "--column",
    "--no-column", "--color=always", "--color=ansi", "--color=never", "--colors=match:fg:blue", "--colors=path:none",
    "--colors=line:style:bold", "--context-separator=@@", "--context-separator=\\x00", "--no-context-separator", "-c",
    "--count-matches", "--crlf", "--no-crlf", "-Eutf-8", "-Eutf-16le", "-Elatin1", "-Enone", "-Eauto", "--no-encoding",
    "--field-context-separator=<>", "--field-match-separator=\\t", "-F", "--no-fixed-strings", "-L", "--no-follow",
    "-l", "--files-without-match", "--files", "-g*.txt", "-g!*.txt", "-g!src", "-gsrc/**", "-g*.skip", "-g.*", "-g*.RS",
    "--glob-case-insensitive", "--no-glob-case-insensitive", "--heading", "--no-heading", "--hidden", "-.", "--no-hidden",
    "--hyperlink-format=none", "--hyperlink-format=file", "--iglob=*.TXT", "--iglob=!*.RS", "-i", "-s", "-S",
    "--ignore-file=.gitignore", "--ignore-file-case-insensitive", "--include-zero", "-v", "--no-invert-match", "--json",
    "--no-json", "-n", "-N", "-x", "-w", "-M20", "-M0", "--max-columns-preview", "-m1", "-m3", "-d1", "--max-depth=2",
    "--max-filesize=100", "--max-filesize=1K", "--mmap", "--no-mmap", "-U", "--no-multiline", "--multiline-dotall",
    "--no-config", "--no-ignore", "--ignore", "--no-ignore-dot", "--no-ignore-exclude", "--no-ignore-files",
    "--no-ignore-global", "--no-ignore-parent", "--no-ignore-vcs", "--ignore-vcs", "--no-ignore-messages",
    "--no-messages", "--no-require-git", "--no-unicode", "--unicode", "-0", "--null-data", "--one-file-system", "-o",
    "--path-separator=@", "--passthru", "-p", "-q", "-rX$0Y", "-r$1", "-z", "--no-search-zip", "--pre=cat", "--no-pre",
    "--pre-glob=*.rs", "--sort=path", "--sort=none --sort=path", "--sort=modified", "--sortr=path", "--sortr=modified",
    "--sort-files", "--stats", "--no-stats", "--stop-on-nonmatch", "-a", "--no-text", "--binary", "-j1", "-j3", "--trim",
    "-trust", "-Trust", "-tc", "--type-add=odd:*.skip -todd", "--type-clear=rust", "--type-list", "-u", "-uu", "-uuu",
    "--vimgrep", "-H", "-I", "--regex-size-limit=10M", "--dfa-size-limit=10M", "--engine=default",
];

const PATTERNS: &[&str] = &[
    "needle",
    "alpha",
    "Needle",
    "ne+dle",
    "e",
    "^",
    "$",
    "",
    "\\w+",
    "in a (haystack|name)",
    "absent_word_zzz",
    "^alpha",
    "soup$",
    "(?i)ALPHA",
    "caf.",
    "\\bfoo",
    "needle.*\n",
    "alpha\\s+beta",
    "mod \\w+;\\nuse",
    "(n)(e)",
    "[^n]eedle",
    "\\d",
    "a.c|needle after",
    "(",
];

const PATHS: &[&str] =
    &[".", "src", "repo", "plain.txt", "src/lib.rs", "binary-middle.bin", "missing", "utf16le.txt", "./"];

/// `count` command lines; the same seed gives the same ones.
pub fn any_flags(seed: u64, count: usize) -> Vec<Case> {
    let mut random = Random(seed);
    let mut cases = Vec::new();
    for _ in 0..count {
        let mut arguments: Vec<OsString> = Vec::new();
        for _ in 0..1 + random.below(5) {
            arguments.extend(random.pick::<&str>(FLAGS).split(' ').map(OsString::from));
        }
        for _ in 0..1 + random.below(6) / 5 {
            arguments.push("-e".into());
            arguments.push((*random.pick::<&str>(PATTERNS)).into());
        }
        for _ in 0..random.below(5).saturating_sub(2) {
            arguments.push((*random.pick::<&str>(PATHS)).into());
        }
        let below: &&str = random.pick(&["", "", "", "src", "repo"]);
        cases.push(Case { below, arguments });
    }
    cases
}
