//! The ground every room stands on: the words of the project as types, the cache, the settings.

pub mod batch;
pub mod cache;
pub mod codebase;
pub mod error;
mod escape;
pub mod files;
pub mod path;
pub mod private;
pub mod process;
pub mod settings;
pub mod stat;

pub use batch::{BatchId, Dirty, Owner, SyncBatch, UnixMillis};
pub use codebase::{Codebase, CodebaseId, CodebaseRoot};
pub(crate) use escape::escape;
pub use path::RelPath;
