//! How the answer looks: ripgrep's choices, which depend on the arguments and on where the answer goes.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use grep_printer::default_color_specs;
use grep_printer::{ColorSpecs, JSON, JSONBuilder, Standard, StandardBuilder, Summary, SummaryBuilder, SummaryKind};
use grep_searcher::{Searcher, SearcherBuilder};
use termcolor::{Buffer, BufferedStandardStream, ColorChoice, StandardStream, WriteColor};

use super::arguments::{Color, Mode, SearchArguments};

/// How the answer looks.
#[derive(Debug)]
pub(super) struct Format {
    mode: Mode,
    before: usize,
    after: usize,
    max_count: Option<u64>,
    line_numbers: bool,
    headings: bool,
    file_names: bool,
    /// A line for each match, with its column.
    each_match: bool,
    color: bool,
    terminal: bool,
    /// Files are searched as a whole, not read bit by bit: binary ones are then told by other bytes.
    pub(super) whole_files: bool,
}

/// One of ripgrep's printers.
pub(super) enum Printer<W> {
    /// Matching lines.
    Standard(Standard<W>),
    /// Names or counts.
    Summary(Summary<W>),
    /// JSON lines.
    Json(JSON<W>),
}

impl Format {
    /// The look of an answer to `arguments` for files in `paths`.
    pub(super) fn new(arguments: &SearchArguments, paths: &[PathBuf]) -> Format {
        let terminal = std::io::stdout().is_terminal();
        let mode = arguments.mode();
        let stdin = Path::new("-");
        let only_stdin = matches!(paths, [path] if path == stdin);
        let only_file = matches!(paths, [path] if path == stdin || !path.is_dir());
        let (before, after) = arguments.contexts();
        let line_numbers = match mode {
            Mode::Lines => arguments.vimgrep || (terminal && !only_stdin),
            Mode::Json => true,
            Mode::Names | Mode::Counts => false,
        };
        Format {
            mode,
            before,
            after,
            max_count: arguments.max_count,
            line_numbers: arguments.line_numbers().unwrap_or(line_numbers),
            headings: arguments.headings().unwrap_or(terminal) && !arguments.vimgrep,
            file_names: arguments.vimgrep || !only_file,
            each_match: arguments.vimgrep,
            color: match arguments.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && StandardStream::stdout(ColorChoice::Auto).supports_color(),
            },
            terminal,
            // Where ripgrep would map them into memory.
            whole_files: cfg!(not(target_os = "macos"))
                && (1..=10).contains(&paths.len())
                && paths.iter().all(|path| path.is_file()),
        }
    }

    /// Whether the answer tells how much was searched.
    pub(super) fn counts_bytes(&self) -> bool {
        self.mode == Mode::Json
    }

    /// What stands between the answers of two files.
    pub(super) fn separator(&self) -> Option<&'static [u8]> {
        match self.mode {
            Mode::Lines if self.headings => Some(b""),
            Mode::Lines if self.before + self.after > 0 => Some(b"--"),
            _ => None,
        }
    }

    /// Where answers go.
    pub(super) fn stdout(&self) -> Box<dyn WriteColor> {
        let choice = if self.color { ColorChoice::AlwaysAnsi } else { ColorChoice::Never };
        // Line by line for people, in large pieces for programs.
        match self.terminal {
            true => Box::new(StandardStream::stdout(choice)),
            false => Box::new(BufferedStandardStream::stdout(choice)),
        }
    }

    /// A buffer for the answer of a file.
    pub(super) fn buffer(&self) -> Buffer {
        if self.color { Buffer::ansi() } else { Buffer::no_color() }
    }

    /// A printer that writes to `writer`.
    pub(super) fn printer<W: WriteColor>(&self, writer: W) -> Printer<W> {
        let colors = ColorSpecs::new(&default_color_specs());
        let kind = match self.mode {
            Mode::Names => SummaryKind::PathWithMatch,
            Mode::Counts => SummaryKind::Count,
            Mode::Json => return Printer::Json(JSONBuilder::new().build(writer)),
            Mode::Lines => {
                let mut builder = StandardBuilder::new();
                builder
                    .color_specs(colors)
                    .heading(self.headings)
                    .path(self.file_names)
                    .column(self.each_match)
                    .per_match(self.each_match)
                    .per_match_one_line(true)
                    .separator_search(self.separator().map(<[u8]>::to_vec));
                return Printer::Standard(builder.build(writer));
            }
        };
        let mut builder = SummaryBuilder::new();
        builder.color_specs(colors).kind(kind).path(self.file_names).exclude_zero(true);
        Printer::Summary(builder.build(writer))
    }

    /// A searcher.
    pub(super) fn searcher(&self) -> Searcher {
        SearcherBuilder::new()
            .line_number(self.line_numbers)
            .before_context(self.before)
            .after_context(self.after)
            .max_matches(self.max_count)
            .build()
    }

    /// Whether each file's answer is to be seen at once.
    pub(super) fn is_watched(&self) -> bool {
        self.terminal
    }
}
