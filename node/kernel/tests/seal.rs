//! Sealing and the setup randomness.

mod common;

use std::collections::BTreeMap;

use common::{Draw, shapes};
use dkg_kernel::seal::{FRAME, Kind, seal, unseal};
use dkg_kernel::sets::{Shape, contains, members};
use dkg_kernel::setup::Contributions;
use dkg_kernel::vector::Vector;

const KEY: [u8; 32] = [3; 32];

#[test]
fn what_is_sealed_opens_and_nothing_else() {
    for length in [0, 1, 32, 1000] {
        let content = Draw(41).bytes(length);
        let blob = seal(&KEY, Kind::Secret, b"aad", &content).unwrap();
        assert_eq!(*unseal(&KEY, Kind::Secret, b"aad", &blob).unwrap(), content);
        assert!(unseal(&[4; 32], Kind::Secret, b"aad", &blob).is_err());
        assert!(unseal(&KEY, Kind::Secret, b"other", &blob).is_err());
        assert!(unseal(&KEY, Kind::Shares(64), b"aad", &blob).is_err());
        for at in [0, 31, 32, blob.len() - 1] {
            let mut broken = blob.clone();
            broken[at] ^= 1;
            assert!(unseal(&KEY, Kind::Secret, b"aad", &broken).is_err());
        }
        for cut in [0, 31, 47, blob.len() - 1] {
            assert!(unseal(&KEY, Kind::Secret, b"aad", &blob[..cut]).is_err());
        }
        assert_ne!(seal(&KEY, Kind::Secret, b"aad", &content).unwrap(), blob);
    }
}

#[test]
fn frames_are_neither_dropped_nor_swapped_nor_added() {
    let content = vec![7; 2 * FRAME + 5];
    let blob = seal(&KEY, Kind::Shares(64), b"", &content).unwrap();
    let open = |blob: &[u8]| unseal(&KEY, Kind::Shares(64), b"", blob);
    assert!(*open(&blob).unwrap() == content);
    let (head, frame) = (32, FRAME + 16);
    assert!(open(&blob[..head + frame]).is_err());
    assert!(open(&blob[..head + 2 * frame]).is_err());
    let second = &blob[head + frame..head + 2 * frame];
    let swapped = [&blob[..head], second, &blob[head..head + frame], &blob[head + 2 * frame..]].concat();
    assert!(open(&swapped).is_err());
    let repeated = [&blob[..head + 2 * frame], second, &blob[head + 2 * frame..]].concat();
    assert!(open(&repeated).is_err());
}

#[test]
fn sealed_shares_come_back_with_their_k() {
    for k in [64, 128] {
        let wire = Draw(42).bytes(10 * 4 * k as usize / 8);
        let vector = Vector::from_wire(k, &wire).unwrap();
        let mut blob = vector.sealed(&KEY, b"x").unwrap();
        let back = Vector::unsealed(&KEY, b"x", &blob).unwrap();
        assert_eq!((back.k(), &*back.to_wire()), (k, &wire));
        blob[0] ^= 64 ^ 128;
        assert!(Vector::unsealed(&KEY, b"x", &blob).is_err());
        assert!(Vector::unsealed(&KEY, b"x", &[]).is_err());
    }
}

fn parties(shape: Shape) -> Vec<Contributions> {
    let seed = |party: usize| [u8::try_from(party).unwrap(); 32];
    (1..=shape.n).map(|party| Contributions::new(shape, party, &seed(party)).unwrap()).collect()
}

/// Everybody hears everybody.
fn exchange(all: &mut [Contributions]) {
    let n = all.len();
    for to in 1..=n {
        for from in (1..=n).filter(|&from| from != to) {
            let message = all[from - 1].message_for(to).unwrap();
            assert!(!all[to - 1].receive(from, &message[1..]).unwrap());
            assert!(all[to - 1].receive(from, &message).unwrap());
        }
    }
}

#[test]
fn members_of_a_set_derive_one_key() {
    for shape in shapes() {
        let mut all = parties(shape);
        exchange(&mut all);
        let counted: BTreeMap<u16, Vec<usize>> = shape.sets().into_iter().map(|mask| (mask, members(mask))).collect();
        let mut known: BTreeMap<u16, [u8; 32]> = BTreeMap::new();
        for contributions in &all {
            for (mask, key) in contributions.keys(b"sid", 1, &counted).unwrap().iter() {
                assert_eq!(known.entry(mask).or_insert(*key), key);
            }
        }
        assert_eq!(known.len(), shape.sets().len());
        let other_era = all[0].keys(b"sid", 2, &counted).unwrap();
        assert!(other_era.iter().all(|(mask, key)| known[&mask] != *key));
    }
}

