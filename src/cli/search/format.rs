//! How the answer looks, and how files are read for it: ripgrep's choices, which depend on the arguments and on where the
//! answer goes.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use grep_matcher::LineTerminator;
use grep_printer::{
    ColorSpecs, HyperlinkConfig, HyperlinkEnvironment, JSON, JSONBuilder, PathPrinter, PathPrinterBuilder, Standard,
    StandardBuilder, Summary, SummaryBuilder, SummaryKind, default_color_specs,
};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use termcolor::{Buffer, BufferedStandardStream, ColorChoice, StandardStream, WriteColor};

use super::arguments::{Arguments, Binary, Buffering, Color, Decoding, Look, Mode, Reading, Syntax};
use super::haystacks::Kind;
use super::matcher::line_end;

/// How the answer looks.
#[derive(Clone, Debug)]
pub(super) struct Format {
    mode: Mode,
    look: Look,
    reading: Reading,
    syntax: Syntax,
    colors: ColorSpecs,
    hyperlink: HyperlinkConfig,
    line_numbers: bool,
    column: bool,
    headings: bool,
    file_names: bool,
    color: bool,
    /// Each file's answer is to be seen at once.
    watched: bool,
    /// Files are searched as a whole, not read bit by bit: binary ones are then told by other bytes.
    pub(super) whole_files: bool,
    /// Links that a walk meets are followed.
    pub(super) follow: bool,
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
    pub(super) fn new(arguments: &Arguments, paths: &[PathBuf]) -> Format {
        let Arguments { look, reading, syntax, .. } = arguments.clone();
        let terminal = std::io::stdout().is_terminal();
        let mode = match arguments.mode {
            Mode::MatchCounts if reading.invert => Mode::Counts,
            Mode::Counts if look.only_matching => Mode::MatchCounts,
            mode => mode,
        };
        let stdin = Path::new("-");
        let only_stdin = matches!(paths, [path] if path == stdin);
        let only_file = matches!(paths, [path] if path == stdin || !path.is_dir());
        let column = look.column.unwrap_or(look.vimgrep);
        let line_numbers = match mode {
            _ if look.quiet => false,
            Mode::Lines => column || look.vimgrep || (terminal && !only_stdin),
            mode => mode == Mode::Json,
        };
        let mut colors = default_color_specs();
        colors.extend(look.colors.iter().cloned());
        // Where ripgrep would map them into memory.
        let mapped = || (1..=10).contains(&paths.len()) && paths.iter().all(|path| path.is_file());
        Format {
            mode,
            colors: ColorSpecs::new(&colors),
            hyperlink: HyperlinkConfig::new(hyperlink_environment(&look), look.hyperlink.clone()),
            line_numbers: look.line_number.unwrap_or(line_numbers),
            column,
            headings: look.heading.unwrap_or(terminal) && !look.vimgrep,
            file_names: look.with_filename.unwrap_or(look.vimgrep || !only_file),
            color: match look.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && StandardStream::stdout(ColorChoice::Auto).supports_color(),
            },
            watched: match look.buffering {
                Buffering::Auto => terminal,
                Buffering::Lines => true,
                Buffering::Blocks => false,
            },
            whole_files: cfg!(not(target_os = "macos")) && reading.whole.unwrap_or_else(mapped),
            follow: arguments.filter.follow,
            look,
            reading,
            syntax,
        }
    }

    /// Whether the answer tells how much was searched.
    pub(super) fn counts_bytes(&self) -> bool {
        self.is_json() || self.look.stats
    }

    /// Whether the answer is for programs.
    pub(super) fn is_json(&self) -> bool {
        self.mode == Mode::Json
    }

    /// Whether nothing but the exit code is wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.look.quiet
    }

    /// Whether the first match is enough.
    pub(super) fn ends_with_a_match(&self) -> bool {
        self.look.quiet && !self.counts_bytes()
    }

    /// Whether files without any match have a part in the answer.
    pub(super) fn tells_of_all(&self) -> bool {
        self.mode == Mode::NamesWithout
            || self.reading.invert
            || self.look.context.all
            || (self.look.include_zero && matches!(self.mode, Mode::Counts | Mode::MatchCounts))
    }

    /// Whether what is searched is what the index knows: text as it is by its marks.
    pub(super) fn reads_as_indexed(&self) -> bool {
        !self.decodes() && !self.reading.zip && self.reading.pre.is_none()
    }

    /// Whether that holds only for files without a mark and without a NUL.
    pub(super) fn reads_more_of_binary(&self) -> bool {
        self.reading.binary != Binary::Leave || !self.goes_by_marks() || self.whole_files
    }

    /// Whether byte order marks count.
    pub(super) fn goes_by_marks(&self) -> bool {
        !matches!(self.reading.decoding, Decoding::None)
    }

    /// Whether bytes are of an encoding that was named.
    pub(super) fn decodes(&self) -> bool {
        matches!(self.reading.decoding, Decoding::From(_))
    }

    /// Whether matches may go over lines.
    pub(super) fn is_multiline(&self) -> bool {
        self.syntax.multiline
    }

    /// What makes a file binary.
    pub(super) fn detection(&self, kind: Kind) -> BinaryDetection {
        match (self.reading.binary, kind) {
            _ if self.syntax.null_data => BinaryDetection::none(),
            (Binary::Text, _) => BinaryDetection::none(),
            (Binary::Leave, Kind::Walked) => BinaryDetection::quit(0),
            _ => BinaryDetection::convert(0),
        }
    }

    /// What ends a line.
    pub(super) fn line_end(&self) -> LineTerminator {
        line_end(&self.syntax)
    }

    /// What stands between the answers of two files.
    pub(super) fn separator(&self) -> Option<Vec<u8>> {
        let context = self.look.context;
        match self.mode {
            Mode::Lines if self.look.quiet => None,
            Mode::Lines if self.headings => Some(Vec::new()),
            Mode::Lines if !context.all && context.lines() != (0, 0) => self.look.context_separator.clone(),
            _ => None,
        }
    }

    /// Where answers go.
    pub(super) fn stdout(&self) -> Box<dyn WriteColor> {
        let choice = if self.color { ColorChoice::AlwaysAnsi } else { ColorChoice::Never };
        // Line by line for people, in large pieces for programs.
        match self.watched {
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
        let kind = match self.mode {
            Mode::NamesWithout if self.look.quiet => SummaryKind::QuietWithoutMatch,
            _ if self.look.quiet => SummaryKind::QuietWithMatch,
            Mode::Names => SummaryKind::PathWithMatch,
            Mode::NamesWithout => SummaryKind::PathWithoutMatch,
            Mode::Counts => SummaryKind::Count,
            Mode::MatchCounts => SummaryKind::CountMatches,
            Mode::Json => {
                return Printer::Json(JSONBuilder::new().replacement(self.look.replace.clone()).build(writer));
            }
            _ => return Printer::Standard(self.standard(writer)),
        };
        let mut builder = SummaryBuilder::new();
        builder
            .color_specs(self.colors.clone())
            .exclude_zero(!self.look.include_zero)
            .hyperlink(self.hyperlink.clone())
            .kind(kind)
            .path(self.file_names)
            .path_terminator(self.look.null.then_some(0))
            .separator_path(self.look.path_separator)
            .stats(self.counts_bytes());
        Printer::Summary(builder.build(writer))
    }

    fn standard<W: WriteColor>(&self, writer: W) -> Standard<W> {
        let look = &self.look;
        let mut builder = StandardBuilder::new();
        builder
            .byte_offset(look.byte_offset)
            .color_specs(self.colors.clone())
            .column(self.column)
            .heading(self.headings)
            .hyperlink(self.hyperlink.clone())
            .max_columns(look.max_columns)
            .max_columns_preview(look.max_columns_preview)
            .only_matching(look.only_matching)
            .path(self.file_names)
            .path_terminator(look.null.then_some(0))
            .per_match(look.vimgrep)
            .per_match_one_line(true)
            .replacement(look.replace.clone())
            .separator_context(look.context_separator.clone())
            .separator_field_context(look.field_context_separator.clone())
            .separator_field_match(look.field_match_separator.clone())
            .separator_path(look.path_separator)
            .separator_search(self.separator())
            .stats(look.stats)
            .trim_ascii(look.trim);
        builder.build(writer)
    }

    /// A printer of names that writes to `writer`.
    pub(super) fn names<W: WriteColor>(&self, writer: W) -> PathPrinter<W> {
        PathPrinterBuilder::new()
            .color_specs(self.colors.clone())
            .hyperlink(self.hyperlink.clone())
            .separator(self.look.path_separator)
            .terminator(if self.look.null { 0 } else { b'\n' })
            .build(writer)
    }

    /// A searcher.
    pub(super) fn searcher(&self) -> Searcher {
        let (before, after) = self.look.context.lines();
        let mut builder = SearcherBuilder::new();
        builder
            .line_terminator(line_end(&self.syntax))
            .line_number(self.line_numbers)
            .invert_match(self.reading.invert)
            .max_matches(self.reading.max_count)
            .multi_line(self.syntax.multiline)
            .stop_on_nonmatch(self.reading.stop_on_nonmatch);
        match self.look.context.all {
            true => builder.passthru(true),
            false => builder.before_context(before).after_context(after),
        };
        match &self.reading.decoding {
            Decoding::ByMark => {}
            Decoding::From(encoding) => drop(builder.encoding(Some(encoding.clone()))),
            Decoding::None => drop(builder.bom_sniffing(false)),
        }
        builder.build()
    }

    /// Whether each file's answer is to be seen at once.
    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }
}

/// What links to files hold of their surroundings.
fn hyperlink_environment(look: &Look) -> HyperlinkEnvironment {
    let mut environment = HyperlinkEnvironment::new();
    let named = look.hostname_bin.as_deref().and_then(|program| {
        let mut command = std::process::Command::new(grep_cli::resolve_binary(program).ok()?);
        command.stdin(std::process::Stdio::null());
        let told = std::io::read_to_string(grep_cli::CommandReader::new(&mut command).ok()?).ok()?;
        Some(told.trim().to_owned()).filter(|name| !name.is_empty())
    });
    let own = || grep_cli::hostname().ok()?.into_string().ok();
    environment.host(named.or_else(own));
    let distribution = std::env::var("WSL_DISTRO_NAME").ok().filter(|_| cfg!(unix));
    environment.wsl_prefix(distribution.map(|name| format!("wsl$/{name}")));
    environment
}
