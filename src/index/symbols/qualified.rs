//! What a query asks for besides a name: what the name is in.

use super::Symbol;
use crate::core::RelPath;

/// What stands between a name and what it is in, the longer ones first.
const SEPARATORS: [&str; 7] = ["::", "->", ".", "/", "\\", "#", ":"];

/// How well a symbol is in what was asked for; the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Within {
    /// Its container is named so, or nothing was asked for.
    Container,
    /// Other things around it, or its file or folders, are.
    Around,
    /// What is around it has that in its name.
    Part,
}

/// The name that a text asks for, and what it is to be in, the outermost first, in lower case.
pub(super) fn split(text: &str) -> (Vec<String>, String) {
    let text = pasted(text.trim());
    let mut parts = vec![String::new()];
    let mut rest = &text[..];
    while let Some(letter) = rest.chars().next() {
        let separator = SEPARATORS.iter().find(|separator| rest.starts_with(**separator));
        // At the beginning it belongs to a name: `#private`; at the end it is an operator, or not yet typed on.
        let divides = separator.filter(|separator| rest.len() < text.len() && rest.len() > separator.len());
        match (divides, parts.last_mut()) {
            (Some(separator), _) => {
                parts.push(String::new());
                rest = &rest[separator.len()..];
            }
            (None, Some(part)) => {
                part.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
            (None, None) => break,
        }
    }
    let name = parts.pop().unwrap_or_default();
    if name.is_empty() || parts.is_empty() {
        return (Vec::new(), text);
    }
    let parts = parts.into_iter().map(|part| comparable(part.trim()));
    (parts.filter(|part| !part.is_empty()).collect(), name.trim().to_owned())
}

/// What is written around a name where it is used, away from it: `name()`, `(*Type).name`, `<Type as Trait>::name`.
fn pasted(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some((before, _)) = text.strip_suffix(')').and_then(|inner| inner.rsplit_once('('))
        && !before.is_empty()
        && !before.ends_with(char::is_whitespace)
        && !before.contains("operator")
    {
        text = before.to_owned();
    }
    if let Some((inner, rest)) = text.strip_prefix('(').and_then(|rest| rest.split_once(')'))
        && !rest.is_empty()
    {
        text = format!("{}{rest}", inner.trim_start_matches(['*', '&']));
    }
    if let Some((inner, rest)) = text.strip_prefix('<').and_then(|rest| rest.split_once(">::")) {
        let named = inner.split_once(" as ").map_or(inner, |(named, _)| named);
        text = format!("{}::{rest}", named.trim());
    }
    text
}

/// A name as it is compared: without regard to case, and to how words are joined in names of packages.
fn comparable(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// How well a symbol is in `wanted`, whose parts must be around it in this order: folders and the file, which goes by its
/// name without what tells its language, then all that encloses it. `None` when it isn't.
pub(super) fn within(wanted: &[String], path: &RelPath, symbol: &Symbol) -> Option<Within> {
    if wanted.is_empty() {
        return Some(Within::Container);
    }
    let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
    let mut around: Vec<String> = path.split('/').map(comparable).collect();
    if let Some(file) = around.last_mut()
        && let Some(dot) = file.find('.').filter(|dot| *dot > 0)
    {
        file.truncate(dot);
    }
    let folders = around.len();
    let enclosing = symbol.outer.lines().chain([symbol.container.as_str()]);
    around.extend(
        enclosing.flat_map(|name| name.split(['.', ':', '\\', '/'])).filter(|name| !name.is_empty()).map(comparable),
    );
    let (mut end, mut within) = (around.len(), Within::Container);
    for part in wanted.iter().rev() {
        let exact = around[..end].iter().rposition(|name| name == part);
        let found = exact.or_else(|| {
            let from = folders.min(end);
            around[from..end].iter().rposition(|name| name.contains(part.as_str())).map(|at| from + at)
        })?;
        within = within.max(match exact {
            None => Within::Part,
            Some(at) if at + 1 == around.len() && at >= folders || end < around.len() => Within::Container,
            Some(_) => Within::Around,
        });
        end = found;
    }
    Some(within)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::index::symbols::{Column, SymbolKind};

    #[test]
    fn names_are_read_as_they_are_written_anywhere() {
        for (text, wanted, name) in [
            ("name", &[][..], "name"),
            ("Index::new", &["index"], "new"),
            ("tokio::sync::mpsc::channel", &["tokio", "sync", "mpsc"], "channel"),
            ("net/http.Client", &["net", "http"], "Client"),
            ("App\\Http\\Kernel", &["app", "http"], "Kernel"),
            ("Base#call", &["base"], "call"),
            ("Str->slug", &["str"], "slug"),
            ("get_or_create()", &[], "get_or_create"),
            ("(*Client).Do", &["client"], "Do"),
            ("<Runtime as Drop>::drop", &["runtime"], "drop"),
            ("#private", &[], "#private"),
            ("Index::", &[], "Index::"),
            ("operator->", &[], "operator->"),
            ("operator()", &[], "operator()"),
            ("::", &[], "::"),
            ("Getting started (short)", &[], "Getting started (short)"),
        ] {
            let (found, named) = split(text);
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>(), &named[..]),
                (wanted.to_vec(), name),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_around_a_name_is_matched_in_order() {
        let place = |wanted: &str, path: &str, outer: &str, container: &str| {
            let column = Column::default();
            let symbol = Symbol {
                name: "f".to_owned(),
                kind: SymbolKind::Method,
                line: 0,
                column,
                container: container.to_owned(),
                outer: outer.to_owned(),
                is_declaration: false,
            };
            let path = RelPath::from_bytes(path.as_bytes()).unwrap();
            within(&split(&format!("{wanted}::f")).0, &path, &symbol)
        };
        assert_eq!(place("Runtime", "src/a.rs", "", "Runtime"), Some(Within::Container));
        assert_eq!(place("Runtime", "src/a.rs", "", "LocalRuntime"), Some(Within::Part));
        assert_eq!(place("http", "net/http/client.go", "", "Client"), Some(Within::Around));
        assert_eq!(place("net.http", "net/http/client.go", "", ""), Some(Within::Around));
        assert_eq!(place("http.net", "net/http/client.go", "", ""), None);
        assert_eq!(place("models.Model", "django/db/models/base.py", "", "Model"), Some(Within::Container));
        assert_eq!(place("a::b", "x.cpp", "a", "b"), Some(Within::Container));
        assert_eq!(place("a", "x.cpp", "a", "b"), Some(Within::Around));
        assert_eq!(place("tokio_util", "tokio-util/src/lib.rs", "", ""), Some(Within::Around));
    }
}
