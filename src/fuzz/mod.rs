//! Checks for a fuzzer: each takes any bytes, gives them to what reads from outside, and panics when a promise is broken.
//!
//! They are compiled for the programs in `fuzz` and for the unit tests, and nowhere else.

pub(crate) mod place;
mod settings;
mod wire;

use crate::{core, daemon, index, lsp};

/// A check, by the name of its program in `fuzz`.
pub struct Target {
    /// As `cargo xtask fuzz` is told.
    pub name: &'static str,
    /// The check.
    pub check: fn(&[u8]),
    /// What a fuzzer starts from: bytes that get far, made by the code that writes what is read.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All checks.
pub const TARGETS: [Target; 11] = [
    // A text with a match is let through by the pattern's plan.
    Target { name: "planner", check: index::fuzz::planner, seeds: index::fuzz::planner_seeds },
    // Files of the index.
    Target { name: "segment", check: index::fuzz::segment, seeds: index::fuzz::segment_seeds },
    Target { name: "files", check: index::fuzz::files, seeds: index::fuzz::files_seeds },
    Target { name: "manifest", check: index::fuzz::manifest, seeds: index::fuzz::manifest_seeds },
    Target {
        name: "symbol_segments",
        check: index::symbols::fuzz::symbol_segments,
        seeds: index::symbols::fuzz::symbol_segments_seeds,
    },
    // What editors and engines say.
    Target { name: "lsp", check: lsp::fuzz::lsp, seeds: lsp::fuzz::lsp_seeds },
    Target { name: "forwarder", check: daemon::fuzz::forwarder, seeds: daemon::fuzz::forwarder_seeds },
    Target { name: "wire", check: wire::wire, seeds: wire::wire_seeds },
    // Settings of all layers.
    Target { name: "settings", check: settings::settings, seeds: settings::settings_seeds },
    // What a Redis answers, and values that others left there.
    Target { name: "replies", check: core::cache::fuzz::replies, seeds: core::cache::fuzz::replies_seeds },
    Target { name: "values", check: values, seeds: values_seeds },
];

/// Any bytes are a value and the symbols of a text in it, or are refused.
fn values(data: &[u8]) {
    if let Some(value) = core::cache::fuzz::opened(data) {
        index::symbols::fuzz::text(&value);
    }
    index::symbols::fuzz::text(data);
}

fn values_seeds() -> Vec<Vec<u8>> {
    let texts = index::symbols::fuzz::text_seeds();
    texts.iter().map(|text| core::cache::fuzz::sealed(text)).chain(texts.clone()).collect()
}

/// Where the seeds of a program in `fuzz` are written to as it starts, if anywhere.
#[cfg(fuzzing)]
const SEEDS: &str = "SYNCLINE_FUZZ_SEEDS";
/// A program in `fuzz` that asks for more memory than this ends, which is a finding: nothing it reads is so long. Bytes.
#[cfg(fuzzing)]
const MEMORY: u64 = 2 << 30;

/// What the program `name` in `fuzz` does first; gives its check.
#[cfg(fuzzing)]
pub fn begin(name: &str) -> fn(&[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target {name}"));
    let limit = rustix::process::Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    rustix::process::setrlimit(rustix::process::Resource::As, limit)
        .unwrap_or_else(|error| panic!("no limit: {error}"));
    if let Some(folder) = std::env::var_os(SEEDS).map(std::path::PathBuf::from) {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            place::written(&folder.join(format!("seed-{number}")), seed);
        }
    }
    target.check
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that no longer get far leave a fuzzer at the first check, which would go unnoticed.
    #[test]
    fn every_seed_passes_its_check_whole_cut_and_damaged() {
        for target in &TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            for seed in seeds {
                (target.check)(&seed);
                for at in (0..seed.len()).step_by(1 + seed.len() / 40) {
                    (target.check)(&seed[..at]);
                    let mut damaged = seed.clone();
                    damaged[at] = damaged[at].wrapping_add(1);
                    (target.check)(&damaged);
                }
            }
        }
    }

    /// What was found by fuzzing, and what it did.
    const FOUND: [(&str, &[u8]); 7] = [
        // A message that is larger than small ones: the check had no clock to wait for room by.
        ("lsp", b"\0Content-Length: 165247\r\n\r\n{}"),
        // A name that comes twice in a message: tower-lsp ended the session.
        ("lsp", b"\0Content-Length: 55\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"method\":\"b\",\"params\":{}}"),
        // Params that are a list, or hold something else than objects: the forwarder panicked.
        ("forwarder", br#"e{"jsonrpc":"2.0","method":"workspace/didChangeWorkspaceFolders","params":[]}"#),
        ("forwarder", br#"e{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":7}}"#),
        (
            "forwarder",
            b"e{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":[]}\xff\
            e{\"jsonrpc\":\"2.0\",\"method\":\"workspace/didChangeWorkspaceFolders\",\"params\":{\"event\":{}}}",
        ),
        // A level of the log that isn't ASCII: the parser of filters panicked.
        ("settings", b"\xff\xff\xff\xff \xc3\xa9[x"),
        // A message of the engine's that is a list: the forwarder panicked.
        ("forwarder", br#"d[1, "window/showMessageRequest"]"#),
    ];

    #[test]
    fn what_was_found_is_mended() {
        let fails = |(name, bytes): &&(&str, &[u8])| {
            let target =
                TARGETS.iter().find(|target| target.name == *name).unwrap_or_else(|| panic!("no target {name}"));
            std::panic::catch_unwind(|| (target.check)(bytes)).is_err()
        };
        let again: Vec<_> =
            FOUND.iter().filter(fails).map(|(name, bytes)| (name, String::from_utf8_lossy(bytes))).collect();
        assert!(again.is_empty(), "{again:#?}");
    }

    #[test]
    fn every_check_has_its_program() {
        let manifest = include_str!("../../fuzz/Cargo.toml");
        let programs: Vec<_> =
            manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(programs[1..], names);
    }
}
