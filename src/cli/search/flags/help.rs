//! What is told of flags and versions, and pages and completions made of the table.

use std::fmt::Write;

use super::super::arguments::Page;
use super::{Flag, GROUPS, all};
use crate::daemon::wire::VERSION;

/// The version of ripgrep whose flags these are.
const RIPGREP: &str = "15.2.0";

/// What flags there are, for a program that is called as `program`; in brief, without negations.
pub(in super::super) fn usage(program: &str, ours: bool, brief: bool) -> String {
    let mut text = format!(
        "Finds what ripgrep finds, with its flags, and prints it as `rg --sort path` does. What Syncline's index rules out\n\
         isn't read. Without a PATH, standard input is searched if it is a pipe or a file, else the current folder.\n\n\
         USAGE:\n  {program} [OPTIONS] PATTERN [PATH ...]\n"
    );
    let width = all(ours).map(|flag| heading(flag).len()).max().unwrap_or(0);
    for group in GROUPS.iter().filter(|group| ours || !group.ours) {
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "\n{}:", group.title);
        for flag in group.flags {
            let negated = flag.negated.filter(|_| !brief).map(|name| format!(" [--{name}]"));
            let _ = writeln!(text, "  {:width$}  {}{}", heading(flag), flag.help, negated.unwrap_or_default());
        }
    }
    text
}

/// A flag with its letter and its value, as ripgrep's short help has it.
fn heading(flag: &Flag) -> String {
    let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
    let value = flag.value_name().map(|name| format!("={name}")).unwrap_or_default();
    format!("{short}--{}{value}", flag.long)
}

/// The version in a line: as `rg`, first ripgrep's, which programs look for.
pub(in super::super) fn short_version(as_rg: bool) -> String {
    match as_rg {
        true => format!("ripgrep {RIPGREP} (syncline {VERSION})\n"),
        false => format!("syncline {VERSION}, with the flags of ripgrep {RIPGREP}\n"),
    }
}

/// The version, and what it can do.
pub(in super::super) fn long_version(as_rg: bool) -> String {
    format!("{}\nfeatures:+pcre2\n\n{}", short_version(as_rg), pcre2_version())
}

/// Which PCRE2 is there.
pub(in super::super) fn pcre2_version() -> String {
    let (major, minor) = grep_pcre2::version();
    let jit = if grep_pcre2::is_jit_available() { "JIT is available" } else { "JIT is unavailable" };
    format!("PCRE2 {major}.{minor} is available ({jit})\n")
}

/// A page or a script, for a program of the name `program`.
pub(in super::super) fn page(page: Page, program: &str, ours: bool) -> String {
    match page {
        Page::Man => man(program, ours),
        Page::Bash => bash(program, ours),
        Page::Zsh => zsh(program, ours),
        Page::Fish => fish(program, ours),
        Page::PowerShell => powershell(program, ours),
    }
}

/// Every spelling of every flag, with the flag it is one of.
fn spellings(ours: bool) -> impl Iterator<Item = (String, &'static Flag)> {
    all(ours).flat_map(|flag| {
        let short = flag.short.map(|short| format!("-{short}"));
        let long = [Some(flag.long), flag.alias, flag.negated].into_iter().flatten().map(|name| format!("--{name}"));
        short.into_iter().chain(long).map(move |name| (name, flag))
    })
}

fn man(program: &str, ours: bool) -> String {
    let roff = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let (name, upper) = (roff(program), program.replace(' ', "-").to_uppercase());
    let mut text = format!(
        ".TH {upper} 1 \"\" \"syncline\" \"User Commands\"\n.SH NAME\n{name} \\- find what ripgrep finds, by an index that is \
         kept fresh\n.SH SYNOPSIS\n.B {name}\n[OPTIONS] PATTERN [PATH ...]\n"
    );
    for group in GROUPS.iter().filter(|group| ours || !group.ours) {
        let _ = writeln!(text, ".SH {}", group.title);
        for flag in group.flags {
            let _ = writeln!(text, ".TP\n.B {}\n{}.", roff(&heading(flag)), roff(flag.help));
            if let Some(negated) = flag.negated {
                let _ = writeln!(text, "Negation: {}.", roff(&format!("--{negated}")));
            }
        }
    }
    text
}

/// The first word of what a program is called by: completions belong to a command, not to its subcommand.
fn command(program: &str) -> &str {
    program.split(' ').next().unwrap_or(program)
}

fn bash(program: &str, ours: bool) -> String {
    let words: Vec<String> = spellings(ours).map(|(name, _)| name).collect();
    let (words, command) = (words.join(" "), command(program));
    let only = program.split(' ').nth(1).map(|word| format!("[[ ${{COMP_WORDS[1]}} == {word} ]] || return 0\n    "));
    format!(
        "_{command}_search() {{\n    {}local current=${{COMP_WORDS[COMP_CWORD]}}\n    COMPREPLY=()\n    \
         [[ $current == -* ]] && COMPREPLY=($(compgen -W '{words}' -- \"$current\"))\n    return 0\n}}\n\
         complete -o bashdefault -o default -F _{command}_search {command}\n",
        only.unwrap_or_default()
    )
}

fn zsh(program: &str, ours: bool) -> String {
    let mut text = format!("#compdef {}\n\n_arguments -s -S \\\n", command(program));
    for (name, flag) in spellings(ours) {
        let help = flag.help.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
        let takes = flag.value_name().filter(|_| flag.negated.is_none_or(|negated| name != format!("--{negated}")));
        let value = takes.map(|value| format!(":{}:", value.replace('?', ""))).unwrap_or_default();
        let _ = writeln!(text, "  '*{name}[{help}]{value}' \\");
    }
    text.push_str("  '*:file:_files'\n");
    text
}

fn fish(program: &str, ours: bool) -> String {
    let (command, mut text) = (command(program), String::new());
    let only = program.split(' ').nth(1).map(|word| format!(" -n '__fish_seen_subcommand_from {word}'"));
    let only = only.unwrap_or_default();
    for flag in all(ours) {
        let help = flag.help.replace('\\', "\\\\").replace('\'', "\\'");
        let short = flag.short.map(|short| format!(" -s {short}")).unwrap_or_default();
        let takes = if flag.value_name().is_some() { " -r" } else { "" };
        let _ = writeln!(text, "complete -c {command}{only}{short} -l {}{takes} -d '{help}'", flag.long);
        for name in [flag.alias, flag.negated].into_iter().flatten() {
            let _ = writeln!(text, "complete -c {command}{only} -l {name}");
        }
    }
    text
}

fn powershell(program: &str, ours: bool) -> String {
    let words: Vec<String> = spellings(ours).map(|(name, _)| format!("'{name}'")).collect();
    format!(
        "Register-ArgumentCompleter -Native -CommandName '{}' -ScriptBlock {{\n    param($wordToComplete)\n    \
         @({}) | Where-Object {{ $_ -clike \"$wordToComplete*\" }}\n}}\n",
        command(program),
        words.join(", ")
    )
}
