//! The language server as a process, as an editor starts and ends it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lsp_client;
mod support;

use std::process::{ExitStatus, Stdio};

use lsp_client::{Client, DEADLINE};
use serde_json::{Value, json};
use support::Fixture;
use tokio::process::{Child, Command};

fn command(fixture: &Fixture) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    // Nothing of the machine's settings is seen.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SYNCLINE_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", &fixture.index_dir).env("SYNCLINE_INDEX_DIR", &fixture.index_dir);
    command.args(["lsp", "--stdio", "--standalone"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

fn start(fixture: &Fixture) -> (Child, Client) {
    let mut child = command(fixture).spawn().unwrap();
    let client = Client::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    (child, client)
}

async fn exit_of(child: &mut Child) -> ExitStatus {
    tokio::time::timeout(DEADLINE, child.wait()).await.expect("the process ends").unwrap()
}

#[tokio::test]
async fn exits_with_0_after_shutdown_though_its_input_stays_open() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let (mut child, mut client) = start(&fixture);
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    let found = client.search(json!({"query": "needle", "maxResults": 9})).await;
    assert_eq!(found, ["a.txt:0:0-6:needle"]);
    client.shut_down().await;
    // The client still holds both streams here.
    assert_eq!(exit_of(&mut child).await.code(), Some(0));
}

#[tokio::test]
async fn exits_with_1_without_shutdown() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let (mut child, mut client) = start(&fixture);
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    client.notify("exit", Value::Null).await;
    assert_eq!(exit_of(&mut child).await.code(), Some(1));
    client.leave();

    let (mut child, mut client) = start(&fixture);
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    client.leave();
    assert_eq!(exit_of(&mut child).await.code(), Some(1), "its input ended");

    let (mut child, mut client) = start(&fixture);
    client.leave();
    assert_eq!(exit_of(&mut child).await.code(), Some(1), "nobody said a word");
}

#[tokio::test]
async fn garbage_neither_hangs_nor_kills_it() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let (mut child, mut client) = start(&fixture);
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    client.send_bytes(&garbage).await;
    client.send_bytes(b"\r\n\r\nContent-Length: -3\r\n\r\n").await;
    client.send_bytes(b"Content-Length: 7\r\n\r\n\xff\xfe{\"a\":1").await;
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    let errors = client.take_kept(|message| message.get("error").is_some());
    assert!(!errors.is_empty());
    assert!(errors.iter().all(|error| error["id"].is_null()), "{errors:?}");
    client.until_fresh().await;
    client.shut_down().await;
    assert_eq!(exit_of(&mut child).await.code(), Some(0));
}

#[tokio::test]
async fn shutdown_is_answered_while_a_large_tree_is_indexed() {
    let fixture = Fixture::new(&[]);
    for number in 0..5000 {
        fixture.write(&format!("{}/{}/{number}.txt", number % 7, number % 60), format!("line {number}\n").repeat(400));
    }
    let (mut child, mut client) = start(&fixture);
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    client.state_until("indexing", |_| {}, |state| state["phase"] == "syncing").await;
    client.shut_down().await;
    assert_eq!(exit_of(&mut child).await.code(), Some(0));
}

#[cfg(unix)]
#[tokio::test]
async fn ends_when_the_process_that_started_it_is_gone() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    // Its streams outlive that process, as they do when another one holds them too.
    let mut parent = Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
    let pid = parent.id().unwrap();
    let mut child = command(&fixture).args(["--clientProcessId", &pid.to_string()]).spawn().unwrap();
    let mut client = Client::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    client.until_fresh().await;
    parent.kill().await.unwrap();
    assert_eq!(exit_of(&mut child).await.code(), Some(1));
    client.leave();
}
