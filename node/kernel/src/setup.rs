//! Setup randomness of the PRSS keys, as one party holds it (01 section 3).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::encoding::{Enc, kdf};
use crate::error::{Misuse, Result, require};
use crate::prss::KeySet;
use crate::sets::{Shape, contains, members};

/// Bytes of one sealed contribution: set, contributor, rho.
const ENTRY: usize = 2 + 1 + 32;

/// Contributions `rho_{A,i}` to the keys of the sets this party is in.
pub struct Contributions {
    shape: Shape,
    party: usize,
    held: BTreeMap<(u16, usize), Zeroizing<[u8; 32]>>,
}

impl Contributions {
    /// Own contributions KDF(seed, enc("rho", A, i)); nothing of others yet.
    ///
    /// # Errors
    /// `Misuse` when the party is none of 1..=n.
    pub fn new(shape: Shape, party: usize, seed: &[u8; 32]) -> Result<Self> {
        shape.check_party(party)?;
        let own = |mask: u16| ((mask, party), kdf(seed, &Enc::new().text("rho").mask(mask).party(party).done()));
        Ok(Self { shape, party, held: shape.sets_of(party).into_iter().map(own).collect() })
    }

    /// Nothing held, not even own contributions: a party without memory gets them all from other members.
    ///
    /// # Errors
    /// `Misuse` when the party is none of 1..=n.
    pub fn empty(shape: Shape, party: usize) -> Result<Self> {
        shape.check_party(party)?;
        Ok(Self { shape, party, held: BTreeMap::new() })
    }

    /// Group of the party.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whose view it is.
    pub fn party(&self) -> usize {
        self.party
    }

    /// Sets with this party and the peer, increasing mask.
    fn common(&self, peer: usize) -> Result<Vec<u16>> {
        self.shape.check_party(peer)?;
        require(peer != self.party, || "name another party than this one".to_owned())?;
        Ok(self.shape.sets_of(self.party).into_iter().filter(|&mask| contains(mask, peer)).collect())
    }

    /// Own rho of every set that contains both.
    ///
    /// # Errors
    /// `Misuse` when the peer is no other party, or own contributions are not held.
    pub fn message_for(&self, peer: usize) -> Result<Zeroizing<Vec<u8>>> {
        let sets = self.common(peer)?;
        let mut out = Zeroizing::new(Vec::with_capacity(32 * sets.len()));
        for mask in sets {
            let absent = || Misuse::new("make contributions from a seed before you send any");
            out.extend_from_slice(self.rho(mask, self.party).ok_or_else(absent)?);
        }
        Ok(out)
    }

    /// Store the peer's rho; false when the length is wrong.
    ///
    /// # Errors
    /// `Misuse` when the peer is no other party.
    pub fn receive(&mut self, peer: usize, message: &[u8]) -> Result<bool> {
        let sets = self.common(peer)?;
        if message.len() != 32 * sets.len() {
            return Ok(false);
        }
        for (mask, rho) in sets.into_iter().zip(message.chunks_exact(32)) {
            self.store(mask, peer, rho);
        }
        Ok(true)
    }

    fn store(&mut self, mask: u16, contributor: usize, rho: &[u8]) {
        let mut value = Zeroizing::new([0u8; 32]);
        value.copy_from_slice(rho);
        self.held.insert((mask, contributor), value);
    }

    /// Published hashes of all rho held, zeros where absent.
    pub fn digests(&self, sid: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for mask in self.shape.sets_of(self.party) {
            for contributor in members(mask) {
                let rho = self.held.get(&(mask, contributor));
                out.extend_from_slice(&rho.map_or([0; 32], |rho| digest_of(sid, mask, contributor, &rho[..])));
            }
        }
        out
    }

    /// One stored value; none for a place that does not exist (a peer may have named it).
    pub fn rho(&self, mask: u16, contributor: usize) -> Option<&[u8; 32]> {
        self.held.get(&(mask, contributor)).map(|rho| &**rho)
    }

    /// Store rho if it has the certified digest; false for a place that does not exist.
    pub fn fill(&mut self, sid: &[u8], mask: u16, contributor: usize, rho: &[u8], digest: &[u8]) -> bool {
        let fits =
            self.has_place(mask, contributor) && rho.len() == 32 && digest_of(sid, mask, contributor, rho) == digest;
        if fits {
            self.store(mask, contributor, rho);
        }
        fits
    }

    fn has_place(&self, mask: u16, contributor: usize) -> bool {
        let Shape { n, t } = self.shape;
        let own = mask >> n == 0 && mask.count_ones() as usize == n - t && contains(mask, self.party);
        own && (1..=n).contains(&contributor) && contains(mask, contributor)
    }

    /// For sealing: of every rho held, by increasing set and contributor, mask (2 bytes), contributor (1), rho.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(ENTRY * self.held.len()));
        for (&(mask, contributor), rho) in &self.held {
            out.extend_from_slice(&mask.to_le_bytes());
            out.push(u8::try_from(contributor).expect("n <= 13"));
            out.extend_from_slice(&rho[..]);
        }
        out
    }

    /// Inverse of `to_bytes`.
    ///
    /// # Errors
    /// `Misuse` when the party is none of 1..=n or the bytes are no entries of its sets in order.
    pub fn from_bytes(shape: Shape, party: usize, data: &[u8]) -> Result<Self> {
        let mut all = Self::empty(shape, party)?;
        for entry in data.chunks(ENTRY) {
            let ([low, high, contributor, ..], ENTRY) = (entry, entry.len()) else {
                return Err(Misuse::new("give whole entries of contributions"));
            };
            let place = (u16::from_le_bytes([*low, *high]), usize::from(*contributor));
            let after = all.held.last_key_value().is_none_or(|(last, _)| *last < place);
            require(after && all.has_place(place.0, place.1), || {
                "give contributions of own sets, in order".to_owned()
            })?;
            all.store(place.0, place.1, &entry[ENTRY - 32..]);
        }
        Ok(all)
    }

    /// `r_A = H("r", sid, E, A, i1, rho1, ...)` of the counted contributors of each own set.
    ///
    /// # Errors
    /// `Misuse` when a set has no counted contributor or one of them is not held.
    pub fn keys(&self, sid: &[u8], era: u64, counted: &BTreeMap<u16, Vec<usize>>) -> Result<KeySet> {
        let sets = self.shape.sets_of(self.party);
        let mut keys = Zeroizing::new(Vec::with_capacity(32 * sets.len()));
        for mask in sets {
            let mut contributors = counted.get(&mask).cloned().unwrap_or_default();
            contributors.sort_unstable();
            contributors.dedup();
            require(!contributors.is_empty(), || format!("count a contribution to set {mask:#06x} first"))?;
            let mut items = Enc::new().text("r").bytes(sid).int(era).mask(mask);
            for contributor in contributors {
                let rho = self.rho(mask, contributor);
                let absent = || Misuse(format!("fetch the contribution of {contributor} to set {mask:#06x} first"));
                items = items.party(contributor).bytes(rho.ok_or_else(absent)?);
            }
            keys.extend_from_slice(&*Zeroizing::new(items.digest()));
        }
        KeySet::new(self.shape, self.party, &keys)
    }
}

fn digest_of(sid: &[u8], mask: u16, contributor: usize, rho: &[u8]) -> [u8; 32] {
    Enc::new().text("prss").bytes(sid).mask(mask).party(contributor).bytes(rho).digest()
}
