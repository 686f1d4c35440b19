//! Bits, noise, products, kings and the check, against their definitions.

mod common;

use common::{Draw, SHAPES, at_zero, keys_of};
use dkg_kernel::aesctr::encrypt_block;
use dkg_kernel::check::check_shares;
use dkg_kernel::king::{Opening, king_share, king_sum};
use dkg_kernel::offline::{
    beaver, bits_from_openings, even_root, noise_from_openings, products, products_from_openings, square_plus,
};
use dkg_kernel::prss::prss;
use dkg_kernel::ring::{self, Elem};
use dkg_kernel::sets::Shape;
use dkg_kernel::trim::Trim;
use dkg_kernel::word::Word;

fn roots<W: Word>() {
    let mut draw = Draw(21);
    for _ in 0..500 {
        let a: W = draw.word();
        let v = a.mul(a).add(a);
        let (root, inverse) = even_root(v);
        assert_eq!(root.mul(root).add(root), v);
        assert_eq!(root.low(1), W::ZERO);
        assert_eq!(inverse.mul(W::ONE.add(root.shl(1))), W::ONE);
        assert_eq!(root.sub(a).mul(inverse), a.low(1));
    }
}

#[test]
fn the_even_root_gives_the_parity() {
    roots::<u64>();
    roots::<u128>();
}

