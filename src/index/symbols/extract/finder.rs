//! Walks a syntax tree, and takes note of what a language's table calls a definition.

use std::collections::HashSet;

use tree_sitter::{Node, Range};

use super::rules::{Prepared, Rule};
use super::{Clock, LONGEST_NAME, LONGEST_OUTER, MOST_SYMBOLS, Unfinished};
use crate::index::returns::lone_returns;
use crate::index::symbols::column::{Columns, saturate};
use crate::index::symbols::{Symbol, SymbolKind};

/// Of longer texts the beginning is looked at for a name, bytes.
const LONGEST_TEXT: usize = 4 * LONGEST_NAME;
/// Steps from a definition to its name; declarators nest.
pub(super) const STEPS: usize = 24;

/// What encloses the node that is being looked at.
#[derive(Clone)]
pub(super) struct Enclosing {
    /// How deep in the tree it is.
    depth: u32,
    /// Empty when it has none.
    name: String,
    pub(super) kind: Option<SymbolKind>,
    /// A heading's level; 0 for all else.
    heading: u32,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte, and the one behind it.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Line feeds before it, and where the last of them ends.
    pub(super) row: usize,
    pub(super) line_start: usize,
}

impl Span {
    /// That of a node.
    pub(super) fn of(node: Node<'_>) -> Span {
        let position = node.start_position();
        let line_start = node.start_byte().saturating_sub(position.column);
        Span { start: node.start_byte(), end: node.end_byte(), row: position.row, line_start }
    }

    /// From the beginning of one node to the end of another.
    pub(super) fn between(first: Node<'_>, last: Node<'_>) -> Span {
        Span { end: last.end_byte().max(first.start_byte()), ..Span::of(first) }
    }

    /// So many bytes of a text from byte `start`, which is in `node` or behind it.
    pub(super) fn at(node: Node<'_>, text: &[u8], start: usize, length: usize) -> Span {
        let span = Span::of(node);
        let between = text.get(span.start..start).unwrap_or_default();
        let row = span.row + memchr::memchr_iter(b'\n', between).count();
        let line_start = memchr::memrchr(b'\n', between).map_or(span.line_start, |end| span.start + end + 1);
        Span { start, end: start + length, row, line_start }
    }

    /// It without so many bytes, which hold no line feed.
    pub(super) fn without_first(self, bytes: usize) -> Span {
        Span { start: self.end.min(self.start + bytes), ..self }
    }

    /// The first so many bytes of it.
    pub(super) fn first(self, bytes: usize) -> Span {
        Span { end: self.end.min(self.start + bytes), ..self }
    }
}

/// What is being looked through.
pub(super) struct Finder<'a> {
    prepared: &'static Prepared,
    pub(super) text: &'a [u8],
    /// Where lines end that do so for editors only.
    returns: Vec<usize>,
    pub(super) scopes: Vec<Enclosing>,
    pub(super) found: Vec<Symbol>,
    /// Fields that functions assign, with the types that they are of.
    assigned: HashSet<(String, String)>,
    /// What is left to be parsed by itself, with what encloses it.
    bodies: Vec<(Range, Vec<Enclosing>)>,
    /// Of the line of the last one.
    columns: Columns<'a>,
}

