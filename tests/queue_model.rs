//! The waiting line as a value: every state of small lines is visited, and the script that Redis runs is compared with it
//! step by step.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use redis_server::RedisServer;
use support::Random;
use syncline::core::cache::queue::{Moment, Place, Queue};
use syncline::core::cache::{BatchState, CacheManager, Claim, Enqueued, FencingToken, Lease, LeaseConfig, Namespace};
use syncline::core::{BatchId, Dirty, Owner, RelPath, SyncBatch};

/// Ticks that an entry lives unrenewed.
const LEASE: u64 = 2;
const LEASE_CONFIG: LeaseConfig =
    LeaseConfig { lease: Duration::from_millis(LEASE), stale_after: Duration::from_secs(3_600) };
/// What an owner believes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Belief {
    batch: usize,
    token: FencingToken,
}

/// The line, and what is around it.
#[derive(Clone)]
struct World {
    line: Queue,
    now: Moment,
    last_token: FencingToken,
    /// Of each owner, while it lives.
    holds: Vec<Option<Belief>>,
    crashed: Vec<bool>,
    /// Batches, in the order in which they came, until they have left.
    arrived: Vec<BatchId>,
    /// The highest token that was committed under.
    committed: FencingToken,
}

/// A state, apart from what makes no difference: absolute times and the tokens' values.
type Key = (Vec<(BatchId, Option<usize>, Option<u64>, u64)>, Vec<(usize, u64)>, Vec<bool>, Vec<BatchId>, u64);

impl World {
    fn key(&self) -> Key {
        let rank = |token: FencingToken| self.last_token.0 - token.0;
        let item = |item: &std::sync::Arc<syncline::core::cache::QueueItem>| {
            let token = match item.state {
                BatchState::Waiting => None,
                BatchState::Syncing(token) => Some(rank(token)),
            };
            (item.batch.id, item.files, token, u64::try_from(item.expires_in.as_millis()).unwrap())
        };
        let items = self.line.items(self.now).iter().map(item).collect();
        let holds = self.holds.iter().map(|h| h.map_or((usize::MAX, 0), |h| (h.batch, rank(h.token).min(3)))).collect();
        (items, holds, self.crashed.clone(), self.arrived.clone(), rank(self.committed).min(3))
    }

    fn next_token(&self) -> impl FnMut() -> FencingToken + use<> {
        let next = FencingToken(self.last_token.0 + 1);
        move || next
    }

    /// What the line said, taken in by the owner.
    fn heard(&mut self, owner: usize, batch: usize, place: &Place) {
        if let Place::Head(_, token) = place {
            if *token > self.last_token {
                tokens_grow(self, *token);
                first_come_first_served(self, *token, place);
                self.last_token = *token;
            }
            self.holds[owner] = Some(Belief { batch, token: *token });
        }
    }
}

// The invariants, by name.

fn one_at_the_head(world: &World) {
    let items = world.line.items(world.now);
    let syncing = items.iter().filter(|item| item.state != BatchState::Waiting).count();
    assert!(syncing <= 1 && (syncing == 0 || items[0].state != BatchState::Waiting), "{items:?}");
}

fn one_waiting_batch_per_owner(world: &World) {
    let mut waiting = HashSet::new();
    for item in world.line.items(world.now).iter().filter(|item| item.state == BatchState::Waiting) {
        assert!(waiting.insert(item.batch.owner.session), "two batches of one owner wait");
    }
}

fn bounded(world: &World) {
    assert!(world.line.len() <= world.holds.len() * 2, "an owner has at most one that syncs and one that waits");
}

fn no_orphan(world: &World) {
    // Whatever the state: when nobody renews, all have left after one lease.
    let mut line = world.line.clone();
    line.settle(world.now + LEASE, &LEASE_CONFIG);
    assert!(line.is_empty(), "left behind: {line:?}");
}

fn tokens_grow(world: &World, token: FencingToken) {
    assert!(token > world.last_token);
}

fn first_come_first_served(world: &World, token: FencingToken, place: &Place) {
    let Place::Head(batch, _) = place else { return };
    let items = world.line.items(world.now);
    let alive: HashSet<_> = items.iter().map(|item| item.batch.id).collect();
    let first = world.arrived.iter().find(|id| alive.contains(id));
    assert_eq!(first, Some(&batch.id), "{token:?} was given out of turn");
}

fn only_the_latest_turn_commits(world: &World, token: FencingToken) {
    assert_eq!(token, world.last_token, "a turn that was overtaken could commit");
    assert!(token >= world.committed);
}

#[test]
fn every_state_of_a_line_of_two_owners_keeps_the_invariants() {
    explore(2, 2);
}

