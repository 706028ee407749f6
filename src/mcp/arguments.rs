//! What an assistant passes to a tool. Models write numbers and truth values as text, and single texts where a list is
//! wanted: all that can be told apart is taken.

use serde_json::{Map, Value};

/// Tokens of an answer, unless more or less are wanted.
const TOKENS: u64 = 2000;
const LEAST_TOKENS: u64 = 100;
const MOST_TOKENS: u64 = 25_000;
/// Texts of one list.
const MOST_TEXTS: usize = 64;
/// Bytes of one text.
const LONGEST_TEXT: usize = 10_000;

/// The arguments of one call.
pub(super) struct Arguments {
    given: Map<String, Value>,
}

impl Arguments {
    /// Those of a call of `tool`, which `takes` just these.
    ///
    /// # Errors
    /// One sentence, when there is one that the tool doesn't take.
    pub(super) fn new(tool: &str, given: Map<String, Value>, takes: &[String]) -> Result<Arguments, String> {
        match given.keys().find(|name| !takes.contains(name)) {
            None => Ok(Arguments { given }),
            Some(unknown) if takes.is_empty() => Err(format!("{tool} takes no arguments, so not `{unknown}`")),
            Some(unknown) => Err(format!("{tool} has no argument `{unknown}`; it takes {}", takes.join(", "))),
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// A text; `None` without one.
    ///
    /// # Errors
    /// When it is no text, or too long.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= LONGEST_TEXT => Ok(Some(text)),
            Some(Value::String(_)) => Err(format!("`{name}` is longer than {LONGEST_TEXT} bytes")),
            Some(_) => Err(format!("`{name}` must be a text")),
        }
    }

    /// A list of texts, or a single one.
    ///
    /// # Errors
    /// When something else is in it, or too much.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("`{name}` must be a list of texts");
        let texts = match self.value(name) {
            None => return Ok(Vec::new()),
            // Some write the list itself as text.
            Some(Value::String(text)) => match serde_json::from_str::<Vec<String>>(text) {
                Ok(texts) => texts,
                Err(_) => vec![text.clone()],
            },
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        match texts.len() > MOST_TEXTS || texts.iter().any(|text| text.len() > LONGEST_TEXT) {
            true => Err(format!("`{name}` may hold {MOST_TEXTS} texts of {LONGEST_TEXT} bytes each at most")),
            false => Ok(texts),
        }
    }

    /// A truth value; false without one.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") || matches!(text.as_str(), "0" | "") => {
                Ok(false)
            }
            Some(Value::Number(number)) if number.as_u64().is_some_and(|number| number < 2) => {
                Ok(number.as_u64() == Some(1))
            }
            Some(_) => Err(format!("`{name}` must be true or false")),
        }
    }

    /// How many tokens the answer may have.
    ///
    /// # Errors
    /// When it is no number.
    pub(super) fn max_tokens(&self) -> Result<usize, String> {
        let wrong = || "`max_tokens` must be a number".to_owned();
        let tokens = match self.value("max_tokens") {
            None => TOKENS,
            Some(Value::Number(number)) => {
                number.as_u64().or_else(|| number.as_f64().map(|number| number as u64)).ok_or_else(wrong)?
            }
            Some(Value::String(text)) => text.trim().parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        Ok(usize::try_from(tokens.clamp(LEAST_TOKENS, MOST_TOKENS)).unwrap_or(LEAST_TOKENS as usize))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn arguments(given: Value) -> Arguments {
        Arguments { given: given.as_object().unwrap().clone() }
    }

    #[test]
    fn what_models_write_is_taken() {
        let given = arguments(serde_json::json!({
            "one": "a", "list": ["a", "b"], "written": "[\"a\", \"b\"]", "yes": "True", "no": 0, "max_tokens": "500",
        }));
        assert_eq!(given.texts("one").unwrap(), ["a"]);
        assert_eq!(given.texts("list").unwrap(), ["a", "b"]);
        assert_eq!(given.texts("written").unwrap(), ["a", "b"]);
        assert_eq!(
            (given.flag("yes").unwrap(), given.flag("no").unwrap(), given.flag("none").unwrap()),
            (true, false, false)
        );
        assert_eq!(given.max_tokens().unwrap(), 500);
        assert!(given.flag("one").is_err() && given.text("list").is_err());
        let unknown = Arguments::new("find_files", given.given, &["query".to_owned()]);
        assert!(unknown.is_err_and(|why| why.contains("it takes query")));
    }
}