impl<'a> Finder<'a> {
    /// A finder for a text.
    pub(super) fn new(prepared: &'static Prepared, text: &'a [u8]) -> Finder<'a> {
        let (returns, columns) = (lone_returns(text).collect(), Columns::of_line(text, 0));
        Finder {
            prepared,
            text,
            returns,
            scopes: Vec::new(),
            found: Vec::new(),
            assigned: HashSet::new(),
            bodies: Vec::new(),
            columns,
        }
    }

    pub(super) fn walk(&mut self, root: Node<'_>, clock: &mut Clock<'_>) -> Result<(), Unfinished> {
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
                None if node.is_error() => self.prepared.on_error.is_none_or(|form| form(self, node, cursor.depth())),
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
                self.define(self.function_kind(), name, node, depth);
            }
            Rule::Anonymous => self.enter(node, depth, "", SymbolKind::Function),
            Rule::DefineIf(kind, field, wanted) => {
                if node.child_by_field_name(field).is_some_and(|value| value.kind() == wanted) {
                    self.define(kind, node.child_by_field_name("name"), node, depth);
                }
            }
            Rule::By(form) => return form(self, node, depth),
        }
        true
    }

    /// What a function is here.
    pub(super) fn function_kind(&self) -> SymbolKind {
        let is_method = match self.inside() {
            Some(SymbolKind::Module) => self.prepared.modules_are_types,
            inside => inside.is_some_and(SymbolKind::is_type),
        };
        if is_method { SymbolKind::Method } else { SymbolKind::Function }
    }

    /// What the node is in.
    fn inside(&self) -> Option<SymbolKind> {
        self.scopes.last().and_then(|scope| scope.kind)
    }

    /// The name of the type that is being looked at; else of what is inmost.
    pub(super) fn own_name(&self) -> Option<String> {
        let mut named = self.scopes.iter().rev().filter(|scope| !scope.name.is_empty());
        let inmost = named.clone().next();
        let own = named.find(|scope| scope.kind.is_some_and(SymbolKind::is_type)).or(inmost);
        own.map(|scope| scope.name.clone())
    }

    /// What follows, until the walk leaves the node, is in what is named so, if it has a name.
    pub(super) fn enter(&mut self, _: Node<'_>, depth: u32, name: &str, kind: SymbolKind) {
        self.scopes.push(Enclosing { depth, name: name.to_owned(), kind: Some(kind), heading: 0 });
    }

    /// What `inner` finds is in what is named so.
    pub(super) fn within(&mut self, name: &str, kind: SymbolKind, inner: impl FnOnce(&mut Self)) {
        let scopes = self.scopes.len();
        self.scopes.push(Enclosing { depth: 0, name: name.to_owned(), kind: Some(kind), heading: 0 });
        inner(self);
        self.scopes.truncate(scopes);
    }

    /// Takes note of a field of the innermost type that is written in one of its functions, the first time it is.
    pub(super) fn assigned_field(&mut self, span: Span) {
        let is_type = |scope: &Enclosing| scope.kind.is_some_and(SymbolKind::is_type);
        let Some(at) = self.scopes.iter().rposition(is_type) else { return };
        let hidden = self.scopes.split_off(at + 1);
        if self.assigned.insert((self.scopes[at].name.clone(), self.text_at(span))) {
            self.push(SymbolKind::Field, span);
        }
        self.scopes.extend(hidden);
    }

    /// A heading, which is in the last one before it of a higher level.
    pub(super) fn heading(&mut self, level: u32, span: Span) {
        while self.scopes.last().is_some_and(|scope| scope.heading >= level) {
            self.scopes.pop();
        }
        self.push(SymbolKind::Heading, span);
        self.scopes.push(Enclosing { depth: 0, name: self.text_at(span), kind: None, heading: level });
    }

    /// Takes note of what `named` declares, and enters it, if it can hold anything.
    pub(super) fn define(&mut self, kind: SymbolKind, named: Option<Node<'_>>, node: Node<'_>, depth: u32) {
        let Some(span) = named.and_then(|named| self.name(named)) else { return };
        match self.outer_name(named, node) {
            None => self.define_at(kind, span, node, depth),
            Some(outer) => {
                let kind = if kind == SymbolKind::Function { SymbolKind::Method } else { kind };
                self.define_in(&outer, kind, span, node, depth);
            }
        }
    }

    /// Takes note of a name, and enters it, if it can hold anything.
    pub(super) fn define_at(&mut self, kind: SymbolKind, span: Span, node: Node<'_>, depth: u32) {
        let inside_type = self.inside().is_some_and(SymbolKind::is_type);
        let kind = match kind {
            SymbolKind::Variable if inside_type => SymbolKind::Field,
            kind => kind,
        };
        self.push(kind, span);
        let holds = !matches!(kind, SymbolKind::EnumMember | SymbolKind::Macro | SymbolKind::Type) && !kind.is_data();
        if holds && span.start < span.end {
            let name = self.text_at(span);
            self.enter(node, depth, &name, kind);
        }
    }

    /// The same, of what belongs to `owner`, which it isn't written in.
    pub(super) fn define_in(&mut self, owner: &str, kind: SymbolKind, span: Span, node: Node<'_>, depth: u32) {
        if kind.is_data() && self.is_in_function() {
            return;
        }
        self.within(owner, SymbolKind::Type, |finder| finder.push(kind, span));
        if !kind.is_data() && span.start < span.end {
            let name = self.text_at(span);
            self.enter(node, depth, &name, kind);
        }
    }

    fn is_in_function(&self) -> bool {
        self.inside().is_some_and(SymbolKind::is_function)
    }

    /// Takes note of a function that is declared here and defined elsewhere, if anywhere.
    pub(super) fn declare(&mut self, declarator: Node<'_>, node: Node<'_>, depth: u32) {
        let (found, scopes) = (self.found.len(), self.scopes.len());
        self.define(self.function_kind(), Some(declarator), node, depth);
        self.scopes.truncate(scopes);
        self.found[found..].iter_mut().for_each(|symbol| symbol.is_declaration = true);
    }

    /// The type that a definition outside it names: `Type::method`, or Go's receiver.
    fn outer_name(&self, named: Option<Node<'_>>, node: Node<'_>) -> Option<String> {
        if let Some(receiver) = node.child_by_field_name("receiver") {
            return first_of(receiver, &["type_identifier"]).map(|node| self.text_of(node));
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
                return self.name(scope).map(|name| self.text_at(name)).filter(|name| !name.is_empty());
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

    /// Where the name alone stands, in a node that declares it.
    pub(super) fn name(&self, node: Node<'_>) -> Option<Span> {
        let mut at = node;
        for _ in 0..STEPS {
            let span = Span::of(at);
            match at.kind() {
                "destructor_name" | "operator_name" | "private_property_identifier" | "setter" => return Some(span),
                "operator_cast" => return Some(super::c::operator_cast(self, at)),
                _ => {}
            }
            if at.named_child_count() == 0 {
                return Some(span);
            }
            at = match at.kind() {
                // Of `Type<T>` the type; of brackets what they hold.
                "generic_type" | "template_type" | "template_function" | "template_method" => at
                    .child_by_field_name("type")
                    .or_else(|| at.child_by_field_name("name"))
                    .or_else(|| at.named_child(0))?,
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

    /// Takes note of a name, in what is entered.
    pub(super) fn push(&mut self, kind: SymbolKind, span: Span) {
        let name = self.text_at(span);
        // A macro may stand for a keyword.
        let is_no_name = kind != SymbolKind::Macro && (self.prepared.is_no_name)(&name);
        if name.is_empty() || is_no_name || kind.is_data() && self.is_in_function() {
            return;
        }
        // Lines are those of editors.
        let returns = self.returns.partition_point(|at| *at < span.start);
        let behind_return = returns.checked_sub(1).map_or(0, |last| self.returns[last] + 1);
        let (row, line_start) = (span.row + returns, span.line_start.max(behind_return));
        // Counted on from the one before: a line may be the whole text.
        if !self.columns.is_ahead(line_start, span.start) {
            self.columns = Columns::of_line(self.text, line_start);
        }
        let column = self.columns.at(span.start);
        let mut around = self.scopes.iter().rev().map(|scope| &scope.name[..]).filter(|name| !name.is_empty());
        let container = around.next().map(|name| cut(name.to_owned())).unwrap_or_default();
        let mut outer = String::new();
        for name in around.filter(|name| !name.contains(['\n', '\r'])) {
            if outer.len() + name.len() >= LONGEST_OUTER {
                break;
            }
            outer = if outer.is_empty() { name.to_owned() } else { format!("{name}\n{outer}") };
        }
        let line = saturate(row);
        self.found.push(Symbol { name: cut(name), kind, line, column, container, outer, is_declaration: false });
    }

    /// The same, where what is written is only a part of the name.
    pub(super) fn push_as(&mut self, kind: SymbolKind, span: Span, name: String) {
        let found = self.found.len();
        self.push(kind, span);
        self.found[found..].iter_mut().for_each(|symbol| symbol.name = cut(name.clone()));
    }

    /// There are definitions in this part of the text, which the grammar has left as it is.
    pub(super) fn body(&mut self, range: Range) {
        let enclosing = self.scopes.iter().map(|scope| Enclosing { depth: 0, ..scope.clone() }).collect();
        self.bodies.push((range, enclosing));
    }

    /// Enters the next such part.
    pub(super) fn enter_body(&mut self) -> Option<Range> {
        let (range, enclosing) = self.bodies.pop()?;
        self.scopes = enclosing;
        Some(range)
    }

    /// The bytes of a part of the text.
    pub(super) fn bytes(&self, span: Span) -> &'a [u8] {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// A part of the text, or its beginning.
    pub(super) fn text_at(&self, span: Span) -> String {
        let bytes = self.bytes(span);
        String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]).into_owned()
    }

    /// The text of a node, or its beginning.
    pub(super) fn text_of(&self, node: Node<'_>) -> String {
        self.text_at(Span::of(node))
    }

    /// Whether a node is written so.
    pub(super) fn is(&self, node: Node<'_>, text: &str) -> bool {
        self.bytes(Span::of(node)) == text.as_bytes()
    }
}

/// The children of a node that have names in its grammar.
pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).collect()
}

/// The children of a node in one of its fields.
pub(super) fn in_field<'t>(node: Node<'t>, field: &str) -> Vec<Node<'t>> {
    node.children_by_field_name(field, &mut node.walk()).collect()
}

/// The first child of this kind.
pub(super) fn child_of<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    node.children(&mut node.walk()).find(|child| child.kind() == kind)
}

/// The first node of one of these kinds in `node`.
pub(super) fn first_of<'t>(node: Node<'t>, kinds: &[&str]) -> Option<Node<'t>> {
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if kinds.contains(&node.kind()) {
            return Some(node);
        }
        open.extend(children(node).into_iter().rev());
    }
    None
}

/// What a variable is, by its capitals.
pub(super) fn constant_or_variable(name: &str) -> SymbolKind {
    let is_capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.bytes().all(is_capital) { SymbolKind::Constant } else { SymbolKind::Variable }
}

fn cut(mut name: String) -> String {
    if name.len() > LONGEST_NAME {
        let end = (0..=LONGEST_NAME).rev().find(|at| name.is_char_boundary(*at));
        name.truncate(end.unwrap_or(0));
    }
    name
}
