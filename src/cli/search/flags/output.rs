//! What is printed.

use super::super::arguments::{Buffering, Color, Context, Sort, SortBy};
use super::Flag;

/// When to colour.
const COLOURS: &[(&str, Color)] =
    &[("never", Color::Never), ("auto", Color::Auto), ("always", Color::Always), ("ansi", Color::Always)];

/// By what to sort.
const ORDERS: &[(&str, Option<SortBy>)] = &[
    ("none", None),
    ("path", Some(SortBy::Path)),
    ("modified", Some(SortBy::Modified)),
    ("accessed", Some(SortBy::Accessed)),
    ("created", Some(SortBy::Created)),
];

/// ripgrep's output options.
#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    Flag::value("after-context", "NUM", "Print so many lines after each match", |a, v| {
        let lines = v.number()?;
        a.look.context.set(|context| context.after = Some(lines));
        Ok(())
    })
    .short('A'),
    Flag::value("before-context", "NUM", "Print so many lines before each match", |a, v| {
        let lines = v.number()?;
        a.look.context.set(|context| context.before = Some(lines));
        Ok(())
    })
    .short('B'),
    Flag::switch("block-buffered", "Print in large blocks", |a, on| {
        a.look.buffering = if on { Buffering::Blocks } else { Buffering::Auto };
    })
    .not("no-block-buffered"),
    Flag::switch("byte-offset", "Print where each line begins, in bytes", |a, on| a.look.byte_offset = on)
        .short('b')
        .not("no-byte-offset"),
    Flag::value("color", "WHEN", "When to colour: never, auto, always or ansi", |a, v| {
        a.look.color = v.choice(COLOURS)?;
        Ok(())
    }),
    Flag::value("colors", "COLOR_SPEC", "Which colours: {path,line,column,match,highlight}:{fg,bg,style}:VALUE, or TYPE:none", |a, v| {
        a.look.colors.push(v.text()?.parse().map_err(|error: grep_printer::ColorError| error.to_string())?);
        Ok(())
    }),
    Flag::switch("column", "Print the column of the first match of a line", |a, on| a.look.column = Some(on)).not("no-column"),
    Flag::value("context", "NUM", "Print so many lines around each match; -A and -B say otherwise for their side", |a, v| {
        let lines = v.number()?;
        a.look.context.set(|context| context.both = Some(lines));
        Ok(())
    })
    .short('C'),
    Flag::value("context-separator", "SEPARATOR", "What stands between groups of lines", |a, v| {
        a.look.context_separator = Some(v.bytes()?);
        Ok(())
    })
    .unset("no-context-separator", |a| a.look.context_separator = None),
    Flag::value("field-context-separator", "SEPARATOR", "What stands after the fields of a line around a match", |a, v| {
        a.look.field_context_separator = v.bytes()?;
        Ok(())
    }),
    Flag::value("field-match-separator", "SEPARATOR", "What stands after the fields of a match", |a, v| {
        a.look.field_match_separator = v.bytes()?;
        Ok(())
    }),
    Flag::switch("heading", "Print each file's name above its matches (default on a terminal)", |a, on| {
        a.look.heading = Some(on);
    })
    .not("no-heading"),
    Flag::switch("help", "Print this; -h in brief", |_, _| {}).short('h'),
    Flag::value("hostname-bin", "COMMAND", "The program that tells this host's name for hyperlinks", |a, v| {
        a.look.hostname_bin = v.program();
        Ok(())
    }),
    Flag::value("hyperlink-format", "FORMAT", "What file names link to: none, default, file, vscode, … or a format", |a, v| {
        a.look.hyperlink = v.text()?.parse().map_err(|error: grep_printer::HyperlinkFormatError| error.to_string())?;
        Ok(())
    }),
    Flag::switch("include-zero", "With --count, print files without matches, too", |a, on| a.look.include_zero = on)
        .not("no-include-zero"),
    Flag::switch("line-buffered", "Print line by line", |a, on| {
        a.look.buffering = if on { Buffering::Lines } else { Buffering::Auto };
    })
    .not("no-line-buffered"),
    Flag::switch("line-number", "Print line numbers (default on a terminal)", |a, _| a.look.line_number = Some(true)).short('n'),
    Flag::switch("no-line-number", "Don't print line numbers", |a, _| a.look.line_number = Some(false)).short('N'),
    Flag::value("max-columns", "NUM", "Leave out lines with more bytes", |a, v| {
        a.look.max_columns = Some(v.number()?).filter(|columns| *columns > 0);
        Ok(())
    })
    .short('M'),
    Flag::switch("max-columns-preview", "But print their beginnings", |a, on| a.look.max_columns_preview = on)
        .not("no-max-columns-preview"),
    Flag::switch("null", "Print a NUL after each path", |a, _| a.look.null = true).short('0'),
    Flag::switch("only-matching", "Print only what matches of a line", |a, _| a.look.only_matching = true).short('o'),
    Flag::value("path-separator", "SEPARATOR", "What stands between the parts of a path", |a, v| {
        let bytes = v.bytes()?;
        a.look.path_separator = match bytes[..] {
            [] => None,
            [byte] => Some(byte),
            _ => return Err(format!("it is one byte, and these are {}", bytes.len())),
        };
        Ok(())
    }),
    Flag::switch("passthru", "Print all lines", |a, _| a.look.context = Context { all: true, ..Context::default() })
        .alias("passthrough"),
    Flag::switch("pretty", "--color always --heading --line-number", |a, _| {
        a.look.color = Color::Always;
        a.look.heading = Some(true);
        a.look.line_number = Some(true);
    })
    .short('p'),
    Flag::switch("quiet", "Print nothing; the exit code tells whether there is a match", |a, _| a.look.quiet = true).short('q'),
    Flag::value("replace", "REPLACEMENT", "Print this in the place of each match; $1 is its first group", |a, v| {
        a.look.replace = Some(v.text()?.into_bytes());
        Ok(())
    })
    .short('r'),
    Flag::value("sort", "SORTBY", "Sort files by path (default), modified, accessed or created; none: as they come", |a, v| {
        a.sort = v.choice(ORDERS)?.map(|by| Sort { by, reverse: false });
        Ok(())
    }),
    Flag::value("sortr", "SORTBY", "As --sort, the last first", |a, v| {
        a.sort = v.choice(ORDERS)?.map(|by| Sort { by, reverse: true });
        Ok(())
    }),
    Flag::switch("sort-files", "--sort path", |a, on| {
        a.sort = on.then_some(Sort { by: SortBy::Path, reverse: false });
    })
    .not("no-sort-files"),
    Flag::switch("trim", "Leave out the blanks at a line's beginning", |a, on| a.look.trim = on).not("no-trim"),
    Flag::switch("vimgrep", "Print each match as file, line, column and text, as editors read it", |a, _| a.look.vimgrep = true),
    Flag::switch("with-filename", "Print each file's name with its lines", |a, _| a.look.with_filename = Some(true)).short('H'),
    Flag::switch("no-filename", "Never print file names with lines", |a, _| a.look.with_filename = Some(false)).short('I'),
];
