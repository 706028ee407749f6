//! Lua.

use tree_sitter::Node;

use super::finder::{Finder, Span, child_of, constant_or_variable, in_field};
use super::rules::Rule::{Anonymous, By, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

pub(super) const TABLE: Table = &[
    ("function_declaration", Function),
    ("assignment_statement", By(assignment)),
    ("field", By(field)),
    ("function_definition", Anonymous),
];

/// Each name with its value: `a, b = 1, function() end`.
fn assignment(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let side = |kind, field| child_of(node, kind).map(|list| in_field(list, field)).unwrap_or_default();
    let (names, values) = (side("variable_list", "name"), side("expression_list", "value"));
    for (at, name) in names.iter().enumerate() {
        // A list encloses nothing that is in one of its values.
        let scopes = finder.scopes.len();
        if let Some(value) = values.get(at) {
            assign(finder, *name, *value, node, depth);
        }
        if names.len() > 1 {
            finder.scopes.truncate(scopes);
        }
    }
    true
}

fn assign(finder: &mut Finder<'_>, name: Node<'_>, value: Node<'_>, node: Node<'_>, depth: u32) {
    let is_table = value.kind() == "table_constructor";
    let (table, span) = match name.kind() {
        "identifier" => (None, Some(Span::of(name))),
        "dot_index_expression" => (name.child_by_field_name("table"), name.child_by_field_name("field").map(Span::of)),
        "bracket_index_expression" => (name.child_by_field_name("table"), key(name.child_by_field_name("field"))),
        _ => (None, None),
    };
    let Some(span) = span else { return };
    let text = finder.text_at(span);
    if value.kind() == "function_definition" {
        match table {
            Some(table) => {
                let table = finder.text_of(table);
                finder.define_in(&table, Method, span, node, depth);
            }
            None => finder.define_at(SymbolKind::Function, span, node, depth),
        }
        return;
    }
    // What a call gives isn't known.
    let is_known = is_table
        || matches!(value.kind(), "string" | "number" | "true" | "false" | "unary_expression" | "binary_expression");
    let in_function = finder.scopes.iter().any(|scope| scope.kind.is_some_and(SymbolKind::is_function));
    match table {
        _ if !is_known || in_function => {}
        // A module is often called by one letter.
        None if is_table => finder.define_at(Variable, span, node, depth),
        None => finder.define_at(constant_or_variable(&text), span, node, depth),
        Some(_) if name.kind() == "bracket_index_expression" => {}
        Some(table) => {
            let (table, scopes) = (finder.text_of(table), finder.scopes.len());
            finder.define_in(&table, Field, span, node, depth);
            finder.scopes.truncate(scopes);
        }
    }
    if is_table {
        finder.enter(node, depth, &text, Type);
    }
}

/// A function in a table is a method of what the table is called.
fn field(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(value) = node.child_by_field_name("value") else { return true };
    let name = node.child_by_field_name("name");
    let span = if name.is_some_and(|name| name.kind() == "identifier") { name.map(Span::of) } else { key(name) };
    let Some(span) = span else { return true };
    match value.kind() {
        "function_definition" => finder.define_at(Method, span, node, depth),
        "table_constructor" => {
            let name = finder.text_at(span);
            finder.enter(node, depth, &name, Type);
        }
        _ => {}
    }
    true
}

/// The name that a string in brackets is.
fn key(node: Option<Node<'_>>) -> Option<Span> {
    node.filter(|node| node.kind() == "string")?.child_by_field_name("content").map(Span::of)
}
