//! ripgrep's flags, by the same names: a table, since each has a short form, a negation and a value of its own kind, and
//! what comes last counts.

mod filter;
mod help;
mod input;
mod matching;
mod other;
mod output;
mod parse;
mod values;

pub(super) use help::{long_version, page, pcre2_version, short_version, usage};
pub(super) use parse::{Unusable, parse};
use values::Value;

use super::arguments::Arguments;

/// A flag.
pub(super) struct Flag {
    long: &'static str,
    short: Option<char>,
    negated: Option<&'static str>,
    alias: Option<&'static str>,
    help: &'static str,
    effect: Effect,
}

/// What a flag does.
#[derive(Clone, Copy)]
enum Effect {
    /// It is switched on, or by its negation off.
    Switch(fn(&mut Arguments, bool)),
    /// It has a value, which has a name; its negation has none.
    Value(&'static str, fn(&mut Arguments, Value) -> Result<(), String>, Option<fn(&mut Arguments)>),
    /// It can be given so often that it is too much.
    Repeated(fn(&mut Arguments) -> Result<(), String>),
}

impl Flag {
    /// A flag that is given or not.
    const fn switch(long: &'static str, help: &'static str, set: fn(&mut Arguments, bool)) -> Flag {
        Flag { long, short: None, negated: None, alias: None, help, effect: Effect::Switch(set) }
    }

    /// A flag with a value, called `name` where it is explained.
    const fn value(
        long: &'static str,
        name: &'static str,
        help: &'static str,
        set: fn(&mut Arguments, Value) -> Result<(), String>,
    ) -> Flag {
        Flag { long, short: None, negated: None, alias: None, help, effect: Effect::Value(name, set, None) }
    }

    /// With this letter.
    const fn short(self, short: char) -> Flag {
        Flag { short: Some(short), ..self }
    }

    /// With this negation.
    const fn not(self, negated: &'static str) -> Flag {
        Flag { negated: Some(negated), ..self }
    }

    /// With this negation, though it has a value.
    const fn unset(self, negated: &'static str, unset: fn(&mut Arguments)) -> Flag {
        let effect = match self.effect {
            Effect::Value(name, set, _) => Effect::Value(name, set, Some(unset)),
            other => other,
        };
        Flag { negated: Some(negated), effect, ..self }
    }

    /// With another name.
    const fn alias(self, alias: &'static str) -> Flag {
        Flag { alias: Some(alias), ..self }
    }

    /// What its value is called.
    fn value_name(&self) -> Option<&'static str> {
        match self.effect {
            Effect::Value(name, ..) => Some(name),
            _ => None,
        }
    }
}

/// Flags that belong together.
struct Group {
    title: &'static str,
    flags: &'static [Flag],
    /// They aren't ripgrep's.
    ours: bool,
}

/// All flags, as they are explained.
static GROUPS: &[Group] = &[
    Group { title: "INPUT OPTIONS", flags: input::FLAGS, ours: false },
    Group { title: "SEARCH OPTIONS", flags: matching::FLAGS, ours: false },
    Group { title: "FILTER OPTIONS", flags: filter::FLAGS, ours: false },
    Group { title: "OUTPUT OPTIONS", flags: output::FLAGS, ours: false },
    Group { title: "OUTPUT MODES", flags: other::MODES, ours: false },
    Group { title: "LOGGING OPTIONS", flags: other::LOGGING, ours: false },
    Group { title: "OTHER BEHAVIORS", flags: other::OTHERS, ours: false },
    Group { title: "SYNCLINE'S OWN", flags: other::OURS, ours: true },
];

/// A flag as it was written.
#[derive(Clone, Copy)]
struct Named {
    flag: &'static Flag,
    negated: bool,
}

/// All flags; `ours` too, if wanted.
fn all(ours: bool) -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().filter(move |group| ours || !group.ours).flat_map(|group| group.flags)
}

/// The flag with this letter.
fn by_short(short: char, ours: bool) -> Option<Named> {
    all(ours).find(|flag| flag.short == Some(short)).map(|flag| Named { flag, negated: false })
}

/// The flag with this name, another name or this negation.
fn by_long(name: &str, ours: bool) -> Option<Named> {
    let named = all(ours).find(|flag| flag.long == name || flag.alias == Some(name));
    let negated = || all(ours).find(|flag| flag.negated == Some(name));
    let named = named.map(|flag| Named { flag, negated: false });
    named.or_else(|| negated().map(|flag| Named { flag, negated: true }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_given_once() {
        let mut names = BTreeSet::new();
        for flag in all(true) {
            let short = flag.short.map(String::from);
            let long = [Some(flag.long), flag.negated, flag.alias].into_iter().flatten().map(str::to_owned);
            long.chain(short).for_each(|name| assert!(names.insert(name.clone()), "{name} is given twice"));
        }
        assert_eq!(all(false).count(), 104);
    }
}
