//! Seeded draws and dealt sharings for the tests.
#![allow(dead_code)] // each test binary uses some of them

use dkg_kernel::encoding::Enc;
use dkg_kernel::prss::KeySet;
use dkg_kernel::ring::{self, Elem};
use dkg_kernel::sets::Shape;
use dkg_kernel::word::Word;

/// Every supported n/t.
pub const SHAPES: [(usize, usize); 4] = [(4, 1), (7, 2), (10, 3), (13, 4)];

/// The shapes.
pub fn shapes() -> impl Iterator<Item = Shape> {
    SHAPES.iter().map(|&(n, t)| Shape::new(n, t).unwrap())
}

/// Splitmix64: a test that fails fails again.
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn word<W: Word>(&mut self) -> W {
        W::from_u128(u128::from(self.next()) << 64 | u128::from(self.next()))
    }

    pub fn element<W: Word>(&mut self) -> Elem<W> {
        std::array::from_fn(|_| self.word())
    }

    pub fn elements<W: Word>(&mut self, count: usize) -> Vec<Elem<W>> {
        (0..count).map(|_| self.element()).collect()
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Shares of all parties on a random polynomial of the degree with the given value at 0.
    pub fn deal<W: Word>(&mut self, shape: Shape, degree: usize, secret: Elem<W>) -> Vec<Elem<W>> {
        let coefficients: Vec<Elem<W>> = self.elements(degree);
        let at = |party: usize| {
            let tail = coefficients
                .iter()
                .rev()
                .fold(ring::zero(), |value, &c| ring::mul(ring::alpha(party), ring::add(value, c)));
            ring::add(secret, tail)
        };
        (1..=shape.n).map(at).collect()
    }
}

/// The key of a set, as a dealer would know it.
pub fn key_of(mask: u16) -> [u8; 32] {
    Enc::new().text("test key").mask(mask).digest()
}

/// PRSS keys of one party.
pub fn keys_of(shape: Shape, party: usize) -> KeySet {
    let data: Vec<u8> = shape.sets_of(party).into_iter().flat_map(key_of).collect();
    KeySet::new(shape, party, &data).unwrap()
}

/// The value at 0 of the shares of parties 1..=count.
pub fn at_zero<W: Word>(shares: &[Elem<W>], count: usize) -> Elem<W> {
    let points: Vec<usize> = (1..=count).collect();
    let lambda = ring::lagrange::<W>(&points, 0).unwrap();
    lambda.iter().zip(shares).fold(ring::zero(), |sum, (&l, &s)| ring::add(sum, ring::mul(l, s)))
}

/// Do the shares of all parties lie on one polynomial of the degree?
pub fn has_degree<W: Word>(shares: &[Elem<W>], degree: usize) -> bool {
    let points: Vec<usize> = (1..=degree + 1).collect();
    (degree + 2..=shares.len()).all(|party| {
        let lambda = ring::lagrange::<W>(&points, party).unwrap();
        let expected = lambda.iter().zip(shares).fold(ring::zero(), |sum, (&l, &s)| ring::add(sum, ring::mul(l, s)));
        expected == shares[party - 1]
    })
}
