//! Layers, from real files, as their users write them.
#![allow(clippy::expect_used)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::super::keys::{KEYS, MOST_GLOBS};
use super::super::{
    DaemonSettings, IndexSettings, LogSettings, QueueBackend, QueueSettings, SyncSettings, WatchMode, WatchSettings,
};
use super::*;

/// A codebase and a user's file beside it.
struct Setup {
    folder: TempDir,
    sources: Sources,
}

impl Setup {
    fn new() -> Setup {
        let folder = TempDir::new().expect("a folder");
        let sources = Sources { user_file: Some(folder.path().join("config.toml")), ..Sources::default() };
        Setup { folder, sources }
    }

    fn user(self, text: impl AsRef<[u8]>) -> Setup {
        std::fs::write(self.folder.path().join("config.toml"), text).expect("written");
        self
    }

    fn repository(self, text: impl AsRef<[u8]>) -> Setup {
        std::fs::write(self.folder.path().join(REPOSITORY_FILE), text).expect("written");
        self
    }

    fn editor(mut self, settings: Value) -> Setup {
        self.sources.editor = settings;
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Setup {
        self.sources.environment.push((name.to_owned(), value.into()));
        self
    }

    fn load(&self) -> Loaded {
        load(Some(self.folder.path()), &self.sources)
    }

    /// The problems as shown, the folder's path taken out.
    fn problems(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        self.load().problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }

    /// The settings, when there is no problem.
    fn settings(&self) -> Settings {
        let loaded = self.load();
        assert_eq!(loaded.problems, []);
        loaded.settings
    }
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn without_any_source_the_defaults_hold() {
    assert_eq!(Setup::new().settings(), Settings::default());
    assert_eq!(
        load(None, &Sources::default()),
        Loaded { settings: Settings::default(), problems: vec![], repository_unread: false }
    );
    assert_eq!(Setup::new().user("").repository("").editor(json!({})).settings(), Settings::default());
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let setup = Setup::new().user("sync.max_wait_ms = 1000\n[log]\nlevel = 'warn'\n[watch]\nmode = 'off'");
    assert_eq!(setup.settings().sync.max_wait, millis(1000));
    let setup = setup.repository("[sync]\nmax_wait_ms = 2_000");
    assert_eq!(setup.settings().sync.max_wait, millis(2000));
    let setup = setup.editor(json!({ "sync": { "maxWaitMs": 3000 }, "log": { "level": "error" } }));
    assert_eq!(setup.settings().sync.max_wait, millis(3000));
    let setup = setup.variable("SYNCLINE_SYNC_MAX_WAIT_MS", "4000").variable("SYNCLINE_LOG_LEVEL", "debug");
    let settings = setup.settings();
    assert_eq!((settings.sync.max_wait, settings.log.level.as_str()), (millis(4000), "debug"));
    let mut setup = setup;
    setup.sources.log_level = Some("trace".to_owned());
    assert_eq!(setup.settings().log.level, "trace");
    assert_eq!(setup.settings().watch.mode, WatchMode::Off, "what no other layer sets stays the user's");
}

#[test]
fn every_key_can_be_set_in_each_spelling() {
    let expected = Settings {
        queue: QueueSettings {
            backend: QueueBackend::Redis,
            redis_url: Some("rediss://u:p@h/1".to_owned()),
            redis_ca: Some("/etc/ca.pem".into()),
            trust: Vec::new(),
            codebase: Some("kernel-6.1".to_owned()),
            shared_tree: Some("kernel".to_owned()),
            lease: millis(2000),
            slice: millis(300),
            stale_after: Duration::from_secs(60),
        },
        sync: SyncSettings { debounce: millis(7), max_wait: millis(70) },
        watch: WatchSettings { mode: WatchMode::Poll },
        index: IndexSettings {
            exclude: vec!["*.{min,gen}.js".to_owned(), "/out".to_owned()],
            hidden: true,
            max_file_bytes: 99,
            symbols: false,
            dir: Some("/var/index".into()),
            max_disk: 77_000_000,
            max_memory: 188_000_000,
        },
        index_home: true,
        daemon: DaemonSettings { idle: Duration::from_secs(120) },
        log: LogSettings { level: "syncline=debug".to_owned(), file: Some("/var/log/s".into()) },
    };
    let toml = r#"
        [queue]
        backend = "redis"
        redis_url = "rediss://u:p@h/1"
        redis_ca = "/etc/ca.pem"
        codebase = "kernel-6.1"
        trust = ["kernel-6.1", "x"]
        shared_tree = "kernel"
        lease_ms = 2000
        slice_ms = 300
        stale_after_s = 60
        [sync]
        debounce_ms = 7
        max_wait_ms = 70
        [watch]
        mode = "poll"
        [index]
        exclude = ["*.{min,gen}.js", "/out"]
        hidden = true
        max_file_bytes = 99
        symbols = false
        home = true
        dir = "/var/index"
        max_disk_mb = 77
        max_memory_mb = 188
        [daemon]
        idle_minutes = 2
        [log]
        level = "syncline=debug"
        file = "/var/log/s"
    "#;
    assert_eq!(Setup::new().user(toml).settings(), expected);

    let editor = json!({
        "queue": { "backend": "redis", "redisUrl": "rediss://u:p@h/1", "codebase": "kernel-6.1", "leaseMs": 2000, "sliceMs": 300,
            "sharedTree": "kernel",
            "staleAfterS": 60, "redisCa": "/etc/ca.pem", "trust": ["x"] },
        "sync": { "debounceMs": 7, "maxWaitMs": 70.0 },
        "watch.mode": "poll",
        "index": { "hidden": true, "exclude": ["*.{min,gen}.js", "/out"], "maxFileBytes": 99, "symbols": false,
            "home": true, "dir": "/var/index", "maxDiskMb": 77, "maxMemoryMb": 188 },
        "daemon": { "idleMinutes": 2 },
        "log": { "level": "syncline=debug", "file": "/var/log/s" },
    });
    assert_eq!(Setup::new().editor(editor.clone()).settings(), expected);
    assert_eq!(Setup::new().editor(json!({ "syncline": editor })).settings(), expected);
    assert!(Setup::new().editor(json!({ "syncline.index.hidden": true })).settings().index.hidden);

    let mut setup = Setup::new();
    let variables = [
        "redis",
        "rediss://u:p@h/1",
        "/etc/ca.pem",
        "'kernel-6.1'",
        "x, kernel-6.1",
        "kernel",
        "2_000",
        "300",
        "60",
        "7",
        "70",
        "poll",
        "*.{min,gen}.js, /out",
        "true",
        "0x63",
        "false",
        "true",
        "/var/index",
        "77",
        "188",
        "2",
        "syncline=debug",
        "/var/log/s",
    ];
    assert_eq!(variables.len(), KEYS.len());
    for (key, value) in KEYS.iter().zip(variables) {
        setup = setup.variable(&Spelling::Environment.of(key.name), value);
    }
    assert_eq!(setup.settings(), expected);
}

#[test]
fn what_is_not_filled_in_changes_nothing() {
    let setup = Setup::new()
        .user("queue.redis_url = 'redis://h'\nindex.hidden = true")
        .editor(json!({ "queue": { "redisUrl": "", "backend": null }, "index": { "hidden": null }, "log": null }))
        .variable("SYNCLINE_QUEUE_REDIS_URL", "")
        .variable("SYNCLINE_INDEX_HIDDEN", " ");
    assert_eq!(setup.settings().queue.redis_url.as_deref(), Some("redis://h"));
    assert!(setup.settings().index.hidden);
    assert_eq!(setup.editor(Value::Null).settings().queue.redis_url.as_deref(), Some("redis://h"));
}

#[test]
fn typos_are_named_with_their_line_and_the_rest_holds() {
    let setup = Setup::new()
        .user("# mine\n[queue]\nredis_ulr = 'redis://h'\nlease_ms = 2000\n\n[indx]\nhidden = true\n")
        .editor(json!({ "queue": { "redis_url": "redis://h" }, "nothing": { "like": "it" }, "log.level": "warn" }))
        .variable("SYNCLINE_QUEUE_REDISURL", "redis://h")
        .variable("SYNCLINE_TEST_RG", "/usr/bin/rg")
        .variable("OTHER", "x");
    assert_eq!(
        setup.problems(),
        [
            "config.toml:3: there is no setting queue.redis_ulr; did you mean queue.redis_url?",
            "config.toml:6: there is no setting indx; did you mean index?",
            "editor settings: there is no setting syncline.nothing; take it out, or look it up in the table of \
             settings, docs/settings.md",
            "editor settings: there is no setting syncline.queue.redis_url; did you mean syncline.queue.redisUrl?",
            "environment: there is no setting SYNCLINE_QUEUE_REDISURL; did you mean SYNCLINE_QUEUE_REDIS_URL?",
        ]
    );
    let settings = setup.load().settings;
    assert_eq!((settings.queue.lease, settings.log.level.as_str()), (millis(2000), "warn"));
}

#[test]
fn wrong_types_and_words_are_named_with_their_line_and_the_rest_holds() {
    let setup = Setup::new()
        .user(
            "queue.lease_ms = '15s'\nqueue.backend = 'reddis'\nindex.hidden = 1\nindex.exclude = ['a', 3]\nsync = 5\n\
             queue.redis_url = 'localhost'\nlog.level = 'inof'\nqueue.codebase = '../x'\nlog.file = {}\nindex.symbols = false\n\
             [[watch]]\nmode = 'off'",
        )
        .editor(json!({ "sync": { "debounceMs": 1.5 }, "daemon": [1] }))
        .variable("SYNCLINE_INDEX_HIDDEN", "yes")
        .variable("SYNCLINE_INDEX_EXCLUDE", "['a', ");
    let problems = setup.problems();
    let (variable, problems) = problems.split_last().expect("some");
    assert_eq!(
        problems,
        [
            "config.toml:1: queue.lease_ms must be a whole number of milliseconds, not a text",
            "config.toml:2: queue.backend must be one of \"auto\", \"local\", \"redis\", not \"reddis\"; did you mean \
             \"redis\"?",
            "config.toml:3: index.hidden must be true or false, not a number",
            "config.toml:4: index.exclude must be a list of globs, each a text, not a list with a number in it",
            "config.toml:5: sync is a section of settings and must be a table, not a number",
            "config.toml:6: queue.redis_url must be a URL such as redis://localhost:6379, rediss://… or redis+unix://…",
            "config.toml:7: log.level must be error, warn, info, debug, trace, off, or a filter such as syncline=debug, \
             not \"inof\"; did you mean info?",
            "config.toml:8: queue.codebase must be a plain name: at most 64 letters, digits, \"_\", \"-\" and \".\", not \
             starting with \".\"",
            "config.toml:9: log.file must be a path, as a text, not a table",
            "config.toml:11: watch is a section of settings and must be a table, not a list with a table in it",
            "editor settings: syncline.daemon is a section of settings and must be a table, not a list with a number in it",
            "editor settings: syncline.sync.debounceMs must be a whole number of milliseconds, not a number with a fraction",
            "environment: SYNCLINE_INDEX_HIDDEN must be true or false, not a text",
        ]
    );
    assert!(variable.starts_with("environment: SYNCLINE_INDEX_EXCLUDE begins as TOML but isn't: "), "{variable}");
    assert_eq!(
        setup.load().settings,
        Settings { index: IndexSettings { symbols: false, ..Default::default() }, ..Settings::default() }
    );
    assert_eq!(Setup::new().editor(json!("on")).problems(), ["editor settings: must be an object, not a text"]);
}

/// A stranger's repository joined any project's queue in the user's Redis, and could hold its head.
#[test]
fn a_repository_s_name_counts_once_the_user_trusts_it() {
    let named = || Setup::new().repository("\n[queue]\ncodebase = 'team'");
    // Without Redis nobody shares the queue: there is nothing to trust, and nothing to tell.
    assert_eq!(named().settings().queue.codebase, None);
    let redis = "queue.redis_url = 'redis://h'\n";
    let setup = named().user(redis);
    assert_eq!(setup.load().settings.queue.codebase, None);
    let [problem] = &setup.problems()[..] else { panic!("{:?}", setup.problems()) };
    assert!(problem.starts_with(".syncline.toml:3: ") && problem.contains("queue.trust = [\"team\"]"), "{problem}");
    // One word by the user, in any layer of theirs, is enough.
    let team = Some("team".to_owned());
    assert_eq!(named().user(format!("{redis}queue.trust = ['other', 'team']")).settings().queue.codebase, team);
    assert_eq!(named().user(redis).editor(json!({"queue": {"trust": ["team"]}})).settings().queue.codebase, team);
    assert_eq!(named().user(redis).variable("SYNCLINE_QUEUE_TRUST", "team").settings().queue.codebase, team);
    // What the user calls it stands above and below it, and says the same.
    assert_eq!(named().user(format!("{redis}queue.codebase = 'team'")).settings().queue.codebase, team);
    let own = named().user(format!("{redis}queue.trust = ['team']")).editor(json!({"queue": {"codebase": "own"}}));
    assert_eq!(own.settings().queue.codebase.as_deref(), Some("own"));
    // What isn't a name is none to trust.
    let odd = Setup::new().user(redis).repository("queue.codebase = '../x'").problems();
    assert!(odd.len() == 1 && odd[0].contains("must be a plain name"), "{odd:?}");
    let odd = Setup::new().user("queue.trust = ['../x']").problems();
    assert!(odd.len() == 1 && odd[0].contains("no name of a codebase"), "{odd:?}");
}

/// `off` had an editor's answers go stale without a word.
#[test]
fn a_repository_can_have_the_tree_walked_and_not_have_it_left_alone() {
    for word in ["off", "native", "auto", "of"] {
        let setup = Setup::new().user("watch.mode = 'poll'").repository(format!("# \nwatch.mode = '{word}'"));
        assert_eq!(setup.load().settings.watch.mode, WatchMode::Poll, "{word}");
        let [problem] = &setup.problems()[..] else { panic!("{:?}", setup.problems()) };
        let start = ".syncline.toml:2: a repository can set watch.mode to \"poll\" only; set it in ";
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(Setup::new().repository("watch.mode = 'poll'").settings().watch.mode, WatchMode::Poll);
    assert_eq!(Setup::new().user("watch.mode = 'off'").settings().watch.mode, WatchMode::Off);
}

#[test]
fn a_repository_sets_what_is_indexed_and_nothing_else() {
    let setup = Setup::new().repository(
        "queue.redis_url = 'redis://evil:S3CRET@example.org'\nqueue.backend = 'redis'\nqueue.lease_ms = 1\nqueue.stale_after_s = 1\n\
         index.dir = '/etc'\nlog.file = '/etc/passwd'\nlog.level = 'trace'\ndaemon.idle_minutes = 0\nindex.max_disk_mb = 1\nindex.max_memory_mb = 199\nindex.home = true\nqueue.trust = ['shared']\nqueue.redis_ca = '/x'\n\
         queue.slice_ms = 100\nqueue.shared_tree = 'x'\n\
         index.exclude = ['*.gen']\nindex.hidden = true\nindex.max_file_bytes = 10\nindex.symbols = false\n\
         sync.debounce_ms = 5\nsync.max_wait_ms = 6\nwatch.mode = 'poll'\nqueue.codebase = 'shared'",
    );
    let problems = setup.problems();
    for (line, key) in [
        (1, "queue.redis_url"),
        (2, "queue.backend"),
        (3, "queue.lease_ms"),
        (4, "queue.stale_after_s"),
        (5, "index.dir"),
        (6, "log.file"),
        (7, "log.level"),
        (8, "daemon.idle_minutes"),
        (9, "index.max_disk_mb"),
        (10, "index.max_memory_mb"),
        (11, "index.home"),
        (12, "queue.trust"),
        (13, "queue.redis_ca"),
        (14, "queue.slice_ms"),
        (15, "queue.shared_tree"),
    ] {
        let start = format!(".syncline.toml:{line}: a repository can't set {key}; set it in ");
        assert_eq!(problems.iter().filter(|p| p.starts_with(&start)).count(), 1, "{start} {problems:#?}");
    }
    assert_eq!(problems.len(), 15);
    assert!(!problems.concat().contains("S3CRET"));
    let sync = SyncSettings { debounce: millis(5), max_wait: millis(6) };
    let mut expected = Settings { sync, ..Settings::default() };
    expected.watch.mode = WatchMode::Poll;
    expected.index.exclude = vec!["*.gen".to_owned()];
    expected.index.hidden = true;
    expected.index.max_file_bytes = 10;
    expected.index.symbols = false;
    assert_eq!(setup.load().settings, expected);
}

#[test]
fn hostile_values_are_bounded_and_that_is_said() {
    let setup = Setup::new().repository(
        "[sync]\nmax_wait_ms = 99999999999999999999999999999999999999999999\ndebounce_ms = -1\n\
         [index]\nmax_file_bytes = 0\nexclude = ['a[', '', 'ok', \"\\u001b[31m{\"]",
    );
    assert_eq!(
        setup.problems(),
        [
            ".syncline.toml:2: sync.max_wait_ms must be between 1 and 60000 milliseconds; 60000 is used",
            ".syncline.toml:3: sync.debounce_ms must be between 1 and 60000 milliseconds; 1 is used",
            ".syncline.toml:5: index.max_file_bytes must be between 1 and 1073741824 bytes; 1 is used",
            ".syncline.toml:6: index.exclude holds \"a[\", which isn't a glob and is left out, and holds \"\", which isn't \
             a glob and is left out, and holds \"\\u{1b}[31m{\", which isn't a glob and is left out",
        ]
    );
    assert_eq!(setup.load().settings.index.exclude, ["ok"]);

    let setup = Setup::new().repository("sync.max_wait_ms = 20");
    assert_eq!(
        setup.problems(),
        [".syncline.toml:1: sync.debounce_ms, 50, is more than sync.max_wait_ms, 20; 20 is used for both"]
    );
    assert_eq!(setup.load().settings.sync.debounce, millis(20));
    let setup = Setup::new().user("sync.max_wait_ms = 100").editor(json!({ "sync": { "debounceMs": 200 } }));
    assert_eq!(
        setup.problems(),
        ["editor settings: sync.debounce_ms, 200, is more than sync.max_wait_ms, 100; 100 is used for both"]
    );

    let many = format!("index.exclude = [{}]", "'x',".repeat(5_000));
    let loaded = Setup::new().repository(many).load();
    assert_eq!((loaded.settings.index.exclude.len(), loaded.problems.len()), (MOST_GLOBS, 1));
}

#[test]
fn a_flood_of_problems_is_counted() {
    let flood: String = (0..20_000).map(|n| format!("k{n}=1\n")).collect();
    let setup = Setup::new().repository(flood).editor(json!({ "x": 1 }));
    let problems = setup.problems();
    assert_eq!(problems.len(), MOST_PROBLEMS + 2);
    assert_eq!(problems[0].split(';').next(), Some(".syncline.toml:1: there is no setting k0"));
    assert_eq!(
        problems[MOST_PROBLEMS],
        ".syncline.toml: 19980 more problems; fix the first, and the next will be shown"
    );
    assert!(problems[MOST_PROBLEMS + 1].starts_with("editor settings: there is no setting syncline.x;"));
}

#[test]
fn files_that_cannot_be_read_are_one_problem_each_and_the_other_layers_hold() {
    let setup = Setup::new()
        .user("[queue]\nredis_url = redis://me:S3CRET@host\n[log]\nlevel = 'warn'")
        .repository(b"# \n\xff\xfe")
        .editor(json!({ "index": { "hidden": true } }));
    let problems = setup.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("config.toml:2: isn't TOML: "), "{problems:#?}");
    assert!(problems[0].ends_with("; nothing in this file holds until that is fixed"), "{problems:#?}");
    assert!(!problems[0].contains("S3CRET"));
    assert_eq!(problems[1], ".syncline.toml:2: isn't UTF-8; save it as UTF-8");
    assert!(setup.load().settings.index.hidden);

    let setup = Setup::new().repository("#".repeat(LONGEST_FILE as usize + 1));
    assert_eq!(setup.problems().len(), 1);
    let setup = Setup::new();
    std::fs::create_dir(setup.folder.path().join(REPOSITORY_FILE)).expect("a folder");
    std::fs::create_dir(setup.folder.path().join("config.toml")).expect("a folder");
    assert_eq!(setup.problems().len(), 2);
    assert_eq!(Setup::new().user("\u{feff}index.hidden = true").load().problems, [], "a byte order mark is fine");
    let deep = format!("index.exclude = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(Setup::new().repository(deep).problems().len(), 1);
}

#[test]
fn globs_made_to_be_slow_are_read_in_time() {
    let nested = format!("{}a{}", "{a,".repeat(250), "}".repeat(250));
    let hostile = ["?".repeat(1000), "{a?,b*,[!c]}".repeat(80), "**/".repeat(330), "*a".repeat(500), nested];
    for glob in hostile {
        let file = format!("index.exclude = [{}]", format!("'{glob}',").repeat(240));
        let start = Instant::now();
        Setup::new().repository(file).load();
        // Far more than it takes on a busy machine, and far less than what compiling them all unbounded would.
        assert!(start.elapsed() < Duration::from_secs(20), "{glob:.20}: {:?}", start.elapsed());
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_repository_keeps_nobody_waiting() {
    let setup = Setup::new();
    let pipe = setup.folder.path().join(REPOSITORY_FILE);
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    assert_eq!(setup.problems(), [".syncline.toml: can't be read: it isn't a file; none of its settings hold"]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let mut setup = Setup::new();
    setup.sources.environment.push(("SYNCLINE_INDEX_DIR".to_owned(), OsString::from_vec(vec![b'/', 0xff])));
    assert_eq!(setup.problems(), ["environment: SYNCLINE_INDEX_DIR must be UTF-8; set index.dir in a file instead"]);
}

#[test]
fn a_given_file_stands_for_the_users_and_must_exist() {
    let mut setup = Setup::new().user("index.hidden = true");
    let given = setup.folder.path().join("given.toml");
    setup.sources.config = Some(given.clone());
    assert_eq!(setup.problems(), ["given.toml: there is no such file; give one that exists with --config"]);
    assert_eq!(setup.load().settings, Settings::default());
    std::fs::write(&given, "queue.backend = 'local'").expect("written");
    let settings = setup.settings();
    assert_eq!((settings.queue.backend, settings.index.hidden), (QueueBackend::Local, false));
}

#[test]
fn paths_are_absolute_from_where_they_are_written() {
    let setup = Setup::new().user("index.dir = 'idx'\nlog.file = '~/log'");
    let settings = setup.settings();
    assert_eq!(settings.index.dir, Some(setup.folder.path().join("idx")));
    assert!(settings.log.file.is_some_and(|file| file.is_absolute() && file.ends_with("log")));
    let setup = setup.editor(json!({ "index": { "dir": "in/root" } }));
    assert_eq!(setup.settings().index.dir, Some(setup.folder.path().join("in/root")));
    let setup = setup.variable("SYNCLINE_INDEX_DIR", "here");
    assert_eq!(setup.settings().index.dir, std::path::absolute("here").ok());
}

#[test]
fn secrets_are_never_shown() {
    let setup = Setup::new()
        .user("queue.redis_url = 'redis://me:S3CRET@host'\n'redis://me:S3CRET@host' = 1\nqueue.backend = 'redis://me:S3CRET@h'")
        .repository("queue.redis_url = 'redis://me:S3CRET@host'\nindex.exclude = ['redis://:S3CRET@h[']")
        .editor(json!({ "queue": { "redisUrl": "http://S3CRET", "redisUri": "redis://:S3CRET@h", "codebase": "redis://:S3CRET@h" },
            "redis://S3CRET@h": {}, "log": { "level": "redis://:S3CRET@h" }, "sync": "redis://:S3CRET@h" }))
        .variable("SYNCLINE_QUEUE_REDIS_URL", "\"redis://:S3CRET@host")
        .variable("SYNCLINE_INDEX_EXCLUDE", "[\"redis://:S3CRET@host")
        .variable("SYNCLINE_QUEUE_LEASE_MS", "redis://:S3CRET@host");
    let loaded = setup.load();
    assert_eq!(loaded.settings.queue.redis_url.as_deref(), Some("redis://me:S3CRET@host"));
    assert!(loaded.problems.len() >= 10, "{:#?}", setup.problems());
    for problem in setup.problems() {
        assert!(!problem.contains("S3CRET"), "{problem}");
    }
    let debug = format!("{loaded:?} {:?}", setup.sources);
    assert!(!debug.contains("S3CRET") && debug.contains("redis://me:***@host"), "{debug}");
}

/// Settings that keep every promise about bounds.
fn assert_bounded(loaded: &Loaded) {
    let Settings { queue, sync, index, daemon, .. } = &loaded.settings;
    assert!((millis(1000)..=millis(600_000)).contains(&queue.lease));
    assert!((millis(100)..=millis(600_000)).contains(&queue.slice));
    assert!((Duration::from_secs(1)..=Duration::from_secs(30 * 86_400)).contains(&queue.stale_after));
    assert!((millis(1)..=millis(60_000)).contains(&sync.max_wait));
    assert!((millis(1)..=sync.max_wait).contains(&sync.debounce));
    assert!((1..=1 << 30).contains(&index.max_file_bytes));
    assert!((1_000_000..=1 << 40).contains(&index.max_disk));
    assert!((150_000_000..=1 << 40).contains(&index.max_memory));
    assert!(index.exclude.len() <= MOST_GLOBS);
    assert!(daemon.idle <= Duration::from_secs(366 * 86_400));
    assert!(index.dir.as_ref().is_none_or(|dir| dir.is_absolute()));
    if let Some(name) = &queue.codebase {
        assert!(name.len() <= 64 && !name.contains(['/', '\\', ':', '{', '}', ' ']) && !name.starts_with('.'));
    }
    for problem in &loaded.problems {
        assert!(!problem.to_string().chars().any(char::is_control), "{problem:?}");
    }
}

/// What only the user may decide.
fn assert_untouched_by_repository(settings: &Settings) {
    let default = Settings::default();
    assert_eq!((&settings.daemon, &settings.log), (&default.daemon, &default.log));
    assert_eq!(settings.queue, default.queue);
    assert!(matches!(settings.watch.mode, WatchMode::Auto | WatchMode::Poll));
    assert!(!settings.index_home);
    assert_eq!(settings.index.dir, None);
}

/// A key as some layer spells it, or something else.
fn name(spelling: Spelling) -> impl Strategy<Value = String> {
    let known = (0..KEYS.len()).prop_map(move |n| spelling.of(KEYS[n].name).into_owned());
    prop_oneof![8 => known, 1 => "[a-zA-Z_.\"]{0,12}", 1 => any::<String>()]
}

fn toml_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i128>().prop_map(|n| n.to_string()),
        (-10i64..100_000).prop_map(|n| n.to_string()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<String>().prop_map(|s| toml::Value::String(s).to_string()),
        "\"[a-z.]{0,9}\"",
        prop::collection::vec("'[a-z*?{},!/\\[\\]-]{0,9}'", 0..5).prop_map(|v| format!("[{}]", v.join(", "))),
        any::<String>(),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z=,./]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(
                prop_oneof![name(Spelling::Editor), "queue|sync|watch|index|daemon|log|syncline"],
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_survived_as_files(user: Vec<u8>, repository: Vec<u8>) {
        assert_bounded(&Setup::new().user(user).repository(repository).load());
    }

    #[test]
    fn any_toml_gives_settings_within_bounds(
        lines in prop::collection::vec((name(Spelling::Toml), toml_value()), 0..4),
    ) {
        let text: String = lines.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let loaded = Setup::new().repository(&text).load();
        assert_bounded(&loaded);
        assert_untouched_by_repository(&loaded.settings);
        assert_bounded(&Setup::new().user(&text).load());
    }

    #[test]
    fn any_json_gives_settings_within_bounds(editor in json_value()) {
        assert_bounded(&Setup::new().editor(editor).load());
    }

    #[test]
    fn any_environment_gives_settings_within_bounds(
        variables in prop::collection::vec((name(Spelling::Environment), toml_value()), 0..4),
    ) {
        let environment = variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        assert_bounded(&load(None, &Sources { environment, ..Sources::default() }));
    }
}

/// Neovim writes an empty table as a list, and its plugin says its section in any case.
#[test]
fn an_editor_s_empty_section_may_be_a_list() {
    for empty in [json!({"syncline": []}), json!({"syncline": {"queue": [], "index": {}}}), json!({"log": []})] {
        let sources = Sources { editor: empty.clone(), ..Sources::default() };
        assert_eq!(load(None, &sources).problems, Vec::new(), "{empty}");
    }
    let sources = Sources { editor: json!({"syncline": [3]}), ..Sources::default() };
    assert_eq!(load(None, &sources).problems.len(), 1);
}
