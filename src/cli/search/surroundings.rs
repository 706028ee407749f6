//! What ripgrep takes from its surroundings, beside its arguments.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What stands for standard input among the paths.
const STDIN: &str = "-";
/// No configuration is longer, bytes.
const LONGEST_CONFIG: u64 = 1 << 20;

/// What is searched when no path was given, if that isn't the current folder: by ripgrep's guess, standard input that
/// something can be read from, so that pipes work.
pub(super) fn guessed_path() -> Option<PathBuf> {
    stdin_is_readable().then(|| PathBuf::from(STDIN))
}

#[cfg(unix)]
fn stdin_is_readable() -> bool {
    use rustix::fs::FileType;
    let kind = rustix::fs::fstat(std::io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::RegularFile | FileType::Fifo | FileType::Socket))
}

/// Not known here: nothing is guessed.
#[cfg(not(unix))]
fn stdin_is_readable() -> bool {
    false
}

/// What to say of ripgrep's configuration file, when there is one with flags in it: they would change its answer, and don't
/// change ours.
pub(super) fn unread_configuration(variable: Option<OsString>) -> Option<String> {
    let path = variable.filter(|path| !path.is_empty())?;
    let path = Path::new(&path);
    let mut text = Vec::new();
    // A pipe would wait for whoever writes to it.
    let file = path.is_file().then(|| File::open(path).ok()).flatten()?;
    file.take(LONGEST_CONFIG).read_to_end(&mut text).ok()?;
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.any(|line| !line.is_empty() && !line.starts_with(b"#")).then(|| {
        let path = path.display();
        format!("RIPGREP_CONFIG_PATH isn't read here, so {path} has no effect; give its flags on the command line")
    })
}
