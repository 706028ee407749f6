//! From a regular expression to the grams that every matching line must hold.
//!
//! The rules are those of Russ Cox's "Regular Expression Matching with a Trigram Index": for each part of the
//! expression, the strings it can be (when they are few), the strings it can begin and end with, and a condition on
//! grams that any match fulfils. A plan may let through files without a match; it never leaves out one that has one.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::gram::Gram;

/// A condition on the grams of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    /// Any file may match.
    All,
    /// No file can match.
    Nothing,
    /// One of these, sorted, must be there.
    AnyOf(Vec<Gram>),
    /// Each of these must hold.
    And(Vec<Plan>),
    /// One of these must hold.
    Or(Vec<Plan>),
}

/// Most strings that are followed through an expression; above, only their ends are.
const MOST_STRINGS: usize = 1024;
/// More strings than this become a condition as soon as each is long enough for one.
const FEW_STRINGS: usize = 8;
/// Longest string that is followed, bytes.
const LONGEST: usize = 256;
/// Ends of three bytes, which make boundary grams with what is beside them, are followed up to this many; above, only
/// ends of two.
const MOST_LONG_ENDS: usize = 64;
/// Classes of at most this many characters are spelled out.
const MOST_CHARACTERS: u32 = 64;
/// Copies of a repeated part that are looked at.
const MOST_COPIES: u32 = 8;

impl Plan {
    /// The plan of an expression.
    pub fn of(hir: &Hir) -> Plan {
        Part::of(hir).into_plan()
    }

    /// The same for matches that may go over lines: grams that do aren't indexed, so that they say nothing.
    pub fn over_lines(self) -> Plan {
        match self {
            Plan::AnyOf(grams) if grams.iter().any(|gram| gram.spans_lines()) => Plan::All,
            Plan::And(parts) => parts.into_iter().map(Plan::over_lines).fold(Plan::All, Plan::and),
            Plan::Or(parts) => Plan::any(parts.into_iter().map(Plan::over_lines)),
            other => other,
        }
    }

    fn and(self, other: Plan) -> Plan {
        match (self, other) {
            (Plan::All, plan) | (plan, Plan::All) => plan,
            (Plan::Nothing, _) | (_, Plan::Nothing) => Plan::Nothing,
            (a, b) => {
                let mut parts = Vec::new();
                for plan in [a, b] {
                    let more = if let Plan::And(more) = plan { more } else { vec![plan] };
                    more.into_iter().for_each(|p| {
                        if !parts.contains(&p) {
                            parts.push(p)
                        }
                    });
                }
                if parts.len() == 1 { parts.swap_remove(0) } else { Plan::And(parts) }
            }
        }
    }

    fn or(self, other: Plan) -> Plan {
        Plan::any([self, other])
    }

    /// That one of `plans` is fulfilled. There may be thousands.
    fn any(plans: impl IntoIterator<Item = Plan>) -> Plan {
        let (mut grams, mut others) = (BTreeSet::new(), BTreeSet::new());
        for plan in plans {
            let parts = match plan {
                Plan::All => return Plan::All,
                Plan::Nothing => continue,
                Plan::Or(parts) => parts,
                plan => vec![plan],
            };
            for part in parts {
                match part {
                    Plan::AnyOf(more) => grams.extend(more),
                    part => drop(others.insert(part)),
                }
            }
        }
        if !grams.is_empty() {
            others.insert(Plan::AnyOf(grams.into_iter().collect()));
        }
        match others.len() {
            0 => Plan::Nothing,
            1 => others.pop_first().unwrap_or(Plan::Nothing),
            _ => Plan::Or(others.into_iter().collect()),
        }
    }

    /// That one of `strings` is there.
    fn of_strings(strings: &Strings) -> Plan {
        match strings.0.len() > FEW_STRINGS && strings.shortest() == 4 && strings.longest() == 4 {
            true => Plan::of_fours(strings),
            false => Plan::any(strings.0.iter().map(|string| Plan::of_string(string))),
        }
    }

    /// The same for many strings of four bytes. What each place can hold is asked, not each string: that reads each
    /// posting list once.
    fn of_fours(strings: &Strings) -> Plan {
        let fours = || strings.0.iter().filter_map(|string| <[u8; 4]>::try_from(&string[..]).ok());
        let one_of = |gram: &dyn Fn([u8; 4]) -> Gram| Plan::any(fours().map(|four| Plan::AnyOf(vec![gram(four)])));
        let first = |[a, b, c, _]: [u8; 4]| Gram::trigram([a, b, c]);
        let trigrams = one_of(&first).and(one_of(&|[_, b, c, d]| Gram::trigram([b, c, d])));
        match fours().any(|four| Gram::boundary(four).is_some()) {
            true => trigrams.and(one_of(&|four| Gram::boundary(four).unwrap_or_else(|| first(four)))),
            false => trigrams,
        }
    }

