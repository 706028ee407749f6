//! A few matches of a file that has more than anybody reads: an editor that shows the first lines of an answer.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::measure::{peak, run_ok};
use super::report::{Report, Unit};
use super::{Bench, FRESH_DEADLINE};
use crate::lsp::Client;
use crate::sandbox::Scratch;

const TIMES: &str = "few results of 1 GB: wall";
const MEMORY: &str = "few results of 1 GB: peak RSS";
/// How large the file is, in bytes: nobody indexes that.
const SIZE: usize = 1_000_000_000;
/// What each of its lines has.
const QUERY: &str = "line";
/// How many results are asked for.
const LIMITS: [(&str, u32); 3] = [("maxResults 1", 1), ("maxResults 10", 10), ("maxResults 500", 500)];

/// A server for each limit, so that its peak is that limit's, beside `rg -m`.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(TIMES);
    report.compare(MEMORY);
    let folder = Scratch::folder(bench.scratch.path())?;
    let file = fs::File::create(folder.path().join("huge.log")).context("cannot create a huge file")?;
    let mut file = std::io::BufWriter::new(file);
    let (mut written, mut number) = (0, 0);
    while written < SIZE {
        let line = format!("{number:010} a line of a log\n");
        file.write_all(line.as_bytes()).context("cannot write a huge file")?;
        (written, number) = (written + line.len(), number + 1);
    }
    file.into_inner().context("cannot write a huge file")?;
    for (measure, most) in LIMITS {
        let mut server = bench.syncline(&["lsp", "--stdio", "--standalone"])?;
        server.current_dir(folder.path()).stderr(Stdio::null());
        let mut client = Client::start(&mut server, folder.path())?;
        client.wait_until_fresh(FRESH_DEADLINE)?;
        for _ in 0..bench.runs.min(3) {
            let answer = client.search(QUERY, false, true, most)?;
            report.add(TIMES, measure, "syncline", Unit::Seconds, answer.took.as_secs_f64());
            if answer.lines()?.len() != most as usize || !answer.limit_hit() {
                report.problem(format!(
                    "{measure}: {} lines, limit hit: {}",
                    answer.lines()?.len(),
                    answer.limit_hit()
                ));
            }
            let mut rg = bench.command(&bench.ripgrep)?;
            rg.args(["--no-config", "-n", "-m", &most.to_string(), QUERY]).current_dir(folder.path());
            let rg = run_ok(&mut rg)?;
            report.add(TIMES, measure, "rg -m", Unit::Seconds, rg.wall.as_secs_f64());
            report.add(MEMORY, measure, "rg -m", Unit::Bytes, rg.peak_rss as f64);
        }
        report.add(MEMORY, measure, "syncline", Unit::Bytes, peak(client.pid())? as f64);
        client.shut_down()?;
    }
    Ok(())
}
