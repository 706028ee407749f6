//! What a command line asks for: the state that flags change, one after the other, so that the last one counts.

use std::ffi::OsString;
use std::path::PathBuf;

use grep_printer::{HyperlinkFormat, UserColorSpec};
use grep_searcher::Encoding;

use crate::index::{Boundary, Case};

/// What a command line asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    /// Something is to be told instead.
    pub(super) special: Option<Special>,
    /// What is done with the files that are found.
    pub(super) mode: Mode,
    /// What isn't a flag, in order.
    pub(super) positional: Vec<OsString>,
    /// Where patterns come from.
    pub(super) patterns: Vec<PatternSource>,
    /// How patterns are read, and by which engine.
    pub(super) syntax: Syntax,
    /// Which files are searched.
    pub(super) filter: Filter,
    /// How files are read.
    pub(super) reading: Reading,
    /// What is printed of a match.
    pub(super) look: Look,
    /// By what the answer is sorted, if that was said.
    pub(super) sort: Option<Sort>,
    /// How many threads work.
    pub(super) threads: Option<usize>,
    /// What is said on standard error.
    pub(super) says: Says,
    /// ripgrep's configuration file isn't read.
    pub(super) no_config: bool,
    /// What all of our commands take.
    pub(super) own: Own,
}

/// Flags that all of our commands take.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// Nobody is asked.
    pub(super) standalone: bool,
    /// The log's level.
    pub(super) log_level: Option<String>,
    /// The user's settings.
    pub(super) config: Option<PathBuf>,
}

/// Something to tell instead of searching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// What flags there are, in brief.
    ShortHelp,
    /// What flags there are.
    LongHelp,
    /// The version, in a line.
    ShortVersion,
    /// The version, and what it can do.
    LongVersion,
    /// Which PCRE2 is there.
    Pcre2Version,
}

/// What is done with the files that are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Their matching lines are printed.
    #[default]
    Lines,
    /// The names of those with matches are.
    Names,
    /// The names of those without are.
    NamesWithout,
    /// How many of their lines match is.
    Counts,
    /// How many matches they have is.
    MatchCounts,
    /// All of it is, for programs.
    Json,
    /// Their names are, without any search.
    Files,
    /// None are looked for: file types are told.
    Types,
    /// None are looked for: a page or a script is made.
    Generate(Page),
}

impl Mode {
    /// Whether there is something to search for.
    pub(super) fn searches(self) -> bool {
        !matches!(self, Mode::Files | Mode::Types | Mode::Generate(_))
    }
}

/// What can be made of the table of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// A page for `man`.
    Man,
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
    /// Completions for PowerShell.
    PowerShell,
}

/// Where patterns come from.
#[derive(Clone, Debug)]
pub(super) enum PatternSource {
    /// The command line.
    Given(String),
    /// A file with a pattern on each line.
    File(PathBuf),
}

/// Which engine reads patterns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Engine {
    /// Rust's.
    #[default]
    Rust,
    /// PCRE2.
    Pcre2,
    /// Rust's, or PCRE2 where that doesn't understand.
    Either,
}

/// How patterns are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Syntax {
    /// By which engine.
    pub(super) engine: Engine,
    /// They are plain text.
    pub(super) fixed_strings: bool,
    /// How letters are compared.
    pub(super) case: Case,
    /// What a match must be bounded by.
    pub(super) boundary: Boundary,
    /// Letters are bytes.
    pub(super) no_unicode: bool,
    /// A match may go over lines.
    pub(super) multiline: bool,
    /// `.` may match a line's end.
    pub(super) dot_all: bool,
    /// Lines may end with CR LF.
    pub(super) crlf: bool,
    /// Lines end with NUL.
    pub(super) null_data: bool,
    /// The compiled pattern's bound, bytes.
    pub(super) size_limit: Option<usize>,
    /// The matching engine's bound, bytes.
    pub(super) dfa_size_limit: Option<usize>,
}

/// A change to the types that files must have; their order counts.
#[derive(Clone, Debug)]
pub(super) enum TypeChange {
    /// Forget what a type is.
    Clear(String),
    /// Define a type, or more of it.
    Add(String),
    /// Search files of this type.
    Select(String),
    /// Leave out files of this type.
    Negate(String),
}

/// Which files are searched.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Globs that paths must fulfil.
    pub(super) globs: Vec<String>,
    /// The same, without regard to case.
    pub(super) iglobs: Vec<String>,
    /// All globs are without regard to case.
    pub(super) globs_ignore_case: bool,
    /// Types that files must have.
    pub(super) types: Vec<TypeChange>,
    /// Hidden files too.
    pub(super) hidden: bool,
    /// Links are followed.
    pub(super) follow: bool,
    /// How deep to go.
    pub(super) max_depth: Option<usize>,
    /// Larger files are left out, bytes.
    pub(super) max_filesize: Option<u64>,
    /// Other file systems are left out.
    pub(super) one_file_system: bool,
    /// Further ignore files.
    pub(super) ignore_files: Vec<PathBuf>,
    /// Ignore files are read without regard to case.
    pub(super) ignores_ignore_case: bool,
    /// `.ignore` and `.rgignore` don't count.
    pub(super) no_dot: bool,
    /// `.git/info/exclude` doesn't.
    pub(super) no_exclude: bool,
    /// Further ignore files don't.
    pub(super) no_files: bool,
    /// Those of the user don't.
    pub(super) no_global: bool,
    /// Those of the folders above don't.
    pub(super) no_parent: bool,
    /// `.gitignore` and its like don't.
    pub(super) no_vcs: bool,
    /// They do without a repository.
    pub(super) no_require_git: bool,
    /// How often `-u` was given.
    pub(super) unrestricted: u8,
}

