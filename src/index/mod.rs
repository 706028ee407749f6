//! The index: which files hold which text, on disk, and the answers it gives.
//!
//! A [`Snapshot`] is the index at one commit, made of immutable segments; an [`Overlay`] holds what is newer on disk; a
//! search looks at a [`View`] of both. [`Update`] turns dirty files into segments and commits them to the [`Index`].
//! Nothing here knows of editors or file events; of queues only the fencing tokens.

mod checksum;
mod docs;
mod file;
mod folder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gram;
mod in_order;
mod manifest;
mod overlay;
mod plan;
mod query;
mod returns;
mod search;
mod segment;
mod snapshot;
mod store;
pub mod symbols;
mod text;
mod update;
mod varint;

pub use crate::core::stat::FileStat;
pub use docs::{ContentHash, Doc};
pub use folder::{Ours, is_index, make_below};
pub use in_order::{Parts, WhileWanted, in_order};
pub use manifest::Generation;
pub use overlay::{Dirt, Dirtied, Overlay, Verdict};
pub use plan::Plan;
pub use query::{Boundary, Case, Pattern, PatternError, Query};
pub use search::{
    Candidate, Candidates, FileMatches, Limits, MatchedLine, SearchEnd, Spared, Unsaved, View, WholeFile, find_matches,
    wears_out_a_searcher,
};
pub use snapshot::{Difference, Snapshot};
pub use store::{Change, Index, IndexError};
pub use text::has_mark;
pub use update::{Update, Updated};
