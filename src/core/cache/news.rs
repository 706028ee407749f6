//! News: what changed in a tree that several hosts see, told in one stream for each tree.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::core::RelPath;

/// Files that one piece of news names at most; more are "everything".
pub const MOST_FILES: usize = 500;
/// Longest piece of news, bytes: what that many of the longest paths take. Longer ones are none.
const LONGEST: usize = MOST_FILES * 5_000;
/// Of the form of the text. News of another are none.
const VERSION: u32 = 1;

/// Where a piece of news is in its stream: the server's time, ms, and a number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewsId(u64, u64);

impl fmt::Display for NewsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for NewsId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<NewsId, Self::Err> {
        let (time, number) = text.split_once('-').unwrap_or((text, "0"));
        Ok(NewsId(time.parse()?, number.parse()?))
    }
}

/// What an owner has found to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    version: u32,
    /// The session of whoever tells.
    pub owner: Uuid,
    /// Which files; `None` for too many to name.
    pub files: Option<Vec<FileNews>>,
}

/// A file that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNews {
    /// Where, below the root.
    pub path: RelPath,
    /// What is there now; `None` for no file.
    pub content: Option<Content>,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Of the bytes (XXH3, 128 bits), where they were read.
    pub hash: Option<u128>,
}

impl News {
    /// News of now.
    pub fn new(owner: Uuid, files: Option<Vec<FileNews>>) -> News {
        News { version: VERSION, owner, files: files.filter(|files| files.len() <= MOST_FILES) }
    }

    /// As text.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What somebody has put into a stream, if it is news: paths lead nowhere but below the root, and nothing is too long.
    pub(super) fn decode(text: &[u8]) -> Option<News> {
        if text.len() > LONGEST {
            return None;
        }
        let news: News = serde_json::from_slice(text).ok()?;
        let fits = news.files.as_ref().is_none_or(|files| files.len() <= MOST_FILES);
        (news.version == VERSION && fits).then_some(news)
    }
}

/// What a stream has told since one looked last.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// In order. `None` for what isn't news.
    pub news: Vec<(NewsId, Option<News>)>,
    /// Some of it may be gone from the stream.
    pub has_gap: bool,
    /// There may be more.
    pub is_cut: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_the_root_or_is_too_much_is_no_news() {
        let path = |text: &str| RelPath::new(text.as_ref()).unwrap();
        let content = Some(Content { size: 3, hash: Some(u128::MAX) });
        let file = |name: usize| FileNews { path: path(&format!("a/{name}")), content };
        let news = News::new(Uuid::nil(), Some(vec![file(1), FileNews { path: path("b"), content: None }]));
        assert_eq!(News::decode(&news.encode()), Some(news.clone()));
        let text = String::from_utf8(news.encode()).unwrap();
        for wrong in ["/etc/passwd", "../b", "a/../../b", "", "a\\u0000b"] {
            let wrong = text.replace("\"b\"", &format!("\"{wrong}\""));
            assert_ne!(wrong, text);
            assert_eq!(News::decode(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(News::decode(text.replace("\"version\":1", "\"version\":2").as_bytes()), None);
        assert_eq!(News::new(Uuid::nil(), Some((0..=MOST_FILES).map(file).collect())).files, None);
        let many = News { files: Some((0..=MOST_FILES).map(file).collect()), ..news };
        assert_eq!(News::decode(&many.encode()), None);
    }

    #[test]
    fn ids_are_ordered_as_their_numbers_are() {
        let id = |text: &str| text.parse::<NewsId>().unwrap();
        assert!(id("9-10") < id("10-2") && id("10-2") < id("10-10"));
        assert_eq!(id("1700000000000-3").to_string(), "1700000000000-3");
        assert!("x-1".parse::<NewsId>().is_err() && "".parse::<NewsId>().is_err());
    }
}
