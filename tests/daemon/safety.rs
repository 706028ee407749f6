//! Who may come, what the daemon knows of whoever started it, and versions.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::{Value, json};
use syncline::daemon::wire::PROTOCOL;

use crate::home::{Home, framed, plain, said, socket_name};
use crate::support::wait_for;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_socket_is_the_users_alone() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    std::fs::create_dir(home.path("run/syncline")).unwrap();
    std::fs::set_permissions(home.path("run/syncline"), PermissionsExt::from_mode(0o777)).unwrap();
    home.run(&["sync"]);
    assert_eq!(mode(&home.path("run/syncline")), 0o700);
    assert_eq!(mode(&home.socket()), 0o600);
    let log = home.json(&["daemon", "status", "--json"])["log"].as_str().unwrap().to_owned();
    assert_eq!(mode(Path::new(&log)), 0o600);
}

#[test]
fn a_folder_that_somebody_else_prepared_is_not_used() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    symlink(home.path("home"), home.path("run/syncline")).unwrap();
    let output = home.syncline(&["sync"]).output().unwrap();
    // Everything works without.
    assert!(output.status.success());
    assert!(said(&output).contains("isn't this user's alone"), "{}", said(&output));
    assert_eq!(home.run(&["search", "needle"]), "a.txt:needle\n");
    assert!(home.daemons().is_empty());
    std::fs::remove_file(home.path("run/syncline")).unwrap();
}

/// Run by the next test as another user.
#[test]
#[ignore = "a part of another test"]
fn as_another_user() {
    let Some(socket) = std::env::var_os("SYNCLINE_TEST_SOCKET") else { return };
    let mut stream = UnixStream::connect(socket).expect("the folder lets others in for this test");
    stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    let _ = stream.write_all(b"{}\n");
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "sent away without a word");
    println!("sent away");
}

#[test]
fn another_user_is_sent_away() {
    if rustix::process::geteuid().as_raw() != 0 {
        eprintln!("only root can be another user; the folder's permissions are tested");
        return;
    }
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["sync"]);
    let socket = home.socket();
    for path in [home.path(""), home.path("run"), home.path("run/syncline"), socket.clone()] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let program = home.path("run/tests");
    // By a process of its own: what is started meanwhile would inherit the copy open for writing, and it couldn't be run.
    let copy = std::process::Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copy.unwrap().success());
    let mut other = std::process::Command::new(&program);
    other.args(["--exact", "safety::as_another_user", "--ignored", "--nocapture"]).current_dir("/");
    other.env("SYNCLINE_TEST_SOCKET", &socket).uid(65_534).gid(65_534);
    let output = other.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("sent away"), "{output:?}");
    // The user themself still is let in.
    home.run(&["daemon", "status"]);
}

/// Run by the next tests as another user: listens at a socket, and tells what is said there.
#[test]
#[ignore = "a part of another test"]
fn listen_as_another_user() {
    let Some(socket) = std::env::var_os("SYNCLINE_TEST_SOCKET") else { return };
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777)).unwrap();
    println!("listening");
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        println!("heard {}", said.len());
    }
}

/// Another user's process, which listens at the socket of the highest generation.
struct Stranger {
    child: std::process::Child,
    out: std::sync::mpsc::Receiver<String>,
}

impl Stranger {
    /// `None` when this process can't be another user.
    fn listen(home: &Home, socket: &Path) -> Option<Stranger> {
        if rustix::process::geteuid().as_raw() != 0 {
            eprintln!("only root can be another user");
            return None;
        }
        std::fs::create_dir_all(home.path("run/syncline")).unwrap();
        for path in [home.path(""), home.path("run"), home.path("run/syncline")] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let program = home.path("run/tests");
        let copy = std::process::Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
        assert!(copy.unwrap().success());
        let mut other = std::process::Command::new(&program);
        other.args(["--exact", "safety::listen_as_another_user", "--ignored", "--nocapture"]).current_dir("/");
        other.env("SYNCLINE_TEST_SOCKET", socket).uid(65_534).gid(65_534).stdout(std::process::Stdio::piped());
        let mut child = other.spawn().unwrap();
        let (give, out) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| give.send(line)));
        let listening = || out.recv_timeout(crate::support::DEADLINE).expect("it listens");
        while !listening().contains("listening") {}
        Some(Stranger { child, out })
    }

    /// The bytes that were said there.
    fn heard(&self) -> Vec<String> {
        self.out.try_iter().filter(|line| line.contains("heard")).collect()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The first thing a client says may hold a password: it was said to whoever had the highest socket.
#[tokio::test(flavor = "multi_thread")]
async fn who_listens_as_another_user_hears_nothing() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let socket = home.path("run/syncline").join(socket_name(7));
    let Some(stranger) = Stranger::listen(&home, &socket) else { return };
    // As if it were the user's own file: only the one who listens is another.
    std::os::unix::fs::chown(&socket, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(home.path("run/syncline"), PermissionsExt::from_mode(0o700)).unwrap();
    for command in [&["daemon", "status"][..], &["doctor"], &["search", "needle"], &["sync"]] {
        let output = home.syncline(command).env("SYNCLINE_QUEUE_CODEBASE", "secret").output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", said(&output));
        assert!(!said(&output).contains("going on without"), "{command:?}: {}", said(&output));
    }
    let (mut child, mut client) = home.fresh_editor().await;
    assert_eq!(client.search(plain("needle")).await, ["a.txt:0:0-6:needle"]);
    client.shut_down().await;
    child.wait().await.unwrap();
    assert_eq!(home.daemons().len(), 1, "they have an engine of their user's all the same");
    let heard = stranger.heard();
    assert!(heard.iter().all(|heard| heard.ends_with("heard 0")), "{heard:?}");
}

#[test]
fn what_another_user_left_in_the_folder_is_removed() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let socket = home.path("run/syncline").join(socket_name(7));
    let Some(stranger) = Stranger::listen(&home, &socket) else { return };
    home.run(&["sync"]);
    assert!(!socket.exists(), "it was never this user's");
    assert_eq!(mode(&home.path("run/syncline")), 0o700);
    assert_eq!(home.socket().file_name().unwrap(), &*socket_name(1));
    assert_eq!(stranger.heard(), Vec::<String>::new());
}

