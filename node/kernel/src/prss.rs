//! Pseudo-random secret sharing (Cramer-Damgard-Ishai 2005) with small integer constants (01 section 3).
//!
//! One party's share of a base value is `sum_A psi_A g_A(i)`. psi is cut in signed 16-bit limbs and
//! `sum_A |g_A(i)| < 2^16` per coordinate, so 32-bit accumulators hold every limb's sum over all sets exactly.

use zeroize::{Zeroize, Zeroizing};

use crate::aesctr::{BLOCK, Stream};
use crate::encoding::{aes_key, kdf};
use crate::error::{Result, require};
use crate::ring::{self, Elem};
use crate::sets::{Shape, constants_of};
use crate::word::Word;

/// PRSS keys of one party: 32 bytes for every set that contains it, increasing mask.
pub struct KeySet {
    /// n and t.
    pub shape: Shape,
    /// Whose keys.
    pub party: usize,
    keys: Zeroizing<Vec<[u8; 32]>>,
}

impl KeySet {
    /// Keys in order.
    ///
    /// # Errors
    /// `Misuse` when the number of bytes or the party is wrong.
    pub fn new(shape: Shape, party: usize, data: &[u8]) -> Result<Self> {
        shape.check_party(party)?;
        let count = shape.sets_of(party).len();
        require(data.len() == 32 * count, || format!("give {count} keys of 32 bytes, not {} bytes", data.len()))?;
        let mut keys = Zeroizing::new(vec![[0u8; 32]; count]);
        for (key, bytes) in keys.iter_mut().zip(data.chunks_exact(32)) {
            key.copy_from_slice(bytes);
        }
        Ok(Self { shape, party, keys })
    }

    /// KDF(`k_A`, label) for every A.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Self {
        let mut keys = Zeroizing::new(vec![[0u8; 32]; self.keys.len()]);
        for (out, key) in keys.iter_mut().zip(self.keys.iter()) {
            out.copy_from_slice(&*kdf(key, label));
        }
        Self { shape: self.shape, party: self.party, keys }
    }

    /// All keys in order.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(32 * self.keys.len()));
        for key in self.keys.iter() {
            out.extend_from_slice(key);
        }
        out
    }

    /// (A, key) in order of increasing mask.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8; 32])> {
        self.shape.sets_of(self.party).into_iter().zip(self.keys.iter())
    }

    fn streams(&self, label: &[u8]) -> Vec<Stream> {
        self.keys.iter().map(|key| Stream::new(&aes_key(key, label))).collect()
    }
}

/// Bytes of every set's stream that are summed at a time.
const SPAN: usize = 2048;
/// 16-bit limbs in them.
const LIMBS: usize = SPAN / 2;
/// Sets whose streams are held beside the accumulators in the first-level cache.
const GROUP: usize = 8;
/// Limbs summed in registers.
const LANES: usize = 8;
/// One `g_A(i)`, each coordinate repeated for all lanes.
type Spread = [[i16; LANES]; 4];

/// Secret scratch memory of one call, wiped at its end.
struct Scratch {
    streams: Vec<[u8; SPAN]>,
    sums: [Vec<i32>; 4],
}

