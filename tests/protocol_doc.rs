//! `editors/PROTOCOL.md` says what the types of `lsp::ext` are: no field or word is in one and not in the other.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use syncline::core::{BatchId, CodebaseId, UnixMillis};
use syncline::lsp::ext;
use tower_lsp::lsp_types::{NumberOrString, Position, Range};

/// The page's samples: JSON in a fenced block, named after the language.
fn samples() -> BTreeMap<String, Value> {
    let page = include_str!("../editors/PROTOCOL.md");
    let blocks = page.split("\n```json ").skip(1).map(|block| {
        let (name, rest) = block.split_once('\n').unwrap();
        let (sample, _) = rest.split_once("\n```").unwrap_or_else(|| panic!("the sample of {name} has an end"));
        let sample = serde_json::from_str(sample).unwrap_or_else(|error| panic!("the sample of {name}: {error}"));
        (name.trim().to_owned(), sample)
    });
    blocks.collect()
}

/// Every path to a value, list elements taken together.
fn paths(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                paths(value, &format!("{at}.{name}"), into);
            }
        }
        Value::Array(elements) => {
            assert!(!elements.is_empty(), "{at}: an empty list shows nothing");
            elements.iter().for_each(|element| paths(element, &format!("{at}[]"), into));
        }
        _ => {
            into.insert(at.to_owned());
        }
    }
}

fn paths_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    paths(value, "", &mut found);
    found
}

/// Checks one sample against its type; `populated` has every field.
fn check<T: Serialize + DeserializeOwned>(samples: &mut BTreeMap<String, Value>, name: &str, populated: &T) {
    let sample = samples.remove(name).unwrap_or_else(|| panic!("PROTOCOL.md has no sample of {name}"));
    let value = serde_json::to_value(populated).unwrap();
    assert_eq!(paths_of(&value), paths_of(&sample), "left: fields of {name}; right: those of its sample");
    let read = serde_json::from_value::<T>(sample.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(serde_json::to_value(read).unwrap(), sample, "the sample of {name} survives reading and writing");
}

/// The words that an enum knows, as its reader tells when it meets another.
fn words<T: DeserializeOwned>() -> BTreeSet<String> {
    let Err(error) = serde_json::from_value::<T>(json!("?")) else { panic!("'?' is a word") };
    let error = error.to_string();
    let (_, expected) = error.split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_page_and_the_types_say_the_same() {
    let mut samples = samples();
    let last_sync = ext::LastSync {
        id: BatchId::new(),
        outcome: ext::Outcome::Failed,
        files: 2,
        duration_ms: 41,
        finished_at: UnixMillis(1),
        error: Some("why".to_owned()),
    };
    let state = ext::QueueState {
        codebase: ext::CodebaseInfo {
            id: CodebaseId::named("x"),
            name: "x".to_owned(),
            root: ext::FileUri::of(std::path::Path::new("/x")),
        },
        backend: ext::Backend::Redis,
        health: ext::Health::Error,
        message: Some("why".to_owned()),
        phase: ext::Phase::Syncing,
        position: Some(0),
        queue: vec![ext::Batch {
            id: BatchId::new(),
            created_at: UnixMillis(1),
            owner: ext::BatchOwner { host: "h".to_owned(), pid: 1, is_self: true },
            files: ext::FileCount::Number(1),
            state: ext::BatchState::Syncing,
        }],
        progress: Some(ext::Progress { done: 1, total: 2, stage: ext::Stage::Text }),
        last_sync: Some(last_sync.clone()),
        index: ext::Index { generation: 1, files: 1, symbols: 1, bytes: 1, pending: 1, fresh: false },
    };
    let params = ext::SearchParams {
        query: "q".to_owned(),
        is_regex: true,
        is_case_sensitive: true,
        whole_word: true,
        include: Some(vec!["*".to_owned()]),
        exclude: Some(vec!["*".to_owned()]),
        codebase: Some("x".to_owned()),
        max_results: Some(1),
        fresh: Some(false),
        partial_result_token: Some(NumberOrString::String("t".to_owned())),
    };
    let matches = vec![ext::SearchMatch {
        uri: ext::FileUri::of(std::path::Path::new("/x")),
        range: Range::new(Position::new(0, 0), Position::new(0, 1)),
        text: "q".to_owned(),
    }];
    let result = ext::SearchResult { matches: matches.clone(), limit_hit: true, fresh: true, generation: 1 };
    let progress = ext::SearchProgressParams {
        token: NumberOrString::String("t".to_owned()),
        value: ext::SearchChunk { matches },
    };
    check(&mut samples, "Experimental", &ext::Experimental::default());
    check(&mut samples, "ClientExperimental", &ext::ClientExperimental::default());
    check(&mut samples, "QueueState", &state);
    check(&mut samples, "CodebaseParams", &ext::CodebaseParams { codebase: Some("x".to_owned()) });
    check(&mut samples, "SearchParams", &params);
    check(&mut samples, "SearchResult", &result);
    check(&mut samples, "SearchProgressParams", &progress);
    check(&mut samples, "LastSync", &last_sync);

    let known = BTreeMap::from([
        ("backend", words::<ext::Backend>()),
        ("health", words::<ext::Health>()),
        ("phase", words::<ext::Phase>()),
        ("state", words::<ext::BatchState>()),
        ("stage", words::<ext::Stage>()),
        ("outcome", words::<ext::Outcome>()),
    ]);
    let listed = samples.remove("words").expect("PROTOCOL.md lists the words");
    let listed: BTreeMap<String, BTreeSet<String>> = serde_json::from_value(listed).unwrap();
    assert_eq!(known.into_iter().map(|(name, words)| (name.to_owned(), words)).collect::<BTreeMap<_, _>>(), listed);

    assert!(samples.is_empty(), "samples of no type: {:?}", samples.keys());
}

#[test]
fn the_page_names_every_message_and_command() {
    let page = include_str!("../editors/PROTOCOL.md");
    for name in [ext::QUEUE, ext::SEARCH, ext::SYNC, "syncline/queueState"].iter().chain(&ext::commands::ALL) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn what_is_not_there_is_left_out_and_no_position_is_null() {
    let all = serde_json::to_value(ext::FileCount::from(None)).unwrap();
    assert_eq!(all, json!("all"));
    assert_eq!(serde_json::to_value(ext::FileCount::from(Some(3))).unwrap(), json!(3));
    let empty = serde_json::to_value(ext::CodebaseParams::default()).unwrap();
    assert_eq!(empty, json!({}));
    let state = samples().remove("QueueState").unwrap();
    let mut state: ext::QueueState = serde_json::from_value(state).unwrap();
    (state.position, state.message, state.progress, state.last_sync) = (None, None, None, None);
    let value = serde_json::to_value(state).unwrap();
    assert_eq!(value["position"], Value::Null);
    assert!(value.as_object().unwrap().contains_key("position"));
    for optional in ["message", "progress", "lastSync"] {
        assert!(!value.as_object().unwrap().contains_key(optional), "{optional}");
    }
}
