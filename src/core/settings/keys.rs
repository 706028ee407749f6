//! The one table of all keys: how each is called, what it takes, where it goes, and who may set it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use ignore::overrides::OverrideBuilder;
use strsim::osa_distance;
use tracing_subscriber::EnvFilter;

use super::raw::{Misread, Raw};
use super::redact::shown;
use super::{QueueBackend, Settings, WatchMode};

/// The longest list of globs: one that comes with a repository must not make walks crawl.
pub(super) const MOST_GLOBS: usize = 1_000;

/// A setting.
pub(super) struct Key {
    /// As in TOML: `section.name`.
    pub name: &'static str,
    /// Whether a repository's own `.syncline.toml` may set it.
    pub by_repository: ByRepository,
    /// What it takes, and where that goes.
    pub kind: Kind,
}

/// What a repository, which is a stranger's, may do with a key: only what is indexed and when is its to set, nothing that
/// reaches outside the root, and nothing that has answers go stale.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ByRepository {
    /// Set it.
    Yes,
    /// Nothing.
    No,
    /// Set it to this word.
    Only(&'static str),
    /// Propose a name, which counts once the user has it in `queue.trust`.
    Trusted,
}

/// What a key takes.
pub(super) enum Kind {
    /// One of some words.
    Choice(&'static [Word]),
    /// A whole number, brought between `least` and `most`.
    Number { least: u64, most: u64, unit: &'static str, set: fn(&mut Settings, u64) },
    /// True or false.
    Switch(fn(&mut Settings, bool)),
    /// A text that passes `check`, which else says what it must be.
    Text { check: fn(&str) -> Result<(), String>, set: fn(&mut Settings, String) },
    /// A path; a relative one starts where its layer says.
    Path(fn(&mut Settings, PathBuf)),
    /// Globs. Those that aren't any are left out.
    Globs(fn(&mut Settings, Vec<String>)),
    /// Names of codebases.
    Names(fn(&mut Settings, Vec<String>)),
}

/// A word of a choice, and what it does.
type Word = (&'static str, fn(&mut Settings));

use ByRepository::{No, Only, Trusted, Yes};
use Kind::{Choice, Globs, Names, Number, Path, Switch, Text};

/// Every key, in the order of the documentation.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    Key { name: "queue.backend", by_repository: No, kind: Choice(&[
        ("auto", |s| s.queue.backend = QueueBackend::Auto),
        ("local", |s| s.queue.backend = QueueBackend::Local),
        ("redis", |s| s.queue.backend = QueueBackend::Redis),
    ]) },
    Key { name: "queue.redis_url", by_repository: No, kind: Text {
        check: is_redis_url, set: |s, url| s.queue.redis_url = Some(url),
    } },
    Key { name: "queue.redis_ca", by_repository: No, kind: Path(|s, path| s.queue.redis_ca = Some(path)) },
    Key { name: "queue.codebase", by_repository: Trusted, kind: Text {
        check: is_codebase_name, set: |s, name| s.queue.codebase = Some(name),
    } },
    Key { name: "queue.trust", by_repository: No, kind: Names(|s, names| s.queue.trust = names) },
    Key { name: "queue.shared_tree", by_repository: No, kind: Text {
        check: is_codebase_name, set: |s, name| s.queue.shared_tree = Some(name),
    } },
    Key { name: "queue.lease_ms", by_repository: No, kind: Number {
        least: 1_000, most: 600_000, unit: "milliseconds", set: |s, n| s.queue.lease = Duration::from_millis(n),
    } },
    Key { name: "queue.slice_ms", by_repository: No, kind: Number {
        least: 100, most: 600_000, unit: "milliseconds", set: |s, n| s.queue.slice = Duration::from_millis(n),
    } },
    Key { name: "queue.stale_after_s", by_repository: No, kind: Number {
        least: 1, most: 30 * 86_400, unit: "seconds", set: |s, n| s.queue.stale_after = Duration::from_secs(n),
    } },
    Key { name: "sync.debounce_ms", by_repository: Yes, kind: Number {
        least: 1, most: 60_000, unit: "milliseconds", set: |s, n| s.sync.debounce = Duration::from_millis(n),
    } },
    Key { name: "sync.max_wait_ms", by_repository: Yes, kind: Number {
        least: 1, most: 60_000, unit: "milliseconds", set: |s, n| s.sync.max_wait = Duration::from_millis(n),
    } },
    Key { name: "watch.mode", by_repository: Only("poll"), kind: Choice(&[
        ("auto", |s| s.watch.mode = WatchMode::Auto),
        ("native", |s| s.watch.mode = WatchMode::Native),
        ("poll", |s| s.watch.mode = WatchMode::Poll),
        ("off", |s| s.watch.mode = WatchMode::Off),
    ]) },
    Key { name: "index.exclude", by_repository: Yes, kind: Globs(|s, globs| s.index.exclude = globs) },
    Key { name: "index.hidden", by_repository: Yes, kind: Switch(|s, on| s.index.hidden = on) },
    Key { name: "index.max_file_bytes", by_repository: Yes, kind: Number {
        // Beyond a gibibyte the index takes no file anyway.
        least: 1, most: 1 << 30, unit: "bytes", set: |s, n| s.index.max_file_bytes = n,
    } },
    Key { name: "index.symbols", by_repository: Yes, kind: Switch(|s, on| s.index.symbols = on) },
    Key { name: "index.home", by_repository: No, kind: Switch(|s, on| s.index_home = on) },
    Key { name: "index.dir", by_repository: No, kind: Path(|s, path| s.index.dir = Some(path)) },
    Key { name: "index.max_disk_mb", by_repository: No, kind: Number {
        least: 1, most: 1 << 20, unit: "megabytes", set: |s, n| s.index.max_disk = n * 1_000_000,
    } },
    Key { name: "index.max_memory_mb", by_repository: No, kind: Number {
        // Less doesn't do for a thread and the names of a large tree.
        least: 150, most: 1 << 20, unit: "megabytes", set: |s, n| s.index.max_memory = n * 1_000_000,
    } },
    Key { name: "daemon.idle_minutes", by_repository: No, kind: Number {
        least: 0, most: 365 * 24 * 60, unit: "minutes", set: |s, n| s.daemon.idle = Duration::from_secs(n * 60),
    } },
    Key { name: "log.level", by_repository: No, kind: Text {
        check: is_log_level, set: |s, level| s.log.level = level,
    } },
    Key { name: "log.file", by_repository: No, kind: Path(|s, path| s.log.file = Some(path)) },
];

