//! The queue as a value: every state of small queues is visited, and the script that Redis runs is compared with it step by
//! step.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use redis_server::RedisServer;
use support::Random;
use syncline::core::cache::queue::{Moment, Queue, QueueOp, Reply};
use syncline::core::cache::{CacheManager, FencingToken, Lease, LeaseConfig, Namespace, Placement, Renewal};
use syncline::core::{BatchId, Owner, SyncBatch};

/// Ticks that an entry lives unrenewed.
const LEASE: u64 = 2;
const LEASES: LeaseConfig =
    LeaseConfig { lease: Duration::from_millis(LEASE), stale_after: Duration::from_secs(3_600), slice: Duration::ZERO };

/// What an owner believes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Belief {
    batch: usize,
    token: FencingToken,
}

/// The queue, and what is around it.
#[derive(Clone)]
struct World {
    queue: Queue,
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
type Key = (Vec<(BatchId, Option<u64>, u64)>, Vec<(usize, u64)>, Vec<bool>, Vec<BatchId>, u64);

impl World {
    fn key(&self) -> Key {
        let rank = |token: FencingToken| self.last_token.0 - token.0;
        let items = self
            .queue
            .items(self.now)
            .into_iter()
            .map(|item| (item.batch.id, item.token.map(rank), u64::try_from(item.expires_in.as_millis()).unwrap()));
        let holds = self.holds.iter().map(|h| h.map_or((usize::MAX, 0), |h| (h.batch, rank(h.token).min(3)))).collect();
        (items.collect(), holds, self.crashed.clone(), self.arrived.clone(), rank(self.committed).min(3))
    }

    fn ask(&mut self, op: &QueueOp) -> Reply {
        self.queue.apply(self.now, &LEASES, op, Some(FencingToken(self.last_token.0 + 1)))
    }

    fn holds_entry(&self, id: BatchId) -> bool {
        self.queue.items(self.now).iter().any(|item| item.batch.id == id)
    }

