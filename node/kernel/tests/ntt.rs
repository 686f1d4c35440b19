//! Exact negacyclic products.

mod common;

use common::Draw;
use dkg_kernel::ntt::{Spectrum, inner, negacyclic};
use dkg_kernel::ring::{self, Elem};
use dkg_kernel::word::Word;

fn wire<W: Word>(words: &[W]) -> Vec<u8> {
    let mut out = vec![0u8; words.len() * W::BYTES];
    for (word, place) in words.iter().zip(out.chunks_exact_mut(W::BYTES)) {
        word.write(place);
    }
    out
}

fn schoolbook<W: Word>(masks: &[W], polys: &[Vec<Elem<W>>]) -> Vec<Elem<W>> {
    let n = polys[0].len();
    let mut out = vec![ring::zero::<W>(); n];
    for (mask, poly) in masks.chunks_exact(n).zip(polys) {
        for (i, &a) in mask.iter().enumerate() {
            for (j, &s) in poly.iter().enumerate() {
                let term = ring::scale(s, if i + j < n { a } else { a.neg() });
                let place = &mut out[(i + j) % n];
                *place = ring::add(*place, term);
            }
        }
    }
    out
}

fn agrees<W: Word>(masks: &[W], polys: &[Vec<Elem<W>>]) {
    let spectra: Vec<Spectrum> = polys.iter().map(|poly| Spectrum::new(poly).unwrap()).collect();
    let spectra: Vec<&Spectrum> = spectra.iter().collect();
    let row = polys.len() * polys[0].len();
    let expected: Vec<Elem<W>> = masks.chunks_exact(row).flat_map(|row| schoolbook(row, polys)).collect();
    assert_eq!(negacyclic::<W>(&wire(masks), &spectra).unwrap()[..], expected[..]);
}

fn random<W: Word>() {
    let mut draw = Draw(31);
    for n in [1, 2, 4, 64, 256] {
        for polys in [1, 3] {
            let secrets: Vec<Vec<Elem<W>>> = (0..polys).map(|_| draw.elements(n)).collect();
            let masks: Vec<W> = (0..2 * polys * n).map(|_| draw.word()).collect();
            agrees(&masks, &secrets);
        }
    }
}

#[test]
fn negacyclic_products_are_the_schoolbook_ones() {
    random::<u64>();
    random::<u128>();
}

fn extremes<W: Word>() {
    // The largest sums of both signs: all ones at the largest N, where the lift is closest to its limit.
    let n = 4096;
    let top = W::ZERO.sub(W::ONE);
    let poly = vec![[top, W::ONE, W::ZERO, top.shl(1)]; n];
    let spectra: Vec<Spectrum> = (0..8).map(|_| Spectrum::new(&poly).unwrap()).collect();
    let spectra: Vec<&Spectrum> = spectra.iter().collect();
    let got = negacyclic::<W>(&wire(&vec![top; 8 * n]), &spectra).unwrap();
    // sum_{i+j=m} - sum_{i+j=m+n} of one product has m+1 positive and n-1-m negative terms; eight times.
    for m in [0, 1, n / 2, n - 1] {
        let terms = W::from_signed(8 * (2 * i64::try_from(m).unwrap() + 2 - i64::try_from(n).unwrap()));
        assert_eq!(got[m], ring::scale(poly[0], top.mul(terms)));
    }
}

#[test]
fn the_largest_coefficients_of_both_signs_are_exact() {
    extremes::<u64>();
    extremes::<u128>();
}

#[test]
fn broken_shapes_are_refused() {
    let poly = Spectrum::new(&[[1u64, 0, 0, 0]; 8]).unwrap();
    let other = Spectrum::new(&[[1u64, 0, 0, 0]; 4]).unwrap();
    assert!(Spectrum::new(&[[0u64; 4]; 3]).is_err() && Spectrum::new::<u64>(&[]).is_err());
    assert!(Spectrum::new(&vec![[0u64; 4]; 8192]).is_err());
    assert!(negacyclic::<u64>(&[0; 64], &[]).is_err());
    assert!(negacyclic::<u64>(&[0; 63], &[&poly]).is_err());
    assert!(negacyclic::<u64>(&[0; 96], &[&poly, &other]).is_err());
    assert!(inner::<u64>(&[0; 8], &[]).is_err() && inner(&[0; 9], &[[0u64; 4]]).is_err());
}

#[test]
fn inner_products_are_sums_of_products() {
    let mut draw = Draw(32);
    let s: Vec<Elem<u128>> = draw.elements(5);
    let a: Vec<u128> = (0..10).map(|_| draw.word()).collect();
    let expected: Vec<Elem<u128>> = a
        .chunks_exact(5)
        .map(|row| row.iter().zip(&s).fold(ring::zero(), |sum, (&a, &s)| ring::add(sum, ring::scale(s, a))))
        .collect();
    assert_eq!(inner(&wire(&a), &s).unwrap()[..], expected[..]);
}
