//! Laying one source of settings over the other.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde_json::Value;

use super::keys::{ByRepository, Key, Outcome, Spelling};
use super::problem::{Place, Problem};
use super::raw::{Entry, Misread, Raw};
use super::redact::shown;
use super::{QueueBackend, Settings};
use crate::core::escape;

/// The file of settings a repository may bring along, in the root.
pub const REPOSITORY_FILE: &str = ".syncline.toml";

/// What all variables that are settings begin with.
const VARIABLE_PREFIX: &str = "SYNCLINE_";

/// Variables that begin so but are no settings: what the tests and the editors' plugins use among themselves.
const OTHER_VARIABLES: [&str; 2] = ["SYNCLINE_BIN", "SYNCLINE_TEST_"];

/// Longer files aren't settings, bytes.
const LONGEST_FILE: u64 = 256 << 10;

/// More problems of one source are counted, not told.
const MOST_PROBLEMS: usize = 20;

/// Where settings come from, beside the repository's own file. The later ones win.
///
/// The default has none, so that nothing of the machine is seen.
#[derive(Clone, Default)]
pub struct Sources {
    /// The user's file. It needn't exist.
    pub user_file: Option<PathBuf>,
    /// The file given with `--config`: stands for the user's, and must exist.
    pub config: Option<PathBuf>,
    /// What the editor gave when it started the server, in the form of `editor`, whose keys count more.
    pub editor_options: Value,
    /// The editor's settings: the section `syncline`, or an object that holds it; null when there are none.
    pub editor: Value,
    /// Variables; those that don't begin with `SYNCLINE_` are passed over.
    pub environment: Vec<(String, OsString)>,
    /// The flag `--log-level`.
    pub log_level: Option<String>,
    /// Where indexes live when no layer says so.
    pub index_dir: Option<PathBuf>,
    /// The folder that relative paths in variables and flags start from; this process's own, when not set.
    pub here: Option<PathBuf>,
    /// `queue.redis_ca` when no layer says so: what `SSL_CERT_FILE` names, as everywhere.
    pub redis_ca: Option<PathBuf>,
    /// The codebase's folder was meant, even if it is a home folder: as if `index.home` were set.
    pub home_is_meant: bool,
}

/// Settings, and what wasn't taken as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// All layers in one. Every value is within its bounds.
    pub settings: Settings,
    /// In the order of the layers; in a file, in the order of its lines.
    pub problems: Vec<Problem>,
    /// The repository's file is there and can't be understood: none of it is in the settings.
    pub repository_unread: bool,
}

impl Sources {
    /// The user's file and the cache folder where the platform keeps such, and this process's environment.
    pub fn of_process() -> Sources {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Sources {
            user_file: default_user_file(),
            environment: variables.filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)).collect(),
            index_dir: default_index_dir(),
            here: std::env::current_dir().ok(),
            redis_ca: default_redis_ca(),
            ..Sources::default()
        }
    }
}

/// Without values: variables and editor settings may hold passwords.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Sources")
            .field("user_file", &self.user_file)
            .field("config", &self.config)
            .field("environment", &variables)
            .field("log_level", &self.log_level.as_deref().map(shown))
            .finish_non_exhaustive()
    }
}

/// The user's settings file: `syncline/config.toml` in the platform's config folder. None for a user without a home.
pub fn default_user_file() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("syncline").join("config.toml"))
}

/// Where indexes live when `index.dir` isn't set: `syncline` in the platform's cache folder. None for a user without a
/// home.
pub fn default_index_dir() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("syncline"))
}

/// The file that `SSL_CERT_FILE` names. None when `SSL_CERT_DIR` is to be looked at as well, which whatever connects does
/// by itself.
fn default_redis_ca() -> Option<PathBuf> {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty())?;
    std::env::var_os("SSL_CERT_DIR").is_none().then(|| std::path::absolute(file).ok()).flatten()
}

