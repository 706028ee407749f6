//! Symbols of texts that are in no symbol segment yet: of unsaved documents, and of files that have just changed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Symbol;
use super::segment::TextKey;
use parking_lot::Mutex;

/// Texts that are kept, and symbols of all of them; the least recently used goes first.
const KEPT: usize = 128;
const MOST_KEPT: usize = 1 << 18;

/// A text's symbols; none when it was given up.
pub type Parsed = Option<Arc<Vec<Symbol>>>;

/// Symbols of the texts that were parsed last.
#[derive(Default)]
pub struct Recent {
    texts: Mutex<VecDeque<(TextKey, Parsed)>>,
}

impl Recent {
    /// A text's symbols, if they are known.
    pub fn get(&self, key: TextKey) -> Option<Parsed> {
        let mut texts = self.texts.lock();
        let at = texts.iter().position(|(known, _)| *known == key)?;
        let found = texts.remove(at)?;
        let symbols = found.1.clone();
        texts.push_front(found);
        Some(symbols)
    }

    /// Keeps a text's symbols.
    pub fn put(&self, key: TextKey, symbols: Parsed) {
        let mut texts = self.texts.lock();
        texts.push_front((key, symbols));
        texts.truncate(KEPT);
        let mut symbols = 0;
        let fitting = texts.iter().take_while(|(_, parsed)| {
            symbols += parsed.as_ref().map_or(0, |parsed| parsed.len());
            symbols <= MOST_KEPT
        });
        // What was just put in stays, whatever it is.
        let fitting = fitting.count().max(1);
        texts.truncate(fitting);
    }

    pub(super) fn clear(&self) {
        self.texts.lock().clear();
    }
}
