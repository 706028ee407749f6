//! `syncline search`: what `rg --sort path` finds, printed as it prints it.
//!
//! The files are found by ripgrep's own walk, and matched and printed by ripgrep's own searcher and printers. The index
//! only tells which files needn't be read: those that are still what they were when they were indexed, and whose
//! grams rule a match out. So answers are ripgrep's by construction, with an index, with a stale one, or with none.
//! Where the shared engine has the codebase open and is certain of what the walk would find, it isn't walked ([`warm`]).

mod arguments;
mod format;
mod haystacks;
mod indexes;
mod mapped;
mod messages;
mod output;
mod surroundings;
mod types;
mod warm;
mod worker;

use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use grep_printer::Stats;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use self::arguments::SearchArguments;
use self::format::Format;
use self::haystacks::{Haystack, Listing, Narrowing};
use self::indexes::Indexes;
use self::messages::complain;
use self::output::Output;
use self::surroundings::{guessed_path, unread_configuration};
use self::warm::Warm;
use self::worker::{On, Part, PieceWorker, Worker};
use super::context::{CommonArgs, start_log};
use crate::core::settings::{Settings, default_index_dir};
use crate::index::{Parts, PatternError, Plan, Query, in_order};

/// A search that couldn't begin, or whose answer couldn't be written.
#[derive(Debug, Error)]
enum SearchError {
    #[error("the pattern isn't valid UTF-8; write other bytes as \\xFF in a (?-u) group")]
    PatternNotText,
    #[error("{}", messages::pattern_sentence(.0))]
    Pattern(#[from] PatternError),
    #[error("can't use the glob: {0}")]
    Glob(ignore::Error),
    #[error("can't use the file type: {0}; `rg --type-list` names those there are")]
    Type(ignore::Error),
    #[error("can't tell the current folder: {0}; change to one that exists")]
    CurrentFolder(io::Error),
    #[error("can't write the answer: {0}")]
    Output(io::Error),
}

/// What came of a search.
#[derive(Default)]
struct Outcome {
    found: bool,
    /// Something couldn't be read, and was complained of.
    failed: bool,
    stats: Stats,
}

/// Runs the search and tells the code to exit with: 0 when something was found, 1 when nothing was, 2 when anything
/// went wrong.
pub fn run(common: &CommonArgs, arguments: &SearchArguments) -> ExitCode {
    let settings = common.settings(None);
    let _ = start_log(&settings, common.log_level.is_none().then_some("error"));
    match search(common, arguments, &settings) {
        Ok(Outcome { failed: true, .. }) => ExitCode::from(2),
        Ok(outcome) => ExitCode::from(u8::from(!outcome.found)),
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn search(common: &CommonArgs, arguments: &SearchArguments, settings: &Settings) -> Result<Outcome, SearchError> {
    let started = Instant::now();
    let (pattern, mut paths) = arguments.pattern_and_paths()?;
    if paths.is_empty() {
        paths.extend(guessed_path());
    }
    if let Some(sentence) = unread_configuration(std::env::var_os("RIPGREP_CONFIG_PATH")) {
        complain(&sentence);
    }
    let here = std::env::current_dir().map_err(SearchError::CurrentFolder)?;
    let walk = arguments.walk(&here)?;
    if arguments.max_count == Some(0) {
        return Ok(Outcome::default());
    }
    let query = Query::new(&pattern)?;
    let format = Format::new(arguments, &paths);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);

    // The answer may go to a file of the tree, which ripgrep's walk leaves out; and JSON tells how much was searched.
    let can_ask = arguments.walks_plainly() && !format.counts_bytes() && !stdout_is_a_file();
    let mut warm = Warm::new(common, settings, &pattern, &here, can_ask);
    let mut indexes = Indexes::new(settings.index.dir.clone().or_else(default_index_dir));
    let (plan, by_size) = (&query.plan, format.counts_bytes());
    let mut narrowing = Narrowing { plan, by_size, indexes: &mut indexes, warm: &mut warm };
    let listing = Listing::new(&walk, &paths, &mut narrowing, threads);
    let (files, ruled_out) = (listing.haystacks.len(), listing.ruled_out.files);
    tracing::debug!(files, ruled_out, asked = listing.is_partial, "what there is to search");
    let mut outcome = Outcome { failed: listing.failed, ..Outcome::default() };
    outcome.stats.add_searches(listing.ruled_out.files);
    outcome.stats.add_bytes_searched(listing.ruled_out.bytes);
    if paths.is_empty() && listing.haystacks.is_empty() && listing.ruled_out.files == 0 && !listing.is_partial {
        complain(&"no files were searched: ignore files or globs leave out all there are");
        outcome.failed = true;
    }
    let written = match &listing.haystacks[..] {
        [only] => search_one(&query, &format, only, &mut outcome),
        many => search_many(&query, &format, many, threads, &mut outcome),
    };
    let written = written.and_then(|mut output| {
        if format.counts_bytes() {
            output.summary(&outcome.stats, started.elapsed())?;
        }
        output.flush()
    });
    match written {
        // Whoever read the answer has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.map_err(SearchError::Output)?,
    }
    if query.plan != Plan::All && indexes.none_found() && io::stderr().is_terminal() {
        complain(&"no index here yet: `syncline watch` or `syncline index` makes searches fast");
    }
    warm.start_for_the_next(paths.first().map_or(&here, |path| path));
    Ok(outcome)
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
fn search_one(query: &Query, format: &Format, haystack: &Haystack, outcome: &mut Outcome) -> io::Result<Output> {
    let mut worker = Worker::new(query, format, format.stdout());
    match worker.search(haystack, &On::ALL) {
        Ok(searched) => {
            outcome.found = searched.found;
            searched.stats.iter().for_each(|stats| outcome.stats += stats);
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error),
        Err(error) => {
            complain(&format_args!("{}: {error}", haystack.path.display()));
            outcome.failed = true;
        }
    }
    Ok(Output::new(format, worker.into_writer()))
}

/// Searches many files on several threads and prints what is found in their order.
fn search_many(
    query: &Query,
    format: &Format,
    haystacks: &[Haystack],
    threads: usize,
    outcome: &mut Outcome,
) -> io::Result<Output> {
    let mut output = Output::new(format, format.stdout());
    let mut written = Ok(());
    let worker = || PieceWorker::new(query, format);
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
                complain(&format_args!("{}: {error}", haystack.path.display()));
                outcome.failed = true;
            }
            // There is more of this file to come.
            None => {}
        }
        written = output.piece(&piece);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written.map(|()| output)
}
