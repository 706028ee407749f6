//! Which files are parsed, and as what.

use memchr::memmem;

/// A language, by the way its files are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "their names say all")]
pub enum Language {
    C,
    /// A header, which is C or C++.
    Header,
    Cpp,
    Rust,
    Go,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Java,
    CSharp,
    Ruby,
    Php,
    Lua,
    Bash,
    Markdown,
    /// A file whose name says nothing; its first line may.
    Script,
    /// A file that others include: PHP, C or C++, or something else.
    Include,
}

/// The language that a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Concrete(Language);

impl Concrete {
    /// One that has a grammar.
    pub(super) fn language(self) -> Language {
        self.0
    }
}

/// As far as a text is looked at for what it is, bytes.
const LOOKED_AT: usize = 64 << 10;

impl Language {
    /// How many there are.
    pub(super) const COUNT: usize = 18;

    /// The language of a file, by its name.
    pub fn of(path: &[u8]) -> Option<Language> {
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        if matches!(
            name,
            b"Rakefile" | b"Gemfile" | b"Vagrantfile" | b"Guardfile" | b"Podfile" | b"Fastfile" | b"Brewfile"
        ) {
            return Some(Language::Ruby);
        }
        match name {
            b"PKGBUILD" | b"APKBUILD" => return Some(Language::Bash),
            b"SConstruct" | b"SConscript" => return Some(Language::Python),
            _ => {}
        }
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return Some(Language::Script) };
        Some(match &name[dot + 1..] {
            b"c" => Language::C,
            b"h" => Language::Header,
            b"cc" | b"cpp" | b"cxx" | b"c++" | b"hh" | b"hpp" | b"hxx" | b"h++" | b"ipp" | b"inl" | b"cu" | b"cuh"
            | b"C" | b"H" | b"tcc" | b"tpp" | b"txx" | b"cppm" | b"ixx" | b"cxxm" | b"ccm" | b"ino" => Language::Cpp,
            b"rs" => Language::Rust,
            b"go" => Language::Go,
            b"py" | b"pyi" | b"pyw" | b"pyx" | b"pxd" | b"wsgi" => Language::Python,
            b"js" | b"mjs" | b"cjs" | b"jsx" | b"es6" => Language::JavaScript,
            b"ts" | b"mts" | b"cts" => Language::TypeScript,
            b"tsx" => Language::Tsx,
            b"java" => Language::Java,
            b"cs" | b"csx" => Language::CSharp,
            b"rb" | b"rake" | b"gemspec" | b"ru" | b"rbi" | b"rbw" | b"podspec" => Language::Ruby,
            b"php" | b"phtml" | b"php3" | b"php4" | b"php5" | b"php7" | b"phps" => Language::Php,
            b"lua" => Language::Lua,
            b"sh" | b"bash" | b"bats" | b"ksh" | b"zsh" | b"bashrc" | b"bash_profile" | b"bash_aliases"
            | b"bash_login" | b"bash_logout" | b"profile" | b"zshrc" | b"zshenv" | b"zprofile" | b"zlogin"
            | b"kshrc" | b"ebuild" | b"eclass" => Language::Bash,
            b"md" | b"markdown" | b"mdx" => Language::Markdown,
            b"inc" => Language::Include,
            _ => return None,
        })
    }

    /// Whether the name alone tells that a file has a language.
    pub fn is_told_by_name(self) -> bool {
        !matches!(self, Language::Script | Language::Include)
    }

    pub(super) fn from_number(number: u8) -> Option<Language> {
        use Language::*;
        const ALL: [Language; Language::COUNT] = [
            C, Header, Cpp, Rust, Go, Python, JavaScript, TypeScript, Tsx, Java, CSharp, Ruby, Php, Lua, Bash,
            Markdown, Script, Include,
        ];
        ALL.get(usize::from(number)).copied()
    }

    /// The language of a text whose file is of this one; `None` when it has none.
    pub(super) fn of_text(self, text: &[u8]) -> Option<Concrete> {
        let of_header = || if is_cpp(text) { Language::Cpp } else { Language::C };
        let head = &text[..text.len().min(LOOKED_AT)];
        Some(Concrete(match self {
            Language::Header => of_header(),
            Language::Script => of_first_line(head)?,
            Language::Include if memmem::find(head, b"<?php").is_some() => Language::Php,
            Language::Include if is_c(head) => of_header(),
            Language::Include => return None,
            other => other,
        }))
    }
}