    fn of_string(string: &[u8]) -> Plan {
        let trigrams = string.windows(3).map(|w| Gram::trigram([w[0], w[1], w[2]]));
        let boundaries = string.windows(4).filter_map(|w| Gram::boundary([w[0], w[1], w[2], w[3]]));
        trigrams.chain(boundaries).fold(Plan::All, |plan, gram| plan.and(Plan::AnyOf(vec![gram])))
    }
}

/// A set of strings.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Strings(BTreeSet<Vec<u8>>);

impl Strings {
    fn one(string: &[u8]) -> Strings {
        Strings([string.to_vec()].into())
    }

    /// What may be anything.
    fn anything() -> Strings {
        Strings::one(b"")
    }

    fn shortest(&self) -> usize {
        self.0.iter().map(Vec::len).min().unwrap_or(0)
    }

    fn longest(&self) -> usize {
        self.0.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Each of these followed by each of those, if they aren't too many.
    fn cross(&self, after: &Strings) -> Option<Strings> {
        (self.0.len() * after.0.len() <= MOST_STRINGS && self.longest() + after.longest() <= LONGEST)
            .then(|| Strings(self.0.iter().flat_map(|a| after.0.iter().map(move |b| [&a[..], b].concat())).collect()))
    }

    fn union(mut self, other: Strings) -> Strings {
        self.0.extend(other.0);
        self
    }

    fn beginnings(&self, length: usize) -> Strings {
        Strings(self.0.iter().map(|s| s[..s.len().min(length)].to_vec()).collect())
    }

    fn ends(&self, length: usize) -> Strings {
        Strings(self.0.iter().map(|s| s[s.len() - s.len().min(length)..].to_vec()).collect())
    }

    /// Whether they can be followed as the ends of a part, without anything cut off.
    fn are_ends(&self) -> bool {
        let most = match self.longest() {
            0..=2 => MOST_STRINGS,
            3 => MOST_LONG_ENDS,
            _ => 0,
        };
        self.0.len() <= most
    }

    /// Cut to ends of a part, as long as may be; `cut` gives them for a length.
    fn to_ends(&self, cut: impl Fn(&Strings, usize) -> Strings) -> Strings {
        [3, 2].into_iter().map(|length| cut(self, length)).find(Strings::are_ends).unwrap_or_else(Strings::anything)
    }
}

/// What is known of a part of an expression.
#[derive(Clone, Debug)]
enum Part {
    /// It matches these strings and no others.
    Exactly(Strings),
    /// A match begins with one of `prefixes`, ends with one of `suffixes`, and fulfils `must`.
    Like { prefixes: Strings, suffixes: Strings, must: Plan },
}

impl Part {
    fn of(hir: &Hir) -> Part {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Part::empty(),
            HirKind::Literal(literal) => Part::Exactly(Strings::one(&literal.0)).bounded(),
            HirKind::Class(class) => Part::of_class(class),
            HirKind::Capture(capture) => Part::of(&capture.sub),
            HirKind::Repetition(repetition) => Part::of_repetition(repetition),
            HirKind::Concat(parts) => parts.iter().fold(Part::empty(), |before, next| before.then(Part::of(next))),
            HirKind::Alternation(parts) => {
                let nothing = Part::Exactly(Strings::default());
                parts.iter().fold(nothing, |before, next| before.or(Part::of(next)))
            }
        }
    }

    fn empty() -> Part {
        Part::Exactly(Strings::one(b""))
    }

    fn anything() -> Part {
        Part::Like { prefixes: Strings::anything(), suffixes: Strings::anything(), must: Plan::All }
    }

    fn of_class(class: &Class) -> Part {
        let mut strings = BTreeSet::new();
        match class {
            Class::Unicode(class) => {
                let count: u32 = class.ranges().iter().map(|r| u32::from(r.end()) - u32::from(r.start()) + 1).sum();
                if count > MOST_CHARACTERS {
                    return Part::anything();
                }
                for c in class.ranges().iter().flat_map(|r| r.start()..=r.end()) {
                    strings.insert(c.to_string().into_bytes());
                }
            }
            Class::Bytes(class) => {
                let count: u32 = class.ranges().iter().map(|r| u32::from(r.end()) - u32::from(r.start()) + 1).sum();
                if count > MOST_CHARACTERS {
                    return Part::anything();
                }
                for byte in class.ranges().iter().flat_map(|r| r.start()..=r.end()) {
                    strings.insert(vec![byte]);
                }
            }
        }
        // A match never holds a line's end.
        strings.remove(&b"\n"[..]);
        Part::Exactly(Strings(strings))
    }

