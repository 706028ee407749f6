//! Open documents, as an editor sees them: what is said of their texts, where matches in them are, and which text is which
//! file's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lsp_client;
mod support;

use std::path::Path;

use lsp_client::{Client, DEADLINE, uri};
use serde_json::{Value, json};
use support::Fixture;
use syncline::core::settings::Sources;
use syncline::lsp::{Ended, ServeOptions, serve};
use syncline::workspace::Engine;
use tokio::task::JoinHandle;

/// An editor that has folders open, and its server.
struct Editor {
    client: Client,
    serving: JoinHandle<Ended>,
}

impl Editor {
    /// An editor with the fixture's tree open and fresh.
    async fn new(fixture: &Fixture) -> Editor {
        Editor::with(fixture, &fixture.root, "utf-16").await
    }

    async fn with(fixture: &Fixture, root: &Path, encoding: &str) -> Editor {
        let (client_in, server_out) = tokio::io::duplex(1 << 16);
        let (server_in, client_out) = tokio::io::duplex(1 << 16);
        let environment = vec![("SYNCLINE_INDEX_DIR".to_owned(), fixture.index_dir.clone().into_os_string())];
        let options =
            ServeOptions { sources: Sources { environment, ..Sources::default() }, ..ServeOptions::default() };
        let engine = Engine::new(&fixture.settings());
        let serving = tokio::spawn(serve(server_in, server_out, engine, options));
        let mut client = Client::new(client_in, client_out);
        let capabilities = json!({"general": {"positionEncodings": [encoding]}});
        client.initialize(&[root], capabilities, Value::Null).await;
        client.until_fresh().await;
        Editor { client, serving }
    }

    async fn open(&mut self, uri: &str, text: &str) {
        let document = json!({"uri": uri, "languageId": "x", "version": 1, "text": text});
        self.client.notify("textDocument/didOpen", json!({"textDocument": document})).await;
    }

    async fn change(&mut self, uri: &str, changes: Value) {
        let params = json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": changes});
        self.client.notify("textDocument/didChange", params).await;
    }

    async fn type_in(&mut self, uri: &str, text: &str) {
        let start = json!({"line": 0, "character": 0});
        self.change(uri, json!([{"range": {"start": start, "end": start}, "text": text}])).await;
    }

    async fn save(&mut self, uri: &str) {
        self.client.notify("textDocument/didSave", json!({"textDocument": {"uri": uri}})).await;
    }

    async fn close(&mut self, uri: &str) {
        self.client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri}})).await;
    }

    /// A message whose JSON is this.
    async fn say(&mut self, json: &str) {
        self.client.send_bytes(format!("Content-Length: {}\r\n\r\n{json}", json.len()).as_bytes()).await;
    }

    /// The lines with matches, each as its file's name and text.
    async fn lines(&mut self, query: &str) -> Vec<String> {
        let line = |found: &Value| format!("{}: {}", name(found), found["text"].as_str().unwrap());
        self.matches(query).await.iter().map(line).collect()
    }

    /// Where matches are, each as `FILE LINE:CHARACTER-LINE:CHARACTER`.
    async fn ranges(&mut self, query: &str) -> Vec<String> {
        self.matches(query).await.iter().map(|found| format!("{} {}", name(found), range(&found["range"]))).collect()
    }

    async fn matches(&mut self, query: &str) -> Vec<Value> {
        let params = json!({"query": query, "isRegex": true, "isCaseSensitive": true});
        let mut result = self.client.request("syncline/search", params).await.unwrap();
        assert_eq!(result["fresh"], true, "{result}");
        serde_json::from_value(result["matches"].take()).unwrap()
    }

    async fn symbol(&mut self, query: &str) -> String {
        let symbols = self.client.request("workspace/symbol", json!({"query": query})).await.unwrap();
        assert_eq!(symbols.as_array().map(Vec::len), Some(1), "{query}: {symbols}");
        range(&symbols[0]["location"]["range"])
    }

    /// What the user's log was told.
    async fn logged(&mut self) -> String {
        self.client.notification("window/logMessage").await["message"].as_str().unwrap().to_owned()
    }

    async fn shut_down(mut self) {
        self.client.shut_down().await;
        let ended = tokio::time::timeout(DEADLINE, self.serving).await.expect("the server ends").unwrap();
        assert_eq!(ended, Ended::Orderly);
    }
}

