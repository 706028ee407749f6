//! A home folder isn't indexed unasked: editors and habits make it a root more often than anybody means it.

use serde_json::{Value, json};

use crate::home::{Home, plain, said};

fn home() -> Home {
    let home = Home::new(&[]);
    std::fs::write(home.path("home/a.txt"), "needle\n").unwrap();
    // What lies in there isn't the user's word, either.
    std::fs::write(home.path("home/.syncline.toml"), "index.home = true\n").unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_that_opens_one_is_told_once_and_a_setting_is_the_word() {
    let home = home();
    let (mut child, mut client) = home.editor();
    client.initialize(&[&home.path("home"), &home.path(""), &home.tree()], json!({}), Value::Null).await;
    client.until_fresh().await;
    let told = client.take_kept(|message| message["method"] == "window/showMessage");
    let about: Vec<_> = told.iter().filter_map(|m| m["params"]["message"].as_str()).collect();
    let about: Vec<_> = about.into_iter().filter(|told| told.contains("home folder")).collect();
    assert!(about.len() == 2 && about.iter().all(|told| told.contains("index.home")), "{about:?}");
    let states = client.request("syncline/queue", json!({})).await.unwrap();
    assert_eq!(states.as_array().unwrap().len(), 1, "the tree is open, as ever: {states}");
    client.shut_down().await;
    child.wait().await.unwrap();

    let (mut child, mut client) = home.editor_with(&[("SYNCLINE_INDEX_HOME", "true")]);
    client.initialize(&[&home.path("home")], json!({}), Value::Null).await;
    client.until_fresh().await;
    assert_eq!(client.search(plain("needle")).await, ["a.txt:0:0-6:needle"]);
    client.take_kept(|message| message["method"] == "window/showMessage");
    client.shut_down().await;
    child.wait().await.unwrap();
}

#[test]
fn a_command_needs_it_named() {
    let home = home();
    let (whole, name) = (home.path("home"), home.path("home").display().to_string());
    for command in
        [&["watch"][..], &["index"], &["index", "."], &["sync"], &["sync", "--standalone"], &["watch", "--standalone"]]
    {
        let output = home.syncline(command).current_dir(&whole).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", said(&output));
        assert!(said(&output).contains("index.home"), "{command:?}: {}", said(&output));
    }
    let status = home.syncline(&["status"]).current_dir(&whole).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("since it is your home folder"), "{status}");
    assert_eq!(home.run(&["search", "needle", &name]), format!("{name}/a.txt:needle\n"), "a search needs no index");
    // Named it is meant, and so it is from then on: it has an index.
    home.run(&["sync", &name]);
    let again = home.syncline(&["sync"]).current_dir(&whole).output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
}
