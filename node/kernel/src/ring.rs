//! R = GR(2^K, 4) = B[X]/(X^4 + X + 1): four words an element, X^0 first (01 section 1).

use crate::error::{Result, require};
use crate::word::Word;

/// One element of R.
pub type Elem<W> = [W; 4];

/// Largest party index with a point of its own.
pub const MAX_PARTY: usize = 15;

/// Coordinate-wise sum.
#[inline(always)]
pub fn add<W: Word>(a: Elem<W>, b: Elem<W>) -> Elem<W> {
    [a[0].add(b[0]), a[1].add(b[1]), a[2].add(b[2]), a[3].add(b[3])]
}

/// Coordinate-wise difference.
#[inline(always)]
pub fn sub<W: Word>(a: Elem<W>, b: Elem<W>) -> Elem<W> {
    [a[0].sub(b[0]), a[1].sub(b[1]), a[2].sub(b[2]), a[3].sub(b[3])]
}

/// Times an element of B.
#[inline(always)]
pub fn scale<W: Word>(a: Elem<W>, by: W) -> Elem<W> {
    [a[0].mul(by), a[1].mul(by), a[2].mul(by), a[3].mul(by)]
}

/// Times `2^count`.
#[inline(always)]
pub fn shl<W: Word>(a: Elem<W>, count: u32) -> Elem<W> {
    [a[0].shl(count), a[1].shl(count), a[2].shl(count), a[3].shl(count)]
}

/// Times X, with X^4 = -X - 1.
#[inline(always)]
pub fn times_x<W: Word>(a: Elem<W>) -> Elem<W> {
    [W::ZERO.sub(a[3]), a[0].sub(a[3]), a[1], a[2]]
}

/// Product in R.
#[inline(always)]
pub fn mul<W: Word>(a: Elem<W>, b: Elem<W>) -> Elem<W> {
    let mut p = [W::ZERO; 7];
    for i in 0..4 {
        for j in 0..4 {
            p[i + j] = p[i + j].add(a[i].mul(b[j]));
        }
    }
    // X^4 = -1 - X, X^5 = -X - X^2, X^6 = -X^2 - X^3.
    [p[0].sub(p[4]), p[1].sub(p[4]).sub(p[5]), p[2].sub(p[5]).sub(p[6]), p[3].sub(p[6])]
}

/// `sum_j X^j parts_j`: four base sharings in one element.
#[inline(always)]
pub fn pack<W: Word>(parts: [Elem<W>; 4]) -> Elem<W> {
    let high = add(times_x(parts[3]), parts[2]);
    let middle = add(times_x(high), parts[1]);
    add(times_x(middle), parts[0])
}

/// The element 0.
pub fn zero<W: Word>() -> Elem<W> {
    [W::ZERO; 4]
}

/// The element 1.
pub fn one<W: Word>() -> Elem<W> {
    [W::ONE, W::ZERO, W::ZERO, W::ZERO]
}

/// The point of party `i` (0 is the secret's place): the bits of i as a 0/1 polynomial.
pub fn alpha<W: Word>(party: usize) -> Elem<W> {
    std::array::from_fn(|bit| W::from_u128((party >> bit & 1) as u128))
}

/// Inverse of a unit of R: x^14 inverts mod 2 (in GF(16)), Newton lifts to 2^K.
pub fn inverse<W: Word>(x: Elem<W>) -> Elem<W> {
    let x2 = mul(x, x);
    let x4 = mul(x2, x2);
    let mut y = mul(mul(x2, x4), mul(x4, x4));
    let mut right = 1;
    while right < W::BITS {
        // y (2 - x y)
        let defect = sub(scale(one(), W::ONE.add(W::ONE)), mul(x, y));
        y = mul(y, defect);
        right *= 2;
    }
    y
}

/// Lagrange coefficients of the parties in `points` for the value at `target` (0 or a party).
///
/// # Errors
/// `Misuse` when a point is repeated or has no place in the exceptional set.
pub fn lagrange<W: Word>(points: &[usize], target: usize) -> Result<Vec<Elem<W>>> {
    for (at, &point) in points.iter().enumerate() {
        require(point <= MAX_PARTY && !points[..at].contains(&point), || {
            format!("give different points up to {MAX_PARTY}, not {point} twice or out of range")
        })?;
    }
    let at = alpha::<W>(target);
    let coefficient = |i: usize| {
        let (mut above, mut below) = (one(), one());
        for &j in points.iter().filter(|&&j| j != i) {
            above = mul(above, sub(at, alpha(j)));
            below = mul(below, sub(alpha(i), alpha(j)));
        }
        mul(above, inverse(below))
    };
    Ok(points.iter().map(|&i| coefficient(i)).collect())
}

/// Elements from 4*K/8 bytes each; `None` for a broken length.
pub fn read_all<W: Word>(bytes: &[u8]) -> Option<Vec<Elem<W>>> {
    if !bytes.len().is_multiple_of(4 * W::BYTES) {
        return None;
    }
    Some(bytes.chunks_exact(4 * W::BYTES).map(read).collect())
}

/// One element from 4*K/8 bytes.
#[inline(always)]
pub fn read<W: Word>(bytes: &[u8]) -> Elem<W> {
    std::array::from_fn(|c| W::read(&bytes[c * W::BYTES..(c + 1) * W::BYTES]))
}

/// One element to 4*K/8 bytes.
#[inline(always)]
pub fn write<W: Word>(element: Elem<W>, out: &mut [u8]) {
    for (word, place) in element.iter().zip(out.chunks_exact_mut(W::BYTES)) {
        word.write(place);
    }
}

/// Elements to bytes.
pub fn write_all<W: Word>(elements: &[Elem<W>]) -> Vec<u8> {
    let mut out = vec![0u8; elements.len() * 4 * W::BYTES];
    for (element, place) in elements.iter().zip(out.chunks_exact_mut(4 * W::BYTES)) {
        write(*element, place);
    }
    out
}
