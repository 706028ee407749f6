//! `search_code`: text in all files.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use ignore::overrides::OverrideBuilder;
use serde_json::json;

use super::answer::{Item, List, Pages, cut};
use super::arguments::Arguments;
use super::engine::Engine;
use crate::core::files::RootFolder;
use crate::core::{CodebaseRoot, RelPath};
use crate::lsp::ext;

/// Matches that are counted; beyond them there are "more than" so many.
const MOST_MATCHES: usize = 10_000;
/// Bytes that are shown of a line.
const LONGEST_LINE: usize = 300;
/// Numbers of lines that are shown of a file when only places are.
const MOST_NUMBERS: usize = 40;
/// Lines around a match in a block, and lines of one block at most.
const AROUND: u32 = 3;
const LONGEST_BLOCK: u32 = 24;
/// Files are read so far for blocks, bytes.
const LONGEST_FILE: u64 = 8 << 20;

/// How matches are shown.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Lines,
    Places,
    Blocks,
}

/// What was found in one codebase.
struct Found {
    root: usize,
    /// By file, in path order; each line once.
    files: Vec<(RelPath, Vec<Line>)>,
}

/// A line that holds a match.
struct Line {
    /// From 1.
    number: u32,
    text: String,
}

/// Answers a call.
pub(super) async fn run(engine: &Arc<Engine>, pages: &Pages, arguments: &Arguments) -> Result<String, String> {
    let max_tokens = arguments.max_tokens()?;
    if let Some(page) = arguments.text("page")? {
        return pages.later(page, max_tokens).await;
    }
    let patterns = arguments.texts("patterns")?;
    if patterns.is_empty() || patterns.iter().any(String::is_empty) {
        return Err("`patterns` must hold at least one text, and none that is empty".to_owned());
    }
    let mode = match arguments.text("mode")? {
        None | Some("lines") => Mode::Lines,
        Some("places") => Mode::Places,
        Some("blocks") => Mode::Blocks,
        Some(other) => return Err(format!("there is no mode `{other}`; there are lines, places, blocks")),
    };
    let asks_regex = arguments.flag("regex")?;
    let (query, is_regex) = query(&patterns, asks_regex);
    let (include, exclude) = (arguments.texts("include")?, arguments.texts("exclude")?);
    let params = json!({
        "query": query, "isRegex": is_regex, "isCaseSensitive": !arguments.flag("ignore_case")?,
        "wholeWord": arguments.flag("whole_word")?, "include": include, "exclude": exclude,
        "maxResults": MOST_MATCHES, "fresh": true,
    });
    let mut all = Vec::new();
    let (mut is_more, mut end) = (false, String::new());
    for (number, root) in engine.roots().iter().enumerate() {
        let found = engine.request::<ext::SearchResult>(number, ext::SEARCH, params.clone()).await;
        let found = found.map_err(|why| if asks_regex { hint(&why) } else { why })?;
        is_more |= found.limit_hit;
        end.push_str(&freshness(engine, number, &found).await);
        all.push(lines_of(number, root, found.matches));
    }
    let (lines, files) = all
        .iter()
        .flat_map(|found| &found.files)
        .fold((0, 0), |(lines, files), (_, found)| (lines + found.len(), files + 1));
    if lines == 0 {
        return Ok(format!("No line matches{}.\n{end}", nothing_because(engine, &include).await));
    }
    let more = if is_more { "more than " } else { "" };
    let total = format!("{more}{lines} {} in {files} {}", noun(lines, "line"), noun(files, "file"));
    let narrow = "Or narrow it by `include`, or take `mode: places`.";
    let shown = engine.clone();
    let items = tokio::task::spawn_blocking(move || all.iter().flat_map(|found| items(&shown, found, mode)).collect());
    let items: Vec<Item> = items.await.map_err(|_| "a call broke off by a fault of syncline".to_owned())?;
    Ok(pages.first(List { items, unit: "lines", total, narrow, end }, max_tokens).await)
}

