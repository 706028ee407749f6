//! The words and signs of a text of C or C++, without comments and what is in literals.

use memchr::{memchr, memmem};

/// One of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) start: u32,
    pub(super) end: u32,
    /// A sign's own byte; `#` for all of a directive; else one of the below.
    pub(super) kind: u8,
    /// Nothing is before it in its line.
    pub(super) is_first: bool,
}

impl Token {
    /// Behind the last one.
    pub(super) const NOTHING: u8 = 0;
    pub(super) const WORD: u8 = b'w';
    /// A number, a string, a character.
    const LITERAL: u8 = b'0';
    /// What was blanked.
    pub(super) const BLANKED: u8 = b' ';
}

/// All of them, in order. Texts that are parsed are small enough for their places.
pub(super) fn tokens(text: &[u8]) -> Vec<Token> {
    let mut found = Vec::with_capacity(text.len() / 4);
    let (mut at, mut is_first) = (0, true);
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        let (length, kind) = match byte {
            b'\n' => {
                (at, is_first) = (at + 1, true);
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\\' => {
                at += 1;
                continue;
            }
            b'/' if rest.starts_with(b"//") => {
                at += memchr(b'\n', rest).unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with(b"/*") => {
                at += rest.get(2..).and_then(|inside| memmem::find(inside, b"*/")).map_or(rest.len(), |end| end + 4);
                continue;
            }
            b'#' if is_first => (directive(rest), b'#'),
            b'"' | b'\'' => (literal(rest, byte), Token::LITERAL),
            b'R' | b'L' | b'u' | b'U' if raw(rest).is_some() => (raw(rest).unwrap_or(1), Token::LITERAL),
            b'0'..=b'9' => (number(rest), Token::LITERAL),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80;
                (rest.iter().take_while(is_letter).count(), Token::WORD)
            }
            sign => (1, sign),
        };
        let (start, end) = (at as u32, (at + length) as u32);
        // A zero, or another byte that stands for something here, is no sign of any language.
        let kind = if length == 1 && matches!(byte, 0 | b' ') { b'?' } else { kind };
        found.push(Token { start, end, kind, is_first });
        (at, is_first) = (at + length, false);
    }
    found
}

/// To the end of its last line.
fn directive(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(end) = memchr(b'\n', &text[at..]) {
        let line = text[at..at + end].trim_ascii_end();
        if !line.ends_with(b"\\") {
            return at + end;
        }
        at += end + 1;
    }
    text.len()
}

/// A string or a character, which ends with its line at the latest.
fn literal(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\n' => return at,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a raw string, if one begins here: `R"x(…)x"`.
fn raw(text: &[u8]) -> Option<usize> {
    let prefix =
        [&b"R\""[..], b"LR\"", b"uR\"", b"UR\"", b"u8R\""].into_iter().find(|prefix| text.starts_with(prefix))?;
    let open = memchr(b'(', text.get(..prefix.len() + 17).unwrap_or(text).get(prefix.len()..)?)? + prefix.len();
    let mut close = vec![b')'];
    close.extend_from_slice(&text[prefix.len()..open]);
    close.push(b'"');
    Some(memmem::find(&text[open..], &close).map_or(text.len(), |end| open + end + close.len()))
}

/// A number, in which there may be quotes.
fn number(text: &[u8]) -> usize {
    let is_part = |at: usize| match text.get(at) {
        Some(b'\'') => text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(byte) => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'),
        None => false,
    };
    (0..).take_while(|at| is_part(*at)).count()
}
