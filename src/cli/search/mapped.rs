//! Files that ripgrep maps into memory and searches as a whole, read bit by bit.
//!
//! The answer differs in one thing: what makes a file binary. In a whole it is a NUL in its first part, or in a line that
//! is printed; where files are read bit by bit it is any NUL. So nothing is looked for in what is read, and the printer
//! is told what it would be told of a whole.

use std::fs::File;
use std::io::{self, Read, Seek};

use grep_matcher::Matcher;
use grep_searcher::{BinaryDetection, Searcher, Sink, SinkContext, SinkFinish, SinkMatch};

/// Bytes of a whole that are looked through for a NUL before anything is searched.
const FIRST_PART: u64 = 64 << 10;

/// Searches `file`, which has no byte order mark, from its beginning. The printer is shown `shown`, a searcher of the same
/// settings as `searcher`.
pub(super) fn search_as_mapped<M: Matcher, S: Sink<Error = io::Error>>(
    shown: &mut Searcher,
    searcher: &mut Searcher,
    matcher: M,
    mut file: &File,
    sink: S,
) -> io::Result<()> {
    let mut first = Vec::new();
    file.take(FIRST_PART).read_to_end(&mut first)?;
    file.rewind()?;
    shown.set_binary_detection(BinaryDetection::convert(0));
    searcher.set_binary_detection(BinaryDetection::none());
    let first = memchr::memchr(0, &first).map(|at| at as u64);
    searcher.search_reader(matcher, file, AsMapped { sink, shown, first, is_binary: false })
}

/// Tells a printer what it would be told of a file that is searched as a whole.
struct AsMapped<'a, S> {
    sink: S,
    shown: &'a Searcher,
    /// Where in the file's first part there is a NUL.
    first: Option<u64>,
    /// The printer knows that it is.
    is_binary: bool,
}

impl<S: Sink<Error = io::Error>> AsMapped<'_, S> {
    /// Looks at what is about to be printed, which begins at `offset`; gives whether the search goes on.
    fn looked_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<bool> {
        match memchr::memchr(0, bytes).filter(|_| !self.is_binary) {
            Some(at) => self.has_nul(offset + at as u64),
            None => Ok(true),
        }
    }

    fn has_nul(&mut self, at: u64) -> io::Result<bool> {
        self.is_binary = true;
        self.sink.binary_data(self.shown, at)
    }
}

impl<S: Sink<Error = io::Error>> Sink for AsMapped<'_, S> {
    type Error = io::Error;

    fn begin(&mut self, _: &Searcher) -> io::Result<bool> {
        let begun = self.sink.begin(self.shown)?;
        match self.first.filter(|_| begun) {
            Some(at) => self.has_nul(at),
            None => Ok(begun),
        }
    }

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        Ok(self.looked_at(line.bytes(), line.absolute_byte_offset())? && self.sink.matched(self.shown, line)?)
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        Ok(self.looked_at(line.bytes(), line.absolute_byte_offset())? && self.sink.context(self.shown, line)?)
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        self.sink.context_break(self.shown)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.sink.finish(self.shown, finish)
    }
}