/// One pattern for all of them.
fn query(patterns: &[String], is_regex: bool) -> (String, bool) {
    match patterns {
        [one] => (one.clone(), is_regex),
        several => {
            let escaped = |pattern: &String| if is_regex { pattern.clone() } else { regex_syntax::escape(pattern) };
            let each = several.iter().map(|pattern| format!("(?:{})", escaped(pattern)));
            (each.collect::<Vec<_>>().join("|"), true)
        }
    }
}

/// How to go on when a regular expression may be what is wrong.
fn hint(why: &str) -> String {
    format!("{why}\nTo find the text as it stands, leave `regex` out.")
}

/// The word for so many.
pub(super) fn noun(count: usize, one: &str) -> String {
    if count == 1 { one.to_owned() } else { format!("{one}s") }
}

/// How fresh an answer is, as its last line.
async fn freshness(engine: &Arc<Engine>, root: usize, found: &ext::SearchResult) -> String {
    let generation = found.generation;
    let of = match engine.roots().len() {
        1 => String::new(),
        _ => format!(" in {}", engine.roots()[root].as_path().display()),
    };
    if found.fresh {
        return format!("fresh{of}: yes (generation {generation})\n");
    }
    let states: Result<Vec<ext::QueueState>, _> = engine.request(root, ext::QUEUE, json!({})).await;
    let why = states.ok().and_then(|states| states.into_iter().next()?.message);
    let why = why.unwrap_or_else(|| "not every change on disk could be caught up with in time".to_owned());
    format!("fresh{of}: no (generation {generation}): {why}\n")
}

/// Why nothing may have been found.
async fn nothing_because(engine: &Arc<Engine>, include: &[String]) -> String {
    if include.is_empty() {
        return String::new();
    }
    for (number, root) in engine.roots().iter().enumerate() {
        let mut builder = OverrideBuilder::new(root.as_path());
        for glob in include {
            let glob = glob.trim_end_matches('/');
            if builder.add(glob).and_then(|builder| builder.add(&format!("{glob}/**"))).is_err() {
                return String::new();
            }
        }
        let (Ok(globs), Ok(files)) = (builder.build(), engine.files(number).await) else { return String::new() };
        if files.iter().any(|file| globs.matched(file.to_path(root.as_path()), false).is_whitelist()) {
            return String::new();
        }
    }
    ", since no file matches `include`; globs and folders count from the codebase's root".to_owned()
}

fn lines_of(root: usize, at: &CodebaseRoot, matches: Vec<ext::SearchMatch>) -> Found {
    let mut files: Vec<(RelPath, Vec<Line>)> = Vec::new();
    let mut last: Option<(String, RelPath)> = None;
    for found in matches {
        let uri = found.uri.as_str();
        let path = match &last {
            Some((known, path)) if known == uri => Some(path.clone()),
            _ => found.uri.to_path().and_then(|path: PathBuf| RelPath::below(at.as_path(), &path)),
        };
        let Some(path) = path else { continue };
        last = Some((uri.to_owned(), path.clone()));
        if files.last().is_none_or(|(other, _)| *other != path) {
            files.push((path, Vec::new()));
        }
        let Some((_, lines)) = files.last_mut() else { continue };
        let number = found.range.start.line + 1;
        if lines.last().is_none_or(|line| line.number != number) {
            let start = byte_of(&found.text, found.range.start.character);
            lines.push(Line { number, text: cut(found.text.trim_end(), start, LONGEST_LINE) });
        }
    }
    Found { root, files }
}

/// The byte at a column in UTF-16.
fn byte_of(text: &str, column: u32) -> usize {
    let mut units = 0;
    let at = text.char_indices().find(|(_, letter)| {
        let is_there = units >= column as usize;
        units += letter.len_utf16();
        is_there
    });
    at.map_or(text.len(), |(byte, _)| byte)
}

