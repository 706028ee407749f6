//! Which codebases a session has open, and with which settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tower_lsp::Client;
use tower_lsp::lsp_types::request::WorkspaceConfiguration;
use tower_lsp::lsp_types::{ConfigurationItem, ConfigurationParams, MessageType, Url, WorkspaceFoldersChangeEvent};

use super::ask::ask;
use super::progress;
use super::publisher::{Told, publish};
use super::session::Session;
use super::settings::{SECTION, log_level, own, section_of};
use crate::core::settings::{REPOSITORY_FILE, Sources};
use crate::workspace::{Opened, Workspace};

/// How long the client may take to tell its settings, before those it gave with `initialize` are used.
const CONFIGURATION_TIME: Duration = Duration::from_secs(1);

impl Session {
    /// The client is ready: its codebases open, with the settings it gives.
    pub(super) async fn begin(&mut self, client: Client) {
        if self.client.is_some() {
            return tracing::warn!("the client says a second time that it is initialized");
        }
        self.client = Some(client);
        let asked = self.asked_section().await;
        if let (Some(section), Some(facts)) = (asked.and_then(own), &mut self.facts) {
            // A client that says its section in both places says it once: what it takes back later is gone.
            if facts.options == section {
                facts.options = Value::Null;
            }
            facts.section = section;
        }
        self.set_log_level();
        for uri in self.facts.as_ref().map(|facts| facts.roots.clone()).unwrap_or_default() {
            self.open_folder(&uri).await;
        }
    }

    /// Syncline's section of the client's settings, when the client answers that.
    ///
    /// Waiting here keeps the order of events; it holds up no handler, and the limit bounds it.
    async fn asked_section(&self) -> Option<Value> {
        let client = self.client.as_ref()?;
        self.facts.as_ref().filter(|facts| facts.answers_configuration)?;
        let item = ConfigurationItem { scope_uri: None, section: Some(SECTION.to_owned()) };
        let params = ConfigurationParams { items: vec![item] };
        match ask::<WorkspaceConfiguration>(client, &self.life, params, CONFIGURATION_TIME).await {
            Some(Ok(sections)) => Some(sections.into_iter().next().unwrap_or_default()),
            Some(Err(error)) => {
                tracing::warn!(%error, "the client doesn't give its settings");
                None
            }
            None => {
                let sentence = "the editor doesn't answer workspace/configuration; the settings of initialize are used";
                self.outbox.log(MessageType::WARNING, sentence).await;
                None
            }
        }
    }

    /// The client works in a folder, which it may have said before.
    async fn open_folder(&mut self, uri: &Url) {
        match uri.to_file_path() {
            Ok(path) if self.roots.spelled(&path).is_some() => {}
            Ok(path) => self.open(path).await,
            Err(()) => {
                let sentence =
                    format!("can't open the codebase {uri}: it isn't a folder of this machine; open a file: folder");
                self.outbox.show(MessageType::ERROR, sentence).await;
            }
        }
    }

    async fn open(&mut self, path: PathBuf) {
        let Some(opened) = self.open_at(&path).await else { return };
        if !opened.is_as_wanted {
            let sentence = format!(
                "the folder {} is open elsewhere with other settings of syncline; those count here too until nobody \
                 else has it open",
                path.display()
            );
            self.outbox.log(MessageType::WARNING, sentence).await;
        }
        self.adopt(opened, path);
    }

    /// Takes over what was opened for the folder that the client calls `spelling`.
    fn adopt(&mut self, opened: Opened, spelling: PathBuf) {
        let Opened { workspace, is_as_wanted, .. } = opened;
        if !is_as_wanted && !self.outdated.contains(&spelling) {
            self.outdated.push(spelling.clone());
        }
        let root = workspace.codebase().root.clone();
        let before = self.roots.at(root.as_path());
        let is_same = before.is_some_and(|root| root.workspace.is_same(&workspace));
        if !is_same {
            // What was said of the same file isn't said again.
            let told = before.map(|root| root.told.clone()).unwrap_or_default();
            let tasks = self.tasks(&workspace, told.clone());
            self.roots.put(workspace, told, tasks);
            self.documents.forget_members();
        }
        self.roots.call(root.as_path(), spelling);
    }

