//! From a save to the answer that has it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bench;
use super::report::{Report, Unit};
use crate::sandbox::Scratch;

const SECTION: &str = "save to searchable";
/// The file that is saved, in the corpus's root.
const FILE: &str = "syncline-bench-scratch.c";
/// How long one save is looked for before it counts as lost.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two questions, so that asking doesn't take the core that indexing needs.
const POLL: Duration = Duration::from_micros(500);

/// Saves by another program than the editor, seen by file events alone: how long until a search that doesn't wait finds
/// them, and how long a search takes that must.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.spread(SECTION);
    let mut client = bench.start_fresh()?;
    let file = Scratch::file(bench.corpus.join(FILE))?;
    let save = |token: &str| fs::write(file.path(), format!("int {token};\n")).context("cannot write the scratch file");

    let mut lost = 0;
    for trial in 0..bench.trials {
        pause(trial);
        let token = format!("syncline_polled_{trial}_{}", std::process::id());
        let start = Instant::now();
        save(&token)?;
        let found = loop {
            let answer = client.search(&token, false, false, 1)?;
            if !answer.is_empty() {
                break Some(answer.at - start);
            }
            if start.elapsed() > DEADLINE {
                break None;
            }
            thread::sleep(POLL);
        };
        match found {
            Some(took) => {
                report.add(SECTION, "save until found by polling", "syncline", Unit::Seconds, took.as_secs_f64())
            }
            None => lost += 1,
        }
    }
    if lost > 0 {
        report.problem(format!(
            "{SECTION}: {lost} of {} saves not found within {} s",
            bench.trials,
            DEADLINE.as_secs()
        ));
    }

    let (mut missed, mut unsure) = (0, 0);
    for trial in 0..bench.trials {
        pause(trial);
        let token = format!("syncline_asked_{trial}_{}", std::process::id());
        save(&token)?;
        let answer = client.search(&token, false, true, 1)?;
        report.add(SECTION, "answer of one fresh search", "syncline", Unit::Seconds, answer.took.as_secs_f64());
        missed += u32::from(answer.is_empty());
        unsure += u32::from(!answer.fresh());
    }
    report.note(format!("{SECTION}: {missed} of {} fresh searches missed the write before them", bench.trials));
    if missed > 0 {
        report.problem(format!(
            "READ YOUR WRITES broken: {missed} of {} searches missed the write before them",
            bench.trials
        ));
    }
    if unsure > 0 {
        report.problem(format!(
            "{SECTION}: {unsure} of {} answers to a fresh search did not call themselves fresh",
            bench.trials
        ));
    }
    client.shut_down()
}

/// Waits 10 to 69 ms, a different time from trial to trial, so that saves fall at every point of a debounce window.
fn pause(trial: u32) {
    thread::sleep(Duration::from_millis(10 + u64::from(trial * 7 % 60)));
}
