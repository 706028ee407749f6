//! C#.

use tree_sitter::Node;

use super::finder::{Finder, Span, child_of, children};
use super::rules::Rule::{By, Define, Skip};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::*;

#[rustfmt::skip]
pub(super) const TABLE: Table = &[
    ("namespace_declaration", By(namespace)), ("file_scoped_namespace_declaration", By(namespace)),
    ("class_declaration", Define(Class)), ("struct_declaration", Define(Struct)), ("record_declaration", By(record)),
    ("interface_declaration", Define(Interface)), ("enum_declaration", Define(Enum)),
    ("enum_member_declaration", Define(EnumMember)), ("delegate_declaration", Define(Type)),
    ("method_declaration", Define(Method)), ("constructor_declaration", Define(Method)),
    ("destructor_declaration", By(destructor)), ("operator_declaration", By(operator)),
    ("conversion_operator_declaration", By(operator)), ("indexer_declaration", By(indexer)),
    ("event_declaration", Define(Field)), ("local_function_statement", Define(Function)),
    ("property_declaration", Define(Field)), ("variable_declarator", Define(Field)), ("block", Skip),
    ("arrow_expression_clause", Skip), ("lambda_expression", Skip), ("anonymous_method_expression", Skip),
];

/// `A.B.C` is three of them.
fn namespace(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let mut nodes: Vec<_> = node.child_by_field_name("name").into_iter().collect();
    while let Some(part) = nodes.pop() {
        match part.kind() {
            "qualified_name" => nodes.extend(children(part).into_iter().rev()),
            _ => finder.define_at(Module, Span::of(part), node, depth),
        }
    }
    true
}

/// A record, whose parameters are its fields.
fn record(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    finder.define(Struct, node.child_by_field_name("name"), node, depth);
    for parameter in child_of(node, "parameter_list").map(children).unwrap_or_default() {
        if let Some(name) = parameter.child_by_field_name("name") {
            finder.define_at(Field, Span::of(name), parameter, depth);
        }
    }
    true
}

/// `~Name`, as it is written.
fn destructor(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    if let (Some(sign), Some(name)) = (child_of(node, "~"), node.child_by_field_name("name")) {
        finder.define_at(Method, Span::between(sign, name), node, depth);
    }
    true
}

/// `operator +`, or `operator string`, as it is written.
fn operator(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let to = node.child_by_field_name("operator").or_else(|| node.child_by_field_name("type"));
    if let (Some(word), Some(to)) = (child_of(node, "operator"), to) {
        finder.define_at(Method, Span::between(word, to), node, depth);
    }
    true
}

/// `this[int at]` is a property that is called `this`.
fn indexer(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    if let Some(name) = child_of(node, "this") {
        finder.define_at(Field, Span::of(name), node, depth);
    }
    true
}
