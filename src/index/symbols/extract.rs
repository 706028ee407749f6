//! The definitions in a text.

mod bash;
mod blank;
mod c;
mod csharp;
mod finder;
mod go;
mod java;
mod javascript;
mod lua;
mod macros;
mod markdown;
mod php;
mod python;
mod ruby;
mod rules;
mod rust;

use std::borrow::Cow;
use std::ops::ControlFlow;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tree_sitter::{ParseOptions, Parser, Tree};

use super::language::{Concrete, Language};
use super::symbol::Symbol;
use finder::Finder;
use rules::Prepared;

/// Larger texts aren't parsed, bytes: a tree takes up to sixty times the memory of its text, and half a text would have
/// symbols that it hasn't. Those of people are far below that.
pub const LARGEST_PARSED: u64 = 4 << 20;
/// Of texts that are larger than this, bytes, one is parsed at a time.
const LARGE: usize = 512 << 10;
/// Whose turn that is.
static PARSING_LARGE: Mutex<()> = Mutex::new(());
/// A text that takes longer is given up: grammars are slow on some that aren't of their language at all. The largest takes
/// about a second.
const LONGEST: Duration = Duration::from_secs(4);
/// A text that defines more is given up.
pub(super) const MOST_SYMBOLS: usize = 1 << 17;
/// Longest that the parser works between two looks at the clock.
const STEP: Duration = Duration::from_millis(10);
/// Longer names are cut, bytes.
pub(super) const LONGEST_NAME: usize = 200;
/// Of the names of all that a symbol's container is in, the inmost are kept, bytes.
pub(super) const LONGEST_OUTER: usize = 2 * LONGEST_NAME;
/// Finds definitions. It keeps a parser, so that many texts cost less.
pub struct Extractor {
    parser: Parser,
}

impl Default for Extractor {
    fn default() -> Extractor {
        Extractor { parser: Parser::new() }
    }
}

/// Why there are no symbols of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It was cancelled.
    Cancelled,
    /// It is too large, takes too long, or defines too much.
    TooMuch,
}

impl Extractor {
    /// The definitions in `text`, in the order they stand there.
    ///
    /// # Errors
    /// When it was cancelled, or isn't parsed for what it would take.
    pub fn symbols(
        &mut self,
        language: Language,
        text: &[u8],
        cancel: &CancellationToken,
    ) -> Result<Vec<Symbol>, Unfinished> {
        if text.len() as u64 > LARGEST_PARSED {
            return Err(Unfinished::TooMuch);
        }
        let Some(language) = language.of_text(text) else { return Ok(Vec::new()) };
        if matches!(language.language(), Language::C | Language::Cpp)
            && let Some(found) = macros::macros(text)
        {
            return if found.len() > MOST_SYMBOLS { Err(Unfinished::TooMuch) } else { Ok(found) };
        }
        let turn = (text.len() > LARGE).then(|| PARSING_LARGE.lock());
        let mut found = self.parsed(language, text, cancel)?;
        drop(turn);
        found.sort_by_key(|symbol| (symbol.line, symbol.column.utf8));
        Ok(found)
    }

    /// The same, as the grammar finds them.
    fn parsed(
        &mut self,
        language: Concrete,
        text: &[u8],
        cancel: &CancellationToken,
    ) -> Result<Vec<Symbol>, Unfinished> {
        let prepared = Prepared::of(language);
        if let Err(error) = self.parser.set_language(&prepared.grammar) {
            tracing::error!(?language, %error, "a grammar can't be used");
            return Ok(Vec::new());
        }
        let mut clock = Clock { cancel, before: Instant::now(), spent: Duration::ZERO };
        let shown = readable(language, text);
        let tree = self.tree(&shown, &mut clock)?;
        let mut finder = Finder::new(prepared, text);
        finder.walk(tree.root_node(), &mut clock)?;
        let found = self.bodies(&mut finder, &shown, &mut clock);
        // Whatever is parsed next is parsed whole.
        _ = self.parser.set_included_ranges(&[]);
        found.map(|()| finder.found)
    }

    /// Looks through what the grammar has left as it is though there are definitions in it.
    fn bodies(&mut self, finder: &mut Finder<'_>, text: &[u8], clock: &mut Clock<'_>) -> Result<(), Unfinished> {
        while let Some(range) = finder.enter_body() {
            if self.parser.set_included_ranges(&[range]).is_ok() {
                let tree = self.tree(text, clock)?;
                finder.walk(tree.root_node(), clock)?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, text: &[u8], clock: &mut Clock<'_>) -> Result<Tree, Unfinished> {
        let mut stop = |_: &tree_sitter::ParseState| match clock.go_on() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let options = ParseOptions::new().progress_callback(&mut stop);
        let tree = self.parser.parse_with_options(&mut |at, _| text.get(at..).unwrap_or_default(), None, Some(options));
        tree.ok_or_else(|| {
            // It would go on where it stopped.
            self.parser.reset();
            clock.go_on().err().unwrap_or(Unfinished::TooMuch)
        })
    }
}

/// A text as its grammar can read it: with blanks, byte for byte, in place of what it doesn't know.
fn readable(language: Concrete, text: &[u8]) -> Cow<'_, [u8]> {
    let blanked = match language.language() {
        Language::C => blank::of_c(text, false),
        Language::Cpp => blank::of_c(text, true),
        Language::CSharp => blank::of_csharp(text),
        _ => None,
    };
    blanked.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// How long a text may take.
struct Clock<'a> {
    cancel: &'a CancellationToken,
    before: Instant,
    spent: Duration,
}

impl Clock<'_> {
    /// To be asked every few milliseconds.
    fn go_on(&mut self) -> Result<(), Unfinished> {
        // Time in which this thread wasn't let run isn't the text's: what is kept of it mustn't depend on that.
        let now = Instant::now();
        self.spent += (now - self.before).min(STEP);
        self.before = now;
        match () {
            () if self.cancel.is_cancelled() => Err(Unfinished::Cancelled),
            () if self.spent > LONGEST => Err(Unfinished::TooMuch),
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
