//! `syncline symbols`: definitions by name.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::context::{CommonArgs, block_on, end, fail, start_log, until_interrupted};
use super::index::{Patience, sync, until_symbols_known};
use super::show::{Paint, advance, escape, new_bar};
use crate::core::settings::{Settings, WatchMode};
use crate::core::{CodebaseRoot, RelPath};
use crate::daemon::wire::{FoundSymbol, PathText, Purpose, Question, Symbols, SymbolsParams};
use crate::daemon::{Client, Reach};
use crate::index::Unsaved;
use crate::index::symbols::{Fit, LARGEST_PARSED, SymbolAnswer, SymbolKind, SymbolMatch, SymbolQuery};
use crate::sync::SyncStatus;
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
    /// Most symbols to print, up to 10,000
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// How long the shared engine may take for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Between two questions while it reads symbols.
const ASK_AGAIN: Duration = Duration::from_millis(50);

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
    /// Symbols of some files are missing: they couldn't be read yet, or aren't parsed for their size.
    left_out: bool,
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
    fn params(&self, root: &CodebaseRoot) -> SymbolsParams {
        let near = std::path::absolute(&self.path).ok().and_then(|path| RelPath::below(root.as_path(), &path));
        SymbolsParams {
            root: root.as_path().display().to_string(),
            name: self.query.clone(),
            fit: match () {
                () if self.exact => Fit::Exact,
                () if self.prefix => Fit::Prefix,
                () => Fit::Fuzzy,
            },
            kinds: self.kind.clone(),
            limit: self.limit,
            near: near.map(|near| PathText::new(near.as_bytes())),
            known: false,
        }
    }
}

/// Runs it.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let (root, mut settings) = match common.codebase(&args.path) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    let _ = start_log(&settings, None);
    if !settings.index.symbols {
        return fail("symbols are switched off here; set index.symbols to true");
    }
    let params = args.params(&root);
    // A root that isn't text can't be named to the shared engine.
    let shared = (!common.standalone && root.as_path().to_str().is_some()).then(|| {
        let reach = common.reach("symbols", &settings).map_err(|error| error.to_string())?;
        ask_shared(&reach, &params)
    });
    let answer = match shared {
        Some(Ok(answer)) => Ok(answer),
        shared => {
            if let Some(Err(why)) = shared {
                tracing::info!(why, "the shared engine doesn't answer; an engine of this process does");
            }
            // It looks once.
            settings.watch.mode = WatchMode::Off;
            ask_own(&settings, &root, &params)
        }
    };
    if answer.as_ref().is_ok_and(|answer| answer.left_out) {
        eprintln!(
            "syncline: symbols of some files are missing, as they couldn't be read yet; `syncline status` says why"
        );
    }
    if answer.as_ref().is_ok_and(|answer| answer.given_up) {
        eprintln!(
            "syncline: symbols of some files are missing: they are larger than {} MiB, or take too long to parse; \
             `syncline search` finds text in them",
            LARGEST_PARSED >> 20
        );
    }
    match answer {
        Ok(answer) => end(print(&answer, args.json), ExitCode::from(u8::from(answer.symbols.is_empty()))),
        Err(error) => fail(error),
    }
}

/// Asks the shared engine, again and again while it reads symbols.
fn ask_shared(reach: &Reach, params: &SymbolsParams) -> Result<SymbolAnswer, String> {
    let stream = reach.reach(Purpose::Questions).map_err(|error| error.to_string())?;
    let mut client = Client::new(stream, Some(ANSWER_TIME)).map_err(|error| error.to_string())?;
    let mut params = params.clone();
    let mut patience = Patience::new(Instant::now());
    let mut bar = None;
    let answer = loop {
        match client.ask(&Question::Symbols(params.clone())).map_err(|error| error.to_string())? {
            Symbols::Found { symbols, limit_hit, left_out, given_up } => {
                let found = |FoundSymbol { path, symbol }: FoundSymbol| {
                    Some(SymbolMatch { path: RelPath::from_bytes(path.as_bytes())?, symbol })
                };
                let symbols = symbols.into_iter().filter_map(found).collect();
                break Ok(SymbolAnswer { symbols, limit_hit, left_out, given_up, ..SymbolAnswer::default() });
            }
            Symbols::NotYet(progress) => {
                if io::stderr().is_terminal() {
                    advance(bar.get_or_insert_with(new_bar), progress.as_ref());
                }
                params.known = patience.is_over(progress.as_ref(), Instant::now());
                std::thread::sleep(ASK_AGAIN);
            }
            Symbols::Unknown(why) => break Err(why),
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    answer
}

/// Asks an engine inside this process.
fn ask_own(settings: &Settings, root: &CodebaseRoot, params: &SymbolsParams) -> Result<SymbolAnswer, String> {
    block_on(async {
        let engine = Engine::new(settings);
        let workspace = engine.open(root.as_path(), settings).map_err(|error| error.to_string())?;
        let answer = tokio::select! {
            answer = ask(&workspace, params.query()) => answer,
            _ = until_interrupted() => Err("interrupted; what was read stays, and the next run goes on from there".to_owned()),
        };
        engine.shutdown().await;
        answer
    })?
}

/// Brings the index and its symbols up to date, and asks.
async fn ask(workspace: &Workspace, query: SymbolQuery) -> Result<SymbolAnswer, String> {
    let synced = sync(workspace).await;
    if synced.status == SyncStatus::Failed {
        return Err(synced.error.unwrap_or_else(|| "the index can't be brought up to date".to_owned()));
    }
    until_symbols_known(workspace).await;
    let view = workspace.view(Arc::new(Unsaved::new()), false).await.view;
    let mut answer = workspace.symbols(view, query, CancellationToken::new()).await;
    answer.left_out |= !answer.damaged.is_empty();
    Ok(answer)
}

fn print(answer: &SymbolAnswer, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let symbols = answer.symbols.iter().map(found).collect();
        serde_json::to_writer(
            &mut out,
            &Answer { symbols, limit_hit: answer.limit_hit, left_out: answer.left_out || answer.given_up },
        )?;
        return writeln!(out);
    }
    let paint = Paint::stdout();
    for SymbolMatch { path, symbol } in &answer.symbols {
        let place = format!("{path}:{}:{}", symbol.line + 1, symbol.column.utf8 + 1);
        let container = match symbol.container.as_str() {
            "" => String::new(),
            container => format!(" {}", paint.dim(format!("in {}", escape(container)))),
        };
        writeln!(out, "{place}: {} {}{container}", paint.dim(symbol.kind.as_str()), paint.bold(escape(&symbol.name)))?;
    }
    Ok(())
}

fn found(SymbolMatch { path, symbol }: &SymbolMatch) -> Found<'_> {
    Found {
        name: &symbol.name,
        kind: symbol.kind,
        container: Some(symbol.container.as_str()).filter(|container| !container.is_empty()),
        // As it is: programs open it. Bytes that aren't UTF-8 have no form in JSON.
        path: String::from_utf8_lossy(path.as_bytes()).into_owned(),
        line: symbol.line + 1,
        column: symbol.column.utf8 + 1,
    }
}