fn items(engine: &Engine, found: &Found, mode: Mode) -> Vec<Item> {
    let Found { root, files } = found;
    let folder = (mode == Mode::Blocks).then(|| RootFolder::open(engine.roots()[*root].as_path()).ok()).flatten();
    let mut items = Vec::new();
    for (path, lines) in files {
        let name: Arc<str> = engine.name_of(*root, &path.to_string()).into();
        if mode == Mode::Places {
            let numbers = lines.iter().take(MOST_NUMBERS).map(|line| line.number.to_string()).collect::<Vec<_>>();
            let rest = match lines.len().saturating_sub(MOST_NUMBERS) {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            items.push(Item {
                group: None,
                text: format!("{name}: {}{rest}", numbers.join(", ")),
                counts: lines.len(),
            });
            continue;
        }
        let blocks = folder.as_ref().and_then(|folder| blocks(folder, path, lines));
        match blocks {
            Some(blocks) => {
                items.extend(blocks.into_iter().map(|(text, counts)| Item { group: Some(name.clone()), text, counts }))
            }
            None => items.extend(lines.iter().map(|line| Item {
                group: Some(name.clone()),
                text: format!("  {}: {}", line.number, line.text),
                counts: 1,
            })),
        }
    }
    items
}

/// Matches with the lines around them, and how many of them are in each; `None` when the file isn't as it was searched.
fn blocks(folder: &RootFolder, path: &RelPath, found: &[Line]) -> Option<Vec<(String, usize)>> {
    let mut bytes = Vec::new();
    folder.file(path).ok()??.take(LONGEST_FILE).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let lines: Vec<_> = text.lines().collect();
    let last = u32::try_from(lines.len()).ok()?;
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for line in found {
        if line.number > last {
            return None;
        }
        let (from, to) = (line.number.saturating_sub(AROUND).max(1), (line.number + AROUND).min(last));
        match ranges.last_mut() {
            Some(range) if from <= range.end() + 1 && to - range.start() < LONGEST_BLOCK => {
                *range = *range.start()..=to;
            }
            other => {
                let from = other.map_or(from, |range| from.max(range.end() + 1));
                ranges.push(from..=to.max(from));
            }
        }
    }
    let matches: BTreeSet<_> = found.iter().map(|line| line.number).collect();
    let block = |range: &RangeInclusive<u32>| {
        let shown = range.clone().map(|number| {
            let mark = if matches.contains(&number) { ':' } else { '-' };
            let text = lines.get(number as usize - 1).copied().unwrap_or_default();
            format!("  {number}{mark} {}", cut(text.trim_end(), 0, LONGEST_LINE))
        });
        (shown.collect::<Vec<_>>().join("\n"), matches.range(range.clone()).count())
    };
    Some(ranges.iter().map(block).collect())
}

/// The text of one line of a file, from 1, as it is now.
pub(super) fn line_of(folder: &RootFolder, path: &RelPath, number: u32) -> Option<String> {
    let mut bytes = Vec::new();
    folder.file(path).ok()??.take(LONGEST_FILE).read_to_end(&mut bytes).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').nth(usize::try_from(number).ok()?.checked_sub(1)?)?;
    Some(cut(String::from_utf8_lossy(line).trim(), 0, LONGEST_LINE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn several_patterns_are_one() {
        let of = |patterns: &[&str], is_regex| {
            query(&patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), is_regex)
        };
        assert_eq!(of(&["a.b"], false), ("a.b".to_owned(), false));
        assert_eq!(of(&["a.b", "c"], false), (r"(?:a\.b)|(?:c)".to_owned(), true));
        assert_eq!(of(&["a.b", "c"], true), ("(?:a.b)|(?:c)".to_owned(), true));
    }

    #[test]
    fn columns_are_counted_in_utf_16() {
        assert_eq!(byte_of("a😀b", 3), 5);
        assert_eq!(byte_of("ab", 9), 2);
    }
}
