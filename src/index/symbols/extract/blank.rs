//! Blanks in place of what a grammar doesn't know, byte for byte, so that everything else stays where it is.
//!
//! To C and C++ a macro is a name, and one in an unusual place hides all behind it: `LIB_BEGIN namespace a {` is a function
//! to the grammar, `class LIB_API Name {` too. What such a name can't be but a macro is seen from the words around it.

mod tokens;

use memchr::memchr_iter;
use tokens::{Token, tokens};

/// Shorter words in capitals are seldom macros.
const SHORTEST: usize = 4;
/// Farther apart, brackets aren't looked for.
const MOST_TOKENS: usize = 256;

/// Words that begin a declaration, or go before its type.
#[rustfmt::skip]
const STARTERS: [&[u8]; 11] = [
    b"static", b"inline", b"extern", b"virtual", b"explicit", b"constexpr", b"typedef", b"friend", b"template", b"using",
    b"__inline",
];
/// Words that are a type, or the beginning of one.
#[rustfmt::skip]
const TYPES: [&[u8]; 14] = [
    b"void", b"int", b"char", b"bool", b"unsigned", b"signed", b"short", b"float", b"double", b"auto", b"struct",
    b"class", b"enum", b"union",
];
/// Words between the parameters of a function and its body.
const BEHIND: [&[u8]; 6] = [b"const", b"noexcept", b"override", b"final", b"volatile", b"mutable"];

/// A text of C or C++ without macros that hide what is behind them; `None` when there are none.
pub(super) fn of_c(text: &[u8], is_cpp: bool) -> Option<Vec<u8>> {
    let mut blanking = Blanking { text, tokens: tokens(text), out: None, is_cpp };
    for at in 0..blanking.tokens.len() {
        match blanking.tokens[at].kind {
            Token::WORD => blanking.word(at),
            b'[' if is_cpp => blanking.attribute(at),
            _ => {}
        }
    }
    blanking.out
}

struct Blanking<'a> {
    text: &'a [u8],
    tokens: Vec<Token>,
    out: Option<Vec<u8>>,
    is_cpp: bool,
}

