//! How well names fit a query.

use std::cmp::Reverse;

use nucleo_matcher::{Config, Matcher, Utf32Str, Utf32String};

use super::Fit;

/// How well a name fits; the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It is the name.
    Exact,
    /// Its letters have another case.
    ExactButCase,
    /// By its length.
    Prefix(usize),
    /// By its score, then its length.
    Fuzzy(Reverse<u16>, usize),
}

/// Ranks names; each thread has its own.
pub(super) struct Ranker<'a> {
    wanted: &'a str,
    fit: Fit,
    lower: Utf32String,
    bound: Option<Bound>,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl<'a> Ranker<'a> {
    pub(super) fn new(wanted: &'a str, fit: Fit) -> Ranker<'a> {
        let fold = |letter| nucleo_matcher::chars::normalize(nucleo_matcher::chars::to_lower_case(letter));
        let lower = wanted.chars().map(fold).collect::<String>();
        let bound = Bound::new(&lower);
        let matcher = Matcher::new(Config::DEFAULT);
        Ranker { wanted, fit, lower: Utf32String::from(lower), bound, matcher, buffer: Vec::new() }
    }

    /// How well `name` fits, if it does.
    pub(super) fn rank(&mut self, name: &str) -> Option<Rank> {
        self.rank_better_than(name, None)
    }

    /// The same; `None` also when it can't be better than `worst`, which is a lot cheaper to find out.
    pub(super) fn rank_better_than(&mut self, name: &str, worst: Option<Rank>) -> Option<Rank> {
        let wanted = self.wanted;
        let is_better = |rank: &Rank| worst.is_none_or(|worst| *rank < worst);
        if name == wanted {
            return Some(Rank::Exact).filter(is_better);
        }
        if self.fit == Fit::Exact {
            return None;
        }
        let starts =
            name.len() >= wanted.len() && name.as_bytes()[..wanted.len()].eq_ignore_ascii_case(wanted.as_bytes());
        match starts {
            true if name.len() == wanted.len() => return Some(Rank::ExactButCase).filter(is_better),
            true => return Some(Rank::Prefix(name.len())).filter(is_better),
            false if self.fit == Fit::Prefix => return None,
            false => {}
        }
        if let (Some(_), Some(bound)) = (worst, &self.bound)
            && let Some(score) = bound.score(name.as_bytes())
            && !is_better(&Rank::Fuzzy(Reverse(score), name.len()))
        {
            return None;
        }
        let haystack = Utf32Str::new(name, &mut self.buffer);
        let score = self.matcher.fuzzy_match(haystack, self.lower.slice(..))?;
        Some(Rank::Fuzzy(Reverse(score), name.len())).filter(is_better)
    }
}

/// A score that no name's real one exceeds. The matcher finds the best of all ways to lay a query over a name, in a
/// table of all letters of both; this looks at each letter of the name once. It knows of each letter of the query
/// whether the name has it right behind the one before, and whether where a word begins: where neither is so, there is
/// a gap and no bonus.
struct Bound {
    /// For each byte, the places in the query where that letter is.
    places: Box<[u64; 256]>,
    letters: u32,
}

/// What the matcher gives for a letter, for a gap before it, and for where it is (`nucleo_matcher`'s score.rs).
mod points {
    pub(super) const LETTER: u16 = 16;
    pub(super) const GAP: u16 = 3;
    /// At the beginning of a name, and behind a blank or a delimiter, at most.
    pub(super) const BEGINNING: u16 = 10;
    /// At the beginning of any other word.
    pub(super) const WORD: u16 = 8;
    /// At a hump, or a number in a word.
    pub(super) const HUMP: u16 = 5;
    /// Right behind another, at least.
    pub(super) const BEHIND: u16 = 4;
}

impl Bound {
    /// None for a query that isn't ASCII, or of more than 64 letters.
    fn new(lower: &str) -> Option<Bound> {
        if !lower.is_ascii() || lower.len() > 64 {
            return None;
        }
        let mut places = Box::new([0; 256]);
        for (at, letter) in lower.bytes().enumerate() {
            places[usize::from(letter)] |= 1 << at;
            if letter.is_ascii_lowercase() {
                places[usize::from(letter.to_ascii_uppercase())] |= 1 << at;
            }
        }
        Some(Bound { places, letters: lower.len() as u32 })
    }

    /// None for a name that isn't ASCII.
    fn score(&self, name: &[u8]) -> Option<u16> {
        let (mut behind, mut beginnings, mut words, mut humps) = (0, 0, 0, 0);
        let (mut before, mut previous) = (0, b' ');
        for &letter in name {
            if !letter.is_ascii() {
                return None;
            }
            let here = self.places[usize::from(letter)];
            if here != 0 {
                behind |= (before << 1) & here;
                if previous.is_ascii_whitespace() || letter.is_ascii_whitespace() || b"/,:;|".contains(&previous) {
                    beginnings |= here;
                } else if !previous.is_ascii_alphanumeric() || !letter.is_ascii_alphanumeric() {
                    words |= here;
                } else if previous.is_ascii_lowercase() && letter.is_ascii_uppercase()
                    || previous.is_ascii_alphabetic() && letter.is_ascii_digit()
                {
                    humps |= here;
                }
            }
            (before, previous) = (here, letter);
        }
        // Of letters in a row, each gets what an earlier one of them got.
        let (mut score, mut run) = (0, 0);
        for at in 0..self.letters {
            let has = |places: u64| places >> at & 1 == 1;
            let place = match () {
                () if has(beginnings) => points::BEGINNING,
                () if has(words) => points::WORD,
                () if has(humps) => points::HUMP,
                () => 0,
            };
            score += points::LETTER;
            if at == 0 {
                run = place;
                score += 2 * place;
            } else if has(behind) {
                run = place.max(run).max(points::BEHIND);
                score += run;
            } else {
                run = place;
                score = score + place - points::GAP;
            }
        }
        Some(score)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        "[abAB1_:./ -]{1,24}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Names that the bound rules out would else be missed.
        #[test]
        fn no_score_exceeds_its_bound(name in name(), wanted in "[abAB1_:./-]{1,8}") {
            let mut ranker = Ranker::new(&wanted, Fit::Fuzzy);
            if let Some(Rank::Fuzzy(Reverse(score), _)) = ranker.rank(&name) {
                let bound = ranker.bound.as_ref().and_then(|bound| bound.score(name.as_bytes()));
                prop_assert!(bound.is_some_and(|bound| bound >= score), "{bound:?} {score}");
            }
        }

        /// What is better than the worst so far is ranked as if there were no worst.
        #[test]
        fn what_is_better_is_ranked_the_same(one in name(), other in name(), wanted in "[abAB1_-]{1,5}") {
            let mut ranker = Ranker::new(&wanted, Fit::Fuzzy);
            let (one, worst) = (one, ranker.rank(&other));
            let all = ranker.rank(&one);
            let better = all.filter(|rank| worst.is_none_or(|worst| *rank < worst));
            prop_assert_eq!(ranker.rank_better_than(&one, worst), better);
        }
    }

    /// Else nothing would be saved.
    #[test]
    fn letters_far_apart_have_a_low_bound() {
        let bound = Bound::new("open").unwrap();
        let score = |name: &str| bound.score(name.as_bytes()).unwrap();
        assert!(score("xoxpxexn") < score("file_open"));
        assert_eq!(score("xoxpxexn"), 4 * 16 - 3 * 3);
    }
}
