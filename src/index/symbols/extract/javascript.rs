//! JavaScript and TypeScript.

use tree_sitter::Node;

use super::finder::{Finder, Span, child_of, children, constant_or_variable, in_field};
use super::rules::Rule::{Anonymous, By, Define, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

#[rustfmt::skip]
pub(super) const JAVASCRIPT: Table = &[
    ("function_declaration", Function), ("generator_function_declaration", Function), ("class_declaration", Define(Class)),
    ("class", By(class)), ("method_definition", By(method)), ("field_definition", By(field)),
    ("variable_declarator", By(variable)), ("assignment_expression", By(assignment)), ("pair", By(pair)),
    ("arrow_function", Anonymous), ("function_expression", Anonymous), ("generator_function", Anonymous),
    ("class_static_block", Anonymous),
];

#[rustfmt::skip]
pub(super) const TYPESCRIPT: Table = &[
    ("abstract_class_declaration", Define(Class)), ("interface_declaration", Define(Interface)),
    ("type_alias_declaration", By(type_alias)), ("enum_declaration", Define(Enum)), ("enum_body", By(enum_body)),
    ("enum_assignment", By(enum_member)),
    ("internal_module", By(module)), ("module", By(module)), ("function_signature", Function),
    ("method_signature", Define(Method)), ("abstract_method_signature", Define(Method)),
    ("public_field_definition", By(field)), ("property_signature", By(property)),
    ("required_parameter", By(parameter)), ("optional_parameter", By(parameter)),
];

/// What a value makes of a name.
fn kind_of(value: Node<'_>) -> Option<SymbolKind> {
    match value.kind() {
        "arrow_function" | "function_expression" | "generator_function" => Some(SymbolKind::Function),
        "class" => Some(Class),
        _ => None,
    }
}

/// A value without what says more of its type, or gives it to others as well.
fn bare(mut value: Node<'_>) -> Node<'_> {
    loop {
        let inner = match value.kind() {
            "as_expression" | "satisfies_expression" | "parenthesized_expression" | "non_null_expression" => {
                value.named_child(0)
            }
            "assignment_expression" => value.child_by_field_name("right"),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return value,
        }
    }
}

/// Where the name of a member is: within the quotes, if it has some.
fn member_name(node: Node<'_>) -> Option<Span> {
    match node.kind() {
        "property_identifier" | "private_property_identifier" | "identifier" => Some(Span::of(node)),
        "string" => node.named_child(0).filter(|_| node.named_child_count() == 1).map(Span::of),
        _ => None,
    }
}

/// A class that is a value has the name of what holds it.
fn class(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let holder = node.parent().map(|parent| parent.kind());
    let is_held = matches!(
        holder,
        Some("variable_declarator" | "assignment_expression" | "pair" | "field_definition" | "public_field_definition")
    );
    match node.child_by_field_name("name").filter(|_| !is_held) {
        Some(name) => finder.define_at(Class, Span::of(name), node, depth),
        None if is_held => {}
        None => finder.enter(node, depth, "", Class),
    }
    true
}

fn method(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    match node.child_by_field_name("name").and_then(member_name) {
        Some(span) => finder.define_at(Method, span, node, depth),
        None => finder.enter(node, depth, "", Method),
    }
    true
}

/// A field of a class; one that holds a function is a method.
fn field(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let name = node.child_by_field_name("property").or_else(|| node.child_by_field_name("name"));
    let Some(span) = name.and_then(member_name) else { return true };
    let value = node.child_by_field_name("value").map(bare);
    match value.and_then(kind_of) {
        Some(SymbolKind::Function) => finder.define_at(Method, span, node, depth),
        Some(kind) => finder.define_at(kind, span, node, depth),
        None => {
            finder.define_at(Field, span, node, depth);
            enter_object(finder, value, span, node, depth);
        }
    }
    true
}

/// The functions in an object are methods of what holds it.
fn enter_object(finder: &mut Finder<'_>, value: Option<Node<'_>>, span: Span, node: Node<'_>, depth: u32) {
    if value.is_some_and(|value| value.kind() == "object") {
        let name = finder.text_at(span);
        finder.enter(node, depth, &name, Type);
    }
}

fn variable(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(name) = node.child_by_field_name("name") else { return true };
    if name.kind() != "identifier" {
        pattern(finder, name, depth);
        return true;
    }
    let (span, value) = (Span::of(name), node.child_by_field_name("value").map(bare));
    if let Some(kind) = value.and_then(kind_of) {
        finder.define_at(kind, span, node, depth);
    } else {
        finder.define_at(constant_or_variable(&finder.text_of(name)), span, node, depth);
        enter_object(finder, value, span, node, depth);
    }
    true
}

/// All names in `{ a, b: c, d = 1, ...rest }` and `[a, b]`.
fn pattern(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) {
    let mut nodes = vec![node];
    while let Some(node) = nodes.pop() {
        match node.kind() {
            "identifier" | "shorthand_property_identifier_pattern" => {
                let kind = constant_or_variable(&finder.text_of(node));
                finder.define_at(kind, Span::of(node), node, depth);
            }
            "pair_pattern" => nodes.extend(node.child_by_field_name("value")),
            "object_assignment_pattern" | "assignment_pattern" => nodes.extend(node.child_by_field_name("left")),
            "object_pattern" | "array_pattern" | "rest_pattern" => nodes.extend(children(node).into_iter().rev()),
            _ => {}
        }
    }
}

/// What is given a function, or a class, is defined by that.
fn assignment(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right")) else {
        return true;
    };
    let right = bare(right);
    let (object, span) = match left.kind() {
        "identifier" => (None, Some(Span::of(left))),
        "member_expression" => {
            (left.child_by_field_name("object"), left.child_by_field_name("property").and_then(member_name))
        }
        "subscript_expression" => (
            left.child_by_field_name("object"),
            left.child_by_field_name("index").filter(|i| i.kind() == "string").and_then(member_name),
        ),
        _ => (None, None),
    };
    let Some(span) = span else { return true };
    let is_module = finder.is(left, "module.exports");
    let owner = object.and_then(|object| owner(finder, object));
    match (kind_of(right), owner) {
        // It has no name but the file's.
        (Some(_), _) if is_module => {}
        (Some(kind), Some(owner)) => {
            // What a module exports is a function still.
            let kind = if kind == SymbolKind::Function && owner != "exports" { Method } else { kind };
            finder.define_in(&owner, kind, span, node, depth);
        }
        (Some(kind), None) => finder.define_at(kind, span, node, depth),
        (None, owner) => {
            let name = owner.filter(|_| finder.text_at(span) == "prototype");
            match name.filter(|_| right.kind() == "object") {
                Some(name) => finder.enter(node, depth, &name, Type),
                None => enter_object(finder, Some(right), span, node, depth),
            }
        }
    }
    true
}

/// What a member is given to: of `A.prototype` it is `A`; `this` is the class or function that one is in.
fn owner(finder: &Finder<'_>, object: Node<'_>) -> Option<String> {
    match object.kind() {
        "this" => finder.own_name(),
        "member_expression" => {
            let property = object.child_by_field_name("property")?;
            if finder.is(property, "prototype") {
                return owner(finder, object.child_by_field_name("object")?);
            }
            Some(finder.text_of(property))
        }
        "identifier" => Some(finder.text_of(object)),
        _ => None,
    }
}

/// A function in an object.
fn pair(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(span) = node.child_by_field_name("key").and_then(member_name) else { return true };
    let value = node.child_by_field_name("value").map(bare);
    match value.and_then(kind_of) {
        Some(SymbolKind::Function) => finder.define_at(Method, span, node, depth),
        Some(kind) => finder.define_at(kind, span, node, depth),
        None => enter_object(finder, value, span, node, depth),
    }
    true
}

/// Fields and methods of the type of an object are those of its name.
fn type_alias(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(name) = node.child_by_field_name("name") else { return true };
    finder.define_at(Type, Span::of(name), node, depth);
    let name = finder.text_of(name);
    finder.enter(node, depth, &name, Type);
    true
}

/// Members without a value; those with one are nodes of their own.
fn enum_body(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    for span in in_field(node, "name").into_iter().filter_map(member_name) {
        finder.define_at(EnumMember, span, node, depth);
    }
    true
}

fn enum_member(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    if let Some(span) = node.child_by_field_name("name").and_then(member_name) {
        finder.define_at(EnumMember, span, node, depth);
    }
    true
}

/// `a.b.c` is three of them.
fn module(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(name) = node.child_by_field_name("name") else { return true };
    if name.kind() == "string" {
        if let Some(span) = member_name(name) {
            finder.define_at(Module, span, node, depth);
        }
        return true;
    }
    let mut nodes = vec![name];
    while let Some(part) = nodes.pop() {
        match part.kind() {
            "nested_identifier" | "member_expression" => nodes.extend(children(part).into_iter().rev()),
            _ => finder.define_at(Module, Span::of(part), node, depth),
        }
    }
    true
}

/// A field of an interface or of the type of an object, where that has a name.
fn property(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let is_named = finder.scopes.last().and_then(|scope| scope.kind).is_some_and(SymbolKind::is_type);
    if let Some(span) = node.child_by_field_name("name").and_then(member_name).filter(|_| is_named) {
        finder.define_at(Field, span, node, depth);
    }
    true
}

/// A parameter of a constructor that is a field as well.
fn parameter(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    let is_field =
        ["accessibility_modifier", "override_modifier", "readonly"].iter().any(|kind| child_of(node, kind).is_some());
    let name = node.child_by_field_name("pattern").filter(|name| is_field && name.kind() == "identifier");
    if let Some(name) = name {
        finder.assigned_field(Span::of(name));
    }
    true
}