impl Blanking<'_> {
    fn kind(&self, at: usize) -> u8 {
        self.tokens.get(at).map_or(Token::NOTHING, |token| token.kind)
    }

    fn text(&self, at: usize) -> &[u8] {
        let token = self.tokens.get(at).copied().unwrap_or_default();
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    fn is_one_of(&self, at: usize, words: &[&[u8]]) -> bool {
        self.kind(at) == Token::WORD && words.contains(&self.text(at))
    }

    /// Whether a word is in capitals, as macros are.
    fn is_capital(&self, at: usize) -> bool {
        let word = self.text(at);
        let is_capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        word.len() >= SHORTEST && word[0].is_ascii_uppercase() && word.iter().all(is_capital)
    }

    /// Behind a word and its arguments, should it have some.
    fn behind(&self, at: usize) -> usize {
        if self.kind(at + 1) == b'(' { self.closing(at + 1).map_or(at + 1, |close| close + 1) } else { at + 1 }
    }

    /// The bracket that closes the one at `open`.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in open..self.tokens.len().min(open + MOST_TOKENS) {
            match self.kind(at) {
                b'(' | b'[' => depth += 1,
                b')' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The one before that isn't blanked; `None` at the beginning. Directives are passed over if that is asked for.
    fn before(&self, at: usize, directives: bool) -> Option<usize> {
        let passed = |at: &usize| match self.kind(*at) {
            Token::BLANKED => true,
            b'#' => directives,
            _ => false,
        };
        (0..at).rev().find(|at| !passed(at))
    }

    fn blank(&mut self, from: usize, to: usize) {
        let (Some(first), Some(last)) = (self.tokens.get(from), self.tokens.get(to.wrapping_sub(1))) else { return };
        let range = first.start as usize..last.end as usize;
        let out = self.out.get_or_insert_with(|| self.text.to_vec());
        // Lines stay.
        for byte in out.get_mut(range).into_iter().flatten().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        self.tokens[from..to].iter_mut().for_each(|token| token.kind = Token::BLANKED);
    }

    fn word(&mut self, at: usize) {
        match self.text(at) {
            b"class" | b"struct" | b"union" | b"enum" => self.head(at),
            b"export" if self.is_cpp && self.begins(at) && self.kind(at + 1) == Token::WORD => self.blank(at, at + 1),
            b"slots" if self.is_before_label(at) => self.blank(at, at + 1),
            b"signals" if self.is_cpp && self.is_label(at) => self.blank(at, at + 2),
            _ if self.is_capital(at) && self.is_label(at) => self.blank(at, at + 2),
            _ if self.is_capital(at) => self.capital(at),
            _ => {}
        }
    }

    /// Of `class MACRO Name {` the macro, and any more that there are.
    fn head(&mut self, at: usize) {
        let mut name = at + 1;
        if self.is_one_of(at, &[b"enum"]) && self.is_one_of(name, &[b"class", b"struct"]) {
            name += 1;
        }
        let first = name;
        for _ in 0..4 {
            let behind = self.behind(name);
            let is_macro = self.kind(name) == Token::WORD
                && self.kind(behind) == Token::WORD
                && !self.is_one_of(name, &[b"final", b"alignas"])
                && !self.is_one_of(behind, &[b"final"]);
            if !is_macro {
                break;
            }
            name = behind;
        }
        if name == first || self.kind(name) != Token::WORD {
            return;
        }
        let behind = self.behind_name(name).unwrap_or(name);
        let has_body = match self.kind(behind) {
            b'{' => true,
            b'<' => self.is_cpp,
            // Of bases, or of a member of so many bits.
            b':' => {
                (behind..behind + MOST_TOKENS).map(|at| self.kind(at)).find(|kind| matches!(kind, b'{' | b';' | 0))
                    == Some(b'{')
            }
            // A variable of a class has no need of the word.
            b';' => self.is_one_of(at, &[b"class"]) && self.is_capital(first),
            _ => self.is_one_of(behind, &[b"final"]),
        };
        if has_body {
            self.blank(first, name);
        }
    }

    /// Whether a declaration may begin at a word.
    fn begins(&self, at: usize) -> bool {
        self.before(at, false).is_none_or(|before| matches!(self.kind(before), b';' | b'}' | b'{' | b'#' | b':' | b'>'))
    }

    fn capital(&mut self, at: usize) {
        let behind = self.behind(at);
        let is_macro = self.is_behind_parameters(at, behind)
            || self.is_alone(at, behind)
            || self.is_before_declaration(at, behind)
            || self.is_before_type(at, behind)
            || self.is_behind_name(at, behind)
            || self.is_before_label(at);
        if is_macro {
            self.blank(at, behind);
        }
    }

    /// `) MACRO {`
    fn is_behind_parameters(&self, at: usize, behind: usize) -> bool {
        let mut before = self.before(at, false);
        while let Some(word) = before.filter(|word| self.is_one_of(*word, &BEHIND)) {
            before = self.before(word, false);
        }
        let ends = matches!(self.kind(behind), b'{' | b';')
            || self.is_one_of(behind, &BEHIND)
            || self.kind(behind) == Token::WORD && self.is_capital(behind)
            || self.kind(behind) == b':' && self.kind(behind + 1) != b':';
        ends && before.is_some_and(|before| self.kind(before) == b')')
    }

    /// A line of a macro alone, where no expression nor a declaration goes on.
    fn is_alone(&self, at: usize, behind: usize) -> bool {
        let is_alone = self.tokens[at].is_first && self.tokens.get(behind).is_none_or(|token| token.is_first);
        if !is_alone {
            return false;
        }
        let has_arguments = behind > at + 1;
        let before = self.before(at, true).map_or(Token::NOTHING, |before| self.kind(before));
        let next = (behind..self.tokens.len()).find(|at| self.kind(*at) != b'#').unwrap_or(self.tokens.len());
        let goes_on = match self.kind(next) {
            // Else it may be the type of the function that is named there.
            Token::WORD => {
                has_arguments
                    || self.kind(next + 1) != b'(' && (self.kind(next + 1), self.kind(next + 2)) != (b':', b':')
            }
            b'~' | Token::NOTHING => true,
            b'[' => self.kind(next + 1) == b'[',
            b'}' => !matches!(before, b'{' | b','),
            b'{' => before == b')' && !has_arguments,
            _ => false,
        };
        let begins = match before {
            Token::NOTHING | b';' | b'}' | b'{' | b'>' => true,
            b':' => true,
            b')' | Token::WORD => !has_arguments,
            _ => false,
        };
        // The only value of an enumeration, or the first word of what follows.
        goes_on && begins && !(before == b'{' && self.kind(next) == b'}')
    }

    /// `MACRO static …`, `static MACRO int …`
    fn is_before_declaration(&self, at: usize, behind: usize) -> bool {
        let is_start = self.is_one_of(behind, &STARTERS) || self.is_one_of(behind, &TYPES);
        is_start && (self.begins(at) || self.before(at, false).is_some_and(|before| self.is_one_of(before, &STARTERS)))
    }

    /// `MACRO a::Type name(…)`
    fn is_before_type(&self, at: usize, behind: usize) -> bool {
        if !self.begins(at) || self.is_one_of(behind, &BEHIND) || self.is_one_of(behind, &[b"operator"]) {
            return false;
        }
        let Some(mut next) = self.behind_name(behind) else { return false };
        if self.kind(next) == b'<' {
            let Some(close) = self.closing_angle(next) else { return false };
            next = close + 1;
        }
        while matches!(self.kind(next), b'*' | b'&') || self.is_one_of(next, &[b"const"]) {
            next += 1;
        }
        let name = self.behind_name(next).filter(|_| !self.is_one_of(next, &BEHIND));
        name.is_some_and(|behind| matches!(self.kind(behind), b'(' | b';' | b'=' | b'['))
    }

    /// Behind `a::b`, which begins here.
    fn behind_name(&self, at: usize) -> Option<usize> {
        let mut behind = (self.kind(at) == Token::WORD).then_some(at + 1)?;
        while self.kind(behind) == b':' && self.kind(behind + 1) == b':' && self.kind(behind + 2) == Token::WORD {
            behind += 3;
        }
        Some(behind)
    }

    /// The angle that closes the one at `open`.
    fn closing_angle(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in open..self.tokens.len().min(open + MOST_TOKENS) {
            match self.kind(at) {
                b'<' => depth += 1,
                b'>' => depth = depth.saturating_sub(1),
                b';' | b'{' | b'}' => return None,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    /// `Type name MACRO(…);`
    fn is_behind_name(&self, at: usize, behind: usize) -> bool {
        let is_type = |at| self.is_one_of(at, &STARTERS) || self.is_one_of(at, &BEHIND) || self.is_one_of(at, &TYPES);
        let has_arguments = behind > at + 1;
        if !has_arguments || !matches!(self.kind(behind), b';' | b'=') {
            return false;
        }
        let Some(name) = self.before(at, false).filter(|name| self.kind(*name) == Token::WORD && !is_type(*name))
        else {
            return false;
        };
        let Some(typed) = self.before(name, false) else { return false };
        match self.kind(typed) {
            b'*' | b'&' => true,
            Token::WORD => self.is_one_of(typed, &TYPES[..10]) || !is_type(typed),
            b'>' => self.has_arguments_of_type(typed),
            _ => false,
        }
    }

    /// Whether the angle at `close` ends a type's arguments, and not the parameters of a template.
    fn has_arguments_of_type(&self, close: usize) -> bool {
        let mut depth = 0_usize;
        for at in (close.saturating_sub(MOST_TOKENS)..=close).rev() {
            match self.kind(at) {
                b'>' => depth += 1,
                b'<' => depth = depth.saturating_sub(1),
                b';' | b'{' | b'}' => return false,
                _ => {}
            }
            if depth == 0 {
                return at > 0 && self.kind(at - 1) == Token::WORD && !self.is_one_of(at - 1, &[b"template"]);
            }
        }
        false
    }

    /// `MACRO:` in a line of its own, which isn't one of a function's, as those aren't looked at.
    fn is_label(&self, at: usize) -> bool {
        self.tokens[at].is_first && self.kind(at + 1) == b':' && self.kind(at + 2) != b':' && self.begins(at)
    }

    /// `public MACRO:`
    fn is_before_label(&self, at: usize) -> bool {
        let is_access = |before| self.is_one_of(before, &[b"public", b"private", b"protected"]);
        self.kind(at + 1) == b':' && self.kind(at + 2) != b':' && self.before(at, false).is_some_and(is_access)
    }

    /// `[[attribute]]`
    fn attribute(&mut self, at: usize) {
        if self.kind(at + 1) == b'['
            && let Some(close) = self.closing(at)
            && self.kind(close - 1) == b']'
        {
            self.blank(at, close + 1);
        }
    }
}

/// A text of C# without directives between the name of a type and its body; `None` when there are none.
pub(super) fn of_csharp(text: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut last = b';';
    // Of each condition that is open, whether it is blanked, and whether its other branch is.
    let mut conditions: Vec<(bool, bool)> = Vec::new();
    let mut start = 0;
    for end in memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text.get(start..end).unwrap_or_default();
        let code = line.trim_ascii();
        let mut is_blanked = conditions.iter().any(|(_, other)| *other);
        if let Some(directive) = code.strip_prefix(b"#").map(<[u8]>::trim_ascii_start) {
            let word = directive.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
            match word {
                b"if" => {
                    let goes_on = last.is_ascii_alphanumeric() || matches!(last, b'_' | b'>' | b')' | b':');
                    conditions.push((goes_on, false));
                    is_blanked |= goes_on;
                }
                b"else" | b"elif" => {
                    if let Some((blanked, other)) = conditions.last_mut() {
                        *other = *blanked;
                        is_blanked |= *blanked;
                    }
                }
                b"endif" => is_blanked |= conditions.pop().is_some_and(|(blanked, _)| blanked),
                _ => {}
            }
        } else if !code.is_empty() && !code.starts_with(b"//") && !is_blanked {
            let code = memchr::memmem::find(code, b"//").map_or(code, |comment| code[..comment].trim_ascii_end());
            last = code.last().copied().unwrap_or(last);
        }
        if is_blanked {
            let out = out.get_or_insert_with(|| text.to_vec());
            out.get_mut(start..end).into_iter().flatten().filter(|byte| **byte != b'\r').for_each(|byte| *byte = b' ');
        }
        start = end + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

        /// Everything else stays where it is.
        #[test]
        fn blanks_stand_for_bytes_and_lines_stay(
            parts in prop::collection::vec(
                "LIB_API|class |struct |enum |\\(|\\)|\\[\\[|\\]\\]|\\{|\\}|;|:|<|>|\n|\r\n|#if A|#else|#endif|//|/\\*|\\*/|R\"\\(|\"|'|\\\\|é|\u{0}|name |public |signals:|export |static ",
                0..40,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = parts.concat().into_bytes();
            let text = &whole[cut.index(whole.len() + 1)..];
            for blanked in [of_c(text, true), of_c(text, false), of_csharp(text)].into_iter().flatten() {
                prop_assert_eq!(blanked.len(), text.len());
                for (blank, byte) in blanked.iter().zip(text) {
                    prop_assert!(blank == byte || *blank == b' ' && !matches!(byte, b'\n' | b'\r'));
                }
            }
        }
    }
}
