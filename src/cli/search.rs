//! `syncline search`: what `rg --sort path` finds, printed as it prints it, by ripgrep's flags.
//!
//! The files are found by ripgrep's own walk, and matched and printed by ripgrep's own searcher and printers. The index
//! only tells which files needn't be read: those that are still what they were when they were indexed, and whose
//! grams rule a match out. So answers are ripgrep's by construction, with an index, with a stale one, or with none.
//! Where the shared engine has the codebase open and is certain of what the walk would find, it isn't walked ([`warm`]).

mod arguments;
mod flags;
mod format;
mod haystacks;
mod indexes;
mod listed;
mod mapped;
mod matcher;
mod messages;
mod output;
mod patterns;
mod unpack;
mod walk;
mod warm;
mod worker;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use grep_printer::Stats;
use serde_json::json;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use self::arguments::{Arguments, Own, Special};
use self::flags::Unusable;
use self::format::Format;
use self::haystacks::{Haystack, Listing, Narrowing};
use self::indexes::Indexes;
use self::matcher::Wanted;
use self::messages::Voice;
use self::output::Output;
use self::patterns::Asked;
use self::unpack::Unpacking;
use self::walk::Walk;
use self::warm::Warm;
use self::worker::{On, Part, PieceWorker, Task, Worker};
use super::context::{CommonArgs, start_log};
use crate::core::settings::{Settings, default_index_dir};
use crate::index::{Parts, Plan, in_order};

/// A search that couldn't begin, or whose answer couldn't be written.
#[derive(Debug, Error)]
enum SearchError {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("there is no pattern to search for; --help tells how to give one")]
    NoPattern,
    #[error("the pattern isn't valid UTF-8; write other bytes as \\xFF in a (?-u) group")]
    PatternNotText,
    #[error("can't read the patterns: {0}")]
    Patterns(io::Error),
    #[error("standard input can't be read twice; give one of its uses a file")]
    StdinTwice,
    #[error("{0}")]
    Pattern(String),
    #[error("can't use the glob: {0}")]
    Glob(ignore::Error),
    #[error("can't use the file type: {0}; --type-list names those there are")]
    Type(ignore::Error),
    #[error("can't use {0} for --pre: {1}")]
    Pre(String, String),
    #[error("can't tell the current folder: {0}; change to one that exists")]
    CurrentFolder(io::Error),
    #[error("can't write the answer: {0}")]
    Output(io::Error),
}

/// Under which name the program was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalledAs {
    /// `syncline search`.
    Search,
    /// `rg`: it is ripgrep, and has none of our flags.
    Rg,
}

impl CalledAs {
    fn voice(self) -> &'static str {
        match self {
            CalledAs::Search => "syncline",
            CalledAs::Rg => "rg",
        }
    }

    fn program(self) -> &'static str {
        match self {
            CalledAs::Search => "syncline search",
            CalledAs::Rg => "rg",
        }
    }
}

/// What came of a search.
#[derive(Default)]
struct Outcome {
    found: bool,
    /// Something couldn't be read, and was complained of.
    failed: bool,
    stats: Stats,
}

impl Outcome {
    /// ripgrep's exit code: a match counts more than a failure only when nothing else is wanted.
    fn code(&self, quiet: bool) -> u8 {
        match (self.found, self.failed) {
            (true, failed) if quiet || !failed => 0,
            (_, true) => 2,
            _ => 1,
        }
    }
}

/// Runs the search that `line` asks for, which is what comes after the subcommand, and tells the code to exit with: 0 when
/// something was found, 1 when nothing was, 2 when anything went wrong.
pub(super) fn run(common: &CommonArgs, called: CalledAs, line: &[OsString]) -> ExitCode {
    let mut voice = Voice { name: called.voice(), says: arguments::Says::default() };
    let own = Own { standalone: common.standalone, log_level: common.log_level.clone(), config: common.config.clone() };
    let start = Arguments { own, ..Arguments::default() };
    let say = |arguments: &Arguments, what: String| Voice { says: arguments.says, ..voice }.complain(&what);
    let arguments = match flags::parse(&start, line, called == CalledAs::Search, say) {
        Ok(arguments) => arguments,
        // Perhaps a newer ripgrep knows it.
        Err(error) => {
            if called == CalledAs::Rg {
                super::shim::hand_over(line);
            }
            voice.say(&error);
            return ExitCode::from(2);
        }
    };
    voice.says = arguments.says;
    match begin(called, &arguments, &voice) {
        Ok(code) => ExitCode::from(code),
        // Whoever read the answer has seen enough.
        Err(SearchError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            voice.say(&error);
            ExitCode::from(2)
        }
    }
}

