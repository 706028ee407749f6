//! Paths inside a codebase.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::escape;

/// A path inside a codebase: relative to its root, its parts joined by `/`, never empty, without `.` and `..`.
///
/// It holds the bytes the file system gave, so names that aren't UTF-8 survive on Unix. The order is the order of a
/// sorted walk (`rg --sort path`): part by part, each part by its bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Spelling", into = "Spelling")]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// The path of `path` below `root`, or `None` when it isn't below it, is `root` itself, or can't be spelled.
    pub fn below(root: &Path, path: &Path) -> Option<RelPath> {
        RelPath::new(path.strip_prefix(root).ok()?)
    }

    /// `relative` as a path inside a codebase, or `None` when it is empty, absolute or leaves the root.
    pub fn new(relative: &Path) -> Option<RelPath> {
        let mut bytes = Vec::with_capacity(relative.as_os_str().len());
        for part in relative.components() {
            match part {
                std::path::Component::Normal(name) => {
                    if !bytes.is_empty() {
                        bytes.push(b'/');
                    }
                    bytes.extend_from_slice(name_bytes(name)?);
                }
                std::path::Component::CurDir => {}
                _ => return None,
            }
        }
        (!bytes.is_empty()).then(|| RelPath(bytes.into()))
    }

    /// A path from the bytes of one, as the index stores them. `None` for anything that [`RelPath::new`] refuses.
    pub fn from_bytes(bytes: &[u8]) -> Option<RelPath> {
        let whole = !bytes.is_empty()
            && bytes.split(|&b| b == b'/').all(|part| !part.is_empty() && part != b"." && part != b"..")
            && !bytes.contains(&0)
            && path_from_bytes(bytes).is_some();
        whole.then(|| RelPath(bytes.into()))
    }

    /// The bytes, parts joined by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Where this is on disk, for a codebase at `root`.
    pub fn to_path(&self, root: &Path) -> PathBuf {
        match path_from_bytes(&self.0) {
            Some(path) => root.join(path),
            None => root.join(String::from_utf8_lossy(&self.0).as_ref()),
        }
    }

    /// The folder that holds this, or `None` when that is the root.
    pub fn parent(&self) -> Option<RelPath> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        Some(RelPath(self.0[..slash].into()))
    }

    /// The last part.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or(&self.0)
    }

    /// Whether this is below the folder `dir`.
    pub fn is_below(&self, dir: &RelPath) -> bool {
        self.0.len() > dir.0.len() && self.0[dir.0.len()] == b'/' && self.0.starts_with(&dir.0)
    }
}

/// The order of two paths given as bytes; see [`RelPath`].
pub fn cmp_bytes(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    // `/` ends a part, and the shorter part comes first: it sorts below every byte a name can hold.
    let rank = |bytes: &[u8]| bytes.get(common).map_or(0, |&b| if b == b'/' { 1 } else { u16::from(b) + 2 });
    rank(a).cmp(&rank(b))
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        cmp_bytes(&self.0, &other.0)
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from anybody's repository: nothing in them may steer a terminal.
        f.write_str(&escape(&String::from_utf8_lossy(&self.0)))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// How a path is written in JSON: as text where it is text, as bytes elsewhere.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelling {
    Text(String),
    Bytes(Vec<u8>),
}

impl TryFrom<Spelling> for RelPath {
    type Error = &'static str;

    fn try_from(spelling: Spelling) -> Result<Self, Self::Error> {
        let bytes = match spelling {
            Spelling::Text(text) => text.into_bytes(),
            Spelling::Bytes(bytes) => bytes,
        };
        RelPath::from_bytes(&bytes).ok_or("not a path inside a codebase")
    }
}

impl From<RelPath> for Spelling {
    fn from(path: RelPath) -> Self {
        match String::from_utf8(path.0.into_vec()) {
            Ok(text) => Spelling::Text(text),
            Err(not_text) => Spelling::Bytes(not_text.into_bytes()),
        }
    }
}

#[cfg(unix)]
fn name_bytes(name: &OsStr) -> Option<&[u8]> {
    Some(std::os::unix::ffi::OsStrExt::as_bytes(name))
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> Option<&Path> {
    Some(Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn name_bytes(name: &OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> Option<&Path> {
    std::str::from_utf8(bytes).ok().map(Path::new)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn rel(path: &str) -> RelPath {
        RelPath::new(Path::new(path)).unwrap_or_else(|| panic!("{path} is a path inside a codebase"))
    }

    #[test]
    fn order_is_that_of_a_sorted_walk() {
        let sorted = ["a", "a/b", "a/b/c", "a/b-c", "a-b", "a.c", "a0", "b"].map(rel);
        let mut shuffled = sorted.clone();
        shuffled.reverse();
        shuffled.sort();
        assert_eq!(sorted, shuffled);
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for bad in ["", ".", "..", "a/../../b", "/etc/passwd"] {
            assert!(RelPath::new(Path::new(bad)).is_none(), "{bad}");
        }
        for bad in [&b""[..], b"a//b", b"../a", b"a/..", b"a\0b"] {
            assert!(RelPath::from_bytes(bad).is_none(), "{bad:?}");
        }
        assert_eq!(rel("./a/./b"), rel("a/b"));
    }

    #[test]
    fn shown_names_cannot_steer_a_terminal() {
        assert_eq!(rel("a\u{1b}[31m\nb").to_string(), "a\\u{1b}[31m\\nb");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_text_survive_json() {
        let path = RelPath::from_bytes(b"d/\xff\xfe.c").expect("bytes are a name on Unix");
        let json = serde_json::to_string(&path).expect("a path is JSON");
        assert_eq!(serde_json::from_str::<RelPath>(&json).expect("and back"), path);
    }
}
