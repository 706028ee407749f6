//! Python.

use tree_sitter::Node;

use super::finder::{Finder, Span, children, constant_or_variable, first_of};
use super::rules::Rule::{By, Define, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

pub(super) const TABLE: Table = &[
    ("class_definition", Define(Class)),
    ("function_definition", Function),
    ("assignment", By(assignment)),
    ("type_alias_statement", By(type_alias)),
];

fn assignment(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(left) = node.child_by_field_name("left") else { return true };
    let is_lambda = node.child_by_field_name("right").is_some_and(|right| right.kind() == "lambda");
    match left.kind() {
        "attribute" => attribute(finder, left, is_lambda, node, depth),
        "identifier" if is_lambda => {
            let kind = finder.function_kind();
            finder.define_at(kind, Span::of(left), node, depth);
        }
        _ => targets(finder, left, depth),
    }
    true
}

/// All names that are assigned at once: `a, (b, *c) = …`.
fn targets(finder: &mut Finder<'_>, left: Node<'_>, depth: u32) {
    let mut nodes = vec![left];
    while let Some(node) = nodes.pop() {
        match node.kind() {
            "identifier" => {
                let kind = constant_or_variable(&finder.text_of(node));
                finder.define_at(kind, Span::of(node), node, depth);
            }
            "pattern_list" | "tuple_pattern" | "list_pattern" | "list_splat_pattern" => {
                nodes.extend(children(node).into_iter().rev());
            }
            _ => {}
        }
    }
}

/// `self.name = …` is a field of the class; a function that some other object is given is its method.
fn attribute(finder: &mut Finder<'_>, left: Node<'_>, is_lambda: bool, node: Node<'_>, depth: u32) {
    let (Some(object), Some(name)) = (left.child_by_field_name("object"), left.child_by_field_name("attribute")) else {
        return;
    };
    let is_own = finder.is(object, "self") || finder.is(object, "cls");
    if is_own && finder.scopes.last().and_then(|scope| scope.kind) == Some(SymbolKind::Method) {
        finder.assigned_field(Span::of(name));
    } else if is_lambda && !is_own && object.kind() == "identifier" {
        let object = finder.text_of(object);
        finder.define_in(&object, SymbolKind::Function, Span::of(name), node, depth);
    }
}

/// `type Pair[T] = …`
fn type_alias(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let left = node.child_by_field_name("left").or_else(|| node.named_child(0));
    if let Some(name) = left.and_then(|left| first_of(left, &["identifier"])) {
        finder.define_at(Type, Span::of(name), node, depth);
    }
    true
}
