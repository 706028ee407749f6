//! What a coding assistant sees of `syncline mcp`, over pipes, by messages as the protocol writes them.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use support::Fixture;

/// A session with a server.
struct Assistant {
    server: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    next: u64,
}

/// `syncline` in a fixture's tree, with its index folder for a home.
fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    std::fs::create_dir_all(&fixture.index_dir).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.env_clear().env("HOME", &fixture.index_dir).env("XDG_RUNTIME_DIR", &fixture.index_dir);
    command.current_dir(&fixture.root).args(arguments);
    command
}

impl Assistant {
    /// With a server that has an engine of its own.
    fn start(fixture: &Fixture, version: &str) -> Assistant {
        Assistant::of(command(fixture, &["mcp", "--standalone"]), version)
    }

    fn of(mut command: Command, version: &str) -> Assistant {
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (server.stdin.take(), BufReader::new(server.stdout.take().unwrap()));
        let mut assistant = Assistant { server, to, from, next: 1 };
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        let answer = assistant.ask("initialize", params);
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        assistant.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assistant
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.to.as_mut().unwrap(), "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the server has left");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// The texts of as many answers as there are calls, which are made all at once.
    fn found_at_once(&mut self, tool: &str, calls: &[Value]) -> Vec<String> {
        for arguments in calls {
            let (id, params) = (self.next, json!({ "name": tool, "arguments": arguments }));
            self.next += 1;
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }));
        }
        let answer = |_: &Value| {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the server has left");
            let message: Value = serde_json::from_str(&line).unwrap();
            assert!(message["result"]["isError"] == false, "{message}");
            message["result"]["content"][0]["text"].as_str().unwrap().to_owned()
        };
        calls.iter().map(answer).collect()
    }

    /// A tool's answer, and whether it is an error.
    fn call(&mut self, tool: &str, arguments: Value) -> (String, bool) {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let result = &answer["result"];
        assert!(result["structuredContent"].is_null(), "{answer}");
        (result["content"][0]["text"].as_str().unwrap().to_owned(), result["isError"] == true)
    }

    fn found(&mut self, tool: &str, arguments: Value) -> String {
        let (text, is_error) = self.call(tool, arguments);
        assert!(!is_error, "{text}");
        text
    }

    fn leave(mut self) {
        drop(self.to.take());
        assert!(self.server.wait().unwrap().success());
    }
}

fn fixture() -> Fixture {
    Fixture::new(&[
        (".ignore", "*.log\n"),
        ("src/one.rs", "/// Holds a needle.\npub fn first_thing() {\n    let needle = 1;\n}\n"),
        ("src/two.py", "def second_thing():\n    return \"needle [x]\"\n"),
        ("out.log", "needle\n"),
    ])
}

#[test]
fn tools_answer_as_they_say_in_each_revision_that_clients_have() {
    for version in ["2025-06-18", "2025-11-25"] {
        let fixture = fixture();
        let mut assistant = Assistant::start(&fixture, version);
        let listed = assistant.ask("tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["search_code", "symbol", "find_files", "code_status"]);
        assert!(tools.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true), "{listed}");

        let text = assistant.found("search_code", json!({ "patterns": ["needle"] }));
        assert!(text.contains("src/one.rs\n  1: /// Holds a needle.\n  3:     let needle = 1;\n"), "{text}");
        assert!(text.contains("\n3 lines in 2 files.\nfresh: yes"), "{text}");
        let text = assistant.found("search_code", json!({ "patterns": ["[x]", "first_thing"], "mode": "places" }));
        assert!(text.starts_with("src/one.rs: 2\nsrc/two.py: 2\n"), "{text}");
        let text =
            assistant.found("search_code", json!({ "patterns": "n.edle", "regex": "true", "include": ["*.py"] }));
        assert!(text.contains("\n1 line in 1 file.\n"), "{text}");
        let text = assistant.found("search_code", json!({ "patterns": ["let needle"], "mode": "blocks" }));
        assert!(text.contains("  2- pub fn first_thing() {\n  3:     let needle = 1;\n  4- }\n"), "{text}");
        let text = assistant.found("search_code", json!({ "patterns": ["needle"], "include": ["nowhere"] }));
        assert!(text.contains("no file matches `include`"), "{text}");

        let text = assistant.found("symbol", json!({ "name": "second_thing" }));
        assert!(text.starts_with("src/two.py:1: function second_thing\n    def second_thing():\n"), "{text}");
        assert_eq!(assistant.found("find_files", json!({ "query": "srctwo" })), "src/two.py\n\n1 of 2 files.\n");
        assert_eq!(assistant.found("find_files", json!({ "query": "**/*.rs" })), "src/one.rs\n\n1 of 2 files.\n");
        assert!(assistant.found("code_status", json!({})).contains("health: ok"));
        assistant.leave();
    }
}

