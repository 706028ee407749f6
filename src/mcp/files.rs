//! `find_files`: files by their path.

use std::sync::Arc;

use ignore::overrides::OverrideBuilder;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::answer::{Item, List, Pages};
use super::arguments::Arguments;
use super::engine::Engine;
use super::search::noun;
use crate::core::{CodebaseRoot, RelPath};

/// Answers a call.
pub(super) async fn run(engine: &Arc<Engine>, pages: &Pages, arguments: &Arguments) -> Result<String, String> {
    let max_tokens = arguments.max_tokens()?;
    if let Some(page) = arguments.text("page")? {
        return pages.later(page, max_tokens).await;
    }
    let query = arguments.text("query")?.map(str::trim).filter(|query| !query.is_empty());
    let query = query.ok_or("`query` must be a part of a path, or a glob")?.to_owned();
    let mut items = Vec::new();
    let mut all = 0;
    for (number, root) in engine.roots().iter().enumerate() {
        let files = engine.files(number).await?;
        all += files.len();
        let (of, root, query) = (engine.clone(), root.clone(), query.clone());
        let found = tokio::task::spawn_blocking(move || {
            let names = find(&root, &query, files)?;
            Ok::<_, String>(names.into_iter().map(|path| of.name_of(number, &path)).collect::<Vec<_>>())
        });
        let found = found.await.map_err(|_| "a call broke off by a fault of syncline".to_owned())??;
        items.extend(found.into_iter().map(|text| Item { group: None, text, counts: 1 }));
    }
    if items.is_empty() {
        return Ok(format!("None of {all} files matches `{query}`. Ignored and hidden files aren't among them.\n"));
    }
    let total = format!("{} of {all} {}", items.len(), noun(all, "file"));
    let narrow = "Or narrow it by more of the path.";
    Ok(pages.first(List { items, unit: "files", total, narrow, end: String::new() }, max_tokens).await)
}

/// Those that match: in path order for a glob, else the best first.
fn find(root: &CodebaseRoot, query: &str, files: Vec<RelPath>) -> Result<Vec<String>, String> {
    if query.contains(['*', '?', '[', '{']) {
        let mut builder = OverrideBuilder::new(root.as_path());
        let globs = builder.add(query).and_then(|builder| builder.build());
        let globs = globs.map_err(|error| format!("`{query}` is no glob: {error}"))?;
        let matches = |path: &&RelPath| globs.matched(path.to_path(root.as_path()), false).is_whitelist();
        return Ok(files.iter().filter(matches).map(RelPath::to_string).collect());
    }
    let pattern = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let mut buffer = Vec::new();
    let mut found: Vec<_> = files
        .iter()
        .filter_map(|path| {
            let path = path.to_string();
            let score = pattern.score(Utf32Str::new(&path, &mut buffer), &mut matcher)?;
            Some((score, path))
        })
        .collect();
    // Of equals the shorter path, then the order of paths.
    found.sort_by(|(a, one), (b, other)| b.cmp(a).then(one.len().cmp(&other.len())).then_with(|| one.cmp(other)));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
