//! `workspace/symbol`.

use std::cmp::Reverse;

use tokio_util::sync::CancellationToken;
use tower_lsp::lsp_types::{Location, Position, Range, SymbolInformation, SymbolKind as LspKind, Url};

use super::client::SymbolKinds;
use super::documents::{Held, OpenText};
use super::positions::Encoding;
use super::search::Target;
use crate::index::symbols::{Fit, Rank, SymbolKind, SymbolMatch, SymbolQuery};
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
    /// The kinds that the client knows.
    pub kinds: SymbolKinds,
}

/// Where a symbol belongs among others; the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RootSpelling {
    /// By how well it fits.
    Fits(Option<Rank>),
    /// By when its file changed.
    Latest(Reverse<i64>),
}

impl SymbolSearch {
    /// The best symbols. Dropping this ends the search soon after.
    pub async fn run(self) -> Vec<SymbolInformation> {
        let cancel = CancellationToken::new();
        let _ends_with_this = cancel.clone().drop_guard();
        // Where the user is comes first among equals.
        let mut targets: Vec<_> = self.targets.iter().map(|target| (target, None)).collect();
        for (target, near) in &mut targets {
            *near = target.latest().await;
        }
        targets.sort_by_key(|(_, near)| near.is_none());
        let query = SymbolQuery::new(&self.query, Fit::Fuzzy, MOST_SYMBOLS);
        let mut found = Vec::new();
        for (target, near) in targets {
            let held = target.held().await;
            let FreshView { view, .. } = target.workspace.view(held.texts.clone(), true).await;
            let (workspace, cancel) = (&target.workspace, cancel.clone());
            let here: Vec<_> = if self.query.trim().is_empty() {
                let latest = workspace.latest_symbols(view, MOST_SYMBOLS, near, cancel).await;
                latest.into_iter().map(|(changed, symbol)| (RootSpelling::Latest(Reverse(changed)), symbol)).collect()
            } else {
                let answer = workspace.symbols(view, query.clone().near(near), cancel).await;
                let mut ranks = query.ranks();
                let mut place = |symbol: &SymbolMatch| RootSpelling::Fits(ranks(&symbol.symbol.name));
                answer.symbols.into_iter().map(|symbol| (place(&symbol), symbol)).collect()
            };
            let here = here.iter().filter(|(_, symbol)| target.keeps(&symbol.path));
            found.extend(here.filter_map(|(place, symbol)| Some((*place, self.information(target, &held, symbol)?))));
        }
        // Those of one codebase are in this order already, and stay so.
        found.sort_by_key(|(place, _)| *place);
        found.truncate(MOST_SYMBOLS);
        found.into_iter().map(|(_, symbol)| symbol).collect()
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
            kind: self.kinds.nearest(kinds(symbol.kind)),
            tags: None,
            deprecated: None,
            location: Location::new(uri, range),
            container_name: Some(symbol.container.clone()).filter(|container| !container.is_empty()),
        })
    }
}

/// The protocol's kinds, the nearest first. The last of each is one that the protocol has always had.
fn kinds(kind: SymbolKind) -> &'static [LspKind] {
    match kind {
        SymbolKind::Module => &[LspKind::MODULE],
        SymbolKind::Class => &[LspKind::CLASS],
        SymbolKind::Struct | SymbolKind::Union => &[LspKind::STRUCT, LspKind::CLASS],
        SymbolKind::Interface => &[LspKind::INTERFACE],
        SymbolKind::Enum => &[LspKind::ENUM],
        SymbolKind::EnumMember => &[LspKind::ENUM_MEMBER, LspKind::ENUM],
        SymbolKind::Type => &[LspKind::TYPE_PARAMETER, LspKind::CLASS],
        SymbolKind::Function => &[LspKind::FUNCTION],
        SymbolKind::Method => &[LspKind::METHOD],
        SymbolKind::Macro | SymbolKind::Constant => &[LspKind::CONSTANT],
        SymbolKind::Variable => &[LspKind::VARIABLE],
        SymbolKind::Field => &[LspKind::FIELD],
        SymbolKind::Heading => &[LspKind::STRING],
    }
}
