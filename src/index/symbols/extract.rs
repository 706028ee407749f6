//! The definitions in a text.

mod macros;

use std::ops::ControlFlow;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tree_sitter::{Node, ParseOptions, Parser};

use super::column::{Columns, saturate};
use super::language::{Language, Prepared, Rule};
use super::symbol::{Symbol, SymbolKind};
use crate::index::returns::lone_returns;

/// Larger texts aren't parsed, bytes: a tree takes up to sixty times the memory of its text, and half a text would have
/// symbols that it hasn't. Those of people are far below that.
pub const LARGEST_PARSED: u64 = 4 << 20;
/// Of texts that are larger than this, bytes, one is parsed at a time.
const LARGE: usize = 512 << 10;
/// Whose turn that is.
static PARSING_LARGE: Mutex<()> = Mutex::new(());
/// A text that takes longer is given up: grammars are slow on some that aren't of their language at all. The largest takes
/// about a second.
const LONGEST: Duration = Duration::from_secs(4);
/// A text that defines more is given up.
pub(super) const MOST_SYMBOLS: usize = 1 << 17;
/// Longest that the parser works between two looks at the clock.
const STEP: Duration = Duration::from_millis(10);
/// Longer names are cut, bytes.
pub(super) const LONGEST_NAME: usize = 200;
/// Of longer texts the beginning is looked at for a name, bytes.
const LONGEST_TEXT: usize = 4 * LONGEST_NAME;
/// Steps from a definition to its name; declarators nest.
const STEPS: usize = 24;

/// Finds definitions. It keeps a parser, so that many texts cost less.
pub struct Extractor {
    parser: Parser,
}

impl Default for Extractor {
    fn default() -> Extractor {
        Extractor { parser: Parser::new() }
    }
}

/// Why there are no symbols of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It was cancelled.
    Cancelled,
    /// It is too large, takes too long, or defines too much.
    TooMuch,
}

impl Extractor {
    /// The definitions in `text`, in the order they stand there.
    ///
    /// # Errors
    /// When it was cancelled, or isn't parsed for what it would take.
    pub fn symbols(
        &mut self,
        language: Language,
        text: &[u8],
        cancel: &CancellationToken,
    ) -> Result<Vec<Symbol>, Unfinished> {
        if text.len() as u64 > LARGEST_PARSED {
            return Err(Unfinished::TooMuch);
        }
        if matches!(language, Language::C | Language::Header | Language::Cpp)
            && let Some(found) = macros::macros(text)
        {
            return if found.len() > MOST_SYMBOLS { Err(Unfinished::TooMuch) } else { Ok(found) };
        }
        let turn = (text.len() > LARGE).then(|| PARSING_LARGE.lock());
        let mut found = self.parsed(language, text, cancel)?;
        drop(turn);
        found.sort_by_key(|symbol| (symbol.line, symbol.column.utf8));
        Ok(found)
    }

    /// The same, as the grammar finds them.
    fn parsed(
        &mut self,
        language: Language,
        text: &[u8],
        cancel: &CancellationToken,
    ) -> Result<Vec<Symbol>, Unfinished> {
        let prepared = language.prepared(text);
        if let Err(error) = self.parser.set_language(&prepared.grammar) {
            tracing::error!(?language, %error, "a grammar can't be used");
            return Ok(Vec::new());
        }
        let mut clock = Clock { cancel, before: Instant::now(), spent: Duration::ZERO };
        let mut stop = |_: &tree_sitter::ParseState| match clock.go_on() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let options = ParseOptions::new().progress_callback(&mut stop);
        let tree = self.parser.parse_with_options(&mut |at, _| text.get(at..).unwrap_or_default(), None, Some(options));
        let Some(tree) = tree else {
            // It would go on where it stopped.
            self.parser.reset();
            return Err(clock.go_on().err().unwrap_or(Unfinished::TooMuch));
        };
        let returns = lone_returns(text).collect();
        let columns = Columns::of_line(text, 0);
        let mut finder = Finder { prepared, text, returns, scopes: Vec::new(), found: Vec::new(), columns };
        finder.walk(tree.root_node(), &mut clock)?;
        Ok(finder.found)
    }
}

/// How long a text may take.
struct Clock<'a> {
    cancel: &'a CancellationToken,
    before: Instant,
    spent: Duration,
}

