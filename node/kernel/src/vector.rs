//! A vector of shares whose K is known at run time only.

use zeroize::Zeroizing;

use crate::error::{Result, require};
use crate::offline::Secrets;
use crate::ring;
use crate::seal::{Kind, seal, unseal};
use crate::word::Word;

/// Elements of R for K = 64 or K = 128; wiped on drop.
pub enum Vector {
    /// K = 64.
    K64(Secrets<u64>),
    /// K = 128.
    K128(Secrets<u128>),
}

/// A word with a place in `Vector`.
pub trait Stored: Word {
    /// Into the vector of this K.
    fn wrap(elements: Secrets<Self>) -> Vector;
    /// The elements when K fits.
    fn unwrap(vector: &Vector) -> Option<&Secrets<Self>>;
    /// The elements.
    ///
    /// # Errors
    /// `Misuse` when the vector has the other K.
    fn of(vector: &Vector) -> Result<&Secrets<Self>> {
        let other = || crate::error::Misuse(format!("give shares of K = {}, not K = {}", Self::BITS, vector.k()));
        Self::unwrap(vector).ok_or_else(other)
    }
}

impl Stored for u64 {
    fn wrap(elements: Secrets<Self>) -> Vector {
        Vector::K64(elements)
    }
    fn unwrap(vector: &Vector) -> Option<&Secrets<Self>> {
        if let Vector::K64(elements) = vector { Some(elements) } else { None }
    }
}

impl Stored for u128 {
    fn wrap(elements: Secrets<Self>) -> Vector {
        Vector::K128(elements)
    }
    fn unwrap(vector: &Vector) -> Option<&Secrets<Self>> {
        if let Vector::K128(elements) = vector { Some(elements) } else { None }
    }
}

/// Run a generic expression for the word type of k.
#[macro_export]
macro_rules! for_k {
    ($k:expr, $word:ident => $body:expr) => {
        match $k {
            64 => {
                type $word = u64;
                $body
            }
            128 => {
                type $word = u128;
                $body
            }
            other => Err($crate::error::Misuse(format!("use K = 64 or K = 128, not {other}"))),
        }
    };
}

impl Vector {
    /// K.
    pub fn k(&self) -> u32 {
        match self {
            Self::K64(_) => 64,
            Self::K128(_) => 128,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::K64(elements) => elements.len(),
            Self::K128(elements) => elements.len(),
        }
    }

    /// No elements?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` zeros.
    ///
    /// # Errors
    /// `Misuse` for another K.
    pub fn zeros(k: u32, count: usize) -> Result<Self> {
        for_k!(k, W => Ok(W::wrap(Zeroizing::new(vec![ring::zero::<W>(); count]))))
    }

    /// From 4*K/8 bytes an element.
    ///
    /// # Errors
    /// `Misuse` for another K or a broken length.
    pub fn from_wire(k: u32, data: &[u8]) -> Result<Self> {
        for_k!(k, W => {
            require(data.len().is_multiple_of(4 * W::BYTES), || {
                format!("give {} bytes an element, not {} bytes", 4 * W::BYTES, data.len())
            })?;
            Ok(W::wrap(Zeroizing::new(data.chunks_exact(4 * W::BYTES).map(ring::read::<W>).collect())))
        })
    }

    /// 4*K/8 bytes an element.
    pub fn to_wire(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::K64(elements) => ring::write_all(elements),
            Self::K128(elements) => ring::write_all(elements),
        })
    }

    /// All parts in a row.
    ///
    /// # Errors
    /// `Misuse` without parts or with unequal K.
    pub fn concat(parts: &[&Self]) -> Result<Self> {
        let k = parts.first().map_or(0, |part| part.k());
        require(k != 0, || "give at least one vector".to_owned())?;
        let count = parts.iter().map(|part| part.len()).sum();
        for_k!(k, W => {
            let mut all = Zeroizing::new(Vec::with_capacity(count));
            for part in parts {
                all.extend_from_slice(W::of(part)?);
            }
            Ok(W::wrap(all))
        })
    }

    /// Elements start..stop.
    ///
    /// # Errors
    /// `Misuse` when the range leaves the vector.
    pub fn slice(&self, start: usize, stop: usize) -> Result<Self> {
        require(start <= stop && stop <= self.len(), || {
            format!("slice within 0..{}, not {start}..{stop}", self.len())
        })?;
        for_k!(self.k(), W => Ok(W::wrap(Zeroizing::new(W::of(self)?[start..stop].to_vec()))))
    }

    /// Element-wise sum (or difference).
    ///
    /// # Errors
    /// `Misuse` when K or length differ.
    pub fn combine(&self, other: &Self, minus: bool) -> Result<Self> {
        require(self.len() == other.len(), || {
            format!("give vectors of one length, not {} and {}", self.len(), other.len())
        })?;
        for_k!(self.k(), W => {
            let operation = if minus { ring::sub::<W> } else { ring::add::<W> };
            let pairs = W::of(self)?.iter().zip(W::of(other)?.iter());
            Ok(W::wrap(Zeroizing::new(pairs.map(|(&a, &b)| operation(a, b)).collect())))
        })
    }

    /// Times a public integer given mod 2^128.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn scale(&self, factor: u128) -> Result<Self> {
        for_k!(self.k(), W => {
            let by = W::from_u128(factor);
            Ok(W::wrap(Zeroizing::new(W::of(self)?.iter().map(|&a| ring::scale(a, by)).collect())))
        })
    }

    /// The same shares mod 2^64.
    #[must_use]
    pub fn reduce64(&self) -> Self {
        Self::K64(match self {
            Self::K64(elements) => elements.clone(),
            Self::K128(elements) => {
                Zeroizing::new(elements.iter().map(|element| element.map(<u64 as Word>::from_u128)).collect())
            }
        })
    }

    /// Seal: the blob starts with K.
    ///
    /// # Errors
    /// `Misuse` when there is no randomness.
    pub fn sealed(&self, key: &[u8; 32], aad: &[u8]) -> Result<Vec<u8>> {
        let mut blob = seal(key, Kind::Shares(self.k()), aad, &self.to_wire())?;
        blob.insert(0, u8::try_from(self.k()).expect("64 or 128"));
        Ok(blob)
    }

    /// Open `sealed`.
    ///
    /// # Errors
    /// `Misuse` when blob, aad and key do not belong together.
    pub fn unsealed(key: &[u8; 32], aad: &[u8], blob: &[u8]) -> Result<Self> {
        let (&k, rest) = blob.split_first().unwrap_or((&0, &[]));
        let k = u32::from(k);
        Self::from_wire(k, &unseal(key, Kind::Shares(k), aad, rest)?)
    }
}
