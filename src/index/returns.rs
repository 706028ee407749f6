//! Carriage returns that end a line for editors but not for ripgrep, which counts line feeds only: those that no line feed
//! follows.

use std::fs::File;
use std::io;
use std::sync::Arc;

use grep_searcher::SinkMatch;

use super::text::{has_mark, is_utf16};

/// What is read at a time of a part that wasn't seen, bytes.
const PIECE: usize = 64 << 10;

/// Counts them before each matching line, while what is searched passes by.
#[derive(Default)]
pub(super) struct Returns {
    /// Up to this byte of what is searched.
    counted: u64,
    /// So many were there.
    found: u64,
    source: Source,
}

/// Where what is searched is read again, if a part of it wasn't seen: there was no match in it, and it has left the
/// searcher's buffer.
#[derive(Default)]
enum Source {
    /// It is searched as a whole, so that all of it is seen. Or it is decoded on its way, and can't be read at a place of the
    /// text: a large file in UTF-16.
    #[default]
    Nowhere,
    Text(Arc<str>),
    /// A second descriptor of the file, and where its text begins.
    File(File, u64),
}

impl Returns {
    /// In a text that is searched bit by bit.
    pub(super) fn of_text(text: &Arc<str>) -> Returns {
        Returns { source: Source::Text(text.clone()), ..Returns::default() }
    }

    /// In a file that is.
    pub(super) fn of_file(file: &File) -> Returns {
        let source = || {
            let mut beginning = [0; 3];
            let read = read_at(file, &mut beginning, 0).ok()?;
            let beginning = &beginning[..read];
            let mark = if has_mark(beginning) { 3 } else { 0 };
            Some(Source::File(file.try_clone().ok().filter(|_| !is_utf16(beginning))?, mark))
        };
        Returns { source: source().unwrap_or_default(), ..Returns::default() }
    }

    /// Those before the line that was found.
    pub(super) fn before(&mut self, line: &SinkMatch<'_>) -> io::Result<u64> {
        let (buffer, start) = (line.buffer(), line.bytes_range_in_buffer().start);
        let at = line.absolute_byte_offset();
        let unseen = usize::try_from(at - self.counted).ok();
        self.found += match unseen.and_then(|unseen| buffer.get(start.checked_sub(unseen)?..start)) {
            // It ends with a line, so the last return in it has what follows beside it.
            Some(unseen) => count(unseen),
            None => self.source.count(self.counted, at)?,
        };
        self.counted = at;
        Ok(self.found)
    }
}

impl Source {
    /// How many there are from byte `from` of the text to byte `to`, which ends a line.
    fn count(&self, from: u64, to: u64) -> io::Result<u64> {
        match self {
            Source::Nowhere => Ok(0),
            Source::Text(text) => {
                // The searcher leaves a mark out.
                let text = text.as_bytes();
                let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
                let [from, to] = [from, to].map(|at| usize::try_from(at).unwrap_or(usize::MAX).min(text.len()));
                Ok(count(&text[from..to]))
            }
            Source::File(file, mark) => {
                let (mut at, mut found, mut piece) = (from, 0, vec![0; PIECE]);
                while at < to {
                    let wanted = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
                    let read = read_at(file, &mut piece[..wanted], mark + at)?;
                    if read == 0 {
                        break;
                    }
                    // A return at the end of a piece is seen with what follows it.
                    let whole = at + read as u64 >= to || read == 1 || piece[read - 1] != b'\r';
                    let read = if whole { read } else { read - 1 };
                    found += count(&piece[..read]);
                    at += read as u64;
                }
                Ok(found)
            }
        }
    }
}

/// Where they are in `bytes`. One at the end isn't among them: no line follows.
pub(super) fn lone_returns(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1).is_some_and(|next| *next != b'\n'))
}

/// Where the line behind the one at `from` begins, for an editor; `None` when there is none.
pub(super) fn next_line(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr2(b'\n', b'\r', bytes.get(at..)?)? + 1;
        if bytes[at - 1] == b'\n' || bytes.get(at).is_some_and(|next| *next != b'\n') {
            return Some(at);
        }
    }
}

fn count(bytes: &[u8]) -> u64 {
    lone_returns(bytes).count() as u64
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, at)
}

/// Reading elsewhere in a file would move where the searcher reads it.
#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
