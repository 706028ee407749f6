//! A start with an index that needs nothing: how long until it answers, and until it knows that nothing has changed.

use anyhow::Result;

use super::measure::run_ok;
use super::report::{Report, Unit};
use super::{Bench, FRESH_DEADLINE};

const SECTION: &str = "restart without changes";

/// By the command line, and by an editor's server from its spawn on.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(SECTION);
    let literal = &bench.queries.rare;
    for round in 0..=bench.runs {
        let command = run_ok(&mut bench.syncline_index()?)?;
        let walk = run_ok(&mut bench.floor("walk")?)?;
        let mut client = bench.start()?;
        let answer = client.search(literal, false, false, 1)?;
        let fresh = client.wait_until_fresh(FRESH_DEADLINE)?;
        if answer.is_empty() {
            report.problem(format!("{SECTION}: the first answer of a new server did not find `{literal}`"));
        }
        // The first round may have had an index to build.
        if round > 0 {
            let mut add = |measure, subject, value: f64| report.add(SECTION, measure, subject, Unit::Seconds, value);
            add("whole command, wall", "syncline", command.wall.as_secs_f64());
            add("whole command, wall", "walk + stat", walk.wall.as_secs_f64());
            add("whole command, CPU", "syncline", command.cpu.as_secs_f64());
            add("whole command, CPU", "walk + stat", walk.cpu.as_secs_f64());
            add("server: first answer", "syncline", (answer.at - client.spawned()).as_secs_f64());
            add("server: fresh and idle", "syncline", (fresh - client.spawned()).as_secs_f64());
        }
        client.shut_down()?;
    }
    Ok(())
}
