//! The checksum of all that the index writes.

/// XXH3, 64 bits. What a fuzzer makes up would never have the right one, so that its programs have none.
pub fn xxh3_64(bytes: &[u8]) -> u64 {
    if cfg!(fuzzing) { 0 } else { xxhash_rust::xxh3::xxh3_64(bytes) }
}