    /// Opens the codebase at `path` with the client's settings, and tells the client what is wrong with those.
    async fn open_at(&mut self, path: &Path) -> Option<Opened> {
        let (engine, root, sources) = (self.engine.clone(), path.to_owned(), self.sources());
        // Reading settings and the index's files blocks.
        let opened = tokio::task::spawn_blocking(move || engine.open_with(&root, &sources));
        let sentence = match opened.await {
            Ok(Ok(opened)) => {
                self.tell_problems(path, opened.problems.iter().map(ToString::to_string).collect()).await;
                return Some(opened);
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => {
                tracing::error!(%error, root = %path.display(), "opening a codebase broke off");
                format!("can't open the codebase {} by a fault of syncline; its log says where", path.display())
            }
        };
        self.outbox.show(MessageType::ERROR, sentence).await;
        None
    }

    /// What is wrong with the settings of the codebase at `path`: each sentence is shown once, for as long as it holds.
    async fn tell_problems(&mut self, path: &Path, problems: Vec<String>) {
        for problem in &problems {
            if !self.told.values().flatten().any(|told| told == problem) {
                self.outbox.show(MessageType::WARNING, problem).await;
            }
        }
        self.told.insert(path.to_owned(), problems);
    }

    /// What goes on for a codebase as long as a client has it open. Problems of its settings that are `told` aren't again.
    fn tasks(&self, workspace: &Workspace, told: Told) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let shows_progress = self.facts.as_ref().is_some_and(|facts| facts.shows_progress);
        if let Some(client) = self.client.clone().filter(|_| shows_progress) {
            tasks.spawn(progress::show(workspace.state(), self.outbox.clone(), client, self.life.clone()));
        }
        let wanted = self.wants_states.subscribe();
        tasks.spawn(publish(workspace.state(), wanted, told, self.outbox.clone()));
        let (outdated, report, root) = (workspace.outdated(), self.report.clone(), workspace.codebase().root.clone());
        tasks.spawn(async move {
            outdated.cancelled().await;
            // The session may be over.
            let _ = report.send(root.as_path().to_owned());
        });
        tasks
    }

    /// Settings of a codebase may have changed: it is open with the new ones from now on, if that may be.
    pub(super) async fn renew(&mut self, root: &Path) {
        let Some(spelling) = self.roots.at(root).map(|root| root.place().into_spelling()) else { return };
        self.outdated.retain(|outdated| *outdated != spelling);
        if let Some(opened) = self.open_at(&spelling).await {
            self.adopt(opened, spelling);
        }
    }

    /// Files were written: settings among them count from now on.
    pub(super) async fn settings_written(&mut self, uris: &[Url]) {
        let files = uris.iter().filter_map(|uri| uri.to_file_path().ok());
        let folders = files.filter(|file| file.file_name().is_some_and(|name| name == REPOSITORY_FILE));
        for folder in folders.filter_map(|file| Some(file.parent()?.to_owned())) {
            let root = self.roots.iter().find(|root| root.place().canonical(&folder) == root.canonical());
            if let Some(root) = root.map(|root| root.canonical().to_owned()) {
                self.renew(&root).await;
            }
        }
    }

    /// Opens anew, with the client's settings, what nobody else has open any more.
    pub(super) async fn reopen(&mut self) {
        for path in std::mem::take(&mut self.outdated) {
            // It may have been closed since.
            let Some(root) = self.roots.spelled(&path) else { continue };
            if self.engine.is_shared(&root.workspace) {
                self.outdated.push(path);
                continue;
            }
            for spelling in self.roots.take(&path) {
                self.open(spelling).await;
            }
        }
        self.documents.forget_members();
    }

    /// Where this client's settings come from.
    fn sources(&self) -> Sources {
        let (editor_options, editor) =
            self.facts.as_ref().map(|facts| (facts.options.clone(), facts.section.clone())).unwrap_or_default();
        Sources { editor_options, editor, ..self.options.sources.clone() }
    }

    fn set_log_level(&self) {
        let (Some(facts), Some(set)) = (&self.facts, &self.options.set_log_level) else { return };
        if let Some(level) = log_level(&facts.section).or_else(|| log_level(&facts.options)) {
            set(level);
        }
    }

    pub(super) async fn folders(&mut self, change: WorkspaceFoldersChangeEvent) {
        for folder in change.removed {
            if let Some(facts) = &mut self.facts {
                facts.roots.retain(|root| *root != folder.uri && root.to_file_path() != folder.uri.to_file_path());
            }
            if let Ok(path) = folder.uri.to_file_path() {
                self.roots.remove(&path);
                self.told.remove(&path);
            }
        }
        // Before `initialized`, they are opened with the others.
        let is_early = self.client.is_none();
        for folder in change.added {
            match &mut self.facts {
                Some(facts) if is_early => facts.roots.push(folder.uri),
                _ => self.open_folder(&folder.uri).await,
            }
        }
        self.documents.forget_members();
    }

    /// The client's settings changed. Codebases that others have open too keep theirs meanwhile.
    pub(super) async fn configuration(&mut self, settings: Value) {
        let asked = self.asked_section().await;
        let Some(facts) = &mut self.facts else { return };
        // Who was asked in vain and says nothing by itself has said nothing.
        if settings.is_null() && asked.is_none() && facts.answers_configuration {
            return;
        }
        // Settings without a section of ours are those in which it was taken back, if there was one.
        facts.section = asked.and_then(own).or_else(|| section_of(settings)).unwrap_or_default();
        self.set_log_level();
        for root in self.roots.iter().map(|root| root.canonical().to_owned()).collect::<Vec<_>>() {
            self.renew(&root).await;
        }
        // They are opened anew as soon as that may be.
        let roots = self.outdated.iter().filter_map(|path| self.roots.spelled(path));
        if roots.into_iter().any(|root| self.engine.is_shared(&root.workspace)) {
            let sentence = "syncline's settings have changed; they count for a folder once nobody else has it open";
            self.outbox.log(MessageType::INFO, sentence).await;
        }
    }
}
