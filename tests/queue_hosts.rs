//! Two hosts on one shared folder and one Redis: network namespaces of the test's own, with a link that is cut and healed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod redis_server;
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use redis_server::RedisServer;
use serde_json::Value;
use support::{Fixture, wait_for};

const INSIDE: &str = "SYNCLINE_TEST_INSIDE";

/// A host with an engine.
struct Host {
    number: u8,
    child: Child,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Host {
    /// A host with a network of its own, linked to the one of the test.
    fn start(number: u8, port: u16, fixture: &Fixture) -> Host {
        for step in [
            format!("ip netns add host{number}"),
            format!("ip link add link{number} type veth peer name eth0 netns host{number}"),
            format!("ip addr add 10.77.{number}.1/24 dev link{number}"),
            format!("ip link set link{number} up"),
            format!("nsenter --net=/run/netns/host{number} ip addr add 10.77.{number}.2/24 dev eth0"),
            format!("nsenter --net=/run/netns/host{number} ip link set eth0 up"),
        ] {
            sh(&step);
        }
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/host{number}")).args(["unshare", "--uts", "sh", "-c"]);
        command.arg(format!("hostname host{number}; exec \"$@\"")).arg("sh").arg(env!("CARGO_BIN_EXE_syncline"));
        command.args(["watch", "--json", "--standalone"]).arg(&fixture.root);
        let index = fixture.index_dir.join(format!("host{number}"));
        command.env("XDG_CONFIG_HOME", &index).env("SYNCLINE_INDEX_DIR", &index);
        command.env("SYNCLINE_QUEUE_REDIS_URL", format!("redis://10.77.{number}.1:{port}"));
        command.env("SYNCLINE_QUEUE_CODEBASE", "shared").env("SYNCLINE_QUEUE_LEASE_MS", "1000");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (lines, note) = (BufReader::new(child.stdout.take().unwrap()).lines(), seen.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                note.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Host { number, child, seen }
    }

    fn link(&self, state: &str) {
        sh(&format!("ip link set link{} {state}", self.number));
    }

    /// Waits until the state that it printed last is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        wait_for(&format!("host {}: {what}", self.number), || self.seen.lock().unwrap().last().is_some_and(&wanted));
    }

    /// Waits until its index is equal to the tree of so many files, with its queue there.
    fn holds(&self, files: usize, backend: &str, health: &str) {
        self.until(&format!("{files} files, {backend}, {health}"), |state| {
            state["index"]["fresh"] == true
                && state["index"]["files"] == files
                && state["backend"] == backend
                && state["health"] == health
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn sh(command: &str) {
    let status = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}

#[test]
fn two_hosts_go_on_apart_and_together_again_when_a_link_is_cut_and_healed() {
    if std::env::var_os(INSIDE).is_none() {
        // Networks of its own, and the right to change them, whoever runs it.
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--net", "--mount", "--uts"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture"]);
        command.arg("two_hosts_go_on_apart_and_together_again_when_a_link_is_cut_and_healed");
        let status = command.env(INSIDE, "1").stdin(Stdio::null()).status().expect("unshare, of util-linux, runs");
        assert!(status.success(), "{status}");
        return;
    }
    sh("mount --make-rprivate / && mount -t tmpfs none /run && ip link set lo up");
    let server = RedisServer::start_with(&["--bind", "0.0.0.0", "--protected-mode", "no"]);
    let fixture = Fixture::new(&[("0.txt", "needle\n")]);
    let hosts = [Host::start(1, server.port, &fixture), Host::start(2, server.port, &fixture)];
    let mut files = 1;
    let mut write = || {
        fixture.write(&format!("{files}.txt"), format!("needle {files}\n"));
        files += 1;
        files
    };
    hosts.iter().for_each(|host| host.holds(1, "redis", "ok"));
    let now = write();
    hosts.iter().for_each(|host| host.holds(now, "redis", "ok"));
    for _ in 0..2 {
        hosts[1].link("down");
        let now = write();
        hosts[0].holds(now, "redis", "ok");
        hosts[1].holds(now, "local", "degraded");
        let last = hosts[1].seen.lock().unwrap().last().cloned().unwrap();
        assert!(last["message"].as_str().unwrap().contains("see that it"), "{last}");
        hosts[1].link("up");
        let now = write();
        hosts.iter().for_each(|host| host.holds(now, "redis", "ok"));
    }
    let owners = |state: &Value| -> Vec<String> {
        let batches = state["queue"].as_array().unwrap().iter();
        batches.map(|batch| batch["owner"]["host"].as_str().unwrap().to_owned()).collect()
    };
    let seen: Vec<_> = hosts[0].seen.lock().unwrap().iter().flat_map(owners).collect();
    assert!(seen.iter().any(|host| host == "host2"), "one host sees the other's batches: {seen:?}");
}
