//! Exact products mod (X^N + 1, 2^K) of public polynomials with secret ones, by number-theoretic transforms.
//!
//! An integer coefficient of the sum is below 2^(2K + 12 + 6) in absolute value: three 62-bit primes hold it for
//! K = 64, five for K = 128. Butterflies after Harvey, "Faster arithmetic for number-theoretic transforms" (2014).

use std::sync::OnceLock;

use zeroize::Zeroizing;

use crate::error::{Result, require};
use crate::modular::{Factor, Prime};
use crate::offline::Secrets;
use crate::ring::{self, Elem};
use crate::word::Word;

/// Largest N.
pub const MAX_N: usize = 4096;
/// Most polynomials of one sum.
pub const MAX_POLYS: usize = 64;

/// The largest primes below 2^62 that are 1 mod 8192.
const PRIMES: [Prime; 5] = [
    Prime::new(0x3fff_ffff_ffff_0001),
    Prime::new(0x3fff_ffff_fffe_8001),
    Prime::new(0x3fff_ffff_fffd_6001),
    Prime::new(0x3fff_ffff_fffd_2001),
    Prime::new(0x3fff_ffff_fff9_6001),
];

/// Powers of a primitive 8192nd root in bit-reversed order; a shorter transform uses a prefix of the same table.
struct Table {
    prime: Prime,
    forward: Vec<Factor>,
    backward: Vec<Factor>,
}

impl Table {
    fn new(prime: Prime) -> Self {
        let order = 2 * MAX_N as u64;
        let is_primitive = |root: &u64| prime.power(*root, order / 2) == prime.p - 1;
        let root =
            (2..prime.p).map(|x| prime.power(x, (prime.p - 1) / order)).find(is_primitive).expect("p = 1 mod 8192");
        let powers = |root: u64| {
            let shift = MAX_N.leading_zeros() + 1;
            let power = |k: usize| prime.factor(prime.power(root, (k.reverse_bits() >> shift) as u64));
            (0..MAX_N).map(power).collect()
        };
        Self { prime, forward: powers(root), backward: powers(prime.invert(root)) }
    }

    /// In place; in below p, out below 4p, in bit-reversed order.
    fn forward(&self, values: &mut [u64]) {
        let prime = &self.prime;
        let mut half = values.len() / 2;
        while half > 0 {
            let blocks = values.len() / (2 * half);
            for (chunk, &w) in values.chunks_exact_mut(2 * half).zip(&self.forward[blocks..]) {
                let (low, high) = chunk.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (prime.twice(*x), prime.times_lazy(*y, w));
                    *x = u + v;
                    *y = u + 2 * prime.p - v;
                }
            }
            half /= 2;
        }
    }

    /// In place; in below 2p in bit-reversed order, out below p and divided by N.
    fn backward(&self, values: &mut [u64]) {
        let prime = &self.prime;
        let mut half = 1;
        while half < values.len() {
            let blocks = values.len() / (2 * half);
            for (chunk, &w) in values.chunks_exact_mut(2 * half).zip(&self.backward[blocks..]) {
                let (low, high) = chunk.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, *y);
                    *x = prime.twice(u + v);
                    *y = prime.times_lazy(u + 2 * prime.p - v, w);
                }
            }
            half *= 2;
        }
        let scale = prime.factor(prime.invert(values.len() as u64));
        for x in values {
            *x = prime.times(*x, scale);
        }
    }

    /// A word of K bits mod p.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // meant: the two halves
    fn reduce<W: Word>(&self, word: W, high_unit: Factor) -> u64 {
        let wide = word.to_u128();
        let low = self.prime.reduce(wide as u64);
        if W::BITS == 64 {
            return low;
        }
        self.prime.once(low + self.prime.times((wide >> 64) as u64, high_unit))
    }

    /// 2^64 mod p.
    fn high_unit(&self) -> Factor {
        self.prime.factor(self.prime.power(2, 64))
    }
}

static TABLES: OnceLock<Vec<Table>> = OnceLock::new();

fn tables<W: Word>() -> &'static [Table] {
    &TABLES.get_or_init(|| PRIMES.iter().map(|&prime| Table::new(prime)).collect())[..W::PRIMES]
}

/// Transforms of the four coordinates of a secret polynomial, in Montgomery form: `[prime][coordinate][N]`.
pub struct Spectrum {
    n: usize,
    values: Zeroizing<Vec<u64>>,
}

impl Spectrum {
    /// Element i is coefficient i.
    ///
    /// # Errors
    /// `Misuse` when the length is no power of two up to 4096.
    pub fn new<W: Word>(poly: &[Elem<W>]) -> Result<Self> {
        let n = poly.len();
        require(n.is_power_of_two() && n <= MAX_N, || format!("give a power of two up to {MAX_N} elements, not {n}"))?;
        let mut values = Zeroizing::new(vec![0u64; W::PRIMES * 4 * n]);
        for (table, part) in tables::<W>().iter().zip(values.chunks_exact_mut(4 * n)) {
            let unit = table.high_unit();
            for (c, line) in part.chunks_exact_mut(n).enumerate() {
                for (place, element) in line.iter_mut().zip(poly) {
                    *place = table.reduce(element[c], unit);
                }
                table.forward(line);
                for place in line {
                    *place = table.prime.into_montgomery(*place);
                }
            }
        }
        Ok(Self { n, values })
    }

    /// N.
    pub fn n(&self) -> usize {
        self.n
    }
}

