//! `cargo xtask soak`: a large repository that lives, with editors and commands at work in it, while everything fails that
//! can fail. Each minute all of that rests, and what Syncline knows is compared with what is there.
//!
//! The life's steps, the faults and what is asked follow from the seed. How they meet in time doesn't.

mod around;
mod clients;
mod exam;
mod faults;
mod life;
mod links;
mod place;
mod redis;
mod tally;
mod tree;
mod vitals;
mod words;

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use self::clients::Clients;
use self::exam::Examiner;
use self::faults::Faults;
use self::life::Life;
use self::place::Place;
use self::redis::Redis;
use self::tally::Tally;
use self::vitals::Vitals;
use crate::compare::random::Random;
use crate::namespace;
use crate::sandbox::{self, Scratch};
use crate::tools::{GIT, REDIS, RIPGREP, install_packages};
use crate::workspace::{Workspace, run as run_command};

/// Live in a large repository, with everything failing that can fail, and compare each minute.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long. Preparing it and comparing at its end come on top.
    #[arg(long, value_name = "N", default_value_t = 3)]
    minutes: u64,
    /// Repeats a run, as far as the life's steps and the faults go.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long an answer may take, in seconds. Slow machines need more.
    #[arg(long, value_name = "N", default_value_t = 30)]
    patience: u64,
    /// How long it lives between two comparisons, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60)]
    exam_every: u64,
    /// Use this syncline instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// The size of the disk that indexes are on: several times what they take.
const DISK: &str = "256m";
/// Of so many steps one is a fault.
const FAULT_IN: usize = 6;
/// Steps of the life that are told with a finding.
const LAST: usize = 8;
/// How long the engine may take to leave at the end.
const LEAVING: Duration = Duration::from_secs(60);

/// Makes the run; an error at the first finding.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !namespace::is_inside() {
        return enter(options);
    }
    let workspace = Workspace::locate()?;
    let (redis, ripgrep) = (REDIS.ensure(&workspace)?, RIPGREP.ensure(&workspace)?);
    let syncline = match &options.binary {
        Some(binary) => binary.canonicalize().with_context(|| format!("no program at {}", binary.display()))?,
        None => workspace.target.join("release/syncline"),
    };
    let scratch = Scratch::folder(&workspace.target)?;
    let folder = |name: &str| -> Result<PathBuf> {
        let path = scratch.path().join(name);
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    };
    let (above, tree, outside) = (folder("above")?, folder("above/tree")?, folder("outside")?);
    let (home, disk) = (folder("home")?, folder("disk")?);
    namespace::mount_disk(&disk, DISK)?;
    let redis = Redis::start(&redis.program, &folder("redis")?)?;
    let patience = Duration::from_secs(options.patience);
    let pause_file = Place::pause_file();
    let redis_url = redis.url();
    let closed = Scratch::file(scratch.path().join("closed"))?;
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o000)).context("cannot close a file")?;
    let reads_everything = fs::File::open(closed.path()).is_ok();
    if reads_everything {
        eprintln!("left out: folders and files that may not be read, since this user reads everything");
    }
    let place = Place {
        base: scratch.path().to_owned(),
        above,
        tree,
        outside,
        home,
        disk,
        syncline,
        ripgrep: ripgrep.program,
        redis_url,
        patience,
        pause_file,
        gate: Arc::default(),
        reads_everything,
    };
    place.have_looks_logged()?;
    let outcome = soak(options, &place, redis);
    let kept = outcome.is_err().then(|| keep(&workspace, options.seed, &place));
    sandbox::end_descendants();
    for at in namespace::mounts_below(&place.base)? {
        namespace::unmount(&at)?;
    }
    around::open_below(&place.base)?;
    let kept = match kept {
        None => return Ok(()),
        Some(Ok(kept)) => format!("logs and index are in {}", kept.display()),
        Some(Err(error)) => format!("nothing of it could be kept: {error:#}"),
    };
    outcome.with_context(|| format!("--seed {} has a finding; {kept}", options.seed))
}

/// Runs this command once more, where mounts and limits of watches are its own.
fn enter(options: &Options) -> Result<()> {
    let workspace = Workspace::locate()?;
    let tools = [&GIT, &RIPGREP, &REDIS];
    install_packages(&workspace, &tools);
    tools.iter().try_for_each(|tool| tool.ensure(&workspace).map(drop))?;
    if options.binary.is_none() {
        run_command(&mut workspace.cargo(&["build", "--release"]))?;
    }
    namespace::enter()
}