/// The settings for the codebase at `root`: the defaults, over them the user's file, the repository's `.syncline.toml`,
/// the editor's settings, the environment and the flags.
///
/// It always gives settings: what can't be taken is a [`Problem`], and everything else holds. Blocks while it reads two
/// small files.
pub fn load(root: Option<&Path>, sources: &Sources) -> Loaded {
    let mut merge = Merge::default();
    match (&sources.config, &sources.user_file) {
        (Some(config), _) => merge.file(config, Trust::Given),
        (None, Some(file)) => merge.file(file, Trust::User),
        (None, None) => {}
    }
    if let Some(root) = root {
        merge.file(&root.join(REPOSITORY_FILE), Trust::Repository);
    }
    merge.editor(root, &sources.editor_options);
    merge.editor(root, &sources.editor);
    merge.environment(sources.here.as_deref(), &sources.environment);
    if let Some(level) = &sources.log_level {
        let layer = Layer::new(Place::CommandLine, Spelling::Flag, Trust::User, None);
        merge.set_named(&layer, "--log-level", Raw::Text(level.clone()));
        merge.end_of_layer();
    }
    let mut loaded = merge.finish();
    loaded.settings.index.dir = loaded.settings.index.dir.or_else(|| sources.index_dir.clone());
    let queue = &mut loaded.settings.queue;
    queue.redis_ca = queue.redis_ca.take().or_else(|| sources.redis_ca.clone());
    loaded.settings.index_home |= sources.home_is_meant;
    loaded
}

/// Who wrote a layer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The user.
    User,
    /// The user, who said that it is there.
    Given,
    /// Whoever made the repository.
    Repository,
}

/// One source.
struct Layer {
    place: Place,
    spelling: Spelling,
    trust: Trust,
    /// Where relative paths start; the current folder, when not set.
    base: Option<PathBuf>,
}

impl Layer {
    fn new(place: Place, spelling: Spelling, trust: Trust, base: Option<&Path>) -> Layer {
        Layer { place, spelling, trust, base: base.map(Path::to_owned) }
    }

    /// A place in this layer.
    fn at(&self, line: Option<usize>) -> Place {
        match &self.place {
            Place::File { path, .. } => Place::File { path: path.clone(), line },
            other => other.clone(),
        }
    }

    /// `text` as an absolute path.
    fn resolve(&self, text: &str) -> PathBuf {
        let home = |rest| Some(etcetera::home_dir().ok()?.join(rest));
        let path = text.strip_prefix("~/").and_then(home).unwrap_or_else(|| PathBuf::from(text));
        let path = self.base.as_ref().map_or(path.clone(), |base| base.join(path));
        std::path::absolute(&path).unwrap_or(path)
    }
}

/// The layers so far.
#[derive(Default)]
struct Merge {
    settings: Settings,
    problems: Vec<Problem>,
    /// Where keys were set last.
    set_at: HashMap<&'static str, Place>,
    repository_unread: bool,
    /// The name that a repository gives itself, and where, as long as no later layer gives another.
    proposed: Option<(String, Place)>,
    /// Of the layer at hand.
    told: usize,
    untold: usize,
}

impl Merge {
    fn problem(&mut self, place: Place, message: impl FnOnce() -> String) {
        if self.told < MOST_PROBLEMS {
            self.told += 1;
            self.problems.push(Problem { place, message: message() });
        } else {
            self.untold += 1;
        }
    }

    fn end_of_layer(&mut self) {
        // A table's entries were looked at together, wherever they stand.
        let first = self.problems.len() - self.told;
        self.problems[first..].sort_by_key(|problem| problem.place.line());
        if let Some(place) = self.problems.last().map(|p| p.place.clone()).filter(|_| self.untold > 0) {
            let place = if let Place::File { path, .. } = place { Place::File { path, line: None } } else { place };
            let message = format!("{} more problems; fix the first, and the next will be shown", self.untold);
            self.problems.push(Problem { place, message });
        }
        (self.told, self.untold) = (0, 0);
    }

    fn file(&mut self, path: &Path, trust: Trust) {
        let base = std::path::absolute(path).ok();
        let base = base.as_deref().and_then(Path::parent);
        let layer = Layer::new(Place::File { path: path.to_owned(), line: None }, Spelling::Toml, trust, base);
        match read(path, trust).and_then(|text| text.map(|text| Raw::of_toml(&text).map_err(not_toml)).transpose()) {
            Ok(Some(entries)) => self.table(&layer, None, entries),
            Ok(None) => {}
            Err(Misread { line, why }) => {
                self.repository_unread |= trust == Trust::Repository;
                self.problem(layer.at(line), || why);
            }
        }
        self.end_of_layer();
    }

