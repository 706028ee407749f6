//! What editors say of themselves, their settings and their folders, and what they are told: whatever they are like.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lsp_client;
mod support;

use std::path::Path;

use lsp_client::server::Server;
use lsp_client::{Client, DEADLINE, shown, uri};
use serde_json::{Value, json};
use support::Fixture;
use syncline::workspace::Engine;

fn search(query: &str) -> Value {
    json!({"query": query, "isRegex": false, "isCaseSensitive": true, "wholeWord": false, "maxResults": 1000})
}

/// The files in which `needle` is found.
async fn found(client: &mut Client) -> Vec<String> {
    let matches = client.search(search("needle")).await;
    matches.iter().map(|found| found.split(':').next().unwrap().to_owned()).collect()
}

/// Searches until `needle` is found in these files.
async fn until_found(client: &mut Client, expected: &[&str]) {
    let mut last = Vec::new();
    let finding = async {
        loop {
            // Not insisting on a fresh answer: a codebase that has just been opened anew may have none yet.
            let result = client.request("syncline/search", search("needle")).await.expect("the search is answered");
            last = shown(&result["matches"]).iter().map(|found| found.split(':').next().unwrap().to_owned()).collect();
            if last == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, finding).await;
    assert!(in_time.is_ok(), "found in {last:?}, not in {expected:?}");
}

async fn configure(client: &mut Client, settings: Value) {
    client.notify("workspace/didChangeConfiguration", json!({"settings": settings})).await;
}

fn names(symbols: &Value) -> Vec<&str> {
    symbols.as_array().unwrap().iter().map(|symbol| symbol["name"].as_str().unwrap()).collect()
}

const THREE: [(&str, &str); 3] = [("a.txt", "needle\n"), ("b.log", "needle\n"), (".hidden", "needle\n")];

// Eglot says `{}` after each start, which took the place of `initializationOptions`; with settings of other servers the
// user was warned of those, too.
#[tokio::test(flavor = "multi_thread")]
async fn later_settings_lie_over_the_options_key_by_key() {
    let fixture = Fixture::new(&THREE);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    let options = json!({"index": {"exclude": ["*.log"]}});
    client.initialize(&[&fixture.root], json!({"workspace": {"configuration": true}}), options).await;
    client.configuration = json!(null);
    for nobody_s in [json!({}), json!(null), json!([]), json!("x"), json!({"rust-analyzer": {"index": 3}, "Lua": {}})] {
        configure(client, nobody_s).await;
    }
    configure(client, json!({"syncline": {"index": {"hidden": true}}, "rust-analyzer": {"x": 1}})).await;
    until_found(client, &[".hidden", "a.txt"]).await;
    configure(client, json!({"index": {"exclude": ["*.txt"]}, "gopls": 3})).await;
    until_found(client, &["b.log"]).await;
    // What is taken back is what the options say.
    configure(client, json!({"syncline": {"index": {"hidden": true, "exclude": null}}})).await;
    until_found(client, &[".hidden", "a.txt"]).await;
    configure(client, json!({"syncline": {}})).await;
    until_found(client, &["a.txt"]).await;
    configure(client, json!({"syncline.index.exclude": [".*"]})).await;
    until_found(client, &["a.txt", "b.log"]).await;
    configure(client, json!({"rust-analyzer": {}})).await;
    until_found(client, &["a.txt"]).await;
    assert!(client.take_kept(|message| message["method"] == "window/showMessage").is_empty());
    // Mistyped settings of ours are told, in the section and beside it.
    for mistyped in [json!({"syncline": {"indx": {}}}), json!({"index": {"hiden": true}, "other": 1})] {
        configure(client, mistyped).await;
        let told = client.notification("window/showMessage").await;
        assert!(told["message"].as_str().unwrap().contains("did you mean syncline.index"), "{told}");
    }
    server.shut_down().await;
}

// lsp-mode answers `workspace/configuration` with `{}`, Eglot with null.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_section_leaves_the_options() {
    for answer in [json!(null), json!({}), json!([]), json!({"rust-analyzer": {"index": {}}})] {
        let fixture = Fixture::new(&THREE);
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        server.client.configuration = answer.clone();
        let options = json!({"index": {"exclude": ["*.log"]}});
        let capabilities = json!({"workspace": {"configuration": true}});
        server.client.initialize(&[&fixture.root], capabilities, options).await;
        assert_eq!(found(&mut server.client).await, ["a.txt"], "{answer}");
        server.shut_down().await;
    }
}

