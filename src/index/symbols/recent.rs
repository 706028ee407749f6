//! Symbols of texts that are in no pack yet: of unsaved documents, and of files that have just changed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Symbol;
use super::pack::TextKey;

/// Texts that are kept; the least recently used goes first.
const KEPT: usize = 128;

/// Symbols of the texts that were parsed last.
#[derive(Default)]
pub struct Recent {
    texts: Mutex<VecDeque<(TextKey, Arc<Vec<Symbol>>)>>,
}

impl Recent {
    /// A text's symbols, if they are known.
    pub fn get(&self, key: TextKey) -> Option<Arc<Vec<Symbol>>> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let at = texts.iter().position(|(known, _)| *known == key)?;
        let found = texts.remove(at)?;
        let symbols = found.1.clone();
        texts.push_front(found);
        Some(symbols)
    }

    /// Keeps a text's symbols.
    pub fn put(&self, key: TextKey, symbols: Arc<Vec<Symbol>>) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.push_front((key, symbols));
        texts.truncate(KEPT);
    }

    pub(super) fn clear(&self) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
