//! A tree with every oddity, and what can happen to it after it was indexed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::place::Place;

/// Every oddity a tree can have.
pub fn fixture() -> Place {
    let place = Place::new();
    place.write("plain.txt", "alpha beta\ngamma delta\nalphabet soup\nALPHA\n\nthe end\n");
    place.write(
        "src/main.rs",
        "fn main() {\n    println!(\"needle in a haystack\");\n}\n\n// Straße, naïve café, Ünïcode: ſ K\n",
    );
    place.write("src/lib.rs", "pub mod alpha;\npub fn needle() -> u32 { 42 }\n// foo_bar fooBar FOO_BAR\n");
    place.write("src/deep/er/nest.rs", "mod beta;\nuse alpha::needle;\n");
    place.write("src/deep.rs", "// sorts after deep/ : needle\n");
    place.write("src/deep-er.rs", "// sorts between : needle\n");
    place.write("a.h", "int alpha;\n#define NEEDLE 1\n");
    place.write("a.cpp", "int beta() { return alpha; }\n");
    place.write("script.py", "def needle():\n    return 'alpha'\n");
    place.write("日本語.txt", "検索エンジン\nneedle と 針\n検索\n");
    // Ignored, and not: a .gitignore counts only where there is a repository.
    place.write(".gitignore", "ignored-without-git.txt\n");
    place.write("ignored-without-git.txt", "needle: there is no repository here\n");
    place.write(".ignore", "by-ignore.txt\n*.skip\n!kept.skip\n");
    place.write("by-ignore.txt", "needle ignored by .ignore\n");
    place.write("x.skip", "needle skipped\n");
    place.write("kept.skip", "needle kept\n");
    place.write(".rgignore", "by-rgignore.txt\n");
    place.write("by-rgignore.txt", "needle ignored by .rgignore\n");
    fs::create_dir_all(place.tree().join("repo/.git")).unwrap();
    place.write("repo/.git/HEAD", "ref: refs/heads/needle\n");
    place.write("repo/.git/info/exclude", "excluded.txt\n");
    place.write("repo/.gitignore", "target/\n*.log\n/rooted.txt\n");
    place.write("repo/excluded.txt", "needle excluded\n");
    place.write("repo/rooted.txt", "needle ignored at the root\n");
    place.write("repo/sub/rooted.txt", "needle not ignored here\n");
    place.write("repo/target/out.txt", "needle in target\n");
    place.write("repo/run.log", "needle in a log\n");
    place.write("repo/sub/.gitignore", "!important.log\nlocal.txt\n");
    place.write("repo/sub/important.log", "needle important\n");
    place.write("repo/sub/local.txt", "needle local\n");
    place.write("repo/seen.txt", "needle seen\nalpha seen\n");
    place.write(".hidden.txt", "needle hidden\n");
    place.write(".config/inner.txt", "needle in a hidden folder\n");
    // Text that isn't UTF-8, and what isn't text.
    place.write("binary-early.bin", b"needle\0\nneedle after\nalpha\n");
    let mut late = b"needle before\n".to_vec();
    late.extend(b"filler line of text\n".repeat(8000));
    late.extend(b"late\0needle\nneedle after the end\n");
    place.write("binary-late.bin", late);
    let mut middle = b"some text\nalpha\nneedle middle\n".repeat(3);
    middle.extend(b"nul \0 here\nneedle after\n");
    place.write("binary-middle.bin", middle);
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(unit).collect()
    };
    place.write("utf16le.txt", utf16("needle in UTF-16\r\nalpha größer\n", false));
    place.write("utf16be.txt", utf16("another needle\nbeta 針\n", true));
    place.write("utf8-bom.txt", b"\xef\xbb\xbfneedle after a mark\nalpha\n");
    place.write("latin1.txt", b"caf\xe9 na\xefve needle\n\xfcber alpha\n");
    place.write("crlf.txt", "needle one\r\nalpha two\r\n\r\nneedle three\r\n");
    place.write("no-newline.txt", "alpha\nneedle at the end");
    place.write("blank.txt", "\n\n\n");
    place.write("empty.txt", "");
    place.write("huge-line.txt", [b"x".repeat(200_000), b" needle ".to_vec(), b"y".repeat(100_000)].concat());
    place.write("large.txt", [b"a line of a large file\n".repeat(5000), b"needle large\n".to_vec()].concat());
    place.write(
        "long/context.txt",
        (1..=60).map(|n| format!("line {n} {}\n", if n % 9 == 0 { "needle" } else { "" })).collect::<String>(),
    );
    place.write("dash/-e", "needle in a file named -e\n");
    place.write("brackets/[x].txt", "needle in [x]\n");
    fs::write(place.tree().join(OsStr::from_bytes(b"not-\xff\xfe-text.txt")), "needle in a name that isn't text\n")
        .unwrap();
    symlink("plain.txt", place.tree().join("link-to-file.txt")).unwrap();
    symlink("src", place.tree().join("link-to-folder")).unwrap();
    symlink("..", place.tree().join("src/loop")).unwrap();
    symlink("nowhere", place.tree().join("dangling")).unwrap();
    place
}

/// Changes of all kinds, after the tree was indexed.
pub fn edit(place: &Place) {
    let tree = place.tree();
    let modified = fs::metadata(tree.join("plain.txt")).unwrap().modified().unwrap();
    // Of the same length, at the same time as before.
    place.write("plain.txt", "betas beta\ngamma delta\nneedle t soup\nALPHA\n\nthe end\n");
    fs::File::options().write(true).open(tree.join("plain.txt")).unwrap().set_modified(modified).unwrap();
    place.write("src/lib.rs", "pub mod gone;\nabsent_word_zzz\n");
    place.write("src/brand_new.rs", "needle absent_word_zzz\n");
    fs::remove_file(tree.join("script.py")).unwrap();
    fs::rename(tree.join("a.cpp"), tree.join("a.h")).unwrap();
    fs::rename(tree.join("src/deep"), tree.join("src/deeper")).unwrap();
    place.write("src/deep/er/other.rs", "zzz needle\n");
    place.write("repo/.gitignore", "seen.txt\n");
    place.write(".ignore", "kept.skip\n");
    place.write("binary-early.bin", "alpha needle, no longer binary\n");
    place.write("crlf.txt", b"alpha \0 now binary, needle\n");
    fs::remove_file(tree.join("blank.txt")).unwrap();
    symlink("plain.txt", tree.join("blank.txt")).unwrap();
}
