//! `--files` and `--type-list`, which search for nothing.

use std::io::{self, Write};

use super::arguments::Arguments;
use super::haystacks::{Listing, Narrowing};
use super::indexes::Indexes;
use super::patterns::Asked;
use super::walk::types as all_types;
use super::warm::Warm;
use super::{Outcome, Search, SearchError};
use crate::index::Plan;

impl Search<'_> {
    /// Prints the names of the files that would be searched.
    ///
    /// # Errors
    /// When they can't be written.
    pub(super) fn files(&self, asked: &Asked) -> Result<Outcome, SearchError> {
        let mut warm = Warm::new(self.common, self.settings, self.here, (None, false), self.walk.is_plain());
        let mut indexes = Indexes::new(None);
        let mut narrowing = Narrowing { plan: &Plan::All, by_size: false, indexes: &mut indexes, warm: &mut warm };
        let mut listing = Listing::new(self.walk, &asked.paths, self.voice, &mut narrowing, self.threads());
        self.arguments.sort.into_iter().for_each(|sort| listing.sort(sort));
        let (files, asked, walked) = (listing.haystacks.len(), listing.is_partial, listing.walked);
        tracing::debug!(files, asked, walked, "what there is to list");
        let outcome = Outcome { found: !listing.haystacks.is_empty(), failed: listing.failed, ..Outcome::default() };
        if self.format.is_quiet() {
            return Ok(outcome);
        }
        let mut stdout = self.format.stdout();
        let mut names = self.format.names(&mut *stdout);
        let written = listing.haystacks.iter().try_for_each(|haystack| names.write(&haystack.path));
        match written.and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(SearchError::Output(error)),
            _ => Ok(outcome),
        }
    }
}

/// Prints the file types there are, and their globs; gives the exit code.
///
/// # Errors
/// When one isn't a type, or they can't be written.
pub(super) fn types(arguments: &Arguments) -> Result<u8, SearchError> {
    let types = all_types(&arguments.filter.types)?;
    let mut stdout = io::stdout().lock();
    for definition in types.definitions() {
        writeln!(stdout, "{}: {}", definition.name(), definition.globs().join(", ")).map_err(SearchError::Output)?;
    }
    Ok(u8::from(types.definitions().is_empty()))
}