// Ours say their section in both places. A setting that their user takes back must not come back from the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_section_said_twice_can_be_taken_back() {
    let fixture = Fixture::new(&THREE);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.configuration = json!({"index": {"exclude": ["*.log"]}});
    let options = client.configuration.clone();
    client.initialize(&[&fixture.root], json!({"workspace": {"configuration": true}}), options).await;
    assert_eq!(found(client).await, ["a.txt"]);
    client.configuration = json!({"log": {"level": "info"}});
    configure(client, json!(null)).await;
    until_found(client, &["a.txt", "b.log"]).await;
    server.shut_down().await;
}

// lsp-mode opens a window of warnings for each notification that it doesn't know.
#[tokio::test(flavor = "multi_thread")]
async fn states_go_to_those_who_take_them() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let is_state = |message: &Value| message["method"] == "syncline/queueState";
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.initialize(&[&fixture.root], json!({"experimental": {"other": {}}}), Value::Null).await;
    // Asking for states is no wish to be told of them.
    let generation = async |client: &mut Client| loop {
        let state = client.request("syncline/queue", json!({})).await.unwrap()[0].take();
        if state["index"]["fresh"] == true && state["phase"] == "idle" {
            return state["index"]["generation"].as_u64().unwrap();
        }
        tokio::task::yield_now().await;
    };
    let before = generation(client).await;
    fixture.write("b.txt", "needle\n");
    while generation(client).await == before {}
    assert!(client.take_kept(is_state).is_empty());
    // Whoever searches or syncs sees how it goes, from then on.
    assert_eq!(found(client).await.len(), 2);
    client.state_until("the state now", |_| {}, |state| state["index"]["files"] == 2).await;
    fixture.write("c.txt", "needle\n");
    client.state_until("a later state", |_| {}, |state| state["index"]["files"] == 3).await;
    server.shut_down().await;

    // Plugins of version 0.1 announce nothing.
    let neovim = json!({"capabilities": {}, "clientInfo": {"name": "Neovim", "version": "0.11.4"}});
    let vs_code = json!({
        "capabilities": {"window": {"workDoneProgress": false}, "workspace": {"configuration": true}},
        "clientInfo": {"name": "VSCodium", "version": "1.99"}, "initializationOptions": {"log": {"level": "info"}},
    });
    for mut params in [neovim, vs_code] {
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        params["workspaceFolders"] = json!([{"uri": uri(&fixture.root), "name": "x"}]);
        server.client.request("initialize", params).await.unwrap();
        server.client.notify("initialized", json!({})).await;
        server.client.until_fresh().await;
        server.shut_down().await;
    }
}