fn name(found: &Value) -> &str {
    found["uri"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn range(range: &Value) -> String {
    let place = |end: &str| format!("{}:{}", range[end]["line"], range[end]["character"]);
    format!("{}-{}", place("start"), place("end"))
}

// Editors whose strings are UTF-16 send halves of pairs, as escapes that no JSON parser takes: the message was lost, and
// the texts differed from then on.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_surrogate_pair_loses_no_message() {
    let fixture = Fixture::new(&[("a.txt", "disk\n")]);
    let mut editor = Editor::new(&fixture).await;
    let a = uri(&fixture.root.join("a.txt"));
    let edit = |at: u32, to: u32, text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"textDocument/didChange","params":{{"textDocument":{{"uri":"{a}","version":2}},
            "contentChanges":[{{"range":{{"start":{{"line":0,"character":{at}}},"end":{{"line":0,"character":{to}}}}},"text":"{text}"}}]}}}}"#
        )
    };
    editor.open(&a, "x 😀 needle\n").await;
    editor.say(&edit(0, 0, r"\ud83d")).await;
    editor.say(&edit(1, 1, r"\uDE00 \\ud83d ")).await;
    assert_eq!(editor.ranges("needle").await, ["a.txt 0:15-0:21"]);
    assert_eq!(editor.lines("needle").await, [r"a.txt: �� \ud83d x 😀 needle"]);
    // The other half of the emoji becomes another, as editors say that compare texts by units.
    editor.say(&edit(13, 14, r"\ude01")).await;
    assert_eq!(editor.ranges("needle").await, ["a.txt 0:15-0:21"]);
    // Once it is saved, what is on disk is what the user wrote.
    fixture.write("a.txt", "😀 \\ud83d x 😁 needle\n");
    editor.save(&a).await;
    assert_eq!(editor.lines("needle").await, [r"a.txt: 😀 \ud83d x 😁 needle"]);
    editor.say(&edit(15, 15, "a ")).await;
    assert_eq!(editor.ranges("needle").await, ["a.txt 0:17-0:23"]);

    let open = format!(
        r#"{{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{{"textDocument":{{"uri":"{a}","languageId":"x",
        "version":1,"text":"\ud83d\ud83d\ude00 needle"}}}}}}"#
    );
    editor.say(&open).await;
    assert_eq!(editor.lines("needle").await, ["a.txt: �😀 needle"]);
    editor
        .say(r#"{"jsonrpc":"2.0","id":"half","method":"syncline/search","params":{"query":"\ud83d","isCaseSensitive":true}}"#)
        .await;
    let reply = editor.client.until("an answer", |message| message["id"] == "half").await;
    assert_eq!(reply["result"]["matches"].as_array().map(Vec::len), Some(1), "{reply}");
    editor.shut_down().await;
}

// Only its range and text are needed, but a wrong version or length lost the edit, and the text was wrong from then on.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_counts_whatever_else_is_said_of_it() {
    let fixture = Fixture::new(&[("a.txt", "disk\n")]);
    let mut editor = Editor::new(&fixture).await;
    let a = uri(&fixture.root.join("a.txt"));
    let range = |to: Value| json!({"start": {"line": 0, "character": 0}, "end": {"line": to, "character": 0}});
    let whole = json!({"text": "needle\n"});
    let far = json!({"range": range(json!((1_u64 << 53) - 1)), "text": "needle\n"});
    let reversed = json!({"range": {"start": {"line": 9, "character": 9}, "end": {"line": 0, "character": 0}}, "text": "needle\n"});
    let cases = [
        (json!({"uri": a, "version": null}), whole.clone()),
        (json!({"uri": a}), whole.clone()),
        (json!({"uri": a, "version": 1_u64 << 31}), whole.clone()),
        (json!({"uri": a, "version": "two"}), whole),
        (json!({"uri": a, "version": 2}), json!({"range": range(json!(1)), "rangeLength": -1, "text": "needle\n"})),
        (json!({"uri": a, "version": 2}), far),
        (json!({"uri": a, "version": 2}), reversed),
    ];
    for (document, change) in cases {
        let opened = json!({"textDocument": {"uri": a, "text": "x\n"}});
        editor.client.notify("textDocument/didOpen", opened).await;
        assert_eq!(editor.lines("x").await, ["a.txt: x"]);
        let params = json!({"textDocument": document, "contentChanges": [change]});
        editor.client.notify("textDocument/didChange", params.clone()).await;
        assert_eq!(editor.lines("needle").await, ["a.txt: needle"], "{params}");
        editor.close(&a).await;
    }
    editor.shut_down().await;
}

