//! Opening degree-t words robustly, and testing words of a degree (01 sections 1 and 5).

use crate::error::Result;
use crate::ring::{self, Elem};
use crate::sets::Shape;
use crate::word::Word;

/// Shares of a vector by party, increasing.
pub struct Given<W: Word> {
    parties: Vec<usize>,
    shares: Vec<Vec<Elem<W>>>,
    length: usize,
}

impl<W: Word> Given<W> {
    /// Shares read from bytes; `None` when lengths are broken or differ.
    pub fn read(given: &[(usize, Vec<u8>)]) -> Option<Self> {
        let mut sorted: Vec<&(usize, Vec<u8>)> = given.iter().collect();
        sorted.sort_by_key(|(party, _)| *party);
        let shares = sorted.iter().map(|(_, bytes)| ring::read_all(bytes)).collect::<Option<Vec<Vec<Elem<W>>>>>()?;
        let length = shares.first().map_or(0, Vec::len);
        if shares.iter().any(|share| share.len() != length) {
            return None;
        }
        Some(Self { parties: sorted.iter().map(|(party, _)| *party).collect(), shares, length })
    }

    /// The value at `target` of the polynomial through the shares of `base` (places) at element m.
    fn value(&self, base: &[usize], coefficients: &[Elem<W>], m: usize) -> Elem<W> {
        let terms = base.iter().zip(coefficients).map(|(&place, &c)| ring::mul(c, self.shares[place][m]));
        terms.fold(ring::zero(), ring::add)
    }

    fn coefficients(&self, base: &[usize], target: usize) -> Result<Vec<Elem<W>>> {
        let points: Vec<usize> = base.iter().map(|&place| self.parties[place]).collect();
        ring::lagrange(&points, target)
    }

    /// Places among `alive` whose share at element m is on the polynomial through `base`.
    fn agreeing(&self, base: &[usize], alive: &[usize], m: usize) -> Result<Vec<usize>> {
        let mut places = Vec::new();
        for &place in alive {
            let expected = self.value(base, &self.coefficients(base, self.parties[place])?, m);
            if expected == self.shares[place][m] {
                places.push(place);
            }
        }
        Ok(places)
    }
}

/// Combinations of `size` of the places, in order.
fn combinations(places: &[usize], size: usize) -> Vec<Vec<usize>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, &first) in places.iter().enumerate() {
        for mut rest in combinations(&places[at + 1..], size - 1) {
            rest.insert(0, first);
            all.push(rest);
        }
    }
    all
}

/// The opened secrets and the mask of the parties with a wrong share somewhere.
pub type Opened<W> = (Vec<Elem<W>>, u16);

/// Open a vector of degree-t words. `None` when at some element no polynomial agrees with 2t+1 of the given shares.
///
/// Elements are checked against one interpolation through shares of parties that were never wrong; only where these
/// disagree a search decides. Each search finds a new liar, so there are at most t while at most t lie.
///
/// # Errors
/// `Misuse` when a share is of no party.
pub fn robust_open<W: Word>(shape: Shape, given: &Given<W>) -> Result<Option<Opened<W>>> {
    for &party in &given.parties {
        shape.check_party(party)?;
    }
    let enough = 2 * shape.t + 1;
    let all: Vec<usize> = (0..given.parties.len()).collect();
    if all.len() < enough {
        return Ok(None);
    }
    let mut secrets = Vec::with_capacity(given.length);
    let mut honest = all.clone();
    let mut wrong = 0u16;
    let mut last = all[..=shape.t].to_vec();
    loop {
        let (base, others) = honest.split_at(shape.t + 1);
        let bad = first_disagreement(given, base, others, secrets.len())?;
        let at_zero = given.coefficients(base, 0)?;
        secrets.extend((secrets.len()..bad).map(|m| given.value(base, &at_zero, m)));
        if bad == given.length {
            return Ok(Some((secrets, wrong)));
        }
        // Two polynomials that agree with 2t+1 of 3t+1 shares have t+1 in common: there is at most one.
        let Some((base, agreeing)) = decode(given, &all, &last, bad)? else { return Ok(None) };
        secrets.push(given.value(&base, &given.coefficients(&base, 0)?, bad));
        last = base;
        for &place in all.iter().filter(|place| !agreeing.contains(place)) {
            wrong |= 1 << (given.parties[place] - 1);
        }
        honest = all.iter().copied().filter(|&place| wrong >> (given.parties[place] - 1) & 1 == 0).collect();
        if honest.len() < enough {
            honest = agreeing; // more than t lie in sum: still right, element by element
        }
    }
}

/// The first element from `from` where a share is off the polynomial through `base`; the length if there is none.
fn first_disagreement<W: Word>(given: &Given<W>, base: &[usize], others: &[usize], from: usize) -> Result<usize> {
    let mut first = given.length;
    for &place in others {
        let coefficients = given.coefficients(base, given.parties[place])?;
        let shares = &given.shares[place];
        let bad = (from..first).find(|&m| given.value(base, &coefficients, m) != shares[m]);
        first = bad.unwrap_or(first);
    }
    Ok(first)
}

/// t+1 places whose polynomial agrees with 2t+1 of `all` at element m, and the agreeing places. `last` is tried first.
type Decoded = Option<(Vec<usize>, Vec<usize>)>;

fn decode<W: Word>(given: &Given<W>, all: &[usize], last: &[usize], m: usize) -> Result<Decoded> {
    let enough = 2 * last.len() - 1;
    for base in std::iter::once(last.to_vec()).chain(combinations(all, last.len())) {
        let places = given.agreeing(&base, all, m)?;
        if places.len() >= enough {
            return Ok(Some((base, places)));
        }
    }
    Ok(None)
}

/// Do all given shares of every element lie on one polynomial of the degree with value 0 at 0?
///
/// # Errors
/// `Misuse` when a share is of no party.
pub fn lies_on<W: Word>(degree: usize, given: &Given<W>) -> Result<bool> {
    let count = given.parties.len();
    if count <= degree {
        return Ok(true);
    }
    let base: Vec<usize> = (0..degree).collect();
    // The zero at 0 is the first point of the interpolation; its term vanishes.
    let mut points = vec![0];
    points.extend(&given.parties[..degree]);
    for place in degree..count {
        let coefficients = ring::lagrange(&points, given.parties[place])?;
        let fits = |m: usize| given.value(&base, &coefficients[1..], m) == given.shares[place][m];
        if !(0..given.length).all(fits) {
            return Ok(false);
        }
    }
    Ok(true)
}
