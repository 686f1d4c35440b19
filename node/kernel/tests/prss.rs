//! PRSS, PRZS, streams and keys.

mod common;

use common::{at_zero, has_degree, key_of, keys_of, shapes};
use dkg_kernel::aesctr::Stream;
use dkg_kernel::encoding::aes_key;
use dkg_kernel::mask::mask_stream;
use dkg_kernel::prss::{prss, przs};
use dkg_kernel::ring::{self, Elem};
use dkg_kernel::sets::{Shape, constants};
use dkg_kernel::word::Word;

const LABEL: &[u8] = b"label";

/// `sum_A u_A psi_A` of value v, by the definition.
fn secret<W: Word>(shape: Shape, v: u64) -> W {
    constants(shape).iter().fold(W::ZERO, |sum, set| {
        let mut bytes = vec![0u8; W::BYTES];
        Stream::new(&aes_key(&key_of(set.mask), LABEL)).bytes(v * W::BYTES as u64, &mut bytes);
        let psi = bytes.chunks_exact(2).enumerate().fold(W::ZERO, |psi, (q, limb)| {
            let limb = i64::from(i16::from_le_bytes([limb[0], limb[1]]));
            psi.add(W::from_signed(limb).shl(16 * u32::try_from(q).unwrap()))
        });
        sum.add(W::from_signed(set.unit).mul(psi))
    })
}

fn shares_open_to_the_definition<W: Word>() {
    for shape in shapes() {
        // An odd start, and more values than one block of streams holds.
        let (start, count) = (7, 300);
        let all: Vec<Vec<Elem<W>>> =
            (1..=shape.n).map(|party| prss(&keys_of(shape, party), LABEL, start, count).unwrap()).collect();
        for m in [0, 1, 120, 121, 122, 248, 249, 299] {
            let word: Vec<Elem<W>> = all.iter().map(|shares| shares[m]).collect();
            assert!(has_degree(&word, shape.t));
            let expected = secret::<W>(shape, start + m as u64);
            assert_eq!(at_zero(&word, shape.t + 1), [expected, W::ZERO, W::ZERO, W::ZERO]);
        }
    }
}

#[test]
fn prss_shares_of_all_parties_open_to_the_sum_of_the_sets_values_64() {
    shares_open_to_the_definition::<u64>();
}

#[test]
fn prss_shares_of_all_parties_open_to_the_sum_of_the_sets_values_128() {
    shares_open_to_the_definition::<u128>();
}

#[test]
fn a_part_of_a_stream_is_the_part_of_the_whole() {
    let keys = keys_of(Shape::new(4, 1).unwrap(), 2);
    let whole = prss::<u64>(&keys, LABEL, 0, 1500).unwrap();
    for (start, count) in [(0, 1), (1, 1), (255, 3), (256, 600), (511, 700), (1499, 1), (3, 0)] {
        assert_eq!(prss::<u64>(&keys, LABEL, start as u64, count).unwrap(), whole[start..start + count]);
    }
    assert!(prss::<u64>(&keys, LABEL, u64::MAX, 1).is_err());
}

fn zeros_have_degree_2t_and_value_zero<W: Word>() {
    for shape in shapes() {
        let all: Vec<Vec<Elem<W>>> = (1..=shape.n).map(|party| przs(&keys_of(shape, party), LABEL, 5)).collect();
        for m in 0..5 {
            let word: Vec<Elem<W>> = all.iter().map(|shares| shares[m]).collect();
            assert!(has_degree(&word, 2 * shape.t) && !has_degree(&word, 2 * shape.t - 1));
            assert_eq!(at_zero(&word, 2 * shape.t + 1), ring::zero());
        }
    }
}

#[test]
fn przs_is_zero_at_zero_and_of_full_degree() {
    zeros_have_degree_2t_and_value_zero::<u64>();
    zeros_have_degree_2t_and_value_zero::<u128>();
}

#[test]
fn keys_of_a_wrong_length_are_refused() {
    let shape = Shape::new(4, 1).unwrap();
    assert!(dkg_kernel::prss::KeySet::new(shape, 1, &[0; 95]).is_err());
    assert!(dkg_kernel::prss::KeySet::new(shape, 5, &[0; 96]).is_err());
    assert!(dkg_kernel::prss::KeySet::new(shape, 1, &[0; 96]).is_ok());
}

#[test]
fn counter_blocks_are_little_endian_from_zero() {
    // FIPS 197, appendix C.1, through the counter: block number = the plaintext read as a little-endian integer.
    let key: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let plain: [u8; 16] = std::array::from_fn(|i| u8::try_from(i * 0x11).unwrap());
    let mut out = [0u8; 16];
    Stream::starting_at(&key, u128::from_le_bytes(plain) - 5).fill(5, &mut out);
    let expected = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128;
    assert_eq!(u128::from_be_bytes(out), expected);
}

#[test]
fn any_window_of_a_stream_is_the_window_of_the_whole() {
    let stream = Stream::new(&[7; 16]);
    let mut whole = vec![0u8; 200];
    stream.bytes(0, &mut whole);
    for start in 0..40 {
        for length in [0, 1, 7, 15, 16, 17, 33, 100] {
            let mut part = vec![0u8; length];
            stream.bytes(start as u64, &mut part);
            assert_eq!(part, whole[start..start + length]);
        }
    }
}

#[test]
fn the_mask_stream_has_the_published_first_bytes() {
    let seed = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_le_bytes();
    let expected = [[0x765e_f4fc_bc20_f00c_u64, 0x06af_a21c_f0b9_1347], [0x315b_57da_ff09_bb4d, 0x757f_ba6f_3b57_b58b]];
    let expected: Vec<u8> = expected.as_flattened().iter().flat_map(|part| part.to_be_bytes()).collect();
    assert_eq!(mask_stream(&seed, 0, 32).unwrap(), expected);
    assert_eq!(mask_stream(&seed, 5, 20).unwrap(), expected[5..25]);
    assert!(mask_stream(&seed[1..], 0, 1).is_err());
}
