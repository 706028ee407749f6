//! Unix domain sockets.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;
use uuid::Uuid;

use super::PlaceError;
use crate::daemon::wire::PROTOCOL;

/// A connection, for those who wait for each answer.
pub type Stream = std::os::unix::net::UnixStream;
/// A connection, for those who do other things meanwhile.
pub type AsyncStream = tokio::net::UnixStream;

/// The longest path of a socket, bytes: Linux takes 107, others 103.
const LONGEST_PATH: usize = 100;
/// How often one tries to become the daemon while others come and go.
const ATTEMPTS: usize = 100;
/// How long a daemon may be too busy to have one more client connect.
const BUSY: Duration = Duration::from_secs(2);
/// How long a socket must go on refusing before it counts as dead: where the system refuses for one reason only, not at
/// all. See the module's notes.
const REFUSING: Duration = if cfg!(target_os = "linux") { Duration::ZERO } else { Duration::from_millis(500) };
/// Between two attempts to connect to a daemon that is too busy.
const PAUSE: Duration = Duration::from_millis(5);

/// The folder of this user's sockets.
#[derive(Clone, Debug)]
pub struct SocketFolder {
    folder: PathBuf,
}

/// What came of wanting to be the daemon.
pub enum Claim {
    /// This process is it.
    Ours(Listener),
    /// Another one is.
    Taken,
}

/// The socket of the daemon that this process is.
pub struct Listener {
    name: Name,
    socket: tokio::net::UnixListener,
}

/// The name by which clients find a socket.
#[derive(Clone)]
pub struct Name {
    place: SocketFolder,
    generation: u64,
    inode: u64,
}

/// What knocking came to.
enum Probe {
    Open(Stream),
    /// More want in than the daemon lets in.
    Busy,
    Dead,
    /// There is no such name any more.
    Gone,
}

