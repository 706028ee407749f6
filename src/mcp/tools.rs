//! What an assistant reads of each tool, and chooses by: names, descriptions, arguments.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

/// Finds text.
pub(super) const SEARCH: &str = "search_code";
/// Finds definitions.
pub(super) const SYMBOL: &str = "symbol";
/// Finds files.
pub(super) const FILES: &str = "find_files";
/// Tells how fresh all is.
pub(super) const STATUS: &str = "code_status";

/// All tools, always in this order.
pub(super) fn all() -> Vec<Tool> {
    [
        tool(
            SEARCH,
            "Search code",
            "Find every line that holds a text or regular expression, in all files at once. Use it instead of grep or rg: \
             same answers, but indexed, fresh to the last save, counted in full (\"41 of 430 lines in 12 of 57 files\"), \
             within a token budget, with pages. Pass several patterns in one call rather than calling again.",
            json!({
                "patterns": { "type": "array", "items": { "type": "string" }, "description": "Texts to find, literal unless `regex`; a line that holds any of them is found" },
                "regex": { "type": "boolean", "description": "The patterns are regular expressions (ripgrep's dialect). Default false" },
                "ignore_case": { "type": "boolean", "description": "Default false" },
                "whole_word": { "type": "boolean", "description": "Default false" },
                "include": { "type": "array", "items": { "type": "string" }, "description": "Only files that match one of these globs or are in one of these folders, from the codebase's root: \"*.rs\", \"src/net\"" },
                "exclude": { "type": "array", "items": { "type": "string" }, "description": "Not these" },
                "mode": { "type": "string", "enum": ["lines", "places", "blocks"], "description": "lines: each line with its number; places: numbers only, the most in the least tokens; blocks: with the lines around. Default lines" },
                "max_tokens": max_tokens(), "page": page(),
            }),
        ),
        tool(
            SYMBOL,
            "Find a definition",
            "Find where a function, type, method, constant or heading is defined, by its name. Use it instead of grepping \
             for \"fn name\" or \"class name\": one call, all languages, exact line, with the line's text.",
            json!({
                "name": { "type": "string", "description": "The name, or container::name. Without an exact match, names that hold its letters in order" },
                "kind": { "type": "string", "description": "Only this kind: function, method, class, struct, enum, interface, constant, variable, module, …" },
                "near": { "type": "string", "description": "A file or folder: what is near it comes first" },
                "max_tokens": max_tokens(), "page": page(),
            }),
        ),
        tool(
            FILES,
            "Find files",
            "Find files by a part of their path, by letters in order, or by a glob. Use it instead of find, ls -R or glob.",
            json!({
                "query": { "type": "string", "description": "\"watchmod\" finds src/watch/mod.rs; with * or ? it is a glob: \"**/*.lua\"" },
                "max_tokens": max_tokens(), "page": page(),
            }),
        ),
        tool(
            STATUS,
            "Index status",
            "How fresh the index is, what it is doing and what is wrong, for each codebase. Use it when an answer says that it \
             may lack something.",
            json!({}),
        ),
    ]
    .into()
}

fn max_tokens() -> Value {
    json!({ "type": "integer", "description": "Most tokens of the answer (bytes / 3.5). Default 2000" })
}

fn page() -> Value {
    json!({ "type": "string", "description": "A page that an earlier answer named: goes on with that list, and needs nothing else" })
}

fn tool(name: &'static str, title: &str, description: &'static str, properties: Value) -> Tool {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    let reads = ToolAnnotations::new().read_only(true).idempotent(true).open_world(false);
    Tool::new(name, description, Arc::new(schema)).with_title(title).with_annotations(reads)
}

/// The arguments that a tool takes; `None` when there is no such tool.
pub(super) fn arguments_of(name: &str) -> Option<Vec<String>> {
    let tool = all().into_iter().find(|tool| tool.name == name)?;
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    Some(properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect())
}

/// The names of all tools, for a sentence.
pub(super) fn names() -> String {
    [SEARCH, SYMBOL, FILES, STATUS].join(", ")
}
