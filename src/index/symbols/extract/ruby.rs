//! Ruby.

use tree_sitter::Node;

use super::finder::{Finder, Span, children, in_field};
use super::rules::Rule::{By, Define, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

#[rustfmt::skip]
pub(super) const TABLE: Table = &[
    ("module", Define(Module)), ("class", Define(Class)), ("method", Function), ("singleton_method", Define(Method)),
    ("assignment", By(assignment)), ("operator_assignment", By(assignment)), ("alias", By(alias)), ("call", By(call)),
];

/// Constants; one that is given a new class is that class.
fn assignment(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(left) = node.child_by_field_name("left") else { return true };
    if left.kind() == "left_assignment_list" {
        for name in children(left).into_iter().filter(|name| name.kind() == "constant") {
            finder.define_at(Constant, Span::of(name), node, depth);
        }
        return true;
    }
    let kind = node.child_by_field_name("right").and_then(|value| new_type(finder, value)).unwrap_or(Constant);
    match left.kind() {
        "constant" => finder.define_at(kind, Span::of(left), node, depth),
        "scope_resolution" => finder.define(kind, Some(left), node, depth),
        _ => {}
    }
    true
}

/// What `Class.new`, `Struct.new` and their like make.
fn new_type(finder: &Finder<'_>, value: Node<'_>) -> Option<SymbolKind> {
    let receiver = value.child_by_field_name("receiver").filter(|_| value.kind() == "call")?;
    let makes = |word| value.child_by_field_name("method").is_some_and(|method| finder.is(method, word));
    match &finder.text_of(receiver)[..] {
        "Class" | "Struct" if makes("new") => Some(Class),
        "Data" if makes("define") => Some(Class),
        "Module" if makes("new") => Some(Module),
        _ => None,
    }
}

fn alias(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    if let Some(name) = node.child_by_field_name("name").filter(|name| name.kind() != "global_variable") {
        let kind = finder.function_kind();
        finder.push(kind, literal(name).unwrap_or(Span::of(name)));
    }
    true
}

/// The name that a symbol or a string says.
fn literal(node: Node<'_>) -> Option<Span> {
    match node.kind() {
        "simple_symbol" => Some(Span::of(node).without_first(1)),
        "hash_key_symbol" => Some(Span::of(node)),
        "string" | "delimited_symbol" => node.named_child(0).filter(|_| node.named_child_count() == 1).map(Span::of),
        _ => None,
    }
}

/// Calls that define.
fn call(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(method) = node.child_by_field_name("method") else { return true };
    let receiver = node.child_by_field_name("receiver");
    if receiver.is_some_and(|receiver| receiver.kind() != "self") {
        return true;
    }
    let arguments = || node.child_by_field_name("arguments").map(children).unwrap_or_default();
    let first = || arguments().into_iter().next();
    let word = finder.text_of(method);
    match &word[..] {
        "attr_reader" | "attr" | "attr_accessor" | "attr_writer" | "cattr_reader" | "cattr_accessor"
        | "cattr_writer" | "mattr_reader" | "mattr_accessor" | "mattr_writer" | "class_attribute" | "attr_internal" => {
            let (reads, writes) = (!word.ends_with("writer"), !word.ends_with("reader") && word != "attr");
            for span in arguments().into_iter().filter_map(literal) {
                let name = finder.text_at(span);
                if reads {
                    finder.push(Method, span);
                }
                if writes && !name.is_empty() {
                    finder.push_as(Method, span, name + "=");
                }
            }
        }
        "alias_method" | "define_method" | "define_singleton_method" | "scope" => {
            // Elsewhere a scope is somebody else's.
            let kind = finder.function_kind();
            if let Some(span) = first().and_then(literal).filter(|_| word != "scope" || kind == Method) {
                finder.push(Method, span);
            }
        }
        "task" | "multitask" => {
            let name = first().map(|name| match name.kind() {
                "pair" => in_field(name, "key").into_iter().next().unwrap_or(name),
                _ => name,
            });
            if let Some(span) = name.and_then(literal).filter(|_| finder.function_kind() != Method || is_rake(finder)) {
                finder.push(SymbolKind::Function, span);
            }
        }
        "namespace" if node.child_by_field_name("block").is_some() => {
            if let Some(span) = first().and_then(literal) {
                finder.define_at(Module, span, node, depth);
            }
        }
        _ => {}
    }
    true
}

/// Whether what is here is in namespaces of Rake alone.
fn is_rake(finder: &Finder<'_>) -> bool {
    finder.scopes.iter().all(|scope| scope.kind == Some(Module))
}
