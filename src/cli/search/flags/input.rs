//! Where patterns and texts come from.

use super::super::arguments::PatternSource;
use super::Flag;

/// ripgrep's input options.
pub(super) static FLAGS: &[Flag] = &[
    Flag::value(
        "file",
        "PATTERNFILE",
        "Search for the patterns in a file, one on each line; - is standard input",
        |a, v| {
            a.patterns.push(PatternSource::File(v.path()));
            Ok(())
        },
    )
    .short('f'),
    Flag::value("pre", "COMMAND", "Search what a program prints when it is given the path", |a, v| {
        a.reading.pre = v.program();
        a.reading.zip &= a.reading.pre.is_none();
        Ok(())
    })
    .unset("no-pre", |a| a.reading.pre = None),
    Flag::value("pre-glob", "GLOB", "Give only files that match the glob to the program of --pre", |a, v| {
        a.reading.pre_globs.push(v.text()?);
        Ok(())
    }),
    Flag::value("regexp", "PATTERN", "A pattern to search for; can be given several times", |a, v| {
        a.patterns.push(PatternSource::Given(v.text()?));
        Ok(())
    })
    .short('e'),
    Flag::switch("search-zip", "Search in compressed files, by the programs that unpack them", |a, on| {
        a.reading.zip = on;
        if on {
            a.reading.pre = None;
        }
    })
    .short('z')
    .not("no-search-zip"),
];
