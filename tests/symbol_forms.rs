//! Each language's forms of definitions: all of a file are found, and nothing else.
//!
//! Behind `=>` in a comment a line of a file says what it defines: kind, name, and what that is in. The files are written
//! from the grammars of their languages.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use syncline::index::symbols::{Extractor, Language, Symbol};
use tokio_util::sync::CancellationToken;

fn shown(symbol: &Symbol) -> String {
    let declared = if symbol.is_declaration { "declared " } else { "" };
    let container = if symbol.container.is_empty() { String::new() } else { format!(" in {}", symbol.container) };
    format!("{declared}{} {}{container}", symbol.kind.as_str(), symbol.name)
}

#[test]
fn every_form_of_a_language_is_found_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms");
    let mut wrong = Vec::new();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15, "{files:?}");
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let language = Language::of(name.as_bytes()).unwrap();
        let found = Extractor::default().symbols(language, text.as_bytes(), &CancellationToken::new()).unwrap();
        for (number, line) in text.lines().enumerate() {
            let said = line
                .rsplit_once("=> ")
                .filter(|(code, _)| ["// ", "# ", "-- "].iter().any(|mark| code.ends_with(mark)));
            let expected: Vec<&str> = said.map(|(_, list)| list.split(", ").collect()).unwrap_or_default();
            let here: Vec<_> = found.iter().filter(|symbol| symbol.line as usize == number).map(shown).collect();
            if here != expected {
                wrong.push(format!("{name}:{}: {here:?}, not {expected:?}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
