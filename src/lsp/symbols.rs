//! `workspace/symbol`.

use tokio_util::sync::CancellationToken;
use tower_lsp::lsp_types::{Location, Position, Range, SymbolInformation, SymbolKind as LspKind, Url};

use super::documents::{Held, OpenText};
use super::positions::Encoding;
use super::search::Target;
use crate::index::symbols::{Fit, SymbolKind, SymbolMatch, SymbolQuery};
use crate::workspace::FreshView;

/// Symbols that are given at most. Editors ask again with each letter that is typed.
const MOST_SYMBOLS: usize = 256;

/// A question for symbols, ready to be answered.
pub struct SymbolSearch {
    /// What the user typed.
    pub query: String,
    /// Where, in this order.
    pub targets: Vec<Target>,
    /// The unit of columns.
    pub encoding: Encoding,
}

impl SymbolSearch {
    /// The best symbols. Dropping this ends the search soon after.
    pub async fn run(self) -> Vec<SymbolInformation> {
        let cancel = CancellationToken::new();
        let _ends_with_this = cancel.clone().drop_guard();
        let mut found = Vec::new();
        for target in &self.targets {
            let held = target.held().await;
            let FreshView { view, .. } = target.workspace.view(held.texts.clone(), true).await;
            let near = target.latest().await;
            let query = SymbolQuery::new(&self.query, Fit::Fuzzy, MOST_SYMBOLS).near(near);
            let answer = target.workspace.symbols(view, query, cancel.clone()).await;
            let here = answer.symbols.iter().filter(|symbol| target.keeps(&symbol.path));
            found.extend(here.filter_map(|symbol| self.information(target, &held, symbol)));
        }
        found
    }

    #[allow(deprecated, reason = "the type has a field that is")]
    fn information(&self, target: &Target, held: &Held, found: &SymbolMatch) -> Option<SymbolInformation> {
        let symbol = &found.symbol;
        let (column, width) = match self.encoding {
            Encoding::Utf8 => (symbol.column.utf8, symbol.name.len()),
            Encoding::Utf16 => (symbol.column.utf16, symbol.name.encode_utf16().count()),
            Encoding::Utf32 => (symbol.column.utf32, symbol.name.chars().count()),
        };
        let end = column.saturating_add(u32::try_from(width).unwrap_or(u32::MAX));
        let range = Range::new(Position::new(symbol.line, column), Position::new(symbol.line, end));
        let document = held.document(&found.path);
        let range = document.map_or(range, |document| document.range(range, self.encoding));
        let uri = document.map_or_else(|| target.place.uri(&found.path), OpenText::uri);
        let uri = Url::parse(uri.as_str()).ok()?;
        Some(SymbolInformation {
            name: symbol.name.clone(),
            kind: kind(symbol.kind),
            tags: None,
            deprecated: None,
            location: Location::new(uri, range),
            container_name: Some(symbol.container.clone()).filter(|container| !container.is_empty()),
        })
    }
}

/// The protocol's nearest kind.
fn kind(kind: SymbolKind) -> LspKind {
    match kind {
        SymbolKind::Module => LspKind::MODULE,
        SymbolKind::Class => LspKind::CLASS,
        SymbolKind::Struct | SymbolKind::Union => LspKind::STRUCT,
        SymbolKind::Interface => LspKind::INTERFACE,
        SymbolKind::Enum => LspKind::ENUM,
        SymbolKind::EnumMember => LspKind::ENUM_MEMBER,
        SymbolKind::Type => LspKind::TYPE_PARAMETER,
        SymbolKind::Function => LspKind::FUNCTION,
        SymbolKind::Method => LspKind::METHOD,
        SymbolKind::Macro | SymbolKind::Constant => LspKind::CONSTANT,
        SymbolKind::Variable => LspKind::VARIABLE,
        SymbolKind::Field => LspKind::FIELD,
        SymbolKind::Heading => LspKind::STRING,
    }
}
