//! Values: in Redis while that can be used, in this process, on Moka, while it can't.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::future::Cache;

use super::backend::Backend;
use super::{Namespace, NamespaceStats};

/// Values of all namespaces, wherever they are now.
pub(super) struct Values {
    backend: Arc<Backend>,
    local: HashMap<Namespace, LocalValues>,
}

/// Values of one namespace in this process, and what was found in it, wherever that was.
struct LocalValues {
    cache: Cache<String, Arc<[u8]>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Values {
    pub(super) fn new(backend: Arc<Backend>) -> Values {
        let local = Namespace::ALL.map(|namespace| {
            let cache = Cache::builder()
                .weigher(|key: &String, value: &Arc<[u8]>| u32::try_from(key.len() + value.len()).unwrap_or(u32::MAX))
                .max_capacity(namespace.capacity())
                .time_to_live(namespace.lifetime())
                .build();
            (namespace, LocalValues { cache, hits: AtomicU64::new(0), misses: AtomicU64::new(0) })
        });
        Values { backend, local: local.into() }
    }

    fn local(&self, namespace: Namespace) -> &LocalValues {
        // Every namespace is a key from the beginning on.
        &self.local[&namespace]
    }

    pub(super) async fn get_many(&self, namespace: Namespace, keys: &[String]) -> Vec<Option<Arc<[u8]>>> {
        let mut found = None;
        if let Some(redis) = self.backend.shared().await {
            found = self.backend.unless_failed(redis.get_many(namespace, keys).await);
        }
        let local = self.local(namespace);
        let found = match found {
            Some(found) => found,
            None => {
                let mut found = Vec::with_capacity(keys.len());
                for key in keys {
                    found.push(local.cache.get(key).await);
                }
                found
            }
        };
        let hits = found.iter().flatten().count();
        local.hits.fetch_add(hits as u64, Ordering::Relaxed);
        local.misses.fetch_add((found.len() - hits) as u64, Ordering::Relaxed);
        found
    }

    pub(super) async fn set_many(&self, namespace: Namespace, values: Vec<(String, Arc<[u8]>)>) {
        if let Some(redis) = self.backend.shared().await
            && self.backend.unless_failed(redis.set_many(namespace, &values).await).is_some()
        {
            return;
        }
        for (key, value) in values {
            self.local(namespace).cache.insert(key, value).await;
        }
    }

    pub(super) async fn delete(&self, namespace: Namespace, key: &str) -> bool {
        let here = self.local(namespace).cache.remove(key).await.is_some();
        let Some(redis) = self.backend.shared().await else { return here };
        here | self.backend.unless_failed(redis.delete(namespace, key).await).unwrap_or_default()
    }

    pub(super) async fn clear(&self, namespace: Namespace) {
        self.local(namespace).cache.invalidate_all();
        if let Some(redis) = self.backend.shared().await {
            self.backend.unless_failed(redis.clear_values(namespace).await);
        }
    }

    pub(super) async fn stats(&self, namespace: Namespace) -> NamespaceStats {
        let local = self.local(namespace);
        let (hits, misses) = (local.hits.load(Ordering::Relaxed), local.misses.load(Ordering::Relaxed));
        let mut counted = None;
        if let Some(redis) = self.backend.shared().await {
            counted = self.backend.unless_failed(redis.stats(namespace).await);
        }
        let (entries, bytes) = counted.unwrap_or_else(|| {
            // Walked rather than asked of the cache, whose own counts lag behind.
            let count =
                |(n, bytes), (key, value): (Arc<String>, Arc<[u8]>)| (n + 1, bytes + (key.len() + value.len()) as u64);
            local.cache.iter().fold((0, 0), count)
        });
        NamespaceStats { hits, misses, entries, bytes }
    }
}