// Such an edit was passed over without a word, and later ones applied to a text that the editor didn't have.
#[tokio::test(flavor = "multi_thread")]
async fn after_an_edit_that_is_none_the_file_on_disk_counts_until_the_whole_text_comes() {
    let fixture = Fixture::new(&[("a.txt", "needle on disk\n")]);
    let mut editor = Editor::new(&fixture).await;
    let a = uri(&fixture.root.join("a.txt"));
    let start = json!({"line": 0, "character": 0});
    for change in [
        json!({"range": {"start": start, "end": start}}),
        json!({"text": 7}),
        json!({"range": {"start": start, "end": {"line": -1, "character": 0}}, "text": "x"}),
        json!("x"),
    ] {
        editor.open(&a, "needle on paper\n").await;
        assert_eq!(editor.lines("needle").await, ["a.txt: needle on paper"]);
        editor.change(&a, json!([{"text": "needle again\n"}, change])).await;
        assert_eq!(editor.lines("needle").await, ["a.txt: needle on disk"], "{change}");
        editor.change(&a, json!([change])).await;
        editor.type_in(&a, "needle, needle").await;
        assert_eq!(editor.lines("needle").await, ["a.txt: needle on disk"]);
        let told = editor.logged().await;
        assert!(told.contains(&a) && told.contains("didChange: contentChanges["), "{told}");
        editor.change(&a, json!([{"text": "needle, whole\n"}])).await;
        assert_eq!(editor.lines("needle").await, ["a.txt: needle, whole"]);
        editor.close(&a).await;
    }
    // Nor is a document opened that has no text.
    editor.client.notify("textDocument/didOpen", json!({"textDocument": {"uri": a, "version": 1}})).await;
    assert_eq!(editor.lines("needle").await, ["a.txt: needle on disk"]);
    assert!(editor.logged().await.contains("didOpen: textDocument has no text"));
    let more = editor.client.take_kept(|message| message["method"] == "window/logMessage");
    assert_eq!(more, Vec::<Value>::new(), "each was said once");
    editor.shut_down().await;
}

// The protocol's lines end in a lone carriage return too, ripgrep's don't: edits were right, and places in answers not.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_carriage_return_ends_a_line() {
    let text = "int one;\rint two; int too;\r\nint three;\r\rint four;\n";
    let large =
        ["\rfiller\n".repeat(200_000).as_str(), "\rint much;\n", &"filler\r\n".repeat(9), "int more;\n"].concat();
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let fixture = Fixture::new(&[("a.c", text), ("large.txt", &large), ("crlf.txt", "int\r\nint six;\r\n")]);
    fixture.write("wide.txt", wide);
    fixture.write("nul.txt", [text, &"filler\n".repeat(30_000), "\0"].concat());
    let mut editor = Editor::new(&fixture).await;
    let of =
        |places: &[&str], place: &str| -> Vec<String> { places.iter().map(|file| format!("{file} {place}")).collect() };
    let files = ["a.c", "nul.txt", "wide.txt"];
    assert_eq!(editor.ranges("int two").await, of(&files, "1:0-1:7"));
    assert_eq!(editor.ranges("too").await, of(&files, "1:13-1:16"));
    assert_eq!(editor.ranges("three").await, of(&files, "2:4-2:9"));
    assert_eq!(editor.ranges("int four").await, of(&files, "4:0-4:8"));
    assert_eq!(editor.ranges("one;.int").await, of(&files, "0:4-1:3"), "over the line's end");
    assert_eq!(editor.lines("too").await[0], "a.c: int two; int too;");
    assert_eq!(
        editor.ranges("int much|int more").await,
        ["large.txt 400001:0-400001:8", "large.txt 400011:0-400011:8"]
    );
    assert_eq!(editor.ranges("six").await, ["crlf.txt 1:4-1:7"]);
    assert_eq!([editor.symbol("two").await, editor.symbol("four").await], ["1:4-1:7", "4:4-4:8"]);

    // A place in an answer is a place for an edit.
    let a = uri(&fixture.root.join("a.c"));
    editor.open(&a, text).await;
    let found = editor.matches("four").await[0].clone();
    assert_eq!(range(&found["range"]), "4:4-4:8");
    editor.change(&a, json!([{"range": found["range"], "text": "much"}])).await;
    assert_eq!(editor.lines("int much").await[0], "a.c: int much;");
    assert_eq!(editor.symbol("much").await, "4:4-4:8");
    editor.shut_down().await;
}

