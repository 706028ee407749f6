//! The figures: raw samples, kept in the order in which they were taken, and the tables made of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Bench;
use super::measure::run_ok;

/// What a sample counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    Count,
}

/// All samples of one measure of one subject.
struct Series {
    section: &'static str,
    measure: &'static str,
    subject: &'static str,
    unit: Unit,
    samples: Vec<f64>,
}

/// How a section's samples are shown.
#[derive(Clone, Copy)]
enum Shape {
    /// Subjects side by side, by their medians.
    Compare,
    /// One subject, by its percentiles.
    Spread,
}

/// One run's figures.
pub(crate) struct Report {
    /// What they are figures of: label and text.
    facts: Vec<(&'static str, String)>,
    sections: Vec<(&'static str, Shape)>,
    series: Vec<Series>,
    notes: Vec<String>,
    problems: Vec<String>,
    /// What the subject "syncline" is called at the moment, if not so.
    ours: Option<&'static str>,
}

/// The subject that this is all about.
const OURS: &str = "syncline";

impl Report {
    /// An empty report on this machine and corpus, naming what is measured.
    pub(crate) fn new(bench: &Bench, versions: &[String]) -> Result<Self> {
        let walked = run_ok(&mut bench.floor("walk")?)?;
        let walked = String::from_utf8_lossy(&walked.stdout).into_owned();
        let mut counts = walked.split_whitespace().filter_map(|count| count.parse::<f64>().ok());
        let (files, bytes) = (counts.next().unwrap_or_default(), counts.next().unwrap_or_default());
        let corpus = format!("{} ({files} files, {})", bench.corpus.display(), Unit::Bytes.show(bytes));
        let settings: Vec<_> = bench.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let runs = format!("{} each after one warm-up, taking turns; page cache warm", bench.runs);
        let mut facts =
            vec![("corpus", corpus), ("machine", machine()), ("versions", versions.join(", ")), ("runs", runs)];
        if !settings.is_empty() {
            facts.push(("settings", settings.join(" ")));
        }
        let (sections, series, notes, problems) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { facts, sections, series, notes, problems, ours: None })
    }

    /// From here on another program is measured in the place of "syncline", and called so.
    pub(crate) fn call_ours(&mut self, called: Option<&'static str>) {
        self.ours = called;
    }

    fn begin(&mut self, section: &'static str, shape: Shape) {
        if !self.sections.iter().any(|(other, _)| *other == section) {
            self.sections.push((section, shape));
        }
    }

    /// Begins a section that shows subjects side by side; the first is what the others are compared with.
    pub(crate) fn compare(&mut self, section: &'static str) {
        self.begin(section, Shape::Compare);
    }

    /// Begins a section that shows how samples are spread.
    pub(crate) fn spread(&mut self, section: &'static str) {
        self.begin(section, Shape::Spread);
    }

    /// Adds a sample.
    pub(crate) fn add(
        &mut self,
        section: &'static str,
        measure: &'static str,
        subject: &'static str,
        unit: Unit,
        sample: f64,
    ) {
        let subject = self.ours.filter(|_| subject == OURS).unwrap_or(subject);
        let same =
            |series: &&mut Series| (series.section, series.measure, series.subject) == (section, measure, subject);
        match self.series.iter_mut().find(same) {
            Some(series) => series.samples.push(sample),
            None => self.series.push(Series { section, measure, subject, unit, samples: vec![sample] }),
        }
    }

    /// Something worth knowing.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Something that must not be: it is shown loudly, once however often it is met, and the run fails.
    pub(crate) fn problem(&mut self, text: String) {
        if !self.problems.contains(&text) {
            eprintln!("problem: {text}");
            self.problems.push(text);
        }
    }

    /// How many problems there were.
    pub(crate) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// Prints the tables.
    pub(crate) fn print(&self) {
        let mut rows = Vec::new();
        for (section, shape) in &self.sections {
            let series: Vec<_> = self.series.iter().filter(|series| series.section == *section).collect();
            if !series.is_empty() {
                rows.push(Vec::new());
                rows.extend(match shape {
                    Shape::Compare => compare(section, &series),
                    Shape::Spread => spread(section, &series),
                });
            }
        }
        println!();
        for (label, text) in &self.facts {
            println!("{label:9} {text}");
        }
        print!("{}", align(&rows));
        println!("\nmedians; in parentheses how many times the first column's figure");
        self.notes.iter().for_each(|note| println!("note: {note}"));
        self.problems.iter().for_each(|problem| println!("!!! {problem}"));
    }

    /// Writes the raw figures: seconds, bytes and counts.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let facts: serde_json::Map<String, Value> =
            self.facts.iter().map(|(label, text)| ((*label).to_owned(), text.as_str().into())).collect();
        let series = self.series.iter().map(|series| {
            json!({
                "section": series.section,
                "measure": series.measure,
                "subject": series.subject,
                "unit": series.unit.name(),
                "samples": series.samples,
            })
        });
        let series: Vec<_> = series.collect();
        let all = json!({ "facts": facts, "series": series, "notes": self.notes, "problems": self.problems });
        fs::write(path, format!("{all:#}\n")).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Count => "count",
        }
    }

    /// A figure for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Seconds if value >= 1.0 => format!("{value:.2} s"),
            Self::Seconds if value >= 0.001 => format!("{:.1} ms", value * 1e3),
            Self::Seconds if value == 0.0 => "0 s".to_owned(),
            Self::Seconds => format!("{:.0} µs", value * 1e6),
            Self::Bytes if value >= 1e9 => format!("{:.2} GB", value / 1e9),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
            Self::Count => format!("{value}"),
        }
    }
}

