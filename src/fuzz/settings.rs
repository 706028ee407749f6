//! Settings from all layers.

use std::ffi::OsString;
use std::time::Duration;

use super::place::{scratch, written};
use crate::core::settings::{Loaded, QueueBackend, REPOSITORY_FILE, Settings, Sources, WatchMode, load, redacted_url};
use crate::watch::tree::TreeRules;

/// What separates the layers; it is no part of any text.
const NEXT: u8 = 0xff;

/// Any layers give settings that hold, and problems that can be shown: the user's file, the repository's, the editor's,
/// variables, and a flag.
pub fn settings(data: &[u8]) {
    let mut layers = data.split(|byte| *byte == NEXT);
    let mut next = || layers.next().unwrap_or_default();
    let folder = scratch();
    let user_file = folder.path().join("config.toml");
    written(&user_file, next());
    written(&folder.path().join(REPOSITORY_FILE), next());
    let stranger = load(Some(folder.path()), &Sources::default());
    reaches_nothing_outside(&stranger.settings);
    can_be_shown(&stranger);

    let editor = serde_json::from_slice(next()).unwrap_or_default();
    let lines = next().split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let variables = lines.filter_map(|line| line.split_once('=').map(|(a, b)| (a.to_owned(), OsString::from(b))));
    let environment = variables.collect();
    let log_level = Some(String::from_utf8_lossy(next()).into_owned()).filter(|level| !level.is_empty());
    let here = Some(folder.path().to_owned());
    let sources = Sources { user_file: Some(user_file), editor, environment, log_level, here, ..Sources::default() };
    let loaded = load(Some(folder.path()), &sources);
    can_be_shown(&loaded);
    within_bounds(&loaded.settings);
    assert!(format!("{:?}", loaded.settings).len() < 10_000_000);
    let Settings { index, queue, .. } = &loaded.settings;
    let rules = TreeRules::new(folder.path(), index.hidden, &index.exclude);
    assert!(rules.is_ok(), "what was taken as globs aren't any: {:?}", index.exclude);
    if let Some(url) = &queue.redis_url {
        crate::core::cache::fuzz::url(url);
        assert!(!redacted_url(url).contains(char::is_control));
    }
}

/// What a repository can't set is as if it had set nothing.
fn reaches_nothing_outside(settings: &Settings) {
    let Settings { queue, index, log, daemon, watch, index_home, .. } = settings;
    assert!(queue.codebase.is_none() && queue.trust.is_empty() && queue.redis_ca.is_none(), "{queue:?}");
    assert!(matches!(watch.mode, WatchMode::Auto | WatchMode::Poll) && !index_home);
    assert!(queue.redis_url.is_none() && queue.backend == QueueBackend::Auto, "{queue:?}");
    assert_eq!((queue.lease, queue.stale_after), (Duration::from_secs(15), Duration::from_secs(86_400)));
    assert_eq!((queue.slice, &queue.shared_tree), (Duration::from_secs(2), &None));
    assert!(
        index.dir.is_none()
            && index.max_disk == 4_096_000_000
            && index.max_memory == 400_000_000
            && log.file.is_none()
            && log.level == "info"
            && daemon.idle.as_secs() == 600
    );
}

fn within_bounds(settings: &Settings) {
    let Settings { queue, sync, index, daemon, .. } = settings;
    assert!(
        (1_000..=600_000).contains(&queue.lease.as_millis()) && (1..=2_592_000).contains(&queue.stale_after.as_secs())
    );
    assert!(1 <= sync.debounce.as_millis() && sync.debounce <= sync.max_wait && sync.max_wait.as_secs() <= 60);
    assert!((1..=1 << 30).contains(&index.max_file_bytes) && index.exclude.len() <= 1000);
    assert!(daemon.idle.as_secs() <= 365 * 24 * 3600);
    assert!(index.dir.as_ref().is_none_or(|dir| dir.is_absolute()));
    let name = queue.codebase.as_deref().unwrap_or("x");
    assert!(
        (1..=64).contains(&name.len()) && !name.contains(['/', '\\', '{', '\0']) && !name.starts_with('.'),
        "{name}"
    );
}

fn can_be_shown(loaded: &Loaded) {
    assert!(loaded.problems.len() <= 5 * 23, "{} problems", loaded.problems.len());
    for problem in &loaded.problems {
        let sentence = problem.to_string();
        assert!(!sentence.contains(char::is_control) && sentence.len() < 2000, "{sentence:?}");
    }
}

/// Seeds of [`settings`].
pub fn settings_seeds() -> Vec<Vec<u8>> {
    let user = "[queue]\nbackend = \"redis\"\nredis_url = \"rediss://me:pw@host:6380/1#insecure\"\nlease_ms = 15_000\nstale_after_s = 9\n\
        [index]\ndir = \"~/x\"\nmax_file_bytes = 0x1000\n[daemon]\nidle_minutes = 3\n[log]\nlevel = \"syncline=debug\"\nfile = 'l'\n";
    let repository = "queue.codebase = \"name\"\n[index]\nexclude = [\"*.o\", \"/build/{a,b}/**\"]\nhidden = true\nsymbols = false\n\
        [sync]\ndebounce_ms = 99\nmax_wait_ms = 9\n[watch]\nmode = \"poll\"\n[log]\nfile = \"/etc/x\"\n";
    let editor = r#"{"syncline": {"queue": {"redisUrl": "redis+sentinel://h1,h2:7/main/3"}, "index.maxFileBytes": 1e3, "sync": {"debounceMs": -1}}}"#;
    let variables = "SYNCLINE_QUEUE_REDIS_URL=redis+cluster://h:1,h:2\nSYNCLINE_INDEX_EXCLUDE=*.{c,h},[ab]*\nSYNCLINE_QUEU=1\nSYNCLINE_INDEX_HIDDEN=yes";
    let all = [user, repository, editor, variables, "debug"].map(str::as_bytes);
    let alone = |at: usize| [&vec![NEXT; at][..], all[at]].concat();
    let mut seeds: Vec<_> = (0..all.len()).map(alone).collect();
    seeds.push(all.join(&NEXT));
    seeds
}
