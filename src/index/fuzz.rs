//! Checks for a fuzzer; see [`crate::fuzz`].

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use arbitrary::{Result, Unstructured};
use grep_searcher::Searcher;
use grep_searcher::sinks::Bytes;
use regex_syntax::hir::{Class, Hir, HirKind};
use uuid::Uuid;

use super::docs::{ContentHash, Doc, DocTable};
use super::gram::{Collector, Gram};
use super::manifest::{Generation, Manifest};
use super::plan::Plan;
use super::query::{Boundary, Case, Pattern, Query};
use super::search::implicit_searcher;
use super::segment::{self, Segment, SegmentBuilder, SegmentId, SegmentRef};
use super::text::searched_part;
use crate::core::cache::{Fence, FencingToken};
use crate::core::stat::FileStat;
use crate::fuzz::place::{scratch, written};

thread_local! {
    // Both hold much memory, and neither remembers anything that matters.
    static COLLECTOR: RefCell<Collector> = RefCell::new(Collector::new());
    static SEARCHER: RefCell<Searcher> = RefCell::new(implicit_searcher());
}

/// A file of any bytes is a segment that can be read through and merged, or is refused.
pub fn segment(data: &[u8]) {
    let folder = scratch();
    let id = SegmentId(Uuid::nil());
    written(&id.file(folder.path()), data);
    let checksum = data.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
    let name = SegmentRef { id, bytes: data.len() as u64, checksum };
    let Ok(segment) = Segment::open(folder.path(), name) else { return };
    let docs = segment.docs();
    for number in 0..docs.len() {
        assert_eq!(docs.find(docs.path(number)), Some(number), "a file is found by its path");
        assert!(segment.with_hash(docs.doc(number).hash).contains(&number) || docs.doc(number).scanned);
    }
    let mut grams = Vec::new();
    for entry in segment.all_entries().flatten().flatten() {
        let mut numbers = Vec::new();
        if segment.postings(&entry, &mut numbers).is_ok() {
            assert!(numbers.is_sorted() && numbers.last().is_none_or(|last| *last < docs.len()), "{numbers:?}");
        }
        grams.push(entry.gram);
    }
    grams.sort_unstable();
    // Any answer will do: what is asked for may be damaged.
    let _ = segment.entries(&grams);
    if let Ok(merged) = segment::merge(folder.path(), &[&segment], |_, number| number % 2 == 0) {
        let merged = Segment::open(folder.path(), merged.segment).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(merged.docs().len(), docs.len().div_ceil(2));
    }
}

/// Seeds of [`segment`].
pub fn segment_seeds() -> Vec<Vec<u8>> {
    let text = |from: usize| (from..from + 30).map(|n| format!("{n:x} line of {n}\n")).collect::<String>();
    [0, 1, 12].map(|files| written_segment((0..files).map(|n| (format!("d/{n:02}.txt"), text(n))))).to_vec()
}