// Fields that nobody here reads refused sessions by values that tower-lsp's types don't have.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_used_refuses_no_session() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let folder = json!([{"uri": uri(&fixture.root), "name": "x"}]);
    let text_document = |fields: Value| json!({"capabilities": {"textDocument": fields}});
    let with_root = [
        text_document(
            json!({"semanticTokens": {"requests": {"range": {}}, "tokenTypes": [], "tokenModifiers": [], "formats": []}}),
        ),
        text_document(json!({"foldingRange": {"foldingRangeKind": {"valueSet": ["implementation"]}}})),
        text_document(json!({"callHierarchy": [{"dynamicRegistration": false}]})),
        text_document(json!(7)),
        json!({"processId": -1}),
        json!({"processId": "x", "trace": "compact", "locale": 3, "workDoneToken": [], "clientInfo": "x"}),
        json!({"rootUri": ""}),
        json!({"capabilities": null}),
        json!({"capabilities": {"workspace": {"configuration": "yes", "symbol": 3}, "general": [], "window": null}}),
        json!({"workspaceFolders": [null, {"uri": uri(&fixture.root)}, {"uri": 3}, {"uri": "no uri", "name": "x"}]}),
        json!({"workspaceFolders": [null], "rootUri": uri(&fixture.root)}),
        json!({"workspaceFolders": {}, "rootUri": "", "rootPath": fixture.root.to_str().unwrap()}),
        json!({"initializationOptions": [3]}),
    ];
    for odd in with_root {
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        let mut params = json!({"workspaceFolders": folder});
        params.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
        let answer = server.client.request("initialize", params).await;
        assert_eq!(answer.map(|answer| answer["serverInfo"]["name"].clone()), Ok(json!("syncline")), "{odd}");
        server.client.notify("initialized", json!({})).await;
        assert_eq!(found(&mut server.client).await, ["a.txt"], "{odd}");
        server.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_used_loses_no_message() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    // Where only clients tell of changes, a message that is lost shows.
    client.initialize(&[&fixture.root], json!({}), json!({"watch": {"mode": "off"}})).await;
    until_found(client, &["a.txt"]).await;
    let command = json!({"command": "syncline.sync", "arguments": null, "workDoneToken": {}});
    assert_eq!(client.request("workspace/executeCommand", command).await.unwrap()[0]["outcome"], "synced");
    let wrong = json!({"command": "syncline.pause", "arguments": {"codebase": "no"}});
    assert_eq!(client.request("workspace/executeCommand", wrong).await.unwrap_err()["code"], -32602);
    let symbols = json!({"query": "x", "workDoneToken": [], "partialResultToken": {}});
    assert_eq!(client.request("workspace/symbol", symbols).await, Ok(json!([])));
    let nulls = json!({"query": "needle", "isRegex": null, "isCaseSensitive": null, "include": null, "fresh": null});
    let result = client.request("syncline/search", nulls).await.unwrap();
    assert_eq!(result["matches"].as_array().unwrap().len(), 1, "{result}");
    let other = Fixture::new(&[("b.txt", "needle\n")]);
    let folders = json!({"event": {"added": [{"uri": uri(&other.root)}, null], "removed": null}, "odd": 3});
    client.notify("workspace/didChangeWorkspaceFolders", folders).await;
    until_found(client, &["a.txt", "b.txt"]).await;
    let (c, d) = (other.root.join("c.txt"), other.root.join("d.txt"));
    other.write("c.txt", "needle\n");
    client.notify("textDocument/didSave", json!({"textDocument": {"uri": uri(&c), "version": []}, "text": 3})).await;
    until_found(client, &["a.txt", "b.txt", "c.txt"]).await;
    other.write("d.txt", "needle\n");
    let changes = json!([null, {"uri": 3}, {"uri": uri(&d), "type": 77}]);
    client.notify("workspace/didChangeWatchedFiles", json!({"changes": changes})).await;
    until_found(client, &["a.txt", "b.txt", "c.txt", "d.txt"]).await;
    server.shut_down().await;
}

// LSP lets servers pass over notifications that begin so; a request "must" be answered, and wasn't.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_protocol_s_own_that_are_none_are_answered() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut server = Server::fresh(&fixture).await;
    for params in [json!({}), json!(null), json!([3])] {
        let error = server.client.request("$/unknown", params.clone()).await.unwrap_err();
        assert_eq!(error["code"], -32601, "{params}");
    }
    server.client.notify("$/unknown", json!({})).await;
    assert_eq!(found(&mut server.client).await, ["a.txt"]);
    server.shut_down().await;
}

// The symbols of one folder came after those of the other, however well they fit, and more than are promised.
#[tokio::test(flavor = "multi_thread")]
async fn symbols_of_several_folders_are_ranked_together() {
    let many = |file: usize| {
        (0..40).map(|n| format!("int x_handler_of_{file}_{n}(void) {{ return 0; }}\n")).collect::<String>()
    };
    let texts: Vec<_> = (0..8).map(|file| (format!("f{file}.h"), many(file))).collect();
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let first = Fixture::new(&files);
    let second = Fixture::new(&[("b.c", "int handler(void) { return 0; }\nint Handler;\nint handlers;\n")]);
    let mut server = Server::start(&first, &Engine::new(&first.settings()));
    let client = &mut server.client;
    client.initialize(&[&first.root, &second.root], json!({}), Value::Null).await;
    let found = client.request("workspace/symbol", json!({"query": "handler"})).await.unwrap();
    assert_eq!(names(&found)[..3], ["handler", "Handler", "handlers"]);
    assert_eq!(names(&found).len(), 256);
    // Among equals, those of where the user is come first.
    let same = Fixture::new(&[("s.c", "int twice;\n")]);
    second.write("s.c", "int twice;\n");
    first.write("s.c", "int twice;\n");
    let added = json!([{"uri": uri(&same.root), "name": "x"}]);
    client.notify("workspace/didChangeWorkspaceFolders", json!({"event": {"added": added, "removed": []}})).await;
    client.open(&second.root.join("b.c"), "int x;\n").await;
    let found = client.request("workspace/symbol", json!({"query": "twice"})).await.unwrap();
    let uris: Vec<_> = found.as_array().unwrap().iter().map(|symbol| symbol["location"]["uri"].clone()).collect();
    let expected = [&second, &first, &same].map(|fixture| json!(uri(&fixture.root.join("s.c"))));
    assert_eq!(uris, expected);
    server.shut_down().await;
}

