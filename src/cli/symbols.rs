//! `syncline symbols`: definitions by name.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, block_on, codebase_of, fail, start_log};
use super::index::{sync, until_symbols_known};
use super::show::Paint;
use super::watch::until_interrupted;
use crate::core::RelPath;
use crate::core::settings::WatchMode;
use crate::index::Unsaved;
use crate::index::symbols::{Fit, SymbolAnswer, SymbolKind, SymbolMatch, SymbolQuery};
use crate::sync::Verdict;
use crate::workspace::{Engine, Workspace};

/// `symbols`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name, or `container::name`; its letters in order will do
    query: String,
    /// The codebase, or a folder in it: what is near it comes first
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Only what is named exactly so
    #[arg(long, conflicts_with = "prefix")]
    exact: bool,
    /// Only what begins so, in any case
    #[arg(long)]
    prefix: bool,
    /// Only these kinds
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    kind: Vec<SymbolKind>,
    /// Most symbols to print
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

impl ValueEnum for SymbolKind {
    fn value_variants<'a>() -> &'a [SymbolKind] {
        &SymbolKind::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
    }
}

/// What `symbols --json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    symbols: Vec<Found<'a>>,
    /// There may be more than `--limit`.
    limit_hit: bool,
}

/// A symbol of it.
#[derive(Serialize)]
struct Found<'a> {
    name: &'a str,
    kind: SymbolKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    /// From the codebase's root.
    path: String,
    /// From 1.
    line: u32,
    /// From 1, in bytes.
    column: u32,
}

impl Args {
    fn query(&self, near: Option<RelPath>) -> SymbolQuery {
        let fit = match () {
            () if self.exact => Fit::Exact,
            () if self.prefix => Fit::Prefix,
            () => Fit::Fuzzy,
        };
        SymbolQuery::new(&self.query, fit, self.limit).of_kinds(self.kind.iter().copied()).near(near)
    }
}

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let mut settings = common.settings(Some(&args.path));
    let _ = start_log(&settings, None);
    if !settings.index.symbols {
        return fail("symbols are switched off here; set index.symbols to true");
    }
    let root = match codebase_of(&args.path, &settings) {
        Ok(root) => root,
        Err(error) => return fail(error),
    };
    let near = std::path::absolute(&args.path).ok().and_then(|path| RelPath::below(root.as_path(), &path));
    // It looks once.
    settings.watch.mode = WatchMode::Off;
    let query = args.query(near);
    let answer = block_on(async {
        let engine = Engine::new(&settings);
        let workspace = engine.open(root.as_path(), &settings).map_err(|error| error.to_string())?;
        let answer = tokio::select! {
            answer = ask(&workspace, query) => answer,
            _ = until_interrupted() => Err("interrupted; what was read stays, and the next run goes on from there".to_owned()),
        };
        engine.shutdown().await;
        answer
    });
    match answer.and_then(|answer| answer) {
        Ok(answer) => match print(&answer, args.json) {
            Ok(()) => ExitCode::from(u8::from(answer.symbols.is_empty())),
            // Whoever reads has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => fail(format!("can't print: {error}")),
        },
        Err(error) => fail(error),
    }
}

/// Brings the index and its symbols up to date, and asks.
async fn ask(workspace: &Workspace, query: SymbolQuery) -> Result<SymbolAnswer, String> {
    let synced = sync(workspace).await;
    if synced.verdict == Verdict::Failed {
        return Err(synced.error.unwrap_or_else(|| "the index can't be brought up to date".to_owned()));
    }
    until_symbols_known(workspace).await;
    let view = workspace.view(Arc::new(Unsaved::new()), false).await.view;
    Ok(workspace.symbols(view, query, CancellationToken::new()).await)
}

fn print(answer: &SymbolAnswer, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let symbols = answer.symbols.iter().map(found).collect();
        serde_json::to_writer(&mut out, &Answer { symbols, limit_hit: answer.limit_hit })?;
        return writeln!(out);
    }
    let paint = Paint::stdout();
    for SymbolMatch { path, symbol } in &answer.symbols {
        let place = format!("{path}:{}:{}", symbol.line + 1, symbol.column.utf8 + 1);
        let container = match symbol.container.as_str() {
            "" => String::new(),
            container => format!(" {}", paint.dim(format!("in {container}"))),
        };
        writeln!(out, "{place}: {} {}{container}", paint.dim(symbol.kind.as_str()), paint.bold(&symbol.name))?;
    }
    Ok(())
}

fn found(SymbolMatch { path, symbol }: &SymbolMatch) -> Found<'_> {
    Found {
        name: &symbol.name,
        kind: symbol.kind,
        container: Some(symbol.container.as_str()).filter(|container| !container.is_empty()),
        path: path.to_string(),
        line: symbol.line + 1,
        column: symbol.column.utf8 + 1,
    }
}