#[test]
fn every_state_of_a_line_of_three_owners_keeps_the_invariants() {
    explore(3, 1);
}

/// Every state that can be reached, breadth first.
#[allow(clippy::needless_range_loop)]
fn explore(owner_count: usize, batch_count: usize) {
    let owners: Vec<_> = (0..owner_count).map(|_| Owner::new()).collect();
    let batches: Vec<Vec<_>> = owners
        .iter()
        .map(|owner| (0..batch_count).map(|_| SyncBatch::new("/".into(), owner.clone(), Dirty::nothing())).collect())
        .collect();
    let start = World {
        line: Queue::default(),
        now: 10,
        last_token: FencingToken(10),
        holds: vec![None; owner_count],
        crashed: vec![false; owner_count],
        arrived: Vec::new(),
        committed: FencingToken(10),
    };
    let mut seen = HashSet::from([start.key()]);
    let mut next = VecDeque::from([start]);
    let (mut steps, mut commits, mut refused) = (0u64, 0u64, 0u64);
    while let Some(world) = next.pop_front() {
        let mut reach = |mut world: World| {
            let in_line: HashSet<_> = world.line.items(world.now).iter().map(|item| item.batch.id).collect();
            world.arrived.retain(|id| in_line.contains(id));
            steps += 1;
            one_at_the_head(&world);
            one_waiting_batch_per_owner(&world);
            bounded(&world);
            no_orphan(&world);
            if seen.insert(world.key()) {
                next.push_back(world);
            }
        };
        // Time passes.
        let mut later = world.clone();
        later.now += 1;
        reach(later);
        for owner in 0..owner_count {
            if world.crashed[owner] {
                continue;
            }
            // It dies.
            let mut dead = world.clone();
            (dead.crashed[owner], dead.holds[owner]) = (true, None);
            reach(dead);
            for batch in 0..batch_count {
                let id = batches[owner][batch].id;
                let is_in_line = world.line.items(world.now).iter().any(|item| item.batch.id == id);
                // It puts a batch in line, or asks again.
                let mut put = world.clone();
                let mut next_token = put.next_token();
                let (line, now) = (&mut put.line, put.now);
                let place = line.enqueue(now, &LEASE_CONFIG, batches[owner][batch].clone(), Some(&mut next_token));
                if !is_in_line && !matches!(place, Place::Joined(_)) {
                    put.arrived.retain(|other| *other != id);
                    put.arrived.push(id);
                }
                put.heard(owner, batch, &place);
                reach(put);
                // It asks for the head.
                let mut asked = world.clone();
                let mut next_token = asked.next_token();
                let (line, now) = (&mut asked.line, asked.now);
                let place = line.claim(now, &LEASE_CONFIG, id, Some(&mut next_token));
                assert_eq!(place == Place::Gone, !is_in_line, "what is in line is never said to be gone");
                asked.heard(owner, batch, &place);
                reach(asked);
                // It takes it out.
                let mut left = world.clone();
                let (line, now) = (&mut left.line, left.now);
                assert_eq!(line.leave(now, &LEASE_CONFIG, id), is_in_line);
                left.holds[owner] = left.holds[owner].filter(|belief| belief.batch != batch);
                reach(left);
            }
            // It commits, however late, if the line says so.
            if let Some(belief) = world.holds[owner] {
                let mut committed = world.clone();
                let (line, now) = (&mut committed.line, committed.now);
                if line.renew(now, &LEASE_CONFIG, batches[owner][belief.batch].id, belief.token) {
                    only_the_latest_turn_commits(&committed, belief.token);
                    committed.committed = belief.token;
                    commits += 1;
                } else {
                    committed.holds[owner] = None;
                    refused += 1;
                }
                reach(committed);
            }
        }
    }
    println!("{} states, {steps} steps, {commits} commits, {refused} refused", seen.len());
    assert!(seen.len() > 10_000 && commits > 1_000 && refused > 1_000, "the model does too little");
}

