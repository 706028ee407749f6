//! What of a file is text to a search, by ripgrep's rules.

use std::borrow::Cow;

/// The part of a file's bytes that ripgrep searches when it meets the file in a walk: UTF-16 by its byte order mark
/// becomes UTF-8, and everything from the first NUL on doesn't count, since the search stops there.
pub fn searched_part(bytes: &[u8]) -> Cow<'_, [u8]> {
    let utf16 = match bytes {
        [0xff, 0xfe, ..] => Some(encoding_rs::UTF_16LE),
        [0xfe, 0xff, ..] => Some(encoding_rs::UTF_16BE),
        _ => None,
    };
    match utf16 {
        Some(encoding) => {
            let (text, _) = encoding.decode_with_bom_removal(bytes);
            let mut text = text.into_owned().into_bytes();
            text.truncate(until_nul(&text).len());
            Cow::Owned(text)
        }
        None => Cow::Borrowed(until_nul(bytes)),
    }
}

/// Whether ripgrep would decode the file that begins like this.
pub fn is_utf16(beginning: &[u8]) -> bool {
    matches!(beginning, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
}

/// Whether the file begins with a byte order mark, which ripgrep leaves out.
pub fn has_mark(beginning: &[u8]) -> bool {
    is_utf16(beginning) || beginning.starts_with(b"\xef\xbb\xbf")
}

/// The bytes before the first NUL.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).map_or(bytes, |nul| &bytes[..nul])
}
