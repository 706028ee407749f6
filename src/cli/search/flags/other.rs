//! What is done with files, what is said beside it, and all else.

use super::super::arguments::{Mode, Page, Special};
use super::Flag;

/// Pages by their names.
const PAGES: &[(&str, Page)] = &[
    ("man", Page::Man),
    ("complete-bash", Page::Bash),
    ("complete-zsh", Page::Zsh),
    ("complete-fish", Page::Fish),
    ("complete-powershell", Page::PowerShell),
];

/// ripgrep's output modes.
pub(super) static MODES: &[Flag] = &[
    Flag::switch("count", "Print how many lines match in each file", |a, _| a.mode = Mode::Counts).short('c'),
    Flag::switch("count-matches", "Print how many matches each file has", |a, _| a.mode = Mode::MatchCounts),
    Flag::switch("files-with-matches", "Print the names of files with matches", |a, _| a.mode = Mode::Names).short('l'),
    Flag::switch("files-without-match", "Print the names of files without matches", |a, _| {
        a.mode = Mode::NamesWithout;
    }),
    Flag::switch("json", "Print JSON lines, for programs", |a, on| match on {
        true => a.mode = Mode::Json,
        false if a.mode == Mode::Json => a.mode = Mode::Lines,
        false => {}
    })
    .not("no-json"),
];

/// ripgrep's logging options.
pub(super) static LOGGING: &[Flag] = &[
    Flag::switch("debug", "Tell what was planned, asked and walked", |a, _| a.says.debug = true),
    Flag::switch("no-ignore-messages", "Don't tell what is wrong in ignore files", |a, on| {
        a.says.no_ignore_messages = on;
    })
    .not("ignore-messages"),
    Flag::switch("no-messages", "Don't tell which files can't be read", |a, on| a.says.no_messages = on)
        .not("messages"),
    Flag::switch("stats", "Print how much was searched and found", |a, on| a.look.stats = on).not("no-stats"),
    Flag::switch("trace", "Tell as much as --debug does", |a, _| a.says.debug = true),
];

/// ripgrep's other flags.
pub(super) static OTHERS: &[Flag] = &[
    Flag::switch("files", "Print the names of the files that would be searched", |a, _| a.mode = Mode::Files),
    Flag::value("generate", "KIND", "Print man, or complete-bash, -zsh, -fish or -powershell", |a, v| {
        let page = v.choice(PAGES)?;
        a.mode = Mode::Generate(page);
        Ok(())
    }),
    Flag::switch("no-config", "Don't read the file that RIPGREP_CONFIG_PATH names", |a, _| a.no_config = true),
    Flag::switch("pcre2-version", "Print the version of PCRE2", |a, _| a.special = Some(Special::Pcre2Version)),
    Flag::switch("type-list", "Print the file types there are", |a, _| a.mode = Mode::Types),
    Flag::switch("version", "Print the version", |_, _| {}).short('V'),
];

/// Flags of all of our commands.
pub(super) static OURS: &[Flag] = &[
    Flag::value("config", "FILE", "Read the user's settings from this file", |a, v| {
        a.own.config = Some(v.path());
        Ok(())
    }),
    Flag::value("log-level", "LEVEL", "What to log: error, warn, info, debug, trace, or a filter", |a, v| {
        a.own.log_level = Some(v.text()?);
        Ok(())
    }),
    Flag::switch("standalone", "Ask nobody: use the index on disk", |a, _| a.own.standalone = true),
];
