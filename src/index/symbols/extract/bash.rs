//! Bash, and shells like it.

use tree_sitter::Node;

use super::finder::{Finder, Span, children, in_field};
use super::rules::Rule::{By, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

pub(super) const TABLE: Table =
    &[("function_definition", Function), ("declaration_command", By(declaration)), ("command", By(command))];

/// `readonly`, `export` and `declare` outside functions; what isn't declared is too much to be found.
fn declaration(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let word = node.child(0).map(|word| finder.text_of(word)).unwrap_or_default();
    let parts = children(node);
    let is_fixed = |node: &Node<'_>| {
        let text = finder.text_of(*node);
        node.kind() == "word" && text.starts_with('-') && text.contains(['r', 'x'])
    };
    let kind = match &word[..] {
        "readonly" | "export" => Constant,
        "declare" | "typeset" if parts.iter().any(is_fixed) => Constant,
        "declare" | "typeset" => Variable,
        _ => return true,
    };
    for part in parts.into_iter().filter(|part| part.kind() == "variable_assignment") {
        if let Some(name) = part.child_by_field_name("name") {
            finder.define_at(kind, Span::of(name), node, depth);
        }
    }
    true
}

/// `alias name=…`, and the tests of Bats.
fn command(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    let Some(name) = node.child_by_field_name("name") else { return true };
    if finder.is(name, "alias") {
        for argument in in_field(node, "argument") {
            let text = finder.text_of(argument);
            if let Some((name, _)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) {
                finder.push(SymbolKind::Function, Span::of(argument).first(name.len()));
            }
        }
    } else if finder.is(name, "@test")
        && let Some(title) = node.child_by_field_name("argument")
        && matches!(title.kind(), "string" | "raw_string")
    {
        let length = title.end_byte() - title.start_byte();
        finder.push(SymbolKind::Function, Span::of(title).without_first(1).first(length.saturating_sub(2)));
    }
    true
}
