//! Promise 5: `syncline search` answers what `rg --sort path` answers, byte for byte, without an index, with a fresh one
//! and with a stale one.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

mod cases;
mod fixture;
mod flags;
mod place;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cases::{case, generated, picked};
use fixture::{edit, fixture};
use flags::any_flags;
use place::{Place, words};

#[test]
fn answers_are_ripgreps_over_a_tree_of_oddities() {
    let place = fixture();
    let mut cases = picked();
    cases.extend(generated(&place.tree(), 1, 250));
    place.compare("without an index", &cases);

    place.index();
    let (searched, ruled_out) = place.searched_and_ruled_out(&["haystack"]);
    assert!(searched <= 10 && ruled_out >= 25, "the index narrows: {searched} searched, {ruled_out} ruled out");
    let (_, ruled_out) = place.searched_and_ruled_out(&["--json", "haystack"]);
    assert!(ruled_out >= 20, "the index narrows for JSON: {ruled_out} ruled out");
    place.compare("with a fresh index", &cases);

    edit(&place);
    let mut cases = picked();
    cases.extend(generated(&place.tree(), 2, 250));
    assert!(place.searched_and_ruled_out(&["haystack"]).1 >= 15, "a stale index narrows still");
    place.compare("with a stale index", &cases);

    place.index();
    place.compare("with the index brought up to date", &cases);
}

#[test]
fn answers_of_the_shared_engine_are_ripgreps() {
    let mut place = fixture();
    place.share();
    for arguments in [&["needle"][..], &["needle", "src"], &["absent_word_zzzz"]] {
        assert!(place.is_asked(arguments), "it knows the tree: {}", place.log(arguments));
    }
    #[rustfmt::skip]
    let narrowed = [
        "--json needle", "--stats needle", "-g !*.md needle", "--iglob !*.MD needle", "-T md -c needle", "-v needle",
        "--max-filesize 1K needle", "-U needle\nalpha", "-l -a needle", "--files", "--files -g !*.txt", "-o -r x needle",
    ];
    for arguments in narrowed {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let log = place.log(&arguments);
        assert!(place.is_asked(&arguments) && !place.log(&arguments).contains("is walked"), "{arguments:?}: {log}");
    }
    let mut cases = picked();
    cases.extend(generated(&place.tree(), 1, 250));
    place.compare("with the shared engine", &cases);

    edit(&place);
    let mut cases = picked();
    cases.extend(generated(&place.tree(), 2, 250));
    place.compare("just after edits", &cases);
    assert!(place.is_asked(&["needle"]), "it knows the tree again: {}", place.log(&["needle"]));

    // What is ignored can change from outside the tree.
    let flags = ["", "-l", "-c", "-n", "-i -C 1"];
    let cases: Vec<_> =
        flags.iter().flat_map(|flags| ["needle", "alpha", "zzz", "haystack"].map(|p| case(flags, p))).collect();
    fs::write(place.folder.path().join(".ignore"), "plain.txt\n*.rs\n").unwrap();
    place.compare("with another ignore file above", &cases);
    fs::write(place.folder.path().join(".ignore"), "").unwrap();
    place.compare("and without it", &cases);
    fs::write(place.folder.path().join("home/.gitconfig"), "[core]\nexcludesFile = ~/ignored\n").unwrap();
    fs::write(place.folder.path().join("home/ignored"), "*.txt\n").unwrap();
    place.compare("with an ignore file of the user", &cases);
    fs::write(place.folder.path().join("home/ignored"), "/src\n").unwrap();
    place.compare("with one that depends on the current folder", &cases);
}

#[test]
fn answers_are_ripgreps_over_a_real_tree() {
    let place = Place::new();
    copy(&source_of("tokio"), &place.tree());
    let git = Command::new("git").args(["init", "-q"]).arg(place.tree()).status().unwrap();
    assert!(git.success(), "git init");
    let cases = generated(&place.tree(), 3, 150);
    place.compare("without an index", &cases);
    place.index();
    let (searched, ruled_out) = place.searched_and_ruled_out(&["block_in_place"]);
    assert!(searched < ruled_out, "the index narrows: {searched} searched, {ruled_out} ruled out");
    place.compare("with a fresh index", &cases);
}

