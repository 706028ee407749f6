//! What is wrong with a setting, where, and how to fix it.

use std::fmt;
use std::path::PathBuf;

use crate::core::escape;

/// Something in the settings that wasn't taken as it was written. All the other settings hold.
///
/// Shown, it is one sentence: where, what, and how to fix it. It never holds a secret, and nothing that steers a
/// terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What is wrong, and how to fix it.
    pub message: String,
}

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The user's, the one given with `--config`, or a repository's `.syncline.toml`.
        path: PathBuf,
        /// The line, from 1; none when it is about the whole file.
        line: Option<usize>,
    },
    /// In the editor's settings.
    Editor,
    /// In a `SYNCLINE_*` variable.
    Environment,
    /// In a flag.
    CommandLine,
}

impl Place {
    /// The line, from 1, where there is one.
    pub fn line(&self) -> Option<usize> {
        if let Place::File { line, .. } = self { *line } else { None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line } => {
                f.write_str(&escape(&path.to_string_lossy()))?;
                line.map_or(Ok(()), |line| write!(f, ":{line}"))
            }
            Place::Editor => f.write_str("editor settings"),
            Place::Environment => f.write_str("environment"),
            Place::CommandLine => f.write_str("command line"),
        }
    }
}
