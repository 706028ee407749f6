//! The daemon dies; editors go on.

use serde_json::{Value, json};
use syncline::core::cache::Namespace;
use syncline::core::{Owner, SyncBatch};
use tokio::process::Child;

use crate::home::{Home, kill, plain, said, socket_name};
use crate::lsp_client::{Client, DEADLINE, uri};
use crate::redis_server::RedisServer;
use crate::support::{ripgrep, wait_for};

async fn end(mut child: Child, mut client: Client) {
    client.shut_down().await;
    let status = tokio::time::timeout(DEADLINE, child.wait()).await.expect("the process ends").unwrap();
    assert_eq!(status.code(), Some(0));
}

fn edit(path: &std::path::Path, text: &str) -> Value {
    let start = json!({"line": 0, "character": 0});
    let change = json!({"range": {"start": start, "end": start}, "text": text});
    json!({"textDocument": {"uri": uri(path), "version": 2}, "contentChanges": [change]})
}

#[tokio::test(flavor = "multi_thread")]
async fn two_editors_go_on_when_the_daemon_is_killed_while_it_syncs() {
    let home = Home::new(&[("open.txt", "on disk\n"), ("other.txt", "on disk\n")]);
    let (first_child, mut first) = home.fresh_editor().await;
    let (second_child, mut second) = home.fresh_editor().await;
    let open = home.tree().join("open.txt");
    first.open(&open, "on paper\n").await;
    first.notify("textDocument/didChange", edit(&open, "still 𝒳 ")).await;
    assert_eq!(first.search(plain("paper")).await, ["open.txt:0:12-17:still 𝒳 on paper"]);
    for round in 0..2 {
        let before = home.daemon();
        for number in 0..300 {
            home.write(&format!("{round}/{}/{number}.txt", number % 9), format!("round {round} file {number}\n"));
        }
        // Syncing, or about to: whatever is cut off here must be found again.
        kill(before);
        first.notify("textDocument/didChange", edit(&open, &format!("round {round} "))).await;
        let found = first.search(plain("still")).await;
        assert_eq!(found.len(), 1, "unsaved text is still searched: {found:?}");
        assert!(found[0].contains(&format!("round {round} ")), "edits after the death count: {found:?}");
        assert_eq!(second.search(plain("still")).await, Vec::<String>::new());
        assert_eq!(second.search(plain(&format!("round {round} file 299"))).await.len(), 1);
        wait_for("another daemon", || home.daemons().len() == 1 && home.daemons() != [before]);
    }
    // In the end, the index is the tree.
    home.run(&["sync"]);
    let status = home.json(&["status", "--json"]);
    assert_eq!(status["codebases"][0]["index"]["differing"], 0);
    assert_eq!(status["codebases"][0]["index"]["files"], 602);
    let lines = |text: String| text.lines().count();
    let theirs: usize = ripgrep(&home.tree(), "file \\d*7").values().map(Vec::len).sum();
    assert_eq!(lines(home.run(&["search", "file \\d*7"])), theirs);
    end(first_child, first).await;
    end(second_child, second).await;
}