    fn editor(&mut self, root: Option<&Path>, settings: &Value) {
        let layer = Layer::new(Place::Editor, Spelling::Editor, Trust::User, root);
        match Raw::of_json(settings) {
            Raw::Nothing => {}
            Raw::Table(entries) => self.table(&layer, None, entries),
            other => self.problem(Place::Editor, || format!("must be an object, not {}", other.article())),
        }
        self.end_of_layer();
    }

    fn environment(&mut self, here: Option<&Path>, variables: &[(String, OsString)]) {
        let layer = Layer::new(Place::Environment, Spelling::Environment, Trust::User, here);
        for (name, value) in variables {
            if !name.starts_with(VARIABLE_PREFIX) || OTHER_VARIABLES.iter().any(|other| name.starts_with(other)) {
                continue;
            }
            let Some(key) = layer.spelling.key(name) else {
                self.unknown(&layer, name, None);
                continue;
            };
            let Some(text) = value.to_str() else {
                self.problem(Place::Environment, || {
                    format!("{name} must be UTF-8; set {} in a file instead", key.name)
                });
                continue;
            };
            match key.kind.read_variable(text) {
                Ok(value) => self.set(&layer, key, None, value),
                Err(Misread { why, .. }) => self.problem(Place::Environment, || {
                    format!("{name} begins as TOML but isn't: {why}; write it as in TOML, or without quotes")
                }),
            }
        }
        self.end_of_layer();
    }

    /// Takes `entries`, which stand in `section`.
    fn table(&mut self, layer: &Layer, section: Option<&str>, entries: Vec<Entry>) {
        for Entry { name, name_line, value_line, value } in entries {
            let full = match (section, layer.spelling) {
                (Some(section), _) => format!("{section}.{name}"),
                // All sections stand in this one, which may be written or not.
                (None, Spelling::Editor) if name != "syncline" && !name.starts_with("syncline.") => {
                    format!("syncline.{name}")
                }
                (None, _) => name,
            };
            if let Some(key) = layer.spelling.key(&full) {
                let is_refused = layer.trust == Trust::Repository && key.by_repository == ByRepository::No;
                let line = if is_refused { name_line } else { value_line };
                self.set(layer, key, line, value);
            } else if layer.spelling.is_section(&full) || (full == "syncline" && layer.spelling == Spelling::Editor) {
                match value {
                    Raw::Nothing => {}
                    // An empty table of Lua's comes as a list.
                    Raw::List(items) if items.is_empty() && layer.spelling == Spelling::Editor => {}
                    Raw::Table(entries) => self.table(layer, Some(&full), entries),
                    other => self.problem(layer.at(value_line), || {
                        format!("{full} is a section of settings and must be a table, not {}", other.article())
                    }),
                }
            } else {
                self.unknown(layer, &full, name_line);
            }
        }
    }

