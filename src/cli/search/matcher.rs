//! The engines that decide what matches, with ripgrep's settings for them.

use grep_matcher::LineTerminator;
use grep_pcre2::RegexMatcherBuilder as Pcre2Builder;
use grep_regex::RegexMatcherBuilder;

use super::arguments::{Binary, Engine, Reading, Syntax};
use crate::index::{Boundary, Case, Pattern, Plan, Query};

/// An engine with its patterns.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// Rust's.
    Rust(grep_regex::RegexMatcher),
    /// PCRE2.
    Pcre2(Box<grep_pcre2::RegexMatcher>),
}

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Decides.
    pub(super) matcher: Matcher,
    /// Which files can hold a match at all.
    pub(super) plan: Plan,
    /// What the shared engine is asked by, where a plan can be made of it.
    pub(super) pattern: Pattern,
    /// See [`Query::by_buffer`].
    pub(super) by_buffer: bool,
}

impl Wanted {
    /// What is looked for by `patterns`.
    ///
    /// # Errors
    /// The engine's reason, when it can't read them.
    pub(super) fn new(patterns: Vec<String>, syntax: &Syntax, reading: &Reading) -> Result<Wanted, String> {
        let (matcher, is_rust) = match syntax.engine {
            Engine::Rust => (rust(&patterns, syntax, reading)?, true),
            Engine::Pcre2 => (pcre2(&patterns, syntax)?, false),
            Engine::Either => match rust(&patterns, syntax, reading) {
                Ok(matcher) => (matcher, true),
                Err(why) => {
                    let both = |other| format!("{why}; and by PCRE2: {other}");
                    (pcre2(&patterns, syntax).map_err(both)?, false)
                }
            },
        };
        // What has no special sign means the same to both.
        let is_word = |pattern: &String| pattern.chars().all(|c| c.is_ascii_alphanumeric() || "_ ,;:=/\"'".contains(c));
        let planned = !syntax.null_data && (is_rust || syntax.fixed_strings || patterns.iter().all(is_word));
        let pattern = Pattern {
            patterns,
            fixed_strings: syntax.fixed_strings,
            case: syntax.case,
            boundary: syntax.boundary,
            no_unicode: syntax.no_unicode,
            multiline: syntax.multiline,
            dot_all: syntax.multiline && syntax.dot_all,
            crlf: syntax.crlf,
        };
        let (plan, by_buffer) = if planned { Query::plan(&pattern) } else { (Plan::All, true) };
        Ok(Wanted { matcher, plan, pattern, by_buffer: by_buffer || !is_rust })
    }
}

fn rust(patterns: &[String], syntax: &Syntax, reading: &Reading) -> Result<Matcher, String> {
    let mut builder = RegexMatcherBuilder::new();
    builder
        .multi_line(true)
        .unicode(!syntax.no_unicode)
        .octal(false)
        .fixed_strings(syntax.fixed_strings)
        .case_insensitive(syntax.case == Case::Insensitive)
        .case_smart(syntax.case == Case::Smart)
        .word(syntax.boundary == Boundary::Word)
        .whole_line(syntax.boundary == Boundary::Line)
        .dot_matches_new_line(syntax.multiline && syntax.dot_all)
        .crlf(syntax.crlf);
    // Lines that end with CR LF, the engine knows by itself.
    match (syntax.multiline, syntax.crlf) {
        (true, _) => drop(builder.line_terminator(None)),
        (false, true) => {}
        (false, false) => drop(builder.line_terminator(Some(if syntax.null_data { 0 } else { b'\n' }))),
    }
    if let Some(limit) = syntax.size_limit {
        builder.size_limit(limit);
    }
    if let Some(limit) = syntax.dfa_size_limit {
        builder.dfa_size_limit(limit);
    }
    if reading.binary != Binary::Text && !syntax.null_data {
        builder.ban_byte(Some(0));
    }
    builder.build_many(patterns).map(Matcher::Rust).map_err(|error| sentence(&error.to_string()))
}

fn pcre2(patterns: &[String], syntax: &Syntax) -> Result<Matcher, String> {
    let mut builder = Pcre2Builder::new();
    builder
        .multi_line(true)
        .fixed_strings(syntax.fixed_strings)
        .caseless(syntax.case == Case::Insensitive)
        .case_smart(syntax.case == Case::Smart)
        .whole_line(syntax.boundary == Boundary::Line)
        .word(syntax.boundary == Boundary::Word)
        .utf(!syntax.no_unicode)
        .ucp(!syntax.no_unicode)
        .dotall(syntax.multiline && syntax.dot_all);
    if syntax.crlf {
        builder.crlf(true);
    }
    if cfg!(target_pointer_width = "64") {
        // ripgrep's bound of the stack, bytes.
        builder.jit_if_available(true).max_jit_stack_size(Some(10 << 20));
    }
    let matcher = builder.build_many(patterns).map_err(|error| format!("PCRE2 can't read the pattern: {error}"))?;
    Ok(Matcher::Pcre2(Box::new(matcher)))
}

/// What ends a line.
pub(super) fn line_end(syntax: &Syntax) -> LineTerminator {
    match () {
        () if syntax.crlf => LineTerminator::crlf(),
        () if syntax.null_data => LineTerminator::byte(0),
        () => LineTerminator::byte(b'\n'),
    }
}

/// One sentence of the regex parser's several lines, which draw the pattern with a mark below, and what helps.
fn sentence(error: &str) -> String {
    let says = match error.lines().last().and_then(|line| line.strip_prefix("error: ")) {
        Some(cause) => format!("the pattern isn't a regular expression: {cause}"),
        None => format!("can't search for that pattern: {}", error.split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    let helps = match () {
        () if error.contains("backreferences") || error.contains("look-around") => "--pcre2 can read it",
        () if error.contains("the literal") && error.contains("not allowed") => {
            "--multiline lets matches go over lines"
        }
        () if error.contains("pattern contains \"\\0\"") => "--text searches binary files as text",
        () => "-F searches for plain text",
    };
    format!("{says}; {helps}")
}