// Kinds above 18 came to clients that know the first 18 only.
#[tokio::test(flavor = "multi_thread")]
async fn symbols_have_kinds_that_the_client_knows() {
    let fixture =
        Fixture::new(&[("a.rs", "struct Thing;\nenum Many { Thingy }\ntype Things = u8;\nfn thing_it() {}\n")]);
    let kinds = async |capabilities: Value| {
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        server.client.initialize(&[&fixture.root], capabilities, Value::Null).await;
        let found = server.client.request("workspace/symbol", json!({"query": "thing"})).await.unwrap();
        let found = found.as_array().unwrap().iter();
        let mut kinds: Vec<_> = found
            .map(|symbol| (symbol["name"].as_str().unwrap().to_owned(), symbol["kind"].as_u64().unwrap()))
            .collect();
        kinds.sort();
        server.shut_down().await;
        kinds.into_iter().map(|(_, kind)| kind).collect::<Vec<_>>()
    };
    // Thing, Things, Thingy, thing_it.
    assert_eq!(kinds(json!({})).await, [5, 5, 10, 12]);
    let all: Vec<_> = (1..=26).collect();
    assert_eq!(kinds(json!({"workspace": {"symbol": {"symbolKind": {"valueSet": all}}}})).await, [23, 26, 22, 12]);
}

// An empty query gave none; by LSP it means all, and editors begin with it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_symbols_of_the_latest_files_come() {
    let many = (0..300).map(|n| format!("int many_{n};\n")).collect::<String>();
    let fixture =
        Fixture::new(&[("old.c", "int old;\n"), ("new.c", "int new_one;\nint new_two;\n"), ("many.c", &many)]);
    let other = Fixture::new(&[("other.c", "int other;\n"), ("text.txt", "int no_symbol;\n")]);
    let age = |fixture: &Fixture, name: &str, seconds: u64| {
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        std::fs::File::open(fixture.root.join(name)).unwrap().set_modified(at).unwrap();
    };
    age(&fixture, "old.c", 4000);
    age(&fixture, "new.c", 1000);
    age(&fixture, "many.c", 3000);
    age(&other, "other.c", 2000);
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.initialize(&[&fixture.root, &other.root], json!({}), Value::Null).await;
    for query in ["", " "] {
        let found = client.request("workspace/symbol", json!({"query": query})).await.unwrap();
        let found = names(&found);
        assert_eq!(found[..4], ["new_one", "new_two", "other", "many_0"], "{query:?}");
        assert_eq!((found.len(), found.last()), (3 + 64 + 1, Some(&"old")), "not all of one file");
    }
    // What is being written comes first.
    client.open(&fixture.root.join("old.c"), "int unsaved;\n").await;
    other.write("other.c", "int rewritten;\n");
    let found = client.request("workspace/symbol", json!({"query": ""})).await.unwrap();
    assert_eq!(names(&found)[..4], ["unsaved", "rewritten", "new_one", "new_two"]);
    server.shut_down().await;
}

// A command was answered before its state was shown: about every second question saw the one before.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_asked_for_after_a_pause_is_the_new_one() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    for round in 0..40 {
        for (command, is_paused) in [("syncline.pause", true), ("syncline.resume", false)] {
            client.request("workspace/executeCommand", json!({"command": command})).await.unwrap();
            let state = client.request("syncline/queue", json!({})).await.unwrap()[0].take();
            assert_eq!(state["phase"] == "paused", is_paused, "round {round}, {command}: {state}");
        }
    }
    server.shut_down().await;
}

