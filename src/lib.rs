//! Syncline keeps a codebase's search index fresh in the background, on every save.

pub mod core;
pub mod index;
pub mod lsp;
pub mod sync;
pub mod watch;
pub mod workspace;