#[test]
fn a_missing_or_uncounted_contribution_gives_no_key() {
    let shape = Shape::new(4, 1).unwrap();
    let mut all = parties(shape);
    let counted: BTreeMap<u16, Vec<usize>> = shape.sets().into_iter().map(|mask| (mask, members(mask))).collect();
    assert!(all[0].keys(b"sid", 0, &counted).is_err());
    exchange(&mut all);
    let mut one_empty = counted.clone();
    one_empty.insert(0b0111, Vec::new());
    assert!(all[0].keys(b"sid", 0, &one_empty).is_err());
    assert!(all[3].keys(b"sid", 0, &one_empty).is_ok(), "party 4 is not in that set");
}

#[test]
fn only_a_value_with_the_certified_hash_is_filled_in() {
    let shape = Shape::new(4, 1).unwrap();
    let mut all = parties(shape);
    exchange(&mut all);
    let mut late = Contributions::new(shape, 1, &[1; 32]).unwrap();
    let digests = all[0].digests(b"sid");
    // Sets of party 1: {1,2,3}, {1,2,4}, {1,3,4}; three members each.
    let (mask, contributor, place) = (0b1101, 4, 8);
    let certified = &digests[32 * place..32 * (place + 1)];
    let rho = *all[0].rho(mask, contributor).unwrap();
    assert!(late.rho(mask, contributor).is_none());
    assert!(!late.fill(b"other", mask, contributor, &rho, certified));
    assert!(!late.fill(b"sid", mask, contributor, &[0; 32], certified));
    assert!(!late.fill(b"sid", mask, contributor, &rho[1..], certified));
    assert!(late.digests(b"sid")[32 * place..].iter().all(|&byte| byte == 0));
    assert!(late.fill(b"sid", mask, contributor, &rho, certified));
    assert_eq!(late.rho(mask, contributor), Some(&rho));
}

#[test]
fn places_a_peer_invents_are_absent() {
    let shape = Shape::new(4, 1).unwrap();
    let mut one = Contributions::new(shape, 1, &[1; 32]).unwrap();
    for (mask, contributor) in [(0b1110, 2), (0b0111, 4), (0b0111, 0), (0b0111, 99), (0xffff, 1), (0, 1)] {
        assert!(one.rho(mask, contributor).is_none());
        assert!(!one.fill(b"sid", mask, contributor, &[0; 32], &[0; 32]));
    }
    assert!(one.message_for(1).is_err() && one.message_for(5).is_err() && one.message_for(0).is_err());
    assert!(contains(0b0111, 1));
}

#[test]
fn sealed_contributions_come_back_as_far_as_they_were_held() {
    for shape in shapes() {
        let mut all = parties(shape);
        let alone = Contributions::from_bytes(shape, 1, &all[0].to_bytes()).unwrap();
        assert_eq!(alone.digests(b"sid"), all[0].digests(b"sid"));
        exchange(&mut all);
        let whole = Contributions::from_bytes(shape, 1, &all[0].to_bytes()).unwrap();
        assert_eq!(whole.digests(b"sid"), all[0].digests(b"sid"));
        assert!(whole.message_for(2).unwrap() == all[0].message_for(2).unwrap());
    }
}

#[test]
fn contributions_of_other_places_are_not_read() {
    let shape = Shape::new(4, 1).unwrap();
    let held = parties(shape)[0].to_bytes();
    let read = |party, data: &[u8]| Contributions::from_bytes(shape, party, data);
    assert!(read(1, &held).is_ok() && read(1, &[]).is_ok());
    assert!(read(1, &held[1..]).is_err() && read(1, &held[..held.len() - 1]).is_err());
    assert!(read(1, &[&held[35..70], &held[..35]].concat()).is_err(), "order");
    assert!(read(1, &[&held[..35], &held[..35]].concat()).is_err(), "twice");
    assert!(read(4, &held).is_err(), "set {{1,2,3}} is not party 4's");
    let mut other = held.to_vec();
    other[2] = 4;
    assert!(read(1, &other).is_err(), "contributor 4 is not in {{1,2,3}}");
}

#[test]
fn who_holds_no_own_contributions_sends_none() {
    let shape = Shape::new(4, 1).unwrap();
    let empty = Contributions::empty(shape, 1).unwrap();
    assert!(empty.message_for(2).is_err());
    assert!(empty.digests(b"sid").iter().all(|&byte| byte == 0));
    assert!(Contributions::empty(shape, 5).is_err());
}
