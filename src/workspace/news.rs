//! News of a tree that several hosts see: what this one finds to be changed is told to the others, and what they tell is
//! looked at here, as if an event had told it.
//!
//! Nothing of it is believed: a path that others name is scanned by this host's own rules, and what counts is what is there.
//! Where that isn't yet what they say, since the mount lags, it is looked at again, later each time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::shared::Shared;
use crate::core::RelPath;
use crate::core::cache::CacheManager;
use crate::core::cache::news::{Content, FileNews, MOST_FILES, News, NewsId};
use crate::core::files::RootFolder;
use crate::core::stat::FileStat;
use crate::index::ContentHash;

/// How often the stream is read where no wake-up comes, and what couldn't be told is told again.
const POLL: Duration = Duration::from_secs(5);
/// Least time between two pieces of news: a burst of changes is few of them.
const BETWEEN: Duration = Duration::from_millis(20);
/// Pauses before a path is looked at again that isn't yet as it was told: the first, doubling up to the longest, so often.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const MOST_LOOKS: u32 = 19;
/// After so many looks it counts as a miss.
const LATE: u32 = 8;
/// How long it is said that something else than news was heard.
const SAID: Duration = Duration::from_secs(60);
/// Paths that are looked at again, at most. More are a look at the whole tree.
const MOST_LAGGING: usize = 1_000;
/// Paths of which it is remembered what was told last. What is forgotten may be told twice.
const MOST_TOLD: usize = 10_000;
/// So many paths in a row that aren't what others say, for so long, are another tree's.
const MOST_MISSES: u32 = 8;

/// Where scans leave what they find, and the task that exchanges news says what is wrong.
pub(super) struct Desk {
    tree: String,
    found: Mutex<Found>,
    is_found: Notify,
    problem: Mutex<Option<String>>,
}

/// What is to be told.
#[derive(Default)]
struct Found {
    paths: BTreeSet<RelPath>,
    everything: bool,
    /// Others have told of everything: what the next walk finds they know.
    expected: bool,
}

impl Desk {
    /// For the tree of this name.
    pub(super) fn new(tree: String) -> Desk {
        Desk { tree, found: Mutex::default(), is_found: Notify::new(), problem: Mutex::default() }
    }

    /// These paths have changed, as a scan of single paths or a walk of the whole tree has found.
    pub(super) fn tell(&self, paths: Vec<RelPath>, by_walk: bool) {
        let mut found = self.found.lock();
        let expected = by_walk && std::mem::take(&mut found.expected);
        if found.paths.len() + paths.len() <= MOST_FILES {
            found.paths.extend(paths);
        } else if !expected {
            found.everything = true;
        }
        if found.everything {
            found.paths.clear();
        }
        drop(found);
        self.is_found.notify_one();
    }

    /// What keeps news from being exchanged, and how to fix that.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }
}

/// Exchanges news of the codebase until it is closed. `owner` names this engine.
pub(super) async fn exchange(shared: Arc<Shared>, cache: CacheManager, owner: Uuid) {
    let Some(desk) = &shared.news else { return };
    if cache.server().is_none() {
        let problem = "queue.shared_tree is set, but no Redis is named: news can't be exchanged; set queue.redis_url";
        return say(&shared, desk, Some(problem.to_owned()));
    }
    let mut changes = cache.subscribe_news(&desk.tree);
    let mut exchange = Exchange {
        shared: shared.clone(),
        cache,
        owner,
        last: None,
        has_begun: false,
        told: HashMap::new(),
        lagging: BTreeMap::new(),
        misses: 0,
        strange: None,
    };
    let mut refused = exchange.hear(desk).await.err();
    let (mut poll, mut may_tell) = (Instant::now() + POLL, Instant::now());
    loop {
        let next = exchange.lagging.values().map(|lagging| lagging.next).min();
        let is_woken = tokio::select! {
            () = shared.cancel.cancelled() => return,
            changed = changes.changed() => changed.is_ok(),
            () = desk.is_found.notified() => {
                tokio::time::sleep_until(may_tell).await;
                false
            }
            () = tokio::time::sleep_until(next.unwrap_or(poll).min(poll)) => false,
        };
        exchange.look_again().await;
        if is_woken || Instant::now() >= poll {
            refused = exchange.hear(desk).await.err();
            poll = Instant::now() + POLL;
        }
        if let Err(sentence) = exchange.tell(desk).await {
            refused = Some(sentence);
        }
        may_tell = Instant::now() + BETWEEN;
        let refused = refused.as_ref().map(|why| format!("news of the tree {} can't be exchanged: {why}", desk.tree));
        say(&shared, desk, refused.or_else(|| exchange.problem(&desk.tree)));
    }
}

