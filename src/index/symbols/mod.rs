//! Symbols: the definitions in a codebase's files, found by name.
//!
//! They are the second stage of the index. An [`Update`] parses the texts of a [`super::Snapshot`] whose symbols aren't
//! known and puts them into symbol segments, where a text is known by its content and language alone: a renamed file, a
//! branch seen before and a second worktree cost no parsing. A [`SymbolView`] answers a [`SymbolQuery`] from the symbol
//! segments, from unsaved texts and from files that have just changed.

mod column;
mod extract;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod language;
mod latest;
mod qualified;
mod query;
mod rank;
mod recent;
mod segment;
mod store;
mod symbol;
mod text;
mod update;
mod verify;

pub use extract::{Extractor, LARGEST_PARSED, Unfinished};
pub use language::Language;
pub use latest::Dated;
pub use query::{Fit, MOST_GIVEN, SymbolAnswer, SymbolMatch, SymbolQuery, SymbolView};
pub use rank::Rank;
pub use segment::{SymbolSegmentId, TextKey};
pub use store::SymbolStore;
pub use symbol::{Column, Symbol, SymbolKind};
pub use update::{Shelf, Update, UpdateError};