fn written_segment(files: impl Iterator<Item = (String, String)>) -> Vec<u8> {
    let folder = scratch();
    let mut builder = SegmentBuilder::new();
    for (path, text) in files {
        builder.text().feed(text.as_bytes());
        builder.add(path.as_bytes(), doc(text.as_bytes()));
    }
    let name = builder.write(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    read(&name.id.file(folder.path()))
}

fn doc(text: &[u8]) -> Doc {
    let stat = FileStat { size: text.len() as u64, mtime_ns: 1 << 60, ctime_ns: 1 << 59, inode: 77 };
    Doc { stat, hash: ContentHash::of(text), scanned: text.len() % 7 == 3, racy: false, plain: true }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Any bytes are a table of files, which is written as it was read, or are refused.
pub fn files(data: &[u8]) {
    let Some(table) = DocTable::decode(data) else { return };
    for number in 0..table.len() {
        assert_eq!(table.find(table.path(number)), Some(number), "a file is found by its path");
        let below = table.below(table.path(number));
        assert!(below.end <= table.len() && below.start > number, "what is in a folder comes after it");
    }
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    let again = DocTable::decode(&bytes).unwrap_or_else(|| panic!("what was written can't be read"));
    let all = |table: &DocTable| (0..table.len()).map(|n| (table.path(n).to_vec(), *table.doc(n))).collect::<Vec<_>>();
    assert_eq!(all(&table), all(&again));
}

/// Seeds of [`files`].
pub fn files_seeds() -> Vec<Vec<u8>> {
    let table = |paths: &[&str]| {
        let mut table = DocTable::default();
        paths.iter().for_each(|path| _ = table.push(path.as_bytes(), doc(path.as_bytes())));
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        bytes
    };
    vec![table(&[]), table(&["a"]), table(&["a", "a/b", "a/b.c", "a.c", "d/e/f/g"])]
}

/// Any bytes are a manifest, which is written as it was read, or are refused.
pub fn manifest(data: &[u8]) {
    let Some(manifest) = Manifest::decode(data) else { return };
    let again = Manifest::decode(&manifest.encode());
    assert_eq!(again.as_ref(), Some(&manifest));
    let _ = (
        manifest.fences.highest(),
        manifest.generation.next(),
        manifest.ancestry.child().is_built_on(&manifest.ancestry),
    );
}

/// Seeds of [`manifest`].
pub fn manifest_seeds() -> Vec<Vec<u8>> {
    let mut manifest = Manifest { generation: Generation(300), ..Manifest::default() };
    let mut seeds = vec![manifest.encode()];
    for number in 0..3 {
        let id = SegmentId(Uuid::from_u128(number));
        let name = SegmentRef { id, bytes: 1 << (9 * number), checksum: u64::MAX };
        manifest.segments.insert(id, (name, vec![0, 3, 4, 900]));
        manifest.fences.passed(Fence { queue: number as u64, token: FencingToken(1 << (20 * number)) });
        manifest.ancestry = manifest.ancestry.child();
        seeds.push(manifest.encode());
    }
    seeds
}

/// A text in which ripgrep's searcher finds a pattern is let through by the pattern's plan.
pub fn planner(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(pattern) = pattern(&mut bytes) else { return };
    let Ok(query) = Query::new(&pattern) else { return };
    let Ok(text) = text_with(&pattern, bytes) else { return };
    if !is_found(&query, &text) {
        return;
    }
    let grams: BTreeSet<Gram> = COLLECTOR.with_borrow_mut(|collector| {
        collector.clear();
        collector.feed(&searched_part(&text));
        collector.found().collect()
    });
    let shown = String::from_utf8_lossy(&text);
    assert!(lets_through(&query.plan, &grams), "{pattern:?} is missed in {shown:?} by {:?}", query.plan);
}

/// Seeds of [`planner`]: the first byte says that a pattern is given as it is written.
pub fn planner_seeds() -> Vec<Vec<u8>> {
    let patterns =
        ["abc", "(?i)stra(?:ß|ss)e", "[a-z]{3}_[0-9]{4}", r"\bfoo\w+bar$", "(?-u:\\xff)+a|b*c", r"\p{Greek}"];
    patterns.iter().map(|pattern| [&[0, pattern.len() as u8], pattern.as_bytes(), &[7; 40]].concat()).collect()
}

/// Whether a file with these grams is let through.
pub fn lets_through(plan: &Plan, grams: &BTreeSet<Gram>) -> bool {
    match plan {
        Plan::All => true,
        Plan::Nothing => false,
        Plan::AnyOf(some) => some.iter().any(|t| grams.contains(t)),
        Plan::And(parts) => parts.iter().all(|p| lets_through(p, grams)),
        Plan::Or(parts) => parts.iter().any(|p| lets_through(p, grams)),
    }
}

fn is_found(query: &Query, text: &[u8]) -> bool {
    let mut found = false;
    let sink = Bytes(|_, _| {
        found = true;
        Ok(false)
    });
    // What can't be searched has no answer that could be missed.
    SEARCHER.with_borrow_mut(|searcher| searcher.search_slice(&query.matcher, text, sink)).is_ok() && found
}

/// A pattern: as the bytes spell it, or built from pieces.
fn pattern(bytes: &mut Unstructured) -> Result<Pattern> {
    let is_built = bytes.ratio(1, 2)?;
    let mut patterns = Vec::new();
    for _ in 0..bytes.int_in_range(1..=2)? {
        let mut text = String::new();
        if is_built {
            expression(bytes, 0, &mut text)?;
        } else {
            let length = bytes.int_in_range(0..=80)?;
            text = String::from_utf8_lossy(bytes.bytes(length.min(bytes.len()))?).into_owned();
        }
        patterns.push(text);
    }
    let case = *bytes.choose(&[Case::Sensitive, Case::Insensitive, Case::Smart])?;
    let boundary = *bytes.choose(&[Boundary::None, Boundary::Word, Boundary::Line])?;
    Ok(Pattern { patterns, fixed_strings: bytes.ratio(1, 6)?, case, boundary, ..Pattern::default() })
}

/// Writes a regular expression.
fn expression(bytes: &mut Unstructured, depth: usize, out: &mut String) -> Result<()> {
    /// What letters fold to (the Kelvin sign, the long s) is where a plan could err.
    const PIECES: [&str; 36] = [
        "a",
        "b",
        "c",
        "k",
        "K",
        "s",
        "S",
        "\u{212a}",
        "\u{17f}",
        "é",
        "É",
        "ß",
        "Σ",
        "ς",
        "\u{130}",
        "İ",
        "_",
        "7",
        " ",
        "-",
        "abc",
        "foo",
        ".",
        r"\w",
        r"\d",
        r"\s",
        "[a-c]",
        "[^a]",
        "[k-s]",
        r"\pL",
        r"[\w&&[^a-j]]",
        r"(?-u:\xe9)",
        r"(?-u:[\x80-\xff])",
        r"\x{fffd}",
        r"\t",
        r"\r",
    ];
    const LOOKS: [&str; 12] = [
        "^",
        "$",
        r"\b",
        r"\B",
        r"\A",
        r"\z",
        r"\b{start}",
        r"\b{end}",
        r"\b{start-half}",
        r"(?-u:\b)",
        "(?i)",
        "(?x) ",
    ];
    const REPETITIONS: [&str; 12] =
        ["*", "+", "?", "*?", "+?", "{2}", "{0,3}", "{3,}", "{9}", "{1,12}", "{0}", "{2,5}?"];
    for _ in 0..bytes.int_in_range(1..=6)? {
        match bytes.int_in_range(0..=9)? {
            0..=4 => out.push_str(bytes.choose(&PIECES)?),
            5 => out.push_str(bytes.choose(&LOOKS)?),
            6 => out.push('|'),
            _ if depth < 3 => {
                out.push_str(bytes.choose(&["(", "(?:", "(?i:", "(?-u:", "(?s-i:", "(?P<n>", "(?U:"])?);
                expression(bytes, depth + 1, out)?;
                out.push(')');
            }
            _ => out.push('a'),
        }
        if bytes.ratio(1, 3)? {
            out.push_str(bytes.choose(&REPETITIONS)?);
        }
    }
    Ok(())
}

/// A text that is likely to hold a match: what the pattern spells, letters in any case, between other bytes.
fn text_with(pattern: &Pattern, mut bytes: Unstructured) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let around = bytes.int_in_range(0..=6)?;
    text.extend_from_slice(bytes.bytes(around)?);
    let mut parser = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .multi_line(true)
        .case_insensitive(pattern.case != Case::Sensitive)
        .build();
    let spelled = bytes.choose(&pattern.patterns)?;
    let spelled = if pattern.fixed_strings { regex_syntax::escape(spelled) } else { spelled.clone() };
    if let Ok(hir) = parser.parse(&spelled) {
        spell(&hir, &mut bytes, &mut text)?;
    }
    if pattern.case != Case::Sensitive && bytes.arbitrary()? {
        text.iter_mut().filter(|byte| byte.is_ascii_alphabetic()).for_each(|byte| *byte ^= 0x20);
    }
    text.extend_from_slice(bytes.take_rest());
    Ok(text)
}

/// Appends bytes that an expression matches, its conditions on what is around it left aside.
fn spell(hir: &Hir, bytes: &mut Unstructured, out: &mut Vec<u8>) -> Result<()> {
    /// Longer texts show nothing that shorter ones don't.
    const LONG: usize = 2000;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Unicode(class)) if !class.ranges().is_empty() => {
            let range = bytes.choose(class.ranges())?;
            let number = bytes.int_in_range(u32::from(range.start())..=u32::from(range.end()))?;
            out.extend(char::from_u32(number).unwrap_or(range.start()).to_string().bytes());
        }
        HirKind::Class(Class::Bytes(class)) if !class.ranges().is_empty() => {
            let range = bytes.choose(class.ranges())?;
            out.push(bytes.int_in_range(range.start()..=range.end())?);
        }
        HirKind::Class(_) => {}
        HirKind::Capture(capture) => spell(&capture.sub, bytes, out)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| spell(part, bytes, out))?,
        HirKind::Alternation(parts) => spell(bytes.choose(parts)?, bytes, out)?,
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX).min(repetition.min.saturating_add(3));
            for _ in 0..bytes.int_in_range(repetition.min..=most)? {
                if out.len() > LONG {
                    break;
                }
                spell(&repetition.sub, bytes, out)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::checksum::xxh3_64;

    /// Guards against a file with sound checksums whose dictionary lies outside of it: reading it asked for all memory.
    #[test]
    fn a_dictionary_out_of_order_is_refused() {
        const FOOTER: usize = 48;
        let mut bytes = written_segment((0..40).map(|n| (format!("{n:02}"), format!("text of {n:x} {n:b}\n"))));
        let footer = bytes.len() - FOOTER;
        let number = |bytes: &[u8], at: usize| bytes[at..].first_chunk().map_or(0, |n| u64::from_le_bytes(*n)) as usize;
        let (index, files) = (number(&bytes, footer + 8), number(&bytes, footer + 16));
        assert!(files - index >= 32, "it has several blocks");
        // Where the second block is, as its entry says after its first gram.
        bytes[index + 16 + 4..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let checksum = xxh3_64(&bytes[index..files]);
        bytes[footer + 24..][..8].copy_from_slice(&checksum.to_le_bytes());
        let checksum = xxh3_64(&bytes[footer..footer + FOOTER - 8]);
        bytes[footer + FOOTER - 8..].copy_from_slice(&checksum.to_le_bytes());
        let folder = scratch();
        let name = SegmentRef { id: SegmentId(Uuid::nil()), bytes: bytes.len() as u64, checksum };
        written(&name.id.file(folder.path()), &bytes);
        let refused = Segment::open(folder.path(), name).err().map(|error| error.to_string());
        assert!(refused.as_deref().is_some_and(|why| why.contains("out of order")), "{refused:?}");
    }
}
