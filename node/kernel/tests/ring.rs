//! The ring, its points, and the small constants.

mod common;

use common::{Draw, has_degree, shapes};
use dkg_kernel::ring::{self, Elem, MAX_PARTY};
use dkg_kernel::sets::{SetConstants, Shape, constants, contains};
use dkg_kernel::word::Word;

fn inverse_of_units<W: Word>() {
    let mut draw = Draw(1);
    for _ in 0..200 {
        let mut x: Elem<W> = draw.element();
        x[1] = x[1].shl(1).add(W::ONE); // odd somewhere: a unit
        assert_eq!(ring::mul(x, ring::inverse(x)), ring::one());
        let odd = x[1];
        assert_eq!(odd.mul(odd.inverse()), W::ONE);
    }
}

#[test]
fn every_unit_has_its_inverse() {
    inverse_of_units::<u64>();
    inverse_of_units::<u128>();
}

#[test]
fn points_of_any_two_parties_differ_by_a_unit() {
    for i in 0..=MAX_PARTY {
        for j in 0..i {
            let difference = ring::sub(ring::alpha::<u64>(i), ring::alpha(j));
            assert_eq!(ring::mul(difference, ring::inverse(difference)), ring::one::<u64>());
        }
    }
}

#[test]
fn x_to_the_fourth_is_minus_x_minus_one() {
    let x4 = ring::times_x(ring::times_x(ring::times_x(ring::times_x(ring::one::<u64>()))));
    assert_eq!(x4, [u64::MAX, u64::MAX, 0, 0]);
    let mut draw = Draw(2);
    let a: Elem<u64> = draw.element();
    assert_eq!(ring::times_x(a), ring::mul(a, [0, 1, 0, 0]));
}

#[test]
fn packing_puts_four_secrets_into_four_coordinates() {
    let mut draw = Draw(3);
    for shape in shapes() {
        let secrets: [u64; 4] = std::array::from_fn(|_| draw.next());
        let dealt = secrets.map(|secret| draw.deal::<u64>(shape, shape.t, [secret, 0, 0, 0]));
        let packed: Vec<Elem<u64>> =
            (0..shape.n).map(|i| ring::pack([dealt[0][i], dealt[1][i], dealt[2][i], dealt[3][i]])).collect();
        assert!(has_degree(&packed, shape.t));
        assert_eq!(common::at_zero(&packed, shape.t + 1), secrets);
    }
}

#[test]
fn repeated_points_are_refused() {
    assert!(ring::lagrange::<u64>(&[1, 2, 1], 0).is_err());
    assert!(ring::lagrange::<u64>(&[1, 16], 0).is_err());
}

#[test]
fn other_shapes_are_refused() {
    for (n, t) in [(3, 1), (4, 2), (13, 3), (16, 5), (1, 0)] {
        assert!(Shape::new(n, t).is_err());
    }
}

fn signed(value: [i16; 4]) -> Elem<u64> {
    value.map(|c| <u64 as Word>::from_signed(i64::from(c)))
}

/// `g_A` of all parties: the table's values, zero outside A.
fn word_of(shape: Shape, set: &SetConstants) -> Vec<Elem<u64>> {
    let value = |party| set.values.iter().find(|(i, _)| *i == party).map_or(ring::zero(), |(_, g)| signed(*g));
    (1..=shape.n).map(value).collect()
}

#[test]
fn constants_are_words_of_degree_t_with_an_odd_value_at_zero() {
    for shape in shapes() {
        for set in constants(shape).iter() {
            let word = word_of(shape, set);
            assert!(has_degree(&word, shape.t), "degree of set {:#x}", set.mask);
            let unit = <u64 as Word>::from_signed(set.unit);
            assert_eq!(common::at_zero(&word, shape.t + 1), [unit, 0, 0, 0]);
            assert!(set.unit % 2 != 0 && set.gamma % 2 != 0 && set.gamma > 0);
            assert!(set.values.iter().all(|(i, _)| contains(set.mask, *i)));
        }
    }
}

#[test]
fn constants_are_so_small_that_32_bit_sums_never_overflow() {
    let mut largest_sum = 0;
    for shape in shapes() {
        for party in 1..=shape.n {
            for c in 0..4 {
                let of_party = |set: &SetConstants| {
                    set.values.iter().find(|(i, _)| *i == party).map_or(0, |(_, g)| i32::from(g[c]).abs())
                };
                let all: Vec<i32> = constants(shape).iter().map(of_party).collect();
                assert!(all.iter().all(|&g| g <= 3555));
                largest_sum = largest_sum.max(all.iter().sum());
            }
        }
        assert!(largest_sum < 1 << 16);
    }
    assert_eq!(largest_sum, 49_034);
}

#[test]
fn thirteen_parties_have_715_sets_and_each_party_495() {
    let shape = Shape::new(13, 4).unwrap();
    assert_eq!(shape.sets().len(), 715);
    assert!((1..=13).all(|party| shape.sets_of(party).len() == 495));
}