/// How a layer spells the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `queue.redis_url`
    Toml,
    /// `syncline.queue.redisUrl`; `syncline` is the section of all and may be left out.
    Editor,
    /// `SYNCLINE_QUEUE_REDIS_URL`
    Environment,
    /// `--queue-redis-url`
    Flag,
}

impl Spelling {
    /// `name`, a key's or a section's, spelled so.
    pub(super) fn of(self, name: &'static str) -> Cow<'static, str> {
        match self {
            Spelling::Toml => name.into(),
            Spelling::Editor => {
                let mut words = name.split('_');
                let mut camel = format!("syncline.{}", words.next().unwrap_or_default());
                for word in words {
                    let (first, rest) = word.split_at(word.len().min(1));
                    camel.extend([&first.to_ascii_uppercase(), rest]);
                }
                camel.into()
            }
            Spelling::Environment => format!("SYNCLINE_{}", name.replace('.', "_").to_ascii_uppercase()).into(),
            Spelling::Flag => format!("--{}", name.replace(['.', '_'], "-")).into(),
        }
    }

    /// The key spelled `name`.
    pub(super) fn key(self, name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| self.of(key.name) == name)
    }

    /// Whether keys stand in a section spelled `name`.
    pub(super) fn is_section(self, name: &str) -> bool {
        sections().any(|section| self.of(section) == name)
    }

