//! A home with a tree, a place for the socket, and nothing of this machine; what runs in it ends with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use syncline::daemon::wire::{Hello, PROTOCOL, Purpose, Welcome};
use tokio::process::Child;

use crate::lsp_client::Client;
use crate::support::wait_for;

/// A home.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// With these files in its tree.
    pub fn new(files: &[(&str, &str)]) -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        for name in ["run", "home", "tree"] {
            std::fs::create_dir(home.path(name)).unwrap();
        }
        files.iter().for_each(|(path, text)| home.write(path, text));
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        // Canonical, as an engine sees it.
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.tree().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// `syncline` with these arguments, in the tree.
    pub fn syncline(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(arguments).env_clear().env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.current_dir(self.tree()).stdin(Stdio::null());
        command
    }

    /// Runs it, and gives what it printed. It must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.syncline(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it printed as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments)).unwrap()
    }

    /// An editor's language server.
    pub fn editor(&self) -> (Child, Client) {
        self.editor_with(&[])
    }

    /// An editor's language server, with these variables.
    pub fn editor_with(&self, variables: &[(&str, &str)]) -> (Child, Client) {
        let mut command = self.syncline(&["lsp", "--stdio"]);
        let log = std::fs::File::options().append(true).create(true).open(self.path("editors.log")).unwrap();
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        let client = Client::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
        (child, client)
    }

    /// An editor that has the tree open and fresh.
    pub async fn fresh_editor(&self) -> (Child, Client) {
        let (child, mut client) = self.editor();
        client.initialize(&[&self.tree()], json!({}), Value::Null).await;
        client.until_fresh().await;
        (child, client)
    }

    /// Processes that are, or want to be, the daemon of this home.
    pub fn daemons(&self) -> Vec<u32> {
        let own = [b"XDG_RUNTIME_DIR=", self.path("run").as_os_str().as_encoded_bytes()].concat();
        let mut daemons = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // It may have ended since.
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let is_daemon = line.split(|&b| b == 0).any(|word| word == b"daemon")
                && line.split(|&b| b == 0).any(|word| word == b"run");
            if is_daemon && environment.split(|&b| b == 0).any(|variable| variable == own) {
                daemons.push(pid);
            }
        }
        daemons
    }

    /// The daemon. Others that start find that they aren't needed, and go.
    pub fn daemon(&self) -> u32 {
        wait_for("one daemon", || self.daemons().len() == 1);
        self.daemons()[0]
    }

    /// The newest socket.
    pub fn socket(&self) -> PathBuf {
        let folder = self.path("run").join("syncline");
        let sockets = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let number = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix(&format!("v{PROTOCOL}-"))?.strip_suffix(".sock")?;
            name.parse::<u64>().ok()
        };
        sockets.filter(|path| number(path).is_some()).max_by_key(number).expect("there is a socket")
    }

    /// A connection to the daemon, without a client's manners.
    pub fn raw(&self, purpose: Purpose) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
        let hello = Hello {
            protocol: PROTOCOL,
            version: syncline::daemon::wire::VERSION.to_owned(),
            client: "raw".to_owned(),
            pid: std::process::id(),
            purpose,
            settings: Default::default(),
        };
        stream.write_all((serde_json::to_string(&hello).unwrap() + "\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str::<Welcome>(&line).unwrap();
        stream
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["editors.log", "home/.local/state/syncline/daemon.log"] {
                eprintln!("--- {log}\n{}", std::fs::read_to_string(self.path(log)).unwrap_or_default());
            }
        }
        let stopped = self.syncline(&["daemon", "stop"]).output();
        for pid in self.daemons() {
            kill(pid);
        }
        if !std::thread::panicking() {
            assert!(stopped.is_ok_and(|output| output.status.success()), "the daemon is stopped");
            wait_for("nothing is left running", || self.daemons().is_empty());
        }
    }
}

/// What the socket of a generation is called.
pub fn socket_name(generation: u64) -> String {
    format!("v{PROTOCOL}-{generation}.sock")
}

/// Ends a process as nothing can be prepared for.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// What a program said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A message as it goes over the wire.
pub fn framed(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// `initialize` and `initialized` for the codebase at `root`.
pub fn introduction(root: &Path) -> Vec<u8> {
    let folder = json!({"uri": crate::lsp_client::uri(root), "name": "x"});
    let params = json!({"processId": null, "rootUri": null, "capabilities": {}, "workspaceFolders": [folder]});
    let mut bytes = framed(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
    bytes.extend(framed(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}})));
    bytes
}

/// Params of a search for plain text.
pub fn plain(query: &str) -> Value {
    json!({"query": query, "isRegex": false, "isCaseSensitive": true, "wholeWord": false, "maxResults": 1000})
}