// Few editors send the mark; those that do count it, while a file's mark is counted by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_counts_where_the_editor_has_it() {
    let fixture = Fixture::new(&[("a.c", "\u{feff}int one;\nint two;\n")]);
    let a = uri(&fixture.root.join("a.c"));
    for (encoding, width) in [("utf-16", 1), ("utf-32", 1), ("utf-8", 3)] {
        let mut editor = Editor::with(&fixture, &fixture.root, encoding).await;
        assert_eq!(editor.ranges("one").await, ["a.c 0:4-0:7"]);
        editor.open(&a, "int three;\nint four;\n").await;
        assert_eq!(editor.ranges("^int three").await, ["a.c 0:0-0:9"]);
        editor.open(&a, "\u{feff}int three;\nint four;\n").await;
        let place = format!("0:{}-0:{}", width + 4, width + 9);
        assert_eq!(editor.ranges("three").await, [format!("a.c {place}")]);
        assert_eq!(editor.lines("^int three").await, ["a.c: \u{feff}int three;"]);
        assert_eq!(editor.symbol("three").await, place);
        assert_eq!([editor.symbol("four").await, editor.ranges("four").await[0].clone()], ["1:4-1:8", "a.c 1:4-1:8"]);
        let found = editor.matches("three").await[0].clone();
        editor.change(&a, json!([{"range": found["range"], "text": "five"}])).await;
        assert_eq!(editor.lines("five").await, ["a.c: \u{feff}int five;"]);
        editor.shut_down().await;
    }
}

// Which of them counted was by chance.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_documents_for_one_file_the_one_edited_last_counts() {
    let fixture = Fixture::new(&[("a.txt", "needle on disk\n")]);
    let link = fixture.index_dir.with_file_name("link");
    std::os::unix::fs::symlink(&fixture.root, &link).unwrap();
    for _ in 0..6 {
        let mut editor = Editor::with(&fixture, &link, "utf-16").await;
        let (target, through) = (uri(&fixture.root.join("a.txt")), uri(&link.join("a.txt")));
        editor.open(&target, "needle target\n").await;
        editor.type_in(&target, "edited ").await;
        editor.open(&through, "needle through\n").await;
        assert_eq!(editor.lines("needle").await, ["a.txt: edited needle target"], "opening is no edit");
        assert_eq!(editor.matches("needle").await[0]["uri"], target, "the URI is that of the text");
        editor.type_in(&through, "edited ").await;
        assert_eq!(editor.lines("needle").await, ["a.txt: edited needle through"]);
        assert_eq!(editor.matches("needle").await[0]["uri"], through);
        editor.save(&target).await;
        assert_eq!(editor.lines("needle").await, ["a.txt: edited needle target"], "saved last");
        editor.close(&target).await;
        assert_eq!(editor.lines("needle").await, ["a.txt: edited needle through"]);
        editor.close(&through).await;
        assert_eq!(editor.lines("needle").await, ["a.txt: needle on disk"]);
        editor.shut_down().await;
    }
}