    fn unknown(&mut self, layer: &Layer, name: &str, line: Option<usize>) {
        self.problem(layer.at(line), || {
            let fix = layer.spelling.nearest(name).map_or_else(
                || "take it out, or look it up in the table of settings, docs/settings.md".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            format!("there is no setting {}; {fix}", shown(name))
        });
    }

    /// Sets the key that `layer` spells `name`.
    fn set_named(&mut self, layer: &Layer, name: &str, value: Raw) {
        if let Some(key) = layer.spelling.key(name) {
            self.set(layer, key, None, value);
        }
    }

    fn set(&mut self, layer: &Layer, key: &'static Key, line: Option<usize>, value: Raw) {
        let name = layer.spelling.of(key.name);
        let by_repository = if layer.trust == Trust::Repository { key.by_repository } else { ByRepository::Yes };
        let refused = match by_repository {
            ByRepository::Yes => None,
            ByRepository::No => Some(format!("a repository can't set {name}")),
            ByRepository::Only(word) => (!matches!(&value, Raw::Text(text) if text == word))
                .then(|| format!("a repository can set {name} to \"{word}\" only")),
            ByRepository::Trusted => return self.propose(layer, key, line, value),
        };
        if let Some(refused) = refused {
            let variable = Spelling::Environment.of(key.name);
            return self.problem(layer.at(line), || {
                format!("{refused}; set it in your own config.toml, your editor or {variable}")
            });
        }
        match key.set(&mut self.settings, value, |text| layer.resolve(text)) {
            Outcome::Taken => {
                self.set_at.insert(key.name, layer.at(line));
                // A later layer's name stands above a repository's.
                if key.by_repository == ByRepository::Trusted {
                    self.proposed = None;
                }
            }
            Outcome::Adjusted(how) => {
                self.set_at.insert(key.name, layer.at(line));
                self.problem(layer.at(line), || format!("{name} {how}"));
            }
            Outcome::Refused(why) => self.problem(layer.at(line), || format!("{name} {why}")),
            Outcome::Nothing => {}
        }
    }

    /// Keeps the name that a repository gives itself: whether it counts only shows when all layers are there.
    fn propose(&mut self, layer: &Layer, key: &'static Key, line: Option<usize>, value: Raw) {
        let mut alone = Settings::default();
        match key.set(&mut alone, value, |text| layer.resolve(text)) {
            Outcome::Refused(why) => self.problem(layer.at(line), || format!("{} {why}", key.name)),
            Outcome::Taken | Outcome::Adjusted(_) | Outcome::Nothing => {
                self.proposed = alone.queue.codebase.map(|name| (name, layer.at(line)));
            }
        }
    }

    /// Has a repository's name for itself count if the user trusts it.
    fn decide_on_the_name(&mut self) {
        let queue = &mut self.settings.queue;
        let trusted = std::mem::take(&mut queue.trust);
        let Some((name, place)) = self.proposed.take() else { return };
        if trusted.contains(&name) {
            queue.codebase = Some(name);
            return;
        }
        // A queue that nobody else sees is the same under any name.
        let is_shared = match queue.backend {
            QueueBackend::Local => false,
            QueueBackend::Redis => true,
            QueueBackend::Auto => queue.redis_url.is_some(),
        };
        if is_shared && queue.codebase.as_ref() != Some(&name) {
            let variable = Spelling::Environment.of("queue.trust");
            self.problem(place, || {
                format!(
                    "a repository can't join the queue \"{name}\" of your Redis by itself, so queue.codebase isn't used; \
                     if it is yours, set queue.trust = [\"{name}\"] in your own config.toml, your editor or {variable}"
                )
            });
        }
    }

    /// What only shows when all layers are there.
    fn finish(mut self) -> Loaded {
        self.decide_on_the_name();
        let (debounce, most) = (self.settings.sync.debounce, self.settings.sync.max_wait);
        if debounce > most {
            self.settings.sync.debounce = most;
            let place = self.set_at.get("sync.debounce_ms").or_else(|| self.set_at.get("sync.max_wait_ms")).cloned();
            let (debounce, most) = (debounce.as_millis(), most.as_millis());
            // The defaults alone are in order, so somebody has set one of the two.
            if let Some(place) = place {
                self.problem(place, || {
                    format!(
                        "sync.debounce_ms, {debounce}, is more than sync.max_wait_ms, {most}; {most} is used for both"
                    )
                });
            }
        }
        Loaded { settings: self.settings, problems: self.problems, repository_unread: self.repository_unread }
    }
}

fn not_toml(error: Misread) -> Misread {
    let why = format!("isn't TOML: {}; nothing in this file holds until that is fixed", escape(&error.why));
    Misread { line: error.line, why }
}

/// The text of a settings file; none when there is no such file and nobody has said that there is.
fn read(path: &Path, trust: Trust) -> Result<Option<String>, Misread> {
    let misread = |why: String| Misread { line: None, why };
    let unreadable = |error: io::Error| misread(format!("can't be read: {error}; none of its settings hold"));
    let file = match open(path, trust) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return match trust {
                Trust::Given => Err(misread("there is no such file; give one that exists with --config".to_owned())),
                Trust::User | Trust::Repository => Ok(None),
            };
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(misread(format!("is longer than {LONGEST_FILE} bytes, which no settings are; shorten it")));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = memchr::memchr_iter(b'\n', &error.as_bytes()[..valid]).count() + 1;
        Misread { line: Some(line), why: "isn't UTF-8; save it as UTF-8".to_owned() }
    })
}

fn open(path: &Path, trust: Trust) -> io::Result<File> {
    // Opening a pipe that came with a repository would wait for a writer, for ever. The user may well give one, as
    // shells make them of `<(…)`.
    if trust == Trust::Repository && !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it isn't a file"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests;