/// Where ripgrep's answer depends on how it reads files: what `\\A` means, and what makes a named file binary. Files here
/// are larger than its buffer, and some larger than what is read at once.
#[test]
fn answers_that_depend_on_how_files_are_read_are_ripgreps() {
    let place = Place::new();
    let lines = |count: usize| b"fn needle() {}\nlet alpha = 1;\n".repeat(count);
    let with_nul = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] = 0;
        bytes
    };
    place.write("fns.rs", "fn x\n".repeat(30_000));
    place.write("plain.rs", lines(60_000));
    // In the first part, in a line that may be printed, in one that may not, and behind all that is printed.
    place.write("early.bin", with_nul(lines(60_000), 1000));
    place.write("late.bin", with_nul(lines(60_000), 29 * 50_000 + 3));
    place.write("other.bin", with_nul(lines(60_000), 29 * 50_000 + 20));
    place.write("marked.bin", [b"\xef\xbb\xbf", &with_nul(lines(9_000), 29 * 8_000 + 20)[..]].concat());
    place.write("few.bin", with_nul([&lines(40_000)[..], b"once\n", &lines(40_000)[..]].concat(), 29 * 80_000));
    let files = ["fns.rs", "plain.rs", "early.bin", "late.bin", "other.bin", "marked.bin", "few.bin", "."];
    let patterns = ["fn", "needle", "alpha", "once", "\\Afn", "(?-m)^fn", "(?-m)x$", "\\Afn.*\\b", "[lx]"];
    let flags = ["-n", "-c", "-l", "-m 1", "-m 2 -A 1", "-C 2 -m 3", "--vimgrep -m 40000", "--json -m 2", "-C 1 -c"];
    let mut cases = Vec::new();
    for (number, file) in files.iter().enumerate() {
        for (at, pattern) in patterns.iter().enumerate() {
            // Each pattern meets some of the flags in each file.
            for flags in flags.iter().skip((number + at) % 3).step_by(3) {
                let mut case = case(flags, pattern);
                case.arguments.push(file.into());
                cases.push(case);
            }
        }
        cases.push(case_of("--vimgrep", "\\Afn", file));
    }
    cases.push(case_of("-n", "alpha", "late.bin"));
    place.compare("in files of all sizes", &cases);
}

fn case_of(flags: &str, pattern: &str, file: &str) -> cases::Case {
    let mut case = case(flags, pattern);
    case.arguments.push(file.into());
    case
}

/// Without a path, what can be read from standard input is searched, by ripgrep's guess.
#[test]
fn standard_input_is_searched_when_ripgrep_would() {
    let place = Place::new();
    place.write("a.txt", "a needle\n");
    place.write("b.txt", "another needle\n");
    let here = || fs::File::open(place.tree().join("b.txt")).unwrap();
    for flags in ["", "-n", "-c", "-l", "--vimgrep", "--json"] {
        let kinds: [(&str, &dyn Fn() -> Stdio); 4] = [
            ("nothing", &Stdio::null),
            ("a file", &|| here().into()),
            ("a pipe", &|| {
                let (reader, mut writer) = std::io::pipe().unwrap();
                std::io::Write::write_all(&mut writer, b"piped\nneedle\n").unwrap();
                reader.into()
            }),
            ("a socket", &|| {
                let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
                std::io::Write::write_all(&mut other, b"sent\nneedle\n").unwrap();
                std::os::fd::OwnedFd::from(one).into()
            }),
        ];
        for (kind, stdin) in kinds {
            let mut arguments = words(flags);
            arguments.push("needle".into());
            let (theirs, ours) = (place.rg_from(stdin(), &arguments), place.syncline_from(stdin(), &arguments));
            assert!(theirs == ours, "{flags} {kind}:\n{theirs}\n{ours}");
        }
    }
}

/// Any of ripgrep's flags, in any order. `SYNCLINE_TEST_SEEDS` and `SYNCLINE_TEST_LINES` ask for more.
#[test]
fn any_flags_are_ripgreps() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (seeds, lines) = (number("SYNCLINE_TEST_SEEDS", 1), number("SYNCLINE_TEST_LINES", 400) as usize);
    for seed in 1..=seeds {
        let mut place = fixture();
        place.space_times();
        // What ripgrep prints before a late NUL depends on the files before it, whose order `--sort` changes.
        fs::remove_file(place.tree().join("binary-late.bin")).unwrap();
        let cases = any_flags(seed, lines);
        place.compare_any(&format!("without an index, seed {seed}"), &cases);
        place.index();
        place.compare_any(&format!("with an index, seed {seed}"), &cases);
        place.share();
        assert!(place.is_asked(&["needle"]), "it knows the tree: {}", place.log(&["needle"]));
        place.compare_any(&format!("with the shared engine, seed {seed}"), &cases);
    }
}