// Which text is which file's, and which isn't known, must be the same for the next engine.
#[tokio::test(flavor = "multi_thread")]
async fn documents_are_the_same_after_a_death() {
    let home = Home::new(&[("+a.txt", "needle on disk\n"), ("b.txt", "needle on disk\n")]);
    let link = home.path("link");
    std::os::unix::fs::symlink(home.tree(), &link).unwrap();
    let (child, mut client) = home.fresh_editor().await;
    let (target, through) = (home.tree().join("+a.txt"), link.join("+a.txt"));
    client.open(&through, "needle through\n").await;
    client.open(&target, "needle target\n").await;
    client.notify("textDocument/didChange", edit(&through, "edited ")).await;
    let b = home.tree().join("b.txt");
    client.open(&b, "needle on paper\n").await;
    let wrong = json!({"textDocument": {"uri": uri(&b), "version": 2}, "contentChanges": [{"text": null}]});
    client.notify("textDocument/didChange", wrong).await;
    let found = ["+a.txt:0:7-13:edited needle through", "b.txt:0:0-6:needle on disk"];
    assert_eq!(client.search(plain("needle")).await, found);
    kill(home.daemon());
    assert_eq!(client.search(plain("needle")).await, found);
    // By another spelling of its URI.
    let mut again = edit(&through, "again ");
    let other = uri(&through).replace("/+a", "/%2Ba");
    again["textDocument"]["uri"] = json!(other);
    client.notify("textDocument/didChange", again).await;
    let whole =
        json!({"textDocument": {"uri": uri(&b), "version": 3}, "contentChanges": [{"text": "needle, whole\n"}]});
    client.notify("textDocument/didChange", whole).await;
    let found = ["+a.txt:0:13-19:again edited needle through", "b.txt:0:0-6:needle, whole"];
    assert_eq!(client.search(plain("needle")).await, found);
    kill(home.daemon());
    assert_eq!(client.search(plain("needle")).await, found);
    end(child, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_answered_over_a_death() {
    let home = Home::new(&[]);
    for number in 0..3000 {
        home.write(&format!("{}/{number}.txt", number % 50), format!("line {number}\n").repeat(200));
    }
    let (child, mut client) = home.editor();
    client.initialize(&[&home.tree()], json!({}), Value::Null).await;
    let sync = client.ask("syncline/sync", json!({})).await;
    let mut streamed = plain("line 29");
    streamed["partialResultToken"] = json!("stream");
    streamed["maxResults"] = json!(1_000_000);
    client.state_until("syncing", |_| {}, |state| state["phase"] == "syncing").await;
    let stream = client.ask("syncline/search", streamed).await;
    kill(home.daemon());
    assert_eq!(client.reply(sync).await.unwrap()["outcome"], "synced", "asked again");
    // Parts of this one may have come: the editor decides.
    match client.reply(stream).await {
        Ok(result) => assert_eq!(result["matches"], json!([])),
        Err(error) => assert_eq!(error["code"], -32801),
    }
    assert_eq!(client.search(plain("line 2999")).await.len(), 200);
    end(child, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_deaths_an_editor_has_an_engine_of_its_own() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let (child, mut client) = home.fresh_editor().await;
    client.open(&home.tree().join("a.txt"), "unsaved\n").await;
    for _ in 0..3 {
        let before = home.daemon();
        kill(before);
        assert_eq!(client.search(plain("unsaved")).await, ["a.txt:0:0-7:unsaved"]);
        wait_for("it is gone", || !home.daemons().contains(&before));
    }
    let told = client.notification("window/showMessage").await;
    assert!(told["message"].as_str().unwrap().contains("3 times"), "{told}");
    assert!(home.daemons().is_empty(), "nobody starts another");
    home.write("b.txt", "unsaved no more\n");
    assert_eq!(client.search(plain("unsaved")).await.len(), 2);
    end(child, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_an_editor_starts_it_when_it_needs_it() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let (child, mut client) = home.fresh_editor().await;
    for _ in 0..4 {
        home.run(&["daemon", "stop"]);
        assert!(home.daemons().is_empty(), "nobody needs it now");
        assert_eq!(client.search(plain("needle")).await, ["a.txt:0:0-6:needle"]);
    }
    // That wasn't a death; and the end of the session needs no daemon.
    home.run(&["daemon", "stop"]);
    end(child, client).await;
    assert!(home.daemons().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_gives_up_as_it_leaves_is_asked_of_the_next() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let server = RedisServer::start();
    // Somebody else syncs, so that the editor's batch waits for as long as this wants.
    let cache = server.cache(DEADLINE);
    let batch = SyncBatch::new("/elsewhere".into(), Owner::new());
    let head = batch.id;
    cache.enqueue_item(Namespace::SyncBatches, "shared", batch, None).await.unwrap();
    let url = server.url();
    let variables = [("SYNCLINE_QUEUE_REDIS_URL", url.as_str()), ("SYNCLINE_QUEUE_CODEBASE", "shared")];
    let (child, mut client) = home.editor_with(&variables);
    client.initialize(&[&home.tree()], json!({}), Value::Null).await;
    let sync = client.ask("syncline/sync", json!({})).await;
    client.state_until("in line", |_| {}, |state| state["phase"] == "waiting").await;
    let before = home.daemon();
    home.run(&["daemon", "stop"]);
    wait_for("another daemon", || home.daemons().len() == 1 && home.daemons() != [before]);
    cache.remove_item(Namespace::SyncBatches, "shared", head).await;
    assert_eq!(client.reply(sync).await.unwrap()["outcome"], "synced");
    end(child, client).await;
}

#[test]
fn of_an_engine_that_hangs_people_are_told_what_to_do() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["sync"]);
    let daemon = home.daemon();
    hang(daemon, true);
    for command in ["status", "queue", "doctor", "sync"] {
        let output = home.syncline(&[command]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output);
        assert!(told.contains("didn't answer within 5 s"), "{command}: {told}");
        assert!(told.contains(&format!("kill -9 {daemon}")), "{command}: {told}");
        assert!(!told.contains("no engine runs") && !told.contains("unavailable"), "{command}: {told}");
    }
    hang(daemon, false);
}

fn hang(pid: u32, hangs: bool) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let signal = if hangs { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_bars_survive_as_the_editor_knows_them() {
    let home = Home::new(&[("a/a.txt", "needle\n"), ("b/b.txt", "needle\n")]);
    let (child, mut client) = home.editor();
    client.initialize(&[&home.tree().join("a")], json!({"window": {"workDoneProgress": true}}), Value::Null).await;
    let folder = |name: &str| json!({"uri": uri(&home.tree().join(name)), "name": name});
    let change = json!({"event": {"added": [folder("b")], "removed": [folder("a")]}});
    client.notify("workspace/didChangeWorkspaceFolders", change).await;
    assert_eq!(client.search(plain("needle")).await, ["b.txt:0:0-6:needle"]);
    kill(home.daemon());
    assert_eq!(client.search(plain("needle")).await, ["b.txt:0:0-6:needle"]);
    let is_bar =
        |message: &Value, kind: &str| message["method"] == "$/progress" && message["params"]["value"]["kind"] == kind;
    for begun in client.take_kept(|message| is_bar(message, "begin")) {
        let token = &begun["params"]["token"];
        client.until("the end of a bar", |m| is_bar(m, "end") && m["params"]["token"] == *token).await;
    }
    assert_eq!(client.take_kept(|message| is_bar(message, "end")), [Value::Null; 0], "each end has a beginning");
    end(child, client).await;
}

/// It never looked again: the window was without the shared engine until it was closed.
#[tokio::test(flavor = "multi_thread")]
async fn who_found_no_engine_goes_over_to_one_that_is_there_later() {
    let home = Home::new(&[("a.txt", "on disk\n")]);
    std::fs::create_dir(home.path("run/syncline")).unwrap();
    let mute = std::os::unix::net::UnixListener::bind(home.path("run/syncline").join(socket_name(1))).unwrap();
    let (child, mut client) = home.fresh_editor().await;
    client.open(&home.tree().join("a.txt"), "on paper\n").await;
    assert_eq!(client.search(plain("on")).await, ["a.txt:0:0-2:on paper"]);
    assert!(home.daemons().is_empty(), "it has an engine of its own");
    drop(mute);
    client
        .until("word of the shared engine", |message| {
            message["method"] == "window/logMessage"
                && message["params"]["message"].as_str().unwrap().contains("goes on with the shared engine")
        })
        .await;
    assert_eq!(client.search(plain("on")).await, ["a.txt:0:0-2:on paper"], "nothing was lost");
    let status = home.json(&["daemon", "status", "--json"]);
    assert_eq!((&status["pid"], &status["clients"][0]["client"]), (&json!(home.daemon()), &json!("lsp")));
    // From now on, it is as if it had been there from the beginning.
    kill(home.daemon());
    assert_eq!(client.search(plain("on")).await, ["a.txt:0:0-2:on paper"]);
    end(child, client).await;
}
