//! What a server costs that has nothing to do.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::measure::{cpu, resident};
use super::report::{Report, Unit};

const SECTION: &str = "idle";
/// Let what a start has left to do come to its end.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the idleness is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Memory, and CPU over ten seconds.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(SECTION);
    let client = bench.start_fresh()?;
    thread::sleep(SETTLE);
    let before = cpu(client.pid())?;
    thread::sleep(WATCHED);
    let used = cpu(client.pid())? - before;
    report.add(SECTION, "CPU in 10 s", "syncline", Unit::Seconds, used.as_secs_f64());
    report.add(SECTION, "RSS", "syncline", Unit::Bytes, resident(client.pid())? as f64);
    client.shut_down()
}
