//! Robust opening and the test of a degree.

mod common;

use common::{Draw, shapes};
use dkg_kernel::opening::{Given, lies_on, robust_open};
use dkg_kernel::ring::{self, Elem};
use dkg_kernel::sets::Shape;
use dkg_kernel::word::Word;

type Words<W> = Vec<Vec<Elem<W>>>;

/// Shares by party of a vector of random secrets.
fn dealt<W: Word>(draw: &mut Draw, shape: Shape, degree: usize, secrets: &[Elem<W>]) -> Words<W> {
    let words: Vec<Vec<Elem<W>>> = secrets.iter().map(|&secret| draw.deal(shape, degree, secret)).collect();
    (0..shape.n).map(|i| words.iter().map(|word| word[i]).collect()).collect()
}

fn given<W: Word>(shares: &Words<W>, without: &[usize]) -> Given<W> {
    let parties = (1..=shares.len()).filter(|party| !without.contains(party));
    let wire: Vec<(usize, Vec<u8>)> = parties.map(|party| (party, ring::write_all(&shares[party - 1]))).collect();
    Given::read(&wire).unwrap()
}

/// c prod (X - `alpha_h`) over the honest points, at every point: moves a word to the nearest other codeword.
fn nearest<W: Word>(draw: &mut Draw, shape: Shape, honest: &[usize]) -> Vec<Elem<W>> {
    let c = draw.element();
    let at = |party: usize| {
        honest.iter().fold(c, |value, &h| ring::mul(value, ring::sub(ring::alpha(party), ring::alpha(h))))
    };
    (1..=shape.n).map(at).collect()
}

fn corrects<W: Word>() {
    let mut draw = Draw(11);
    for shape in shapes() {
        let secrets: Vec<Elem<W>> = draw.elements(9);
        let honest = dealt(&mut draw, shape, shape.t, &secrets);
        for liars in 0..=shape.t {
            let mut shares = honest.clone();
            // Liars at the front and at the back, each wrong in other elements.
            let named: Vec<usize> = (0..liars).map(|l| if l % 2 == 0 { l } else { shape.n - l }).collect();
            for (l, &liar) in named.iter().enumerate() {
                shares[liar][(3 * l) % 9] = draw.element();
                shares[liar][8] = draw.element();
            }
            let (opened, wrong) = robust_open(shape, &given(&shares, &[])).unwrap().unwrap();
            assert_eq!(opened, secrets);
            assert_eq!(wrong, named.iter().fold(0, |mask, liar| mask | 1 << liar));
        }
    }
}

#[test]
fn t_liars_are_corrected_and_named() {
    corrects::<u64>();
    corrects::<u128>();
}

#[test]
fn t_colluders_on_the_nearest_wrong_codeword_are_corrected_and_beside_a_missing_party_refused() {
    let mut draw = Draw(12);
    for shape in shapes() {
        let secrets: Vec<Elem<u64>> = draw.elements(2);
        let mut shares = dealt(&mut draw, shape, shape.t, &secrets);
        // The wrong word has degree t and agrees with the honest parties 1..=t.
        let shift = nearest::<u64>(&mut draw, shape, &(1..=shape.t).collect::<Vec<_>>());
        for liar in shape.t + 1..=2 * shape.t {
            shares[liar - 1][1] = ring::add(shares[liar - 1][1], shift[liar - 1]);
        }
        assert_eq!(robust_open(shape, &given(&shares, &[])).unwrap().unwrap().0, secrets);
        for missing in [1, shape.n] {
            assert!(robust_open(shape, &given(&shares, &[missing])).unwrap().is_none());
        }
    }
}

#[test]
fn t_plus_1_liars_at_one_element_are_refused() {
    let mut draw = Draw(17);
    for shape in shapes() {
        let secrets: Vec<Elem<u64>> = draw.elements(2);
        let mut shares = dealt(&mut draw, shape, shape.t, &secrets);
        for liar in 0..=shape.t {
            shares[2 * liar][1] = draw.element();
        }
        assert!(robust_open(shape, &given(&shares, &[])).unwrap().is_none());
    }
}

#[test]
fn with_2t_plus_1_shares_all_must_agree_and_fewer_never_open() {
    let mut draw = Draw(13);
    for shape in shapes() {
        let secrets: Vec<Elem<u64>> = draw.elements(3);
        let mut shares = dealt(&mut draw, shape, shape.t, &secrets);
        let missing: Vec<usize> = (1..=shape.t).collect();
        assert_eq!(robust_open(shape, &given(&shares, &missing)).unwrap().unwrap(), (secrets, 0));
        assert!(robust_open(shape, &given(&shares, &(1..=shape.t + 1).collect::<Vec<_>>())).unwrap().is_none());
        shares[shape.n - 1][2] = draw.element();
        assert!(robust_open(shape, &given(&shares, &missing)).unwrap().is_none());
    }
}

#[test]
fn liars_that_take_turns_are_all_named_even_when_more_than_t() {
    let mut draw = Draw(14);
    let shape = Shape::new(4, 1).unwrap();
    let secrets: Vec<Elem<u64>> = draw.elements(6);
    let mut shares = dealt(&mut draw, shape, shape.t, &secrets);
    for (m, liar) in [(0, 0), (1, 1), (3, 0), (4, 2)] {
        shares[liar][m] = draw.element();
    }
    assert_eq!(robust_open(shape, &given(&shares, &[])).unwrap().unwrap(), (secrets, 0b111));
}

#[test]
fn broken_lengths_are_none() {
    assert!(Given::<u64>::read(&[(1, vec![0; 32]), (2, vec![0; 64])]).is_none());
    assert!(Given::<u64>::read(&[(1, vec![0; 31])]).is_none());
    assert!(Given::<u128>::read(&[(1, vec![0; 32])]).is_none());
}

#[test]
fn a_word_of_degree_2t_moved_by_t_colluders_is_refused() {
    let mut draw = Draw(15);
    for shape in shapes() {
        let zeros = vec![ring::zero::<u64>(); 3];
        let honest = dealt(&mut draw, shape, 2 * shape.t, &zeros);
        let degree = 2 * shape.t;
        assert!(lies_on(degree, &given(&honest, &[])).unwrap());
        assert!(!lies_on(degree - 1, &given(&honest, &[])).unwrap());
        // The colluders keep 2t honest points on their codeword; t+1 honest parties betray them.
        let shift = nearest::<u64>(&mut draw, shape, &(1..=2 * shape.t).collect::<Vec<_>>());
        let mut shares = honest.clone();
        for liar in shape.n - shape.t..shape.n {
            shares[liar][1] = ring::add(shares[liar][1], shift[liar]);
        }
        assert!(!lies_on(degree, &given(&shares, &[])).unwrap());
        // Missing honest parties beyond the limit would let them pass: why the caller demands n-t shares and counts.
        let silent: Vec<usize> = (2 * shape.t + 1..=shape.n - shape.t).collect();
        let at_zero_kept = lies_on(degree, &given(&shares, &silent)).unwrap();
        assert!(!at_zero_kept, "the value at 0 moved with the codeword");
    }
}

#[test]
fn a_value_other_than_zero_is_refused() {
    let mut draw = Draw(16);
    for shape in shapes() {
        let secrets = vec![ring::zero::<u64>(), [0, 0, 1 << 63, 0]];
        let shares = dealt(&mut draw, shape, 2 * shape.t, &secrets);
        assert!(!lies_on(2 * shape.t, &given(&shares, &[])).unwrap());
    }
}