    /// The known key, or section, that `name` was probably meant to be.
    pub(super) fn nearest(self, name: &str) -> Option<Cow<'static, str>> {
        let names = KEYS.iter().map(|key| key.name).chain(sections());
        let known = names.map(|name| self.of(name)).collect::<Vec<_>>();
        let near = nearest(name, known.iter().map(AsRef::as_ref)).map(str::to_owned);
        near.map(Cow::Owned).or_else(|| {
            // The right word in the wrong section, or in none.
            let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
            known.into_iter().find(|k| k.contains('.') && last(k) == last(name))
        })
    }
}

/// Whether an editor that calls something `name`, in the section of all or outside of it, means a setting: it is a key or
/// a section, or nearly the name of one.
pub fn means_a_setting(name: &str) -> bool {
    let name = name.strip_prefix("syncline.").unwrap_or(name);
    let full = format!("syncline.{name}");
    Spelling::Editor.key(&full).is_some() || nearest(name, sections()).is_some()
}

fn sections() -> impl Iterator<Item = &'static str> {
    ["queue", "sync", "watch", "index", "daemon", "log"].into_iter()
}

/// What became of a value.
pub(super) enum Outcome {
    /// Taken as it is.
    Taken,
    /// Taken with changes; says which.
    Adjusted(String),
    /// Not taken; says what it must be.
    Refused(String),
    /// There was none: the layers below decide.
    Nothing,
}

impl Key {
    /// Puts `value` into `settings`; `resolve` makes paths absolute. Messages go after the key's name.
    pub(super) fn set(&self, settings: &mut Settings, value: Raw, resolve: impl Fn(&str) -> PathBuf) -> Outcome {
        let wrong = |value: &Raw| Outcome::Refused(format!("must be {}, not {}", self.kind.wants(), value.article()));
        match (&self.kind, value) {
            (_, Raw::Nothing) => Outcome::Nothing,
            // Editors send an empty text for what nobody has filled in.
            (Text { .. } | Path(_) | Choice(_), Raw::Text(text)) if text.is_empty() => Outcome::Nothing,
            (Choice(words), Raw::Text(text)) => match words.iter().find(|(word, _)| *word == text) {
                Some((_, set)) => {
                    set(settings);
                    Outcome::Taken
                }
                None => {
                    let near = nearest(&text, words.iter().map(|(word, _)| *word));
                    let hint = near.map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"));
                    Outcome::Refused(format!("must be {}, not \"{}\"{hint}", self.kind.wants(), shown(&text)))
                }
            },
            (Number { least, most, unit, set }, Raw::Whole(number)) => {
                let bounded =
                    u64::try_from(number).unwrap_or(if number < 0 { 0 } else { u64::MAX }).clamp(*least, *most);
                set(settings, bounded);
                if i128::from(bounded) == number {
                    return Outcome::Taken;
                }
                Outcome::Adjusted(format!("must be between {least} and {most} {unit}; {bounded} is used"))
            }
            (Switch(set), Raw::Switch(on)) => {
                set(settings, on);
                Outcome::Taken
            }
            (Text { check, set }, Raw::Text(text)) => match check(&text) {
                Ok(()) => {
                    set(settings, text);
                    Outcome::Taken
                }
                Err(must) => Outcome::Refused(must),
            },
            (Path(set), Raw::Text(text)) => {
                if text.contains('\0') {
                    return Outcome::Refused("must be a path, and none can hold a zero byte".to_owned());
                }
                set(settings, resolve(&text));
                Outcome::Taken
            }
            (Globs(set), Raw::List(items)) => {
                let mut globs = Vec::new();
                for item in items {
                    match item {
                        Raw::Text(text) => globs.push(text),
                        other => return wrong(&Raw::List(vec![other])),
                    }
                }
                let (globs, left_out) = usable_globs(globs);
                if !build(&globs) {
                    return Outcome::Refused("holds globs that are too much together; take some out".to_owned());
                }
                set(settings, globs);
                left_out.map_or(Outcome::Taken, Outcome::Adjusted)
            }
            (Names(set), Raw::List(items)) => {
                let mut names = Vec::new();
                for item in items {
                    match item {
                        Raw::Text(text) if is_codebase_name(&text).is_ok() => names.push(text),
                        Raw::Text(text) => {
                            let text = shown(&text);
                            return Outcome::Refused(format!("holds \"{text}\", which is no name of a codebase"));
                        }
                        other => return wrong(&Raw::List(vec![other])),
                    }
                }
                set(settings, names);
                Outcome::Taken
            }
            (_, other) => wrong(&other),
        }
    }
}

