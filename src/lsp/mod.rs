//! The language server: the only place that knows LSP.
//!
//! [`serve`] speaks it over a pair of streams. What comes in passes the inbox, is turned into events by the handlers, and
//! goes to the one task that owns a client's session. What takes its time runs in tasks of its own. What goes out passes
//! the outbox, in order. All messages of Syncline's own are in [`ext`].

mod ask;
mod client;
mod codebases;
mod documents;
mod edits;
pub mod ext;
mod frames;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod globs;
mod handlers;
mod inbox;
mod life;
#[cfg(any(test, fuzzing))]
mod model;
mod outbox;
mod params;
mod positions;
mod progress;
mod publisher;
mod roots;
mod search;
mod server;
mod session;
mod settings;
mod symbols;

pub(crate) use documents::Documents;
pub(crate) use edits::LOST_TEXT;
pub use frames::Room;
pub(crate) use frames::{Frame, FrameReader, LONGEST_MESSAGE, frame};
pub(crate) use inbox::receive;
pub use life::Ended;
pub(crate) use life::Life;
pub(crate) use outbox::Outbox;
pub(crate) use positions::Encoding;
pub(crate) use server::{GOODBYE, end_on_signals};
pub use server::{ServeOptions, SetLogLevel, run_stdio, serve};
