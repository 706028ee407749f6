//! A cold index: syncline beside cindex and the floors.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Bench;
use super::measure::{Finished, bytes_on_disk, run_ok};
use super::report::{Report, Unit};

const SECTION: &str = "cold text index";

/// Wall, CPU, peak memory and bytes on disk, the page cache warm.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(SECTION);
    for round in 0..=bench.runs {
        // The first round warms the page cache and is not counted.
        let counted = round > 0;
        let mut note = |subject: &'static str, finished: &Finished, index: Option<&Path>| -> Result<()> {
            if counted {
                report.add(SECTION, "wall", subject, Unit::Seconds, finished.wall.as_secs_f64());
                report.add(SECTION, "CPU", subject, Unit::Seconds, finished.cpu.as_secs_f64());
                report.add(SECTION, "peak RSS", subject, Unit::Bytes, finished.peak_rss as f64);
                if let Some(index) = index {
                    report.add(SECTION, "on disk", subject, Unit::Bytes, bytes_on_disk(index)? as f64);
                }
            }
            Ok(())
        };
        let index = bench.index();
        if index.exists() {
            fs::remove_dir_all(&index).context("cannot remove the last index")?;
        }
        note("syncline", &run_ok(bench.syncline_index()?.env("SYNCLINE_INDEX_SYMBOLS", "false"))?, Some(&index))?;
        note("cindex", &run_ok(&mut bench.cindex()?)?, Some(&bench.codesearch_index()))?;
        note("walk + stat", &run_ok(&mut bench.floor("walk")?)?, None)?;
        note("read + trigrams, 1 core", &run_ok(&mut bench.floor("trigrams")?)?, None)?;
    }
    Ok(())
}
