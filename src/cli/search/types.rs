//! `-t` and `-T`: their order counts, since the last that fits a file decides.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use ignore::types::{Types, TypesBuilder};

/// File types to search or to leave out, in the order given.
#[derive(Clone, Debug)]
pub(super) struct TypeChanges(Vec<(Change, String)>);

#[derive(Clone, Copy, Debug)]
enum Change {
    Select,
    Negate,
}

const SELECT: &str = "type";
const NEGATE: &str = "type-not";

impl TypeChanges {
    /// Whether none was given.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they come to, or an error when a type isn't known.
    pub(super) fn build(&self) -> Result<Types, ignore::Error> {
        let mut builder = TypesBuilder::new();
        builder.add_defaults();
        for (change, name) in &self.0 {
            match change {
                Change::Select => builder.select(name),
                Change::Negate => builder.negate(name),
            };
        }
        builder.build()
    }
}

impl FromArgMatches for TypeChanges {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |id, change| {
            let places = matches.indices_of(id).into_iter().flatten();
            let names = matches.get_many::<String>(id).into_iter().flatten();
            places.zip(names).map(move |(place, name)| (place, change, name.clone()))
        };
        let mut all: Vec<_> = given(SELECT, Change::Select).chain(given(NEGATE, Change::Negate)).collect();
        all.sort_by_key(|(place, ..)| *place);
        Ok(TypeChanges(all.into_iter().map(|(_, change, name)| (change, name)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = TypeChanges::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for TypeChanges {
    fn augment_args(command: Command) -> Command {
        let argument = |id, short, help| {
            Arg::new(id).short(short).long(id).value_name("TYPE").action(ArgAction::Append).help(help)
        };
        command
            .arg(argument(SELECT, 't', "Search files of this type (rust, c, …); can be given several times"))
            .arg(argument(NEGATE, 'T', "Leave out files of this type; can be given several times"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        TypeChanges::augment_args(command)
    }
}
