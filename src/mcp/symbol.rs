//! `symbol`: definitions by name.

use std::sync::Arc;

use super::answer::{Item, List, Pages};
use super::arguments::Arguments;
use super::engine::{Engine, FoundSymbols};
use super::search::{line_of, noun};
use crate::core::RelPath;
use crate::core::files::RootFolder;
use crate::daemon::wire::{PathText, SymbolsParams};
use crate::index::symbols::{Fit, SymbolKind};

/// Symbols that are asked for.
const MOST: usize = 500;
/// Of names that are only alike so many are.
const MOST_ALIKE: usize = 30;

/// Answers a call.
pub(super) async fn run(engine: &Arc<Engine>, pages: &Pages, arguments: &Arguments) -> Result<String, String> {
    let max_tokens = arguments.max_tokens()?;
    if let Some(page) = arguments.text("page")? {
        return pages.later(page, max_tokens).await;
    }
    let name = arguments.text("name")?.map(str::trim).filter(|name| !name.is_empty());
    let name = name.ok_or("`name` must be the name of what is looked for")?;
    let kinds = match arguments.text("kind")? {
        None | Some("") => Vec::new(),
        Some(kind) => {
            let found = SymbolKind::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(kind));
            let all = || SymbolKind::ALL.map(|kind| kind.as_str()).join(", ");
            vec![found.ok_or_else(|| format!("there is no kind `{kind}`; there are {}", all()))?]
        }
    };
    let near = arguments.text("near")?.map(|near| engine.place(near));
    let mut fit = Fit::Exact;
    let (items, is_more, left_out) = loop {
        let (mut items, mut is_more, mut left_out) = (Vec::new(), false, false);
        for (number, root) in engine.roots().iter().enumerate() {
            let near = near.as_ref().filter(|(of, _)| *of == number).and_then(|(_, near)| near.as_ref());
            let params = SymbolsParams {
                root: root.as_path().display().to_string(),
                name: name.to_owned(),
                fit,
                kinds: kinds.clone(),
                limit: if fit == Fit::Exact { MOST } else { MOST_ALIKE },
                near: near.map(|near| PathText::new(near.as_bytes())),
                known: false,
            };
            let found = engine.symbols(params).await?;
            (is_more, left_out) = (is_more | found.limit_hit, left_out | found.left_out);
            let of = engine.clone();
            let shown = tokio::task::spawn_blocking(move || shown(&of, number, &found));
            items.append(&mut shown.await.map_err(|_| "a call broke off by a fault of syncline".to_owned())?);
        }
        match fit {
            Fit::Exact if items.is_empty() => fit = Fit::Fuzzy,
            _ => break (items, is_more, left_out),
        }
    };
    let mut end = String::new();
    if left_out {
        end.push_str("Some files aren't read for definitions yet, or are too large: search_code finds text in them.\n");
    }
    if items.is_empty() {
        return Ok(format!("Nothing is named `{name}` or alike; search_code finds text.\n{end}"));
    }
    let (count, more) = (items.len(), if is_more { "more than " } else { "" });
    let total = match fit {
        Fit::Exact => format!("{more}{count} {} of `{name}`", noun(count, "definition")),
        _ => format!("{more}{count} {} like `{name}`; nothing is named exactly so", noun(count, "name")),
    };
    let narrow = "Or narrow it by `kind`, or by container::name.";
    Ok(pages.first(List { items, unit: "definitions", total, narrow, end }, max_tokens).await)
}

fn shown(engine: &Engine, root: usize, found: &FoundSymbols) -> Vec<Item> {
    let folder = RootFolder::open(engine.roots()[root].as_path()).ok();
    let item = |found: &crate::daemon::wire::FoundSymbol| {
        let path = RelPath::from_bytes(found.path.as_bytes())?;
        let symbol = &found.symbol;
        let container = match symbol.container.as_str() {
            "" => String::new(),
            container => format!(" in {container}"),
        };
        let place = engine.name_of(root, &path.to_string());
        let text = folder.as_ref().and_then(|folder| line_of(folder, &path, symbol.line + 1)).unwrap_or_default();
        let kind = symbol.kind.as_str();
        let text = format!("{place}:{}: {kind} {}{container}\n    {text}", symbol.line + 1, symbol.name);
        Some(Item { group: None, text, counts: 1 })
    };
    found.symbols.iter().filter_map(item).collect()
}