struct Run<W: Word> {
    shape: Shape,
    a: Vec<Vec<Elem<W>>>,
    squares: Vec<Vec<Elem<W>>>,
    v: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

const WEIGHTS: [u32; 5] = [0, 1, 2, 3, 0];
const WIDTH: u32 = 3;
const GROUPS: usize = 3;
const COUNT: usize = 4 * WEIGHTS.len() * GROUPS;

/// One honest chunk up to V, with the last 2t+1 parties as senders.
fn run<W: Word>(shape: Shape) -> Run<W> {
    let keys: Vec<_> = (1..=shape.n).map(|party| keys_of(shape, party)).collect();
    let a: Vec<Vec<Elem<W>>> = keys.iter().map(|keys| prss(keys, b"psi", 0, COUNT).unwrap()).collect();
    let squares: Vec<Vec<Elem<W>>> = a.iter().map(|a| square_plus(a).unwrap().to_vec()).collect();
    let first = shape.t + 1;
    let senders = (first..=shape.n).fold(0u16, |mask, party| mask | 1 << (party - 1));
    let opening = Opening { senders, king: first, attempt: 2 };
    let trim = Trim::new::<W>(&WEIGHTS, false).unwrap();
    let send = |i: usize| king_share(&squares[i - 1], &keys[i - 1], opening, &trim).unwrap();
    let messages: Vec<Vec<u8>> = (first..=shape.n).map(send).collect();
    let v = king_sum::<W>(&messages, COUNT / 4, &WEIGHTS, true).unwrap().unwrap();
    Run { shape, a, squares, v, messages }
}

impl<W: Word> Run<W> {
    /// The secret a of every bit.
    fn secrets(&self) -> Vec<W> {
        let open = |m: usize| {
            let word: Vec<Elem<W>> = self.a.iter().map(|a| a[m]).collect();
            at_zero(&word, self.shape.t + 1)[0]
        };
        (0..COUNT).map(open).collect()
    }
}

fn bits_and_noise<W: Word>(shape: Shape) {
    let run = run::<W>(shape);
    let secrets = run.secrets();
    let trim = Trim::new::<W>(&WEIGHTS, true).unwrap();
    let all =
        |shares: Vec<Vec<Elem<W>>>, m: usize| at_zero(&shares.iter().map(|s| s[m]).collect::<Vec<_>>(), shape.t + 1);
    let bits: Vec<_> = run.a.iter().map(|a| bits_from_openings(a, &run.v, &trim).unwrap().unwrap().to_vec()).collect();
    for (m, a) in secrets.iter().enumerate() {
        let weight = trim.weight(m / 4);
        let opened = all(bits.clone(), m);
        assert_eq!(ring::shl(opened, weight), [a.low(1).shl(weight), W::ZERO, W::ZERO, W::ZERO]);
    }
    let noise: Vec<_> =
        run.a.iter().map(|a| noise_from_openings(a, &run.v, &trim, WIDTH).unwrap().unwrap().to_vec()).collect();
    for group in 0..GROUPS {
        let expected: Elem<W> = std::array::from_fn(|j| {
            let terms = WEIGHTS
                .iter()
                .enumerate()
                .map(|(i, &weight)| secrets[4 * (group * WEIGHTS.len() + i) + j].low(1).shl(weight));
            terms.fold(W::ONE.shl(WIDTH).neg(), W::add)
        });
        assert_eq!(all(noise.clone(), group), expected);
    }
}

#[test]
fn bits_are_the_parities_and_noise_is_their_weighted_sum() {
    for (n, t) in SHAPES {
        bits_and_noise::<u64>(Shape::new(n, t).unwrap());
        bits_and_noise::<u128>(Shape::new(n, t).unwrap());
    }
}

#[test]
fn a_bit_above_the_trim_is_refused_everywhere() {
    let run = run::<u64>(Shape::new(4, 1).unwrap());
    let trim = Trim::new::<u64>(&WEIGHTS, true).unwrap();
    let mut broken = run.v.clone();
    broken[7] |= 0x80; // 63 bits are kept
    assert!(!trim.canonical::<u64>(&broken, COUNT / 4));
    assert!(bits_from_openings(&run.a[0], &broken, &trim).unwrap().is_none());
    assert!(noise_from_openings(&run.a[0], &broken, &trim, WIDTH).unwrap().is_none());
    assert!(check_shares(&run.squares[0], &broken, &[0; 16], 1, &trim).unwrap().is_none());
    let mut messages = run.messages.clone();
    let at = 32 + 7; // the second element keeps 63 bits in y
    messages[1][at] |= 0x80;
    assert!(king_sum::<u64>(&messages, COUNT / 4, &WEIGHTS, true).unwrap().is_none());
    messages[1].pop();
    assert!(king_sum::<u64>(&messages, COUNT / 4, &WEIGHTS, true).unwrap().is_none());
}

#[test]
fn a_single_message_to_the_king_says_nothing_without_its_masks() {
    // Another try, king or sender set changes every coordinate of the message.
    let shape = Shape::new(4, 1).unwrap();
    let keys = keys_of(shape, 2);
    let s: Vec<Elem<u64>> = Draw(5).elements(8);
    let trim = Trim::new::<u64>(&[0], false).unwrap();
    let send = |senders, king, attempt| king_share(&s, &keys, Opening { senders, king, attempt }, &trim).unwrap();
    let all = [send(0b0111, 1, 0), send(0b0111, 1, 1), send(0b0111, 3, 0), send(0b1110, 3, 0), send(0b1011, 1, 0)];
    for (i, one) in all.iter().enumerate() {
        for other in &all[..i] {
            assert!(one.chunks(8).zip(other.chunks(8)).all(|(a, b)| a != b));
        }
    }
}

#[test]
fn a_king_or_sender_out_of_place_is_refused() {
    let keys = keys_of(Shape::new(4, 1).unwrap(), 2);
    let trim = Trim::new::<u64>(&[0], false).unwrap();
    for (senders, king) in [(0b1101, 1), (0b0111, 4), (0b1111, 1), (0b0011, 1), (0b1_0011, 1), (0b0111, 0)] {
        assert!(king_share::<u64>(&[], &keys, Opening { senders, king, attempt: 0 }, &trim).is_err());
    }
}

fn trimming<W: Word>() {
    let mut draw = Draw(22);
    for halved in [false, true] {
        let trim = Trim::new::<W>(&[0, 1, 7, 8, 9, 46], halved).unwrap();
        for count in [0, 1, 5, 6, 7, 20] {
            let values: Vec<Elem<W>> = draw.elements(count);
            let wire = trim.write(&values);
            assert_eq!(wire.len(), trim.length(count));
            let read = trim.read::<W>(&wire, count).unwrap();
            for (m, (value, back)) in values.iter().zip(&read).enumerate() {
                let kept = W::BITS - trim.weight(m) - u32::from(halved);
                assert_eq!(value.map(|word| word.low(kept)), *back);
            }
            assert_eq!(trim.write(&read), wire);
        }
    }
}

#[test]
fn trimming_keeps_the_low_bits_and_reads_back() {
    trimming::<u64>();
    trimming::<u128>();
}

fn naive_check<W: Word>(s: &[Elem<W>], opened: &[Elem<W>], key: &[u8; 16], digit: usize, trim: &Trim) -> Elem<W> {
    s.iter().zip(opened).enumerate().fold(ring::zero(), |sum, (m, (&s, &v))| {
        let mut block = (m as u128).to_le_bytes();
        encrypt_block(key, &mut block);
        let nibble = u128::from_le_bytes(block) >> (4 * digit) & 15;
        let chi: Elem<W> = std::array::from_fn(|c| W::from_u128(nibble >> c & 1));
        ring::add(sum, ring::mul(chi, ring::shl(ring::sub(s, v), trim.weight(m))))
    })
}

fn check<W: Word>() {
    let mut draw = Draw(23);
    let key = [9; 16];
    for halved in [false, true] {
        let trim = Trim::new::<W>(&WEIGHTS, halved).unwrap();
        let count = 600; // more than one span of challenges
        let s: Vec<Elem<W>> = draw.elements(count);
        let v = trim.write::<W>(&draw.elements(count));
        let opened = trim.opened::<W>(&v, count).unwrap();
        let sums = check_shares(&s, &v, &key, 32, &trim).unwrap().unwrap();
        for (digit, &sum) in sums.iter().enumerate() {
            assert_eq!(sum, naive_check(&s, &opened, &key, digit, &trim));
        }
        assert_eq!(check_shares(&s, &v, &key, 3, &trim).unwrap().unwrap()[..], sums[..3]);
        assert!(check_shares(&s, &v, &key, 33, &trim).is_err() && check_shares(&s, &v, &key[1..], 1, &trim).is_err());
    }
}

#[test]
fn check_sums_are_the_challenged_sums_of_the_defects() {
    check::<u64>();
    check::<u128>();
}

#[test]
#[allow(clippy::many_single_char_names)] // the names of the design
fn an_opened_product_less_its_mask_is_the_product() {
    let mut draw = Draw(24);
    let (x, y): (Vec<u64>, Vec<u64>) = ((0..3).map(|_| draw.next()).collect(), (0..8).map(|_| draw.next()).collect());
    let base = |words: &[u64]| words.iter().map(|&w| [w, 0, 0, 0]).collect::<Vec<_>>();
    let v: Vec<Elem<u64>> = draw.elements(6);
    let d = products(&base(&x), &base(&y), &v).unwrap();
    let p = products_from_openings(&ring::write_all(&d), &v).unwrap();
    let at = |i: usize, c: usize| -> Elem<u64> { std::array::from_fn(|q| x[i].wrapping_mul(y[4 * c + q])) };
    assert!((0..3).all(|i| (0..2).all(|c| p[2 * i + c] == at(i, c))));
    assert!(products_from_openings::<u64>(&[0; 31], &v).is_none());
    assert!(products(&base(&x), &base(&y), &v[1..]).is_err());
    // s = x + eps, S = y + delta.
    let (eps, delta): (Vec<u64>, Vec<u64>) =
        ((0..3).map(|_| draw.next()).collect(), (0..8).map(|_| draw.next()).collect());
    let wire = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let sums = beaver(&p, &base(&x), &base(&y), &wire(&eps), &wire(&delta)).unwrap();
    for i in 0..3 {
        for j in 0..8 {
            let expected = x[i].wrapping_add(eps[i]).wrapping_mul(y[j].wrapping_add(delta[j]));
            assert_eq!(sums[2 * i + j / 4][j % 4], expected);
        }
    }
    assert!(beaver(&p, &base(&x), &base(&y), &wire(&eps)[1..], &wire(&delta)).is_err());
}
