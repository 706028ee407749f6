//! What is to be done with the nodes of each language.
//!
//! A table names the kinds of nodes that matter, instead of a tags query: over a large C tree the query takes a third as
//! long again as the parser, a walk that leaves function bodies out a twentieth.

use std::sync::OnceLock;

use tree_sitter::{Language as Grammar, Node};

use super::finder::Finder;
use super::{bash, c, csharp, go, java, javascript, lua, markdown, php, python, ruby, rust};
use crate::index::symbols::language::{Concrete, Language};
use crate::index::symbols::symbol::SymbolKind;

/// What a language's own form needs. It gives whether what is in the node is to be looked at.
pub(super) type Form = fn(&mut Finder<'_>, Node<'_>, u32) -> bool;

/// What is to be done with a kind of node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// It defines what its name says.
    Define(SymbolKind),
    /// It defines what its name says if this field holds this kind of node, and is descended into otherwise.
    DefineIf(SymbolKind, &'static str, &'static str),
    /// It defines a method inside a type, elsewhere a function.
    Function,
    /// It is a function without a name: what is in it is its own.
    Anonymous,
    /// A form of this language alone.
    By(Form),
    /// What is in it is nobody's business.
    Skip,
}

/// The kinds of nodes of a language that matter.
pub(super) type Table = &'static [(&'static str, Rule)];

/// A language ready to be parsed.
pub(in crate::index::symbols) struct Prepared {
    pub(in crate::index::symbols) grammar: Grammar,
    /// What is to be done with a node, by the number of its kind.
    rules: Vec<Option<Rule>>,
    /// What is to be done where the grammar doesn't know what stands there.
    pub(super) on_error: Option<Form>,
    /// Names that are none.
    pub(super) is_no_name: fn(&str) -> bool,
    /// Whether a module has methods, as a type has.
    pub(super) modules_are_types: bool,
}

impl Prepared {
    fn new(grammar: Grammar, tables: &[Table]) -> Prepared {
        let mut rules = vec![None; grammar.node_kind_count()];
        for (kind, rule) in tables.iter().copied().flatten() {
            let number = usize::from(grammar.id_for_node_kind(kind, true));
            if let Some(place) = rules.get_mut(number).filter(|_| number != 0) {
                *place = Some(*rule);
            }
        }
        Prepared { grammar, rules, on_error: None, is_no_name: |_| false, modules_are_types: false }
    }

    /// What is to be done with a node of this kind.
    pub(super) fn rule(&self, kind: u16) -> Option<Rule> {
        // An error has a number beyond all kinds.
        self.rules.get(usize::from(kind)).copied().flatten()
    }

    /// The grammar and rules of a language.
    pub(in crate::index::symbols) fn of(language: Concrete) -> &'static Prepared {
        static PREPARED: [OnceLock<Prepared>; Language::COUNT] = [const { OnceLock::new() }; Language::COUNT];
        let language = language.language();
        PREPARED[language as usize].get_or_init(|| match language {
            Language::Cpp => Prepared {
                is_no_name: c::is_keyword,
                ..Prepared::new(tree_sitter_cpp::LANGUAGE.into(), &[c::C, c::CPP])
            },
            Language::Rust => Prepared {
                is_no_name: |name| name == "_",
                on_error: Some(rust::unknown_item),
                ..Prepared::new(tree_sitter_rust::LANGUAGE.into(), &[rust::TABLE])
            },
            Language::Go => Prepared {
                is_no_name: |name| name == "_",
                ..Prepared::new(tree_sitter_go::LANGUAGE.into(), &[go::TABLE])
            },
            Language::Python => Prepared::new(tree_sitter_python::LANGUAGE.into(), &[python::TABLE]),
            Language::JavaScript => Prepared::new(tree_sitter_javascript::LANGUAGE.into(), &[javascript::JAVASCRIPT]),
            Language::TypeScript => Prepared::new(
                tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
                &[javascript::JAVASCRIPT, javascript::TYPESCRIPT],
            ),
            Language::Tsx => Prepared::new(
                tree_sitter_typescript::LANGUAGE_TSX.into(),
                &[javascript::JAVASCRIPT, javascript::TYPESCRIPT],
            ),
            Language::Java => Prepared::new(tree_sitter_java::LANGUAGE.into(), &[java::TABLE]),
            Language::CSharp => Prepared::new(tree_sitter_c_sharp::LANGUAGE.into(), &[csharp::TABLE]),
            Language::Ruby => {
                Prepared { modules_are_types: true, ..Prepared::new(tree_sitter_ruby::LANGUAGE.into(), &[ruby::TABLE]) }
            }
            Language::Php => Prepared::new(tree_sitter_php::LANGUAGE_PHP.into(), &[php::TABLE]),
            Language::Lua => Prepared::new(tree_sitter_lua::LANGUAGE.into(), &[lua::TABLE]),
            Language::Bash => Prepared::new(tree_sitter_bash::LANGUAGE.into(), &[bash::TABLE]),
            Language::Markdown => Prepared::new(tree_sitter_md::LANGUAGE.into(), &[markdown::TABLE]),
            Language::C | Language::Header | Language::Script | Language::Include => {
                Prepared { is_no_name: c::is_keyword, ..Prepared::new(tree_sitter_c::LANGUAGE.into(), &[c::C]) }
            }
        })
    }
}