    fn of_repetition(repetition: &Repetition) -> Part {
        let once = Part::of(&repetition.sub);
        if repetition.min == 0 {
            return match repetition.max {
                Some(1) => once.or(Part::empty()),
                _ => Part::anything(),
            };
        }
        let copies = repetition.min.min(MOST_COPIES);
        let part = (1..copies).fold(once.clone(), |before, _| before.then(once.clone()));
        if repetition.max == Some(copies) { part } else { part.then(Part::anything()).then_ends_like(&once) }
    }

    /// Of a part repeated without a bound, whose suffix got lost: it ends as each copy does.
    fn then_ends_like(self, copy: &Part) -> Part {
        match self {
            Part::Like { prefixes, must, .. } => Part::Like { prefixes, suffixes: copy.suffixes().ends(2), must },
            exactly => exactly,
        }
    }

    fn prefixes(&self) -> &Strings {
        match self {
            Part::Exactly(strings) => strings,
            Part::Like { prefixes, .. } => prefixes,
        }
    }

    fn suffixes(&self) -> &Strings {
        match self {
            Part::Exactly(strings) => strings,
            Part::Like { suffixes, .. } => suffixes,
        }
    }

    fn must(self) -> Plan {
        match self {
            Part::Exactly(_) => Plan::All,
            Part::Like { must, .. } => must,
        }
    }

    /// This, followed by `next`.
    fn then(self, next: Part) -> Part {
        if let (Part::Exactly(a), Part::Exactly(b)) = (&self, &next)
            && let Some(both) = a.cross(b)
        {
            return Part::Exactly(both).bounded();
        }
        let across = self.across(&next);
        let prefixes = match &self {
            Part::Exactly(strings) => strings.cross(next.prefixes()).unwrap_or_else(|| strings.beginnings(2)),
            Part::Like { prefixes, .. } => prefixes.clone(),
        };
        let suffixes = match &next {
            Part::Exactly(strings) => self.suffixes().cross(strings).unwrap_or_else(|| strings.ends(2)),
            Part::Like { suffixes, .. } => suffixes.clone(),
        };
        let must = self.certain().and(next.certain()).and(across);
        Part::Like { prefixes, suffixes, must }.bounded()
    }

    /// What must be there where this ends and `next` begins.
    fn across(&self, next: &Part) -> Plan {
        let (ends, beginnings) = (self.suffixes(), next.prefixes());
        let all = |strings: Option<Strings>| strings.map_or(Plan::All, |strings| Plan::of_strings(&strings));
        match ends.cross(beginnings) {
            Some(strings) => Plan::of_strings(&strings),
            // Too many: what either is known by, and the two trigrams that lie across, each by itself.
            None => Plan::of_strings(ends)
                .and(Plan::of_strings(beginnings))
                .and(all(ends.ends(2).cross(&beginnings.beginnings(1))))
                .and(all(ends.ends(1).cross(&beginnings.beginnings(2)))),
        }
    }

    /// This, or `other`.
    fn or(self, other: Part) -> Part {
        match (self, other) {
            (Part::Exactly(a), Part::Exactly(b)) if a.0.len() + b.0.len() <= MOST_STRINGS => Part::Exactly(a.union(b)),
            (a, b) => {
                let prefixes = a.prefixes().clone().union(b.prefixes().clone());
                let suffixes = a.suffixes().clone().union(b.suffixes().clone());
                Part::Like { prefixes, suffixes, must: a.into_plan().or(b.into_plan()) }.bounded()
            }
        }
    }

    /// What is certain of any match when the strings it is known by are about to be cut.
    fn certain(self) -> Plan {
        match &self {
            Part::Exactly(strings) if strings.shortest() >= 3 => Plan::of_strings(strings),
            Part::Exactly(strings) if strings.0.is_empty() => Plan::Nothing,
            _ => self.must(),
        }
    }

