//! Syncline keeps a codebase's search index fresh in the background, on every save.
//!
//! The way of the data: [`watch`] sees what changes, [`workspace`] decides what to do about it, [`sync`] enqueues
//! batches in a queue that lives in [`core`]'s cache and syncs them at its head, [`index`] holds what files contain and
//! finds it, and [`lsp`], [`mcp`] and [`cli`] talk to editors, assistants and people, by way of the [`daemon`], which all of
//! a user's share. A module uses only those that come after it here: `cli`, `mcp`, `daemon`, `lsp`, `workspace`, `sync`, `watch`, `index`,
//! `core`.

pub mod cli;
pub mod core;
pub mod daemon;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod index;
pub mod lsp;
pub mod mcp;
pub mod sync;
pub mod watch;
pub mod workspace;
