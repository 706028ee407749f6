//! The language server, through its streams, as an editor sees it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lsp_client;
mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lsp_client::server::Server;
use lsp_client::{Client, shown, uri};
use serde_json::{Value, json};
use support::{DEADLINE, Fixture};
use syncline::core::cache::{CacheManager, LeaseConfig, Namespace, Placement};
use syncline::core::{Owner, SyncBatch};
use syncline::lsp::Ended;
use syncline::workspace::Engine;

fn search(query: &str) -> Value {
    json!({"query": query, "isRegex": false, "isCaseSensitive": true, "wholeWord": false, "maxResults": 1000})
}

/// `search`, with more params.
fn search_with(query: &str, more: Value) -> Value {
    let mut params = search(query);
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn edit(path: &Path, from: (u32, u32), to: (u32, u32), text: &str) -> Value {
    let position = |(line, character)| json!({"line": line, "character": character});
    let change = json!({"range": {"start": position(from), "end": position(to)}, "text": text});
    json!({"textDocument": {"uri": uri(path), "version": 2}, "contentChanges": [change]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_what_the_server_can_and_how_its_codebase_is() {
    let fixture = Fixture::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    let capabilities = client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    assert_eq!(capabilities["experimental"], json!({"syncline": {"protocol": 1}}));
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    assert_eq!(capabilities["textDocumentSync"]["change"], 2);
    assert_eq!(capabilities["workspace"]["workspaceFolders"]["changeNotifications"], true);

    let state = client.until_fresh().await;
    assert_eq!(state["codebase"]["root"], uri(&fixture.root));
    assert_eq!(state["codebase"]["name"], "tree");
    assert_eq!(state["index"]["files"], 2);
    assert_eq!(state["position"], Value::Null);

    let states = client.request("syncline/queue", json!({})).await.unwrap();
    assert_eq!(states.as_array().unwrap().len(), 1);
    assert_eq!(states[0]["codebase"], state["codebase"]);
    let by_id = json!({"codebase": state["codebase"]["id"]});
    assert_eq!(client.request("syncline/queue", by_id).await.unwrap()[0]["codebase"], state["codebase"]);
    let outcome = client.request("syncline/sync", json!({"codebase": uri(&fixture.root)})).await.unwrap();
    assert_eq!(outcome["outcome"], "synced");
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_shows_in_the_state_and_ends_in_a_new_generation() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let before = client.request("syncline/queue", json!({})).await.unwrap()[0]["index"]["generation"].clone();
    let file = fixture.root.join("a.txt");
    client.open(&file, "one\n").await;
    fixture.write("a.txt", "one, saved\n");
    client.save(&file).await;
    let mut phases = Vec::new();
    let is_done = |state: &Value| {
        state["phase"] == "idle"
            && state["index"]["fresh"] == true
            && state["index"]["generation"].as_u64() > before.as_u64()
    };
    let note = |state: &Value| phases.push(state["phase"].as_str().unwrap().to_owned());
    let state = client.state_until("a new generation", note, is_done).await;
    assert!(phases.iter().any(|phase| phase == "waiting" || phase == "syncing"), "{phases:?}");
    assert_eq!(state["lastSync"]["outcome"], "synced");
    client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri(&file)}})).await;
    assert_eq!(client.search(search("saved")).await, ["a.txt:0:5-10:one, saved"]);
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_in_the_negotiated_encoding() {
    let fixture = Fixture::new(&[("a.txt", "x\r\né𝒳 needle needle\r\n")]);
    for (offered, expected) in
        [(json!([]), [4, 11]), (json!(["utf-8", "utf-16"]), [7, 14]), (json!(["utf-32"]), [3, 10])]
    {
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        let capabilities = json!({"general": {"positionEncodings": offered}});
        server.client.initialize(&[&fixture.root], capabilities, Value::Null).await;
        let found = server.client.search(search("needle")).await;
        let line = |start| format!("a.txt:1:{start}-{}:é𝒳 needle needle", start + 6);
        assert_eq!(found, expected.map(line), "{offered}");
        server.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsaved_text_is_found_by_the_client_that_holds_it_and_by_nobody_else() {
    let fixture = Fixture::new(&[("a.txt", "on disk\n"), (".ignore", "ignored.txt\n")]);
    let engine = Engine::new(&fixture.settings());
    let mut server = Server::start(&fixture, &engine);
    let mut other = Server::start(&fixture, &engine);
    server.client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    other.client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    let file = fixture.root.join("a.txt");
    let client = &mut server.client;
    client.open(&file, "on disk\n").await;
    client.notify("textDocument/didChange", edit(&file, (0, 3), (0, 7), "paper, ünsaved")).await;
    client.open(&fixture.root.join("ignored.txt"), "ignored ünsaved\n").await;
    client.open(Path::new("/elsewhere/x.txt"), "elsewhere ünsaved\n").await;
    let found = client.search(search("ünsaved")).await;
    assert_eq!(found, ["a.txt:0:10-17:on paper, ünsaved"]);
    assert_eq!(client.search(search("disk")).await, Vec::<String>::new());
    assert_eq!(other.client.search(search("ünsaved")).await, Vec::<String>::new());
    assert_eq!(other.client.search(search("disk")).await, ["a.txt:0:3-7:on disk"]);
    client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri(&file)}})).await;
    assert_eq!(client.search(search("disk")).await, ["a.txt:0:3-7:on disk"]);
    server.shut_down().await;
    other.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_are_found_on_disk_and_in_unsaved_text() {
    let fixture = Fixture::new(&[("a.c", "/* \u{e9}\u{1d4b3} */ int first(void) { return 0; }\n")]);
    let mut server = Server::fresh(&fixture).await;
    let found = server.client.request("workspace/symbol", json!({"query": "frst"})).await.unwrap();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    let path = fixture.root.join("a.c");
    assert_eq!(found[0]["name"], "first");
    assert_eq!(found[0]["kind"], 12, "a function");
    assert_eq!(found[0]["location"]["uri"], uri(&path));
    let range = json!({"start": {"line": 0, "character": 14}, "end": {"line": 0, "character": 19}});
    assert_eq!(found[0]["location"]["range"], range, "in UTF-16 code units");
    let document = json!({"uri": uri(&path), "languageId": "c", "version": 1, "text": "int second;\n"});
    server.client.notify("textDocument/didOpen", json!({"textDocument": document})).await;
    let found = server.client.request("workspace/symbol", json!({"query": "second"})).await.unwrap();
    assert_eq!(found[0]["name"], "second");
    let found = server.client.request("workspace/symbol", json!({"query": "first"})).await.unwrap();
    assert_eq!(found, json!([]));
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_file_that_was_never_saved_is_found() {
    let fixture = Fixture::new(&[("dir/a.txt", "on disk\n"), (".ignore", "*.log\n")]);
    let mut server = Server::fresh(&fixture).await;
    server.client.open(&fixture.root.join("new.txt"), "unborn\n").await;
    server.client.open(&fixture.root.join("dir/new.txt"), "unborn too\n").await;
    server.client.open(&fixture.root.join("new.log"), "unborn and ignored\n").await;
    let found = server.client.search(search("unborn")).await;
    assert_eq!(found, ["new.txt:0:0-6:unborn too", "new.txt:0:0-6:unborn"]);
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_edits_at_once_stay_in_order() {
    let fixture = Fixture::new(&[("a.txt", "")]);
    let mut server = Server::fresh(&fixture).await;
    let file = fixture.root.join("a.txt");
    server.client.open(&file, "").await;
    let mut expected = String::new();
    for number in 0..1000 {
        let end = (0, u32::try_from(expected.len()).unwrap());
        let text = format!("{number},");
        server.client.notify("textDocument/didChange", edit(&file, end, end, &text)).await;
        expected.push_str(&text);
    }
    assert_eq!(server.client.search(search("0,1,")).await, [format!("a.txt:0:0-4:{expected}")]);
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streamed_matches_come_in_order_and_before_the_reply() {
    let names: Vec<_> = (0..300).map(|number| format!("{number:03}.txt")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "needle needle\n")).collect();
    let fixture = Fixture::new(&files);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let whole = client.search(search("needle")).await;
    assert_eq!(whole.len(), 600);
    for token in [json!("t"), json!(7)] {
        let params = search_with("needle", json!({"partialResultToken": token}));
        let result = client.request("syncline/search", params).await.unwrap();
        assert_eq!((&result["matches"], &result["limitHit"]), (&json!([]), &json!(false)));
        let chunks = client.take_kept(|message| message["method"] == "$/progress");
        assert!(chunks.iter().all(|chunk| chunk["params"]["token"] == token));
        let streamed: Vec<_> = chunks.iter().flat_map(|chunk| shown(&chunk["params"]["value"]["matches"])).collect();
        assert_eq!(streamed, whole);
    }
    let late = client.take_kept(|message| message["method"] == "$/progress");
    assert!(late.is_empty(), "{late:?}");
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_can_be_narrowed_and_limited() {
    let fixture = Fixture::new(&[
        ("a.rs", "Needle needles\n"),
        ("src/b.rs", "a needle\n"),
        ("src/gen/c.rs", "a needle\n"),
        ("x/ignored.rs", "a needle\n"),
        (".ignore", "ignored.rs\n"),
        ("z.md", "a needle\n"),
    ]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let files = async |client: &mut Client, more: Value| {
        let found = client.search(search_with("needle", more)).await;
        found.iter().map(|found| found.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(files(client, json!({})).await, ["a.rs", "b.rs", "c.rs", "z.md"]);
    assert_eq!(files(client, json!({"include": ["*.rs"], "exclude": ["src/gen"]})).await, ["a.rs", "b.rs"]);
    assert_eq!(files(client, json!({"include": ["x", "ignored.rs"]})).await, Vec::<String>::new());
    assert_eq!(files(client, json!({"isCaseSensitive": false})).await, ["a.rs", "a.rs", "b.rs", "c.rs", "z.md"]);
    assert_eq!(files(client, json!({"wholeWord": true})).await, ["b.rs", "c.rs", "z.md"]);
    assert_eq!(files(client, json!({"isRegex": true, "query": "^a needle$", "include": ["z*"]})).await, ["z.md"]);

    let limited = async |client: &mut Client, most: usize| {
        let params = search_with("needle", json!({"maxResults": most}));
        let result = client.request("syncline/search", params).await.unwrap();
        (result["matches"].as_array().unwrap().len(), result["limitHit"].as_bool().unwrap())
    };
    assert_eq!(limited(client, 3).await, (3, true));
    assert_eq!(limited(client, 4).await, (4, false));
    assert_eq!(limited(client, 0).await, (0, true));
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_searched_is_refused_with_a_sentence() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::fresh(&fixture).await;
    let refused = [
        search("a\nb"),
        search_with("(", json!({"isRegex": true})),
        search_with("one", json!({"include": ["{a"]})),
        search_with("one", json!({"codebase": "no such"})),
        json!({"isRegex": true}),
    ];
    for params in refused {
        let error = server.client.request("syncline/search", params.clone()).await.unwrap_err();
        assert_eq!(error["code"], -32602, "{params}");
        assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
    }
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_search_is_answered_and_the_server_goes_on() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let file = fixture.root.join("large.txt");
    client.open(&file, &"needle ".repeat(2_000_000)).await;
    // More than run at a time, and more than tower-lsp would handle at a time by itself.
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(client.ask("syncline/search", search_with("needle", json!({"maxResults": 1_000_000}))).await);
    }
    for id in &ids {
        client.notify("$/cancelRequest", json!({"id": id})).await;
    }
    let mut cancelled = 0;
    for id in ids {
        if let Err(error) = client.reply(id).await {
            assert_eq!(error["code"], -32800);
            cancelled += 1;
        }
    }
    assert!(cancelled > 10, "{cancelled} of 20 were cancelled in time");
    client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri(&file)}})).await;
    assert_eq!(client.search(search("one")).await, ["a.txt:0:0-3:one"]);
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_can_not_be_opened_is_told_once_and_the_others_work() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let gone = fixture.root.join("gone");
    let again = fixture.root.join("../tree");
    server.client.initialize(&[&gone, &fixture.root, &again], json!({}), Value::Null).await;
    let shown = server.client.notification("window/showMessage").await;
    assert_eq!(shown["type"], 1);
    assert!(shown["message"].as_str().unwrap().contains("gone"), "{shown}");
    assert_eq!(server.client.search(search("needle")).await, ["a.txt:0:0-6:needle"], "each root once");
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_come_and_go() {
    let fixture = Fixture::new(&[("a.txt", "needle\n"), ("sub/b.txt", "needle\n")]);
    let other = Fixture::new(&[("c.txt", "needle\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let folders = |added: &[&Path], removed: &[&Path]| {
        let list = |roots: &[&Path]| roots.iter().map(|r| json!({"uri": uri(r), "name": "x"})).collect::<Vec<_>>();
        json!({"event": {"added": list(added), "removed": list(removed)}})
    };
    let sub = fixture.root.join("sub");
    client.notify("workspace/didChangeWorkspaceFolders", folders(&[&other.root, &sub], &[])).await;
    let found = client.search(search("needle")).await;
    assert_eq!(found, ["a.txt:0:0-6:needle", "c.txt:0:0-6:needle", "b.txt:0:0-6:needle"], "nested, but each once");
    client.notify("workspace/didChangeWorkspaceFolders", folders(&[], &[&fixture.root, &sub])).await;
    assert_eq!(client.search(search("needle")).await, ["c.txt:0:0-6:needle"]);
    client.notify("workspace/didChangeWorkspaceFolders", folders(&[], &[&other.root])).await;
    assert_eq!(client.search(search("needle")).await, Vec::<String>::new(), "no root is legal");
    assert_eq!(client.request("syncline/queue", json!({})).await, Ok(json!([])));
    let error = client.request("syncline/sync", json!({})).await.unwrap_err();
    assert_eq!(error["code"], -32803);
    server.shut_down().await;
}

/// Two work trees of a repository whose settings name it, which the user trusts: one codebase in the line, two places
/// here.
#[tokio::test(flavor = "multi_thread")]
async fn two_roots_may_share_their_codebase_s_name() {
    let named = (".syncline.toml", "[queue]\ncodebase = \"app\"\n");
    let (one, other) = (Fixture::new(&[("a.txt", "needle\n"), named]), Fixture::new(&[("b.txt", "needle\n"), named]));
    let mut server = Server::start(&one, &Engine::new(&one.settings()));
    let client = &mut server.client;
    client.initialize(&[&one.root, &other.root], json!({}), json!({"queue": {"trust": ["app"]}})).await;
    client.open(&other.root.join("b.txt"), "unsaved needle\n").await;
    assert_eq!(client.search(search("needle")).await, ["a.txt:0:0-6:needle", "b.txt:0:8-14:unsaved needle"]);
    let states = client.request("syncline/queue", json!({"codebase": "app"})).await.unwrap();
    let roots: Vec<_> = states.as_array().unwrap().iter().map(|state| &state["codebase"]["root"]).collect();
    assert_eq!(roots, [&uri(&one.root), &uri(&other.root)]);
    let states = client.request("syncline/queue", json!({"codebase": uri(&other.root)})).await.unwrap();
    assert_eq!(states.as_array().unwrap().len(), 1);
    assert_eq!(states[0]["codebase"]["root"], uri(&other.root));
    server.shut_down().await;
}

/// The batch of one root took in the changes of the other, and never synced them.
#[tokio::test(flavor = "multi_thread")]
async fn roots_that_share_their_codebase_s_name_are_each_synced() {
    const QUEUES: Namespace = Namespace::SyncBatches;
    async fn until_all_hold(client: &mut Client, files: usize) {
        let fresh = RefCell::new(BTreeMap::new());
        let all = |state: &Value| {
            let is_fresh = state["index"]["fresh"] == true && state["index"]["files"] == files;
            fresh.borrow_mut().insert(state["codebase"]["root"].to_string(), is_fresh);
            fresh.borrow().values().filter(|is_fresh| **is_fresh).count() == 2
        };
        client.state_until("both roots are fresh", |_| {}, all).await;
    }
    let named = (".syncline.toml", "[queue]\ncodebase = \"app\"\n");
    let (one, other) = (Fixture::new(&[("a.txt", "needle\n"), named]), Fixture::new(&[("b.txt", "needle\n"), named]));
    let leases = LeaseConfig { lease: Duration::from_secs(600), ..LeaseConfig::default() };
    let cache = CacheManager::local_with(leases);
    let mut server = Server::start(&one, &Engine::with_cache(cache.clone()));
    let client = &mut server.client;
    client.initialize(&[&one.root, &other.root], json!({}), json!({"queue": {"trust": ["app"]}})).await;
    until_all_hold(client, 1).await;
    // A third root's batch syncs while both change.
    let busy = SyncBatch::new("/third".into(), Owner::new());
    cache.enqueue_item(QUEUES, "app", busy.clone(), None).await.unwrap();
    let mut changes = cache.subscribe(QUEUES, "app");
    while !matches!(cache.claim_head(QUEUES, "app", busy.id, None).await, Placement::Head(_)) {
        changes.changed().await.unwrap();
    }
    one.write("new.txt", "needle\n");
    other.write("new.txt", "needle\n");
    while cache.get_queue(QUEUES, "app").await.len() < 3 {
        let queue = tokio::time::timeout(DEADLINE, changes.changed()).await;
        queue.expect("a batch of each root waits").unwrap();
    }
    cache.remove_item(QUEUES, "app", busy.id).await;
    until_all_hold(client, 2).await;
    server.shut_down().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_root_reached_by_a_link_keeps_the_client_s_spelling() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let link = fixture.index_dir.with_file_name("link");
    std::os::unix::fs::symlink(&fixture.root, &link).unwrap();
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.initialize(&[&link], json!({}), Value::Null).await;
    let file = link.join("a.txt");
    client.open(&file, "unsaved needle\n").await;
    let result =
        client.request("syncline/search", search_with("needle", json!({"codebase": uri(&link)}))).await.unwrap();
    assert_eq!(shown(&result["matches"]), ["a.txt:0:8-14:unsaved needle"]);
    assert_eq!(result["matches"][0]["uri"], uri(&file));
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_asked_for_before_codebases_open() {
    let fixture = Fixture::new(&[("a.txt", "needle\n"), ("b.log", "needle\n"), ("c.tmp", "needle\n")]);
    let engine = Engine::new(&fixture.settings());
    let mut server = Server::start(&fixture, &engine);
    server.client.configuration = json!({"index": {"exclude": ["*.log"]}});
    let options = json!({"index": {"exclude": ["*.tmp"]}});
    server.client.initialize(&[&fixture.root], json!({"workspace": {"configuration": true}}), options.clone()).await;
    assert_eq!(server.client.search(search("needle")).await, ["a.txt:0:0-6:needle", "c.tmp:0:0-6:needle"]);
    server.shut_down().await;

    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    server.client.initialize(&[&fixture.root], json!({}), options).await;
    assert_eq!(server.client.search(search("needle")).await, ["a.txt:0:0-6:needle", "b.log:0:0-6:needle"]);
    server.shut_down().await;
}

/// An answer that nobody waited for any more ended the session.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_come_late_harm_nobody() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.withheld = Some(Vec::new());
    client.initialize(&[&fixture.root], json!({"workspace": {"configuration": true}}), Value::Null).await;
    client.until("a sentence", |m| m["params"]["message"].as_str().is_some_and(|m| m.contains("doesn't answer"))).await;
    for id in client.withheld.take().unwrap() {
        client.send(json!({"jsonrpc": "2.0", "id": id, "result": [{}]})).await;
    }
    assert_eq!(client.search(search("needle")).await, ["a.txt:0:0-6:needle"]);
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_act_on_codebases() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let command = |name: &str, argument: Value| json!({"command": name, "arguments": [argument]});
    let codebase = json!({"codebase": uri(&fixture.root)});
    let paused = client.request("workspace/executeCommand", command("syncline.pause", codebase.clone())).await;
    assert_eq!(paused, Ok(Value::Null));
    client.state_until("paused", |_| {}, |state| state["phase"] == "paused").await;
    fixture.write("a.txt", "one, while paused\n");
    assert_eq!(client.search(search("while")).await, ["a.txt:0:5-10:one, while paused"]);
    let resumed = client.request("workspace/executeCommand", json!({"command": "syncline.resume"})).await;
    assert_eq!(resumed, Ok(Value::Null));
    client.until_fresh().await;
    let outcomes = client.request("workspace/executeCommand", command("syncline.sync", Value::Null)).await.unwrap();
    assert_eq!(outcomes.as_array().unwrap().len(), 1);
    assert_eq!(outcomes[0]["outcome"], "synced");
    let rebuilt = client.request("workspace/executeCommand", command("syncline.rebuild", codebase)).await;
    assert_eq!(rebuilt, Ok(Value::Null));
    assert_eq!(client.search(search("while")).await, ["a.txt:0:5-10:one, while paused"]);
    for wrong in [command("syncline.no", Value::Null), command("syncline.pause", json!({"codebase": "no"}))] {
        assert_eq!(client.request("workspace/executeCommand", wrong).await.unwrap_err()["code"], -32602);
    }
    server.shut_down().await;
}

// A sync was answered before its state was shown, so that whoever asked for the state next saw the one before.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_asked_for_after_a_sync_is_of_that_sync() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    for round in 0..50 {
        fixture.write(&format!("new-{round}.txt"), "new\n");
        let outcome = client.request("syncline/sync", json!({})).await.unwrap();
        let state = client.request("syncline/queue", json!({})).await.unwrap()[0].clone();
        assert_eq!(outcome["outcome"], "synced");
        // It may have synced once more by itself.
        let finished = |sync: &Value| sync["finishedAt"].as_u64();
        assert!(finished(&state["lastSync"]) >= finished(&outcome), "round {round}: {state}");
        assert_eq!(state["index"]["files"], round + 2, "round {round}: {state}");
    }
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_cost_nothing_but_an_error() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    assert_eq!(client.request("syncline/queue", json!({})).await.unwrap_err()["code"], -32002, "before initialize");
    client.send_bytes(b"Content-Length: 3\r\n\r\n{\"a").await;
    let is_error = |message: &Value| message.get("error").is_some() && message["id"].is_null();
    assert_eq!(client.until("an error", is_error).await["error"]["code"], -32700);
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    for garbage in [&b"hello\r\n\r\n"[..], b"Content-Length: x\r\n\r\n", b"Content-Length: 2\r\n\r\n[]"] {
        client.send_bytes(garbage).await;
        let code = client.until("an error", is_error).await["error"]["code"].as_i64().unwrap();
        assert!([-32700, -32600].contains(&code), "{code}");
        assert_eq!(client.search(search("one")).await, ["a.txt:0:0-3:one"]);
    }
    assert_eq!(client.request("no/such", json!({})).await.unwrap_err()["code"], -32601);
    client.notify("no/such", json!({})).await;
    client.notify("textDocument/didChange", json!({"nonsense": 1})).await;
    client.send(json!({"jsonrpc": "2.0", "id": 77, "result": null})).await;
    assert!(client.request("syncline/queue", Value::Null).await.is_ok(), "params may be null");
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_that_begins_ends() {
    let fixture = Fixture::new(&[]);
    for number in 0..3000 {
        fixture.write(&format!("{}/{number}.txt", number % 50), format!("line {number}\n").repeat(200));
    }
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.initialize(&[&fixture.root], json!({"window": {"workDoneProgress": true}}), Value::Null).await;
    client.until_fresh().await;
    let kinds = |messages: &[Value], kind: &str| {
        let is_kind = |message: &&Value| message["params"]["value"]["kind"] == kind;
        messages.iter().filter(is_kind).map(|m| m["params"]["token"].to_string()).collect::<Vec<_>>()
    };
    let is_progress = |message: &Value| message["method"] == "$/progress";
    let mut messages = client.take_kept(is_progress);
    while kinds(&messages, "end").len() < kinds(&messages, "begin").len() {
        messages.push(client.until("the progress' end", is_progress).await);
    }
    assert_eq!(kinds(&messages, "begin"), kinds(&messages, "end"));
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_orderly_only_after_shutdown() {
    let fixture = Fixture::new(&[("a.txt", "one\n")]);
    let mut server = Server::fresh(&fixture).await;
    server.client.notify("exit", Value::Null).await;
    server.client.leave();
    assert_eq!(server.ended().await, Ended::Abruptly);

    let mut server = Server::fresh(&fixture).await;
    server.client.leave();
    assert_eq!(server.ended().await, Ended::Abruptly, "the streams closed");

    // At once, without waiting for the reply.
    let mut server = Server::fresh(&fixture).await;
    let id = server.client.ask("shutdown", Value::Null).await;
    server.client.notify("exit", Value::Null).await;
    assert_eq!(server.client.reply(id).await, Ok(Value::Null));
    server.client.leave();
    assert_eq!(server.ended().await, Ended::Orderly);

    let mut server = Server::fresh(&fixture).await;
    assert_eq!(server.client.request("shutdown", Value::Null).await, Ok(Value::Null));
    let error = server.client.request("syncline/queue", json!({})).await.unwrap_err();
    assert_eq!(error["code"], -32600, "nothing is asked after shutdown");
    server.client.leave();
    assert_eq!(server.ended().await, Ended::Orderly, "the streams closed after shutdown");
}