/// For each row of public polynomials `A_p`: `sum_p A_p S_p mod (X^N + 1, 2^K)`.
///
/// # Errors
/// `Misuse` without polynomials, with unequal N, or when the masks are no whole rows.
pub fn negacyclic<W: Word>(masks: &[u8], polys: &[&Spectrum]) -> Result<Secrets<W>> {
    require((1..=MAX_POLYS).contains(&polys.len()), || {
        format!("give 1..{MAX_POLYS} polynomials, not {}", polys.len())
    })?;
    let n = polys[0].n;
    require(polys.iter().all(|poly| poly.n == n), || "give polynomials of one length".to_owned())?;
    let row_bytes = polys.len() * n * W::BYTES;
    require(masks.len().is_multiple_of(row_bytes), || {
        format!("give whole rows of {row_bytes} bytes, not {} bytes", masks.len())
    })?;
    let mut out = Zeroizing::new(vec![ring::zero::<W>(); masks.len() / row_bytes * n]);
    let mut sums = Zeroizing::new(vec![0u64; W::PRIMES * 4 * n]);
    let garner = Garner::<W>::new();
    for (row, result) in masks.chunks_exact(row_bytes).zip(out.chunks_exact_mut(n)) {
        for (at, (table, sums)) in tables::<W>().iter().zip(sums.chunks_exact_mut(4 * n)).enumerate() {
            row_sum::<W>(table, at, row, polys, sums);
        }
        for (i, element) in result.iter_mut().enumerate() {
            *element = std::array::from_fn(|c| garner.lift(|prime| sums[(prime * 4 + c) * n + i]));
        }
    }
    Ok(out)
}

/// One row modulo one prime: transform the public polynomials, multiply, add, transform back.
fn row_sum<W: Word>(table: &Table, at: usize, row: &[u8], polys: &[&Spectrum], sums: &mut [u64]) {
    let n = sums.len() / 4;
    let unit = table.high_unit();
    let mut line = vec![0u64; n];
    sums.fill(0);
    for (mask, poly) in row.chunks_exact(n * W::BYTES).zip(polys) {
        for (place, word) in line.iter_mut().zip(mask.chunks_exact(W::BYTES)) {
            *place = table.reduce(W::read(word), unit);
        }
        table.forward(&mut line);
        let secret = poly.values[at * 4 * n..(at + 1) * 4 * n].chunks_exact(n);
        for (sum, secret) in sums.chunks_exact_mut(n).zip(secret) {
            for ((sum, &a), &s) in sum.iter_mut().zip(&line).zip(secret) {
                *sum = table.prime.twice(*sum + table.prime.montgomery(a, s));
            }
        }
    }
    for sum in sums.chunks_exact_mut(n) {
        table.backward(sum);
    }
}

/// Mixed-radix lift of residues to the signed integer nearest zero, mod 2^K (Garner).
struct Garner<W> {
    /// `inverses[i][j] = 1 / p_j mod p_i` for j < i.
    inverses: Vec<Vec<Factor>>,
    /// Product of all primes mod 2^K.
    modulus: W,
}

impl<W: Word> Garner<W> {
    fn new() -> Self {
        let primes = &PRIMES[..W::PRIMES];
        let inverses_of = |i: usize| {
            let to = primes[i];
            primes[..i].iter().map(|from| to.factor(to.invert(from.p % to.p))).collect()
        };
        let modulus = primes.iter().fold(W::ONE, |product, prime| product.mul(W::from_u128(u128::from(prime.p))));
        Self { inverses: (0..primes.len()).map(inverses_of).collect(), modulus }
    }

    #[inline(always)]
    fn lift(&self, residue: impl Fn(usize) -> u64) -> W {
        let mut digits = [0u64; PRIMES.len()];
        for i in 0..W::PRIMES {
            let prime = &PRIMES[i];
            let mut digit = residue(i);
            for (&before, &inverse) in digits.iter().zip(&self.inverses[i]) {
                // All primes are so close that one subtraction reduces a digit of another.
                digit = prime.times(digit + prime.p - prime.once(before), inverse);
            }
            digits[i] = digit;
        }
        let mut value = W::ZERO;
        for i in (0..W::PRIMES).rev() {
            value = value.mul(W::from_u128(u128::from(PRIMES[i].p))).add(W::from_u128(u128::from(digits[i])));
        }
        // The integer is far smaller than half the product, so its top digit tells the sign.
        let top = W::PRIMES - 1;
        let negative = W::from_u128(u128::from(digits[top] > PRIMES[top].p / 2));
        value.sub(self.modulus.mul(negative))
    }
}

/// For each row of public words: `sum_i a_i s_i`.
///
/// # Errors
/// `Misuse` when s is empty or the masks are no whole rows.
pub fn inner<W: Word>(masks: &[u8], s: &[Elem<W>]) -> Result<Secrets<W>> {
    require(!s.is_empty(), || "give at least one share".to_owned())?;
    let row_bytes = s.len() * W::BYTES;
    require(masks.len().is_multiple_of(row_bytes), || {
        format!("give whole rows of {row_bytes} bytes, not {} bytes", masks.len())
    })?;
    let sum = |row: &[u8]| {
        let terms = row.chunks_exact(W::BYTES).zip(s).map(|(word, &share)| ring::scale(share, W::read(word)));
        terms.fold(ring::zero(), ring::add)
    };
    Ok(Zeroizing::new(masks.chunks_exact(row_bytes).map(sum).collect()))
}
