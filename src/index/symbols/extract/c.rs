//! C and C++.

use memchr::memmem;
use tree_sitter::Node;

use super::finder::{Finder, STEPS, Span, children, in_field};
use super::rules::Rule::{By, Define, DefineIf, Function};
use super::rules::Table;
use crate::index::symbols::symbol::SymbolKind::{self, *};

#[rustfmt::skip]
pub(super) const C: Table = &[
    ("function_definition", Function), ("compound_statement", By(body)),
    ("struct_specifier", DefineIf(Struct, "body", "field_declaration_list")),
    ("union_specifier", DefineIf(Union, "body", "field_declaration_list")),
    ("enum_specifier", DefineIf(Enum, "body", "enumerator_list")), ("enumerator", Define(EnumMember)),
    ("type_definition", Define(Type)), ("preproc_def", Define(Macro)), ("preproc_function_def", Define(Macro)),
    ("declaration", By(declaration)), ("field_declaration", By(field)),
];

#[rustfmt::skip]
pub(super) const CPP: Table = &[
    ("namespace_definition", By(namespace)), ("namespace_alias_definition", Define(Module)),
    ("class_specifier", DefineIf(Class, "body", "field_declaration_list")),
    ("alias_declaration", Define(Type)), ("concept_definition", Define(Interface)),
    ("declaration", By(declaration_or_module)),
];

/// `a::b` is two of them.
fn namespace(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let mut nodes: Vec<_> = node.child_by_field_name("name").into_iter().collect();
    while let Some(part) = nodes.pop() {
        match part.kind() {
            "nested_namespace_specifier" => nodes.extend(children(part).into_iter().rev()),
            _ => finder.define_at(Module, Span::of(part), node, depth),
        }
    }
    true
}

/// `module name;` looks like a variable to the grammar, and `import name;` too.
fn declaration_or_module(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let word = node.child_by_field_name("type").filter(|word| word.kind() == "type_identifier");
    if word.is_some_and(|word| finder.is(word, "import")) {
        return false;
    }
    if word.is_some_and(|word| finder.is(word, "module")) {
        for name in in_field(node, "declarator").into_iter().filter(|name| name.kind() == "identifier") {
            finder.push(Module, Span::of(name));
        }
        return false;
    }
    declaration(finder, node, depth)
}

/// Variables with storage here, and functions that are declared.
fn declaration(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    let is_extern =
        children(node).iter().any(|child| child.kind() == "storage_class_specifier" && finder.is(*child, "extern"));
    for declarator in in_field(node, "declarator") {
        let is_initialised = declarator.kind() == "init_declarator";
        let value = declarator.child_by_field_name("value").filter(|_| is_initialised);
        if value.is_some_and(|value| value.kind() == "lambda_expression") {
            finder.define(SymbolKind::Function, Some(declarator), node, depth);
        } else if is_prototype(declarator) {
            // What the grammar doesn't understand looks like one.
            if !node.has_error() {
                finder.declare(declarator, node, depth);
            }
        } else if is_initialised || !is_extern {
            finder.define(Variable, Some(declarator), node, depth);
        }
    }
    true
}

/// A struct's fields, and what a class declares.
fn field(finder: &mut Finder<'_>, node: Node<'_>, depth: u32) -> bool {
    for declarator in in_field(node, "declarator") {
        if !is_prototype(declarator) {
            finder.define(Field, Some(declarator), node, depth);
        } else if !node.has_error() {
            finder.declare(declarator, node, depth);
        }
    }
    true
}

/// A function's body: nothing in it is anybody's business, but for macros, which are everybody's.
fn body(finder: &mut Finder<'_>, node: Node<'_>, _depth: u32) -> bool {
    let span = Span::of(node);
    let text = finder.bytes(span);
    let (mut row, mut counted) = (span.row, 0);
    for at in memmem::find_iter(text, b"define") {
        let line_start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
        let is_directive = text[line_start..at].trim_ascii() == b"#" && line_start > 0;
        let rest = &text[at + b"define".len()..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !is_directive || blanks == 0 {
            continue;
        }
        let length = rest[blanks..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        row += memchr::memchr_iter(b'\n', &text[counted..line_start]).count();
        counted = line_start;
        let start = span.start + at + b"define".len() + blanks;
        finder.push(Macro, Span { start, end: start + length, row, line_start: span.start + line_start });
    }
    false
}

/// `operator bool`, without what follows.
pub(super) fn operator_cast(finder: &Finder<'_>, node: Node<'_>) -> Span {
    let span = Span::of(node);
    let typed = node.child_by_field_name("type").map_or(span.start, |kind| kind.end_byte());
    let rest = finder.bytes(Span { start: typed, ..span });
    let more = memchr::memchr(b'(', rest).map_or(0, |end| rest[..end].trim_ascii_end().len());
    span.first(typed + more - span.start)
}

/// Whether a declarator declares a function, and not a pointer to one.
fn is_prototype(declarator: Node<'_>) -> bool {
    let mut at = declarator;
    for _ in 0..STEPS {
        match at.kind() {
            "operator_cast" => return true,
            "function_declarator" => {
                let inner = at.child_by_field_name("declarator");
                return inner.is_none_or(|inner| inner.kind() != "parenthesized_declarator");
            }
            _ => {}
        }
        match at.child_by_field_name("declarator").or_else(|| at.child_by_field_name("name")) {
            Some(inner) => at = inner,
            None => return false,
        }
    }
    false
}

/// Whether it is a word that no definition can be named by: the grammar took one for a name where it didn't understand.
pub(super) fn is_keyword(name: &str) -> bool {
    #[rustfmt::skip]
    const KEYWORDS: &[&str] = &[
        "alignas", "alignof", "asm", "auto", "bool", "break", "case", "catch", "char", "class", "const",
        "const_cast", "constexpr", "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast",
        "else", "enum", "explicit", "export", "extern", "float", "for", "friend", "goto", "if", "inline", "int",
        "long", "mutable", "namespace", "new", "noexcept", "operator", "private", "protected", "public", "register",
        "reinterpret_cast", "restrict", "return", "short", "signed", "sizeof", "static", "static_assert",
        "static_cast", "struct", "switch", "template", "this", "throw", "try", "typedef", "typeid", "typename",
        "union", "unsigned", "using", "virtual", "void", "volatile", "while",
    ];
    KEYWORDS.binary_search(&name).is_ok()
}
