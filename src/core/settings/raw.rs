//! Values as they were written, whatever they were written in: TOML, JSON, or a variable.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Deeper than any setting: a section in a section, a list in it, its items.
const DEEPEST: usize = 5;

/// A value, before anybody has asked whether it is the right one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// Not set.
    Nothing,
    /// A string.
    Text(String),
    /// An integer; one that is too large stands at the end of the range.
    Whole(i128),
    /// True or false.
    Switch(bool),
    /// An array.
    List(Vec<Raw>),
    /// A table or object.
    Table(Vec<Entry>),
    /// What no setting takes, and what that is.
    Other(&'static str),
}

/// A name with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The name, without the tables it stands in.
    pub name: String,
    /// The line of the name, where there are lines.
    pub name_line: Option<usize>,
    /// The line where the value begins.
    pub value_line: Option<usize>,
    /// The value.
    pub value: Raw,
}

/// A text that can't be understood: the line, when known, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misread {
    pub line: Option<usize>,
    pub why: String,
}

impl Raw {
    /// What kind of value it is, for a message.
    pub(super) fn article(&self) -> String {
        match self {
            Raw::Nothing => "nothing".to_owned(),
            Raw::Text(_) => "a text".to_owned(),
            Raw::Whole(_) => "a number".to_owned(),
            Raw::Switch(on) => on.to_string(),
            Raw::List(items) => match items.as_slice() {
                [item] => format!("a list with {} in it", item.article()),
                _ => "a list".to_owned(),
            },
            Raw::Table(_) => "a table".to_owned(),
            Raw::Other(what) => (*what).to_owned(),
        }
    }

    /// The table a TOML document is, its entries in the document's order.
    ///
    /// # Errors
    /// When it isn't TOML.
    pub(super) fn of_toml(text: &str) -> Result<Vec<Entry>, Misread> {
        let lines = Lines::of(text);
        let table = DeTable::parse(text).map_err(|error| misread(&error, &lines))?;
        Ok(entries(table.get_ref(), &lines, 0))
    }

    /// An editor's settings.
    pub(super) fn of_json(value: &serde_json::Value) -> Raw {
        json(value, 0)
    }

    /// A single value in the form of TOML.
    ///
    /// # Errors
    /// When it isn't that.
    pub(super) fn of_toml_value(text: &str) -> Result<Raw, Misread> {
        let lines = Lines::of(text);
        let value = DeValue::parse(text).map_err(|error| misread(&error, &lines))?;
        Ok(toml(value.get_ref(), &lines, 0))
    }
}

fn misread(error: &toml::de::Error, lines: &Lines) -> Misread {
    // Only the parser's own words: the line it would show beside them may hold a password.
    let why = error.message().lines().next().unwrap_or_default().to_owned();
    Misread { line: error.span().map(|span| lines.at(span.start)), why }
}

fn entries(table: &DeTable<'_>, lines: &Lines, depth: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(name, value)| Entry {
            name: name.get_ref().to_string(),
            name_line: Some(lines.at(name.span().start)),
            value_line: Some(lines.at(value.span().start)),
            value: toml(value.get_ref(), lines, depth + 1),
        })
        .collect();
    entries.sort_by_key(|entry| entry.name_line);
    entries
}

fn toml(value: &DeValue<'_>, lines: &Lines, depth: usize) -> Raw {
    let items = |items: &[Spanned<DeValue<'_>>]| items.iter().map(|i| toml(i.get_ref(), lines, depth + 1)).collect();
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(integer) => Raw::Whole(whole(integer)),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Boolean(on) => Raw::Switch(*on),
        DeValue::Datetime(_) => Raw::Other("a date or time"),
        DeValue::Array(_) | DeValue::Table(_) if depth >= DEEPEST => Raw::Other("something with much inside"),
        DeValue::Array(array) => Raw::List(items(array)),
        DeValue::Table(table) => Raw::Table(entries(table, lines, depth)),
    }
}

fn whole(integer: &DeInteger<'_>) -> i128 {
    let end = if integer.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(end)
}

fn json(value: &serde_json::Value, depth: usize) -> Raw {
    use serde_json::Value;
    match value {
        Value::Null => Raw::Nothing,
        Value::Bool(on) => Raw::Switch(*on),
        Value::Number(number) => {
            let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            // Some editors' scripts know only floats. The cast saturates, and bounds are looked at later.
            let float = number.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i128);
            whole.or(float).map_or(Raw::Other("a number with a fraction"), Raw::Whole)
        }
        Value::String(text) => Raw::Text(text.clone()),
        Value::Array(_) | Value::Object(_) if depth >= DEEPEST => Raw::Other("something with much inside"),
        Value::Array(array) => Raw::List(array.iter().map(|item| json(item, depth + 1)).collect()),
        Value::Object(object) => Raw::Table(
            object
                .iter()
                .map(|(name, value)| Entry {
                    name: name.clone(),
                    name_line: None,
                    value_line: None,
                    value: json(value, depth + 1),
                })
                .collect(),
        ),
    }
}

/// Where lines end, so that finding the line of each of many names is cheap.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line of the byte at `offset`, from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}
