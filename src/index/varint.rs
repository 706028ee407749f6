//! Numbers in as few bytes as they need: seven bits a byte, the lowest first, the high bit set on all but the last.

/// Appends `value`.
pub fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `bytes`; `None` when none is there or it doesn't fit.
pub fn read(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in (7..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a signed number, small ones of either sign short.
pub fn write_signed(value: i64, out: &mut Vec<u8>) {
    write((value << 1 ^ value >> 63) as u64, out);
}

/// Takes off what [`write_signed`] wrote.
pub fn read_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = read(bytes)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(unsigned: Vec<u64>, signed: Vec<i64>) {
            let mut out = Vec::new();
            unsigned.iter().for_each(|&v| write(v, &mut out));
            signed.iter().for_each(|&v| write_signed(v, &mut out));
            let mut rest = &out[..];
            for v in unsigned { prop_assert_eq!(read(&mut rest), Some(v)); }
            for v in signed { prop_assert_eq!(read_signed(&mut rest), Some(v)); }
            prop_assert_eq!(read(&mut rest), None);
        }

        #[test]
        fn anything_can_be_read(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            while read(&mut rest).is_some() {}
        }
    }
}
