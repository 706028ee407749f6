//! What goes wrong: processes die or stand still, limits are too low, the disk is full, the index is damaged.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, kill_process, prlimit, waitpid};

use super::place::Place;
use super::redis::Redis;
use crate::compare::random::Random;
use crate::namespace::{self, Inotify};

/// Steps of the life for which a lasting fault lasts at most.
const LONGEST: usize = 12;

/// What lasts until it is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasting {
    /// Few folders may be watched.
    FewWatches,
    /// Nobody may begin to watch.
    NoInstances,
    /// The engine may open no more files.
    FewDescriptors,
    /// The index folder's disk is full.
    FullDisk,
    /// There is no Redis.
    NoRedis,
}

impl Lasting {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Lasting::FewWatches => "limit of watches lowered",
            Lasting::NoInstances => "limit of inotify instances lowered",
            Lasting::FewDescriptors => "limit of descriptors lowered",
            Lasting::FullDisk => "disk filled",
            Lasting::NoRedis => "Redis killed",
        }
    }
}

/// What is wrong now, and the power to change that.
pub(super) struct Faults {
    place: Place,
    redis: Redis,
    random: Random,
    lasting: Vec<(Lasting, usize)>,
}

impl Faults {
    /// Nothing is wrong yet.
    pub(super) fn new(place: Place, redis: Redis, random: Random) -> Self {
        Self { place, redis, random, lasting: Vec::new() }
    }

    /// Has something go wrong, and gives its name.
    pub(super) fn strike(&mut self) -> Result<&'static str> {
        let time = Duration::from_millis(self.random.below(3000) as u64);
        let wrong = match self.random.below(20) {
            0..=3 => return self.kill_daemon_in(time),
            4 => return self.stop_daemon(),
            5 | 6 => return self.stall_daemon(time),
            7 => return self.redis.stall(time).map(|()| "Redis stood still"),
            8 => {
                // It may be gone.
                let emptied = self.redis.empty().is_ok();
                return Ok(if emptied { "Redis emptied" } else { "nothing" });
            }
            9 | 10 => return self.damage(),
            11 => Lasting::NoInstances,
            12 | 13 => Lasting::FewWatches,
            14 => Lasting::FewDescriptors,
            15..=17 => Lasting::FullDisk,
            _ => Lasting::NoRedis,
        };
        let lasts = 2 + self.random.below(LONGEST - 2);
        if self.lasting.iter().any(|(other, _)| *other == wrong) {
            return Ok("nothing");
        }
        match wrong {
            Lasting::FewWatches => namespace::limit(Inotify::Watches, Some(50))?,
            Lasting::NoInstances => namespace::limit(Inotify::Instances, Some(0))?,
            Lasting::FewDescriptors => self.limit_descriptors(true)?,
            Lasting::FullDisk => self.fill()?,
            Lasting::NoRedis => self.redis.kill(),
        }
        self.lasting.push((wrong, lasts));
        Ok(wrong.name())
    }

    /// A step of the life has passed; gives what has lasted for long enough.
    pub(super) fn pass(&mut self) -> Vec<Lasting> {
        for (_, left) in &mut self.lasting {
            *left = left.saturating_sub(1);
        }
        self.lasting.iter().filter(|(_, left)| *left == 0).map(|(lasting, _)| *lasting).collect()
    }

    /// What is wrong now.
    pub(super) fn now(&self) -> Vec<Lasting> {
        self.lasting.iter().map(|(lasting, _)| *lasting).collect()
    }

    /// Undoes it.
    pub(super) fn lift(&mut self, lasting: Lasting) -> Result<()> {
        self.lasting.retain(|(other, _)| *other != lasting);
        match lasting {
            Lasting::FewWatches => namespace::limit(Inotify::Watches, None),
            Lasting::NoInstances => namespace::limit(Inotify::Instances, None),
            Lasting::FewDescriptors => self.limit_descriptors(false),
            Lasting::FullDisk => fs::remove_file(self.ballast()).context("cannot free the disk"),
            Lasting::NoRedis => self.redis.run(),
        }
    }

    /// The engine is killed a while from now, whatever it does then.
    fn kill_daemon_in(&self, time: Duration) -> Result<&'static str> {
        let place = self.place.clone();
        thread::spawn(move || {
            thread::sleep(time);
            for pid in place.daemons().into_iter().filter_map(Pid::from_raw) {
                // It may have ended; and who reaps it depends on who started it.
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        });
        Ok("engine killed")
    }

    fn stop_daemon(&self) -> Result<&'static str> {
        // Whether it could be asked doesn't matter: it may be on its way.
        super::place::run(&mut self.place.syncline(&["daemon", "stop"])?, self.place.patience)?;
        Ok("engine stopped in order")
    }

    fn stall_daemon(&self, time: Duration) -> Result<&'static str> {
        let daemons: Vec<_> = self.place.daemons().into_iter().filter_map(Pid::from_raw).collect();
        // One may have ended.
        let all = |signal| daemons.iter().all(|pid| kill_process(*pid, signal).is_ok());
        all(Signal::STOP);
        thread::sleep(time);
        all(Signal::CONT);
        Ok("engine stood still")
    }

    fn limit_descriptors(&self, low: bool) -> Result<()> {
        for pid in self.place.daemons() {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count) as u64;
            let current = if low { open + 3 } else { 4096 };
            if let Some(pid) = Pid::from_raw(pid) {
                // It may have ended.
                let _ = prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(current), maximum: Some(4096) });
            }
        }
        Ok(())
    }

    fn ballast(&self) -> PathBuf {
        self.place.disk.join("ballast")
    }

    fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(self.ballast()).context("cannot fill the disk")?;
        for size in [1 << 20, 4096] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
        Ok(())
    }

    /// Something becomes of a file of the index that nobody meant.
    fn damage(&mut self) -> Result<&'static str> {
        let mut found = Vec::new();
        for folder in fs::read_dir(&self.place.disk).into_iter().flatten().flatten() {
            let entries = fs::read_dir(folder.path()).into_iter().flatten().flatten();
            found.extend(entries.map(|entry| entry.path()).filter(|path| path.is_file()));
        }
        found.sort();
        if found.is_empty() {
            return Ok("nothing");
        }
        let file = self.random.pick(&found).clone();
        let at = self.random.below(file.metadata().map_or(1, |metadata| metadata.len().max(1) as usize)) as u64;
        let (kind, outcome) = match self.random.below(3) {
            0 => ("file of the index removed", fs::remove_file(&file)),
            1 => {
                let open = fs::OpenOptions::new().write(true).open(&file);
                ("file of the index truncated", open.and_then(|open| open.set_len(at)))
            }
            _ => {
                let open = fs::OpenOptions::new().write(true).open(&file);
                let written = open.and_then(|mut open| {
                    open.seek(SeekFrom::Start(at))?;
                    open.write_all(b"damage")
                });
                ("file of the index overwritten", written)
            }
        };
        // It may have gone by itself, or the disk be full.
        Ok(if outcome.is_ok() { kind } else { "nothing" })
    }
}
