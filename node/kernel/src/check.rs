//! The check of opened values (Furukawa-Lindell 2019 over R): 01 section 4, step 6.

use zeroize::Zeroizing;

use crate::aesctr::{BLOCK, Stream};
use crate::error::{Result, require};
use crate::offline::Secrets;
use crate::ring::{self, Elem};
use crate::trim::Trim;
use crate::word::Word;

/// Digits one counter block holds.
pub const MAX_DIGITS: usize = 32;
/// Elements of the exceptional set.
const NIBBLES: usize = 16;
/// Counter blocks made at a time.
const SPAN: usize = 256;

/// `W_d = sum_m chi_{m,d} 2^weight(m) (s_m - v_m)` for d < digits; `None` if V is not canonical.
///
/// # Errors
/// `Misuse` when the key has not 16 bytes or there are more than 32 digits.
pub fn check_shares<W: Word>(
    s: &[Elem<W>],
    v: &[u8],
    chi_key: &[u8],
    digits: usize,
    trim: &Trim,
) -> Result<Option<Secrets<W>>> {
    let key = <&[u8; 16]>::try_from(chi_key);
    let key = key.map_err(|_| crate::error::Misuse::new("give a challenge key of 16 bytes"))?;
    require((1..=MAX_DIGITS).contains(&digits), || format!("check 1..{MAX_DIGITS} digits, not {digits}"))?;
    let Some(opened) = trim.opened::<W>(v, s.len()) else { return Ok(None) };
    let chi = Stream::new(key);
    // One bucket for every digit and challenge: each element is added once a digit, the challenges come last.
    let mut buckets = Zeroizing::new(vec![ring::zero::<W>(); digits * NIBBLES]);
    let mut challenges = [0u8; SPAN * BLOCK];
    for (part, start) in (0..s.len()).step_by(SPAN).enumerate() {
        let count = SPAN.min(s.len() - start);
        chi.fill((part * SPAN) as u64, &mut challenges[..count * BLOCK]);
        for (m, block) in (start..start + count).zip(challenges.chunks_exact(BLOCK)) {
            let defect = ring::shl(ring::sub(s[m], opened[m]), trim.weight(m));
            for (d, bucket) in buckets.chunks_exact_mut(NIBBLES).enumerate() {
                let nibble = block[d / 2] >> (4 * (d % 2)) & 15;
                let place = &mut bucket[usize::from(nibble)];
                *place = ring::add(*place, defect);
            }
        }
    }
    let total = |bucket: &[Elem<W>]| {
        let terms = bucket.iter().enumerate().map(|(nibble, &sum)| ring::mul(ring::alpha(nibble), sum));
        terms.fold(ring::zero(), ring::add)
    };
    Ok(Some(Zeroizing::new(buckets.chunks_exact(NIBBLES).map(total).collect())))
}