/// Whether a header has lines that only C++ has.
fn is_cpp(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 14] = [
        b"class ",
        b"namespace ",
        b"template<",
        b"template <",
        b"public:",
        b"private:",
        b"protected:",
        b"using ",
        b"virtual ",
        b"constexpr ",
        b"friend ",
        b"explicit ",
        b"enum class ",
        b"inline namespace ",
    ];
    text.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        let may = line.first().is_some_and(|first| b"cntpuvfei".contains(first));
        may && STARTS.iter().any(|start| line.starts_with(start))
    })
}

/// Whether a text has lines that others than C and C++ hardly have.
fn is_c(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 6] = [b"#include", b"#define ", b"#ifdef ", b"#ifndef ", b"#undef ", b"#pragma "];
    text.split(|byte| *byte == b'\n').any(|line| STARTS.iter().any(|start| line.starts_with(start)))
}

/// The language of a script, by the program that its first line names.
fn of_first_line(text: &[u8]) -> Option<Language> {
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let base = |word: &[u8]| word.rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec).unwrap_or_default();
    let mut program = base(words.next()?);
    if program == b"env" {
        // Options and variables stand before the program.
        program = base(words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?);
    }
    // `python3.11` is Python.
    let length = program.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.').map_or(0, |last| last + 1);
    Some(match &program[..length] {
        b"sh" | b"bash" | b"dash" | b"ash" | b"ksh" | b"mksh" | b"zsh" | b"bats" => Language::Bash,
        b"python" | b"pypy" | b"pythonw" => Language::Python,
        b"ruby" | b"jruby" | b"rake" => Language::Ruby,
        b"node" | b"nodejs" => Language::JavaScript,
        b"deno" | b"bun" | b"ts-node" | b"tsx" => Language::TypeScript,
        b"php" => Language::Php,
        b"lua" | b"luajit" => Language::Lua,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_or_its_first_line() {
        for (path, language) in [
            ("bin/Rakefile", Language::Ruby),
            ("PKGBUILD", Language::Bash),
            ("site/index.phtml", Language::Php),
            (".zshrc", Language::Bash),
            ("a.cppm", Language::Cpp),
            ("docs/a.mdx", Language::Markdown),
            ("bin/run", Language::Script),
            ("a.inc", Language::Include),
        ] {
            assert_eq!(Language::of(path.as_bytes()), Some(language), "{path}");
        }
        assert_eq!(Language::of(b"a.png"), None);
        for (text, language) in [
            ("#!/bin/sh\n", Some(Language::Bash)),
            ("#! /usr/bin/env -S FOO=1 python3.11 -u\n", Some(Language::Python)),
            ("#!/usr/bin/env node\n", Some(Language::JavaScript)),
            ("#!/usr/bin/perl\n", None),
            ("#!", None),
            ("plain text\n", None),
        ] {
            assert_eq!(Language::Script.of_text(text.as_bytes()).map(Concrete::language), language, "{text}");
        }
        let include = |text: &str| Language::Include.of_text(text.as_bytes()).map(Concrete::language);
        assert_eq!(include("<html><?php f(); ?>"), Some(Language::Php));
        assert_eq!(include("#include <a.h>\n"), Some(Language::C));
        assert_eq!(include("#ifdef A\nnamespace a {}\n#endif\n"), Some(Language::Cpp));
        assert_eq!(include("SUMMARY = \"a recipe\"\n"), None);
    }
}
