//! Random bits, noise samples and products from opened values (01 section 4).

use zeroize::Zeroizing;

use crate::error::{Result, require};
use crate::ring::{self, Elem};
use crate::trim::Trim;
use crate::word::Word;

/// A secret vector: wiped on drop.
pub type Secrets<W> = Zeroizing<Vec<Elem<W>>>;

/// Refuse a vector that is not whole quads.
fn quads(length: usize) -> Result<()> {
    require(length.is_multiple_of(4), || format!("give a multiple of 4 elements, not {length}"))
}

/// `s_m = sum_j X^j (a_{4m+j}^2 + a_{4m+j})`.
///
/// # Errors
/// `Misuse` when the length is no multiple of 4.
pub fn square_plus<W: Word>(a: &[Elem<W>]) -> Result<Secrets<W>> {
    quads(a.len())?;
    let plus = |x: Elem<W>| ring::mul(x, ring::add(x, ring::one()));
    let element = |q: &[Elem<W>]| ring::pack([plus(q[0]), plus(q[1]), plus(q[2]), plus(q[3])]);
    Ok(Zeroizing::new(a.chunks_exact(4).map(element).collect()))
}

/// `sum_j X^j s_{4m+j}`.
///
/// # Errors
/// `Misuse` when the length is no multiple of 4.
pub fn pack<W: Word>(s: &[Elem<W>]) -> Result<Secrets<W>> {
    quads(s.len())?;
    Ok(Zeroizing::new(s.chunks_exact(4).map(|q| ring::pack([q[0], q[1], q[2], q[3]])).collect()))
}

/// `D = sum_q X^q x_i y_{4c+q} + v` at (row i, quad c).
///
/// # Errors
/// `Misuse` when the lengths do not fit.
pub fn products<W: Word>(x: &[Elem<W>], y: &[Elem<W>], v: &[Elem<W>]) -> Result<Secrets<W>> {
    let columns = pack(y)?;
    require(v.len() == x.len() * columns.len(), || {
        format!(
            "give {} masks for {} rows of {} quads, not {}",
            x.len() * columns.len(),
            x.len(),
            columns.len(),
            v.len()
        )
    })?;
    let mut out = Zeroizing::new(v.to_vec());
    for (row, &factor) in out.chunks_exact_mut(columns.len().max(1)).zip(x) {
        for (place, &column) in row.iter_mut().zip(columns.iter()) {
            *place = ring::add(*place, ring::mul(factor, column));
        }
    }
    Ok(out)
}

/// The even root r of `r^2 + r = v` (v even) and `1 / (1 + 2r)`, both mod 2^K, by one Newton iteration for the pair.
#[inline(always)]
pub fn even_root<W: Word>(v: W) -> (W, W) {
    let two = W::ONE.add(W::ONE);
    // r = v mod 4; 1/(1+2r) = 1+2r mod 8.
    let mut root = v;
    let mut inverse = W::ONE.add(root.shl(1));
    let mut right = 2;
    while right < W::BITS {
        root = root.sub(root.mul(root).add(root).sub(v).mul(inverse));
        inverse = inverse.mul(two.sub(W::ONE.add(root.shl(1)).mul(inverse)));
        right *= 2;
    }
    (root, inverse)
}

/// `b = (r - a) / (1 + 2r)` for one base value a with opened v.
#[inline(always)]
fn bit<W: Word>(a: Elem<W>, v: W) -> Elem<W> {
    let (root, inverse) = even_root(v);
    let difference = ring::sub([root, W::ZERO, W::ZERO, W::ZERO], a);
    ring::scale(difference, inverse)
}

/// Single bits in the order of a; `None` if V is not canonical.
///
/// # Errors
/// `Misuse` when the length is no multiple of 4.
pub fn bits_from_openings<W: Word>(a: &[Elem<W>], v: &[u8], trim: &Trim) -> Result<Option<Secrets<W>>> {
    quads(a.len())?;
    let Some(opened) = trim.opened::<W>(v, a.len() / 4) else { return Ok(None) };
    let words = opened.as_flattened();
    Ok(Some(Zeroizing::new(a.iter().zip(words).map(|(&a, &v)| bit(a, v)).collect())))
}