#[test]
fn nothing_of_where_it_was_started_is_kept() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let mut sync = home.syncline(&["sync"]);
    sync.env("SYNCLINE_LOG_LEVEL", "trace").env("REPOSITORY_SECRET", "x").env("LD_LIBRARY_PATH", "/nowhere");
    let output = sync.env("GIT_DIR", "/elsewhere").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let daemon = Path::new("/proc").join(home.daemon().to_string());
    let environment = std::fs::read(daemon.join("environ")).unwrap();
    let names: Vec<_> = environment
        .split(|&b| b == 0)
        .filter(|variable| !variable.is_empty())
        .map(|variable| String::from_utf8_lossy(variable.split(|&b| b == b'=').next().unwrap()).into_owned())
        .collect();
    assert_eq!(names, ["HOME", "XDG_RUNTIME_DIR"]);
    assert_eq!(std::fs::read_link(daemon.join("cwd")).unwrap(), Path::new("/"));
    for stream in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(std::fs::read_link(daemon.join(stream)).unwrap(), Path::new("/dev/null"), "{stream}");
    }
    // It belongs to no terminal, and to no process that started it.
    let stat = std::fs::read_to_string(daemon.join("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let (parent, session): (u32, u32) = (fields[1].parse().unwrap(), fields[3].parse().unwrap());
    assert_ne!(parent, std::process::id());
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let own: u32 = own.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_ne!(session, own);
}

/// Something that isn't this program's daemon, with the socket of one.
fn impostor(home: &Home, name: &str) -> UnixListener {
    let folder = home.path("run/syncline");
    let _ = std::fs::create_dir(&folder);
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    UnixListener::bind(folder.join(name)).unwrap()
}

#[test]
fn an_older_daemon_makes_room_and_other_protocols_are_left_alone() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let other_name = format!("v{}-9.sock", PROTOCOL + 1);
    let other_protocol = impostor(&home, &other_name);
    let older = impostor(&home, &socket_name(3));
    let leaving = std::thread::spawn(move || {
        let (mut stream, _) = older.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let hello: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(hello["protocol"], PROTOCOL);
        let welcome = json!({"protocol": PROTOCOL, "version": "0.0.1", "pid": 1, "answer": "leaving"});
        writeln!(stream, "{welcome}").unwrap();
    });
    home.run(&["sync"]);
    leaving.join().unwrap();
    assert_eq!(home.socket().file_name().unwrap(), &*socket_name(4));
    assert!(!home.path("run/syncline").join(socket_name(3)).exists(), "it is cleared away");
    assert!(home.path("run/syncline").join(&other_name).exists());
    drop(other_protocol);
}

/// States leave some out: where another batch followed at once, none told of the one that was waited for.
#[test]
fn a_sync_that_no_state_tells_of_holds_nobody_up() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["sync"]);
    let mut state = home.json(&["queue", "--json"])[0].clone();
    home.run(&["daemon", "stop"]);
    let other = impostor(&home, &socket_name(9));
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        let version = syncline::daemon::wire::VERSION;
        writeln!(stream, "{}", json!({"protocol": PROTOCOL, "version": version, "pid": 1, "answer": "welcome"}))
            .unwrap();
        while let Some(asked) = next_message(&mut reader) {
            let result = match asked["method"].as_str().unwrap() {
                "syncline/sync" => {
                    let outcome = state["lastSync"].clone();
                    state["lastSync"]["id"] = json!("01900000-0000-7000-8000-000000000000");
                    // An older one, by a clock that was set back.
                    state["lastSync"]["finishedAt"] = json!(1);
                    outcome
                }
                "syncline/queue" => json!([state]),
                _ => Value::Null,
            };
            if !asked["id"].is_null() {
                let reply = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
                stream.write_all(&framed(&reply)).unwrap();
            }
        }
    });
    let mut sync = home.syncline(&["sync"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_for("it ends", || sync.try_wait().unwrap().is_some());
    assert!(sync.wait().unwrap().success());
    serving.join().unwrap();
}

fn next_message(reader: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        match line.trim_end().strip_prefix("Content-Length: ") {
            Some(given) => length = given.parse().unwrap(),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_says_nothing_holds_nobody_up_for_long() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    let mute = impostor(&home, &socket_name(1));
    assert_eq!(home.run(&["search", "needle"]), "a.txt:needle\n");
    let (mut child, mut client) = home.editor();
    client.initialize(&[&home.tree()], json!({}), Value::Null).await;
    assert_eq!(client.search(plain("needle")).await, ["a.txt:0:0-6:needle"]);
    let told = client.notification("window/logMessage").await;
    assert!(told["message"].as_str().unwrap().contains("didn't answer within 5 s"), "{told}");
    client.shut_down().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    drop(mute);
}