/// A table of medians: measures down, subjects across.
fn compare(section: &str, series: &[&Series]) -> Vec<Vec<String>> {
    let subjects = distinct(series.iter().map(|series| series.subject));
    let measures = distinct(series.iter().map(|series| series.measure));
    let header = std::iter::once(section).chain(subjects.iter().copied()).map(str::to_owned).collect();
    let row = |measure: &&str| {
        let median = |subject: &str| {
            let same = |series: &&&Series| (series.measure, series.subject) == (*measure, subject);
            series.iter().find(same).map(|series| (series.unit, percentile(&series.samples, 0.5)))
        };
        let base = subjects.first().and_then(|subject| median(subject)).map(|(_, value)| value);
        let cell = |(column, subject): (usize, &&str)| match (median(subject), base) {
            (Some((unit, value)), Some(base)) if column > 0 && base > 0.0 && !matches!(unit, Unit::Count) => {
                format!("{} ({:.2}×)", unit.show(value), value / base)
            }
            (Some((unit, value)), _) => unit.show(value),
            (None, _) => "–".to_owned(),
        };
        std::iter::once(format!("  {measure}")).chain(subjects.iter().enumerate().map(cell)).collect()
    };
    std::iter::once(header).chain(measures.iter().map(row)).collect()
}

/// A table of percentiles: measures down, other subjects by their name.
fn spread(section: &str, series: &[&Series]) -> Vec<Vec<String>> {
    let header = [section, "p50", "p99", "max", "trials"].map(str::to_owned).to_vec();
    let row = |series: &&Series| {
        let shares = [0.5, 0.99, 1.0].map(|share| series.unit.show(percentile(&series.samples, share)));
        let ends = [series.samples.len().to_string()];
        let subject = if series.subject == OURS { String::new() } else { format!(", {}", series.subject) };
        std::iter::once(format!("  {}{subject}", series.measure)).chain(shares).chain(ends).collect()
    };
    std::iter::once(header).chain(series.iter().map(row)).collect()
}

/// The smallest sample that at least this share of all samples does not exceed; 0 if there are none.
fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The values in the order of their first appearance.
fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// Lines of columns that are as wide as their widest cell: the first to the left, the others to the right. An empty row
/// is an empty line, and begins columns of their own.
fn align(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for table in rows.split(Vec::is_empty) {
        let width =
            |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        for row in table {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = width(column).unwrap_or_default();
                line += &if column == 0 { format!("{cell:width$}") } else { format!("  {cell:>width$}") };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

/// Cores, processor and kernel.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let os = std::env::consts::OS;
    format!("{cores} cores, {}, {os} {}", model.unwrap_or("unknown processor"), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 0.5), 100.0);
        assert_eq!(percentile(&samples, 0.99), 198.0);
        assert_eq!(percentile(&samples, 1.0), 200.0);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn subjects_stand_side_by_side_with_their_ratio() {
        let series = |measure, subject, samples: &[f64]| Series {
            section: "s",
            measure,
            subject,
            unit: Unit::Seconds,
            samples: samples.to_vec(),
        };
        let all = [
            series("wall", "ours", &[1.0, 2.0, 4.0]),
            series("wall", "theirs", &[3.0, 3.0, 9.0]),
            series("CPU", "ours", &[0.5]),
        ];
        let rows = compare("s", &all.iter().collect::<Vec<_>>());
        let expected = "\
s           ours          theirs
  wall    2.00 s  3.00 s (1.50×)
  CPU   500.0 ms               –
";
        assert_eq!(align(&rows), expected);
    }

    #[test]
    fn figures_are_shown_in_a_unit_that_fits() {
        assert_eq!(Unit::Seconds.show(12.345), "12.35 s");
        assert_eq!(Unit::Seconds.show(0.0123), "12.3 ms");
        assert_eq!(Unit::Seconds.show(0.000_045), "45 µs");
        assert_eq!(Unit::Bytes.show(145_300_000.0), "145.3 MB");
        assert_eq!(Unit::Count.show(7.0), "7");
    }
}