/// Packed TUniform(width) samples: `e = sum_i 2^weights[i] b_i - 2^width`; `None` if V is not canonical.
///
/// # Errors
/// `Misuse` when a is not whole groups of four samples or the width is not below K.
pub fn noise_from_openings<W: Word>(a: &[Elem<W>], v: &[u8], trim: &Trim, width: u32) -> Result<Option<Secrets<W>>> {
    let per_group = trim.weights.len();
    require(a.len().is_multiple_of(4 * per_group), || {
        format!("give whole groups of {} elements, not {} elements", 4 * per_group, a.len())
    })?;
    require(width < W::BITS, || format!("give a width below {}, not {width}", W::BITS))?;
    let Some(opened) = trim.opened::<W>(v, a.len() / 4) else { return Ok(None) };
    let centre = W::ONE.shl(width);
    let sample = |(a, v): (&[Elem<W>], &[Elem<W>])| {
        let mut e = [[centre.neg(), W::ZERO, W::ZERO, W::ZERO]; 4];
        for ((quad, values), &weight) in a.chunks_exact(4).zip(v).zip(&trim.weights) {
            for ((e, &a), &v) in e.iter_mut().zip(quad).zip(values) {
                *e = ring::add(*e, ring::shl(bit(a, v), weight));
            }
        }
        ring::pack(e)
    };
    let groups = a.chunks_exact(4 * per_group).zip(opened.chunks_exact(per_group));
    Ok(Some(Zeroizing::new(groups.map(sample).collect())))
}

/// `[x_i y_j]` packed = D - v; `None` if D is not canonical.
pub fn products_from_openings<W: Word>(d: &[u8], v: &[Elem<W>]) -> Option<Secrets<W>> {
    let opened = ring::read_all::<W>(d).filter(|opened| opened.len() == v.len())?;
    Some(Zeroizing::new(opened.iter().zip(v).map(|(&d, &v)| ring::sub(d, v)).collect()))
}

/// Packed `[s_i S_j] = p + eps_i y + delta x_i + eps_i delta_j` at (row i, quad c).
///
/// # Errors
/// `Misuse` when the lengths do not fit.
pub fn beaver<W: Word>(p: &[Elem<W>], x: &[Elem<W>], y: &[Elem<W>], eps: &[u8], delta: &[u8]) -> Result<Secrets<W>> {
    let columns = pack(y)?;
    require(p.len() == x.len() * columns.len(), || {
        format!("give {} products, not {}", x.len() * columns.len(), p.len())
    })?;
    require(eps.len() == x.len() * W::BYTES && delta.len() == y.len() * W::BYTES, || {
        format!("open {} and {} words of {} bytes first", x.len(), y.len(), W::BYTES)
    })?;
    // eps_i (Y_c + Delta_c) + x_i Delta_c, with Delta_c the public element of four deltas.
    let deltas: Vec<Elem<W>> = delta.chunks_exact(4 * W::BYTES).map(ring::read).collect();
    let shifted: Secrets<W> = Zeroizing::new(columns.iter().zip(&deltas).map(|(&y, &d)| ring::add(y, d)).collect());
    let mut out = Zeroizing::new(p.to_vec());
    let rows = x.iter().zip(eps.chunks_exact(W::BYTES).map(W::read));
    for (row, (&x, eps)) in out.chunks_exact_mut(columns.len().max(1)).zip(rows) {
        for ((place, &shift), &delta) in row.iter_mut().zip(shifted.iter()).zip(&deltas) {
            *place = ring::add(*place, ring::add(ring::scale(shift, eps), ring::mul(x, delta)));
        }
    }
    Ok(out)
}