impl SocketFolder {
    /// The folder of this user: `syncline` in `$XDG_RUNTIME_DIR`, or in the system's folder for such when that isn't
    /// set; elsewhere `/tmp/syncline-<user id>`. It is made if need be.
    ///
    /// # Errors
    /// When it can't be made, or isn't this user's alone.
    pub fn of_user() -> Result<SocketFolder, PlaceError> {
        let user = geteuid().as_raw();
        let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = PathBuf::from(format!("/run/user/{user}"));
        // Under `sudo`, the variable may still name another user's.
        let is_ours = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == user);
        let folder = match given.into_iter().chain([usual]).find(is_ours) {
            Some(runtime) => runtime.join("syncline"),
            None => PathBuf::from(format!("/tmp/syncline-{user}")),
        };
        SocketFolder::at(folder)
    }

    /// The place in this folder, which is made if need be.
    ///
    /// # Errors
    /// When it can't be made, or isn't this user's alone.
    pub fn at(folder: PathBuf) -> Result<SocketFolder, PlaceError> {
        let failed = |source| PlaceError::Folder { path: folder.clone(), source };
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        // Not following links: another user may have been here first.
        let found = fs::symlink_metadata(&folder).map_err(failed)?;
        let why = match () {
            () if !found.is_dir() => Some("it is no folder"),
            () if found.uid() != geteuid().as_raw() => Some("it belongs to another user"),
            () if found.mode() & 0o077 != 0 => {
                fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(failed)?;
                None
            }
            () => None,
        };
        // What others left while they could.
        match why.or_else(|| (!remove_foreign(&folder)).then_some("it holds what another user left there")) {
            Some(why) => Err(PlaceError::NotOurs { path: folder, why }),
            None => Ok(SocketFolder { folder }),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A connection to the daemon; `None` when there is none. Takes as long as a busy daemon may keep one waiting at
    /// most.
    ///
    /// # Errors
    /// When the folder can't be looked at, or the daemon takes nobody in.
    pub fn connect(&self) -> io::Result<Option<Stream>> {
        let deadline = Instant::now() + BUSY;
        loop {
            let Some(generation) = self.newest()? else { return Ok(None) };
            match self.probe(generation)? {
                Probe::Open(stream) => return Ok(Some(stream)),
                Probe::Dead => return Ok(None),
                Probe::Gone => {}
                Probe::Busy if Instant::now() > deadline => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the engine takes nobody in"));
                }
                Probe::Busy => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Becomes the daemon, unless there is one. See the module's notes. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When a socket can't be made there.
    pub fn claim(&self) -> Result<Claim, PlaceError> {
        let failed = |source| PlaceError::Folder { path: self.folder.clone(), source };
        for _ in 0..ATTEMPTS {
            let newest = self.newest().map_err(failed)?;
            if let Some(newest) = newest {
                match self.probe(newest).map_err(failed)? {
                    Probe::Open(_) | Probe::Busy => return Ok(Claim::Taken),
                    Probe::Gone => continue,
                    Probe::Dead => {}
                }
            }
            let generation = newest.map_or(1, |newest| newest + 1);
            let Some(socket) = self.publish(generation)? else { continue };
            let name = self.name(generation);
            if self.newest().map_err(failed)? != Some(generation) {
                // One that stepped back may have been removed already.
                let _ = fs::remove_file(&name);
                continue;
            }
            self.clear(generation);
            let inode = fs::symlink_metadata(&name).map_err(failed)?.ino();
            return Ok(Claim::Ours(Listener { name: Name { place: self.clone(), generation, inode }, socket }));
        }
        Err(PlaceError::Contended)
    }

    /// Listens as `generation`; `None` when another process does.
    fn publish(&self, generation: u64) -> Result<Option<tokio::net::UnixListener>, PlaceError> {
        let failed = |source| PlaceError::Folder { path: self.folder.clone(), source };
        let unique = Uuid::new_v4().simple().to_string();
        let own = self.folder.join(format!("v{PROTOCOL}-{}.new", &unique[..16]));
        if own.as_os_str().len() > LONGEST_PATH {
            return Err(PlaceError::TooLong { path: own });
        }
        let socket = tokio::net::UnixListener::bind(&own).map_err(failed)?;
        let linked = fs::set_permissions(&own, Permissions::from_mode(0o600))
            .and_then(|()| fs::hard_link(&own, self.name(generation)));
        // It may have been swept by a daemon that took it for a dead one's.
        let _ = fs::remove_file(&own);
        match linked {
            Ok(()) => Ok(Some(socket)),
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn name(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("v{PROTOCOL}-{generation}.sock"))
    }

    /// The highest generation.
    fn newest(&self) -> io::Result<Option<u64>> {
        let mut newest = None;
        for entry in fs::read_dir(&self.folder)? {
            newest = newest.max(generation(&entry?.file_name().to_string_lossy()));
        }
        Ok(newest)
    }

    /// Finds out who listens; where a refusal may pass, again until it doesn't.
    fn probe(&self, generation: u64) -> io::Result<Probe> {
        let since = Instant::now();
        loop {
            match self.probe_once(generation)? {
                Probe::Dead if since.elapsed() < REFUSING => std::thread::sleep(PAUSE),
                probe => return Ok(probe),
            }
        }
    }

    fn probe_once(&self, generation: u64) -> io::Result<Probe> {
        use rustix::io::Errno;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        let address = SocketAddrUnix::new(self.name(generation))?;
        match connect(&socket, &address) {
            Ok(()) => {
                let stream = Stream::from(socket);
                stream.set_nonblocking(false)?;
                let user = peer_user(&stream)?;
                if user == geteuid().as_raw() {
                    return Ok(Probe::Open(stream));
                }
                tracing::warn!(user, socket = %self.name(generation).display(), "another user listens there; passed over");
                Ok(Probe::Dead)
            }
            Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(Probe::Busy),
            Err(Errno::CONNREFUSED) => Ok(Probe::Dead),
            Err(Errno::NOENT) => Ok(Probe::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what came before `generation`, and what nobody listens to.
    fn clear(&self, generation: u64) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_before = self::generation(&name).is_some_and(|other| other < generation);
            // Of a process that was killed while it made one; young ones may be at it.
            let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|at| at.elapsed().ok());
            let is_left = name.ends_with(".new") && age.is_some_and(|age| age > Duration::from_secs(60));
            if is_before || is_left {
                // The next daemon tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Removes from `folder`, which is this user's alone by now, what others own; gives whether nothing of theirs is left.
fn remove_foreign(folder: &Path) -> bool {
    let own = geteuid().as_raw();
    // What can't be listed or looked at now shows when it is used.
    let Ok(entries) = fs::read_dir(folder) else { return true };
    entries.flatten().all(|entry| match entry.metadata() {
        Ok(found) if found.uid() != own => {
            tracing::warn!(user = found.uid(), path = %entry.path().display(), "another user's; removed");
            // Somebody else may have done it.
            fs::remove_file(entry.path()).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
        }
        _ => true,
    })
}

/// The user whose process listens at the other end of `stream`, or made that end.
#[cfg(target_os = "linux")]
fn peer_user(stream: &Stream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// The user whose process listens at the other end of `stream`, or made that end. Each system has a call of its own for
/// that, which Tokio knows; it takes a runtime, if only for a moment.
#[cfg(any(test, not(target_os = "linux")))]
fn peer_user_by_tokio(stream: &Stream) -> io::Result<u32> {
    let made = match tokio::runtime::Handle::try_current() {
        Ok(_) => None,
        Err(_) => Some(tokio::runtime::Builder::new_current_thread().enable_io().build()?),
    };
    let _within = made.as_ref().map(tokio::runtime::Runtime::enter);
    let copy = stream.try_clone()?;
    copy.set_nonblocking(true)?;
    let user = AsyncStream::from_std(copy)?.peer_cred()?.uid();
    // The copy has the same flags.
    stream.set_nonblocking(false)?;
    Ok(user)
}

/// The user whose process listens at the other end of `stream`, or made that end.
#[cfg(not(target_os = "linux"))]
fn peer_user(stream: &Stream) -> io::Result<u32> {
    peer_user_by_tokio(stream)
}

/// The generation that a socket's name tells, when it is of this protocol version.
fn generation(name: &str) -> Option<u64> {
    let (protocol, generation) = name.strip_prefix('v')?.strip_suffix(".sock")?.split_once('-')?;
    (protocol == PROTOCOL.to_string()).then(|| generation.parse().ok()).flatten()
}

impl Listener {
    /// The next client. One of another user is sent away.
    ///
    /// # Errors
    /// When no client can be taken in, for instance because too many files are open.
    pub async fn accept(&self) -> io::Result<AsyncStream> {
        loop {
            let (stream, _) = self.socket.accept().await?;
            // The folder keeps others out; this holds even where somebody has opened it.
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == geteuid().as_raw() => return Ok(stream),
                Ok(peer) => tracing::warn!(user = peer.uid(), "another user was sent away"),
                Err(error) => tracing::debug!(%error, "a client left before it was let in"),
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl Name {
    /// Whether this is still where clients come to. Blocks while it looks at the folder.
    pub fn is_current(&self) -> bool {
        // What can't be looked at, for want of file descriptors for instance, tells nothing.
        let tells_nothing = |error: io::Error| error.kind() != io::ErrorKind::NotFound;
        fs::symlink_metadata(self.path()).map_or_else(tells_nothing, |it| it.ino() == self.inode)
            && self.place.newest().map_or_else(tells_nothing, |newest| newest == Some(self.generation))
    }

    /// The socket's path.
    pub fn path(&self) -> PathBuf {
        self.place.name(self.generation)
    }
}

/// How long reading from and writing to `stream` may take, each time.
///
/// # Errors
/// When the system doesn't want to.
pub fn set_deadline(stream: &Stream, deadline: Option<Duration>) -> io::Result<()> {
    // None would be for ever, and nothing is refused.
    let deadline = deadline.map(|deadline| deadline.max(Duration::from_millis(1)));
    stream.set_read_timeout(deadline)?;
    stream.set_write_timeout(deadline)
}

/// How long reading from `stream` may take, each time; 0 for ever.
pub fn deadline(stream: &Stream) -> Duration {
    stream.read_timeout().ok().flatten().unwrap_or_default()
}

/// The process that listens at the other end of `stream`; `None` where the system doesn't tell.
#[cfg(target_os = "linux")]
pub fn peer(stream: &Stream) -> Option<u32> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}

/// The process that listens at the other end of `stream`; `None` where the system doesn't tell.
#[cfg(not(target_os = "linux"))]
pub fn peer(_: &Stream) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ask_both_ways() {
        let (near, _far) = Stream::pair().unwrap();
        assert_eq!(peer_user_by_tokio(&near).unwrap(), geteuid().as_raw());
        assert_eq!(peer_user(&near).unwrap(), geteuid().as_raw());
    }

    #[test]
    fn a_peer_s_user_is_told_without_a_runtime() {
        ask_both_ways();
    }

    #[tokio::test]
    async fn a_peer_s_user_is_told_within_a_runtime() {
        ask_both_ways();
    }
}
