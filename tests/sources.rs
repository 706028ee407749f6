//! The sources keep to the map in ARCHITECTURE.md: which module may use which, and how long a file may be.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules, the uppermost first. A module uses only those of later rows; those of one row are siblings, and don't know
/// each other.
const LAYERS: [&[&str]; 8] =
    [&["cli"], &["mcp"], &["daemon"], &["lsp"], &["workspace"], &["sync"], &["watch", "index"], &["core"]];
/// Lines of code that a file may have: neither empty ones, nor comments, nor tests.
const LONGEST_FILE: usize = 500;

/// All sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<_> = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect();
    found.extend(folders.iter().flat_map(|folder| sources(folder)));
    found
}

/// The files of the program without those that only tests and fuzzers compile, by their paths below `src`, with their code.
fn code() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_program = |path: &&PathBuf| {
        let checks = |name: &str| path.ends_with(name);
        !checks("tests.rs") && !checks("fuzz.rs") && !path.starts_with(root.join("fuzz"))
    };
    let found = sources(&root);
    let program = found.iter().filter(is_program);
    let mut code: Vec<_> = program
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines = text
                .lines()
                .take_while(|line| !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test"));
            let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            (name, lines.filter(is_code).map(str::to_owned).collect())
        })
        .collect();
    code.sort();
    assert!(code.len() > 100, "only {} files were found", code.len());
    code
}

#[test]
fn modules_use_only_those_below_them() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    for (file, lines) in code() {
        let Some((own, _)) = file.split_once('/') else { continue };
        let own_layer =
            layer(own).unwrap_or_else(|| panic!("{own} isn't in LAYERS, nor in the map of ARCHITECTURE.md"));
        for line in lines {
            let used = line.split("crate::").skip(1);
            let used = used.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
            // What the crate itself holds (macros, its version) is everybody's.
            for used in used.filter(|used| *used != own) {
                if layer(used).is_some_and(|layer| layer <= own_layer) {
                    wrong.push(format!("src/{file} uses {used}: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "modules use what isn't below them:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_names_all_modules_in_their_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows: Vec<_> = rows.map(|(module, _)| module).filter(|module| root.join("src").join(module).is_dir()).collect();
    assert_eq!(rows, LAYERS.concat(), "the map's rows, and the layers here");
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    let long = code().into_iter().filter(|(_, lines)| lines.len() > LONGEST_FILE);
    let long: Vec<_> = long.map(|(file, lines)| format!("src/{file}: {} lines of code", lines.len())).collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines of code:\n{}", long.join("\n"));
}