#[test]
fn a_write_is_in_the_next_answer() {
    let fixture = fixture();
    let mut assistant = Assistant::start(&fixture, "2025-11-25");
    for round in 0..100 {
        fixture.write("src/new.txt", format!("written_{round}_\n"));
        let text = assistant.found("search_code", json!({ "patterns": [format!("written_{round}_")] }));
        assert!(text.contains("1 line in 1 file"), "round {round}: {text}");
    }
    assistant.leave();
}

#[test]
fn an_answer_fits_its_budget_and_pages_hold_the_rest() {
    let fixture = Fixture::new(&[]);
    (0..40).for_each(|n| fixture.write(&format!("f{n:02}.txt"), "needle and some more words\n".repeat(20)));
    let mut assistant = Assistant::start(&fixture, "2025-11-25");
    let (mut arguments, mut lines, mut pages) = (json!({ "patterns": ["needle"], "max_tokens": 1000 }), 0, 0);
    loop {
        let text = assistant.found("search_code", arguments);
        assert!(text.len() <= 3500, "{}", text.len());
        assert!(text.contains("of 800 lines in 40 files"), "{text}");
        lines += text.lines().filter(|line| line.ends_with("some more words")).count();
        pages += 1;
        // An edit in between doesn't move what was found.
        fixture.write("f00.txt", "gone\n");
        let Some(page) = text.split("page \"").nth(1) else { break };
        arguments = json!({ "page": page.split('"').next().unwrap(), "max_tokens": 1000 });
    }
    assert_eq!(lines, 800);
    assert!(pages > 5, "{pages}");
    assistant.leave();
}

#[test]
fn what_is_wrong_is_told_to_the_model() {
    let fixture = fixture();
    let mut assistant = Assistant::start(&fixture, "2025-11-25");
    for (tool, arguments, says) in [
        ("nothing", json!({}), "there are search_code"),
        ("search_code", json!({}), "at least one text"),
        ("search_code", json!({ "patterns": [""] }), "none that is empty"),
        ("search_code", json!({ "patterns": ["("], "regex": true }), "leave `regex` out"),
        ("search_code", json!({ "patterns": ["a"], "mode": "all" }), "there are lines, places, blocks"),
        ("search_code", json!({ "pattern": "a" }), "has no argument `pattern`"),
        ("search_code", json!({ "page": "x.1" }), "ask again from the beginning"),
        ("symbol", json!({ "name": "a", "kind": "thing" }), "there is no kind `thing`"),
        ("find_files", json!({ "query": 7 }), "must be a text"),
    ] {
        let (text, is_error) = assistant.call(tool, arguments.clone());
        assert!(is_error && text.contains(says), "{tool} {arguments}: {text}");
    }
    assistant.leave();
}

/// Sessions with the shared engine are kept for the next calls. When it ends, all of them are over, not only the one that
/// notices.
#[test]
fn an_engine_that_ends_is_replaced_for_every_session() {
    let fixture = fixture();
    let mut assistant = Assistant::of(command(&fixture, &["mcp"]), "2025-11-25");
    let calls = vec![json!({ "patterns": ["needle"] }); 6];
    for _ in 0..3 {
        for text in assistant.found_at_once("search_code", &calls) {
            assert!(text.contains("3 lines in 2 files"), "{text}");
        }
        assert!(command(&fixture, &["daemon", "stop"]).output().unwrap().status.success());
        let text = assistant.found("search_code", json!({ "patterns": ["needle"] }));
        assert!(text.contains("3 lines in 2 files"), "{text}");
    }
    assistant.leave();
    assert!(command(&fixture, &["daemon", "stop"]).output().unwrap().status.success());
}
