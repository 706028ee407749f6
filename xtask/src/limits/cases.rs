//! The cases, each with its tree and its questions.

use std::fs;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::server::{Place, Server, megabytes, seconds};
use crate::lsp::to_uri;
use crate::namespace::{self, Inotify};

type Case = fn(&Place) -> Result<()>;

pub(super) const CASES: &[(&str, Case)] =
    &[("million", million), ("watches", watches), ("file", huge_file), ("line", huge_line), ("codebases", codebases)];

/// How long what nobody watches may take to be found.
const FOUND: Duration = Duration::from_secs(600);

fn row(case: &str, fresh: Duration, costs: impl std::fmt::Display, then: &[String]) {
    println!("| {case} | {} | {costs} | {} |", seconds(fresh), then.join("; "));
}

/// Searches, and says how that went.
fn ask(server: &mut Server, text: &str) -> Result<String> {
    let (took, fresh, lines) = server.search(text)?;
    let fresh = if fresh { "" } else { ", may lack something, as it says" };
    Ok(format!("`{text}`: {lines} lines in {}{fresh}", seconds(took)))
}

/// What is said of the engine's health.
fn told(server: &mut Server) -> Result<String> {
    let state = server.state()?;
    Ok(format!(
        "health {}: {}",
        state["health"].as_str().unwrap_or("?"),
        state["message"].as_str().unwrap_or("all is well")
    ))
}

/// 1,000,000 files in 10,000 folders, of which 50,000 change at once.
fn million(place: &Place) -> Result<()> {
    for folder in 0..10_000 {
        for file in 0..100 {
            let text = format!("int unit_{folder}_{file}(void)\n{{\n\treturn {};\n}}\n", folder * file);
            place.write(&format!("{}/{folder}/{file}.c", folder / 100), text)?;
        }
    }
    let mut server = place.serve()?;
    let fresh = server.until_fresh()? - server.client.spawned();
    let costs = server.costs()?;
    row(
        "1,000,000 files in 10,000 folders, texts",
        fresh,
        costs,
        &[ask(&mut server, "unit_7777_77(")?, told(&mut server)?],
    );
    let done = server.until_done()? - server.client.spawned();
    let then = [ask(&mut server, "unit_123_45(")?, server.holds()?];
    row("the same, symbols too", done, server.costs()?, &then);

    let start = Instant::now();
    for folder in 0..500 {
        for file in 0..100 {
            place.write(&format!("{}/{folder}/{file}.c", folder / 100), format!("int changed_{folder}_{file};\n"))?;
        }
    }
    let written = start.elapsed();
    let first = ask(&mut server, "changed_499_99;")?;
    let fresh = server.until_fresh()?.saturating_duration_since(start);
    let then = [
        format!("written in {}", seconds(written)),
        format!("at once {first}"),
        ask(&mut server, "changed_7_77;")?,
        told(&mut server)?,
    ];
    row("50,000 of them changed at once", fresh, server.costs()?, &then);
    server.client.shut_down()?;

    let mut server = place.serve()?;
    let first = ask(&mut server, "unit_7777_77(")?;
    let fresh = server.until_fresh()? - server.client.spawned();
    row("the same, restarted", fresh, server.costs()?, &[format!("first {first}"), server.holds()?]);
    server.client.shut_down()
}

/// 200,000 folders, of which 10,000 may be watched.
fn watches(place: &Place) -> Result<()> {
    for folder in 0..200_000 {
        place.write(&format!("{}/{}/{folder}/a.txt", folder / 10_000, folder / 100), format!("folder {folder}\n"))?;
    }
    namespace::limit(Inotify::Watches, Some(10_000))?;
    let outcome = with_few_watches(place);
    namespace::limit(Inotify::Watches, None)?;
    outcome
}

