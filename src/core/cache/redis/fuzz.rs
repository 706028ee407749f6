//! Checks for a fuzzer; see [`crate::fuzz`].

use std::sync::Arc;

use redis::{FromRedisValue, Value};

use super::connection::ConnectionConfig;
use super::error::RedisError;
use super::news::heard;
use super::queues::{head_of, items, reply};
use super::{facts, seal};
use crate::core::{Owner, RelPath, SyncBatch};

/// What a server sends is an answer, or is refused by a sentence that is fit to be shown.
pub fn replies(data: &[u8]) {
    let value = match redis::parse_redis_value(data) {
        Ok(Value::ServerError(error)) => return explained(&error.into()),
        Ok(value) => value,
        Err(error) => return explained(&error),
    };
    let fields = Vec::<Vec<u8>>::from_redis_value(value.clone());
    match &fields {
        Ok(fields) => {
            let _ = reply(fields);
            for item in items(fields).unwrap_or_default() {
                is_escaped(&item.batch.owner.host);
            }
            let _ = fields.first().map(|payload| head_of(payload));
        }
        Err(error) => explained(&redis::RedisError::from(error.clone())),
    }
    if let Ok(text) = String::from_redis_value(value.clone()) {
        let facts = facts(&text);
        is_escaped(&facts.version);
        facts.eviction.iter().for_each(|policy| is_escaped(policy));
    }
    if let Ok(entries) = Vec::<(String, Vec<Vec<u8>>)>::from_redis_value(value.clone()) {
        let told = heard(entries, None).news.into_iter().filter_map(|(_, news)| news?.files);
        for path in told.flatten().map(|file| file.path) {
            assert!(RelPath::from_bytes(path.as_bytes()).is_some(), "{path:?} leads out of the root");
        }
    }
    // As the other commands take their answers.
    let _ = Vec::<Option<Vec<u8>>>::from_redis_value(value.clone());
    let _ = Vec::<String>::from_redis_value(value.clone());
    let _ = (u64::from_redis_value(value.clone()), <(u64, u64)>::from_redis_value(value));
}

fn explained(error: &redis::RedisError) {
    let config = ConnectionConfig::new("redis://:s3cret@host", None).unwrap_or_else(|problem| panic!("{problem}"));
    let error = RedisError::new(error, &config);
    is_escaped(&error.sentence);
    assert!(error.sentence.len() < 2000, "{}", error.sentence);
}

fn is_escaped(text: &str) {
    assert_eq!(crate::core::escape(text), text);
}

/// Seeds of [`replies`]: answers of the script, of `INFO` and of `MGET`, and errors.
pub fn replies_seeds() -> Vec<Vec<u8>> {
    let batch = SyncBatch::new("/root".into(), Owner::new());
    let (about, id) = (serde_json::to_vec(&batch).unwrap_or_default(), batch.id.to_string());
    let bulk = |fields: &[&[u8]]| {
        let mut out = format!("*{}\r\n", fields.len()).into_bytes();
        for field in fields {
            out.extend_from_slice(format!("${}\r\n", field.len()).as_bytes());
            out.extend_from_slice(field);
            out.extend_from_slice(b"\r\n");
        }
        out
    };
    vec![
        bulk(&[b"head", b"170000"]),
        bulk(&[b"waiting", b"3", b"1500"]),
        bulk(&[b"yes"]),
        bulk(&[b"gone"]),
        bulk(&[&about, b"2", b"170000", b"1500", &about, b"*", b"", b"9"]),
        bulk(&[id.as_bytes()]),
        b"$67\r\nredis_version:7.0.1\r\nmaxmemory_policy:noeviction\r\nmaxmemory:1000\r\n\r\n".to_vec(),
        b"*2\r\n:12\r\n:9\r\n".to_vec(),
        b"*3\r\n$-1\r\n$1\r\na\r\n_\r\n".to_vec(),
        b"-OOM command not allowed\r\n".to_vec(),
        b"!21\r\nSYNTAX invalid syntax\r\n".to_vec(),
        b"%1\r\n+a\r\n|1\r\n+b\r\n#t\r\n,1.5\r\n".to_vec(),
        b">3\r\n+message\r\n+c\r\n=7\r\ntxt:abc\r\n".to_vec(),
    ]
}

/// Any bytes are a value, which is opened again as it is, or are refused.
pub fn opened(data: &[u8]) -> Option<Arc<[u8]>> {
    let value = seal::open("key", data)?;
    assert!(value.len() <= seal::LONGEST);
    let again = seal::seal("key", &value).and_then(|sealed| seal::open("key", &sealed));
    assert_eq!(again.as_ref(), Some(&value));
    Some(value)
}

/// `value` as it is kept.
pub fn sealed(value: &[u8]) -> Vec<u8> {
    seal::seal("key", value).unwrap_or_default()
}

/// A URL is one of a Redis, or is refused by a sentence that is fit to be shown.
pub fn url(text: &str) {
    match ConnectionConfig::new(text, None) {
        Ok(config) => is_escaped(config.redacted()),
        Err(problem) => is_escaped(&problem),
    }
}
