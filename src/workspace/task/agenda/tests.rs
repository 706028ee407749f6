//! Every state that an agenda can get into, whatever is asked and however long work takes.

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use super::*;

const MOST: Duration = Duration::from_secs(5);
/// After everything that is planned or held.
const LATER: Duration = Duration::from_secs(1000);

/// An agenda, and what those around it have asked for and not got.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    agenda: Agenda,
    /// Files changed, and no batch has been enqueued since.
    changed: bool,
    /// Somebody wants a batch, whether paused or not.
    asked: bool,
    /// Somebody waits for the end of a scan that begins after now; whether it has begun.
    awaited: Option<(u64, bool)>,
    /// Symbols are wanted, these among them.
    symbols: Option<BTreeSet<SymbolSegmentId>>,
    /// More files differ than git leaves behind between two steps.
    many: bool,
    /// The scan that runs has the work of another to do, too.
    is_retried: bool,
    running: Vec<&'static str>,
}

fn damaged_segment() -> SymbolSegmentId {
    SymbolSegmentId::of(Path::new("00000000000000000000000000000001.symbols")).unwrap()
}

/// One thing that can happen.
type Step = (&'static str, fn(&mut World, Instant));

impl World {
    fn new(start: Instant, has_symbols: bool) -> World {
        let agenda = Agenda::new(Debounce::new(Duration::ZERO, MOST), has_symbols);
        let mut world = World {
            agenda,
            changed: false,
            asked: false,
            awaited: None,
            symbols: None,
            many: false,
            is_retried: false,
            running: Vec::new(),
        };
        world.pass(start);
        world
    }

    /// Starts what is due, and checks that it may.
    fn pass(&mut self, now: Instant) {
        let is_paused = self.agenda.is_paused();
        while let Some(work) = self.agenda.next(now, self.many) {
            match work {
                Work::Scan(_) => {
                    self.begin("scan");
                    self.awaited = self.awaited.map(|(run, _)| (run, true));
                }
                Work::CompareUnseen => self.begin("compare"),
                Work::ProbeGit => {
                    assert!(!is_paused, "git is asked about for a batch that may not be enqueued");
                    self.begin("git");
                }
                Work::Retry => {
                    assert!(!is_paused, "a paused codebase tries again");
                    self.agenda.submit_changes();
                }
                Work::Submit => {
                    assert!(!is_paused || self.asked, "a paused codebase enqueues what nobody asked for");
                    self.begin("submit");
                    (self.changed, self.asked) = (false, false);
                }
                Work::Repair(_) => self.begin("repair"),
                Work::Compact => self.begin("compact"),
                Work::Symbols(damaged) => {
                    assert!(!is_paused, "a paused codebase parses");
                    self.begin("symbols");
                    assert_eq!(Some(damaged), self.symbols.take(), "damage is forgotten");
                }
                Work::PollQueue => self.begin("poll"),
            }
        }
        assert!(self.agenda.due().is_none_or(|due| due > now), "it would be woken for nothing, again and again");
        if let Some((run, has_begun)) = self.awaited {
            let has_finished = self.agenda.scan.has_finished(run);
            assert!(!has_finished || has_begun, "a scan that began too early is taken for an answer");
            self.awaited = self.awaited.filter(|_| !has_finished);
        }
    }

    fn begin(&mut self, work: &'static str) {
        assert!(!self.running.contains(&work), "{work} runs twice");
        self.running.push(work);
        self.running.sort_unstable();
    }

    /// Work is over, if it runs.
    fn end(&mut self, work: &'static str) -> bool {
        let before = self.running.len();
        self.running.retain(|other| *other != work);
        self.running.len() < before
    }

    /// Once all work has ended and nothing holds it up, nothing is owed to anybody.
    fn comes_to_rest(mut self, now: Instant) {
        let later = now + LATER;
        self.agenda.set_paused(false);
        for _ in 0..8 {
            self.pass(later);
            for (work, end) in ENDS {
                if self.running.contains(work) {
                    end(&mut self, later);
                }
            }
        }
        self.pass(later);
        assert!(self.running.is_empty(), "work goes on for ever: {:?}", self.running);
        assert!(!self.changed && !self.asked && self.awaited.is_none(), "somebody waits for ever: {self:?}");
        assert!(self.symbols.is_none() || !self.agenda.has_symbols, "symbols are wanted for ever");
        assert_eq!(self.agenda.due(), None, "something is planned that nobody does");
    }

    /// The same state, whatever it took to get there.
    fn key(mut self) -> World {
        let Agenda { scan, compare, git, submit, repair, compact, symbols, poll, .. } = &mut self.agenda;
        let scans = scan.forget_count();
        self.awaited = self.awaited.map(|(run, begun)| (run - scans, begun));
        compare.forget_count();
        git.forget_count();
        submit.forget_count();
        repair.forget_count();
        compact.forget_count();
        symbols.forget_count();
        poll.forget_count();
        self
    }
}

const ENDS: &[Step] = &[
    ("scan", |world, _| {
        if world.end("scan") {
            world.agenda.scan.finish()
        }
    }),
    ("compare", |world, _| {
        if world.end("compare") {
            world.agenda.compare.finish()
        }
    }),
    ("git", |world, now| {
        if world.end("git") {
            world.agenda.git_probed(false, now, MOST)
        }
    }),
    ("submit", |world, _| {
        if world.end("submit") {
            world.agenda.submit.finish()
        }
    }),
    ("repair", |world, _| {
        if world.end("repair") {
            world.agenda.repair.finish()
        }
    }),
    ("compact", |world, _| {
        if world.end("compact") {
            world.agenda.compact.finish()
        }
    }),
    ("symbols", |world, _| {
        if world.end("symbols") {
            world.agenda.symbols.finish()
        }
    }),
    ("poll", |world, _| {
        if world.end("poll") {
            world.agenda.poll.finish()
        }
    }),
];

/// Tries every order of `steps`, each followed by a pass, now and when all that was planned is due.
fn explore(has_symbols: bool, steps: &[Step]) -> usize {
    let start = Instant::now();
    let first = World::new(start, has_symbols).key();
    let (mut seen, mut next) = (HashSet::from([first.clone()]), VecDeque::from([first]));
    while let Some(world) = next.pop_front() {
        world.clone().comes_to_rest(start);
        for (_, step) in steps {
            for wait in [Duration::ZERO, LATER] {
                let mut after = world.clone();
                step(&mut after, start);
                after.pass(start + wait);
                let after = after.key();
                if seen.insert(after.clone()) {
                    next.push_back(after);
                }
            }
        }
    }
    seen.len()
}

const PAUSES: [Step; 2] =
    [("pause", |world, _| world.agenda.set_paused(true)), ("resume", |world, _| world.agenda.set_paused(false))];

#[test]
fn whatever_happens_every_change_is_scanned_and_enqueued_once() {
    let mut steps: Vec<Step> = vec![
        ("changes are seen", |world, _| world.agenda.scan.request(Extent::Paths)),
        ("somebody waits for a scan", |world, _| {
            if world.awaited.is_none() {
                world.agenda.scan.request(Extent::Tree);
                world.awaited = Some((world.agenda.scan.next_run(), false));
            }
        }),
        ("too much has changed for a scan of paths", |world, _| {
            // Once in a row: what comes of it more often is the same.
            if !world.is_retried && world.end("scan") {
                world.is_retried = true;
                world.agenda.scan.retry(Extent::Tree);
            }
        }),
        ("a walk is planned", |world, now| world.agenda.scan.plan(Some(now + MOST))),
        ("a few files differ", |world, now| {
            (world.changed, world.many) = (true, false);
            world.agenda.changed(now);
        }),
        ("many files differ", |world, now| {
            (world.changed, world.many) = (true, true);
            world.agenda.changed(now);
        }),
        ("a walk found many files to differ", |world, now| {
            (world.changed, world.many) = (true, true);
            world.agenda.changed(now);
            world.agenda.end_burst(true);
        }),
        ("a sync is asked for", |world, _| {
            world.asked = true;
            world.agenda.submit.request(Submission::Asked);
        }),
        ("git is at work", |world, now| {
            if world.end("git") {
                world.agenda.git_probed(true, now, MOST);
            }
        }),
        ("a sync fails", |world, now| world.agenda.failed(now)),
        ("a sync succeeds", |world, _| world.agenda.succeeded()),
    ];
    steps.extend(PAUSES);
    steps.extend(ENDS.iter().filter(|(name, _)| ["scan", "git", "submit"].contains(name)));
    let states = explore(true, &steps);
    assert!(states > 1000, "only {states} states");
}

#[test]
fn whatever_happens_the_index_is_compacted_repaired_and_parsed_by_one_at_a_time() {
    let mut steps: Vec<Step> = vec![
        ("damage is found", |world, _| world.agenda.repair.request(Repair::Damaged)),
        ("it is to be built anew", |world, _| world.agenda.repair.request(Repair::Everything)),
        ("segments may be merged", |world, _| world.agenda.compact.request(())),
        ("symbols are to be parsed", |world, _| {
            world.symbols.get_or_insert_default();
            world.agenda.symbols.request(BTreeSet::new());
        }),
        ("symbols are damaged", |world, _| {
            let damaged = BTreeSet::from([damaged_segment()]);
            world.symbols.get_or_insert_default().extend(damaged.clone());
            world.agenda.symbols.request(damaged);
        }),
        ("the queue changes", |world, _| world.agenda.poll.request(())),
        ("what raises no event is to be compared", |world, now| world.agenda.compare.plan(Some(now + MOST))),
    ];
    steps.extend(PAUSES);
    let ends = ["compare", "repair", "compact", "symbols", "poll"];
    steps.extend(ENDS.iter().filter(|(name, _)| ends.contains(name)));
    for has_symbols in [true, false] {
        let states = explore(has_symbols, &steps);
        assert!(states > 1000, "only {states} states");
    }
}
