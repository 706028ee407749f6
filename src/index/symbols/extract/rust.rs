//! Rust.

use tree_sitter::{Node, Point, Range};

use super::finder::{Finder, Span, children};
use super::rules::Rule::{Anonymous, By, Skip};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

#[rustfmt::skip]
pub(super) const TABLE: Table = &[
    ("mod_item", By(item)), ("struct_item", By(item)), ("union_item", By(item)),
    ("enum_item", By(item)), ("enum_variant", By(item)), ("trait_item", By(item)),
    ("impl_item", By(implementation)), ("function_item", By(item)), ("function_signature_item", By(item)),
    ("type_item", By(item)), ("associated_type", By(item)), ("const_item", By(item)),
    ("static_item", By(item)), ("macro_definition", By(item)), ("field_declaration", By(item)),
    ("macro_invocation", By(invocation)), ("token_tree", Skip), ("closure_expression", Anonymous),
];

/// What begins an item, and so a line of a macro's body that has some.
const ITEMS: [&str; 16] = [
    "pub ",
    "pub(",
    "fn ",
    "struct ",
    "enum ",
    "trait ",
    "mod ",
    "impl ",
    "impl<",
    "const ",
    "static ",
    "type ",
    "union ",
    "async fn ",
    "unsafe ",
    "extern ",
];

/// A raw name is found by what it names.
fn name_of(finder: &Finder<'_>, name: Node<'_>) -> Span {
    let is_raw = finder.text.get(name.start_byte()..).is_some_and(|text| text.starts_with(b"r#"));
    Span::of(name).without_first(if is_raw { 2 } else { 0 })
}

fn item(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let Some(name) = node.child_by_field_name("name") else { return true };
    let kind = match node.kind() {
        "mod_item" => Module,
        "struct_item" => Struct,
        "union_item" => Union,
        "enum_item" => Enum,
        "enum_variant" => EnumMember,
        "trait_item" => Interface,
        "type_item" | "associated_type" => Type,
        "const_item" => Constant,
        "static_item" => Variable,
        "macro_definition" => Macro,
        "field_declaration" => Field,
        _ => finder.function_kind(),
    };
    let name = name_of(finder, name);
    if matches!(kind, Constant | Variable) && finder.text_at(name) == "_" {
        return true;
    }
    // A constant of a type is none of its fields.
    finder.define_at(kind, name, node, depth);
    true
}

/// What is in it belongs to a type, which may have no name.
fn implementation(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let mut at = node.child_by_field_name("type");
    let mut name = String::new();
    while let Some(of) = at {
        at = match of.kind() {
            "type_identifier" | "primitive_type" => {
                name = finder.text_of(of);
                None
            }
            "generic_type" | "reference_type" | "pointer_type" => of.child_by_field_name("type"),
            "dynamic_type" => of.child_by_field_name("trait"),
            "scoped_type_identifier" => of.child_by_field_name("name"),
            _ => None,
        };
    }
    finder.enter(node, depth, &name, Type);
    true
}

/// `name! { … }` in place of an item has items, if some of its lines begin so.
fn invocation(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    if finder.scopes.iter().any(|scope| scope.kind.is_some_and(SymbolKind::is_function)) {
        return false;
    }
    if let Some(tree) = children(node).into_iter().find(|child| child.kind() == "token_tree") {
        items(finder, tree);
    }
    false
}

fn items(finder: &mut Finder<'_>, tree: Node<'_>) {
    let Some(text) = finder.text.get(tree.byte_range()).and_then(|text| text.strip_prefix(b"{")) else { return };
    let begins = |line: &[u8], words: &[&str]| words.iter().any(|word| line.starts_with(word.as_bytes()));
    if begins(text.trim_ascii_start(), &["if #["]) {
        // Each of its branches has some.
        children(tree).into_iter().for_each(|branch| items(finder, branch));
        return;
    }
    if !text.split(|byte| *byte == b'\n').any(|line| begins(line.trim_ascii_start(), &ITEMS)) {
        return;
    }
    let (start, end) = (tree.start_position(), tree.end_position());
    let range = Range {
        start_byte: tree.start_byte() + 1,
        end_byte: tree.end_byte().saturating_sub(1),
        start_point: Point { column: start.column + 1, ..start },
        end_point: Point { column: end.column.saturating_sub(1), ..end },
    };
    if range.start_byte < range.end_byte {
        finder.body(range);
    }
}

/// `macro name(…)` and `trait Name = …` aren't known to the grammar.
pub(super) fn unknown_item(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    let text = finder.text.get(node.start_byte()..).unwrap_or_default();
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return true };
    let mut rest = line;
    if let Some(public) = rest.strip_prefix("pub") {
        rest = public.trim_start();
        if let Some((_, behind)) = rest.strip_prefix('(').and_then(|inside| inside.split_once(')')) {
            rest = behind.trim_start();
        }
    }
    let (kind, rest) = match (rest.strip_prefix("macro "), rest.strip_prefix("trait ")) {
        (Some(rest), _) => (Macro, rest.trim_start()),
        (None, Some(rest)) => (Interface, rest.trim_start()),
        (None, None) => return true,
    };
    let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let behind = rest[length..].trim_start();
    let fits = match kind {
        Macro => behind.starts_with(['(', '{']),
        _ => behind.starts_with(['=', '<']) && behind.find('{').is_none(),
    };
    if fits {
        let start = node.start_byte() + line.len() - rest.len();
        finder.push(kind, Span::at(node, finder.text, start, length));
    }
    true
}
