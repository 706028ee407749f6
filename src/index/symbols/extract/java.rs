//! Java.

use tree_sitter::Node;

use super::finder::{Finder, Span, children};
use super::rules::Rule::{By, Define, Skip};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::*;

#[rustfmt::skip]
pub(super) const TABLE: Table = &[
    ("class_declaration", Define(Class)), ("interface_declaration", Define(Interface)), ("enum_declaration", Define(Enum)),
    ("record_declaration", By(record)), ("annotation_type_declaration", Define(Interface)),
    ("annotation_type_element_declaration", Define(Method)), ("module_declaration", By(module)),
    ("method_declaration", Define(Method)), ("constructor_declaration", Define(Method)),
    ("compact_constructor_declaration", Define(Method)),
    ("enum_constant", Define(EnumMember)), ("variable_declarator", Define(Field)),
    ("block", Skip), ("constructor_body", Skip), ("lambda_expression", Skip),
];

/// A record, whose parameters are its fields.
fn record(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    finder.define(Struct, node.child_by_field_name("name"), node, depth);
    for parameter in node.child_by_field_name("parameters").map(children).unwrap_or_default() {
        if let Some(name) = parameter.child_by_field_name("name") {
            finder.define_at(Field, Span::of(name), parameter, depth);
        }
    }
    true
}

/// A module's name has dots.
fn module(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    if let Some(name) = node.child_by_field_name("name") {
        finder.define_at(Module, Span::of(name), node, depth);
    }
    true
}
