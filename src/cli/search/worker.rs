//! Searches files one after the other, with a searcher and a printer of its own.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use grep_printer::Stats;
use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, Sink, SinkContext, SinkFinish, SinkMatch};
use termcolor::{Buffer, ColorSpec, WriteColor};

use super::format::{Format, Printer};
use super::haystacks::{Haystack, Kind};
use super::mapped::search_as_mapped;
use crate::core::files::open_regular;
use crate::index::{Parts, Query, WhileWanted, WholeFile, has_mark, wears_out_a_searcher};

/// Larger files are read bit by bit even where ripgrep would search them as a whole and its statistics tell, bytes.
const LARGEST_WHOLE: u64 = 1 << 28;
/// What is printed of a file is handed over when it is larger than this, bytes, and the rest follows.
const PIECE: usize = 64 << 10;

/// A searcher and a printer.
pub(super) struct Worker<'a, W> {
    format: &'a Format,
    matcher: RegexMatcher,
    by_buffer: bool,
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
    pub(super) fn new(query: &Query, format: &'a Format, writer: W) -> Self {
        Worker {
            format,
            matcher: query.matcher.clone(),
            by_buffer: query.by_buffer,
            searcher: format.searcher(),
            whole: WholeFile::default(),
            printer: format.printer(writer),
        }
    }

    /// Searches a file and prints what is found.
    pub(super) fn search(&mut self, haystack: &Haystack, on: &On<'_>) -> io::Result<Searched> {
        self.searcher.set_binary_detection(match haystack.kind {
            Kind::Walked => BinaryDetection::quit(0),
            Kind::Named | Kind::Stdin => BinaryDetection::convert(0),
        });
        let (matcher, path) = (&self.matcher, &haystack.path);
        // The statistics of an answer in JSON tell how a file was read.
        let tells_how = matches!(self.printer, Printer::Json(_));
        let (searcher, whole, format) = (&mut self.searcher, &mut self.whole, self.format);
        let source = Source { searcher, whole, matcher, haystack, format, by_buffer: self.by_buffer, tells_how, on };
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

/// What somebody wants of a search that is under way.
pub(super) struct On<'a> {
    /// Takes what was printed so far, between two lines; gives whether more is wanted.
    pub(super) between: &'a dyn Fn() -> bool,
    /// Whether anything more is wanted.
    pub(super) wanted: &'a dyn Fn() -> bool,
}

impl On<'_> {
    /// All is printed where it belongs, and wanted.
    pub(super) const ALL: On<'static> = On { between: &|| true, wanted: &|| true };
}

/// A buffer that its printer writes to while what is in it is taken out.
#[derive(Clone)]
pub(super) struct Piece(Rc<RefCell<Buffer>>);

impl Piece {
    fn new(format: &Format) -> Piece {
        Piece(Rc::new(RefCell::new(format.buffer())))
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn take(&self, format: &Format) -> Vec<u8> {
        self.0.replace(format.buffer()).into_inner()
    }
}

impl io::Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteColor for Piece {
    fn supports_color(&self) -> bool {
        self.0.borrow().supports_color()
    }

    fn set_color(&mut self, spec: &ColorSpec) -> io::Result<()> {
        self.0.borrow_mut().set_color(spec)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.0.borrow_mut().reset()
    }
}

/// A part of the answer for a file: something that is printed, and in the end how the search ended.
pub(super) struct Part {
    pub(super) piece: Vec<u8>,
    pub(super) searched: Option<io::Result<Searched>>,
}

/// A worker for pieces of a larger answer.
pub(super) struct PieceWorker<'a> {
    worker: Worker<'a, Piece>,
    piece: Piece,
}