fn say(shared: &Shared, desk: &Desk, problem: Option<String>) {
    let mut said = desk.problem.lock();
    if *said != problem {
        *said = problem;
        shared.progressed.notify_one();
    }
}

/// The task's own.
struct Exchange {
    shared: Arc<Shared>,
    cache: CacheManager,
    owner: Uuid,
    /// What was heard last.
    last: Option<NewsId>,
    has_begun: bool,
    /// What this host and others told last of a path: it isn't news again.
    told: HashMap<RelPath, Option<Content>>,
    /// What isn't here yet as others tell.
    lagging: BTreeMap<RelPath, Lagging>,
    /// Paths in a row that weren't as others tell for long.
    misses: u32,
    /// What was heard that is no news, and until when that is said.
    strange: Option<(usize, Instant)>,
}

struct Lagging {
    content: Option<Content>,
    looks: u32,
    next: Instant,
}

/// What a path is here, beside what others tell of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    /// The same, and the index has it.
    Indexed,
    /// The same.
    Same,
    /// Something else.
    Other,
}

impl Exchange {
    /// Hears what others have told since.
    async fn hear(&mut self, desk: &Desk) -> Result<(), String> {
        loop {
            let Some(heard) = self.cache.news_after(&desk.tree, self.last).await? else { return Ok(()) };
            // What was told before this host came is on disk: the tree is compared then.
            let has_gap = heard.has_gap || self.last.is_none() && heard.is_cut && self.has_begun;
            let has_just_begun = !std::mem::replace(&mut self.has_begun, true);
            self.last = heard.news.last().map(|(id, _)| *id).or(self.last.filter(|_| !heard.has_gap));
            if has_gap {
                self.look_at_all();
            }
            let mut files = BTreeMap::new();
            for (_, news) in heard.news {
                match news {
                    None => {
                        let before = self.strange.map_or(0, |(count, _)| count);
                        self.strange = Some((before + 1, Instant::now() + SAID));
                    }
                    Some(news) if news.owner == self.owner => {}
                    Some(News { files: None, .. }) => {
                        desk.found.lock().expected = true;
                        self.look_at_all();
                    }
                    Some(News { files: Some(named), .. }) => {
                        // The last word on each counts.
                        files.extend(named.into_iter().map(|file| (file.path, file.content)));
                    }
                }
            }
            files.retain(|path, content| self.told.get(path) != Some(content));
            for (path, content) in &files {
                self.note_told(path.clone(), *content);
            }
            self.compare(files).await;
            if !heard.is_cut || has_just_begun {
                return Ok(());
            }
        }
    }

    /// Looks at what others tell of paths: at once, and again later where that isn't so yet.
    async fn compare(&mut self, files: BTreeMap<RelPath, Option<Content>>) {
        for (path, content, here) in self.look(files).await {
            match here {
                Here::Indexed | Here::Same => {
                    self.misses = 0;
                    self.lagging.remove(&path);
                }
                Here::Other => {
                    let next = Instant::now() + FIRST_PAUSE;
                    self.lagging.insert(path.clone(), Lagging { content, looks: 1, next });
                }
            }
            if here != Here::Indexed && self.misses < MOST_MISSES {
                self.shared.watcher.recheck([path]);
            }
        }
        if self.lagging.len() > MOST_LAGGING {
            self.look_at_all();
        }
    }

    /// Looks again at what is due.
    async fn look_again(&mut self) {
        let now = Instant::now();
        let due = self.lagging.iter().filter(|(_, lagging)| lagging.next <= now);
        let due: BTreeMap<_, _> = due.map(|(path, lagging)| (path.clone(), lagging.content)).collect();
        for (path, _, here) in self.look(due).await {
            let Some(lagging) = self.lagging.get_mut(&path) else { continue };
            lagging.looks += 1;
            lagging.next = now + (FIRST_PAUSE * 2u32.pow(lagging.looks.min(10) - 1)).min(LONGEST_PAUSE);
            let (is_late, is_last) = (lagging.looks == LATE, lagging.looks >= MOST_LOOKS);
            self.misses = match here {
                Here::Indexed | Here::Same => 0,
                Here::Other => self.misses.saturating_add(u32::from(is_late)),
            };
            if here != Here::Other || is_last {
                self.lagging.remove(&path);
            }
            if here == Here::Same {
                self.shared.watcher.recheck([path]);
            }
        }
    }