impl Kind {
    /// What the key takes, for a message.
    fn wants(&self) -> String {
        match self {
            Choice(words) => {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }
            Number { unit, .. } => format!("a whole number of {unit}"),
            Switch(_) => "true or false".to_owned(),
            Text { .. } => "a text".to_owned(),
            Path(_) => "a path, as a text".to_owned(),
            Globs(_) => "a list of globs, each a text".to_owned(),
            Names(_) => "a list of names, each a text".to_owned(),
        }
    }

    /// The value in a variable's text: as in TOML, where quotes may be left out, and a list may be items between commas.
    ///
    /// # Errors
    /// When quotes or brackets are opened and not closed.
    pub(super) fn read_variable(&self, text: &str) -> Result<Raw, Misread> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Raw::Nothing);
        }
        let is_quoted = text.starts_with(['"', '\'']);
        match self {
            Choice(_) | Text { .. } | Path(_) if !is_quoted => Ok(Raw::Text(text.to_owned())),
            // `[ab]*.c` is a glob, `["ab*.c"]` a list.
            Globs(_) | Names(_)
                if !text.strip_prefix('[').is_some_and(|t| t.trim_start().starts_with(['"', '\'', ']'])) =>
            {
                Ok(Raw::List(items(text).map(|glob| Raw::Text(glob.to_owned())).collect()))
            }
            // What isn't a number is a wrong value, and said to be that.
            Number { .. } | Switch(_) => Ok(Raw::of_toml_value(text).unwrap_or_else(|_| Raw::Text(text.to_owned()))),
            _ => Raw::of_toml_value(text),
        }
    }
}

/// The items between the commas that stand in no braces: `*.{c,h},*.o` are two.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

/// Those of `globs` that can be used, and what was left out.
fn usable_globs(mut globs: Vec<String>) -> (Vec<String>, Option<String>) {
    /// Longer ones are no globs a person wrote.
    const LONGEST: usize = 1_024;
    let mut left_out = Vec::new();
    if globs.len() > MOST_GLOBS {
        left_out.push(format!("may hold at most {MOST_GLOBS} globs; the others are left out"));
        globs.truncate(MOST_GLOBS);
    }
    globs.retain(|glob| {
        let usable = !glob.is_empty() && glob.len() <= LONGEST && build([glob]);
        if !usable && left_out.len() < 3 {
            left_out.push(format!("holds \"{}\", which isn't a glob and is left out", shown(glob)));
        }
        usable
    });
    (globs, (!left_out.is_empty()).then(|| left_out.join(", and ")))
}

/// Whether walks will take `globs`, asked of what they use themselves.
fn build<'g>(globs: impl IntoIterator<Item = &'g String>) -> bool {
    let mut builder = OverrideBuilder::new("");
    globs.into_iter().all(|glob| builder.add(&format!("!{glob}")).is_ok()) && builder.build().is_ok()
}

/// A scheme is all that is asked for here; the rest is for the client, which knows all forms, to judge.
fn is_redis_url(text: &str) -> Result<(), String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| scheme.starts_with("redis") || scheme == "unix") {
        return Ok(());
    }
    Err("must be a URL such as redis://localhost:6379, rediss://… or redis+unix://…".to_owned())
}

