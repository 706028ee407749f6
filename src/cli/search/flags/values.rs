//! What values of flags mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

/// The value of a flag.
pub(super) struct Value(pub(super) OsString);

impl Value {
    /// It is text.
    pub(super) fn text(self) -> Result<String, String> {
        self.0.into_string().map_err(|_| "its value isn't valid UTF-8".to_owned())
    }

    /// It is a number.
    pub(super) fn number<N: FromStr>(self) -> Result<N, String> {
        let text = self.text()?;
        text.parse().map_err(|_| format!("{text:?} isn't a number, or too large"))
    }

    /// It is a number of bytes, with K, M or G for more.
    pub(super) fn size(self) -> Result<u64, String> {
        let text = self.text()?;
        grep_cli::parse_human_readable_size(&text)
            .map_err(|_| format!("{text:?} isn't a size; write a number, followed by K, M or G for larger ones"))
    }

    /// It is a size that fits in memory.
    pub(super) fn memory(self) -> Result<usize, String> {
        usize::try_from(self.size()?).map_err(|_| "that is more than fits in memory".to_owned())
    }

    /// It is text, in which `\n`, `\x00` and the like stand for bytes.
    pub(super) fn bytes(self) -> Result<Vec<u8>, String> {
        Ok(grep_cli::unescape(&self.text()?))
    }

    /// It is a path.
    pub(super) fn path(self) -> PathBuf {
        PathBuf::from(self.0)
    }

    /// It is a path, or nothing when empty.
    pub(super) fn program(self) -> Option<PathBuf> {
        Some(self.path()).filter(|path| !path.as_os_str().is_empty())
    }

    /// It is one of these.
    pub(super) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T, String> {
        let text = self.text()?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            format!("{text:?} isn't one of its values: {}", names.join(", "))
        })
    }
}
