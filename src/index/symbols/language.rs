//! Which languages are parsed, and which of their nodes are definitions.
//!
//! A table names the kinds of nodes that matter, instead of a tags query: over a large C tree the query takes a third as
//! long again as the parser, a walk that leaves function bodies out a twentieth.

use std::sync::OnceLock;

use tree_sitter::Language as Grammar;

use super::symbol::SymbolKind::{self, *};

/// A language, by the way its files are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "their names say all")]
pub enum Language {
    C,
    /// A header, which is C or C++.
    Header,
    Cpp,
    Rust,
    Go,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Java,
    CSharp,
    Ruby,
    Php,
    Lua,
    Bash,
    Markdown,
}

/// What is to be done with a kind of node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// It defines what its name says.
    Define(SymbolKind),
    /// It defines a method inside a type, elsewhere a function.
    Function,
    /// What is in it belongs to what this field names, but it defines nothing itself.
    Scope(&'static str),
    /// It defines what its name says if this field holds one of these kinds of nodes, and is descended into otherwise.
    DefineIf(SymbolKind, &'static str, &'static [&'static str]),
    /// It lists the values of an enumeration, some as bare names.
    Members,
    /// C's `declaration`: variables, unless they are declared elsewhere, and no prototypes.
    Declaration,
    /// Go's `type_spec`: what its type says.
    TypeSpec,
    /// A variable that is assigned: a constant by its capitals, a function if that is its value.
    Assign { name: &'static str, value: &'static str },
    /// What is in it is nobody's business.
    Skip,
}

use Rule::{Assign, Declaration, Define, DefineIf, Function, Members, Scope, Skip, TypeSpec};

#[rustfmt::skip]
const C: &[(&str, Rule)] = &[
    ("function_definition", Function), ("compound_statement", Skip),
    ("struct_specifier", DefineIf(Struct, "body", &["field_declaration_list"])),
    ("union_specifier", DefineIf(Union, "body", &["field_declaration_list"])),
    ("enum_specifier", DefineIf(Enum, "body", &["enumerator_list"])), ("enumerator", Define(EnumMember)),
    ("type_definition", Define(Type)), ("preproc_def", Define(Macro)), ("preproc_function_def", Define(Macro)),
    ("declaration", Declaration),
];

#[rustfmt::skip]
const CPP: &[(&str, Rule)] = &[
    ("namespace_definition", Define(Module)),
    ("class_specifier", DefineIf(Class, "body", &["field_declaration_list"])),
    ("alias_declaration", Define(Type)), ("concept_definition", Define(Interface)),
];

#[rustfmt::skip]
const RUST: &[(&str, Rule)] = &[
    ("mod_item", Define(Module)), ("struct_item", Define(Struct)), ("union_item", Define(Union)),
    ("enum_item", Define(Enum)), ("enum_variant", Define(EnumMember)), ("trait_item", Define(Interface)),
    ("impl_item", Scope("type")), ("function_item", Function), ("function_signature_item", Function),
    ("type_item", Define(Type)), ("associated_type", Define(Type)), ("const_item", Define(Constant)),
    ("static_item", Define(Variable)), ("macro_definition", Define(Macro)), ("token_tree", Skip),
];

#[rustfmt::skip]
const GO: &[(&str, Rule)] = &[
    ("function_declaration", Function), ("method_declaration", Define(Method)), ("type_spec", TypeSpec),
    ("type_alias", Define(Type)), ("const_spec", Define(Constant)), ("var_spec", Define(Variable)),
    ("method_elem", Define(Method)),
];

#[rustfmt::skip]
const PYTHON: &[(&str, Rule)] = &[
    ("class_definition", Define(Class)), ("function_definition", Function),
    ("assignment", Assign { name: "left", value: "right" }), ("type_alias_statement", Define(Type)),
];

#[rustfmt::skip]
const JAVASCRIPT: &[(&str, Rule)] = &[
    ("function_declaration", Function), ("generator_function_declaration", Function), ("class_declaration", Define(Class)),
    ("class", Define(Class)), ("method_definition", Define(Method)), ("field_definition", DefineIf(Field, "property", &["property_identifier"])),
    ("variable_declarator", Assign { name: "name", value: "value" }),
];

#[rustfmt::skip]
const TYPESCRIPT: &[(&str, Rule)] = &[
    ("abstract_class_declaration", Define(Class)), ("interface_declaration", Define(Interface)),
    ("type_alias_declaration", Define(Type)), ("enum_declaration", Define(Enum)), ("enum_body", Members), ("enum_assignment", Define(EnumMember)),
    ("internal_module", Define(Module)), ("module", Define(Module)), ("function_signature", Function),
    ("method_signature", Define(Method)), ("abstract_method_signature", Define(Method)),
    ("public_field_definition", Define(Field)),
];

#[rustfmt::skip]
const JAVA: &[(&str, Rule)] = &[
    ("class_declaration", Define(Class)), ("interface_declaration", Define(Interface)), ("enum_declaration", Define(Enum)),
    ("record_declaration", Define(Struct)), ("annotation_type_declaration", Define(Interface)),
    ("method_declaration", Define(Method)), ("constructor_declaration", Define(Method)),
    ("enum_constant", Define(EnumMember)), ("variable_declarator", Define(Field)),
    ("block", Skip),
];

#[rustfmt::skip]
const CSHARP: &[(&str, Rule)] = &[
    ("namespace_declaration", Define(Module)), ("file_scoped_namespace_declaration", Define(Module)),
    ("class_declaration", Define(Class)), ("struct_declaration", Define(Struct)), ("record_declaration", Define(Struct)),
    ("interface_declaration", Define(Interface)), ("enum_declaration", Define(Enum)),
    ("enum_member_declaration", Define(EnumMember)), ("delegate_declaration", Define(Type)),
    ("method_declaration", Define(Method)), ("constructor_declaration", Define(Method)),
    ("property_declaration", Define(Field)), ("variable_declarator", Define(Field)), ("block", Skip),
];

#[rustfmt::skip]
const RUBY: &[(&str, Rule)] = &[
    ("module", Define(Module)), ("class", Define(Class)), ("method", Function), ("singleton_method", Define(Method)),
    ("assignment", DefineIf(Constant, "left", &["constant"])),
];

#[rustfmt::skip]
const PHP: &[(&str, Rule)] = &[
    ("namespace_definition", Define(Module)), ("class_declaration", Define(Class)),
    ("interface_declaration", Define(Interface)), ("trait_declaration", Define(Interface)),
    ("enum_declaration", Define(Enum)), ("enum_case", Define(EnumMember)), ("function_definition", Function),
    ("method_declaration", Define(Method)), ("const_element", Define(Constant)), ("property_element", Define(Field)),
];

#[rustfmt::skip]
const LUA: &[(&str, Rule)] = &[
    ("function_declaration", Function), ("assignment_statement", Assign { name: "", value: "" }),
];

const BASH: &[(&str, Rule)] = &[("function_definition", Function)];

const MARKDOWN: &[(&str, Rule)] =
    &[("atx_heading", Define(Heading)), ("setext_heading", Define(Heading)), ("fenced_code_block", Skip)];

/// A language ready to be parsed.
pub(super) struct Prepared {
    pub(super) grammar: Grammar,
    /// What is to be done with a node, by the number of its kind.
    rules: Vec<Option<Rule>>,
}

impl Prepared {
    fn new(grammar: Grammar, tables: &[&[(&str, Rule)]]) -> Prepared {
        let mut rules = vec![None; grammar.node_kind_count()];
        for (kind, rule) in tables.iter().copied().flatten() {
            let number = usize::from(grammar.id_for_node_kind(kind, true));
            if let Some(place) = rules.get_mut(number).filter(|_| number != 0) {
                *place = Some(*rule);
            }
        }
        Prepared { grammar, rules }
    }

    /// What is to be done with a node of this kind.
    pub(super) fn rule(&self, kind: u16) -> Option<Rule> {
        // An error has a number beyond all kinds.
        self.rules.get(usize::from(kind)).copied().flatten()
    }
}

impl Language {
    /// The language of a file, by the end of its name.
    pub fn of(path: &[u8]) -> Option<Language> {
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        Some(match &name[dot + 1..] {
            b"c" => Language::C,
            b"h" => Language::Header,
            b"cc" | b"cpp" | b"cxx" | b"c++" | b"hh" | b"hpp" | b"hxx" | b"h++" | b"ipp" | b"inl" | b"cu" | b"cuh"
            | b"C" | b"H" => Language::Cpp,
            b"rs" => Language::Rust,
            b"go" => Language::Go,
            b"py" | b"pyi" | b"pyw" => Language::Python,
            b"js" | b"mjs" | b"cjs" | b"jsx" => Language::JavaScript,
            b"ts" | b"mts" | b"cts" => Language::TypeScript,
            b"tsx" => Language::Tsx,
            b"java" => Language::Java,
            b"cs" => Language::CSharp,
            b"rb" | b"rake" | b"gemspec" => Language::Ruby,
            b"php" => Language::Php,
            b"lua" => Language::Lua,
            b"sh" | b"bash" | b"bats" => Language::Bash,
            b"md" | b"markdown" => Language::Markdown,
            _ => return None,
        })
    }

    pub(super) fn from_number(number: u8) -> Option<Language> {
        use Language::*;
        const ALL: [Language; 16] = [
            C, Header, Cpp, Rust, Go, Python, JavaScript, TypeScript, Tsx, Java, CSharp, Ruby, Php, Lua, Bash, Markdown,
        ];
        ALL.get(usize::from(number)).copied()
    }

    /// The grammar and rules for a text of this language.
    pub(super) fn prepared(self, text: &[u8]) -> &'static Prepared {
        static PREPARED: [OnceLock<Prepared>; 16] = [const { OnceLock::new() }; 16];
        let language = match self {
            Language::Header if is_cpp(text) => Language::Cpp,
            Language::Header => Language::C,
            other => other,
        };
        PREPARED[language as usize].get_or_init(|| match language {
            Language::C | Language::Header => Prepared::new(tree_sitter_c::LANGUAGE.into(), &[C]),
            Language::Cpp => Prepared::new(tree_sitter_cpp::LANGUAGE.into(), &[C, CPP]),
            Language::Rust => Prepared::new(tree_sitter_rust::LANGUAGE.into(), &[RUST]),
            Language::Go => Prepared::new(tree_sitter_go::LANGUAGE.into(), &[GO]),
            Language::Python => Prepared::new(tree_sitter_python::LANGUAGE.into(), &[PYTHON]),
            Language::JavaScript => Prepared::new(tree_sitter_javascript::LANGUAGE.into(), &[JAVASCRIPT]),
            Language::TypeScript => {
                Prepared::new(tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(), &[JAVASCRIPT, TYPESCRIPT])
            }
            Language::Tsx => Prepared::new(tree_sitter_typescript::LANGUAGE_TSX.into(), &[JAVASCRIPT, TYPESCRIPT]),
            Language::Java => Prepared::new(tree_sitter_java::LANGUAGE.into(), &[JAVA]),
            Language::CSharp => Prepared::new(tree_sitter_c_sharp::LANGUAGE.into(), &[CSHARP]),
            Language::Ruby => Prepared::new(tree_sitter_ruby::LANGUAGE.into(), &[RUBY]),
            Language::Php => Prepared::new(tree_sitter_php::LANGUAGE_PHP.into(), &[PHP]),
            Language::Lua => Prepared::new(tree_sitter_lua::LANGUAGE.into(), &[LUA]),
            Language::Bash => Prepared::new(tree_sitter_bash::LANGUAGE.into(), &[BASH]),
            Language::Markdown => Prepared::new(tree_sitter_md::LANGUAGE.into(), &[MARKDOWN]),
        })
    }
}

/// Whether a header has lines that only C++ has.
fn is_cpp(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        [&b"class "[..], b"namespace ", b"template<", b"template <", b"public:", b"private:", b"using "]
            .iter()
            .any(|start| line.starts_with(start))
    })
}