// A trailing slash, another escape or a second telling made a folder that no removal took away.
#[tokio::test(flavor = "multi_thread")]
async fn folders_are_a_set() {
    let fixture = Fixture::new(&[("a+b/a.txt", "needle\n")]);
    let other = Fixture::new(&[("b.txt", "needle\n")]);
    let root = fixture.root.join("a+b");
    let spellings =
        [uri(&root), format!("{}/", uri(&root)), uri(&root).replace('+', "%2B"), format!("{}/.", uri(&root))];
    let folders = |uris: &[&String]| uris.iter().map(|uri| json!({"uri": uri, "name": "x"})).collect::<Vec<_>>();
    let change = |added: &[&String], removed: &[&String]| json!({"event": {"added": folders(added), "removed": folders(removed)}});
    let (method, other_uri) = ("workspace/didChangeWorkspaceFolders", uri(&other.root));
    for removed in &spellings {
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        let client = &mut server.client;
        let all: Vec<_> = spellings.iter().collect();
        let params = json!({"capabilities": {}, "workspaceFolders": folders(&all), "rootUri": null});
        client.request("initialize", params).await.unwrap();
        client.notify("initialized", json!({})).await;
        client.notify(method, change(&all, &[])).await;
        client.notify("initialized", json!({})).await;
        client.notify(method, change(&[&other_uri], &[])).await;
        assert_eq!(found(client).await, ["a.txt", "b.txt"]);
        client.notify(method, change(&[], &[removed])).await;
        assert_eq!(found(client).await, ["b.txt"], "{removed} was removed");
        // One that is said to be gone before the session begins never comes.
        server.shut_down().await;
        let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
        let client = &mut server.client;
        let params = json!({"capabilities": {}, "rootPath": root.to_str().unwrap()});
        client.request("initialize", params).await.unwrap();
        client.notify(method, change(&[&other_uri], &[removed])).await;
        client.notify("initialized", json!({})).await;
        assert_eq!(found(client).await, ["b.txt"], "{removed}");
        server.shut_down().await;
    }
    // A root that was told by its path alone stays when others come.
    let mut server = Server::start(&fixture, &Engine::new(&fixture.settings()));
    let client = &mut server.client;
    client.request("initialize", json!({"capabilities": {}, "rootPath": root.to_str().unwrap()})).await.unwrap();
    client.notify("initialized", json!({})).await;
    client.notify(method, change(&[&other_uri], &[])).await;
    assert_eq!(found(client).await, ["a.txt", "b.txt"]);
    server.shut_down().await;
}

const EXCLUDES_LOGS: &str = "[index]\nexclude = [\"*.log\"]\n";

