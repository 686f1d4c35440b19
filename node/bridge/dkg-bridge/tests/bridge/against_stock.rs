//! What the bridge builds is what stock tfhe-rs generates.

use std::fs;
use std::path::Path;

use dkg_bridge::assemble::xof_seed;
use dkg_bridge::client_key::from_bits;
use dkg_bridge::files::{read_bodies, Word};
use dkg_bridge::parameters::{Parameters, NAMES};
use dkg_bridge::plan::{keys, KeyPlan};
use tfhe::core_crypto::commons::math::random::RandomGenerator;
use tfhe::core_crypto::prelude::DefaultRandomGenerator;
use tfhe::safe_serialization::safe_serialize;
use tfhe::shortint::client_key::atomic_pattern::AtomicPatternClientKey;
use tfhe::shortint::oprf::AtomicPatternOprfPrivateKey;
use tfhe::{ClientKey, Seed};

use crate::scratch::{assemble, key_bits, reference, run, self_test, Scratch, SEED};

fn rebuilt_from_bodies_and_seed_is_byte_identical(set: &str) {
    let scratch = Scratch::new();
    reference(&scratch, set).expect("stock generates");
    assemble(&scratch, set, SEED, "ref", "out").expect("bodies assemble");
    assert_eq!(scratch.names("out"), ["keyset.bin", "public_key.bin", "server_key.bin"]);
    for name in scratch.names("out") {
        let stock = fs::read(scratch.path("ref").join(&name)).expect("reference file");
        let built = fs::read(scratch.path("out").join(&name)).expect("built file");
        assert!(stock == built, "{name} of {set} is not what stock generates");
    }
    self_test(&scratch, "out", "2").expect("the key computes");
}

#[test]
fn test_set_rebuilt_from_bodies_and_seed_is_byte_identical() {
    rebuilt_from_bodies_and_seed_is_byte_identical("test");
}

#[test]
fn core_set_rebuilt_from_bodies_and_seed_is_byte_identical() {
    rebuilt_from_bodies_and_seed_is_byte_identical("core");
}

/// By hand: `cargo test --release -- --ignored`; half a GiB of files, 4 GB of memory.
#[test]
#[ignore = "minutes and 4 GB; run by hand and before a release"]
fn production_set_rebuilt_from_bodies_and_seed_is_byte_identical() {
    rebuilt_from_bodies_and_seed_is_byte_identical("production");
}

/// Bits of a client key in the order of a key-bits file.
fn bits_of(client_key: ClientKey) -> Vec<u8> {
    fn push<W: TryInto<u8> + Copy>(bits: &mut Vec<u8>, words: &[W]) {
        bits.extend(words.iter().map(|&word| word.try_into().ok().expect("a key word is a bit")));
    }
    let (compute, encryption, compression, sns, sns_compression, _, oprf, _) = client_key.into_raw_parts();
    let AtomicPatternClientKey::Standard(compute) = compute.into_raw_parts().atomic_pattern else {
        panic!("stock compute key is of another kind");
    };
    let (glwe, lwe, _, _) = compute.into_raw_parts();
    let mut bits = Vec::new();
    let (encryption, _) = encryption.expect("sets have an encryption key").0.into_raw_parts().into_raw_parts();
    push(&mut bits, encryption.as_ref());
    push(&mut bits, lwe.as_ref());
    push(&mut bits, glwe.as_ref());
    if let Some(key) = compression {
        push(&mut bits, key.into_raw_parts().post_packing_ks_key.as_ref());
    }
    if let Some(key) = sns {
        push(&mut bits, key.into_raw_parts().into_raw_parts().0.as_ref());
    }
    if let Some(key) = sns_compression {
        push(&mut bits, key.into_raw_parts().into_raw_parts().0.as_ref());
    }
    if let Some(key) = oprf {
        let AtomicPatternOprfPrivateKey::Standard(key) = key.into_raw_parts().into_raw_parts() else {
            panic!("stock OPRF key is of another kind");
        };
        push(&mut bits, key.as_ref());
    }
    bits
}

#[test]
fn client_key_from_bits_is_what_stock_gives_for_every_set() {
    for name in NAMES {
        let set = Parameters::named(name).expect("known set");
        let stock = ClientKey::generate_with_seed(set.config(), Seed(7));
        let (mut expected, mut built) = (Vec::new(), Vec::new());
        safe_serialize(&stock, &mut expected, 1 << 30).expect("serialises");
        let bits = bits_of(stock);
        safe_serialize(&from_bits(&set, &bits).expect("a key"), &mut built, 1 << 30).expect("serialises");
        assert!(expected == built, "client key of {name} is not what stock gives");
    }
}

/// Largest absolute difference of the bodies of a key in two directories, as signed words.
fn spread<W: Word>(key: &KeyPlan, one: &Path, other: &Path, difference: fn(W, W) -> u128) -> u128 {
    let one: Vec<W> = read_bodies(one, key).expect("bodies");
    let other: Vec<W> = read_bodies(other, key).expect("bodies");
    one.into_iter().zip(other).map(|(a, b)| difference(a, b)).max().expect("a key has bodies")
}

#[test]
fn noise_widths_of_the_plan_are_those_of_stock() {
    for name in ["test", "core"] {
        let scratch = Scratch::new();
        reference(&scratch, name).expect("stock generates");
        let (bits, again) = (scratch.path("bits"), scratch.path("again"));
        let texts = [("parameter-set", name), ("seed", SEED), ("noise-seed", SEED)];
        run("stock-reference", &[("key-bits", &bits), ("out", &again)], &texts).expect("stock generates");
        for key in keys(&Parameters::named(name).expect("known set")).expect("a plan") {
            let narrow = |a: u64, b: u64| u128::from(a.wrapping_sub(b).cast_signed().unsigned_abs());
            let wide = |a: u128, b: u128| a.wrapping_sub(b).cast_signed().unsigned_abs();
            let spread = match key.word_bits {
                64 => spread(&key, &scratch.path("ref"), &again, narrow),
                _ => spread(&key, &scratch.path("ref"), &again, wide),
            };
            // Same key, same masks: only the noise differs, by at most twice its bound.
            assert!(spread <= 2 << key.noise_width, "{} of {name} is wider than planned", key.name);
            let few = key.samples < 100;
            assert!(few || spread > 1 << key.noise_width, "{} of {name} is narrower than planned", key.name);
        }
    }
}

#[test]
fn mask_stream_of_a_seed_is_the_vector_of_the_design() {
    let seed = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_le_bytes();
    let mut generator = RandomGenerator::<DefaultRandomGenerator>::new(xof_seed(seed));
    let mut stream = [0_u8; 32];
    generator.fill_slice_with_random_uniform(&mut stream);
    let hex = dkg_bridge::files::hex(&stream);
    assert_eq!(hex, "765ef4fcbc20f00c06afa21cf0b91347315b57daff09bb4d757fba6f3b57b58b");
}

#[test]
fn key_bits_of_the_tests_have_lwe_bits_one_in_the_test_set() {
    let set = Parameters::named("test").expect("known set");
    let bits = key_bits(&set);
    assert_eq!((bits[512], bits[1537]), (1, 1));
}
