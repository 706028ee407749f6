//! A question, ready to be asked: the matcher that decides, and the plan that narrows.

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use regex_syntax::hir::{Hir, Look};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::plan::Plan;

/// How letters are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Case {
    /// As they are.
    #[default]
    Sensitive,
    /// Without regard to case.
    Insensitive,
    /// Without regard to case, unless the pattern has an upper-case letter.
    Smart,
}

/// What a match must be bounded by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Boundary {
    /// Anything.
    #[default]
    None,
    /// Word boundaries on both sides (`rg -w`).
    Word,
    /// The line's ends (`rg -x`).
    Line,
}

/// What is asked for, in ripgrep's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pattern {
    /// One of these must match.
    pub patterns: Vec<String>,
    /// They are plain text, not regular expressions.
    pub fixed_strings: bool,
    /// How letters are compared.
    pub case: Case,
    /// What a match must be bounded by.
    pub boundary: Boundary,
    /// Letters are bytes (`rg --no-unicode`).
    #[serde(default)]
    pub no_unicode: bool,
    /// A match may go over lines (`rg --multiline`).
    #[serde(default)]
    pub multiline: bool,
    /// `.` matches a line's end (`rg --multiline-dotall`).
    #[serde(default)]
    pub dot_all: bool,
    /// Lines may end with CR LF (`rg --crlf`).
    #[serde(default)]
    pub crlf: bool,
}

/// A pattern that isn't one.
#[derive(Debug, Error)]
#[error("can't search for that pattern: {0}")]
pub struct PatternError(String);

/// A question, ready to be asked.
#[derive(Clone, Debug)]
pub struct Query {
    /// Decides what matches, exactly as ripgrep does.
    pub matcher: RegexMatcher,
    /// Which files can hold a match at all.
    pub plan: Plan,
    /// It asks where the text begins or ends (`\A`, `\z`), for which ripgrep takes what its buffer holds: a file that is
    /// searched in any other way may have another answer.
    pub by_buffer: bool,
}

impl Query {
    /// Makes the matcher and the plan of a pattern.
    ///
    /// # Errors
    /// When it isn't a regular expression, or would have to match a line's end.
    pub fn new(pattern: &Pattern) -> Result<Query, PatternError> {
        let mut builder = RegexMatcherBuilder::new();
        builder
            .multi_line(true)
            .unicode(!pattern.no_unicode)
            .octal(false)
            .fixed_strings(pattern.fixed_strings)
            .case_insensitive(pattern.case == Case::Insensitive)
            .case_smart(pattern.case == Case::Smart)
            .word(pattern.boundary == Boundary::Word)
            .whole_line(pattern.boundary == Boundary::Line)
            .line_terminator(Some(b'\n'))
            .dot_matches_new_line(false)
            .ban_byte(Some(0));
        let matcher = builder.build_many(&pattern.patterns).map_err(|e| PatternError(e.to_string()))?;
        let (plan, by_buffer) = Query::plan(pattern);
        Ok(Query { matcher, plan, by_buffer })
    }

    /// The plan of a pattern that may also be matched by another matcher, over the ends of lines too, and whether the
    /// text's ends count. Where the pattern isn't a regular expression to the parser, every file is a candidate.
    pub fn plan(pattern: &Pattern) -> (Plan, bool) {
        plan(pattern)
    }
}

fn plan(pattern: &Pattern) -> (Plan, bool) {
    let parts = pattern.patterns.iter().map(|p| match pattern.fixed_strings {
        true => format!("(?:{})", regex_syntax::escape(p)),
        false => format!("(?:{p})"),
    });
    let joined = parts.collect::<Vec<_>>().join("|");
    let mut parser = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .multi_line(true)
        .unicode(!pattern.no_unicode)
        .dot_matches_new_line(pattern.dot_all)
        .crlf(pattern.crlf)
        .case_insensitive(may_ignore_case(pattern))
        .build();
    let asks_for_ends = |hir: &Hir| {
        let looks = hir.properties().look_set();
        looks.contains(Look::Start) || looks.contains(Look::End)
    };
    let plan_of = |hir: &Hir| match pattern.multiline {
        true => Plan::of(hir).over_lines(),
        false => Plan::of(hir),
    };
    parser.parse(&joined).map_or((Plan::All, true), |hir| (plan_of(&hir), asks_for_ends(&hir)))
}

/// Whether the matcher may compare without regard to case. A plan that does so needlessly is only less narrow, so in
/// doubt (is the upper-case letter a literal, or part of `\pL`, `(?U)`, `(?P<Name>…)`?) the answer is yes.
fn may_ignore_case(pattern: &Pattern) -> bool {
    let plain = |p: &String| pattern.fixed_strings || !p.contains('\\') && !p.contains("(?");
    match pattern.case {
        Case::Sensitive => false,
        Case::Insensitive => true,
        Case::Smart => !pattern.patterns.iter().any(|p| plain(p) && p.chars().any(char::is_uppercase)),
    }
}
