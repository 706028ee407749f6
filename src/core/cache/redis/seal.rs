//! How a value is kept on a server that others write to as well: compressed, versioned, checked.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The first bytes of a sealed value; the last of them is the version.
const MAGIC: [u8; 4] = *b"SYV\x01";
/// Magic, length of the plain value, checksum.
const HEADER: usize = 4 + 4 + 8;
/// Longest plain value, bytes. Longer ones aren't kept.
pub(super) const LONGEST: usize = 8 << 20;

/// A value as it is kept; `None` when it is too long. The checksum covers the key: a value at another key is none.
pub(super) fn seal(key: &str, value: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(value.len()).ok().filter(|_| value.len() <= LONGEST)?;
    let mut sealed = Vec::with_capacity(HEADER + value.len() / 2);
    sealed.extend_from_slice(&MAGIC);
    sealed.extend_from_slice(&length.to_le_bytes());
    sealed.extend_from_slice(&checksum(key, value).to_le_bytes());
    sealed.extend_from_slice(&lz4_flex::block::compress(value));
    Some(sealed)
}

/// The value that was sealed for `key`, or `None` when these bytes aren't one.
pub(super) fn open(key: &str, sealed: &[u8]) -> Option<Arc<[u8]>> {
    let rest = sealed.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (expected, packed) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    // What claims to be much longer than it could be is refused before memory is taken for it.
    if length > LONGEST || length > packed.len().saturating_mul(256).saturating_add(64) {
        return None;
    }
    let value = lz4_flex::block::decompress(packed, length).ok().filter(|value| value.len() == length)?;
    (checksum(key, &value) == u64::from_le_bytes(*expected)).then(|| value.into())
}

fn checksum(key: &str, value: &[u8]) -> u64 {
    // What a fuzzer makes up would never have the right one.
    if cfg!(fuzzing) {
        return 0;
    }
    xxh3_64_with_seed(value, xxh3_64_with_seed(key.as_bytes(), 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_at_its_key_only(value: Vec<u8>, key in ".{0,20}") {
            let sealed = seal(&key, &value).unwrap();
            prop_assert_eq!(open(&key, &sealed).unwrap().to_vec(), value);
            prop_assert_eq!(open(&format!("{key}x"), &sealed), None);
        }

        #[test]
        fn any_bytes_are_opened_or_refused(bytes: Vec<u8>) {
            open("k", &bytes);
            let mut marked = MAGIC.to_vec();
            marked.extend_from_slice(&bytes);
            open("k", &marked);
        }

        #[test]
        fn damage_is_noticed(value in proptest::collection::vec(any::<u8>(), 1..200), at: usize, bit in 0u8..8, cut: usize) {
            let sealed = seal("k", &value).unwrap();
            let mut flipped = sealed.clone();
            let at = at % flipped.len();
            flipped[at] ^= 1 << bit;
            // A flip may leave compressed bytes that say the same.
            prop_assert!(open("k", &flipped).is_none_or(|opened| *opened == *value));
            prop_assert!(open("k", &sealed[..cut % sealed.len()]).is_none());
        }
    }

    #[test]
    fn long_values_survive_and_too_long_ones_are_not_kept() {
        let zeros = vec![0; LONGEST];
        assert_eq!(open("k", &seal("k", &zeros).unwrap()).unwrap().len(), LONGEST);
        assert!(seal("k", &vec![0; LONGEST + 1]).is_none());
    }
}
