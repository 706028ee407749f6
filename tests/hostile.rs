//! A repository that is built to harm whoever opens it: what it tries, and that it gets nothing by it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lsp_client;
mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lsp_client::{Client, uri};
#[cfg(target_os = "linux")]
use rustix::fs::CWD;
use serde_json::{Value, json};
use support::{Fixture, open, ripgrep, search, until_fresh};

fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SYNCLINE_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", &fixture.index_dir).env("SYNCLINE_INDEX_DIR", &fixture.index_dir);
    command.current_dir(&fixture.root).args(arguments).arg("--standalone");
    command
}

fn syncline(fixture: &Fixture, arguments: &[&str]) -> Output {
    command(fixture, arguments).output().unwrap()
}

/// What a terminal would obey rather than show.
fn commands_in(output: &[u8]) -> Vec<char> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    String::from_utf8_lossy(output).chars().filter(|c| (c.is_control() && *c != '\n') || turns(*c)).collect()
}

#[test]
fn names_don_t_command_a_terminal() {
    let fixture = Fixture::new(&[]);
    let name = "title\x1b]0;owned\x07\nnext\r\u{202e}sr.rs";
    fixture.write(name, "fn harmful() {}\n");
    fixture.write("\x1b[2J/\u{9b}31m.md", "# harmful \x1b[31mheading\n");
    let unreadable = fixture.root.join(OsStr::from_bytes(b"\xff\x1b[5m"));
    std::fs::create_dir(&unreadable).unwrap();
    let found = syncline(&fixture, &["symbols", "harmful"]);
    let shown = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(shown.lines().count(), 2, "one line for each: {shown:?}");
    assert!(commands_in(&found.stdout).is_empty(), "{shown:?}");
    for arguments in [
        &["status"][..],
        &["queue"],
        &["doctor"],
        &["index"],
        &["index", "\x1b[2J\u{202e}gone"],
        &["search", "needle", "\x1b[2J\u{202e}gone"],
    ] {
        let output = syncline(&fixture, arguments);
        assert!(commands_in(&[output.stdout, output.stderr].concat()).is_empty(), "{arguments:?}");
    }
    // In JSON nothing is lost: programs get the name as it is.
    let found = syncline(&fixture, &["symbols", "--json", "harmful"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let paths = found["symbols"].as_array().unwrap().iter().map(|symbol| symbol["path"].as_str().unwrap());
    assert!(paths.clone().any(|path| path == name), "{:?}", paths.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_pipes_lead_nowhere() {
    let outside = Fixture::new(&[("secret.txt", "needle of somebody else\n")]);
    let fixture = Fixture::new(&[("own.txt", "needle\n")]);
    symlink(outside.root.join("secret.txt"), fixture.root.join("file.txt")).unwrap();
    symlink(&outside.root, fixture.root.join("folder")).unwrap();
    symlink(".", fixture.root.join("loop")).unwrap();
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    let found = search(&workspace, "needle").await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["own.txt"]);
    assert_eq!(found, ripgrep(&fixture.root, "needle"));
    // Nor does a file that becomes a link after it was indexed.
    std::fs::remove_file(fixture.root.join("own.txt")).unwrap();
    symlink(outside.root.join("secret.txt"), fixture.root.join("own.txt")).unwrap();
    assert_eq!(search(&workspace, "needle").await, ripgrep(&fixture.root, "needle"));
    // Nor is a pipe waited for that stands where a file was.
    std::fs::remove_file(fixture.root.join("own.txt")).unwrap();
    assert!(Command::new("mkfifo").arg(fixture.root.join("own.txt")).status().unwrap().success());
    assert!(search(&workspace, "needle").await.is_empty());
    engine.shutdown().await;
}

/// Has two paths change places, where the system can do that.
fn exchange(one: &Path, other: &Path) -> bool {
    #[cfg(target_os = "linux")]
    let outcome = rustix::fs::renameat_with(CWD, one, CWD, other, rustix::fs::RenameFlags::EXCHANGE).is_ok();
    #[cfg(not(target_os = "linux"))]
    let outcome = one == other;
    outcome
}

/// Guards against files that were indexed in a folder being read through what the folder became: a link that leads out. It
/// was a matter of a moment, so it is tried often, in each of the ways in which it happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_becomes_a_link_leads_nowhere() {
    let outside =
        Fixture::new(&[("keys/id", "needle of somebody else\n"), ("keys/deep/id", "needle of somebody else\n")]);
    let fixture = Fixture::new(&[]);
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    for (round, way) in ["removed", "moved away", "moved out", "exchanged", "checked out"].repeat(6).iter().enumerate()
    {
        let repository = format!("{round}");
        let at = |path: &str| fixture.root.join(&repository).join(path);
        for path in ["keys/id", "keys/deep/id", "own.txt"] {
            fixture.write(&format!("{repository}/{path}"), "needle\n");
        }
        let target = outside.root.join("keys");
        match *way {
            "checked out" => {
                let git = |arguments: &[&str]| fixture.git(&[&["-C", &repository], arguments].concat());
                git(&["init", "-q", "-b", "first"]);
                git(&["add", "."]);
                git(&["commit", "-q", "-m", "first"]);
                git(&["checkout", "-q", "-b", "linked"]);
                std::fs::remove_dir_all(at("keys")).unwrap();
                symlink(&target, at("keys")).unwrap();
                git(&["add", "."]);
                git(&["commit", "-q", "-m", "linked"]);
                git(&["checkout", "-q", "first"]);
                if round % 2 == 0 {
                    until_fresh(&workspace).await;
                }
                git(&["checkout", "-q", "linked"]);
            }
            way => {
                symlink(&target, at("link")).unwrap();
                // With the folder in the index, and with it on its way there.
                if round % 2 == 0 {
                    assert_eq!(search(&workspace, "needle").await, ripgrep(&fixture.root, "needle"));
                    until_fresh(&workspace).await;
                }
                match way {
                    "removed" => std::fs::remove_dir_all(at("keys")).unwrap(),
                    "moved away" => std::fs::rename(at("keys"), at("kept")).unwrap(),
                    // Then it leads to the same files as before, which are none of the tree's any more.
                    "moved out" => {
                        let out = outside.root.join(format!("moved-{round}"));
                        std::fs::rename(at("keys"), &out).unwrap();
                        std::fs::remove_file(at("link")).unwrap();
                        symlink(&out, at("link")).unwrap();
                    }
                    _ => {}
                }
                if way != "exchanged" {
                    std::fs::rename(at("link"), at("keys")).unwrap();
                } else if !exchange(&at("keys"), &at("link")) {
                    continue;
                }
            }
        }
        for when in ["at once", "once more"] {
            assert_eq!(search(&workspace, "needle").await, ripgrep(&fixture.root, "needle"), "{way}, {when}");
        }
        let state = until_fresh(&workspace).await;
        assert_eq!(
            search(&workspace, "somebody else").await,
            ripgrep(&fixture.root, "somebody else"),
            "{way}, indexed"
        );
        assert_eq!(state.health, syncline::workspace::Health::Ok);
    }
    engine.shutdown().await;
}

#[test]
fn a_repository_s_settings_name_no_host_and_no_folder() {
    let fixture = Fixture::new(&[("a.txt", "needle\n")]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let stolen = fixture.index_dir.with_file_name("stolen");
    let wanted = format!(
        "[queue]\nbackend = \"redis\"\nredis_url = \"redis://user:password@{}\"\n[index]\ndir = {:?}\n[log]\nfile = {:?}\n",
        listener.local_addr().unwrap(),
        stolen,
        stolen,
    );
    fixture.write(".syncline.toml", wanted);
    let output = syncline(&fixture, &["index"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("queue.redis_url") && said.contains(".syncline.toml"), "{said}");
    assert!(!said.contains("password"), "{said}");
    assert!(!stolen.exists());
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
    let found = syncline(&fixture, &["search", "needle"]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "a.txt:needle\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rules_and_deep_folders_are_borne() {
    let fixture = Fixture::new(&[("kept.txt", "needle\n"), ("rule-77777.txt", "needle\n")]);
    let rules: String = (0..100_000).map(|rule| format!("rule-{rule}.txt\n")).collect();
    fixture.write(".ignore", rules);
    let deep = vec!["d"; 900].join("/");
    fixture.write(&format!("{deep}/deep.txt"), "needle\n");
    let (engine, workspace) = open(&fixture);
    until_fresh(&workspace).await;
    let found = search(&workspace, "needle").await;
    assert_eq!(found, ripgrep(&fixture.root, "needle"));
    assert_eq!(found.len(), 2);
    // Events from down there still come.
    fixture.write(&format!("{deep}/deep.txt"), "another needle\n");
    assert_eq!(search(&workspace, "another").await.len(), 1);
    engine.shutdown().await;
}

#[test]
fn expressions_don_t_explode() {
    let fixture = Fixture::new(&[("a.txt", &format!("{}\n", "a".repeat(5_000)))]);
    assert!(syncline(&fixture, &["index"]).status.success());
    let too_large = syncline(&fixture, &["search", "(?:a{1000}){1000}{1000}"]);
    assert_eq!(too_large.status.code(), Some(2));
    let said = String::from_utf8_lossy(&too_large.stderr).into_owned();
    assert!(said.contains("too big") || said.contains("size limit"), "{said}");
    // What takes other matchers exponential time.
    for pattern in ["(?:a?){300}a{300}$", "(a+)+$", "(?:a|a)*b", "(.*)*x"] {
        let found = syncline(&fixture, &["search", "-c", pattern]);
        let rg = Command::new(std::env::var_os("SYNCLINE_TEST_RG").expect("run by `cargo xtask test`"))
            .args(["--no-config", "-c", pattern, "."])
            .current_dir(&fixture.root)
            .output()
            .unwrap();
        assert_eq!(found.status.code(), rg.status.code(), "{pattern}");
    }
    // Nests deeper than any parser should follow.
    let nested = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(syncline(&fixture, &["search", &nested]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_nothing_outside_its_roots() {
    let outside = Fixture::new(&[("secret.txt", "needle of somebody else\n")]);
    let fixture = Fixture::new(&[("own.txt", "needle\n")]);
    let mut server = tokio::process::Command::from(command(&fixture, &["lsp", "--stdio"]));
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn().unwrap();
    let mut client = Client::new(server.stdout.take().unwrap(), server.stdin.take().unwrap());
    client.initialize(&[&fixture.root], json!({}), Value::Null).await;
    client.until_fresh().await;
    let secret = outside.root.join("secret.txt");
    let through = fixture.root.join("../..").join(outside.root.file_name().unwrap()).join("secret.txt");
    for path in [&secret, &through] {
        client.open(path, "needle of a document elsewhere\n").await;
        client.save(path).await;
    }
    let params =
        json!({"query": "needle", "isRegex": false, "isCaseSensitive": true, "wholeWord": false, "maxResults": 100});
    assert_eq!(client.search(params.clone()).await, ["own.txt:0:0-6:needle"]);
    let mut elsewhere = params.clone();
    elsewhere["codebase"] = json!(uri(&outside.root));
    let error = client.request("syncline/search", elsewhere).await.unwrap_err();
    assert_eq!(error["code"], -32602);
    for glob in ["../**", "/etc/**", "**/../**"] {
        let mut globbed = params.clone();
        globbed["include"] = json!([glob]);
        match client.request("syncline/search", globbed).await {
            Ok(found) => assert_eq!(found["matches"], json!([]), "{glob}"),
            Err(error) => assert_eq!(error["code"], -32602, "{glob}"),
        }
    }
    client.shut_down().await;
    assert!(server.wait().await.unwrap().success());
}
