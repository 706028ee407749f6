//! News on a Redis: one stream for each tree.

use std::sync::LazyLock;

use super::queues::{channel, name};
use super::{Call, RedisCache, Script};
use crate::core::cache::news::{Heard, News, NewsId};
use crate::core::cache::notifier::QueueKey;
use crate::core::escape;

/// An entry of a stream: its id, and its fields with their values in turn.
type Entry = (String, Vec<Vec<u8>>);

/// Pieces of news that a stream keeps, about.
const KEPT: usize = 1_000;
/// How long it lives after the last one, ms.
const LIFETIME_MS: u64 = 24 * 3600 * 1000;
/// Pieces that are read at once.
const AT_ONCE: usize = 100;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("news.lua")));

/// News weren't exchanged.
pub(in crate::core::cache) enum NewsError {
    /// Redis can't be asked, which its connection will tell.
    Cut,
    /// It refuses: one sentence that says what is wrong and how to fix it.
    Refused(String),
}

impl RedisCache {
    /// Puts news at the end of a stream.
    pub(in crate::core::cache) async fn publish_news(&self, key: &QueueKey, news: &News) -> Result<(), NewsError> {
        let mut call = Call::new(&[stream(key)]);
        call.arg(channel(key)).arg(KEPT).arg(LIFETIME_MS).arg(news.encode());
        let mut connection = self.connection().map_err(|_| NewsError::Cut)?;
        let command = call.command("EVALSHA", &SCRIPT.name);
        let answer = match connection.ask::<String>(&command).await {
            Err(error) if super::is_unknown_script(&error) => connection.ask(&call.command("EVAL", SCRIPT.text)).await,
            answer => answer,
        };
        answer.map(drop).map_err(|error| self.news_error(key, &error))
    }

    /// What a stream has told after `last`; the newest, where that is `None`.
    pub(in crate::core::cache) async fn news_after(
        &self,
        key: &QueueKey,
        last: Option<NewsId>,
    ) -> Result<Heard, NewsError> {
        let mut command = redis::cmd(if last.is_some() { "XRANGE" } else { "XREVRANGE" });
        match last {
            // With it: if it isn't there any more, what came after it may be gone as well.
            Some(last) => command.arg(stream(key)).arg(last.to_string()).arg("+"),
            None => command.arg(stream(key)).arg("+").arg("-"),
        };
        command.arg("COUNT").arg(AT_ONCE + 1);
        let mut connection = self.connection().map_err(|_| NewsError::Cut)?;
        let entries: Result<Vec<Entry>, _> = connection.ask(&command).await;
        let entries = entries.map_err(|error| self.news_error(key, &error))?;
        Ok(heard(entries, last))
    }

    fn news_error(&self, key: &QueueKey, error: &redis::RedisError) -> NewsError {
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() || error.is_unrecoverable_error()
        {
            return NewsError::Cut;
        }
        let (at, stream) = (self.config.redacted(), stream(key));
        let says = |word: &str| error.code() == Some(word) || error.detail().is_some_and(|said| said.contains(word));
        NewsError::Refused(if says("WRONGTYPE") {
            format!(
                "the key {stream} in Redis at {at} holds something else than news; delete it (in redis-cli: DEL '{stream}')"
            )
        } else {
            let said: String = escape(&error.to_string()).chars().take(200).collect();
            format!(
                "Redis at {at} says \"{said}\" of {stream}; allow its user XADD, XRANGE and XREVRANGE there, or see its log"
            )
        })
    }
}

/// What a stream's entries tell, of which the first is `last`, if that is there still.
pub(super) fn heard(mut entries: Vec<Entry>, last: Option<NewsId>) -> Heard {
    let is_cut = entries.len() > AT_ONCE;
    if last.is_none() {
        entries.reverse();
    }
    let news = entries.iter().filter_map(|(id, fields)| {
        let told = match &fields[..] {
            [name, text] if name == b"news" => News::decode(text),
            _ => None,
        };
        Some((id.parse().ok()?, told))
    });
    let mut news: Vec<_> = news.collect();
    let has_gap = last.is_some_and(|last| news.first().is_none_or(|(first, _)| *first != last));
    news.retain(|(id, _)| Some(*id) != last);
    Heard { news, has_gap, is_cut }
}

fn stream(key: &QueueKey) -> String {
    name(key, "stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has heard nothing yet reads the newest: what came before them mustn't go unnoticed.
    #[test]
    fn more_than_is_read_at_once_is_said_whoever_reads() {
        let entries = |count: usize| (1..=count).map(|number| (format!("{number}-0"), Vec::new())).collect::<Vec<_>>();
        let reversed = |count| entries(count).into_iter().rev().collect();
        assert!(!heard(reversed(AT_ONCE), None).is_cut);
        assert!(heard(reversed(AT_ONCE + 1), None).is_cut);
        assert!(heard(entries(AT_ONCE + 1), "1-0".parse().ok()).is_cut);
    }
}
