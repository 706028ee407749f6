//! The folder of an index: how it is made, and what in it is ours.
//!
//! It is marked by a `CACHEDIR.TAG` with a text of our own, by which backup tools pass over it, and by which it is told
//! from folders that only look like it. Indexes of before have none; a manifest that can be read shows that they are ours.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::manifest::{Generation, Manifest};
use crate::core::files::open_regular;
use crate::core::private;

/// The file that marks the folder of an index.
const TAG: &str = "CACHEDIR.TAG";
/// Its text: the signature that all such files begin with, and what tells ours from others.
const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is made by Syncline, which makes it anew when it is removed.\n\
    # About cache directory tags see https://bford.info/cachedir/\n";

/// Makes the folder of an index, should it not be there, for this user only, and marks it. A link in its place is
/// replaced, never followed: what it leads to isn't ours.
///
/// # Errors
/// When it can't be made. One that can't be marked will do.
pub fn make(folder: &Path) -> io::Result<()> {
    if !is_real(folder) && fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_symlink()) {
        fs::remove_file(folder)?;
        tracing::warn!(
            folder = %folder.display(),
            "the folder of an index was a link, which isn't followed; a folder takes its place"
        );
    }
    private::create_folder(folder)?;
    narrow(folder);
    if let Err(error) = mark(folder) {
        tracing::debug!(folder = %folder.display(), %error, "the folder of an index isn't marked");
    }
    Ok(())
}

/// Makes a folder of ours in the folder of an index, which is made as well if need be.
///
/// # Errors
/// When one of them can't be made.
pub fn make_below(folder: &Path) -> io::Result<()> {
    folder.parent().map_or(Ok(()), make)?;
    private::create_folder(folder)
}

/// Marks a folder of ours as a cache, unless it is marked already, by whomever.
pub fn mark(folder: &Path) -> io::Result<()> {
    let tag = folder.join(TAG);
    let written = match private::create_new(&tag) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        created => created?.write_all(TAG_TEXT.as_bytes()),
    };
    if written.is_err() {
        // On a full disk it is there, without its text, and would never get one.
        let _ = fs::remove_file(&tag);
    }
    written
}

/// Whether a folder, not a link to one, is at this path.
pub fn is_real(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether a folder is that of an index.
pub fn is_index(folder: &Path) -> bool {
    is_real(folder) && (is_marked(folder) || has_manifest(folder))
}

fn is_marked(folder: &Path) -> bool {
    use io::Read;
    let Ok(Some(tag)) = open_regular(&folder.join(TAG)) else { return false };
    let mut text = Vec::new();
    let read = tag.take(TAG_TEXT.len() as u64 + 1).read_to_end(&mut text);
    read.is_ok() && text == TAG_TEXT.as_bytes()
}

fn has_manifest(folder: &Path) -> bool {
    Manifest::load(folder).is_ok_and(|found| found.manifest.generation != Generation::default())
}

/// What in the folder of an index is ours, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// The file that marks it.
    Mark,
    /// A manifest.
    Manifest(Generation),
    /// A segment.
    Segment,
    /// Symbols.
    SymbolSegment,
    /// The state of an engine.
    Engine,
    /// What is or was being written.
    Unfinished,
    /// A folder for cookies.
    Cookies,
}

impl Ours {
    /// What a name in the folder of an index means; `None` when nothing of ours has such a name.
    pub fn of(name: &str) -> Option<Ours> {
        if name == TAG {
            return Some(Ours::Mark);
        }
        if let Some(number) = name.strip_prefix("manifest-") {
            let generation = u64::from_str_radix(number, 16).ok().filter(|_| is_hex(number, 16))?;
            return Some(Ours::Manifest(Generation(generation)));
        }
        if let Some((process, id)) = name.strip_prefix("cookies-").and_then(|rest| rest.split_once('-')) {
            let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
            return (is_number && is_hex(id, 32)).then_some(Ours::Cookies);
        }
        let (id, kind) = name.split_once('.')?;
        let engine = id.strip_prefix("engine-");
        match kind {
            _ if !is_hex(engine.unwrap_or(id), 32) => None,
            "unfinished" => Some(Ours::Unfinished),
            "json" => engine.map(|_| Ours::Engine),
            "segment" => engine.is_none().then_some(Ours::Segment),
            "symbols" => engine.is_none().then_some(Ours::SymbolSegment),
            _ => None,
        }
    }
}

/// Whether a text is so many digits as we write them.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the system refused for a reason that passes, so that nothing follows for the file.
pub fn is_passing(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(error);
        matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN))
    }
    #[cfg(not(unix))]
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock)
}

/// Takes from a folder what others than its user may do. Where modes can't be changed they stay.
#[cfg(unix)]
fn narrow(folder: &Path) {
    use rustix::fs::{Mode, OFlags, fchmod, fstat, open};
    let narrowed = || -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(folder, flags, Mode::empty())?;
        match Mode::from_raw_mode(fstat(&folder)?.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            true => fchmod(&folder, Mode::RWXU),
            false => Ok(()),
        }
    };
    if let Err(error) = narrowed() {
        tracing::debug!(folder = %folder.display(), %error, "the folder of an index keeps its mode");
    }
}

#[cfg(not(unix))]
fn narrow(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_we_write_them_are_ours() {
        let id = "0123456789abcdef0123456789abcdef";
        let ours = [
            ("CACHEDIR.TAG".to_owned(), Ours::Mark),
            ("manifest-00000000000000ff".to_owned(), Ours::Manifest(Generation(255))),
            (format!("{id}.segment"), Ours::Segment),
            (format!("{id}.symbols"), Ours::SymbolSegment),
            (format!("{id}.unfinished"), Ours::Unfinished),
            (format!("engine-{id}.json"), Ours::Engine),
            (format!("engine-{id}.unfinished"), Ours::Unfinished),
            (format!("cookies-17-{id}"), Ours::Cookies),
        ];
        for (name, kind) in &ours {
            assert_eq!(Ours::of(name), Some(*kind), "{name}");
            for foreign in
                [format!("{name}.bak"), name.to_ascii_uppercase() + "~", format!("x{name}"), name[1..].into()]
            {
                assert_eq!(Ours::of(&foreign), None, "{foreign}");
            }
        }
        let numbers = ["manifest-1", "manifest-+0000000000000ff", "manifest-00000000000000FF", "manifest-"];
        let others = ["notes.segment", "photos.bin", "", ".", "engine-.json", "cookies-", "cookies--"];
        for foreign in numbers.into_iter().chain(others) {
            assert_eq!(Ours::of(foreign), None, "{foreign}");
        }
        assert_eq!(Ours::of(&format!("engine-{id}.segment")), None);
        assert_eq!(Ours::of(&format!("{id}.json")), None);
    }
}
