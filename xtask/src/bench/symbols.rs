//! Symbols: all of a tree's beside universal-ctags, how many of ctags' are found, and how long a question takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::measure::{cpu, resident, run_ok, run_search};
use super::report::{Report, Unit};
use super::{Bench, FRESH_DEADLINE};
use crate::compare::random::Random;
use crate::lsp::Client;
use crate::sandbox::Scratch;
use crate::tools::CTAGS;

const COLD: &str = "symbols of the whole tree";
const QUERY: &str = "symbol query";
const TEN: &str = "symbol query for 10 results, a process each";
const SAVE: &str = "one changed file, all stages";
const RECALL: &str = "ctags' symbols that are found";
/// Files whose symbols are compared with ctags'.
const SAMPLE: usize = 500;
/// `index.max_file_bytes`, above which nothing is parsed.
const MOST_PARSED: u64 = 4 << 20;
/// A file of middling size that is changed, and how often.
const CHANGED: &str = "fs/open.c";
const SAVES: u32 = 50;
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
    for (fit, name) in questions(&tags) {
        let (_, took) = client.symbols(&name)?;
        report.add(QUERY, fit, "syncline", Unit::Seconds, took.as_secs_f64());
    }
    report.note(format!("{QUERY}: memory afterwards {:.0} MB", resident(client.pid())? as f64 / 1e6));
    one_changed_file(bench, report, &mut client)?;
    client.shut_down()?;
    ten_results(bench, report, &tags)
}

/// Queries that ask for names exactly, by their first half, and with every fourth letter left out.
fn questions(tags: &[Tag]) -> Vec<(&'static str, String)> {
    let mut random = Random::new(1);
    let of_one = |_| {
        let name = &random.pick(tags).name;
        let prefix = name.chars().take(name.chars().count().div_ceil(2).max(3)).collect();
        let fuzzy = name.chars().enumerate().filter(|(at, _)| at % 4 != 2).map(|(_, letter)| letter).collect();
        [("exact", name.clone()), ("prefix", prefix), ("fuzzy", fuzzy)]
    };
    (0..QUESTIONS).flat_map(of_one).collect()
}

/// What a save costs the server until texts and symbols are committed.
fn one_changed_file(bench: &Bench, report: &mut Report, client: &mut Client) -> Result<()> {
    report.compare(SAVE);
    let text = std::fs::read_to_string(bench.corpus.join(CHANGED))
        .with_context(|| format!("{CHANGED} isn't in the corpus"))?;
    let file = Scratch::file(bench.corpus.join("syncline-bench-scratch.c"))?;
    let name = |number: u32| format!("syncline_saved_{number}");
    let save = |number: u32, client: &mut Client| -> Result<()> {
        let text = format!("{text}\nint {}(void) {{ return 0; }}\n", name(number));
        let before = client.generation();
        std::fs::write(file.path(), text).context("cannot write the scratch file")?;
        client.wait_until(FRESH_DEADLINE, |state| {
            state["index"]["generation"].as_u64() > Some(before) && state["index"]["fresh"] == true
        })?;
        // The symbols follow at once, and asking for them would cost, too.
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    };
    save(0, client)?;
    let before = cpu(client.pid())?;
    for number in 1..=SAVES {
        save(number, client)?;
    }
    let used = (cpu(client.pid())? - before) / SAVES;
    anyhow::ensure!(!client.symbols(&name(SAVES))?.0.is_empty(), "the symbol of the last save isn't found");
    report.add(SAVE, "CPU", "syncline", Unit::Seconds, used.as_secs_f64());
    Ok(())
}

/// As people ask on the command line: the shared engine answers.
fn ten_results(bench: &Bench, report: &mut Report, tags: &[Tag]) -> Result<()> {
    report.spread(TEN);
    run_ok(&mut bench.syncline(&["sync"])?)?;
    for (fit, name) in questions(tags) {
        let mut arguments = vec!["symbols", "--limit", "10"];
        arguments.extend(match fit {
            "exact" => Some("--exact"),
            "prefix" => Some("--prefix"),
            _ => None,
        });
        arguments.extend(["--", &name]);
        let found = run_search(&mut bench.syncline(&arguments)?)?;
        report.add(TEN, fit, "syncline", Unit::Seconds, found.wall.as_secs_f64());
    }
    run_ok(&mut bench.syncline(&["daemon", "stop"])?).map(drop)
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
