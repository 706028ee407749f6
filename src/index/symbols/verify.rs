//! Whether symbols that somebody else has found can be those of a text: each name stands where it is said to, as a word of
//! its own, and so does what it is in somewhere before it. That takes a comparison of bytes, not a parser. (What is a name
//! there, but not of a definition, passes.)

use std::collections::HashSet;

use memchr::memmem;

use super::Symbol;
use super::column::Columns;
use super::extract::{LONGEST_NAME, LONGEST_OUTER, MOST_SYMBOLS};
use crate::index::returns::next_line;

/// Times the length of a text that is looked through for what symbols are in.
const MOST_LOOKS: usize = 256;

/// Whether `symbols` can be those of `text`.
pub(super) fn are_of(symbols: &[Symbol], text: &[u8]) -> bool {
    let in_order = symbols.is_sorted_by_key(|symbol| (symbol.line, symbol.column.utf8));
    symbols.len() <= MOST_SYMBOLS && in_order && all_stand_there(symbols, text).is_some()
}

fn all_stand_there(symbols: &[Symbol], text: &[u8]) -> Option<()> {
    let (mut line, mut columns) = (0, Columns::of_line(text, 0));
    let (mut containers, mut left) = (HashSet::new(), text.len().saturating_mul(MOST_LOOKS));
    for Symbol { name, line: wanted, column, container, outer, kind: _, is_declaration: _ } in symbols {
        while line < *wanted {
            let from = columns.byte();
            let start = next_line(text, from)?;
            (line, columns) = (line + 1, Columns::of_line(text, start));
        }
        // Where what is before isn't UTF-8, the column isn't its length, and nothing stands there.
        let before = columns.byte();
        let start = before + usize::try_from(column.utf8.checked_sub(columns.column().utf8)?).ok()?;
        let between = std::str::from_utf8(text.get(before..start)?).ok()?;
        // What writes a field of Ruby has its name, and a sign that doesn't stand there.
        let stands = |name: &str| text[start..].starts_with(name.as_bytes());
        let name = name.strip_suffix('=').filter(|_| !stands(name)).unwrap_or(name);
        let is_there = !between.contains(['\n', '\r']) && stands(name);
        if !is_there || columns.at(start) != *column || !is_whole(text, start, name) {
            return None;
        }
        for enclosing in outer.lines().chain([container.as_str()]).filter(|enclosing| !enclosing.is_empty()) {
            if !containers.contains(enclosing) {
                left = left.checked_sub(memmem::find(&text[..start], enclosing.as_bytes())? + enclosing.len())?;
                containers.insert(enclosing);
            }
        }
        if container.len() > LONGEST_NAME || outer.len() > LONGEST_OUTER || name.is_empty() || name.len() > LONGEST_NAME
        {
            return None;
        }
    }
    Some(())
}

/// Whether a name that stands at `start` is no part of a longer word, unless it was cut.
fn is_whole(text: &[u8], start: usize, name: &str) -> bool {
    // The most bytes of a character.
    const CHARACTER: usize = 4;
    let is_letter = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (bytes, end) = (name.as_bytes(), start + name.len());
    let begins = !is_letter(bytes.first()) || !is_letter(start.checked_sub(1).and_then(|at| text.get(at)));
    let ends = !is_letter(bytes.last()) || !is_letter(text.get(end)) || name.len() + CHARACTER > LONGEST_NAME;
    begins && ends
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::index::symbols::{Extractor, Language};

    #[test]
    fn own_symbols_pass_and_changed_ones_do_not() {
        let text = "\u{feff}struct Ä { int é; };\nint /* ü */ first(void) { return 0; }\nint second(void) { return first(); }\n";
        let found = Extractor::default().symbols(Language::Cpp, text.as_bytes(), &CancellationToken::new()).unwrap();
        assert!(found.len() >= 3 && are_of(&found, text.as_bytes()), "{found:?}");
        assert!(are_of(&[], b""));
        let last = found.len() - 1;
        let changes: [fn(&mut Symbol); 9] = [
            |symbol| symbol.name = "planted".to_owned(),
            |symbol| symbol.name.push('x'),
            |symbol| _ = symbol.name.pop(),
            |symbol| symbol.name.clear(),
            |symbol| symbol.line += 1,
            |symbol| symbol.line = u32::MAX,
            |symbol| symbol.column.utf8 = u32::MAX,
            |symbol| symbol.column.utf16 += 1,
            |symbol| symbol.container = "Planted".to_owned(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = found.clone();
            change(&mut changed[last]);
            assert!(!are_of(&changed, text.as_bytes()), "change {number}");
        }
        let swapped: Vec<_> = found.iter().rev().cloned().collect();
        assert!(!are_of(&swapped, text.as_bytes()), "another order than ours");
    }
}
