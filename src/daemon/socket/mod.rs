//! Where the daemon is found, and how there is only one.
//!
//! # One daemon, without locks
//!
//! Daemons of a user live in one folder, which only that user can enter. Each has a socket there named
//! `v<protocol>-<generation>.sock`; the one with the highest generation is *the* daemon (of that protocol version).
//! A socket that nobody listens to any more stays in the folder until a later one takes its place. To become the
//! daemon, a process
//!
//! 1. looks up the highest generation *g* and connects to it. If somebody answers, it isn't needed. If it is refused, *g*
//!    is dead;
//! 2. binds a socket under a name of its own, listens, and then links it to the name of generation *g + 1*, which the
//!    system lets only one process do;
//! 3. looks up the highest generation again, and steps back if that is higher than its own;
//! 4. is the daemon. It removes the sockets of lower generations.
//!
//! Why two of them can't both be the daemon:
//!
//! - A refused socket is dead for ever: on Linux, which refuses for one reason only, that nobody listens. (A queue that
//!   is full is another error there, `EAGAIN`.) The names of generations only ever refer to sockets that are listened to
//!   already (step 2 binds elsewhere), and a socket file can't be listened to a second time.
//! - A socket that another user's process listens to is as good as a dead one: no daemon of this user ever listens
//!   there. That is told by the system (the peer's credentials) before a byte is said, so nothing that a client brings
//!   along, a Redis' password for instance, gets to anybody else. Root is no exception in either direction: an engine
//!   of root's has other files and another home, and `sudo syncline` has a daemon of its own.
//! - The highest name is never removed: a daemon that ends leaves its own, and step 4 removes lower ones only. So the
//!   highest generation only grows, and whoever lists the folder sees a name at least as high as was the highest before.
//! - Let D be the daemon as generation *n*, alive. Another one that gets to step 4 has linked some *m*. If *m < n*, it
//!   did so after looking at an older state of the folder, in which case the name *m* was free again by D's step 4; then
//!   step 3 shows it the name *n*, and it steps back. *m = n* is taken. If *m > n*, take the first such: it has tried
//!   *m - 1 = n*, and would have been answered.
//! - For the same reason nobody removes the name of a live daemon: that takes a daemon of a higher generation.
//!
//! BSD and macOS refuse also when the queue of a live daemon is full. There a refusal must last for half a second before
//! it counts, in which a daemon that isn't stopped takes somebody in. That is no proof: one that was stopped meanwhile
//! may get a second one beside it. Which harms no index, since commits can't overwrite each other; and the first, once it
//! goes on, notices as described next.
//!
//! What could undo this comes from outside, such as somebody emptying the folder. A daemon therefore looks now and then
//! whether its name still stands and is the highest, and if not, takes no more clients and leaves with its last one.
//!
//! Ending is the same as dying for those who come later: the listening socket closes, connecting is refused, and the next
//! generation begins. Clients that were waiting to be let in see their connection close before a word was said, and
//! connect anew.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(not(unix), path = "elsewhere.rs")]
mod platform;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use platform::{AsyncStream, Claim, Listener, Name, SocketFolder, Stream, deadline, peer, set_deadline};

/// Why there is no place for a daemon's socket.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The folder can't be made or looked at.
    #[error("can't use the folder {} for the engine's socket: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could read or write there.
    #[error(
        "the folder {} for the engine's socket isn't this user's alone ({why}); remove it, or set XDG_RUNTIME_DIR to a \
         folder of yours",
        path.display()
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Sockets have short names.
    #[error("the path {} is too long for a socket; set XDG_RUNTIME_DIR to a folder with a short path", path.display())]
    TooLong {
        /// The socket's path.
        path: PathBuf,
    },
    /// Many others tried at the same time, again and again.
    #[error("others keep starting and ending engines; try again")]
    Contended,
    /// Not on this platform yet.
    #[error("there is no shared engine on this platform yet")]
    Unsupported,
}