impl Scratch {
    fn new() -> Self {
        Self { streams: vec![[0; SPAN]; GROUP], sums: std::array::from_fn(|_| vec![0; LIMBS]) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.streams.zeroize();
        self.sums.zeroize();
    }
}

/// Shares of base values `start .. start + out.len()` of the label's stream.
///
/// # Errors
/// `Misuse` when the range leaves the stream (2^64 bytes).
pub fn prss<W: Word>(keys: &KeySet, label: &[u8], start: u64, count: usize) -> Result<Vec<Elem<W>>> {
    let width = W::BYTES as u64;
    let end = start.checked_add(count as u64 + SPAN as u64).and_then(|end| end.checked_mul(width));
    require(end.is_some(), || "ask for values below 2^60".to_owned())?;
    let streams = keys.streams(label);
    let spread = |(_, g): (u16, [i16; 4])| g.map(|c| [c; LANES]);
    let constants: Vec<Spread> = constants_of(keys.shape, keys.party).into_iter().map(spread).collect();
    let mut out = vec![ring::zero(); count];
    let mut scratch = Scratch::new();
    let per_block = BLOCK as u64 / width;
    let mut block = start / per_block;
    let mut skip = usize::try_from(start % per_block).expect("below 2");
    let mut rest = &mut out[..];
    while !rest.is_empty() {
        let values = (SPAN / W::BYTES - skip).min(rest.len());
        let bytes = ((skip + values) * W::BYTES).next_multiple_of(BLOCK);
        sum_sets(&streams, &constants, block, bytes, &mut scratch);
        let (now, later) = rest.split_at_mut(values);
        join_limbs(&scratch.sums, skip, now);
        rest = later;
        skip = 0;
        block += (SPAN / BLOCK) as u64;
    }
    Ok(out)
}

/// `sums[c][l] = sum_A limb_l(psi_A) g_A(i)_c` over the first `bytes` bytes of the streams from `block`.
fn sum_sets(streams: &[Stream], constants: &[Spread], block: u64, bytes: usize, scratch: &mut Scratch) {
    let limbs = (bytes / 2).next_multiple_of(LANES);
    for sums in &mut scratch.sums {
        sums[..limbs].fill(0);
    }
    for (group, factors) in streams.chunks(GROUP).zip(constants.chunks(GROUP)) {
        for (stream, place) in group.iter().zip(&mut scratch.streams) {
            stream.fill(block, &mut place[..bytes]);
        }
        for at in (0..limbs).step_by(LANES) {
            sum_lanes(&scratch.streams[..group.len()], factors, at, &mut scratch.sums);
        }
    }
}

#[inline(always)]
fn sum_lanes(streams: &[[u8; SPAN]], factors: &[Spread], at: usize, sums: &mut [Vec<i32>; 4]) {
    let mut local = [[0i32; LANES]; 4];
    for (stream, factor) in streams.iter().zip(factors) {
        let bytes = &stream[2 * at..2 * at + 2 * LANES];
        let limb: [i16; LANES] = std::array::from_fn(|l| i16::from_le_bytes([bytes[2 * l], bytes[2 * l + 1]]));
        for (sum, g) in local.iter_mut().zip(factor) {
            for ((s, &x), &g) in sum.iter_mut().zip(&limb).zip(g) {
                *s += i32::from(x) * i32::from(g);
            }
        }
    }
    for (sum, part) in sums.iter_mut().zip(&local) {
        for (s, p) in sum[at..at + LANES].iter_mut().zip(part) {
            *s += p;
        }
    }
}

/// `sum_q limb_q 2^(16 q)` of every value and coordinate.
fn join_limbs<W: Word>(sums: &[Vec<i32>; 4], skip: usize, out: &mut [Elem<W>]) {
    let per_value = W::BYTES / 2;
    for (c, sums) in sums.iter().enumerate() {
        let limbs = sums[skip * per_value..].chunks_exact(per_value);
        for (element, limbs) in out.iter_mut().zip(limbs) {
            let high_first = limbs.iter().rev();
            element[c] = high_first.fold(W::ZERO, |word, &limb| word.shl(16).add(W::from_signed(i64::from(limb))));
        }
    }
}

/// Degree-2t shares of zero: `sum_A g_A(i) sum_u alpha_i^u zeta_{A,u}` with u = 1..t and zeta in R.
pub fn przs<W: Word>(keys: &KeySet, label: &[u8], count: usize) -> Vec<Elem<W>> {
    let t = keys.shape.t;
    let size = 4 * W::BYTES;
    let mut zeta = Zeroizing::new(vec![0u8; count * t * size]);
    let mut sums = Zeroizing::new(vec![ring::zero::<W>(); count * t]);
    for (stream, (_, g)) in keys.streams(label).iter().zip(constants_of(keys.shape, keys.party)) {
        stream.bytes(0, &mut zeta);
        let g = g.map(|c| W::from_signed(i64::from(c)));
        for (sum, bytes) in sums.iter_mut().zip(zeta.chunks_exact(size)) {
            *sum = ring::add(*sum, ring::mul(g, ring::read(bytes)));
        }
    }
    let point = ring::alpha(keys.party);
    let horner = |parts: &[Elem<W>]| {
        parts.iter().rev().fold(ring::zero(), |value, &part| ring::mul(point, ring::add(value, part)))
    };
    sums.chunks_exact(t).map(horner).collect()
}
