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

/// Elements that are compared at once.
const BLOCK: usize = 512;

/// Open a vector of degree-t words. `None` when at some element no polynomial agrees with 2t+1 of the given shares.
///
/// All elements are read through t+1 shares of parties that were never wrong, and hold where 2t+1 shares agree; only
/// where they do not a search decides. Each search finds a liar among the t+1, so there are at most t while at most t lie.
///
/// # Errors
/// `Misuse` when a share is of no party.
pub fn robust_open<W: Word>(shape: Shape, given: &Given<W>) -> Result<Option<Opened<W>>> {
    for &party in &given.parties {
        shape.check_party(party)?;
    }
    let count = given.parties.len();
    let enough = 2 * shape.t + 1;
    if count < enough {
        return Ok(None);
    }
    let mut secrets = Vec::with_capacity(given.length);
    let mut wrong = 0u16; // by place
    let mut reader = Reader::new(given, (0..=shape.t).collect())?;
    while secrets.len() < given.length {
        let end = given.length.min(secrets.len() + BLOCK);
        for off in reader.disagreeing(secrets.len()..end) {
            let m = secrets.len();
            if count - off.count_ones() as usize >= enough {
                wrong |= off;
                secrets.push(reader.secret(m));
                continue;
            }
            // Two polynomials that agree with 2t+1 of 3t+1 shares have t+1 in common: there is at most one.
            let Some((found, off)) = search(given, &never_wrong_first(count, wrong), enough, m)? else {
                return Ok(None);
            };
            wrong |= off;
            secrets.push(found.secret(m));
            let trusted: Vec<usize> = never_wrong_first(count, wrong).into_iter().take(shape.t + 1).collect();
            reader = Reader::new(given, trusted)?;
            break; // the rest of the block is read anew
        }
    }
    let parties = (0..count).filter(|place| wrong >> place & 1 == 1).map(|place| 1 << (given.parties[place] - 1));
    Ok(Some((secrets, parties.fold(0, |mask, bit: u16| mask | bit))))
}

/// All places, those that were never wrong before the others.
fn never_wrong_first(count: usize, wrong: u16) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by_key(|place| wrong >> place & 1);
    places
}

/// Reads every element as the polynomial through the shares of `base`.
struct Reader<'a, W: Word> {
    given: &'a Given<W>,
    base: Vec<usize>,
    at_zero: Vec<Elem<W>>,
    others: Vec<(usize, Vec<Elem<W>>)>,
}

impl<'a, W: Word> Reader<'a, W> {
    fn new(given: &'a Given<W>, base: Vec<usize>) -> Result<Self> {
        let at_zero = given.coefficients(&base, 0)?;
        let rest = (0..given.parties.len()).filter(|place| !base.contains(place));
        let others = rest.map(|place| Ok((place, given.coefficients(&base, given.parties[place])?)));
        let others = others.collect::<Result<_>>()?;
        Ok(Self { given, base, at_zero, others })
    }

    /// For each element of the range the places whose share is not on the polynomial, as a mask.
    fn disagreeing(&self, range: std::ops::Range<usize>) -> Vec<u16> {
        let mut masks = vec![0u16; range.len()];
        for (place, coefficients) in &self.others {
            let shares = &self.given.shares[*place][range.clone()];
            for ((m, mask), share) in range.clone().zip(&mut masks).zip(shares) {
                *mask |= u16::from(self.given.value(&self.base, coefficients, m) != *share) << place;
            }
        }
        masks
    }

    fn secret(&self, m: usize) -> Elem<W> {
        self.given.value(&self.base, &self.at_zero, m)
    }
}

/// A reader whose polynomial agrees with `enough` shares at element m, and the places that disagree.
type Found<'a, W> = Option<(Reader<'a, W>, u16)>;

/// `places` in the order in which they are tried.
fn search<'a, W: Word>(given: &'a Given<W>, places: &[usize], enough: usize, m: usize) -> Result<Found<'a, W>> {
    for base in combinations(places, enough / 2 + 1) {
        let reader = Reader::new(given, base)?;
        let off = reader.disagreeing(m..m + 1)[0];
        if places.len() - off.count_ones() as usize >= enough {
            return Ok(Some((reader, off)));
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
