//! The way to the shared engine. Connections are kept for the next call; one that breaks is made anew, once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::core::{CodebaseRoot, RelPath};
use crate::daemon::wire::{Candidates, CandidatesParams, FoundSymbol, Purpose, Question, Symbols, SymbolsParams};
use crate::daemon::{AskError, Client, HangUp, Reach, Session};

/// Sessions that are kept, of all codebases together.
const MOST_KEPT: usize = 16;
/// How long one waits for a codebase that is being looked at for the first time.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Between two questions meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long the engine may take for one answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Asks the shared engine about these codebases.
pub(super) struct Engine {
    reach: Reach,
    roots: Vec<CodebaseRoot>,
    kept: Mutex<Vec<Kept>>,
}

/// A session that waits for the next call.
struct Kept {
    root: usize,
    session: Session,
}

/// Definitions by name.
pub(super) struct FoundSymbols {
    pub(super) symbols: Vec<FoundSymbol>,
    pub(super) limit_hit: bool,
    /// Symbols of some files are missing.
    pub(super) left_out: bool,
}

impl Engine {
    pub(super) fn new(reach: Reach, roots: Vec<CodebaseRoot>) -> Engine {
        Engine { reach, roots, kept: Mutex::default() }
    }

    /// The codebases.
    pub(super) fn roots(&self) -> &[CodebaseRoot] {
        &self.roots
    }

    /// How a file is named in answers: below its root, or in full when there are several.
    pub(super) fn name_of(&self, root: usize, path: &str) -> String {
        match self.roots.len() {
            1 => path.to_owned(),
            _ => self.roots[root].as_path().join(path).display().to_string(),
        }
    }