impl<'a> PieceWorker<'a> {
    /// Where something stands between the answers of two files, the first piece of each begins with it.
    pub(super) fn new(query: &Query, format: &'a Format) -> Self {
        let piece = Piece::new(format);
        let mut worker = Worker::new(query, format, piece.clone());
        if let (Printer::Standard(printer), Some(_)) = (&mut worker.printer, format.separator()) {
            // The printer knows best before what to print it, but does so only once it has printed anything at all.
            // A failure could only leave it unprimed, and writing to memory doesn't fail.
            let matcher = RegexMatcher::new_line_matcher("").ok();
            let primed = matcher.map(|m| Searcher::new().search_slice(&m, b"\n", printer.sink_with_path(&m, "-")));
            debug_assert!(matches!(primed, Some(Ok(()))), "the printer prints a line");
            piece.take(format);
        }
        PieceWorker { worker, piece }
    }

    /// Searches a file and hands over what is printed.
    pub(super) fn search(&mut self, haystack: &Haystack, parts: &Parts<'_, Part>) {
        let (piece, format) = (self.piece.clone(), self.worker.format);
        let give = |searched| {
            let piece = piece.take(format);
            let bytes = piece.len();
            parts.give(Part { piece, searched }, bytes)
        };
        let between = || if piece.len() >= PIECE { give(None) } else { parts.is_wanted() };
        let searched = self.worker.search(haystack, &On { between: &between, wanted: &|| parts.is_wanted() });
        give(Some(searched));
    }
}

/// A file about to be searched.
struct Source<'a> {
    searcher: &'a mut Searcher,
    whole: &'a mut WholeFile,
    matcher: &'a RegexMatcher,
    haystack: &'a Haystack,
    format: &'a Format,
    /// See [`Query::by_buffer`].
    by_buffer: bool,
    /// The answer tells how the file was read.
    tells_how: bool,
    on: &'a On<'a>,
}

impl Source<'_> {
    fn search<S: Sink<Error = io::Error>>(self, sink: S) -> io::Result<()> {
        let Source { searcher, whole, matcher, haystack, format, by_buffer, tells_how, on } = self;
        let sink = Between { sink, between: on.between };
        let whole = (!tells_how && !by_buffer).then_some(whole);
        match haystack.kind {
            Kind::Stdin => searcher.search_reader(matcher, io::stdin().lock(), sink),
            Kind::Named => {
                let mut file = File::open(&haystack.path)?;
                let size = file.metadata()?.len();
                // A file without a size is made up as it is read, and can't be mapped.
                if !format.whole_files || size == 0 {
                    return searcher.search_file(matcher, &file, sink);
                }
                let mut beginning = Vec::new();
                (&file).take(4).read_to_end(&mut beginning)?;
                file.rewind()?;
                // With a mark, ripgrep reads it bit by bit as well.
                if whole.is_some() && !has_mark(&beginning) {
                    return search_as_mapped(&mut format.searcher(), searcher, matcher, &file, sink);
                }
                if size > LARGEST_WHOLE {
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
                    let searched = searcher.search_reader(matcher, WhileWanted::new(&file, on.wanted), sink);
                    if wears_out_a_searcher(&file) {
                        *searcher = format.searcher();
                    }
                    searched
                }
                None => Ok(()),
            },
        }
    }
}

/// Lets what was printed be taken between two lines.
struct Between<'a, S> {
    sink: S,
    /// See [`On`].
    between: &'a dyn Fn() -> bool,
}

impl<S: Sink<Error = io::Error>> Sink for Between<'_, S> {
    type Error = io::Error;

    fn begin(&mut self, searcher: &Searcher) -> io::Result<bool> {
        self.sink.begin(searcher)
    }

    fn matched(&mut self, searcher: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        Ok(self.sink.matched(searcher, line)? && (self.between)())
    }

    fn context(&mut self, searcher: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        Ok(self.sink.context(searcher, line)? && (self.between)())
    }

    fn context_break(&mut self, searcher: &Searcher) -> io::Result<bool> {
        self.sink.context_break(searcher)
    }

    fn binary_data(&mut self, searcher: &Searcher, offset: u64) -> io::Result<bool> {
        self.sink.binary_data(searcher, offset)
    }

    fn finish(&mut self, searcher: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.sink.finish(searcher, finish)
    }
}