/// What becomes of binary files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Binary {
    /// Those that a walk meets are left at their first NUL; of those that were named it is said that they match.
    #[default]
    Leave,
    /// Of all it is said that they match.
    Search,
    /// They are text.
    Text,
}

/// How bytes become text.
#[derive(Clone, Debug, Default)]
pub(super) enum Decoding {
    /// By a mark at the beginning.
    #[default]
    ByMark,
    /// From this encoding.
    From(Encoding),
    /// Not at all.
    None,
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// What becomes of binary ones.
    pub(super) binary: Binary,
    /// How bytes become text.
    pub(super) decoding: Decoding,
    /// Archives are unpacked.
    pub(super) zip: bool,
    /// What a program makes of them is searched.
    pub(super) pre: Option<PathBuf>,
    /// Globs of files for that program.
    pub(super) pre_globs: Vec<String>,
    /// Whether files are searched as a whole; ripgrep's choice unless said.
    pub(super) whole: Option<bool>,
    /// Lines that don't match are what is searched for.
    pub(super) invert: bool,
    /// The most matching lines of a file.
    pub(super) max_count: Option<u64>,
    /// A file is left at the first line that doesn't match after one that does.
    pub(super) stop_on_nonmatch: bool,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Color {
    /// On a terminal that can.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Lines around matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    /// All lines.
    pub(super) all: bool,
    /// How many before, whatever `both` says.
    pub(super) before: Option<usize>,
    /// How many after, whatever `both` says.
    pub(super) after: Option<usize>,
    /// How many on both sides.
    pub(super) both: Option<usize>,
}

impl Context {
    /// Takes in a number of lines; that all were wanted is forgotten, with what was said before it.
    pub(super) fn set(&mut self, change: impl FnOnce(&mut Context)) {
        if self.all {
            *self = Context::default();
        }
        change(self);
    }

    /// Lines before and after each match.
    pub(super) fn lines(self) -> (usize, usize) {
        let both = self.both.unwrap_or(0);
        (self.before.unwrap_or(both), self.after.unwrap_or(both))
    }
}

/// When what was found leaves the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Buffering {
    /// Line by line on a terminal.
    #[default]
    Auto,
    /// Line by line.
    Lines,
    /// In large blocks.
    Blocks,
}

/// What is printed of a match.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// When to colour.
    pub(super) color: Color,
    /// With which colours, beside the usual ones.
    pub(super) colors: Vec<UserColorSpec>,
    /// When it leaves.
    pub(super) buffering: Buffering,
    /// Lines around matches.
    pub(super) context: Context,
    /// What stands between groups of lines.
    pub(super) context_separator: Option<Vec<u8>>,
    /// What stands after the fields of a line around a match.
    pub(super) field_context_separator: Vec<u8>,
    /// What stands after the fields of a match.
    pub(super) field_match_separator: Vec<u8>,
    /// What stands between the parts of a path.
    pub(super) path_separator: Option<u8>,
    /// Offsets.
    pub(super) byte_offset: bool,
    /// Columns, if that was said.
    pub(super) column: Option<bool>,
    /// Headings, if that was said.
    pub(super) heading: Option<bool>,
    /// Numbers of lines, if that was said.
    pub(super) line_number: Option<bool>,
    /// File names, if that was said.
    pub(super) with_filename: Option<bool>,
    /// Also of files without matches.
    pub(super) include_zero: bool,
    /// Longer lines are left out, bytes.
    pub(super) max_columns: Option<u64>,
    /// But for their beginnings.
    pub(super) max_columns_preview: bool,
    /// A NUL stands after each path.
    pub(super) null: bool,
    /// Only what matches.
    pub(super) only_matching: bool,
    /// Nothing at all.
    pub(super) quiet: bool,
    /// What is printed in the place of a match.
    pub(super) replace: Option<Vec<u8>>,
    /// How much was searched.
    pub(super) stats: bool,
    /// Without the blanks at a line's beginning.
    pub(super) trim: bool,
    /// As file, line, column and text, once for each match.
    pub(super) vimgrep: bool,
    /// Links to files.
    pub(super) hyperlink: HyperlinkFormat,
    /// What tells this host's name for them.
    pub(super) hostname_bin: Option<PathBuf>,
}

impl Default for Look {
    fn default() -> Look {
        Look {
            color: Color::Auto,
            colors: Vec::new(),
            buffering: Buffering::Auto,
            context: Context::default(),
            context_separator: Some(b"--".to_vec()),
            field_context_separator: b"-".to_vec(),
            field_match_separator: b":".to_vec(),
            path_separator: None,
            byte_offset: false,
            column: None,
            heading: None,
            line_number: None,
            with_filename: None,
            include_zero: false,
            max_columns: None,
            max_columns_preview: false,
            null: false,
            only_matching: false,
            quiet: false,
            replace: None,
            stats: false,
            trim: false,
            vimgrep: false,
            hyperlink: HyperlinkFormat::default(),
            hostname_bin: None,
        }
    }
}

/// By what files are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortBy {
    /// Their paths.
    Path,
    /// When they were written.
    Modified,
    /// When they were read.
    Accessed,
    /// When they were made.
    Created,
}

/// In which order files come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    /// By what.
    pub(super) by: SortBy,
    /// The last first.
    pub(super) reverse: bool,
}

/// What is said on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Says {
    /// Not which files can't be read.
    pub(super) no_messages: bool,
    /// Not what is wrong in ignore files.
    pub(super) no_ignore_messages: bool,
    /// What was planned, asked and walked.
    pub(super) debug: bool,
}
