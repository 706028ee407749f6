//! Many clients at once, with stale sockets about and daemons killed at random moments.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::home::{Home, kill, plain, socket_name};
use crate::lsp_client::{DEADLINE, shown};
use crate::support::{Random, wait_for};

/// Rounds, unless `SYNCLINE_TEST_STORM` says how many.
const ROUNDS: usize = 5;
const CLIENTS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_clients_ends_with_one_daemon_and_all_of_them_answered() {
    let rounds = std::env::var("SYNCLINE_TEST_STORM").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let home = Home::new(&[("a.txt", "needle\n")]);
    let mut random = Random::new(5);
    for round in 0..rounds {
        // Sockets that nobody listens to, of the past and of the future.
        let newest = match home.path("run/syncline").exists() {
            true => std::fs::read_dir(home.path("run/syncline")).unwrap().count() as u64 + 1000 * round as u64,
            false => 0,
        };
        if round > 0 && random.below(2) == 0 {
            home.daemons().into_iter().for_each(kill);
            wait_for("it is gone", || home.daemons().is_empty());
            for generation in newest..newest + 3 {
                let path = home.path("run/syncline").join(socket_name(generation));
                drop(UnixListener::bind(path));
            }
        }
        let clients: Vec<_> = (0..CLIENTS).map(|_| home.editor()).collect();
        let clients: Vec<_> = clients
            .into_iter()
            .map(|(mut child, mut client)| {
                let tree = home.tree();
                tokio::spawn(async move {
                    client.initialize(&[&tree], json!({}), Value::Null).await;
                    for _ in 0..3 {
                        // A search that dies with two daemons is left to the editor to ask again.
                        let result = loop {
                            match client.request("syncline/search", plain("needle")).await {
                                Ok(result) => break result,
                                Err(error) => assert_eq!(error["code"], -32801, "{error}"),
                            }
                        };
                        assert_eq!(shown(&result["matches"]), ["a.txt:0:0-6:needle"]);
                    }
                    // Who finds no daemon in time goes on alone, and says so.
                    client.take_kept(|message| message["method"] == "window/showMessage");
                    client.shut_down().await;
                    let status = tokio::time::timeout(DEADLINE, child.wait()).await.expect("it ends").unwrap();
                    assert_eq!(status.code(), Some(0));
                })
            })
            .collect();
        // Twice only: three deaths would be enough for an engine of their own.
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(random.below(400) as u64)).await;
            home.daemons().into_iter().for_each(kill);
        }
        for client in clients {
            client.await.unwrap();
        }
        home.run(&["sync"]);
        let daemon = home.daemon();
        assert_eq!(home.json(&["daemon", "status", "--json"])["pid"], daemon, "round {round}");
    }
}
