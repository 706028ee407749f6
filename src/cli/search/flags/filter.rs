//! Which files are searched.

use super::super::arguments::{Arguments, Binary, TypeChange};
use super::{Effect, Flag};

/// ripgrep's filter options.
#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    Flag::switch("binary", "Search binary files, and tell which match", binary).not("no-binary"),
    Flag::switch("follow", "Follow links", |a, on| a.filter.follow = on).short('L').not("no-follow"),
    Flag::value("glob", "GLOB", "Search files that match the glob, or those that don't when it begins with !", |a, v| {
        a.filter.globs.push(v.text()?);
        Ok(())
    })
    .short('g'),
    Flag::switch("glob-case-insensitive", "Compare globs without regard to case", |a, on| a.filter.globs_ignore_case = on)
        .not("no-glob-case-insensitive"),
    Flag::switch("hidden", "Search hidden files too", hidden).short('.').not("no-hidden"),
    Flag::value("iglob", "GLOB", "As --glob, without regard to case", |a, v| {
        a.filter.iglobs.push(v.text()?);
        Ok(())
    }),
    Flag::value("ignore-file", "PATH", "Read this ignore file as well", |a, v| {
        a.filter.ignore_files.push(v.path());
        Ok(())
    }),
    Flag::switch("ignore-file-case-insensitive", "Read ignore files without regard to case", |a, on| {
        a.filter.ignores_ignore_case = on;
    })
    .not("no-ignore-file-case-insensitive"),
    Flag::value("max-depth", "NUM", "Go down so many folders", |a, v| {
        a.filter.max_depth = Some(v.number()?);
        Ok(())
    })
    .short('d')
    .alias("maxdepth"),
    Flag::value("max-filesize", "NUM+SUFFIX?", "Leave out larger files", |a, v| {
        a.filter.max_filesize = Some(v.size()?);
        Ok(())
    }),
    Flag::switch("no-ignore", "Don't go by ignore files", no_ignore).not("ignore"),
    Flag::switch("no-ignore-dot", "Don't go by .ignore and .rgignore", |a, on| a.filter.no_dot = on).not("ignore-dot"),
    Flag::switch("no-ignore-exclude", "Don't go by .git/info/exclude", |a, on| a.filter.no_exclude = on).not("ignore-exclude"),
    Flag::switch("no-ignore-files", "Don't go by --ignore-file", |a, on| a.filter.no_files = on).not("ignore-files"),
    Flag::switch("no-ignore-global", "Don't go by the user's own ignore file", |a, on| a.filter.no_global = on).not("ignore-global"),
    Flag::switch("no-ignore-parent", "Don't go by ignore files of the folders above", |a, on| a.filter.no_parent = on)
        .not("ignore-parent"),
    Flag::switch("no-ignore-vcs", "Don't go by .gitignore and its like", |a, on| a.filter.no_vcs = on).not("ignore-vcs"),
    Flag::switch("no-require-git", "Go by .gitignore without a repository, too", |a, on| a.filter.no_require_git = on)
        .not("require-git"),
    Flag::switch("one-file-system", "Leave out other file systems", |a, on| a.filter.one_file_system = on)
        .not("no-one-file-system"),
    Flag::value("type", "TYPE", "Search files of this type; --type-list names them", |a, v| {
        a.filter.types.push(TypeChange::Select(v.text()?));
        Ok(())
    })
    .short('t'),
    Flag::value("type-not", "TYPE", "Leave out files of this type", |a, v| {
        a.filter.types.push(TypeChange::Negate(v.text()?));
        Ok(())
    })
    .short('T'),
    Flag::value("type-add", "TYPESPEC", "Define a type, or more of it: NAME:GLOB", |a, v| {
        a.filter.types.push(TypeChange::Add(v.text()?));
        Ok(())
    }),
    Flag::value("type-clear", "TYPE", "Forget what a type is", |a, v| {
        a.filter.types.push(TypeChange::Clear(v.text()?));
        Ok(())
    }),
    Flag {
        long: "unrestricted",
        short: Some('u'),
        negated: None,
        alias: None,
        help: "Once: --no-ignore; twice: --hidden too; three times: --binary too",
        effect: Effect::Repeated(unrestricted),
    },
];

fn binary(arguments: &mut Arguments, on: bool) {
    arguments.reading.binary = if on { Binary::Search } else { Binary::Leave };
}

fn hidden(arguments: &mut Arguments, on: bool) {
    arguments.filter.hidden = on;
}

fn no_ignore(arguments: &mut Arguments, on: bool) {
    let filter = &mut arguments.filter;
    filter.no_dot = on;
    filter.no_exclude = on;
    filter.no_global = on;
    filter.no_parent = on;
    filter.no_vcs = on;
}

fn unrestricted(arguments: &mut Arguments) -> Result<(), String> {
    arguments.filter.unrestricted += 1;
    match arguments.filter.unrestricted {
        1 => no_ignore(arguments, true),
        2 => hidden(arguments, true),
        3 => binary(arguments, true),
        _ => return Err("it can be given three times at most".to_owned()),
    }
    Ok(())
}
