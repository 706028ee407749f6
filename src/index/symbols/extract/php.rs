//! PHP.

use tree_sitter::Node;

use super::finder::{Finder, Span, child_of, children};
use super::rules::Rule::{Anonymous, By, Define, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

#[rustfmt::skip]
pub(super) const TABLE: Table = &[
    ("namespace_definition", Define(Module)), ("class_declaration", Define(Class)),
    ("interface_declaration", Define(Interface)), ("trait_declaration", Define(Interface)),
    ("enum_declaration", Define(Enum)), ("enum_case", Define(EnumMember)), ("function_definition", Function),
    ("method_declaration", Define(Method)), ("const_element", By(constant)), ("property_element", By(property)),
    ("property_promotion_parameter", By(promoted)), ("assignment_expression", By(assignment)),
    ("function_call_expression", By(call)), ("use_as_clause", By(alias)), ("anonymous_function", Anonymous),
    ("arrow_function", Anonymous), ("anonymous_class", By(anonymous_class)),
];

/// A variable's name without its sign.
fn variable(node: Node<'_>) -> Option<Span> {
    match node.kind() {
        "variable_name" => node.named_child(0).map(Span::of),
        "name" => Some(Span::of(node)),
        _ => None,
    }
}

fn constant(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    if let Some(name) = child_of(node, "name") {
        finder.define_at(Constant, Span::of(name), node, depth);
    }
    true
}

fn property(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let name = node.child_by_field_name("name").or_else(|| node.named_child(0));
    if let Some(span) = name.and_then(variable) {
        finder.define_at(Field, span, node, depth);
    }
    true
}

/// A parameter of a constructor that is a property as well.
fn promoted(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    if let Some(span) = node.child_by_field_name("name").and_then(variable) {
        finder.assigned_field(span);
    }
    true
}

/// A variable that is given a function.
fn assignment(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let value = node.child_by_field_name("right").map(|value| value.kind());
    if matches!(value, Some("anonymous_function" | "arrow_function"))
        && let Some(span) = node.child_by_field_name("left").and_then(variable)
    {
        finder.define_at(SymbolKind::Function, span, node, depth);
    }
    true
}

/// `define('NAME', …)`
fn call(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    let is_define = node.child_by_field_name("function").is_some_and(|function| {
        finder.text.get(function.byte_range()).is_some_and(|name| name.eq_ignore_ascii_case(b"define"))
    });
    if is_define {
        let argument = node.child_by_field_name("arguments").and_then(|list| children(list).into_iter().next());
        let string = argument.and_then(|argument| argument.named_child(0));
        let is_plain = |string: &Node<'_>| {
            matches!(string.kind(), "string" | "encapsed_string") && string.named_child_count() == 1
        };
        if let Some(content) = string.filter(is_plain).and_then(|string| string.named_child(0)) {
            finder.push(Constant, Span::of(content));
        }
    }
    true
}

/// A method of a trait by another name.
fn alias(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    let names: Vec<_> = children(node).into_iter().filter(|child| child.kind() == "name").collect();
    if let [_, name] = names[..] {
        finder.push(Method, Span::of(name));
    }
    true
}

/// Its methods are methods, though of what has no name.
fn anonymous_class(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    finder.enter(node, depth, "", Class);
    true
}