    /// The same, its strings few and short: what is cut off goes into the condition.
    fn bounded(self) -> Part {
        match self {
            Part::Exactly(strings) => {
                let many = strings.0.len() > FEW_STRINGS && strings.shortest() >= 3;
                if !many && strings.0.len() <= MOST_STRINGS && strings.longest() <= LONGEST {
                    return Part::Exactly(strings);
                }
                let must = Plan::of_strings(&strings);
                let (prefixes, suffixes) = (strings.to_ends(Strings::beginnings), strings.to_ends(Strings::ends));
                Part::Like { prefixes, suffixes, must }
            }
            Part::Like { prefixes, suffixes, mut must } => {
                let mut cut = |strings: Strings, cut: fn(&Strings, usize) -> Strings| {
                    if strings.are_ends() {
                        return strings;
                    }
                    must = std::mem::replace(&mut must, Plan::All).and(Plan::of_strings(&strings));
                    strings.to_ends(cut)
                };
                let prefixes = cut(prefixes, Strings::beginnings);
                let suffixes = cut(suffixes, Strings::ends);
                Part::Like { prefixes, suffixes, must }
            }
        }
    }

    fn into_plan(self) -> Plan {
        match self {
            Part::Exactly(strings) => Plan::of_strings(&strings),
            Part::Like { prefixes, suffixes, must } => {
                must.and(Plan::of_strings(&prefixes)).and(Plan::of_strings(&suffixes))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::index::fuzz::lets_through;
    use crate::index::gram::Collector;
    use proptest::prelude::*;

    fn plan(pattern: &str) -> Plan {
        Plan::of(&regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).expect("a pattern"))
    }

    fn any_of(grams: &[&str]) -> Plan {
        Plan::AnyOf(grams.iter().map(|t| Gram::trigram(t.as_bytes().try_into().expect("three bytes"))).collect())
    }

    #[test]
    fn plans_ask_for_what_a_match_must_hold() {
        assert_eq!(plan("abcd"), Plan::And(vec![any_of(&["abc"]), any_of(&["bcd"])]));
        assert_eq!(plan("abc|xyz"), any_of(&["abc", "xyz"]));
        assert_eq!(plan("ab[cd]"), any_of(&["abc", "abd"]));
        assert_eq!(plan("abc.*xyz"), Plan::And(vec![any_of(&["abc"]), any_of(&["xyz"])]));
        assert_eq!(plan("a(bc)+d"), Plan::And(vec![any_of(&["abc"]), any_of(&["bcd"])]));
        assert_eq!(plan("(?i)abc"), any_of(&["ABC", "ABc", "AbC", "Abc", "aBC", "aBc", "abC", "abc"]));
        let boundary = Plan::AnyOf(vec![Gram::boundary(*b"ab_c").expect("a boundary gram")]);
        assert_eq!(plan("ab_c"), Plan::And(vec![any_of(&["ab_"]), any_of(&["b_c"]), boundary]));
        assert_eq!(plan("ab"), Plan::All);
        assert_eq!(plan("abc|x"), Plan::All);
        assert_eq!(plan(".*"), Plan::All);
        assert_eq!(plan("(abc)?"), Plan::All);
        assert_eq!(plan(r"[a&&b]abc"), Plan::Nothing);
    }

    #[test]
    fn small_classes_give_grams() {
        let Plan::And(parts) = plan("[a-z]{3}_[0-9]{4}") else { panic!("several conditions") };
        let sizes: Vec<_> = parts.iter().map(|p| if let Plan::AnyOf(t) = p { t.len() } else { 0 }).collect();
        assert!(sizes.contains(&260) && sizes.contains(&100), "{sizes:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        // The promise: a text that matches is let through.
        #[test]
        fn no_match_is_left_out(pattern in "(?:[abcAK_]|ab|bca|cab|ab_c|aAb|\\.|[abc]|\\(a|b\\)|\\(\\?i:k\\)|\\||\\{1,2\\}|\\*|\\+|\\?|\\^|\\$|\\\\b|(?:ab){2}){1,10}", seed in any::<u64>()) {
            let Ok(hir) = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&pattern) else { return Ok(()) };
            let plan = Plan::of(&hir);
            let regex = grep_regex::RegexMatcherBuilder::new().line_terminator(Some(b'\n')).build(&pattern).expect("it parsed");
            let mut state = seed | 1;
            for _ in 0..50 {
                let mut text = Vec::new();
                for _ in 0..12 {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    text.extend_from_slice([&b"a"[..], b"b", b"c", b"A", "\u{212a}".as_bytes(), b"k", b"K", b"_", b"ab_c"][(state >> 33) as usize % 9]);
                }
                if grep_matcher::Matcher::is_match(&regex, &text).expect("it can search") {
                    let mut collector = Collector::new();
                    collector.feed(&text);
                    let grams = collector.found().collect();
                    prop_assert!(lets_through(&plan, &grams), "{pattern:?} on {:?}: {plan:?}", String::from_utf8_lossy(&text));
                }
            }
        }
    }
}
