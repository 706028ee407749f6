//! The symbols of one text as bytes, as they are handed from host to host.

use super::Symbol;
use super::extract::MOST_SYMBOLS;
use super::segment::Occurrence;
use crate::index::varint;

/// The version of the form and of what is found in a text.
const VERSION: u8 = 3;
/// More bytes are no text's symbols.
const LARGEST: usize = 16 << 20;

/// The symbols in the form that [`decode`] reads.
pub fn encode(symbols: &[Symbol]) -> Vec<u8> {
    let mut out = vec![VERSION];
    for symbol in symbols {
        varint::write(symbol.name.len() as u64, &mut out);
        out.extend_from_slice(symbol.name.as_bytes());
        Occurrence::of(symbol, 0).encode(0, &mut out);
    }
    out
}

/// The symbols that `bytes` hold, or `None` when they hold none: whoever left them is not trusted. Whether they are those
/// of the text is for [`super::verify`] to tell.
pub fn decode(bytes: &[u8]) -> Option<Vec<Symbol>> {
    let (&version, mut rest) = bytes.split_first()?;
    if version != VERSION || bytes.len() > LARGEST {
        return None;
    }
    let rest = &mut rest;
    let mut symbols = Vec::new();
    while !rest.is_empty() {
        if symbols.len() == MOST_SYMBOLS {
            return None;
        }
        let length = usize::try_from(varint::read(rest)?).ok()?;
        let (name, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?.to_owned();
        symbols.push(Occurrence::decode(0, rest)?.symbol(name));
    }
    Some(symbols)
}
