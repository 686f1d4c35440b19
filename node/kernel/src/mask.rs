//! The public mask stream of a compressed key set: tfhe-rs's XOF seed expansion (02, "Layouts").

use crate::aesctr::{Stream, encrypt_block};
use crate::error::{Result, require};

const SEPARATOR: &[u8; 8] = b"TFHE_GEN";

/// Bytes `offset .. offset + length` of the stream of a 16-byte seed.
///
/// # Errors
/// `Misuse` when the seed has another length.
pub fn mask_stream(seed: &[u8], offset: u64, length: usize) -> Result<Vec<u8>> {
    require(seed.len() == 16, || format!("give a seed of 16 bytes, not {}", seed.len()))?;
    let (key, first) = expand(seed);
    let mut out = vec![0u8; length];
    Stream::starting_at(&key, first).bytes(offset, &mut out);
    Ok(out)
}

/// CBC-MAC under the zero key over separator, seed, zero padding and bit length: (last block, block before it).
fn expand(seed: &[u8]) -> ([u8; 16], u128) {
    let mut data = [0u8; 48];
    data[..8].copy_from_slice(SEPARATOR);
    data[8..24].copy_from_slice(seed);
    data[32..].copy_from_slice(&(24u128 * 8).to_le_bytes());
    let (mut state, mut before) = ([0u8; 16], [0u8; 16]);
    for block in data.chunks_exact(16) {
        before = state;
        for (s, b) in state.iter_mut().zip(block) {
            *s ^= b;
        }
        encrypt_block(&[0u8; 16], &mut state);
    }
    (state, u128::from_le_bytes(before))
}
