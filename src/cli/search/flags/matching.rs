//! What matches.

use grep_searcher::Encoding;

use super::super::arguments::{Binary, Decoding, Engine};
use super::Flag;
use crate::index::{Boundary, Case};

/// Engines by their names.
const ENGINES: &[(&str, Engine)] = &[("default", Engine::Rust), ("pcre2", Engine::Pcre2), ("auto", Engine::Either)];

/// ripgrep's search options.
#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    Flag::switch("auto-hybrid-regex", "Use PCRE2 where the default engine can't; --engine auto", |a, on| {
        a.syntax.engine = if on { Engine::Either } else { Engine::Rust };
    })
    .not("no-auto-hybrid-regex"),
    Flag::switch("case-sensitive", "Compare letters as they are (default)", |a, _| a.syntax.case = Case::Sensitive).short('s'),
    Flag::switch("crlf", "Let lines end with CR LF", |a, on| {
        a.syntax.crlf = on;
        a.syntax.null_data &= !on;
    })
    .not("no-crlf"),
    Flag::value("dfa-size-limit", "NUM+SUFFIX?", "The most memory that matching may take", |a, v| {
        a.syntax.dfa_size_limit = Some(v.memory()?);
        Ok(())
    }),
    Flag::value("encoding", "ENCODING", "How files are encoded; auto goes by their marks, none takes bytes as they are", |a, v| {
        let name = v.text()?;
        a.reading.decoding = match name.as_str() {
            "auto" => Decoding::ByMark,
            "none" => Decoding::None,
            name => Decoding::From(Encoding::new(name).map_err(|error| error.to_string())?),
        };
        Ok(())
    })
    .short('E')
    .unset("no-encoding", |a| a.reading.decoding = Decoding::ByMark),
    Flag::value("engine", "ENGINE", "Which engine reads patterns: default, pcre2 or auto", |a, v| {
        a.syntax.engine = v.choice(ENGINES)?;
        Ok(())
    }),
    Flag::switch("fixed-strings", "Patterns are plain text", |a, on| a.syntax.fixed_strings = on)
        .short('F')
        .not("no-fixed-strings"),
    Flag::switch("ignore-case", "Compare letters without regard to case", |a, _| a.syntax.case = Case::Insensitive).short('i'),
    Flag::switch("invert-match", "Find lines that don't match", |a, on| a.reading.invert = on).short('v').not("no-invert-match"),
    Flag::switch("line-regexp", "Find whole lines only", |a, _| a.syntax.boundary = Boundary::Line).short('x'),
    Flag::value("max-count", "NUM", "Find at most so many matching lines in each file", |a, v| {
        a.reading.max_count = Some(v.number()?);
        Ok(())
    })
    .short('m'),
    Flag::switch("mmap", "Search files as a whole", |a, on| a.reading.whole = Some(on)).not("no-mmap"),
    Flag::switch("multiline", "Let matches go over lines", |a, on| {
        a.syntax.multiline = on;
        a.reading.stop_on_nonmatch &= !on;
    })
    .short('U')
    .not("no-multiline"),
    Flag::switch("multiline-dotall", "Let . match line ends, with --multiline", |a, on| a.syntax.dot_all = on)
        .not("no-multiline-dotall"),
    Flag::switch("no-pcre2-unicode", "Take letters as bytes; --no-unicode", |a, on| a.syntax.no_unicode = on).not("pcre2-unicode"),
    Flag::switch("no-unicode", "Take letters as bytes", |a, on| a.syntax.no_unicode = on).not("unicode"),
    Flag::switch("null-data", "Let lines end with NUL", |a, _| {
        a.syntax.crlf = false;
        a.syntax.null_data = true;
    }),
    Flag::switch("pcre2", "Read patterns by PCRE2, which has look-around and backreferences", |a, on| {
        a.syntax.engine = if on { Engine::Pcre2 } else { Engine::Rust };
    })
    .short('P')
    .not("no-pcre2"),
    Flag::value("regex-size-limit", "NUM+SUFFIX?", "The most memory that a compiled pattern may take", |a, v| {
        a.syntax.size_limit = Some(v.memory()?);
        Ok(())
    }),
    Flag::switch("smart-case", "Compare letters without regard to case, unless the pattern has an upper-case letter", |a, _| {
        a.syntax.case = Case::Smart;
    })
    .short('S'),
    Flag::switch("stop-on-nonmatch", "Leave a file at the first line that doesn't match after one that does", |a, _| {
        a.reading.stop_on_nonmatch = true;
        a.syntax.multiline = false;
    }),
    Flag::switch("text", "Search binary files as if they were text", |a, on| {
        a.reading.binary = if on { Binary::Text } else { Binary::Leave };
    })
    .short('a')
    .not("no-text"),
    Flag::value("threads", "NUM", "Work on so many threads", |a, v| {
        a.threads = Some(v.number()?).filter(|threads| *threads > 0);
        Ok(())
    })
    .short('j'),
    Flag::switch("word-regexp", "Find whole words only", |a, _| a.syntax.boundary = Boundary::Word).short('w'),
];
