//! Symbols: all of a tree's beside universal-ctags, how many of ctags' are found, and how long a question takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::measure::{resident, run_ok};
use super::report::{Report, Unit};
use super::{Bench, FRESH_DEADLINE};
use crate::compare::random::Random;
use crate::tools::CTAGS;

const COLD: &str = "symbols of the whole tree";
const QUERY: &str = "symbol query";
const RECALL: &str = "ctags' symbols that are found";
/// Files whose symbols are compared with ctags'.
const SAMPLE: usize = 500;
/// `index.max_file_bytes`, above which nothing is parsed.
const MOST_PARSED: u64 = 4 << 20;
/// Questions of each kind.
const QUESTIONS: usize = 300;

/// A definition as ctags has it.
struct Tag {
    name: String,
    path: PathBuf,
    line: u64,
    kind: &'static str,
}

/// The second stage alone, beside ctags; then questions to a running server.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    CTAGS.ensure(&crate::workspace::Workspace::locate()?)?;
    report.compare(COLD);
    for _ in 0..bench.runs.min(3) {
        std::fs::remove_dir_all(bench.index()).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let text = run_ok(bench.syncline_index()?.env("SYNCLINE_INDEX_SYMBOLS", "false"))?;
        let symbols = run_ok(&mut bench.syncline_index()?)?;
        // The second run compares the tree, too, which is a small part of it.
        report.add(COLD, "CPU", "syncline", Unit::Seconds, symbols.cpu.as_secs_f64());
        report.add(COLD, "wall", "syncline", Unit::Seconds, symbols.wall.as_secs_f64());
        report.add(COLD, "peak RSS", "syncline", Unit::Bytes, symbols.peak_rss.max(text.peak_rss) as f64);
        let ctags = run_ok(&mut ctags(bench, &[])?)?;
        report.add(COLD, "CPU", "ctags", Unit::Seconds, ctags.cpu.as_secs_f64());
        report.add(COLD, "wall", "ctags", Unit::Seconds, ctags.wall.as_secs_f64());
        report.add(COLD, "peak RSS", "ctags", Unit::Bytes, ctags.peak_rss as f64);
    }

    let tags = sample(bench)?;
    let mut client = bench.start_fresh()?;
    client.wait_until(FRESH_DEADLINE, |state| state["progress"].is_null())?;
    report.compare(RECALL);
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut total: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in &tags {
        *total.entry(tag.kind).or_default() += 1;
        let (found, _) = client.symbols(&tag.name)?;
        let is_it = |symbol: &crate::lsp::Line| symbol.path == tag.path && symbol.number.abs_diff(tag.line) <= 1;
        if !found.iter().any(is_it) {
            let place = format!("{}:{} {}", tag.path.display(), tag.line, tag.name);
            missing.entry(tag.kind).or_default().push(place);
        }
    }
    for (kind, total) in &total {
        let lost = missing.get(kind).map_or(0, Vec::len);
        report.add(RECALL, kind, "syncline", Unit::Count, (total - lost) as f64);
        report.add(RECALL, kind, "ctags", Unit::Count, *total as f64);
        let first = missing.get(kind).into_iter().flatten().take(8).cloned().collect::<Vec<_>>().join(", ");
        report.note(format!("{RECALL}: {kind}: {lost} of {total} not found ({first})"));
    }

    report.spread(QUERY);
    let mut random = Random::new(1);
    for _ in 0..QUESTIONS {
        let name = &random.pick(&tags).name;
        let prefix: String = name.chars().take(name.chars().count().div_ceil(2).max(3)).collect();
        // Every letter but some in the middle.
        let fuzzy: String = name.chars().enumerate().filter(|(at, _)| at % 4 != 2).map(|(_, letter)| letter).collect();
        for (kind, query) in [("exact", name), ("prefix", &prefix), ("fuzzy", &fuzzy)] {
            let (_, took) = client.symbols(query)?;
            report.add(QUERY, kind, "syncline", Unit::Seconds, took.as_secs_f64());
        }
    }
    report.note(format!("{QUERY}: memory afterwards {:.0} MB", resident(client.pid())? as f64 / 1e6));
    client.shut_down()
}

/// ctags over the corpus, with the languages that the kernel's tree has and both know.
fn ctags(bench: &Bench, more: &[&str]) -> Result<Command> {
    let mut command = bench.command("ctags")?;
    command.args(["--recurse", "--languages=C,C++,Python,Sh,Markdown", "--excmd=number", "--fields=K", "-f"]);
    command.arg(bench.scratch.path().join("tags")).args(more).arg(&bench.corpus);
    Ok(command)
}

/// Functions, structs and macros that ctags finds in files picked evenly.
fn sample(bench: &Bench) -> Result<Vec<Tag>> {
    let all = crate::compare::patterns::files(&bench.corpus);
    let is_parsed = |path: &PathBuf| {
        let is_small = path.metadata().is_ok_and(|metadata| metadata.len() <= MOST_PARSED);
        is_small && path.extension().is_some_and(|extension| extension == "c" || extension == "h")
    };
    let all: Vec<_> = all.into_iter().filter(is_parsed).collect();
    let step = (all.len() / SAMPLE).max(1);
    let list: Vec<_> = all.iter().step_by(step).take(SAMPLE).map(|path| path.display().to_string()).collect();
    let names = bench.scratch.path().join("sample");
    std::fs::write(&names, list.join("\n")).context("cannot write the list of files")?;
    let mut command = bench.command("ctags")?;
    command.args(["--excmd=number", "--fields=K", "--kinds-C=fsd", "--kinds-C++=fsd", "-f", "-", "-L"]).arg(&names);
    let output = run_ok(&mut command)?;
    let mut tags = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('!')) {
        let mut fields = line.split('\t');
        let (Some(name), Some(path), Some(line), Some(kind)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let kind = match kind {
            "function" => "functions",
            "struct" => "structs",
            "macro" => "macros",
            _ => continue,
        };
        let Ok(line) = line.trim_end_matches(";\"").parse() else { continue };
        // What ctags names itself.
        if !name.starts_with("__anon") {
            tags.push(Tag { name: name.to_owned(), path: path.into(), line, kind });
        }
    }
    // Registers are defined by the thousand in one file; a part of them says as much.
    let step = (tags.len() / 6000).max(1);
    Ok(tags.into_iter().step_by(step).collect())
}
