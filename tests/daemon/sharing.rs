//! What clients share, and what they don't.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};
use syncline::daemon::wire::Purpose;

use crate::home::{Home, plain, said, socket_name};
use crate::lsp_client::{Client, DEADLINE};
use crate::support::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn editors_and_the_command_line_share_one_engine() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let (mut one, mut first) = home.fresh_editor().await;
    let (mut two, mut second) = home.fresh_editor().await;
    let daemon = home.daemon();
    let status = home.json(&["daemon", "status", "--json"]);
    assert_eq!(status["pid"], daemon);
    assert_eq!(status["clients"].as_array().unwrap().len(), 2);
    assert_eq!(status["codebases"].as_array().unwrap().len(), 1, "opened once");
    assert_eq!(status["codebases"][0]["clients"], 2);
    assert!(status["memory"].as_u64().unwrap() > 1 << 20);
    assert!(std::path::Path::new(status["log"].as_str().unwrap()).is_file());

    // A save in one shows in the other; unsaved text doesn't.
    let generation = home.json(&["queue", "--json"])[0]["index"]["generation"].as_u64().unwrap();
    first.open(&home.tree().join("a.txt"), "needle unsaved\n").await;
    assert_eq!(first.search(plain("unsaved")).await.len(), 1);
    assert_eq!(second.search(plain("unsaved")).await, Vec::<String>::new());
    home.write("a.txt", "needle saved\n");
    first.save(&home.tree().join("a.txt")).await;
    let is_newer = |state: &Value| state["index"]["generation"].as_u64().unwrap() > generation;
    second.state_until("the other's save", |_| {}, is_newer).await;
    assert_eq!(second.search(plain("saved")).await, ["a.txt:0:7-12:needle saved"]);
    assert_eq!(home.run(&["search", "saved"]), "a.txt:needle saved\n");

    // The command line acts on the same codebase.
    home.run(&["pause"]);
    second.state_until("paused by the command line", |_| {}, |state| state["phase"] == "paused").await;
    home.run(&["resume"]);
    second.state_until("resumed by the command line", |_| {}, |state| state["phase"] == "idle").await;
    assert!(home.run(&["sync"]).starts_with("fresh: 1 file"));
    let engines = home.json(&["status", "--json"])["codebases"][0]["engines"].clone();
    assert_eq!(engines.as_array().unwrap().len(), 1);
    assert_eq!(engines[0]["pid"], daemon);
    assert_eq!(home.daemons(), [daemon]);

    for (child, client) in [(&mut one, &mut first), (&mut two, &mut second)] {
        client.shut_down().await;
        let status = tokio::time::timeout(DEADLINE, child.wait()).await.expect("the process ends").unwrap();
        assert_eq!(status.code(), Some(0));
    }
    wait_for("nobody is there", || home.json(&["daemon", "status", "--json"])["clients"] == json!([]));
    // It stays open for whoever comes back.
    assert_eq!(home.json(&["daemon", "status", "--json"])["codebases"][0]["clients"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_s_settings_say_how_long_the_engine_it_starts_stays() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let (_process, mut editor) = home.editor();
    editor.initialize(&[&home.tree()], json!({}), json!({"daemon": {"idleMinutes": 0}})).await;
    editor.until_fresh().await;
    home.daemon();
    editor.shut_down().await;
    wait_for("it leaves with its last client", || home.daemons().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_one_client_are_not_another_s() {
    let home = Home::new(&[("a/needle.txt", "needle\n"), ("b/needle.txt", "needle\n"), ("b/other.md", "needle\n")]);
    let excluding = [("SYNCLINE_INDEX_EXCLUDE", "[\"*.txt\"]"), ("SYNCLINE_LOG_LEVEL", "trace")];
    let (mut one, mut first) = home.editor_with(&excluding);
    first.initialize(&[&home.tree().join("a")], json!({}), Value::Null).await;
    assert_eq!(first.search(plain("needle")).await, Vec::<String>::new());
    let (mut two, mut second) = home.editor();
    second.initialize(&[&home.tree().join("b")], json!({}), Value::Null).await;
    assert_eq!(second.search(plain("needle")).await.len(), 2);
    // Where both work, whoever came first is right, and the other is told.
    let (mut three, mut third) = home.editor_with(&excluding);
    third.initialize(&[&home.tree().join("b")], json!({}), Value::Null).await;
    assert_eq!(third.search(plain("needle")).await.len(), 2);
    let told = third.notification("window/logMessage").await;
    assert!(told["message"].as_str().unwrap().contains("other settings"), "{told}");
    // Until it is alone: then its own count.
    second.shut_down().await;
    two.wait().await.unwrap();
    until_found(&mut third, &["other.md:0:0-6:needle"]).await;
    for client in [&mut first, &mut third] {
        client.shut_down().await;
    }
    for child in [&mut one, &mut three] {
        child.wait().await.unwrap();
    }
    let log = std::fs::read_to_string(home.json(&["daemon", "status", "--json"])["log"].as_str().unwrap()).unwrap();
    assert!(!log.contains("TRACE"), "one client's log level isn't the daemon's");
    // Nobody has it open now: whoever opens it next has their settings.
    let (mut four, mut fourth) = home.editor_with(&excluding);
    fourth.initialize(&[&home.tree().join("b")], json!({}), Value::Null).await;
    assert_eq!(fourth.search(plain("needle")).await, ["other.md:0:0-6:needle"]);
    fourth.shut_down().await;
    four.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_of_the_only_client_count() {
    let home = Home::new(&[("a.txt", "needle\n"), ("b.md", "needle\n")]);
    let excluding = |glob: &str| json!({"settings": {"syncline": {"index": {"exclude": [glob]}}}});
    let (mut process, mut editor) = home.fresh_editor().await;
    editor.notify("workspace/didChangeConfiguration", excluding("*.txt")).await;
    until_found(&mut editor, &["b.md:0:0-6:needle"]).await;
    // Also after its window was loaded anew, while the process of before lingers.
    let (mut next_process, mut next) = home.editor();
    next.initialize(&[&home.tree()], json!({}), excluding("*.md")["settings"]["syncline"].clone()).await;
    editor.shut_down().await;
    process.wait().await.unwrap();
    until_found(&mut next, &["a.txt:0:0-6:needle"]).await;
    next.shut_down().await;
    next_process.wait().await.unwrap();
}

/// Searches for `needle` until that is what is found.
async fn until_found(client: &mut Client, expected: &[&str]) {
    let found = async {
        while client.search(plain("needle")).await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, found).await.expect("the settings count");
}

#[test]
fn it_leaves_when_nobody_needs_it() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let output = home.syncline(&["sync"]).env("SYNCLINE_DAEMON_IDLE_MINUTES", "0").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    wait_for("the daemon leaves by itself", || home.daemons().is_empty());
    // And comes back, as another generation.
    home.run(&["sync"]);
    assert_ne!(home.socket().file_name().unwrap(), &*socket_name(1));
}

#[test]
fn watch_and_search_use_what_is_there() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let mut watch = home.syncline(&["watch", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().unwrap()));
    let mut until = |what: &str, wanted: &dyn Fn(&Value) -> bool| loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended before {what}")).unwrap();
        let state: Value = serde_json::from_str(&line).unwrap();
        if wanted(&state) {
            return state;
        }
    };
    let state = until("fresh", &|state| state["index"]["fresh"] == true && state["phase"] == "idle");
    let generation = state["index"]["generation"].as_u64().unwrap();
    crate::home::kill(home.daemon());
    home.write("b.txt", "needle too\n");
    until("fresh again, by another daemon", &|state| {
        state["index"]["fresh"] == true && state["index"]["generation"].as_u64().unwrap() > generation
    });
    assert_eq!(home.run(&["search", "-c", "needle"]), "a.txt:1\nb.txt:1\n");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

/// An open `watch` started the engine again at once.
#[test]
fn watch_ends_with_the_engine_that_is_stopped() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let mut watch = home.syncline(&["watch"]);
    watch.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().starts_with("watching;")), "it ended");
    home.run(&["daemon", "stop"]);
    wait_for("it ends", || watch.try_wait().unwrap().is_some());
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("was stopped"), "{}", said(&output));
    assert!(home.daemons().is_empty());
}

