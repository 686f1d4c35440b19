//! AES-128 in counter mode with 16-byte little-endian counters; AES-NI or VAES where the machine has it.

use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// A keystream with random access.
pub struct Stream {
    cipher: Aes128Enc,
    first: u128,
}

/// Bytes of one block.
pub const BLOCK: usize = 16;

impl Stream {
    /// Counter 0 first.
    pub fn new(key: &[u8; 16]) -> Self {
        Self::starting_at(key, 0)
    }

    /// Counter `first` first.
    pub fn starting_at(key: &[u8; 16], first: u128) -> Self {
        Self { cipher: Aes128Enc::new(&Array::from(*key)), first }
    }

    /// Fill `out` with whole blocks from block number `block`; its length is a multiple of 16.
    #[inline]
    pub fn fill(&self, block: u64, out: &mut [u8]) {
        let start = self.first.wrapping_add(u128::from(block));
        let (blocks, rest) = Array::slice_as_chunks_mut(out);
        debug_assert!(rest.is_empty());
        for (place, counter) in blocks.iter_mut().zip(0u128..) {
            *place = Array::from(start.wrapping_add(counter).to_le_bytes());
        }
        self.cipher.encrypt_blocks(blocks);
    }

    /// Bytes `offset .. offset + out.len()` of the stream.
    pub fn bytes(&self, offset: u64, out: &mut [u8]) {
        let mut block = offset / BLOCK as u64;
        let skip = usize::try_from(offset % BLOCK as u64).expect("below 16");
        let head = if skip == 0 { 0 } else { (BLOCK - skip).min(out.len()) };
        let (first, rest) = out.split_at_mut(head);
        if head > 0 {
            let mut one = [0u8; BLOCK];
            self.fill(block, &mut one);
            first.copy_from_slice(&one[skip..skip + head]);
            block += 1;
        }
        let whole = rest.len() / BLOCK * BLOCK;
        let (body, tail) = rest.split_at_mut(whole);
        self.fill(block, body);
        if !tail.is_empty() {
            let mut one = [0u8; BLOCK];
            self.fill(block + (whole / BLOCK) as u64, &mut one);
            tail.copy_from_slice(&one[..tail.len()]);
        }
    }
}

/// One block under an expanded key, in place.
pub fn encrypt_block(key: &[u8; 16], block: &mut [u8; 16]) {
    let mut array = Array::from(*block);
    Aes128Enc::new(&Array::from(*key)).encrypt_block(&mut array);
    *block = array.into();
}