    /// What is here at paths of which others tell something.
    async fn look(&self, files: BTreeMap<RelPath, Option<Content>>) -> Vec<(RelPath, Option<Content>, Here)> {
        if files.is_empty() {
            return Vec::new();
        }
        let shared = self.shared.clone();
        let looked = tokio::task::spawn_blocking(move || {
            // Without a root nothing can be told.
            let Ok(root) = RootFolder::open(shared.root()) else { return Vec::new() };
            let (snapshot, dirty) = shared.index.with_newer(&shared.overlay);
            let look = |(path, content): (RelPath, Option<Content>)| {
                let here = match content_of(&shared, &root, &path) {
                    Ok(Some((stat, here))) if content.is_some_and(|content| is_same(content, here)) => {
                        let doc = snapshot.find(&path).filter(|_| !dirty.contains_key(&path));
                        let is_indexed = doc.is_some_and(|doc| doc.stat == stat && !doc.racy);
                        if is_indexed { Here::Indexed } else { Here::Same }
                    }
                    Ok(None) if content.is_none() => Here::Same,
                    Ok(_) | Err(_) => Here::Other,
                };
                (path, content, here)
            };
            files.into_iter().map(look).collect()
        });
        looked.await.unwrap_or_default()
    }

    /// Tells what scans have found, but for what others know.
    async fn tell(&mut self, desk: &Desk) -> Result<(), String> {
        let (paths, everything) = {
            let mut found = desk.found.lock();
            (std::mem::take(&mut found.paths), std::mem::take(&mut found.everything))
        };
        let files = match everything {
            true => None,
            false => Some(self.changed(&paths).await),
        };
        if files.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let told = self.cache.publish_news(&desk.tree, &News::new(self.owner, files.clone())).await;
        if !matches!(told, Ok(true)) {
            // They are told once that can be done.
            let mut found = desk.found.lock();
            found.everything |= everything;
            found.paths.extend(paths);
            if found.paths.len() > MOST_FILES {
                (found.paths, found.everything) = (BTreeSet::new(), true);
            }
            return told.map(drop);
        }
        for FileNews { path, content } in files.into_iter().flatten() {
            // What others told of it is over.
            self.lagging.remove(&path);
            self.note_told(path, content);
        }
        Ok(())
    }

    /// Those of `paths` that aren't as was told last.
    async fn changed(&self, paths: &BTreeSet<RelPath>) -> Vec<FileNews> {
        if paths.is_empty() {
            return Vec::new();
        }
        let (shared, paths) = (self.shared.clone(), paths.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let Ok(root) = RootFolder::open(shared.root()) else { return Vec::new() };
            let look = |path: RelPath| {
                // What can't be read here others may read.
                let content = content_of(&shared, &root, &path).ok()?.map(|(_, content)| content);
                Some(FileNews { path, content })
            };
            paths.into_iter().filter_map(look).collect()
        });
        let mut files = looked.await.unwrap_or_default();
        files.retain(|file| self.told.get(&file.path) != Some(&file.content));
        files
    }

    fn note_told(&mut self, path: RelPath, content: Option<Content>) {
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.insert(path, content);
    }

    fn look_at_all(&mut self) {
        self.lagging.clear();
        if self.misses < MOST_MISSES {
            self.shared.watcher.recheck_all();
        }
    }

    /// What is wrong with what others tell.
    fn problem(&mut self, tree: &str) -> Option<String> {
        self.strange = self.strange.filter(|(_, until)| Instant::now() < *until);
        if let Some((count, _)) = self.strange {
            return Some(format!(
                "{count} pieces of news of the tree {tree} are none, or of another version, and are passed over; see who \
                 writes to the keys of Redis that begin with {{syncline:news:{tree}}}"
            ));
        }
        (self.misses >= MOST_MISSES).then(|| {
            format!(
                "what others tell of the tree {tree} is never so here, so it is passed over: they see other files by that \
                 name; give each tree a name of its own in queue.shared_tree"
            )
        })
    }
}

/// What is in the file at `path`; `None` when there is none. Blocks.
fn content_of(shared: &Shared, root: &RootFolder, path: &RelPath) -> io::Result<Option<(FileStat, Content)>> {
    let Some(mut file) = root.file(path)? else { return Ok(None) };
    let stat = FileStat::of(&file.metadata()?);
    let most = shared.settings.index.max_file_bytes;
    let mut content = Content { size: stat.size, hash: None };
    if stat.size <= most {
        let mut bytes = Vec::new();
        (&mut file).take(most + 1).read_to_end(&mut bytes)?;
        content.hash = Some(ContentHash::of(&bytes).0);
    }
    Ok(Some((stat, content)))
}

/// Whether contents are the same, as far as both were read.
fn is_same(one: Content, other: Content) -> bool {
    one.size == other.size && (one.hash == other.hash || one.hash.is_none() || other.hash.is_none())
}
