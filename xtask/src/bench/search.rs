//! Searches through a running server, beside `rg` and `csearch` as whole processes; and whether the answers are rg's.

use anyhow::Result;

use super::Bench;
use super::measure::{resident, run_ok, run_search};
use super::report::{Report, Unit};
use crate::lsp::Line;

const SECTION: &str = "search: answer, all lines";
const MEMORY: &str = "search: memory afterwards";
const LINES: &str = "search: matching lines";
/// More than any search here finds.
const UNLIMITED: u32 = 1_000_000;

/// The searches; the defaults suit a tree of the Linux kernel.
#[derive(Clone, clap::Args)]
pub(crate) struct Queries {
    /// A literal that few files have.
    #[arg(long, value_name = "TEXT", default_value = "kvm_arch_vcpu_precreate")]
    pub(crate) rare: String,
    /// A literal that many files have.
    #[arg(long, value_name = "TEXT", default_value = "struct file_operations")]
    common: String,
    /// A regex that holds literals.
    #[arg(long, value_name = "REGEX", default_value = r"static\s+int\s+\w+_probe\(struct platform_device")]
    regex: String,
    /// A regex that holds literals and matches in few files.
    #[arg(long, value_name = "REGEX", default_value = r"[a-z]+_vcpu_(pre)?create\(")]
    rare_regex: String,
    /// A regex that no index can narrow.
    #[arg(long, value_name = "REGEX", default_value = "^.{250}")]
    unnarrowed: String,
    /// A regex without any literal to look up.
    #[arg(long, value_name = "REGEX", default_value = "[a-z]{3}_[0-9]{4}")]
    no_literal: String,
}

/// Each search by each engine in turn.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    report.compare(SECTION);
    report.compare(LINES);
    run_ok(&mut bench.cindex()?)?;
    let mut client = bench.start_fresh()?;
    let queries = &bench.queries;
    for (kind, pattern, is_regex) in [
        ("rare literal", &queries.rare, false),
        ("common literal", &queries.common, false),
        ("regex with literals", &queries.regex, true),
        ("regex with literals, few files", &queries.rare_regex, true),
        ("regex without literals", &queries.no_literal, true),
        ("regex that nothing narrows", &queries.unnarrowed, true),
    ] {
        for round in 0..=bench.runs {
            let ours = client.search(pattern, is_regex, true, UNLIMITED)?;
            let mut rg = bench.command(&bench.ripgrep)?;
            // The paths end in a NUL here, which tells matching lines from remarks about binary files.
            rg.args(["--no-config", "--no-heading", "--line-number", "--null"]);
            rg.args((!is_regex).then_some("--fixed-strings")).args(["--regexp", pattern]).arg(&bench.corpus);
            let rg = run_search(&mut rg)?;
            let mut csearch = bench.command("csearch")?;
            csearch.env("CSEARCHINDEX", bench.codesearch_index()).arg("-n");
            let csearch = run_search(csearch.arg(if is_regex { pattern.clone() } else { escape(pattern) }))?;
            if round > 0 {
                let mut add = |subject, value: f64| report.add(SECTION, kind, subject, Unit::Seconds, value);
                add("syncline", ours.took.as_secs_f64());
                add("rg", rg.wall.as_secs_f64());
                add("csearch", csearch.wall.as_secs_f64());
            }
            // Off the clock, and in every round: an answer may be wrong only sometimes.
            let found = ours.lines()?;
            let theirs = Line::of_rg(&rg.stdout, &bench.corpus);
            let mut add = |subject, value: usize| report.add(LINES, kind, subject, Unit::Count, value as f64);
            add("syncline", found.len());
            add("rg", theirs.len());
            // It leaves out what it takes for no text and knows no ignore files, so its answer may differ.
            add("csearch", csearch.stdout.iter().filter(|byte| **byte == b'\n').count());
            if ours.limit_hit() {
                report.problem(format!("{kind} `{pattern}`: more than {UNLIMITED} matches, so the answer is cut"));
            }
            if let Some(difference) = Line::difference(&found, &theirs) {
                report.problem(format!("MISMATCH: {kind} `{pattern}`: {difference}"));
            }
        }
    }
    report.compare(MEMORY);
    report.add(MEMORY, "RSS", "syncline", Unit::Bytes, resident(client.pid())? as f64);
    client.shut_down()
}

/// A literal as a regex that matches it.
fn escape(literal: &str) -> String {
    let quoted = |letter: char| if letter.is_ascii_punctuation() { vec!['\\', letter] } else { vec![letter] };
    literal.chars().flat_map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_escaped() {
        assert_eq!(escape("a_b(c)"), r"a\_b\(c\)");
    }
}
