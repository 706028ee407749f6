//! Answers within a budget, and their pages. A list is made once; its pages show it as it was then.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use uuid::Uuid;

/// How long a list may be gone on with after it was last asked for.
const LIST_LIVES: Duration = Duration::from_secs(30 * 60);
/// Bytes of all lists together; the oldest go.
const MOST_BYTES: u64 = 32 << 20;
/// Bytes of a token, on average.
const BYTES_PER_TOKEN: f64 = 3.5;
/// Bytes that are left for what is said after the list.
const REST: usize = 350;

/// Something that was found.
pub(super) struct Item {
    /// What it is a part of, said once before the first of them: a file.
    pub(super) group: Option<Arc<str>>,
    /// Its text, of one or several lines.
    pub(super) text: String,
    /// How many of what is counted it stands for.
    pub(super) counts: usize,
}

/// All that was found.
pub(super) struct List {
    pub(super) items: Vec<Item>,
    /// What is counted: `lines`.
    pub(super) unit: &'static str,
    /// How many there are, with words around it: `430 lines in 57 files`.
    pub(super) total: String,
    /// How to get less, when not all of it fits.
    pub(super) narrow: &'static str,
    /// What is said at the end of each page: how fresh it is.
    pub(super) end: String,
}

impl List {
    fn bytes(&self) -> u32 {
        let items = self.items.iter().map(|item| item.text.len() + size_of::<Item>()).sum::<usize>();
        u32::try_from(items + self.end.len()).unwrap_or(u32::MAX)
    }
}

/// The lists that may be gone on with.
#[derive(Clone)]
pub(super) struct Pages {
    lists: Cache<String, Arc<List>>,
}

impl Default for Pages {
    fn default() -> Pages {
        let lists = Cache::builder()
            .time_to_idle(LIST_LIVES)
            .max_capacity(MOST_BYTES)
            .weigher(|_: &String, list: &Arc<List>| list.bytes())
            .build();
        Pages { lists }
    }
}

impl Pages {
    /// The first page of a list.
    pub(super) async fn first(&self, list: List, max_tokens: usize) -> String {
        let list = Arc::new(list);
        let name = Uuid::new_v4().simple().to_string();
        let (text, is_all) = show(&list, &name, 0, max_tokens);
        if !is_all {
            self.lists.insert(name, list).await;
        }
        text
    }

    /// A later one.
    ///
    /// # Errors
    /// When the list is gone, or `page` never was one.
    pub(super) async fn later(&self, page: &str, max_tokens: usize) -> Result<String, String> {
        let found = page.split_once('.').and_then(|(name, from)| Some((name, from.parse::<usize>().ok()?)));
        let (name, from) =
            found.ok_or_else(|| format!("`{page}` is no page; take the one that the last answer ends with"))?;
        match self.lists.get(name).await {
            Some(list) if from < list.items.len() => Ok(show(&list, name, from, max_tokens).0),
            _ => Err("that page is gone (lists are kept for 30 minutes); ask again from the beginning".to_owned()),
        }
    }
}

/// As many items as fit from one on, and whether those were the last.
fn show(list: &List, name: &str, from: usize, max_tokens: usize) -> (String, bool) {
    let room =
        ((max_tokens as f64 * BYTES_PER_TOKEN) as usize).saturating_sub(REST + list.end.len() + list.total.len());
    let mut text = String::new();
    let mut group = None;
    let mut at = from;
    while let Some(item) = list.items.get(at) {
        let begins = item.group.is_some() && item.group != group;
        let title = item.group.as_deref().filter(|_| begins).unwrap_or_default();
        // The first is always shown: it has a bound of its own.
        if at > from && text.len() + title.len() + item.text.len() + 4 > room {
            break;
        }
        if begins {
            text.push_str(title);
            text.push('\n');
            group = item.group.clone();
        }
        text.push_str(&item.text);
        text.push('\n');
        at += 1;
    }
    let count = |items: &[Item]| items.iter().map(|item| item.counts).sum::<usize>();
    let (before, shown) = (count(&list.items[..from]), count(&list.items[from..at]));
    let is_all = at == list.items.len();
    if from == 0 && is_all {
        text.push_str(&format!("\n{}.\n", list.total));
    } else {
        let (first, last) = (before + 1, before + shown);
        text.push_str(&format!("\nShown: {} {first} to {last} of {}.\n", list.unit, list.total));
        if !is_all {
            text.push_str(&format!("To go on: page \"{name}.{at}\". {}\n", list.narrow));
        }
    }
    text.push_str(&list.end);
    (text, is_all)
}

/// Of a longer text so much as fits in `most` bytes, around the byte `at`.
pub(super) fn cut(text: &str, at: usize, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let boundary = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let begin = boundary(at.saturating_sub(most / 3).min(text.len() - most));
    let end = boundary(begin + most);
    let (before, after) = (if begin > 0 { "…" } else { "" }, if end < text.len() { "…" } else { "" });
    format!("{before}{}{after}", &text[begin..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: usize) -> List {
        let item = |number| Item {
            group: Some(Arc::from(format!("file {}", number / 10))),
            text: format!("  {number}: {}", "x".repeat(50)),
            counts: 1,
        };
        let items: Vec<_> = (0..items).map(item).collect();
        let total = format!("{} lines", items.len());
        List { items, unit: "lines", total, narrow: "Or narrow.", end: "fresh: yes".to_owned() }
    }

    #[tokio::test]
    async fn pages_go_on_where_the_one_before_ended_and_fit() {
        let pages = Pages::default();
        let mut text = pages.first(list(200), 600).await;
        let (mut seen, mut rounds) = (Vec::new(), 0);
        loop {
            assert!(text.len() <= 2100, "{}", text.len());
            seen.extend(text.lines().filter_map(|line| line.trim().split_once(':')?.0.parse::<usize>().ok()));
            let Some(page) = text.split("page \"").nth(1).and_then(|rest| rest.split('"').next()) else { break };
            let page = page.to_owned();
            text = pages.later(&page, 600).await.unwrap_or_default();
            rounds += 1;
        }
        assert!(rounds > 3);
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        assert!(pages.later("nonsense", 600).await.is_err() && pages.later("nonsense.3", 600).await.is_err());
        assert!(pages.first(list(2), 600).await.contains("\n2 lines.\nfresh: yes"));
    }

    #[test]
    fn long_lines_are_cut_around_the_match() {
        let text = format!("{}needle{}", "ä".repeat(500), "b".repeat(500));
        let cut = cut(&text, 1000, 100);
        assert!(cut.contains("needle") && cut.len() <= 110 && cut.starts_with('…') && cut.ends_with('…'));
    }
}