#[test]
fn a_search_starts_a_daemon_only_where_there_is_an_index() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["search", "needle"]);
    assert!(home.daemons().is_empty() && !home.path("run/syncline").join(socket_name(1)).exists());
    home.run(&["--standalone", "index"]);
    home.run(&["--standalone", "search", "needle"]);
    assert!(home.daemons().is_empty());
    home.run(&["search", "needle"]);
    wait_for("a daemon", || home.path("run/syncline").join(socket_name(1)).exists());
    // The next search has it open the codebase, a later one is told what to read.
    wait_for("an answer from the daemon", || {
        let output = home.syncline(&["--log-level", "debug", "search", "needle"]).output().unwrap();
        assert_eq!(output.stdout, b"a.txt:needle\n");
        said(&output).contains("asked=true")
    });
}

/// What the engine knew to be gone, but hadn't synced, was searched all the same, and complained of. (And where something
/// was called `folder`, the engine was taken to stand on other ground.)
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_a_moment_ago_is_nothing_to_complain_of() {
    let home = Home::new(&[("a.txt", "needle\n"), ("b.txt", "needle\n"), ("folder/c.txt", "needle\n")]);
    let (mut process, mut editor) = home.fresh_editor().await;
    home.run(&["pause"]);
    std::fs::remove_file(home.tree().join("b.txt")).unwrap();
    std::fs::remove_dir_all(home.tree().join("folder")).unwrap();
    home.write("folder", "a needle in its place\n");
    // A daemon that has no time leaves the search to walk the tree by itself.
    wait_for("an answer from the daemon", || {
        let output = home.syncline(&["--log-level", "debug", "search", "needle"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a.txt:needle\nfolder:a needle in its place\n");
        assert!(!said(&output).contains("b.txt:") && !said(&output).contains("c.txt:"), "{}", said(&output));
        assert_eq!(output.status.code(), Some(0));
        said(&output).contains("asked=true")
    });
    assert_eq!(editor.search(plain("needle")).await, ["a.txt:0:0-6:needle", "folder:0:2-8:a needle in its place"]);
    editor.shut_down().await;
    process.wait().await.unwrap();
}

#[test]
fn stop_lets_the_index_be_whole() {
    let home = Home::new(&[]);
    let write = |round: usize| {
        for number in 0..3000 {
            home.write(&format!("{}/{number}.txt", number % 50), format!("line {number} {round}\n").repeat(200));
        }
    };
    // A sync that is over before anybody looks is made once more.
    let mut sync = (0..20)
        .find_map(|round| {
            write(round);
            let mut sync = home.syncline(&["sync"]).stderr(std::process::Stdio::null()).spawn().unwrap();
            let mut seen = false;
            wait_for("a sync", || {
                seen = home.json(&["queue", "--json"])[0]["queue"][0]["state"] == "syncing";
                seen || sync.try_wait().unwrap().is_some()
            });
            seen.then_some(sync)
        })
        .expect("a sync is seen");
    home.run(&["daemon", "stop"]);
    assert!(home.daemons().is_empty(), "it is gone when stop says so");
    sync.wait().unwrap();
    let status = home.json(&["--standalone", "status", "--json"]);
    assert_eq!(status["codebases"][0]["index"]["files"], 3000, "what synced was committed");
    assert_eq!(home.run(&["daemon", "stop"]), "no shared engine runs\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_are_found_while_somebody_writes_all_the_time() {
    let home = Home::new(&[("a.rs", "fn wanted() {}\n"), ("b.rs", "fn first() {}\n")]);
    let (_process, mut editor) = home.fresh_editor().await;
    let mut child =
        home.syncline(&["symbols", "--exact", "wanted"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut write = 0;
    // No pause in which the index could be up to date.
    wait_for("the answer", || {
        write += 1;
        home.write("b.rs", format!("fn written_{write}() {{}}\n"));
        child.try_wait().unwrap().is_some()
    });
    let found = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(found.contains("a.rs:1"), "{found}");
    editor.shut_down().await;
}

/// Whom a client trusts counts for it, whoever started the engine: the engine dropped the variable.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_trusted_as_each_client_s_environment_says() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    std::fs::create_dir(home.path("other")).unwrap();
    let (cert, key) = (home.path("cert.pem"), home.path("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    // Bundles hold remarks, and what nobody understands.
    let odd = "# ours\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(home.path("bundle.pem"), format!("{odd}{}", made.cert.pem())).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let port = crate::redis_server::free_port().to_string();
    let files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
    let arguments = [&["--tls-port", &port, "--tls-auth-clients", "no"], &files[..]].concat();
    let _server = crate::redis_server::RedisServer::start_with(&arguments);
    let url = format!("rediss://localhost:{port}");
    // Started by somebody who knows nothing of it.
    home.run(&["sync"]);
    let daemon = home.daemon();
    let bundle = home.path("bundle.pem").display().to_string();
    let trusting = [("SYNCLINE_QUEUE_REDIS_URL", url.as_str()), ("SSL_CERT_FILE", bundle.as_str())];
    let (mut one, mut first) = home.editor_with(&trusting);
    first.initialize(&[&home.tree()], json!({}), Value::Null).await;
    let is_shared = |state: &Value| state["backend"] == "redis" && state["health"] == "ok";
    first.state_until("trusted", |_| {}, is_shared).await;
    // Another one doesn't trust it by that.
    let (mut two, mut second) = home.editor_with(&trusting[..1]);
    second.initialize(&[&home.path("other")], json!({}), Value::Null).await;
    let is_refused =
        |state: &Value| state["health"] == "degraded" && state["message"].as_str().unwrap().contains("queue.redis_ca");
    second.state_until("not trusted", |_| {}, is_refused).await;
    // The setting says it for good, and what is wrong with it is told.
    let (mut three, mut third) = home.editor_with(&trusting[..1]);
    third
        .initialize(&[&home.path("home")], json!({}), json!({"index": {"home": true}, "queue": {"redisCa": key}}))
        .await;
    let is_wrong = |state: &Value| {
        state["health"] == "degraded" && state["message"].as_str().unwrap().contains("no certificates to trust")
    };
    third.state_until("told", |_| {}, is_wrong).await;
    assert_eq!(home.daemons(), [daemon]);
    for (client, child) in [(&mut first, &mut one), (&mut second, &mut two), (&mut third, &mut three)] {
        client.shut_down().await;
        child.wait().await.unwrap();
    }
}

// The shared engine went on with the settings that it had read when the codebase was opened.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_settings_file_counts_for_all_who_come_and_are_there() {
    let home = Home::new(&[("a.c", "int needle;\n"), ("gen/b.c", "int needle;\n")]);
    let exclude = |glob: &str| home.write(".syncline.toml", format!("[index]\nexclude = [\"{glob}\"]\n"));
    let symbols = || home.json(&["symbols", "needle", "--json"])["symbols"].as_array().unwrap().len();
    let fresh_with = |files: usize| {
        wait_for("the index is as the settings want it", || {
            let index = home.json(&["status", "--json"])["codebases"][0]["index"].take();
            index["fresh"] == true && index["files"] == files
        });
    };
    let (mut process, mut editor) = home.fresh_editor().await;
    assert_eq!(symbols(), 2);
    exclude("gen");
    assert_eq!(symbols(), 1, "a command that comes after the edit");
    until_found(&mut editor, &["a.c:0:4-10:int needle;"]).await;
    fresh_with(1);
    assert_eq!(home.run(&["search", "needle"]), "a.c:int needle;\ngen/b.c:int needle;\n", "which is as rg does");
    // What can't be read changes nothing, and is told.
    home.write(".syncline.toml", "[index\n");
    assert_eq!(symbols(), 1);
    let told = editor.notification("window/showMessage").await;
    assert!(told["message"].as_str().unwrap().contains(".syncline.toml:1"), "{told}");
    exclude("*.md");
    assert_eq!(symbols(), 2);
    until_found(&mut editor, &["a.c:0:4-10:int needle;", "b.c:0:4-10:int needle;"]).await;
    editor.shut_down().await;
    process.wait().await.unwrap();
    // The engine still has it open, for nobody.
    exclude("gen");
    fresh_with(1);
    assert_eq!(symbols(), 1);
}

#[test]
fn a_watch_with_an_engine_of_its_own_follows_its_settings() {
    let home = Home::new(&[("a.c", "int needle;\n"), ("gen/b.c", "int needle;\n")]);
    let mut watch = home.syncline(&["watch", "--standalone", "--json"]);
    let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let (give, states) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| give.send(line)));
    let until_fresh = |files: usize| {
        std::iter::from_fn(|| states.recv_timeout(DEADLINE).ok()).any(|line| {
            let state: Value = serde_json::from_str(&line).unwrap();
            state["index"]["fresh"] == true && state["index"]["files"] == files
        })
    };
    let is_fresh = until_fresh(2);
    home.write(".syncline.toml", "[index]\nexclude = [\"gen\"]\n");
    let follows = until_fresh(1);
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(is_fresh && follows, "{is_fresh}, {follows}");
}

// Commands of version 0.1 announce nothing, and show what they are told.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_isn_t_an_editor_is_told_of_states_unasked() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["sync"]);
    let stream = home.raw(Purpose::Session);
    stream.set_nonblocking(true).unwrap();
    let (reader, writer) = tokio::net::UnixStream::from_std(stream).unwrap().into_split();
    let mut client = Client::new(reader, writer);
    client.initialize(&[&home.tree()], json!({"experimental": {}}), Value::Null).await;
    client.until_fresh().await;
    client.shut_down().await;
}