impl Clock<'_> {
    /// To be asked every few milliseconds.
    fn go_on(&mut self) -> Result<(), Unfinished> {
        // Time in which this thread wasn't let run isn't the text's: what is kept of it mustn't depend on that.
        let now = Instant::now();
        self.spent += (now - self.before).min(STEP);
        self.before = now;
        match () {
            () if self.cancel.is_cancelled() => Err(Unfinished::Cancelled),
            () if self.spent > LONGEST => Err(Unfinished::TooMuch),
            () => Ok(()),
        }
    }
}

/// What encloses the node that is being looked at.
struct Enclosing {
    /// How deep in the tree it is.
    depth: u32,
    name: String,
    kind: Option<SymbolKind>,
    /// A heading's level; 0 for all else.
    heading: u32,
}

struct Finder<'a> {
    prepared: &'static Prepared,
    text: &'a [u8],
    /// Where lines end that do so for editors only.
    returns: Vec<usize>,
    scopes: Vec<Enclosing>,
    found: Vec<Symbol>,
    /// Of the line of the last one.
    columns: Columns<'a>,
}

impl Finder<'_> {
    fn walk(&mut self, root: Node<'_>, clock: &mut Clock<'_>) -> Result<(), Unfinished> {
        let mut cursor = root.walk();
        let mut visited = 0_u32;
        loop {
            visited = visited.wrapping_add(1);
            if visited.is_multiple_of(1 << 12) {
                clock.go_on()?;
            }
            if self.found.len() > MOST_SYMBOLS {
                return Err(Unfinished::TooMuch);
            }
            let node = cursor.node();
            let rule = if node.is_named() { self.prepared.rule(node.kind_id()) } else { None };
            let descend = match rule {
                None => true,
                Some(rule) => self.apply(rule, node, cursor.depth()),
            };
            if descend && cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return Ok(());
                }
            }
            let depth = cursor.depth();
            while self.scopes.last().is_some_and(|scope| scope.depth >= depth) {
                self.scopes.pop();
            }
        }
    }

    /// Takes note of a node; gives whether what is in it is to be looked at.
    fn apply(&mut self, rule: Rule, node: Node<'_>, depth: u32) -> bool {
        match rule {
            Rule::Skip => return false,
            Rule::Define(SymbolKind::Heading) => self.heading(node),
            Rule::Define(kind) => {
                // Go and C name several at once.
                let mut cursor = node.walk();
                let names: Vec<_> = match node.child_by_field_name("declarator") {
                    None => node.children_by_field_name("name", &mut cursor).collect(),
                    Some(_) => node.children_by_field_name("declarator", &mut cursor).collect(),
                };
                if names.is_empty() {
                    let is_name = |node: &Node<'_>| matches!(node.kind(), "name" | "variable_name" | "type");
                    self.define(kind, node.named_child(0).filter(is_name), node, depth);
                }
                for name in names.into_iter().filter(Node::is_named) {
                    self.define(kind, Some(name), node, depth);
                }
            }
            Rule::Function => {
                let name = node.child_by_field_name("name").or_else(|| node.child_by_field_name("declarator"));
                let inside = self.scopes.last().and_then(|scope| scope.kind);
                let is_method = inside.is_some_and(SymbolKind::is_type);
                self.define(if is_method { SymbolKind::Method } else { SymbolKind::Function }, name, node, depth);
            }
            Rule::Scope(field) => {
                if let Some(name) = node.child_by_field_name(field).and_then(|named| self.name(named)) {
                    self.scopes.push(Enclosing {
                        depth,
                        name: self.text_of(name),
                        kind: Some(SymbolKind::Type),
                        heading: 0,
                    });
                }
            }
            Rule::DefineIf(kind, field, kinds) => {
                if let Some(value) = node.child_by_field_name(field).filter(|value| kinds.contains(&value.kind())) {
                    let name = node.child_by_field_name("name").unwrap_or(value);
                    // Without a name the body would pass for one.
                    if node.child_by_field_name("name").is_some() || field != "body" {
                        self.define(kind, Some(name), node, depth);
                    }
                }
            }
            Rule::Members => {
                let mut cursor = node.walk();
                let names: Vec<_> = node.children_by_field_name("name", &mut cursor).collect();
                for name in names {
                    self.define(SymbolKind::EnumMember, Some(name), node, depth);
                }
            }
            Rule::Declaration => self.declaration(node, depth),
            Rule::TypeSpec => {
                let kind = match node.child_by_field_name("type").map(|node| node.kind()) {
                    Some("struct_type") => SymbolKind::Struct,
                    Some("interface_type") => SymbolKind::Interface,
                    _ => SymbolKind::Type,
                };
                self.define(kind, node.child_by_field_name("name"), node, depth);
            }
            Rule::Assign { name, value } => self.assign(node, name, value, depth),
        }
        true
    }

    /// Variables of C and C++: those with storage here, and no prototypes.
    fn declaration(&mut self, node: Node<'_>, depth: u32) {
        let mut cursor = node.walk();
        let is_extern = node
            .children(&mut cursor)
            .any(|child| child.kind() == "storage_class_specifier" && self.text_of(child) == "extern");
        let declarators: Vec<_> = node.children_by_field_name("declarator", &mut cursor).collect();
        for declarator in declarators {
            let is_initialised = declarator.kind() == "init_declarator";
            if (is_initialised || !is_extern) && !is_prototype(declarator) {
                self.define(SymbolKind::Variable, Some(declarator), node, depth);
            }
        }
    }

    fn assign(&mut self, node: Node<'_>, name: &str, value: &str, depth: u32) {
        // Lua's lists have no field names; their first elements are looked at.
        let side = |field: &str, at: u32| match field {
            "" => node.named_child(at).and_then(|list| list.named_child(0)),
            field => node.child_by_field_name(field),
        };
        let Some(name) = side(name, 0) else { return };
        let value = side(value, 1);
        let is_function = value.is_some_and(|value| {
            let kind = value.kind();
            kind == "arrow_function"
                || kind.starts_with("function_")
                || kind.starts_with("generator_function")
                || kind == "lambda"
        });
        if is_function {
            self.define(SymbolKind::Function, Some(name), node, depth);
        } else if matches!(name.kind(), "identifier") && node.kind() != "assignment_statement" {
            let is_constant = self
                .text_of(name)
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            self.define(if is_constant { SymbolKind::Constant } else { SymbolKind::Variable }, Some(name), node, depth);
        }
    }

    /// A heading, which is in the last one before it of a higher level. The tree nests only some kinds of headings so.
    fn heading(&mut self, node: Node<'_>) {
        let level =
            (0..node.child_count() as u32).filter_map(|at| node.child(at)).find_map(|child| match child.kind() {
                "setext_h1_underline" => Some(1),
                "setext_h2_underline" => Some(2),
                kind => kind.strip_prefix("atx_h")?.get(..1)?.parse().ok(),
            });
        let (Some(level), Some(content)) = (level, node.child_by_field_name("heading_content")) else { return };
        let text = self.text_of(content);
        let before = text.len() - text.trim_start().len();
        let Some(name) = text.trim().lines().next() else { return };
        while self.scopes.last().is_some_and(|scope| scope.heading >= level) {
            self.scopes.pop();
        }
        self.push(name.to_owned(), SymbolKind::Heading, content, before);
        self.scopes.push(Enclosing { depth: 0, name: name.to_owned(), kind: None, heading: level });
    }

    fn define(&mut self, kind: SymbolKind, named: Option<Node<'_>>, node: Node<'_>, depth: u32) {
        let Some(name) = named.and_then(|named| self.name(named)) else { return };
        let is_function = |kind| matches!(kind, Some(SymbolKind::Function | SymbolKind::Method));
        if kind.is_data() && self.scopes.iter().any(|scope| is_function(scope.kind)) {
            return;
        }
        let text = self.text_of(name);
        if text.is_empty() {
            return;
        }
        let kind = match (kind, self.scopes.last().and_then(|scope| scope.kind)) {
            (SymbolKind::Variable, Some(inside)) if inside.is_type() => SymbolKind::Field,
            (kind, _) => kind,
        };
        let outer = self.outer_name(named, node);
        let scopes = self.scopes.len();
        if let Some(outer) = outer {
            self.scopes.push(Enclosing { depth, name: outer, kind: Some(SymbolKind::Type), heading: 0 });
        }
        let kind = if self.scopes.len() > scopes && kind == SymbolKind::Function { SymbolKind::Method } else { kind };
        self.push(text.clone(), kind, name, 0);
        self.scopes.truncate(scopes);
        if !matches!(kind, SymbolKind::EnumMember | SymbolKind::Macro | SymbolKind::Type) && !kind.is_data() {
            self.scopes.push(Enclosing { depth, name: text, kind: Some(kind), heading: 0 });
        }
    }

    /// The type that a definition outside it names: `Type::method`, or Go's receiver.
    fn outer_name(&self, named: Option<Node<'_>>, node: Node<'_>) -> Option<String> {
        if let Some(receiver) = node.child_by_field_name("receiver") {
            return self.first_of(receiver, &["type_identifier"]);
        }
        let mut at = named?;
        for _ in 0..STEPS {
            if let Some(scope) = at.child_by_field_name("scope") {
                // Of `a::B::f` the nearest.
                if let Some(inner) = at.child_by_field_name("name").filter(|n| n.child_by_field_name("scope").is_some())
                {
                    at = inner;
                    continue;
                }
                return self.name(scope).map(|name| self.text_of(name)).filter(|name| !name.is_empty());
            }
            match at.kind() {
                "dot_index_expression" | "method_index_expression" => {
                    return at.child_by_field_name("table").map(|table| self.text_of(table));
                }
                _ => at = at.child_by_field_name("declarator")?,
            }
        }
        None
    }

    /// The first node of one of these kinds in `node`.
    fn first_of(&self, node: Node<'_>, kinds: &[&str]) -> Option<String> {
        let mut cursor = node.walk();
        let end = node.end_byte();
        loop {
            let here = cursor.node();
            if here.start_byte() >= end && here != node {
                return None;
            }
            if kinds.contains(&here.kind()) {
                return Some(self.text_of(here));
            }
            if cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return None;
                }
            }
        }
    }

    /// The node that is a name alone, from one that declares it.
    fn name<'t>(&self, node: Node<'t>) -> Option<Node<'t>> {
        let mut at = node;
        for _ in 0..STEPS {
            if at.named_child_count() == 0 {
                return Some(at);
            }
            at = match at.kind() {
                "destructor_name" | "operator_name" | "private_property_identifier" | "variable_name" => {
                    return Some(at);
                }
                // Of `Type<T>` the type; of brackets what they hold.
                "generic_type" | "template_type" | "template_function" | "template_method" => {
                    at.child_by_field_name("type").or_else(|| at.child_by_field_name("name"))?
                }
                "dot_index_expression" => at.child_by_field_name("field")?,
                "method_index_expression" => at.child_by_field_name("method")?,
                _ => at
                    .child_by_field_name("declarator")
                    .or_else(|| at.child_by_field_name("name"))
                    .or_else(|| at.named_child(at.named_child_count() as u32 - 1))?,
            };
        }
        None
    }

    /// Takes note of a name, which begins so many bytes into `node`.
    fn push(&mut self, name: String, kind: SymbolKind, node: Node<'_>, into: usize) {
        let (start, position) = (node.start_byte() + into, node.start_position());
        let line_start = node.start_byte().saturating_sub(position.column);
        // Lines are those of editors.
        let returns = self.returns.partition_point(|at| *at < start);
        let behind_return = returns.checked_sub(1).map_or(0, |last| self.returns[last] + 1);
        let (row, line_start) = (position.row + returns, line_start.max(behind_return));
        // Counted on from the one before: a line may be the whole text.
        if !self.columns.is_ahead(line_start, start) {
            self.columns = Columns::of_line(self.text, line_start);
        }
        let column = self.columns.at(start);
        let container = self.scopes.last().map(|scope| cut(scope.name.clone())).unwrap_or_default();
        self.found.push(Symbol { name: cut(name), kind, line: saturate(row), column, container });
    }

    fn text_of(&self, node: Node<'_>) -> String {
        let bytes = self.text.get(node.byte_range()).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]).into_owned()
    }
}

fn cut(mut name: String) -> String {
    if name.len() > LONGEST_NAME {
        let end = (0..=LONGEST_NAME).rev().find(|at| name.is_char_boundary(*at));
        name.truncate(end.unwrap_or(0));
    }
    name
}

/// Whether a declarator declares a function, and not a pointer to one.
fn is_prototype(declarator: Node<'_>) -> bool {
    let mut at = declarator;
    for _ in 0..STEPS {
        if at.kind() == "function_declarator" {
            let inner = at.child_by_field_name("declarator");
            return inner.is_none_or(|inner| inner.kind() != "parenthesized_declarator");
        }
        match at.child_by_field_name("declarator") {
            Some(inner) => at = inner,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;