    /// What the queue answered, taken in by the owner.
    fn heard(&mut self, owner: usize, batch: (usize, BatchId), reply: &Reply) {
        if let Reply::Placed(Placement::Head(token)) = reply {
            if *token > self.last_token {
                first_come_first_served(self, *token, batch.1);
                self.last_token = *token;
            }
            self.holds[owner] = Some(Belief { batch: batch.0, token: *token });
        }
    }
}

// The invariants, by name.

fn one_at_the_head(world: &World) {
    let items = world.queue.items(world.now);
    let syncing = items.iter().filter(|item| item.token.is_some()).count();
    assert!(syncing <= 1 && (syncing == 0 || items[0].token.is_some()), "{items:?}");
}

fn one_waiting_batch_per_owner_and_root(world: &World) {
    let mut waiting = HashSet::new();
    for item in world.queue.items(world.now).into_iter().filter(|item| item.token.is_none()) {
        assert!(waiting.insert((item.batch.owner, item.batch.path)), "two batches of one owner and root wait");
    }
}

fn no_orphan(world: &World) {
    // Whatever the state: when nobody renews, all have left after one lease.
    let mut queue = world.queue.clone();
    queue.sweep(world.now + LEASE, &LEASES);
    assert!(queue.is_empty(), "left behind: {queue:?}");
}

fn first_come_first_served(world: &World, token: FencingToken, id: BatchId) {
    let first = world.arrived.iter().find(|id| world.holds_entry(**id));
    assert_eq!(first, Some(&id), "{token:?} was given to one that came later");
}

fn only_the_latest_lease_commits(world: &World, token: FencingToken) {
    assert_eq!(token, world.last_token, "a lease that was overtaken could commit");
    assert!(token >= world.committed);
}

#[test]
fn every_state_of_a_queue_of_two_owners_keeps_the_invariants() {
    explore(2, &["/one", "/one"]);
}

#[test]
fn every_state_of_a_queue_of_three_owners_keeps_the_invariants() {
    explore(3, &["/one"]);
}

#[test]
fn every_state_of_a_queue_of_two_owners_with_two_roots_keeps_the_invariants() {
    explore(2, &["/one", "/other"]);
}

/// Every state that can be reached, breadth first. Each owner has a batch for each of `roots`.
#[allow(clippy::needless_range_loop)]
fn explore(owner_count: usize, roots: &[&str]) {
    let owners: Vec<_> = (0..owner_count).map(|_| Owner::new()).collect();
    let of_owner = |owner: &Owner| roots.iter().map(|root| SyncBatch::new(root.into(), owner.clone())).collect();
    let batches: Vec<Vec<_>> = owners.iter().map(of_owner).collect();
    let start = World {
        queue: Queue::default(),
        now: 10,
        last_token: FencingToken(10),
        holds: vec![None; owner_count],
        crashed: vec![false; owner_count],
        arrived: Vec::new(),
        committed: FencingToken(10),
    };
    let mut seen = HashSet::from([start.key()]);
    let mut next = VecDeque::from([start]);
    let (mut steps, mut commits, mut refused, mut slices) = (0u64, 0u64, 0u64, 0u64);
    while let Some(world) = next.pop_front() {
        let mut reach = |mut world: World| {
            let entries: HashSet<_> = world.queue.items(world.now).iter().map(|item| item.batch.id).collect();
            world.arrived.retain(|id| entries.contains(id));
            steps += 1;
            one_at_the_head(&world);
            one_waiting_batch_per_owner_and_root(&world);
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
            for batch in 0..roots.len() {
                let id = batches[owner][batch].id;
                let is_queued = world.holds_entry(id);
                // It enqueues a batch, or asks again.
                let mut put = world.clone();
                let enqueue = QueueOp::Enqueue(batches[owner][batch].clone(), None);
                let reply = put.ask(&enqueue);
                if !is_queued {
                    put.arrived.retain(|other| *other != id);
                    put.arrived.push(id);
                }
                put.heard(owner, (batch, id), &reply);
                let mut again = put.clone();
                for op in [enqueue, QueueOp::Claim(id, None)] {
                    assert_eq!(again.ask(&op), reply, "asked again, it gets the same answer");
                }
                assert_eq!(again.key(), put.key(), "asking again changes nothing");
                reach(put);
                // It asks for the head.
                let mut asked = world.clone();
                let reply = asked.ask(&QueueOp::Claim(id, None));
                let is_gone = reply == Reply::Placed(Placement::Gone);
                assert_eq!(is_gone, !is_queued, "what is in the queue is never said to be gone");
                asked.heard(owner, (batch, id), &reply);
                reach(asked);
                // It takes it out.
                let mut left = world.clone();
                assert_eq!(left.ask(&QueueOp::Leave(id)), Reply::Done(is_queued));
                left.holds[owner] = left.holds[owner].filter(|belief| belief.batch != batch);
                reach(left);
            }
            // It commits, however late, if the queue says so.
            if let Some(belief) = world.holds[owner] {
                let mut committed = world.clone();
                let head = &batches[owner][belief.batch];
                if let Reply::Renewed { others_wait } = committed.ask(&QueueOp::Renew(head.id, belief.token)) {
                    let is_other = |other: &SyncBatch| (&other.owner, &other.path) != (&head.owner, &head.path);
                    let mut waiting = world.queue.items(world.now).into_iter().map(|item| item.batch);
                    assert_eq!(others_wait, waiting.any(|batch| is_other(&batch)), "who waits is known");
                    only_the_latest_lease_commits(&committed, belief.token);
                    committed.committed = belief.token;
                    commits += 1;
                } else {
                    committed.holds[owner] = None;
                    refused += 1;
                }
                reach(committed);
                // Its slice is over.
                let mut ended = world.clone();
                let held = world.queue.items(world.now).first().is_some_and(|first| first.token == Some(belief.token));
                let reply = ended.ask(&QueueOp::EndSlice(head.id, belief.token, None));
                if held {
                    // What its owner has waiting for that root goes to the end in its place.
                    let is_same = |other: &&SyncBatch| other.id != head.id && other.path == head.path;
                    let waiting = batches[owner].iter().filter(is_same).find(|other| world.holds_entry(other.id));
                    assert_eq!(reply == Reply::Placed(Placement::Gone), waiting.is_some());
                    let last = waiting.unwrap_or(head).id;
                    ended.arrived.retain(|id| *id != last);
                    ended.arrived.push(last);
                    ended.holds[owner] = None;
                    slices += 1;
                }
                ended.heard(owner, (belief.batch, head.id), &reply);
                if matches!(reply, Reply::Placed(Placement::Waiting { .. })) {
                    let (mut again, before) = (ended.clone(), ended.key());
                    assert_eq!(again.ask(&QueueOp::EndSlice(head.id, belief.token, None)), reply);
                    assert_eq!(again.key(), before, "asked again, it changes nothing");
                }
                reach(ended);
            }
        }
    }
    println!("{} states, {steps} steps, {commits} commits, {refused} refused, {slices} slices", seen.len());
    assert!(seen.len() > 10_000 && commits > 1_000 && refused > 1_000 && slices > 1_000, "the model does too little");
}

/// The same random steps on a queue here and on one in Redis: each answer and each queue must be the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_does_what_the_model_does() {
    const QUEUES: Namespace = Namespace::SyncBatches;
    let server = RedisServer::start();
    // Under the one an entry lives long, under the other it is over by the next step.
    let (long, none) = (Duration::from_secs(600), Duration::ZERO);
    let caches = [server.cache(long), server.cache(none)];
    let configs = [long, none].map(|lease| LeaseConfig { lease, ..LeaseConfig::default() });
    let seed = std::env::var("SYNCLINE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Random::new(seed);
    let owners: Vec<_> = (0..4).map(|_| Owner::new()).collect();
    let mut queue = Queue::default();
    let mut tokens: BTreeMap<FencingToken, FencingToken> = BTreeMap::new();
    let mut leases: HashMap<BatchId, (Lease, FencingToken)> = HashMap::new();
    let mut batches: Vec<SyncBatch> = Vec::new();
    let mut last = 0;
    for step in 0..6_000u64 {
        // The model's clock: each step is a millisecond.
        let now = step + 1;
        let which = usize::from(random.below(12) == 0);
        let (cache, config): (&CacheManager, _) = (&caches[which], &configs[which]);
        let mut model = |op: QueueOp| queue.apply(now, config, &op, Some(FencingToken(last + 1)));
        // Mostly one that is in the queue, the first ones above all.
        let queued: Vec<_> = match model(QueueOp::List) {
            Reply::Items(items) => items.iter().map(|item| item.batch.id).collect(),
            other => panic!("{other:?}"),
        };
        let id = |random: &mut Random| match queued.len() {
            0 => batches[random.below(batches.len())].id,
            _ if random.below(6) == 0 => batches[random.below(batches.len())].id,
            1 | 2 => queued[0],
            length => queued[random.below(2.min(length)) * random.below(length)],
        };
        let files = Some(random.below(6)).filter(|files| *files > 0);
        let (id, theirs, ours) = match random.below(if batches.is_empty() { 1 } else { 12 }) {
            0..3 => {
                let root = ["/somewhere", "/else where"][random.below(2)];
                let batch = match random.below(8) {
                    // Asked again, as after a lost answer.
                    0 if !batches.is_empty() => {
                        let id = id(&mut random);
                        batches.iter().find(|batch| batch.id == id).unwrap().clone()
                    }
                    _ => SyncBatch::new(root.into(), owners[random.below(owners.len())].clone()),
                };
                batches.push(batch.clone());
                let theirs = cache.enqueue_item(QUEUES, "c", batch.clone(), files).await.unwrap();
                (batch.id, theirs, model(QueueOp::Enqueue(batch, files)))
            }
            3..6 => {
                let id = id(&mut random);
                (id, cache.claim_head(QUEUES, "c", id, files).await, model(QueueOp::Claim(id, files)))
            }
            6..8 => {
                let id = id(&mut random);
                if let Some((lease, token)) = leases.get(&id) {
                    let renewed = match cache.renew_lease(QUEUES, "c", id, lease).await {
                        Renewal::Lost => Reply::Done(false),
                        held => Reply::Renewed { others_wait: held == Renewal::Awaited },
                    };
                    assert_eq!(renewed, model(QueueOp::Renew(id, *token)), "step {step}");
                }
                continue;
            }
            8..10 => {
                let id = id(&mut random);
                let Some((lease, token)) = leases.get(&id) else { continue };
                let theirs = cache.end_slice(QUEUES, "c", id, lease, files).await;
                (id, theirs, model(QueueOp::EndSlice(id, *token, files)))
            }
            _ => {
                let id = id(&mut random);
                let left = cache.remove_item(QUEUES, "c", id).await;
                assert_eq!(Reply::Done(left), model(QueueOp::Leave(id)), "step {step}");
                continue;
            }
        };
        let Reply::Placed(ours) = ours else { panic!("step {step}: {ours:?}") };
        match (theirs, ours) {
            (Placement::Head(lease), Placement::Head(token)) => {
                assert_eq!(*tokens.entry(lease.fence.token).or_insert(token), token, "step {step}");
                assert!(tokens.values().is_sorted_by(|a, b| a < b), "tokens grow alike, and stay when asked for again");
                last = last.max(token.0);
                leases.insert(id, (lease, token));
            }
            (Placement::Waiting { position, .. }, Placement::Waiting { position: ours, .. }) => {
                assert_eq!(position, ours, "step {step}");
            }
            (Placement::Gone, Placement::Gone) => {}
            (theirs, ours) => panic!("step {step}: {theirs:?} and {ours:?}"),
        }
        if step % 7 == 0 {
            // Listing the queue in Redis takes out what is over.
            let theirs = caches[0].get_queue(QUEUES, "c").await;
            queue.sweep(now + 1, config);
            let shape = |item: syncline::core::cache::QueueItem| (item.batch, item.files, item.token.is_some());
            let ours = queue.items(now + 1).into_iter().map(shape).collect::<Vec<_>>();
            assert_eq!(theirs.into_iter().map(shape).collect::<Vec<_>>(), ours, "step {step}");
        }
    }
    assert!(last > 200, "the steps gave {last} tokens only");
}
