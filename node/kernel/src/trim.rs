//! The wire's trimming: an element of weight i keeps K-i bits a coordinate, an opened bit value one less (01 section 4).

use crate::error::{Result, require};
use crate::ring::{self, Elem};
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

    /// Hand every coordinate (element, coordinate, value) to `take`; is the message canonical?
    ///
    /// Coordinates come until the first that has a bit above the trim.
    pub fn visit<W: Word>(&self, message: &[u8], count: usize, mut take: impl FnMut(usize, usize, W)) -> bool {
        if message.len() != self.length(count) {
            return false;
        }
        let mut at = 0;
        for m in 0..count {
            let kept = self.kept(m);
            let width = kept.div_ceil(8) as usize;
            for c in 0..4 {
                // A whole word is read where there is one: a copy of unknown length is ten times slower.
                let word = match message.get(at..at + W::BYTES) {
                    Some(bytes) => W::read(bytes).low(8 * kept.div_ceil(8)),
                    None => W::read(&message[at..at + width]),
                };
                if word != word.low(kept) {
                    return false;
                }
                take(m, c, word);
                at += width;
            }
        }
        true
    }

    /// Is it `count` trimmed elements with no bit above the trim?
    pub fn canonical<W: Word>(&self, message: &[u8], count: usize) -> bool {
        self.visit::<W>(message, count, |_, _, _| ())
    }

    /// The elements, zero-extended; `None` when not canonical.
    pub fn read<W: Word>(&self, message: &[u8], count: usize) -> Option<Vec<Elem<W>>> {
        let mut elements = vec![ring::zero::<W>(); if message.len() == self.length(count) { count } else { 0 }];
        self.visit(message, count, |m, c, word| elements[m][c] = word).then_some(elements)
    }

    /// The kept bits of every element.
    pub fn write<W: Word>(&self, elements: &[Elem<W>]) -> Vec<u8> {
        let mut out = vec![0u8; self.length(elements.len())];
        let mut at = 0;
        for (m, element) in elements.iter().enumerate() {
            let kept = self.kept(m);
            let width = kept.div_ceil(8) as usize;
            for word in element {
                // A whole word where it fits: the next one overwrites its zeros.
                let end = (at + W::BYTES).min(out.len());
                let end = if end - at < W::BYTES { at + width } else { end };
                word.low(kept).write(&mut out[at..end]);
                at += width;
            }
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
