//! Sets of parties and the small integer PRSS constants `g_A(i)` (01 section 3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Result, require};

/// Number of parties and threshold, one of 4/1, 7/2, 10/3, 13/4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Parties.
    pub n: usize,
    /// Corrupt parties at most.
    pub t: usize,
}

impl Shape {
    /// A supported pair.
    ///
    /// # Errors
    /// `Misuse` for another pair.
    pub fn new(n: usize, t: usize) -> Result<Self> {
        require((1..=4).contains(&t) && n == 3 * t + 1, || format!("use n/t of 4/1, 7/2, 10/3 or 13/4, not {n}/{t}"))?;
        Ok(Self { n, t })
    }

    /// Refuse an index that is no party's.
    ///
    /// # Errors
    /// `Misuse` outside 1..=n.
    pub fn check_party(self, party: usize) -> Result<()> {
        require((1..=self.n).contains(&party), || format!("name a party of 1..{}, not {party}", self.n))
    }

    /// All sets of n-t parties, increasing mask.
    pub fn sets(self) -> Vec<u16> {
        let end = 1u32 << self.n;
        let size = u32::try_from(self.n - self.t).expect("small");
        (0..end).filter(|mask| mask.count_ones() == size).map(|mask| u16::try_from(mask).expect("n <= 13")).collect()
    }

    /// Those with `party` in them.
    pub fn sets_of(self, party: usize) -> Vec<u16> {
        self.sets().into_iter().filter(|&mask| contains(mask, party)).collect()
    }
}

/// Is the party in the set?
pub fn contains(mask: u16, party: usize) -> bool {
    mask >> (party - 1) & 1 == 1
}

/// Members, increasing.
pub fn members(mask: u16) -> Vec<usize> {
    (1..=16).filter(|&party| contains(mask, party)).collect()
}

/// An element of Z[X]/(X^4 + X + 1).
type Integers = [i64; 4];

fn multiply(a: Integers, b: Integers) -> Integers {
    let mut p = [0i64; 7];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            p[i + j] += x * y;
        }
    }
    [p[0] - p[4], p[1] - p[4] - p[5], p[2] - p[5] - p[6], p[3] - p[6]]
}

fn alpha(party: usize) -> Integers {
    std::array::from_fn(|bit| i64::from(party >> bit & 1 == 1))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

/// (Norm(alpha), Norm(alpha) / alpha): determinant and first adjugate column of "times alpha".
fn norm_and_adjoint(party: usize) -> (i64, Integers) {
    let a = alpha(party);
    let mut columns = [a; 4];
    for j in 1..4 {
        columns[j] = multiply(columns[j - 1], [0, 1, 0, 0]);
    }
    // Row 0 of the matrix meets the adjugate's first column in the determinant.
    let adjoint: Integers = std::array::from_fn(|j| {
        let rest: Vec<usize> = (0..4).filter(|&c| c != j).collect();
        let m = |r: usize, c: usize| columns[rest[c]][r + 1];
        let minor = m(0, 0) * (m(1, 1) * m(2, 2) - m(1, 2) * m(2, 1))
            - m(0, 1) * (m(1, 0) * m(2, 2) - m(1, 2) * m(2, 0))
            + m(0, 2) * (m(1, 0) * m(2, 1) - m(1, 1) * m(2, 0));
        if j % 2 == 0 { minor } else { -minor }
    });
    let norm = (0..4).map(|j| columns[j][0] * adjoint[j]).sum();
    (norm, adjoint)
}

/// All constants of one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetConstants {
    /// The set A.
    pub mask: u16,
    /// `u_A`, odd: the value at 0.
    pub unit: i64,
    /// `gamma_A`, the odd common divisor taken out.
    pub gamma: i64,
    /// `g_A(i)` for the members i in increasing order.
    pub values: Vec<(usize, [i16; 4])>,
}

fn constants_of_set(shape: Shape, mask: u16) -> SetConstants {
    let outside: Vec<usize> = (1..=shape.n).filter(|&j| !contains(mask, j)).collect();
    let norms: Vec<(i64, Integers)> = outside.iter().map(|&j| norm_and_adjoint(j)).collect();
    let unit: i64 = norms.iter().map(|(norm, _)| norm).product();
    let value = |i: usize| {
        outside.iter().zip(&norms).fold([1, 0, 0, 0], |product, (&j, (_, adjoint))| {
            let difference = std::array::from_fn(|c| alpha(j)[c] - alpha(i)[c]);
            multiply(product, multiply(*adjoint, difference))
        })
    };
    let raw: Vec<(usize, Integers)> = members(mask).into_iter().map(|i| (i, value(i))).collect();
    let gamma = raw.iter().flat_map(|(_, g)| g).fold(unit, |d, &c| gcd(d, c));
    let small = |c: i64| i16::try_from(c / gamma).expect("coordinates are at most 3,555");
    let values = raw.iter().map(|(i, g)| (*i, g.map(small))).collect();
    SetConstants { mask, unit: unit / gamma, gamma, values }
}

static TABLES: Mutex<BTreeMap<Shape, Arc<Vec<SetConstants>>>> = Mutex::new(BTreeMap::new());

/// The table of a shape, made from the formula at first use.
pub fn constants(shape: Shape) -> Arc<Vec<SetConstants>> {
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || Arc::new(shape.sets().into_iter().map(|mask| constants_of_set(shape, mask)).collect());
    Arc::clone(tables.entry(shape).or_insert_with(make))
}

/// (A, `g_A(party)`) for every A with the party, increasing mask.
pub fn constants_of(shape: Shape, party: usize) -> Vec<(u16, [i16; 4])> {
    let of_party = |set: &SetConstants| {
        let place = set.values.iter().find(|(i, _)| *i == party)?;
        Some((set.mask, place.1))
    };
    constants(shape).iter().filter_map(of_party).collect()
}