fn begin(called: CalledAs, arguments: &Arguments, voice: &Voice) -> Result<u8, SearchError> {
    let ours = called == CalledAs::Search;
    if let Some(special) = arguments.special {
        let text = match special {
            Special::ShortHelp => flags::usage(called.program(), ours, true),
            Special::LongHelp => flags::usage(called.program(), ours, false),
            Special::ShortVersion => flags::short_version(!ours),
            Special::LongVersion => flags::long_version(!ours),
            Special::Pcre2Version => flags::pcre2_version(),
        };
        return io::stdout().write_all(text.as_bytes()).map(|()| 0).map_err(SearchError::Output);
    }
    if let arguments::Mode::Generate(page) = arguments.mode {
        let text = flags::page(page, called.program(), ours);
        return io::stdout().write_all(text.as_bytes()).map(|()| 0).map_err(SearchError::Output);
    }
    let Own { standalone, log_level, config } = arguments.own.clone();
    let common = CommonArgs { standalone, log_level, config };
    let settings = common.settings(None);
    let level = if arguments.says.debug { "syncline=debug" } else { "error" };
    let _ = start_log(&settings, common.log_level.is_none().then_some(level));
    let here = current_folder().map_err(SearchError::CurrentFolder)?;
    if arguments.mode == arguments::Mode::Types {
        return listed::types(arguments);
    }
    let asked = Asked::new(arguments)?;
    let format = Format::new(arguments, &asked.paths);
    let walk = Walk::new(&arguments.filter, &here, arguments.mode.searches())?;
    let search =
        Search { common: &common, settings: &settings, arguments, voice, here: &here, walk: &walk, format: &format };
    let outcome = match arguments.mode.searches() {
        true => search.run(asked)?,
        false => search.files(&asked)?,
    };
    Ok(outcome.code(format.is_quiet()))
}

/// The current folder; where it can't be told, what the shell says.
fn current_folder() -> io::Result<PathBuf> {
    let said = || std::env::var_os("PWD").filter(|path| !path.is_empty()).map(PathBuf::from);
    std::env::current_dir().or_else(|error| said().ok_or(error))
}

/// A search about to be run.
struct Search<'a> {
    common: &'a CommonArgs,
    settings: &'a Settings,
    arguments: &'a Arguments,
    voice: &'a Voice,
    here: &'a Path,
    walk: &'a Walk,
    format: &'a Format,
}

