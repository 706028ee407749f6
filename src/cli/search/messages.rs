//! What is said on standard error.

use std::fmt::Display;
use std::io::Write;

use super::arguments::Says;
use crate::core::escape;

/// Who speaks, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    /// The name of the program, as it was called.
    pub(super) name: &'static str,
    /// What is wanted.
    pub(super) says: Says,
}

impl Voice {
    /// Tells of something that can't be read, unless nobody wants to know.
    pub(super) fn complain(&self, what: &dyn Display) {
        if !self.says.no_messages {
            self.say(what);
        }
    }

    /// Tells what is wrong with ignore files, unless nobody wants to know.
    pub(super) fn complain_of_rules(&self, what: &dyn Display) {
        if !self.says.no_messages && !self.says.no_ignore_messages {
            self.say(what);
        }
    }

    /// Says one thing. Nothing in it can steer a terminal.
    pub(super) fn say(&self, what: &dyn Display) {
        let what = what.to_string();
        let line = format!("{}: {}\n", self.name, what.split('\n').map(escape).collect::<Vec<_>>().join("\n"));
        // When nobody can be told, nobody can be told that either.
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }
}
