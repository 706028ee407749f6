//! From the command line, and from ripgrep's configuration file, to what is asked for.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lexopt::Arg;

use super::super::arguments::{Arguments, Special};
use super::values::Value;
use super::{Effect, Named, by_long, by_short};

/// No configuration is longer, bytes.
const LONGEST_CONFIG: u64 = 1 << 20;

/// A command line that can't be used, and why.
#[derive(Debug)]
pub(crate) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// What a command line asks for, after what the configuration file does. `start` is what it begins with. What is wrong with
/// the configuration file is given to `say`.
pub(in super::super) fn parse(
    start: &Arguments,
    line: &[OsString],
    ours: bool,
    say: impl Fn(&Arguments, String),
) -> Result<Arguments, Unusable> {
    let given = taken_in(start.clone(), line, ours)?;
    if given.special.is_some() || given.no_config {
        return Ok(given);
    }
    let Some(path) = std::env::var_os("RIPGREP_CONFIG_PATH").filter(|path| !path.is_empty()) else { return Ok(given) };
    let mut configured = match configured(Path::new(&path)) {
        Ok(configured) => configured,
        Err(error) => {
            let path = Path::new(&path).display();
            say(&given, format!("can't read {path}, which RIPGREP_CONFIG_PATH names: {error}"));
            return Ok(given);
        }
    };
    if configured.is_empty() {
        return Ok(given);
    }
    configured.extend_from_slice(line);
    let in_file = |Unusable(why)| {
        Unusable(format!(
            "{why} (flags of {}, which RIPGREP_CONFIG_PATH names, come first)",
            Path::new(&path).display()
        ))
    };
    taken_in(start.clone(), &configured, ours).map_err(in_file)
}

fn taken_in(mut arguments: Arguments, line: &[OsString], ours: bool) -> Result<Arguments, Unusable> {
    let mut parser = lexopt::Parser::from_args(line);
    loop {
        let unusable = |error: lexopt::Error| Unusable(error.to_string());
        let (named, name) = match parser.next().map_err(unusable)? {
            None => return Ok(arguments),
            Some(Arg::Value(value)) => {
                arguments.positional.push(value);
                continue;
            }
            Some(Arg::Short('h')) => {
                arguments.special = Some(Special::ShortHelp);
                continue;
            }
            Some(Arg::Short('V')) => {
                arguments.special = Some(Special::ShortVersion);
                continue;
            }
            Some(Arg::Long("help")) => {
                arguments.special = Some(Special::LongHelp);
                continue;
            }
            Some(Arg::Long("version")) => {
                arguments.special = Some(Special::LongVersion);
                continue;
            }
            Some(Arg::Short(letter)) => (by_short(letter, ours), format!("-{letter}")),
            Some(Arg::Long(name)) => (by_long(name, ours), format!("--{name}")),
        };
        let Some(named) = named else {
            return Err(Unusable(format!("there is no flag {name}; --help lists those there are")));
        };
        used(named, &mut parser, &mut arguments).map_err(|why| Unusable(format!("{name}: {why}")))?;
    }
}

fn used(Named { flag, negated }: Named, parser: &mut lexopt::Parser, arguments: &mut Arguments) -> Result<(), String> {
    match (flag.effect, negated) {
        (Effect::Switch(set), negated) => set(arguments, !negated),
        (Effect::Repeated(set), _) => set(arguments)?,
        (Effect::Value(_, _, unset), true) => unset.into_iter().for_each(|unset| unset(arguments)),
        (Effect::Value(name, set, _), false) => {
            let value = parser.value().map_err(|_| format!("its {name} is missing"))?;
            set(arguments, Value(value))?;
        }
    }
    Ok(())
}

/// The flags of a configuration file: one on each line.
fn configured(path: &Path) -> io::Result<Vec<OsString>> {
    let mut text = Vec::new();
    let read = File::open(path)?.take(LONGEST_CONFIG + 1).read_to_end(&mut text)?;
    if read as u64 > LONGEST_CONFIG {
        return Err(io::Error::other(format!("it has more than {LONGEST_CONFIG} bytes")));
    }
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let flags = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    flags.map(|line| os_string(line).ok_or_else(|| io::Error::other("it isn't valid UTF-8"))).collect()
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt;
    Some(OsStr::from_bytes(bytes).to_owned())
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    std::str::from_utf8(bytes).ok().map(|text| OsStr::new(text).to_owned())
}
