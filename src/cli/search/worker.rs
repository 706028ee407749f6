//! Searches files one after the other, with a searcher and a printer of its own.

use std::fs::File;
use std::io::{self, Read};

use grep_printer::Stats;
use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, Sink};
use termcolor::{Buffer, WriteColor};

use super::haystacks::{Haystack, Kind};
use super::look::{Look, Printer};
use crate::index::{Query, WholeFile, open_regular, wears_out_a_searcher};

/// Larger files are read bit by bit even where ripgrep would search them as a whole, bytes.
const LARGEST_WHOLE: u64 = 1 << 28;

/// A searcher and a printer.
pub(super) struct Worker<'a, W> {
    look: &'a Look,
    matcher: RegexMatcher,
    searcher: Searcher,
    whole: WholeFile,
    printer: Printer<W>,
}

/// What came of one file.
pub(super) struct Searched {
    /// It has a match.
    pub(super) found: bool,
    /// How much was searched, where the answer tells.
    pub(super) stats: Option<Stats>,
}

impl<'a, W: WriteColor> Worker<'a, W> {
    /// A worker that prints to `writer`.
    pub(super) fn new(query: &Query, look: &'a Look, writer: W) -> Self {
        Worker {
            look,
            matcher: query.matcher.clone(),
            searcher: look.searcher(),
            whole: WholeFile::default(),
            printer: look.printer(writer),
        }
    }

    /// Searches a file and prints what is found.
    pub(super) fn search(&mut self, haystack: &Haystack) -> io::Result<Searched> {
        self.searcher.set_binary_detection(match haystack.kind {
            Kind::Walked => BinaryDetection::quit(0),
            Kind::Named | Kind::Stdin => BinaryDetection::convert(0),
        });
        let (matcher, path) = (&self.matcher, &haystack.path);
        // The statistics of an answer in JSON tell how a file was read.
        let whole = (!matches!(self.printer, Printer::Json(_))).then_some(&mut self.whole);
        let source = Source { searcher: &mut self.searcher, whole, matcher, haystack, look: self.look };
        match &mut self.printer {
            Printer::Standard(printer) => {
                let mut sink = printer.sink_with_path(matcher, path);
                source.search(&mut sink)?;
                Ok(Searched { found: sink.has_match(), stats: None })
            }
            Printer::Summary(printer) => {
                let mut sink = printer.sink_with_path(matcher, path);
                source.search(&mut sink)?;
                Ok(Searched { found: sink.has_match(), stats: None })
            }
            Printer::Json(printer) => {
                let mut sink = printer.sink_with_path(matcher, path);
                source.search(&mut sink)?;
                Ok(Searched { found: sink.has_match(), stats: Some(sink.stats().clone()) })
            }
        }
    }

    /// What the printer wrote to.
    pub(super) fn into_writer(self) -> W {
        match self.printer {
            Printer::Standard(printer) => printer.into_inner(),
            Printer::Summary(printer) => printer.into_inner(),
            Printer::Json(printer) => printer.into_inner(),
        }
    }
}

impl<'a> Worker<'a, Buffer> {
    /// A worker for pieces of a larger answer. Where something stands between the answers of two files, each piece
    /// begins with it.
    pub(super) fn for_pieces(query: &Query, look: &'a Look) -> Self {
        let mut worker = Worker::new(query, look, look.buffer());
        if let (Printer::Standard(printer), Some(_)) = (&mut worker.printer, look.separator()) {
            // The printer knows best before what to print it, but does so only once it has printed anything at all.
            // A failure could only leave it unprimed, and writing to memory doesn't fail.
            let matcher = RegexMatcher::new_line_matcher("").ok();
            let primed = matcher.map(|m| Searcher::new().search_slice(&m, b"\n", printer.sink_with_path(&m, "-")));
            debug_assert!(matches!(primed, Some(Ok(()))), "the printer prints a line");
            printer.get_mut().clear();
        }
        worker
    }

    /// Searches a file; what it prints comes with the outcome.
    pub(super) fn search_into_piece(&mut self, haystack: &Haystack) -> (io::Result<Searched>, Vec<u8>) {
        let searched = self.search(haystack);
        let fresh = self.look.buffer();
        let buffer = match &mut self.printer {
            Printer::Standard(printer) => printer.get_mut(),
            Printer::Summary(printer) => printer.get_mut(),
            Printer::Json(printer) => printer.get_mut(),
        };
        (searched, std::mem::replace(buffer, fresh).into_inner())
    }
}

/// A file about to be searched.
struct Source<'a> {
    searcher: &'a mut Searcher,
    /// What reads files as a whole, if that may be done.
    whole: Option<&'a mut WholeFile>,
    matcher: &'a RegexMatcher,
    haystack: &'a Haystack,
    look: &'a Look,
}

impl Source<'_> {
    fn search<S: Sink<Error = io::Error>>(self, sink: S) -> io::Result<()> {
        let Source { searcher, whole, matcher, haystack, look } = self;
        match haystack.kind {
            Kind::Stdin => searcher.search_reader(matcher, io::stdin().lock(), sink),
            Kind::Named => {
                let mut file = File::open(&haystack.path)?;
                let size = file.metadata()?.len();
                // A file without a size is made up as it is read, and can't be mapped.
                if !look.whole_files || size == 0 || size > LARGEST_WHOLE {
                    return searcher.search_file(matcher, &file, sink);
                }
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                searcher.search_slice(matcher, &bytes, sink)
            }
            Kind::Walked => match open_regular(&haystack.path)? {
                Some(mut file) => {
                    if let Some(whole) = whole
                        && let Some(bytes) = whole.read(&mut file)?
                    {
                        return searcher.search_slice(matcher, bytes, sink);
                    }
                    let searched = searcher.search_file(matcher, &file, sink);
                    if wears_out_a_searcher(&file) {
                        *searcher = look.searcher();
                    }
                    searched
                }
                None => Ok(()),
            },
        }
    }
}
