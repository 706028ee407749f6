//! One engine for all windows of a user.
//!
//! The daemon is this program, running apart from whoever started it. It has one [`Engine`](crate::workspace::Engine)
//! for all its clients, so that a codebase is watched, indexed and held in memory once, whoever asks. Clients find it by
//! its [`socket`], or start it ([`start`]). What is said there first, and by which rules a client and a daemon of
//! different versions get along, is in [`wire`]. Behind that, a connection is either a language server's session, the
//! same that an editor would have on standard input and output, or a row of [`questions`](wire::Question).
//!
//! - `listener`: the daemon itself. Takes connections, and knows who is there.
//! - `lobby`: connections that haven't said yet who they are.
//! - `life`: when it ends.
//! - `questions`: answers them.
//! - `forwarder`: what `syncline lsp` is: it carries an editor's session to the daemon, and over its deaths.
//! - `client`: the connection of the command line.
//! - `log`: a file that doesn't grow for ever.

mod client;
mod forwarder;
mod life;
mod listener;
mod lobby;
mod log;
mod questions;
pub mod socket;
pub mod start;
pub mod wire;

pub use client::{AskError, Client, HangUp, Notification, Reach, ReachError, Session, Silence};
#[cfg(any(test, fuzzing))]
pub(crate) use forwarder::fuzz;
pub use forwarder::{ForwardOptions, forward};
pub use listener::{DaemonOptions, Ran, run};
pub use log::{Rotating, log_file, log_says_why};
