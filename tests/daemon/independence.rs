//! A client that hangs, floods, sends garbage or dies harms no other.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use serde_json::json;
use syncline::daemon::wire::Purpose;

use crate::home::{Home, framed, introduction, plain};
use crate::support::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn no_client_harms_another() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.write("large.txt", "common ".repeat(200_000));
    let (mut child, mut client) = home.fresh_editor().await;

    // Says nothing at all.
    let silent = std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
    // Says half of something, and dies.
    let mut half = home.raw(Purpose::Session);
    half.write_all(b"Content-Length: 1000\r\n\r\n{\"jsonrpc\"").unwrap();
    half.shutdown(Shutdown::Both).unwrap();
    // Sends garbage, in every kind of connection.
    let garbage: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut rude = std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
    let _ = rude.write_all(&garbage);
    for purpose in [Purpose::Session, Purpose::Questions] {
        let mut garbler = home.raw(purpose);
        garbler.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let _ = garbler.write_all(&garbage);
    }
    // Asks for a great deal and never reads.
    let mut deaf = home.raw(Purpose::Session);
    deaf.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    deaf.write_all(&introduction(&home.tree())).unwrap();
    for id in 1..400 {
        let mut params = plain("common");
        params["maxResults"] = json!(1_000_000);
        params["partialResultToken"] = json!(id);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "syncline/search", "params": params});
        if deaf.write_all(&framed(&request)).is_err() {
            break;
        }
    }
    // Floods with requests, reading what comes.
    let mut flood = home.raw(Purpose::Session);
    let mut drain = flood.try_clone().unwrap();
    let draining = std::thread::spawn(move || std::io::copy(&mut drain, &mut std::io::sink()));
    flood.write_all(&introduction(&home.tree())).unwrap();
    let flooding = std::thread::spawn(move || {
        for id in 1..20_000 {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": "syncline/queue", "params": {}});
            if flood.write_all(&framed(&request)).is_err() {
                break;
            }
        }
        flood.shutdown(Shutdown::Both).unwrap();
    });

    for round in 0..20 {
        home.write("b.txt", format!("needle {round}\n"));
        let found = client.search(plain("needle")).await;
        assert_eq!(found, ["a.txt:0:0-6:needle".to_owned(), format!("b.txt:0:0-6:needle {round}")]);
    }
    assert_eq!(home.run(&["search", "-c", "needle"]), "a.txt:1\nb.txt:1\n");
    flooding.join().unwrap();
    draining.join().unwrap().unwrap();
    // Memory that waits for the deaf one is bounded.
    let memory = home.json(&["daemon", "status", "--json"])["memory"].as_u64().unwrap();
    assert!(memory < 600 << 20, "{memory} bytes");
    drop(deaf);
    client.shut_down().await;
    child.wait().await.unwrap();
    wait_for("all but the silent are gone", || {
        home.json(&["daemon", "status", "--json"])["clients"].as_array().unwrap().is_empty()
    });
    drop(silent);
}

#[test]
fn who_says_nothing_is_sent_away() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["sync"]);
    let mut silent = std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
    silent.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    let mut long = std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
    long.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    let _ = long.write_all(&[b'x'; 1 << 20]);
    assert!(matches!(long.read(&mut [0]), Ok(0) | Err(_)), "a line without an end");
}

/// Each could hold its line for five seconds, however many there were.
#[test]
fn of_those_who_say_nothing_the_first_make_room() {
    let home = Home::new(&[("a.txt", "needle\n")]);
    home.run(&["sync"]);
    let connect = || std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
    let mut silent: Vec<_> = (0..200).map(|_| connect()).collect();
    // Who speaks is let in.
    home.run(&["daemon", "status"]);
    assert!(home.run(&["sync"]).starts_with("fresh"));
    silent[0].set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    let mut told = String::new();
    silent[0].read_to_string(&mut told).unwrap();
    assert!(told.contains("refused") && told.contains("connect again"), "{told:?}");
}
