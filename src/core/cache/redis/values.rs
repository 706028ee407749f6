//! Values on a Redis.

use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh3::xxh3_128;

use super::{Answer, Call, RedisCache, RedisError, Script, seal, tag};
use crate::core::cache::Namespace;

/// Values that are asked for, or set, at once.
const AT_ONCE: usize = 128;
/// Keys of values that are longer go by their hash.
const LONGEST_KEY: usize = 200;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("values.lua")));

impl RedisCache {
    pub(in crate::core::cache) async fn get_many(
        &self,
        namespace: Namespace,
        keys: &[String],
    ) -> Answer<Vec<Option<Arc<[u8]>>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            let mut command = redis::cmd("MGET");
            for name in keys.iter().map(|key| value_key(key)) {
                command.arg(format!("{}{name}", prefix(namespace)));
            }
            let values: Vec<Option<Vec<u8>>> = self.ask(&command).await?;
            if values.len() != keys.len() {
                return Err(RedisError::nonsense(&self.config));
            }
            for (key, value) in keys.iter().zip(values) {
                let opened = value.as_deref().and_then(|sealed| seal::open(key, sealed));
                if value.is_some() && opened.is_none() {
                    tracing::warn!(%namespace, key = %value_key(key), "a value in Redis is damaged and is left out");
                }
                found.push(opened);
            }
        }
        Ok(found)
    }

    pub(in crate::core::cache) async fn set_many(
        &self,
        namespace: Namespace,
        values: &[(String, Arc<[u8]>)],
    ) -> Answer<()> {
        for values in values.chunks(AT_ONCE) {
            let set = |(key, value): &(String, Arc<[u8]>)| {
                let sealed = seal::seal(key, value)?;
                let mut call = values_call(namespace, "set");
                call.arg(value_key(key)).arg(sealed);
                call.arg(u64::try_from(namespace.lifetime().as_millis()).unwrap_or(u64::MAX)).arg(namespace.capacity());
                Some(call)
            };
            self.run_all(&SCRIPT, values.iter().filter_map(set).collect()).await?;
        }
        Ok(())
    }

    pub(in crate::core::cache) async fn delete(&self, namespace: Namespace, key: &str) -> Answer<bool> {
        let mut call = values_call(namespace, "delete");
        call.arg(value_key(key));
        Ok(self.run::<u64>(&SCRIPT, call).await? > 0)
    }

    pub(in crate::core::cache) async fn clear_values(&self, namespace: Namespace) -> Answer<()> {
        while self.run::<u64>(&SCRIPT, values_call(namespace, "clear")).await? > 0 {}
        Ok(())
    }

    /// Values of the namespace, and their bytes.
    pub(in crate::core::cache) async fn stats(&self, namespace: Namespace) -> Answer<(u64, u64)> {
        self.run(&SCRIPT, values_call(namespace, "stats")).await
    }
}

fn values_call(namespace: Namespace, what: &str) -> Call {
    let tag = tag(namespace.as_str());
    let mut call = Call::new(&["ends", "sizes", "total"].map(|part| format!("{tag}:values:{part}")));
    call.arg(what).arg(prefix(namespace));
    call
}

fn prefix(namespace: Namespace) -> String {
    format!("{}:value:", tag(namespace.as_str()))
}

fn value_key(key: &str) -> String {
    if key.len() <= LONGEST_KEY { key.to_owned() } else { format!("{:032x}", xxh3_128(key.as_bytes())) }
}
