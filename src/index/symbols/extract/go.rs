//! Go.

use tree_sitter::Node;

use super::finder::{Finder, Span, in_field};
use super::rules::Rule::{Anonymous, By, Define, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::*;

#[rustfmt::skip]
pub(super) const TABLE: Table = &[
    ("function_declaration", Function), ("method_declaration", Define(Method)), ("type_spec", By(type_spec)),
    ("type_alias", Define(Type)), ("const_spec", Define(Constant)), ("var_spec", Define(Variable)),
    ("method_elem", Define(Method)), ("field_declaration", By(field)), ("func_literal", Anonymous),
];

fn type_spec(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let kind = match node.child_by_field_name("type").map(|node| node.kind()) {
        Some("struct_type") => Struct,
        Some("interface_type") => Interface,
        _ => Type,
    };
    finder.define(kind, node.child_by_field_name("name"), node, depth);
    true
}

/// The fields of a struct; types that are embedded in it have no names of their own.
fn field(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    for name in in_field(node, "name") {
        finder.define_at(Field, Span::of(name), node, depth);
    }
    true
}
