//! The text of a soak: words, lines and files, the same for the same numbers.

use crate::compare::random::Random;

/// Syllables that words are made of.
#[rustfmt::skip]
const SYLLABLES: &[&str] = &[
    "al", "ba", "cor", "de", "el", "fo", "gra", "hu", "in", "jo", "ka", "lim", "mo", "ne", "or", "pa", "qui", "re", "sta", "tu",
    "un", "ver", "wo", "xi", "yt", "zen",
];
/// How many words there are; the first are more frequent.
const WORDS: usize = 4000;

/// A word, mostly one of the frequent ones.
pub(super) fn word(random: &mut Random) -> String {
    let rank = random.below(WORDS);
    numbered(rank * random.below(WORDS) / WORDS)
}

/// The word of a number.
fn numbered(number: usize) -> String {
    let count = SYLLABLES.len();
    let mut word = format!("{}{}", SYLLABLES[number % count], SYLLABLES[(number / count) % count]);
    word.push_str(SYLLABLES[(number * 7 + number / 5) % count]);
    word
}

/// A line of a file with this extension, without its end. What isn't code is a comment in Rust, so that parsers have a
/// chance.
pub(super) fn line(extension: &str, random: &mut Random) -> String {
    let line = line_of_any(extension, random);
    if extension == "rs" && !line.ends_with(';') && !line.starts_with("pub fn") { format!("// {line}") } else { line }
}

fn line_of_any(extension: &str, random: &mut Random) -> String {
    let (one, two, number) = (word(random), word(random), random.below(1000));
    match (extension, random.below(8)) {
        ("rs", 0) => format!("pub fn {one}_{number}() {{}} // {two}"),
        ("rs", 1) => format!("const {}: u32 = {number}; use {two};", one.to_uppercase()),
        ("c", 0) => format!("int {one}_{number}(void) {{ return {number}; }}"),
        ("c", 1) => format!("\tif ({one} == NULL) return -E{};", two.to_uppercase()),
        ("py", 0) => format!("def {one}_{number}({two}): pass"),
        ("md", 0) => format!("# {one} {two} {number}"),
        ("json", _) => format!("  \"{one}\": \"{two} {number}\","),
        (_, 2) => format!("{one} {two} straße naïve {number}"),
        (_, 3) => format!("see https://{one}.example.org/{two}?n={number}"),
        _ => format!("{one} {two} {} {} 0x{number:x}", word(random), word(random)),
    }
}

/// A file's text.
pub(super) fn text(extension: &str, random: &mut Random) -> String {
    let lines = 5 + random.below(70);
    let mut text = String::new();
    for _ in 0..lines {
        text.push_str(&line(extension, random));
        text.push('\n');
    }
    text
}

/// A pattern, as `rg` takes it, that has matches here and there.
pub(super) fn pattern(random: &mut Random) -> String {
    let (one, two) = (word(random), word(random));
    match random.below(12) {
        0..=3 => format!("{one} {two}"),
        4 => format!("{one}_{}", random.below(1000)),
        5 => format!("{one}.*{two}"),
        6 => format!("\\b{one}\\b.*[0-9]{{3}}$"),
        7 => format!("(?i){}", two.to_uppercase()),
        8 => format!("^# {one}"),
        9 => format!("{one}[a-z]+ {two}|needle_{}\\b", random.below(400)),
        10 => format!("naïve {}$", random.below(1000)),
        _ => format!("needle_{}\\b", random.below(400)),
    }
}
