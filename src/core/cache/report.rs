//! How a cache does, as shown to people and programs.

use serde::{Deserialize, Serialize};

use super::{BackendKind, CacheManager, NamespaceStats};

/// How an engine's cache does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheReport {
    /// The URL of the Redis that it uses, without secrets; none while it uses none.
    pub server: Option<String>,
    /// How long that took to answer lately, ms.
    pub latency_ms: Option<f64>,
    /// Counts of each namespace.
    pub values: Vec<Counted>,
}

/// Counts of one namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// Which.
    pub namespace: String,
    /// Its counts.
    #[serde(flatten)]
    pub stats: NamespaceStats,
}

impl CacheReport {
    /// How `cache` does now.
    pub async fn of(cache: &CacheManager) -> CacheReport {
        let stats = cache.get_stats().await;
        let values = stats.into_iter().map(|(namespace, stats)| Counted { namespace: namespace.to_string(), stats });
        let shared = cache.backend() == BackendKind::Redis;
        CacheReport {
            server: cache.server().filter(|_| shared).map(str::to_owned),
            latency_ms: cache.latency().map(|latency| latency.as_secs_f64() * 1e3),
            values: values.collect(),
        }
    }
}
