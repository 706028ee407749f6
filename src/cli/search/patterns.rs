//! What is searched for, and where: what of the arguments aren't flags, and what files add to it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::SearchError;
use super::arguments::{Arguments, PatternSource};

/// What stands for standard input among the paths.
const STDIN: &str = "-";

/// What is searched for, and where.
#[derive(Debug)]
pub(super) struct Asked {
    /// One of these must match.
    pub(super) patterns: Vec<String>,
    /// Where; none stand for the current folder.
    pub(super) paths: Vec<PathBuf>,
    /// No path was given.
    pub(super) guessed: bool,
}

impl Asked {
    /// What `arguments` ask for. Without a path, what can be read from standard input is searched, by ripgrep's guess.
    ///
    /// # Errors
    /// When there is no pattern, or a file of patterns can't be read.
    pub(super) fn new(arguments: &Arguments) -> Result<Asked, SearchError> {
        let mut positional = arguments.positional.iter().cloned();
        let (mut patterns, mut read_stdin) = (Vec::new(), false);
        if arguments.mode.searches() && arguments.patterns.is_empty() {
            let pattern = positional.next().ok_or(SearchError::NoPattern)?;
            patterns.push(pattern.into_string().map_err(|_| SearchError::PatternNotText)?);
        } else if arguments.mode.searches() {
            let mut seen = HashSet::new();
            for source in &arguments.patterns {
                let more = match source {
                    PatternSource::Given(pattern) => vec![pattern.clone()],
                    PatternSource::File(path) if path == Path::new(STDIN) => {
                        if std::mem::replace(&mut read_stdin, true) {
                            return Err(SearchError::StdinTwice);
                        }
                        grep_cli::patterns_from_stdin().map_err(SearchError::Patterns)?
                    }
                    PatternSource::File(path) => grep_cli::patterns_from_path(path).map_err(SearchError::Patterns)?,
                };
                patterns.extend(more.into_iter().filter(|pattern| seen.insert(pattern.clone())));
            }
        }
        let mut paths: Vec<PathBuf> = positional.map(PathBuf::from).collect();
        if read_stdin && paths.iter().any(|path| path == Path::new(STDIN)) {
            return Err(SearchError::StdinTwice);
        }
        let guessed = paths.is_empty();
        if guessed && arguments.mode.searches() && !read_stdin && grep_cli::is_readable_stdin() {
            tracing::debug!("no path was given, and standard input can be read: it is searched");
            paths.push(PathBuf::from(STDIN));
        }
        Ok(Asked { patterns, paths, guessed })
    }
}