// It counted only once the codebase was opened anew.
#[tokio::test(flavor = "multi_thread")]
async fn settings_in_the_root_count_once_they_are_saved() {
    let fixture = Fixture::new(&THREE);
    let engine = Engine::new(&fixture.settings());
    let mut servers = [Server::start(&fixture, &engine), Server::start(&fixture, &engine)];
    for server in &mut servers {
        server.client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    }
    let file = fixture.root.join(".syncline.toml");
    let [one, other] = &mut servers;
    one.client.open(&fixture.root.join("a.txt"), "unsaved needle\n").await;
    assert_eq!(found(&mut one.client).await, ["a.txt", "b.log"]);
    // In the editor that saved it: at once.
    fixture.write(".syncline.toml", EXCLUDES_LOGS);
    one.client.save(&file).await;
    assert_eq!(
        one.client.search(search("needle")).await,
        ["a.txt:0:8-14:unsaved needle"],
        "the document is still open"
    );
    // And in the other that has the codebase open.
    until_found(&mut other.client, &["a.txt"]).await;
    // Written by another program, at another name first, as editors save.
    fixture.write(".new", "[index]\nhidden = true\nexclude = [\"*.log\", \".*\", \"!.hidden\"]\n");
    std::fs::rename(fixture.root.join(".new"), &file).unwrap();
    until_found(&mut other.client, &["a.txt"]).await;
    fixture.write(".syncline.toml", "[index]\nhidden = true\n");
    for server in [&mut *one, &mut *other] {
        until_found(&mut server.client, &[".hidden", "a.txt", "b.log"]).await;
    }
    std::fs::remove_file(&file).unwrap();
    for server in [&mut *one, &mut *other] {
        until_found(&mut server.client, &["a.txt", "b.log"]).await;
    }
    assert_eq!(one.client.search(search("unsaved")).await.len(), 1);
    // It is open anew for all, and no worse: what is paused stays so.
    one.client.request("workspace/executeCommand", json!({"command": "syncline.pause"})).await.unwrap();
    fixture.write(".syncline.toml", EXCLUDES_LOGS);
    until_found(&mut other.client, &["a.txt"]).await;
    let paused = async {
        // Its first look at the tree shows before.
        while other.client.request("syncline/queue", json!({})).await.unwrap()[0]["phase"] != "paused" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, paused).await.expect("it is paused");
    for server in servers {
        server.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_in_the_root_that_can_not_be_read_change_nothing_and_are_told_once() {
    let fixture = Fixture::new(&THREE);
    fixture.write(".syncline.toml", EXCLUDES_LOGS);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let file = fixture.root.join(".syncline.toml");
    let told = async |client: &mut Client, line: &str| {
        let told = client.notification("window/showMessage").await;
        let sentence = told["message"].as_str().unwrap().to_owned();
        assert!(sentence.contains(&format!(".syncline.toml:{line}")), "{sentence}");
        sentence
    };
    let is_degraded = |state: &Value| state["health"] == "degraded";
    for saves in [true, false] {
        fixture.write(".syncline.toml", "[index]\n\nexclude = [\n");
        if saves {
            client.save(&file).await;
            client.save(&file).await;
        }
        let sentence = told(client, "").await;
        let state = client.state_until("it is told", |_| {}, is_degraded).await;
        assert_eq!(state["message"], sentence);
        assert_eq!(found(client).await, ["a.txt"], "the settings before it hold");
        fixture.write(".syncline.toml", EXCLUDES_LOGS);
        client.state_until("all is well", |_| {}, |state| !is_degraded(state)).await;
        assert_eq!(found(client).await, ["a.txt"]);
    }
    // What is merely mistyped is told as well, and the rest counts.
    fixture.write(".syncline.toml", "[index]\nexclud = []\nhidden = true\n");
    client.save(&file).await;
    told(client, "2").await;
    until_found(client, &[".hidden", "a.txt", "b.log"]).await;
    let shown = client.take_kept(|message| {
        let method = message["method"].as_str().unwrap_or_default();
        method == "window/showMessage" || method == "window/logMessage"
    });
    assert!(shown.is_empty(), "each once: {shown:?}");
    server.shut_down().await;
}

/// What clients may say in each message, and what is odd in it: nothing of it costs more than that message.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_the_session_goes_on() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let mut server = Server::fresh(&fixture).await;
    let client = &mut server.client;
    let odd =
        [json!(null), json!([]), json!({}), json!(-1), json!(1.5), json!("x"), json!([null, {}]), json!({"uri": 3})];
    let file = uri(Path::new("/elsewhere/x.txt"));
    let fields = [
        ("textDocument/didSave", json!({"textDocument": {"uri": file}}), vec!["textDocument", "text"]),
        ("textDocument/didClose", json!({"textDocument": {"uri": file}}), vec!["textDocument"]),
        ("workspace/didChangeWatchedFiles", json!({"changes": []}), vec!["changes"]),
        ("workspace/didChangeWorkspaceFolders", json!({"event": {}}), vec!["event"]),
        ("workspace/didChangeConfiguration", json!({}), vec!["settings"]),
        ("$/setTrace", json!({"value": "off"}), vec!["value"]),
        ("$/cancelRequest", json!({"id": 999}), vec!["id"]),
        ("initialized", json!({}), vec!["x"]),
    ];
    let requests = [
        ("workspace/symbol", json!({"query": "x"}), vec!["query", "workDoneToken", "partialResultToken"]),
        ("syncline/queue", json!({}), vec!["codebase", "workDoneToken"]),
        ("syncline/search", search("x"), vec!["maxResults", "include", "fresh", "isRegex"]),
    ];
    for odd in &odd {
        for (method, params, names) in &fields {
            client.notify(method, odd.clone()).await;
            for name in names {
                let mut params = params.clone();
                params[name] = odd.clone();
                client.notify(method, params).await;
            }
        }
        for (method, params, names) in &requests {
            for name in names {
                let mut params = params.clone();
                params[name] = odd.clone();
                // An answer, whichever it is.
                drop(client.request(method, params).await);
            }
        }
        assert_eq!(found(client).await, ["a.txt"], "{odd}");
    }
    client.take_kept(|message| message.get("error").is_some());
    server.shut_down().await;
}