impl Search<'_> {
    fn threads(&self) -> usize {
        let there = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.arguments.threads.unwrap_or_else(there)
    }

    /// Searches, and prints what is found.
    fn run(&self, asked: Asked) -> Result<Outcome, SearchError> {
        let started = Instant::now();
        let Search { arguments, voice, format, .. } = *self;
        let Asked { patterns, paths, guessed } = asked;
        let unpacking = Unpacking::new(&arguments.reading, self.here)?;
        if arguments.reading.max_count == Some(0) || (patterns.is_empty() && !arguments.reading.invert) {
            return Ok(Outcome::default());
        }
        let mut wanted = Wanted::new(patterns, &arguments.syntax, &arguments.reading).map_err(SearchError::Pattern)?;
        if format.tells_of_all() || !format.reads_as_indexed() {
            wanted.plan = Plan::All;
        }
        let threads = self.threads();
        // JSON and statistics tell how much was searched.
        let by_size = format.counts_bytes() || format.reads_more_of_binary();
        // The answer may go to a file of the tree, which ripgrep's walk leaves out.
        let can_count = !format.counts_bytes() || !self.walk.leaves_out();
        let can_ask = self.walk.is_plain() && can_count && !stdout_is_a_file();
        let pattern = (wanted.plan != Plan::All).then(|| wanted.pattern.clone());
        let mut warm = Warm::new(self.common, self.settings, self.here, (pattern, by_size), can_ask);
        let mut indexes = Indexes::new(self.settings.index.dir.clone().or_else(default_index_dir));
        let mut narrowing = Narrowing { plan: &wanted.plan, by_size, indexes: &mut indexes, warm: &mut warm };
        let mut listing = Listing::new(self.walk, &paths, voice, &mut narrowing, threads);
        arguments.sort.into_iter().for_each(|sort| listing.sort(sort));
        let (files, ruled_out) = (listing.haystacks.len(), listing.ruled_out.files);
        tracing::debug!(plan = ?wanted.plan, "what a file must hold");
        tracing::debug!(
            files,
            ruled_out,
            asked = listing.is_partial,
            walked = listing.walked,
            "what there is to search"
        );
        let mut outcome = Outcome { failed: listing.failed, ..Outcome::default() };
        outcome.stats.add_searches(listing.ruled_out.files);
        outcome.stats.add_bytes_searched(listing.ruled_out.bytes);
        let is_empty = || match listing.is_partial {
            true => self.walk.leaves_out() && !self.walk.finds_any(Path::new("./")),
            false => listing.ruled_out.files == 0,
        };
        if guessed && listing.haystacks.is_empty() && is_empty() {
            voice.complain(&"No files were searched: ignore files or globs leave out all there are");
            outcome.failed = true;
        }
        let task = Task { wanted: &wanted, format, unpacking: &unpacking };
        let written = match &listing.haystacks[..] {
            [only] => search_one(task, voice, only, &mut outcome),
            many => search_many(task, voice, many, threads, &mut outcome),
        };
        let written = written.and_then(|mut output| {
            if format.is_json() {
                let freshness = json!({
                    // Of what was read nothing is older than the call; what couldn't be read is missing.
                    "fresh": !outcome.failed,
                    "generation": listing.generation,
                    "asked": listing.is_partial,
                    "walked": listing.walked,
                });
                output.summary(&outcome.stats, started.elapsed(), &freshness)?;
            } else if format.counts_bytes() {
                output.stats(&outcome.stats, started.elapsed())?;
            }
            output.flush()
        });
        match written {
            // Whoever read the answer has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.map_err(SearchError::Output)?,
        }
        if wanted.plan != Plan::All && indexes.none_found() && io::stderr().is_terminal() {
            voice.complain(&"no index here yet: `syncline watch` or `syncline index` makes searches fast");
        }
        warm.start_for_the_next(paths.first().map_or(self.here, |path| path));
        Ok(outcome)
    }
}

/// Whether the answer goes to a file.
#[cfg(unix)]
fn stdout_is_a_file() -> bool {
    rustix::fs::fstat(io::stdout()).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
}

#[cfg(not(unix))]
fn stdout_is_a_file() -> bool {
    true
}

/// Searches one file and prints what is found at once, however much it is.
fn search_one(task: Task<'_>, voice: &Voice, haystack: &Haystack, outcome: &mut Outcome) -> io::Result<Output> {
    let mut worker = Worker::new(task, task.format.stdout());
    match worker.search(haystack, &On::ALL) {
        Ok(searched) => {
            outcome.found = searched.found;
            searched.stats.iter().for_each(|stats| outcome.stats += stats);
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error),
        Err(error) => {
            voice.complain(&format_args!("{}: {error}", haystack.path.display()));
            outcome.failed = true;
        }
    }
    Ok(Output::new(task.format, worker.into_writer()))
}

/// Searches many files on several threads and prints what is found in their order.
fn search_many(
    task: Task<'_>,
    voice: &Voice,
    haystacks: &[Haystack],
    threads: usize,
    outcome: &mut Outcome,
) -> io::Result<Output> {
    let format = task.format;
    let mut output = Output::new(format, format.stdout());
    let mut written = Ok(());
    let worker = || PieceWorker::new(task);
    let work = |worker: &mut PieceWorker<'_>, haystack: &Haystack, parts: &Parts<'_, Part>| {
        worker.search(haystack, parts);
    };
    in_order(haystacks, threads, &CancellationToken::new(), worker, work, |haystack, Part { piece, searched }| {
        match searched {
            Some(Ok(searched)) => {
                outcome.found |= searched.found;
                searched.stats.iter().for_each(|stats| outcome.stats += stats);
            }
            Some(Err(error)) => {
                voice.complain(&format_args!("{}: {error}", haystack.path.display()));
                outcome.failed = true;
            }
            // There is more of this file to come.
            None => {}
        }
        written = output.piece(&piece);
        let enough = outcome.found && format.ends_with_a_match();
        if written.is_ok() && !enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written.map(|()| output)
}
