//! The wire's trimming: an element of weight i keeps K-i bits a coordinate, an opened bit value one less (01 section 4).

use crate::error::{Result, require};
use crate::ring::Elem;
use crate::word::Word;

/// Kept bits of the elements of one group.
pub struct Trim {
    kept: Vec<u32>,
    /// Bit weights of the elements of one group.
    pub weights: Vec<u32>,
    /// Bits are opened: values are v / 2.
    pub halved: bool,
}

impl Trim {
    /// Trimming of y (`halved` false) or V.
    ///
    /// # Errors
    /// `Misuse` when there is no weight or one is not below K-1.
    pub fn new<W: Word>(weights: &[u32], halved: bool) -> Result<Self> {
        require(!weights.is_empty(), || "give at least one weight".to_owned())?;
        require(weights.iter().all(|&w| w < W::BITS - 1), || format!("give weights below {}", W::BITS - 1))?;
        let kept = weights.iter().map(|w| W::BITS - w - u32::from(halved)).collect();
        Ok(Self { kept, weights: weights.to_vec(), halved })
    }

    /// The weight of element m.
    pub fn weight(&self, m: usize) -> u32 {
        self.weights[m % self.weights.len()]
    }

    /// Kept bits of element m.
    fn kept(&self, m: usize) -> u32 {
        self.kept[m % self.kept.len()]
    }

    /// Bytes of `count` elements.
    pub fn length(&self, count: usize) -> usize {
        let size = |kept: &u32| 4 * kept.div_ceil(8) as usize;
        let group: usize = self.kept.iter().map(size).sum();
        let part: usize = self.kept[..count % self.kept.len()].iter().map(size).sum();
        count / self.kept.len() * group + part
    }

    /// Kept bits and bytes of every element in turn.
    fn cut<'a>(&'a self, message: &'a [u8], count: usize) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut rest = message;
        (0..count).map(move |m| {
            let kept = self.kept(m);
            let (now, later) = rest.split_at(4 * kept.div_ceil(8) as usize);
            rest = later;
            (kept, now)
        })
    }

    /// Is it `count` trimmed elements with no bit above the trim?
    pub fn canonical(&self, message: &[u8], count: usize) -> bool {
        let clean = |(kept, bytes): (u32, &[u8])| {
            let width = bytes.len() / 4;
            kept.is_multiple_of(8) || bytes.chunks_exact(width).all(|word| word[width - 1] >> (kept % 8) == 0)
        };
        message.len() == self.length(count) && self.cut(message, count).all(clean)
    }

    /// The elements, zero-extended; `None` when not canonical.
    pub fn read<W: Word>(&self, message: &[u8], count: usize) -> Option<Vec<Elem<W>>> {
        if !self.canonical(message, count) {
            return None;
        }
        let element = |(_, bytes): (u32, &[u8])| -> Elem<W> {
            let width = bytes.len() / 4;
            std::array::from_fn(|c| W::read(&bytes[c * width..(c + 1) * width]))
        };
        Some(self.cut(message, count).map(element).collect())
    }

    /// The kept bits of every element.
    pub fn write<W: Word>(&self, elements: &[Elem<W>]) -> Vec<u8> {
        let mut out = vec![0u8; self.length(elements.len())];
        let mut rest = &mut out[..];
        for (m, element) in elements.iter().enumerate() {
            let kept = self.kept(m);
            let width = kept.div_ceil(8) as usize;
            let (now, later) = rest.split_at_mut(4 * width);
            for (place, word) in now.chunks_exact_mut(width).zip(element) {
                word.low(kept).write(place);
            }
            rest = later;
        }
        out
    }

    /// The opened values v of canonical V, mod 2^K (v = 2V for bits).
    pub fn opened<W: Word>(&self, message: &[u8], count: usize) -> Option<Vec<Elem<W>>> {
        let mut values = self.read::<W>(message, count)?;
        if self.halved {
            for word in values.as_flattened_mut() {
                *word = word.shl(1);
            }
        }
        Some(values)
    }
}