fn with_few_watches(place: &Place) -> Result<()> {
    let mut server = place.serve()?;
    let fresh = server.until_fresh()? - server.client.spawned();
    let costs = server.costs()?;
    let mut then = vec![told(&mut server)?, ask(&mut server, "folder 123456")?];
    place.write("19/1999/199999/a.txt", "changed where nobody watches\n")?;
    let start = Instant::now();
    let (line, took, _) = place.search("where nobody")?;
    then.push(format!(
        "a change in an unwatched folder: the command line finds {} line in {}",
        count(&line),
        seconds(took)
    ));
    while server.search("where nobody")?.2 == 0 {
        if start.elapsed() > FOUND {
            bail!("the change isn't found within {} s", FOUND.as_secs());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    then.push(format!("the editor after {}", seconds(start.elapsed())));
    then.push(server.holds()?);
    row("200,000 folders, 10,000 watches allowed", fresh, costs, &then);
    server.client.shut_down()
}

fn count(output: &[u8]) -> usize {
    output.iter().filter(|byte| **byte == b'\n').count()
}

/// What it takes to search a tree with a file that isn't indexed for its size, beside rg.
fn scanned(place: &Place, what: &str) -> Result<()> {
    let mut server = place.serve()?;
    let fresh = server.until_fresh()? - server.client.spawned();
    let costs = server.costs()?;
    let (theirs, took, memory) = place.ripgrep(&["-e", "needle"])?;
    let (ours, our_time, our_memory) = place.search("needle")?;
    if ours != theirs {
        bail!("`syncline search` and rg differ");
    }
    let then = [
        ask(&mut server, "needle")?,
        format!("command line {}, {}", seconds(our_time), megabytes(our_memory)),
        format!("rg {}, {}", seconds(took), megabytes(memory)),
        told(&mut server)?,
        format!("afterwards {}, peak {}", server.holds()?, server.costs()?),
    ];
    row(what, fresh, costs, &then);
    server.client.shut_down()
}

/// A file of 2 GB.
fn huge_file(place: &Place) -> Result<()> {
    place.write("small.txt", "needle in a small file\n")?;
    let path = place.tree.join("huge.txt");
    let mut file = BufWriter::new(fs::File::create(&path).context("cannot create the huge file")?);
    let mut written = 0u64;
    for line in 0.. {
        let text = format!("line {line} of a log that nobody ever rotates, and that somebody searches all the same\n");
        file.write_all(text.as_bytes()).context("cannot write the huge file")?;
        written += text.len() as u64;
        if written >= 2 << 30 {
            break;
        }
    }
    file.write_all(b"needle at its end\n").and_then(|()| file.flush()).context("cannot write the huge file")?;
    drop(file);
    scanned(place, "a file of 2 GB")
}

/// A line of 100 MB.
fn huge_line(place: &Place) -> Result<()> {
    place.write("small.txt", "needle in a small file\n")?;
    let mut line = b"0123456789abcdef".repeat((100 << 20) / 16);
    line.extend(b" needle\n");
    place.write("line.txt", line)?;
    scanned(place, "a line of 100 MB")
}

/// 100 codebases open, of 200 files each.
fn codebases(place: &Place) -> Result<()> {
    const COUNT: usize = 100;
    for codebase in 0..COUNT {
        for file in 0..200 {
            let text = format!("int unit_{codebase}_{file}(void);\n").repeat(20);
            place.write(&format!("{codebase:02}/{}/{file}.c", file / 20), text)?;
        }
    }
    let mut server = place.serve()?;
    let folder = |number: usize| json!({ "uri": to_uri(&place.tree.join(format!("{number:02}"))), "name": "codebase" });
    let added: Vec<_> = (0..COUNT).map(folder).collect();
    let removed = json!([{ "uri": to_uri(&place.tree), "name": "corpus" }]);
    let start = Instant::now();
    let event = json!({ "event": { "added": added, "removed": removed } });
    server.client.tell("workspace/didChangeWorkspaceFolders", &event)?;
    let fresh = loop {
        let states = match server.client.ask("syncline/queue", &json!({}))? {
            Ok(states) => states,
            Err(error) => bail!("no states: {error}"),
        };
        let states = states.as_array().cloned().unwrap_or_default();
        if states.len() == COUNT
            && states.iter().all(|state| state["index"]["fresh"] == true && state["phase"] == "idle")
        {
            break start.elapsed();
        }
        if start.elapsed() > FOUND {
            bail!("not all codebases are fresh within {} s", FOUND.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let costs = server.costs()?;
    place.write("77/3/66.c", "int just_written;\n")?;
    let then =
        [ask(&mut server, "unit_42_42(")?, ask(&mut server, "just_written")?, told(&mut server)?, server.holds()?];
    row("100 codebases open, 200 files each", fresh, costs, &then);
    server.client.shut_down()
}