/// The same random steps on a line here and on one in Redis: each answer and each line must be the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_does_what_the_model_does() {
    const LINE: Namespace = Namespace::SyncBatches;
    let server = RedisServer::start();
    // Under the one an entry lives long, under the other it is over by the next step.
    let (long, none) = (Duration::from_secs(600), Duration::ZERO);
    let caches = [server.cache(long), server.cache(none)];
    let config = [long, none].map(|lease| LeaseConfig { lease, ..LeaseConfig::default() });
    let seed = std::env::var("SYNCLINE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Random::new(seed);
    let owners: Vec<_> = (0..6).map(|_| Owner::new()).collect();
    let mut line = Queue::default();
    let mut tokens: BTreeMap<FencingToken, FencingToken> = BTreeMap::new();
    let mut leases: HashMap<BatchId, (Lease, FencingToken)> = HashMap::new();
    let mut batches: Vec<SyncBatch> = Vec::new();
    let mut last = 0;
    for step in 0..6_000u64 {
        // The model's clock: each step is a millisecond.
        let now = step + 1;
        let which = usize::from(random.below(12) == 0);
        let (cache, config): (&CacheManager, _) = (&caches[which], &config[which]);
        let mut next_token = || FencingToken(last + 1);
        // Mostly one that is in line, the first ones above all.
        let in_line: Vec<_> = line.items(now).iter().map(|item| item.batch.id).collect();
        let id = |random: &mut Random, batches: &[SyncBatch]| match in_line.len() {
            0 => batches[random.below(batches.len())].id,
            _ if random.below(6) == 0 => batches[random.below(batches.len())].id,
            1 | 2 => in_line[0],
            length => in_line[random.below(2.min(length)) * random.below(length)],
        };
        let (theirs, ours) = match random.below(if batches.is_empty() { 1 } else { 10 }) {
            0..3 => {
                let owner = owners[random.below(owners.len())].clone();
                let paths = (0..random.below(4)).map(|_| format!("d/f{}", random.below(20)));
                let mut dirty: Dirty = paths.map(|path| RelPath::new(path.as_ref()).unwrap()).collect();
                if random.below(20) == 0 {
                    dirty = Dirty::Everything;
                }
                let batch = match random.below(8) {
                    0 if !batches.is_empty() => batches[random.below(batches.len())].clone(),
                    _ => SyncBatch::new("/somewhere".into(), owner, dirty),
                };
                batches.push(batch.clone());
                let ours = line.enqueue(now, config, batch.clone(), Some(&mut next_token));
                let theirs = match cache.enqueue_item(LINE, "c", batch).await.unwrap() {
                    Enqueued::AtHead { batch, lease } => Claim::Head { batch, lease },
                    Enqueued::InLine { position } => Claim::Waiting { position, head_expires_in: Duration::ZERO },
                    Enqueued::Joined { batch } => {
                        assert_eq!(ours, Place::Joined(batch), "step {step}");
                        continue;
                    }
                };
                (theirs, ours)
            }
            3..6 => {
                let id = id(&mut random, &batches);
                let theirs = cache.claim_head(LINE, "c", id).await.unwrap();
                (theirs, line.claim(now, config, id, Some(&mut next_token)))
            }
            6..8 => {
                let id = id(&mut random, &batches);
                if let Some((lease, token)) = leases.get(&id) {
                    let renewed = cache.renew_lease(LINE, "c", id, lease).await.unwrap();
                    assert_eq!(renewed.is_some(), line.renew(now, config, id, *token), "step {step}");
                }
                continue;
            }
            _ => {
                let id = id(&mut random, &batches);
                let left = cache.remove_item(LINE, "c", id).await.unwrap();
                assert_eq!(left, line.leave(now, config, id), "step {step}");
                continue;
            }
        };
        match (theirs, ours) {
            (Claim::Head { batch, lease }, Place::Head(ours, token)) => {
                assert_eq!(batch, *ours, "step {step}");
                assert_eq!(*tokens.entry(lease.fence.token).or_insert(token), token, "step {step}");
                assert!(tokens.values().is_sorted(), "tokens grow alike");
                last = last.max(token.0);
                leases.insert(batch.id, (lease, token));
            }
            (Claim::Waiting { position, .. }, Place::Waiting { position: ours, .. }) => assert_eq!(position, ours),
            (Claim::Gone, Place::Gone) => {}
            // Put in line under config by which it is over at once.
            (theirs, ours) => panic!("step {step}: {theirs:?} and {ours:?}"),
        }
        if step % 7 == 0 {
            // A look at the line in Redis takes out what is over.
            let theirs = caches[0].get_queue(LINE, "c").await.unwrap();
            line.settle(now + 1, config);
            let ours = line.items(now + 1);
            let shape = |queue: &[std::sync::Arc<syncline::core::cache::QueueItem>]| {
                let shape = |item: &std::sync::Arc<syncline::core::cache::QueueItem>| {
                    (item.batch.clone(), item.files, item.state != BatchState::Waiting)
                };
                queue.iter().map(shape).collect::<Vec<_>>()
            };
            assert_eq!(shape(&theirs), shape(&ours), "step {step}");
        }
    }
    assert!(last > 200, "the steps gave {last} turns only");
}
