//! Searches files one after the other, with a searcher and a printer of its own.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use grep_matcher::Matcher as Matches;
use grep_printer::Stats;
use grep_regex::RegexMatcher;
use grep_searcher::{Searcher, Sink, SinkContext, SinkFinish, SinkMatch};
use termcolor::{Buffer, ColorSpec, HyperlinkSpec, WriteColor};

use super::format::{Format, Printer};
use super::haystacks::{Haystack, Kind};
use super::mapped::search_as_mapped;
use super::matcher::{Matcher, Wanted};
use super::unpack::Unpacking;
use crate::core::files::open_regular;
use crate::index::{Parts, WhileWanted, WholeFile, has_mark, wears_out_a_searcher};

/// Larger files are read bit by bit even where ripgrep would search them as a whole and its statistics tell, bytes.
const LARGEST_WHOLE: u64 = 1 << 28;
/// What is printed of a file is handed over when it is larger than this, bytes, and the rest follows.
const PIECE: usize = 64 << 10;

/// What all workers of a search have in common.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    /// What is looked for.
    pub(super) wanted: &'a Wanted,
    /// How it is printed.
    pub(super) format: &'a Format,
    /// Which files other programs make text of.
    pub(super) unpacking: &'a Unpacking,
}

/// A searcher and a printer.
pub(super) struct Worker<'a, W> {
    task: Task<'a>,
    matcher: Matcher,
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
    pub(super) fn new(task: Task<'a>, writer: W) -> Self {
        Worker {
            task,
            matcher: task.wanted.matcher.clone(),
            searcher: task.format.searcher(),
            whole: WholeFile::default(),
            printer: task.format.printer(writer),
        }
    }

    /// Searches a file and prints what is found.
    pub(super) fn search(&mut self, haystack: &Haystack, on: &On<'_>) -> io::Result<Searched> {
        let Worker { task, matcher, searcher, whole, printer } = self;
        searcher.set_binary_detection(task.format.detection(haystack.kind));
        match matcher {
            Matcher::Rust(matcher) => printed(Source { task, searcher, whole, matcher, haystack, on }, printer),
            Matcher::Pcre2(matcher) => {
                printed(Source { task, searcher, whole, matcher: &**matcher, haystack, on }, printer)
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

/// Searches a file and prints what is found.
fn printed<M: Matches, W: WriteColor>(source: Source<'_, M>, printer: &mut Printer<W>) -> io::Result<Searched> {
    let (matcher, path) = (source.matcher, &source.haystack.path);
    match printer {
        Printer::Standard(printer) => {
            let mut sink = printer.sink_with_path(matcher, path);
            source.search(&mut sink)?;
            Ok(Searched { found: sink.has_match(), stats: sink.stats().cloned() })
        }
        Printer::Summary(printer) => {
            let mut sink = printer.sink_with_path(matcher, path);
            source.search(&mut sink)?;
            Ok(Searched { found: sink.has_match(), stats: sink.stats().cloned() })
        }
        Printer::Json(printer) => {
            let mut sink = printer.sink_with_path(matcher, path);
            source.search(&mut sink)?;
            Ok(Searched { found: sink.has_match(), stats: Some(sink.stats().clone()) })
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

    fn supports_hyperlinks(&self) -> bool {
        self.0.borrow().supports_hyperlinks()
    }

    fn set_color(&mut self, spec: &ColorSpec) -> io::Result<()> {
        self.0.borrow_mut().set_color(spec)
    }

    fn set_hyperlink(&mut self, link: &HyperlinkSpec<'_>) -> io::Result<()> {
        self.0.borrow_mut().set_hyperlink(link)
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
    pub(super) fn new(task: Task<'a>) -> Self {
        let format = task.format;
        let piece = Piece::new(format);
        let mut worker = Worker::new(task, piece.clone());
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
        let (piece, format) = (self.piece.clone(), self.worker.task.format);
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
struct Source<'a, M> {
    task: &'a Task<'a>,
    searcher: &'a mut Searcher,
    whole: &'a mut WholeFile,
    matcher: &'a M,
    haystack: &'a Haystack,
    on: &'a On<'a>,
}

impl<M: Matches> Source<'_, M> {
    fn search<S: Sink<Error = io::Error>>(self, sink: S) -> io::Result<()> {
        let (format, path) = (self.task.format, &self.haystack.path);
        let between = self.on.between;
        if self.haystack.kind == Kind::Stdin {
            return self.searcher.search_reader(self.matcher, io::stdin().lock(), Between { sink, between });
        }
        if let Some(mut unpacked) = self.task.unpacking.of(path)? {
            let searched = self.searcher.search_reader(self.matcher, &mut unpacked, Between { sink, between });
            let closed = unpacked.close();
            return searched.and(closed);
        }
        let file = match self.haystack.kind {
            Kind::Walked if !format.follow => open_regular(path)?,
            _ => Some(File::open(path)?),
        };
        match file {
            Some(file) if format.whole_files => self.search_whole(file, sink),
            Some(file) => self.search_read(file, sink),
            None => Ok(()),
        }
    }

    /// Searches a file as ripgrep does that maps it into memory.
    fn search_whole<S: Sink<Error = io::Error>>(self, mut file: File, sink: S) -> io::Result<()> {
        let Source { task, searcher, matcher, on, .. } = self;
        let Task { format, wanted, .. } = *task;
        let sink = Between { sink, between: on.between };
        let size = file.metadata()?.len();
        // A file without a size is made up as it is read, and can't be mapped.
        if size == 0 || format.decodes() {
            return searcher.search_file(matcher, &file, sink);
        }
        let mut beginning = Vec::new();
        (&file).take(4).read_to_end(&mut beginning)?;
        file.rewind()?;
        // With a mark, ripgrep reads it bit by bit as well.
        let marked = format.goes_by_marks() && has_mark(&beginning);
        let converts = searcher.binary_detection().convert_byte().is_some();
        if !marked && converts && !format.counts_bytes() && !wanted.by_buffer && !format.is_multiline() {
            return search_as_mapped(&mut format.searcher(), searcher, matcher, &file, sink);
        }
        if marked || size > LARGEST_WHOLE {
            return searcher.search_file(matcher, &file, sink);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        searcher.search_slice(matcher, &bytes, sink)
    }

    /// Searches a file as ripgrep does that reads it bit by bit.
    fn search_read<S: Sink<Error = io::Error>>(self, mut file: File, sink: S) -> io::Result<()> {
        let Source { task, searcher, whole, matcher, haystack, on } = self;
        let Task { format, wanted, .. } = *task;
        let sink = Between { sink, between: on.between };
        // The statistics tell how a file was read.
        if haystack.kind == Kind::Walked
            && !format.counts_bytes()
            && !wanted.by_buffer
            && let Some(bytes) = whole.read(&mut file)?
        {
            return searcher.search_slice(matcher, bytes, sink);
        }
        if haystack.kind != Kind::Walked {
            return searcher.search_file(matcher, &file, sink);
        }
        let searched = searcher.search_reader(matcher, WhileWanted::new(&file, on.wanted), sink);
        if wears_out_a_searcher(&file) {
            *searcher = format.searcher();
        }
        searched
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
