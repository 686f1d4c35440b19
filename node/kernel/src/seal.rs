//! Sealing to bytes: AES-256-GCM in frames (the STREAM construction of Hoang-Reyhanitabar-Rogaway-Vizár 2015).
//!
//! blob = salt (32) | frames. The frame key is KDF(key, enc("seal", kind, salt, aad)), fresh for every blob, so
//! frame numbers serve as nonces; the last frame is marked in nonce and associated data.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use zeroize::Zeroizing;

use crate::encoding::{Enc, kdf};
use crate::error::{Misuse, Result};

/// Bytes of content a frame.
pub const FRAME: usize = 16 << 20;
const SALT: usize = 32;
const TAG: usize = 16;

/// What is sealed: enters the key, so a blob of one kind never opens as another.
#[derive(Clone, Copy)]
pub enum Kind {
    /// 32 bytes.
    Secret,
    /// PRSS keys of (n, t, party).
    Keys(usize, usize, usize),
    /// Setup contributions held by (n, t, party).
    Contributions(usize, usize, usize),
    /// Shares (K stands in the blob's first byte).
    Shares(u32),
}

impl Kind {
    fn label(self) -> Zeroizing<Vec<u8>> {
        let items = Enc::new();
        match self {
            Self::Secret => items.text("secret"),
            Self::Keys(n, t, party) => items.text("keys").party(n).party(t).party(party),
            Self::Contributions(n, t, party) => items.text("contributions").party(n).party(t).party(party),
            Self::Shares(k) => items.text("shares").int(u64::from(k)),
        }
        .done()
    }
}

fn cipher(key: &[u8; 32], kind: Kind, salt: &[u8], aad: &[u8]) -> Aes256Gcm {
    let label = Enc::new().text("seal").bytes(&kind.label()).bytes(salt).bytes(aad).done();
    Aes256Gcm::new((&*kdf(key, &label)).into())
}

fn nonce(frame: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0u8; 12];
    nonce[..8].copy_from_slice(&frame.to_le_bytes());
    nonce[11] = u8::from(last);
    nonce
}

fn frame_aad(aad: &[u8], frame: u64, last: bool) -> Zeroizing<Vec<u8>> {
    Enc::new().bytes(aad).int(frame).int(u64::from(last)).done()
}

/// Random bytes of the operating system.
///
/// # Errors
/// `Misuse` when the system gives none.
pub fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| Misuse(format!("get randomness from the system: {error}")))?;
    Ok(bytes)
}

/// Seal `content`: salt and frames.
///
/// # Errors
/// `Misuse` when there is no randomness.
pub fn seal(key: &[u8; 32], kind: Kind, aad: &[u8], content: &[u8]) -> Result<Vec<u8>> {
    let salt = random()?;
    let cipher = cipher(key, kind, &salt[..], aad);
    let frames = content.len().div_ceil(FRAME).max(1);
    let mut blob = Vec::with_capacity(SALT + content.len() + TAG * frames);
    blob.extend_from_slice(&salt[..]);
    for frame in 0..frames {
        let (last, number) = (frame + 1 == frames, frame as u64);
        let start = blob.len();
        blob.extend_from_slice(&content[frame * FRAME..content.len().min((frame + 1) * FRAME)]);
        let aad = frame_aad(aad, number, last);
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce(number, last)), &aad, (&mut blob[start..]).into());
        blob.extend_from_slice(&tag.map_err(|_| Misuse::new("seal less at once"))?);
    }
    Ok(blob)
}

/// Open what `seal` made.
///
/// # Errors
/// `Misuse` when blob, kind, aad and key do not belong together.
pub fn unseal(key: &[u8; 32], kind: Kind, aad: &[u8], blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let refuse = || Misuse::new("give the blob, the associated data and the key that belong together");
    let (salt, mut rest) = blob.split_at_checked(SALT).ok_or_else(refuse)?;
    let cipher = cipher(key, kind, salt, aad);
    let mut content = Zeroizing::new(Vec::with_capacity(rest.len()));
    for number in 0.. {
        let last = rest.len() <= FRAME + TAG;
        let size = rest.len().min(FRAME + TAG).checked_sub(TAG).ok_or_else(refuse)?;
        let (frame, later) = rest.split_at(size + TAG);
        let start = content.len();
        content.extend_from_slice(&frame[..size]);
        let tag = Tag::try_from(&frame[size..]).map_err(|_| refuse())?;
        let aad = frame_aad(aad, number, last);
        let nonce = Nonce::from(nonce(number, last));
        cipher.decrypt_inout_detached(&nonce, &aad, (&mut content[start..]).into(), &tag).map_err(|_| refuse())?;
        rest = later;
        if last {
            break;
        }
    }
    Ok(content)
}