/// Lives until time is up, or until something is found.
fn soak(options: &Options, place: &Place, redis: Redis) -> Result<()> {
    let seed = options.seed;
    let mut random = Random::new(seed);
    eprintln!("making a repository of 20,000 files in {}", place.tree.display());
    tree::make(place, &mut random)?;
    let tally = Tally::default();
    let mut soak = Soak {
        place,
        life: Life::new(place.clone(), Random::new(seed.wrapping_add(1))),
        faults: Faults::new(place.clone(), redis, Random::new(seed.wrapping_add(2))),
        examiner: Examiner::new(place, Random::new(seed.wrapping_add(3)), &tally)?,
        vitals: Vitals::default(),
        tally: tally.clone(),
        random,
        steps: 0,
        last: VecDeque::new(),
    };
    soak.rest().context("before anything happened")?;
    let clients = Clients::start(place, seed, &tally);
    let lived = soak.live(Duration::from_secs(options.minutes * 60), Duration::from_secs(options.exam_every), &clients);
    let found = clients.end();
    let Soak { examiner, vitals, steps, .. } = soak;
    let outcome = lived.and_then(|()| match found {
        Some(finding) => Err(anyhow!(finding)),
        None => end(place, examiner),
    });
    vitals.report(&tally);
    tally.print();
    outcome.with_context(|| format!("at step {steps}"))?;
    println!("{steps} steps in {} minutes, no finding; --seed {seed} repeats them", options.minutes);
    Ok(())
}

/// All that goes on.
struct Soak<'a> {
    place: &'a Place,
    life: Life,
    faults: Faults,
    examiner: Examiner,
    vitals: Vitals,
    tally: Tally,
    random: Random,
    steps: usize,
    /// What the life did last, and how long it took.
    last: VecDeque<(&'static str, Duration)>,
}

impl Soak<'_> {
    /// Lives for so long, pauses not counted, and rests again and again, and at the end.
    fn live(&mut self, mut left: Duration, exam_every: Duration, clients: &Clients) -> Result<()> {
        let mut rest_in = exam_every;
        while !left.is_zero() {
            self.place.wait_while_paused();
            let start = Instant::now();
            self.step()?;
            if let Some(finding) = clients.finding() {
                bail!("{finding}; at that time wrong: {:?}", self.faults.now());
            }
            rest_in = rest_in.saturating_sub(start.elapsed());
            if rest_in.is_zero() || left <= start.elapsed() {
                self.rest()?;
                rest_in = exam_every;
            }
            left = left.saturating_sub(start.elapsed());
            if rest_in == exam_every {
                eprintln!("step {}: passed, {} s left", self.steps, left.as_secs());
            }
        }
        Ok(())
    }

    /// Something happens, or goes wrong.
    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        let start = Instant::now();
        if self.random.below(FAULT_IN) == 0 {
            self.tally.add("faults", self.faults.strike()?);
        } else {
            let name = self.life.step()?;
            self.tally.took("life", name, start.elapsed());
            self.last.push_back((name, start.elapsed()));
            if self.last.len() > LAST {
                self.last.pop_front();
            }
            if let Some(question) = self.life.question() {
                let wrong = self.faults.now();
                let asked = self.examiner.at_once(question);
                asked.with_context(|| format!("after {name}, with {wrong:?}; before it {:?}", self.last))?;
            }
            for lasting in self.faults.pass() {
                let needle = self.life.leave_needle()?;
                let wrong = self.faults.now();
                self.examiner.in_trouble(lasting, &needle).with_context(|| format!("with {wrong:?}"))?;
                self.faults.lift(lasting)?;
            }
        }
        self.vitals.look(self.place)
    }

    /// Nothing happens, and nothing is wrong outside: all must be well.
    fn rest(&mut self) -> Result<()> {
        for lasting in self.faults.now() {
            self.faults.lift(lasting)?;
        }
        // What may not be read is told, and so isn't well.
        self.life.open()?;
        self.examiner.at_rest().with_context(|| format!("after {:?}", self.last))?;
        self.vitals.look_at_disk(self.place)
    }
}

/// Ends the engine in order.
fn end(place: &Place, examiner: Examiner) -> Result<()> {
    examiner.end()?;
    place::run(&mut place.syncline(&["daemon", "stop"])?, place.patience)?;
    let start = Instant::now();
    while !place.daemons().is_empty() {
        if start.elapsed() > LEAVING {
            bail!("`daemon stop` leaves {:?} running", place.daemons());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Copies what tells of a finding to where it stays.
fn keep(workspace: &Workspace, seed: u64, place: &Place) -> Result<PathBuf> {
    let kept = workspace.target.join(format!("soak-{seed}-{}", std::process::id()));
    fs::create_dir(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
    let log = place.home.join(".local/state/syncline");
    run_command(Command::new("cp").arg("-a").args([&place.disk, &log, &place.home.join("editors.log")]).arg(&kept))?;
    Ok(kept)
}