    /// Makes a request of the protocol for editors, of the session with one codebase. Dropping it ends the work for it.
    ///
    /// # Errors
    /// One sentence, when the engine refuses, or goes away twice.
    pub(super) async fn request<T>(
        self: &Arc<Self>,
        root: usize,
        method: &'static str,
        params: Value,
    ) -> Result<T, String>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let engine = self.clone();
        let call = Arc::new(Mutex::new(Call::Idle));
        let _ends = EndsOnDrop(call.clone());
        let work = move || {
            let asked = engine.ask(root, method, &params, &call).or_else(|error| match error {
                // It died, as may happen, and with it all other sessions: another one takes its place.
                AskError::Broken(_) => {
                    engine.kept.lock().clear();
                    engine.ask(root, method, &params, &call)
                }
                error => Err(error),
            });
            let value = asked.map_err(|error| error.to_string())?;
            serde_json::from_value(value)
                .map_err(|error| format!("the shared engine gives no answer to {method}: {error}"))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| "a call broke off by a fault of syncline".to_owned())?
    }

    fn ask(&self, root: usize, method: &str, params: &Value, call: &Mutex<Call>) -> Result<Value, AskError> {
        let kept = {
            let mut kept = self.kept.lock();
            kept.iter().position(|kept| kept.root == root).map(|at| kept.swap_remove(at).session)
        };
        let mut session = match kept {
            Some(session) => session,
            None => {
                let stream = self.reach.reach(Purpose::Session);
                let stream = stream.map_err(|error| AskError::Refused(error.to_string()))?;
                Session::open(stream, &self.roots[root])?
            }
        };
        {
            let mut call = call.lock();
            if matches!(*call, Call::Over) {
                return Err(AskError::Refused("cancelled".to_owned()));
            }
            *call = Call::Asking(session.hang_up()?);
        }
        let asked = session.request(method, params.clone(), |_| Ok(()));
        {
            let mut call = call.lock();
            if matches!(*call, Call::Asking(_)) {
                *call = Call::Idle;
            }
        }
        if matches!(asked, Ok(_) | Err(AskError::Refused(_))) {
            let mut kept = self.kept.lock();
            if kept.len() < MOST_KEPT {
                kept.push(Kept { root, session });
            }
        }
        asked
    }

    /// Definitions in one codebase. Waits while they are read for the first time.
    ///
    /// # Errors
    /// One sentence.
    pub(super) async fn symbols(self: &Arc<Self>, params: SymbolsParams) -> Result<FoundSymbols, String> {
        self.question(move |client, is_late| {
            let params = SymbolsParams { known: params.known || is_late, ..params.clone() };
            match client.ask(&Question::Symbols(params))? {
                Symbols::Found { symbols, limit_hit, left_out, given_up } => {
                    Ok(Some(FoundSymbols { symbols, limit_hit, left_out: left_out || given_up }))
                }
                Symbols::NotYet(_) => Ok(None),
                Symbols::Unknown(why) => Err(AskError::Refused(why)),
            }
        })
        .await
    }

    /// All files of one codebase, in path order.
    ///
    /// # Errors
    /// One sentence.
    pub(super) async fn files(self: &Arc<Self>, root: usize) -> Result<Vec<RelPath>, String> {
        // Whoever has it open keeps it open.
        self.request::<Value>(root, crate::lsp::ext::QUEUE, serde_json::json!({})).await?;
        let folder = self.roots[root].as_path().display().to_string();
        self.question(move |client, is_late| {
            let all = CandidatesParams { pattern: None, by_size: false, folder: folder.clone() };
            match client.ask(&Question::Candidates(all))? {
                Candidates::Files { files, .. } => {
                    Ok(Some(files.iter().filter_map(|path| RelPath::from_bytes(path.as_bytes())).collect()))
                }
                Candidates::Unknown(why) if is_late => {
                    Err(AskError::Refused(format!("the files can't be listed yet: {why}; try again")))
                }
                Candidates::Unknown(_) => Ok(None),
            }
        })
        .await
    }

    /// Asks until there is an answer; the question is told when it has been asked for long enough.
    async fn question<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl Fn(&mut Client, bool) -> Result<Option<T>, AskError> + Send + 'static,
    ) -> Result<T, String> {
        let engine = self.clone();
        let work = move || {
            let started = Instant::now();
            let mut client = None;
            let mut broken = 0;
            loop {
                let is_late = started.elapsed() > LONGEST_WAIT;
                let connection = match &mut client {
                    Some(connection) => connection,
                    None => {
                        let stream = engine.reach.reach(Purpose::Questions).map_err(|error| error.to_string())?;
                        let made = Client::new(stream, Some(ANSWER_TIME)).map_err(|error| error.to_string())?;
                        client.insert(made)
                    }
                };
                match ask(connection, is_late) {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) if is_late => return Err("the engine is still reading the codebase; try again".to_owned()),
                    Ok(None) => std::thread::sleep(ASK_AGAIN),
                    Err(AskError::Broken(_)) if broken == 0 => {
                        broken += 1;
                        client = None;
                    }
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| "a call broke off by a fault of syncline".to_owned())?
    }

    /// The codebase that holds an absolute path, and the path in it; the first codebase for any other.
    pub(super) fn place(&self, path: &str) -> (usize, Option<RelPath>) {
        let absolute = Path::new(path);
        let within = |(number, root): (usize, &CodebaseRoot)| Some((number, RelPath::below(root.as_path(), absolute)?));
        match self.roots.iter().enumerate().find_map(within) {
            Some((number, below)) => (number, Some(below)),
            None => (0, RelPath::new(absolute)),
        }
    }
}

/// How far a call is.
enum Call {
    /// Nothing is asked.
    Idle,
    /// The engine is asked, which this ends.
    Asking(HangUp),
    /// Its answer isn't wanted any more.
    Over,
}

/// Ends the work of a call whose answer isn't wanted any more.
struct EndsOnDrop(Arc<Mutex<Call>>);

impl Drop for EndsOnDrop {
    fn drop(&mut self) {
        if let Call::Asking(hang_up) = std::mem::replace(&mut *self.0.lock(), Call::Over) {
            hang_up.end();
        }
    }
}