// The text on disk was found, and what was typed wasn't.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_the_file_that_its_path_leads_to() {
    let fixture = Fixture::new(&[("real/a.txt", "needle on disk\n"), ("other/a.txt", "nothing\n")]);
    let outside = Fixture::new(&[("a.txt", "needle outside\n")]);
    let link = |to: &str, name: &str| {
        let at = fixture.root.join(name);
        let _ = std::fs::remove_file(&at);
        std::os::unix::fs::symlink(to, at).unwrap();
    };
    link("real", "folder");
    link("real/a.txt", "file.txt");
    link(outside.root.to_str().unwrap(), "outside");
    let mut editor = Editor::new(&fixture).await;
    for name in ["folder/a.txt", "file.txt"] {
        let document = uri(&fixture.root.join(name));
        editor.open(&document, "needle on paper\n").await;
        assert_eq!(editor.lines("needle").await, [format!("{}: needle on paper", name.rsplit('/').next().unwrap())]);
        assert_eq!(editor.matches("needle").await[0]["uri"], document, "where the editor has that text");
        editor.close(&document).await;
    }
    let out = uri(&fixture.root.join("outside/a.txt"));
    editor.open(&out, "needle unsaved outside\n").await;
    assert_eq!(editor.lines("needle").await, ["a.txt: needle on disk"]);
    // Where a link leads may change while a document is open.
    editor.open(&uri(&fixture.root.join("folder/a.txt")), "needle on paper\n").await;
    assert_eq!(editor.lines("needle").await, ["a.txt: needle on paper"]);
    link("other", "folder");
    assert_eq!(editor.lines("needle").await, ["a.txt: needle on paper", "a.txt: needle on disk"]);
    link("real", "folder");
    assert_eq!(editor.lines("needle").await, ["a.txt: needle on paper"]);
    // A file is written through the link.
    std::fs::write(fixture.root.join("folder/a.txt"), "needle, written\n").unwrap();
    editor.save(&uri(&fixture.root.join("folder/a.txt"))).await;
    editor.close(&uri(&fixture.root.join("folder/a.txt"))).await;
    assert_eq!(editor.lines("needle").await, ["a.txt: needle, written"]);
    editor.shut_down().await;
}

// `%2B` and `+` were two documents; a notebook's cell took the notebook's place.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_the_same_however_it_is_escaped_and_a_part_of_a_file_isn_t_the_file() {
    let fixture = Fixture::new(&[("a+~b.txt", "needle on disk\n"), ("nb.py", "needle in notebook\n")]);
    let mut editor = Editor::new(&fixture).await;
    let root = uri(&fixture.root);
    editor.open(&format!("{root}/a%2B%7eb.txt"), "needle opened\n").await;
    editor.type_in(&format!("{root}/a+~b.txt"), "edited ").await;
    editor.type_in(&format!("{root}/a%2b%7Eb.txt"), "again ").await;
    for other in ["nb.py#cell1", "nb.py?rev=1", "nb.py#"] {
        editor.open(&format!("{root}/{other}"), "needle in cell\n").await;
        editor.type_in(&format!("{root}/{other}"), "needle ").await;
    }
    for other in ["untitled:nb.py", "git:///nb.py", "vscode-notebook-cell:/nb.py#1", "nb.py"] {
        editor.open(other, "needle elsewhere\n").await;
    }
    let lines = ["a%2B%7eb.txt: again edited needle opened", "nb.py: needle in notebook"];
    assert_eq!(editor.lines("needle").await, lines);
    editor.close(&format!("{root}/nb.py#cell1")).await;
    editor.close(&format!("{root}/a%2b~b.txt")).await;
    assert_eq!(editor.lines("needle").await, ["a+~b.txt: needle on disk", "nb.py: needle in notebook"]);
    editor.shut_down().await;
}

// Its text wasn't found until it was saved.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_a_folder_that_is_still_to_be_made_is_found_as_it_would_be() {
    let fixture =
        Fixture::new(&[("a.txt", "on disk\n"), (".ignore", "out/\n*.log\n!keep.log\n"), ("src/a.txt", "x\n")]);
    let mut editor = Editor::new(&fixture).await;
    let names = [
        "new/deep/b.txt",
        "src/new/c.txt",
        "new/keep.log",
        "new/d.log",
        "out/e.txt",
        "new/out/f.txt",
        ".hidden/g.txt",
        "new/.h.txt",
        "a.txt/i.txt",
    ];
    for name in names {
        editor.open(&uri(&fixture.root.join(name)), "needle\n").await;
    }
    let found = ["b.txt: needle", "keep.log: needle", "c.txt: needle"];
    assert_eq!(editor.lines("needle").await, found);
    fixture.write("new/deep/b.txt", "on disk\n");
    editor.save(&uri(&fixture.root.join("new/deep/b.txt"))).await;
    assert_eq!(editor.lines("needle").await, found);
    for name in names {
        editor.close(&uri(&fixture.root.join(name))).await;
    }
    assert_eq!(editor.lines("on disk").await, ["a.txt: on disk", "b.txt: on disk"]);
    editor.shut_down().await;
}
