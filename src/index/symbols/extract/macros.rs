//! The macros of a header that holds nothing else.
//!
//! Headers of nothing but directives and comments, most of them the registers of devices, are a sixth of what is parsed of
//! Linux, and a grammar takes its time for each of their lines. Here they are read line by line; at the least doubt the
//! text is left to the grammar, so that the same is found in either way.

use memchr::memmem;

use super::LONGEST_NAME;
use crate::index::returns::lone_returns;
use crate::index::symbols::column::saturate;
use crate::index::symbols::{Column, Symbol, SymbolKind};

/// The macros that `text` defines, in order; `None` when there is, or may be, anything else in it.
pub(super) fn macros(text: &[u8]) -> Option<Vec<Symbol>> {
    let mut lines = Lines { text, at: 0, line: 0, line_start: 0 };
    let mut found = Vec::new();
    // Of each condition that is open, whether it had its `#else`.
    let mut conditions = Vec::new();
    loop {
        lines.skip_blanks();
        match lines.rest() {
            [] => return (conditions.is_empty() && is_plain(text)).then_some(found),
            [b'\n', ..] | [b'\r', b'\n', ..] => lines.end_of_line()?,
            [b'/', b'*', ..] => lines.block_comment()?,
            [b'/', b'/', ..] => lines.line_comment()?,
            [b'#', ..] => {
                lines.at += 1;
                lines.skip_blanks();
                match lines.word() {
                    b"define" => found.push(lines.define()?),
                    b"ifdef" | b"ifndef" => {
                        lines.name()?;
                        lines.nothing_more()?;
                        conditions.push(false);
                    }
                    b"else" => {
                        lines.nothing_more()?;
                        let had_else = conditions.last_mut()?;
                        if std::mem::replace(had_else, true) {
                            return None;
                        }
                    }
                    b"endif" => {
                        lines.nothing_more()?;
                        conditions.pop()?;
                    }
                    b"undef" => {
                        lines.name()?;
                        lines.end_of_line()?;
                    }
                    b"include" => lines.included()?,
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// Else columns would have to be counted, and bytes that are no text would be for the grammar to judge.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')) && lone_returns(text).next().is_none()
}

/// Where in a text one is. What is read stands at `at`, which goes behind it.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Lines<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) -> usize {
        let blanks = self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.at += blanks;
        blanks
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        self.at += length;
        &rest[..length]
    }

    /// Blanks, then a name.
    fn name(&mut self) -> Option<&'a [u8]> {
        let blanks = self.skip_blanks();
        let name = self.word();
        (blanks > 0 && name.first().is_some_and(|byte| !byte.is_ascii_digit())).then_some(name)
    }

    fn end_of_line(&mut self) -> Option<()> {
        let length = match self.rest() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        self.at += length;
        self.new_line();
        Some(())
    }

    fn new_line(&mut self) {
        self.line += 1;
        self.line_start = self.at;
    }

    /// Goes to the next line, if that belongs to this one.
    fn continues(&mut self) -> bool {
        let length = match self.rest() {
            [b'\\', b'\n', ..] => 2,
            [b'\\', b'\r', b'\n', ..] => 3,
            _ => return false,
        };
        self.at += length;
        self.new_line();
        true
    }

    fn block_comment(&mut self) -> Option<()> {
        let end = self.at + 2 + memmem::find(self.rest().get(2..)?, b"*/")? + 2;
        while let Some(to) = memchr::memchr(b'\n', &self.text[self.at..end]) {
            self.at += to + 1;
            self.new_line();
        }
        self.at = end;
        Some(())
    }

    fn line_comment(&mut self) -> Option<()> {
        let length = memchr::memchr(b'\n', self.rest())?;
        if self.rest()[..length].contains(&b'\\') {
            return None;
        }
        self.at += length;
        self.end_of_line()
    }

    /// The line ends here, but for a comment.
    fn nothing_more(&mut self) -> Option<()> {
        self.skip_blanks();
        match self.rest() {
            [b'/', b'*', ..] => {
                self.block_comment()?;
                self.skip_blanks();
                self.end_of_line()
            }
            [b'/', b'/', ..] => self.line_comment(),
            _ => self.end_of_line(),
        }
    }

    /// Blanks, then what `#include` takes, and no more.
    fn included(&mut self) -> Option<()> {
        let blanks = self.skip_blanks();
        let close = match self.rest() {
            [b'<', ..] => b'>',
            [b'"', ..] => b'"',
            _ => return None,
        };
        let length = memchr::memchr2(close, b'\n', &self.rest()[1..])? + 2;
        let name = &self.rest()[..length];
        if blanks == 0 || name.ends_with(b"\n") || name.contains(&b'\\') {
            return None;
        }
        self.at += length;
        self.end_of_line()
    }

    fn define(&mut self) -> Option<Symbol> {
        let name = self.name().filter(|name| name.len() <= LONGEST_NAME)?;
        let (line, column) = (saturate(self.line), saturate(self.at - name.len() - self.line_start));
        let symbol = Symbol {
            name: String::from_utf8_lossy(name).into_owned(),
            kind: SymbolKind::Macro,
            line,
            column: Column { utf8: column, utf16: column, utf32: column },
            container: String::new(),
            outer: String::new(),
            is_declaration: false,
        };
        if self.rest().starts_with(b"(") {
            self.parameters()?;
        }
        self.value()?;
        Some(symbol)
    }

    fn parameters(&mut self) -> Option<()> {
        let length = memchr::memchr2(b')', b'\n', self.rest()).filter(|end| self.rest()[*end] == b')')? + 1;
        let list = &self.rest()[1..length - 1];
        let is_name = |text: &[u8]| {
            let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            text == b"..." || text.iter().all(is_letter) && text.first().is_some_and(|byte| !byte.is_ascii_digit())
        };
        if !list.is_empty() && !list.split(|byte| *byte == b',').all(|text| is_name(text.trim_ascii())) {
            return None;
        }
        self.at += length;
        Some(())
    }

    /// What a macro stands for, which may be nothing, up to the end of the line: that of the last one, if it goes on.
    fn value(&mut self) -> Option<()> {
        if self.skip_blanks() == 0 {
            return self.end_of_line();
        }
        if self.continues() {
            self.skip_blanks();
        }
        // Blanks alone are too much for the grammars.
        if matches!(self.rest(), [] | [b'\n' | b'\r' | b'\\', ..]) {
            return None;
        }
        loop {
            self.at += memchr::memchr3(b'\n', b'/', b'\\', self.rest())?;
            match self.rest() {
                [b'\n', ..] => return self.end_of_line(),
                [b'/', b'*', ..] => {
                    self.block_comment()?;
                    return self.end_of_line();
                }
                // To the grammars it is a part of the value, where another comment may begin.
                [b'/', b'/', ..] => {
                    let length = memchr::memchr(b'\n', self.rest())?;
                    return (!self.rest()[2..length].contains(&b'/')).then(|| self.line_comment())?;
                }
                // Where these end isn't agreed upon.
                [b'/', b'\n' | b'\r' | b'\\', ..] | [b'/'] | [b'\\'] => return None,
                [b'/', ..] => self.at += 2,
                _ if self.continues() => {}
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::index::symbols::Extractor;
    use crate::index::symbols::language::Language;

    /// What a grammar finds.
    fn parsed(language: Language, text: &[u8]) -> Vec<Symbol> {
        let language = language.of_text(text).unwrap();
        Extractor::default().parsed(language, text, &tokio_util::sync::CancellationToken::new()).unwrap()
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[A-Za-z_][A-Za-z0-9_]{0,3}", 1 => "int|if|NULL|true|defined|define|inline|struct|class|ifdef"]
    }

    fn comment() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), r"/\*[a-z*/ \n]{0,6}\*/ ?", r"// ?[a-z*/\\\\]{0,5}"]
    }

    fn line() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            3 => "[ \t]{0,2}(0x[0-9A-F]{1,4}|[a-z]{1,3}|\\([a-z+]{1,3}\\))?[ \t]{0,2}",
            1 => "[ ]{0,1}[-a-z0-9+()<>'\"/*\\\\#,; \r\u{c}\u{0}é]{0,8}",
            1 => r"[ ]{0,1}[a-z0-9+/ ]{0,3}\\\r?\n[a-z0-9+/ ]{0,3}",
        ];
        let list = prop_oneof![3 => Just(String::new()), 2 => r"\([a-z]?(, ?([a-z]|\.\.\.)){0,2}\)", 1 => r"\([a-z, .]{0,4}\)?"];
        let define = (name(), list, value, comment())
            .prop_map(|(name, list, value, comment)| format!("define {name}{list}{value}{comment}"));
        let other = prop_oneof![
            Just("else".to_owned()),
            Just("endif".to_owned()),
            Just("endif ".to_owned()),
            name().prop_map(|name| format!("ifdef {name}")),
            name().prop_map(|name| format!("ifndef {name}")),
            name().prop_map(|name| format!("undef {name}")),
            "include [<\"][a-z./]{0,4}[>\"]",
            Just("pragma once".to_owned()),
            Just("if 1".to_owned()),
        ];
        let other = (other, comment()).prop_map(|(other, comment)| format!("{other}{comment}"));
        let directive =
            (r"[ \t]{0,1}", prop_oneof![3 => define, 1 => other]).prop_map(|(blanks, rest)| format!("#{blanks}{rest}"));
        (r"[ \t]{0,1}", prop_oneof![6 => directive, 1 => comment()], "\r?\n").prop_map(|(a, b, c)| format!("{a}{b}{c}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

        /// What is found line by line is what the grammars find.
        #[test]
        fn macros_are_those_of_the_grammars(lines in prop::collection::vec(line(), 0..8), cut in any::<prop::sample::Index>(), is_whole: bool) {
            let mut text = lines.concat();
            if !is_whole {
                let ends: Vec<_> = text.char_indices().map(|(at, _)| at).chain([0]).collect();
                text.truncate(*cut.get(&ends));
            }
            if let Some(found) = macros(text.as_bytes()) {
                for language in [Language::C, Language::Cpp] {
                    prop_assert_eq!(&found, &parsed(language, text.as_bytes()), "{:?} {:?}", language, text);
                }
            }
        }
    }

    #[test]
    fn registers_are_read_and_code_is_left() {
        let text = b"/*\n * Registers\n */\n#ifndef A_H\n#define A_H\n\n#define REG__MASK 0x1L // a bit\n#define F(a, b) \\\n\t(a + b)\n#endif /* A_H */\n";
        let found = macros(text).unwrap();
        let shown: Vec<_> = found.iter().map(|symbol| (symbol.line, symbol.column.utf8, &symbol.name[..])).collect();
        assert_eq!(shown, [(4, 8, "A_H"), (6, 8, "REG__MASK"), (7, 8, "F")]);
        assert_eq!(macros(b"#define A 1\nint a;\n"), None);
    }
}
