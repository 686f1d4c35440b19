//! The king's opening: additively masked shares and their sum (01 section 4, step 2).

use zeroize::Zeroizing;

use crate::aesctr::Stream;
use crate::encoding::{Enc, aes_key};
use crate::error::{Result, require};
use crate::prss::KeySet;
use crate::ring::{self, Elem};
use crate::sets::{contains, members};
use crate::trim::Trim;
use crate::word::Word;

/// Who opens to whom: the sender set S, the king and the try.
#[derive(Clone, Copy)]
pub struct Opening {
    /// S.
    pub senders: u16,
    /// One of S.
    pub king: usize,
    /// The try.
    pub attempt: u64,
}

/// Bytes of a mask stream made at a time.
const SPAN: usize = 4096;

/// `y_i = lambda_i^S s_i + sum_{j>i} F(kappa_ij) - sum_{j<i} F(kappa_ij)`, trimmed.
///
/// # Errors
/// `Misuse` when S is not 2t+1 parties with the king and this party.
pub fn king_share<W: Word>(s: &[Elem<W>], keys: &KeySet, opening: Opening, trim: &Trim) -> Result<Vec<u8>> {
    let (shape, party) = (keys.shape, keys.party);
    let senders = members(opening.senders);
    let fits = senders.len() == 2 * shape.t + 1 && senders.iter().all(|&j| j <= shape.n);
    require(fits, || format!("give {} senders of {} parties", 2 * shape.t + 1, shape.n))?;
    shape.check_party(opening.king)?;
    require(contains(opening.senders, opening.king), || "put the king among the senders".to_owned())?;
    let place = senders.iter().position(|&j| j == party);
    let place = place.ok_or_else(|| crate::error::Misuse::new("share only as one of the senders"))?;
    let lambda = ring::lagrange::<W>(&senders, 0)?[place];
    let mut y: Zeroizing<Vec<Elem<W>>> = Zeroizing::new(s.iter().map(|&share| ring::mul(lambda, share)).collect());
    for &other in senders.iter().filter(|&&j| j != party) {
        add_mask(&mut y, &Stream::new(&pair_key(keys, other, opening)), other > party);
    }
    Ok(trim.write(&y))
}

/// `kappa_ij`: the XOR over every set with both parties, so that one honest set hides it.
fn pair_key(keys: &KeySet, other: usize, opening: Opening) -> Zeroizing<[u8; 16]> {
    let (low, high) = (keys.party.min(other), keys.party.max(other));
    let label = Enc::new().text("pair").party(low).party(high).party(opening.king);
    let label = label.mask(opening.senders).int(opening.attempt).done();
    let mut kappa = Zeroizing::new([0u8; 16]);
    for (_, key) in keys.iter().filter(|(mask, _)| contains(*mask, other)) {
        for (out, byte) in kappa.iter_mut().zip(aes_key(key, &label).iter()) {
            *out ^= byte;
        }
    }
    kappa
}

fn add_mask<W: Word>(y: &mut [Elem<W>], stream: &Stream, plus: bool) {
    let mut buffer = Zeroizing::new([0u8; SPAN]);
    let size = 4 * W::BYTES;
    let mut block = 0;
    for part in y.chunks_mut(SPAN / size) {
        let bytes = &mut buffer[..part.len() * size];
        stream.fill(block, bytes);
        block += (SPAN / crate::aesctr::BLOCK) as u64;
        for (element, bytes) in part.iter_mut().zip(bytes.chunks_exact(size)) {
            let mask = ring::read(bytes);
            *element = if plus { ring::add(*element, mask) } else { ring::sub(*element, mask) };
        }
    }
}

/// The trimmed sum of all y; for bits the lowest bit dropped: V. `None` if one is not canonical.
///
/// # Errors
/// `Misuse` without messages or weights.
pub fn king_sum<W: Word>(messages: &[Vec<u8>], count: usize, weights: &[u32], bits: bool) -> Result<Option<Vec<u8>>> {
    require(!messages.is_empty(), || "give the messages of all senders".to_owned())?;
    let trim = Trim::new::<W>(weights, false)?;
    let opened = Trim::new::<W>(weights, bits)?;
    let mut sum = vec![ring::zero::<W>(); count];
    for message in messages {
        if !trim.visit::<W>(message, count, |m, c, word| sum[m][c] = sum[m][c].add(word)) {
            return Ok(None);
        }
    }
    if bits {
        sum.as_flattened_mut().iter_mut().for_each(|word| *word = word.shr(1));
    }
    Ok(Some(opened.write(&sum)))
}
