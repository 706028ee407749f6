//! The arguments of `syncline search`: ripgrep's, by the same names, with the same ways of overriding each other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;

use super::SearchError;
use super::types::TypeChanges;
use crate::index::{Boundary, Case, Pattern};

/// What `syncline search` is asked for.
///
/// Without a PATH, standard input is searched if it is a pipe or a file, else the current folder.
#[derive(Args, Clone, Debug)]
#[command(args_override_self = true)]
pub struct SearchArguments {
    /// A regular expression; with -e, a path
    #[arg(required_unless_present = "regexp")]
    pattern: Option<OsString>,
    /// Files and folders to search [default: the current folder, or a pipe into it]; `-` is standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A pattern to search for; can be given several times
    #[arg(short = 'e', long, value_name = "PATTERN", allow_hyphen_values = true)]
    regexp: Vec<String>,
    /// Patterns are plain text
    #[arg(short = 'F', long)]
    fixed_strings: bool,
    /// Compare letters without regard to case
    #[arg(short = 'i', long, overrides_with_all = ["smart_case", "case_sensitive"])]
    ignore_case: bool,
    /// Compare letters without regard to case, unless the pattern has an upper-case letter
    #[arg(short = 'S', long, overrides_with_all = ["ignore_case", "case_sensitive"])]
    smart_case: bool,
    /// Compare letters as they are (default)
    #[arg(short = 's', long, overrides_with_all = ["ignore_case", "smart_case"])]
    case_sensitive: bool,
    /// Find whole words only
    #[arg(short = 'w', long, overrides_with = "line_regexp")]
    word_regexp: bool,
    /// Find whole lines only
    #[arg(short = 'x', long, overrides_with = "word_regexp")]
    line_regexp: bool,
    /// Search files that match the glob, or those that don't when it begins with `!`; can be given several times
    #[arg(short = 'g', long = "glob", value_name = "GLOB", allow_hyphen_values = true)]
    globs: Vec<String>,
    #[command(flatten)]
    types: TypeChanges,
    /// Search hidden files too
    #[arg(long)]
    hidden: bool,
    /// Print only the names of files with matches
    #[arg(short = 'l', long, overrides_with_all = ["count", "json"])]
    files_with_matches: bool,
    /// Print only how many lines match in each file
    #[arg(short = 'c', long, overrides_with_all = ["files_with_matches", "json"])]
    count: bool,
    /// Print ripgrep's JSON lines
    #[arg(long, overrides_with_all = ["files_with_matches", "count"])]
    json: bool,
    /// Print line numbers (default on a terminal)
    #[arg(short = 'n', long, overrides_with = "no_line_number")]
    line_number: bool,
    /// Don't print line numbers
    #[arg(short = 'N', long, overrides_with = "line_number")]
    no_line_number: bool,
    /// Print each file's name above its matches (default on a terminal)
    #[arg(long, overrides_with = "no_heading")]
    heading: bool,
    /// Print each file's name on every line
    #[arg(long, overrides_with = "heading")]
    no_heading: bool,
    /// Print each match as file, line, column and text, as editors read it
    #[arg(long)]
    pub(super) vimgrep: bool,
    /// Lines to print after each match
    #[arg(short = 'A', long, value_name = "LINES")]
    after_context: Option<usize>,
    /// Lines to print before each match
    #[arg(short = 'B', long, value_name = "LINES")]
    before_context: Option<usize>,
    /// Lines to print around each match; -A and -B say otherwise for their side
    #[arg(short = 'C', long, value_name = "LINES")]
    context: Option<usize>,
    /// Most matching lines of a file
    #[arg(short = 'm', long, value_name = "LINES")]
    pub(super) max_count: Option<u64>,
    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal that can.
    Auto,
    /// Always, by ANSI codes.
    Always,
    /// Never.
    Never,
}

/// What is printed of the files with matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Their matching lines.
    Lines,
    /// Their names.
    Names,
    /// The numbers of their matching lines.
    Counts,
    /// All of it, for programs.
    Json,
}

impl SearchArguments {
    /// What to search for, and where. No path means that it is to be guessed.
    pub(super) fn pattern_and_paths(&self) -> Result<(Pattern, Vec<PathBuf>), SearchError> {
        let mut patterns: Vec<String> = Vec::new();
        let mut paths = Vec::new();
        match &self.pattern {
            Some(pattern) if self.regexp.is_empty() => {
                patterns.push(pattern.to_str().ok_or(SearchError::PatternNotText)?.to_owned());
            }
            first => paths.extend(first.iter().map(PathBuf::from)),
        }
        for pattern in &self.regexp {
            if !patterns.contains(pattern) {
                patterns.push(pattern.clone());
            }
        }
        paths.extend_from_slice(&self.paths);
        let case = match () {
            () if self.ignore_case => Case::Insensitive,
            () if self.smart_case => Case::Smart,
            () => Case::Sensitive,
        };
        let boundary = match () {
            () if self.word_regexp => Boundary::Word,
            () if self.line_regexp => Boundary::Line,
            () => Boundary::None,
        };
        Ok((Pattern { patterns, fixed_strings: self.fixed_strings, case, boundary }, paths))
    }

    /// The walk that finds the files, to be given its paths. Globs are relative to `here`.
    pub(super) fn walk(&self, here: &Path) -> Result<impl Fn(&Path) -> WalkBuilder + Sync, SearchError> {
        let types = self.types.build().map_err(SearchError::Type)?;
        let mut overrides = OverrideBuilder::new(here);
        for glob in &self.globs {
            overrides.add(glob).map_err(SearchError::Glob)?;
        }
        let overrides = overrides.build().map_err(SearchError::Glob)?;
        let (here, hidden) = (here.to_owned(), self.hidden);
        Ok(move |path: &Path| {
            let mut builder = WalkBuilder::new(path);
            builder
                .hidden(!hidden)
                .overrides(overrides.clone())
                .types(types.clone())
                // The answer may be written to a file of the tree.
                .skip_stdout(true)
                .current_dir(&here)
                .add_custom_ignore_filename(".rgignore");
            builder
        })
    }

    /// Whether the walk goes by ripgrep's usual rules alone.
    pub(super) fn walks_plainly(&self) -> bool {
        self.globs.is_empty() && self.types.is_empty() && !self.hidden
    }

    pub(super) fn mode(&self) -> Mode {
        match () {
            () if self.json => Mode::Json,
            () if self.count => Mode::Counts,
            () if self.files_with_matches => Mode::Names,
            () => Mode::Lines,
        }
    }

    /// Whether to print line numbers, if that was said.
    pub(super) fn line_numbers(&self) -> Option<bool> {
        (self.line_number || self.no_line_number).then_some(self.line_number)
    }

    /// Whether to print headings, if that was said.
    pub(super) fn headings(&self) -> Option<bool> {
        (self.heading || self.no_heading).then_some(self.heading)
    }

    /// Lines to print before and after each match.
    pub(super) fn contexts(&self) -> (usize, usize) {
        let both = self.context.unwrap_or(0);
        (self.before_context.unwrap_or(both), self.after_context.unwrap_or(both))
    }
}
