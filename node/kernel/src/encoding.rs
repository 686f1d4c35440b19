//! enc, H and KDF: the one length-prefixed encoding of every hash, key derivation and label (01 section 3).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Items under construction: tag, four length bytes, content.
#[derive(Default)]
pub struct Enc(Zeroizing<Vec<u8>>);

impl Enc {
    /// No items.
    pub fn new() -> Self {
        Self::default()
    }

    fn item(mut self, tag: u8, content: &[u8]) -> Self {
        let length = u32::try_from(content.len()).expect("encoded items are shorter than 4 GiB");
        self.0.push(tag);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(content);
        self
    }

    /// Tag 1: bytes.
    #[must_use]
    pub fn bytes(self, content: &[u8]) -> Self {
        self.item(1, content)
    }

    /// Tag 2: text.
    #[must_use]
    pub fn text(self, content: &str) -> Self {
        self.item(2, content.as_bytes())
    }

    /// Tag 3: an unsigned integer of 64 bits.
    #[must_use]
    pub fn int(self, value: u64) -> Self {
        self.item(3, &value.to_le_bytes())
    }

    /// A party's index, as an integer.
    #[must_use]
    pub fn party(self, party: usize) -> Self {
        self.int(party as u64)
    }

    /// Tag 4: a set of parties.
    #[must_use]
    pub fn mask(self, mask: u16) -> Self {
        self.item(4, &mask.to_le_bytes())
    }

    /// The encoding.
    pub fn done(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// H of the items.
    pub fn digest(self) -> [u8; 32] {
        Sha256::digest(&*self.0).into()
    }
}

/// KDF(key, label) = HMAC-SHA256(key, label).
pub fn kdf(key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(label);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The AES-128 key that KDF(key, label) begins with.
pub fn aes_key(key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut out = Zeroizing::new([0u8; 16]);
    out.copy_from_slice(&kdf(key, label)[..16]);
    out
}