/// ripgrep's configuration file comes before the command line.
#[test]
fn a_configuration_of_ripgrep_s_is_read() {
    let place = Place::new();
    place.write("a.txt", "a needle\nA Needle\n");
    let path = place.folder.path().join("rc");
    let said = |text: Option<&str>, arguments: &str| {
        text.into_iter().for_each(|text| fs::write(&path, text).unwrap());
        let (mut theirs, mut ours) = (words("--sort path"), words("search --standalone"));
        theirs.extend(words(arguments));
        ours.extend(words(arguments));
        let run = |program: &OsStr, arguments: &[OsString]| {
            let mut command = place.command(program, "", arguments);
            command.env("RIPGREP_CONFIG_PATH", if text.is_some() { path.clone() } else { "".into() });
            let output = command.output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), !output.stderr.is_empty())
        };
        let rg = std::env::var_os("SYNCLINE_TEST_RG").expect("a ripgrep");
        let (theirs, ours) = (run(&rg, &theirs), run(OsStr::new(env!("CARGO_BIN_EXE_syncline")), &ours));
        assert_eq!(theirs, ours, "{text:?} {arguments}");
        ours
    };
    for text in [
        None,
        Some(""),
        Some("# a comment\n\n"),
        Some("--smart-case\n  -n \n"),
        Some("--no-such-flag\n"),
        Some("-A\n1\n"),
    ] {
        for arguments in ["needle", "-s needle", "--no-config needle", "--no-line-number needle"] {
            said(text, arguments);
        }
    }
    assert_eq!(said(Some("-i\n"), "-c needle").1, "a.txt:2\n");
}

/// Programs that call ripgrep get it by the link, and the next real one for what only that knows.
#[test]
fn under_the_name_of_rg_it_is_ripgrep() {
    let place = fixture();
    let links = place.folder.path().join("links");
    let shim = |flags: &str| {
        let mut arguments = words("shim");
        arguments.push(links.clone().into());
        arguments.extend(words(flags));
        place.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), "", &arguments).output().unwrap()
    };
    assert!(shim("").status.success() && shim("").status.success(), "made once, and there the second time");
    let rg = links.join("rg");
    let run = |arguments: &str, path: &str| {
        let mut command = place.command(rg.as_os_str(), "", &words(arguments));
        command.env("PATH", format!("{}:{path}", links.display())).output().unwrap()
    };
    let version = String::from_utf8(run("--version", "").stdout).unwrap();
    assert!(version.starts_with("ripgrep 15.2.0 (syncline "), "{version}");
    let output = run("-c needle src/lib.rs a.h", "");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"src/lib.rs:1\n"[..]));
    let refused = run("--no-such-flag needle", "");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--no-such-flag"));
    // A real one that knows the flag.
    let real = place.folder.path().join("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("rg"), "#!/bin/sh\necho real \"$@\"\n").unwrap();
    fs::set_permissions(real.join("rg"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let handed = run("--no-such-flag needle", &format!("{}:/bin:/usr/bin", real.display()));
    assert_eq!(&handed.stdout[..], b"real --no-such-flag needle\n");
    assert!(shim("--remove").status.success() && !rg.exists());
    fs::write(&rg, "something else").unwrap();
    assert!(!shim("").status.success() && !shim("--remove").status.success() && rg.exists(), "it isn't ours");
}

#[test]
fn damaged_indexes_cost_time_only() {
    let place = fixture();
    place.index();
    let cases: Vec<_> = ["needle", "alpha", "haystack", "absent_word_zzz"].iter().map(|p| case("-n", p)).collect();
    let files = |place: &Place| -> Vec<PathBuf> {
        let folders = fs::read_dir(place.folder.path().join("indexes")).unwrap();
        folders
            .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    };
    for file in files(&place) {
        let bytes = fs::read(&file).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 7 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            fs::write(&file, &damaged).unwrap();
            place.compare("with a damaged index", &cases[..2]);
        }
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        place.compare("with a truncated index", &cases);
        fs::remove_file(&file).unwrap();
        place.compare("with half an index", &cases);
        fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn a_reader_that_leaves_ends_the_search_quietly() {
    let place = fixture();
    for arguments in ["search --standalone needle", "search --standalone a large.txt", "search --standalone --json a"] {
        let mut command = place.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), "", &words(arguments));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code().is_some_and(|code| code < 2), "{arguments}: {}", output.status);
    }
}

#[test]
fn errors_are_one_sentence() {
    let place = fixture();
    for (arguments, says) in [
        (&["search", "("][..], "unclosed group"),
        (&["search", "a\\nb"], "not allowed"),
        (&["search", "-t", "nosuch", "x"], "unrecognized file type"),
        (&["search", "-g", "{a", "x"], "glob"),
        (&["search", "x", "missing"], "missing"),
    ] {
        let arguments: Vec<_> = arguments.iter().chain(&["--standalone"]).map(OsString::from).collect();
        let output = place.command(OsStr::new(env!("CARGO_BIN_EXE_syncline")), "", &arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text.starts_with("syncline: ") && text.lines().count() == 1 && text.contains(says), "{text}");
    }
}

/// The source folder of a package that this one is built from.
fn source_of(package: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    // What other platforms need isn't there.
    let arguments = ["metadata", "--format-version", "1", "--offline", "--filter-platform", host];
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found = packages.iter().find(|p| p["name"] == package).unwrap_or_else(|| panic!("{package} is a dependency"));
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