/// The name becomes part of Redis keys and of a folder's name, so it must be safe as both.
fn is_codebase_name(text: &str) -> Result<(), String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if plain && (1..=64).contains(&text.len()) && !text.starts_with('.') {
        return Ok(());
    }
    Err("must be a plain name: at most 64 letters, digits, \"_\", \"-\" and \".\", not starting with \".\"".to_owned())
}

fn is_log_level(text: &str) -> Result<(), String> {
    log_filter(text).map(drop)
}

/// The filter that `log.level` asks for.
///
/// # Errors
/// What it must be.
pub fn log_filter(text: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    const MUST: &str = "must be error, warn, info, debug, trace, off, or a filter such as syncline=debug";
    // To `tracing` a lone word that is no level is the name of a crate, all of whose events are wanted: a mistyped
    // level would be taken as that, and silence everything.
    if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        if LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level)) {
            // `notify` tells of each folder that vanished before it was unwatched, two lines each; that is no trouble.
            // `rmcp` tells of each session's messages.
            let quiet = ["warn", "info"].iter().any(|level| text.eq_ignore_ascii_case(level));
            return Ok(EnvFilter::new(if quiet { format!("{text},notify=error,rmcp=warn") } else { text.to_owned() }));
        }
        let hint = nearest(text, LEVELS).map_or_else(String::new, |level| format!("; did you mean {level}?"));
        return Err(format!("{MUST}, not \"{}\"{hint}", shown(text)));
    }
    // `tracing` would take a URL for a crate's name, and the level is shown in places where a URL's secrets mustn't be.
    // And its parser panics at some letters, of which crates and spans have none.
    if text.contains("://") || !text.is_ascii() {
        return Err(MUST.to_owned());
    }
    EnvFilter::try_new(text).map_err(|_| MUST.to_owned())
}

/// The one of `known` that `word` is a mistyped form of, case aside.
fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_ascii_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            // A third of the letters may be wrong; with more, it is another word.
            let most = (candidate.len() / 3).clamp(1, 4);
            // Comparing takes time by the product of the lengths, and a stranger may have written the word.
            let comparable = word.len().abs_diff(candidate.len()) <= most;
            let distance = comparable.then(|| osa_distance(&word, &candidate.to_ascii_lowercase()))?;
            (distance <= most).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn every_key_stands_in_a_section_once_and_the_same_word_is_spelled_everywhere() {
        for key in KEYS {
            let (section, _) = key.name.split_once('.').expect("a key has a section");
            assert!(Spelling::Toml.is_section(section), "{}", key.name);
            for spelling in [Spelling::Toml, Spelling::Editor, Spelling::Environment, Spelling::Flag] {
                let found = spelling.key(&spelling.of(key.name)).expect("its own spelling is known");
                assert_eq!(found.name, key.name, "once");
            }
        }
        assert_eq!(Spelling::Editor.of("queue.stale_after_s"), "syncline.queue.staleAfterS");
        assert_eq!(Spelling::Environment.of("queue.redis_url"), "SYNCLINE_QUEUE_REDIS_URL");
        assert_eq!(Spelling::Flag.of("log.level"), "--log-level");
    }

    #[test]
    fn a_typo_is_near_and_another_word_is_not() {
        for (typo, meant) in [
            ("queue.redis_ulr", "queue.redis_url"),
            ("queue.redisUrl", "queue.redis_url"),
            ("queu", "queue"),
            ("redis_url", "queue.redis_url"),
            ("queue.debounce_ms", "sync.debounce_ms"),
            ("index.excludes", "index.exclude"),
        ] {
            assert_eq!(Spelling::Toml.nearest(typo).as_deref(), Some(meant), "{typo}");
        }
        assert_eq!(Spelling::Toml.nearest("something.else"), None);
        assert_eq!(Spelling::Toml.nearest(&"q".repeat(1 << 20)), None);
    }
}
