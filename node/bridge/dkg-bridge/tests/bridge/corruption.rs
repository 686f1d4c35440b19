//! Keys that are wrong in a way a file check cannot see: the self-test must find them.

use std::fs;
use std::path::Path;

use dkg_bridge::files::{load, Pending};
use dkg_bridge::parameters::Parameters;
use dkg_bridge::plan::keys;
use dkg_bridge::self_test;
use tfhe::core_crypto::commons::math::random::CompressionSeed;
use tfhe::core_crypto::prelude::{CiphertextModulus, SeededLweCompactPublicKey, SeededLweKeyswitchKey};
use tfhe::xof_key_set::CompressedXofKeySet;
use tfhe::{integer, shortint, ClientKey, CompressedCompactPublicKey, CompressedServerKey, Tag};
use tfhe_csprng::generators::aes_ctr::AesCtrParams;

use crate::scratch::{assemble, reference, self_test, Scratch, SEED};

/// Every body word times an odd number: the right length, nothing else right.
fn spoil(path: &Path, word_bytes: usize) {
    let mut bytes = fs::read(path).expect("bodies");
    for word in bytes.chunks_exact_mut(word_bytes) {
        let (mut carry, factor) = (0_u64, 0x9e37_79b9_u64);
        for byte in word {
            carry += u64::from(*byte) * factor;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }
    fs::write(path, bytes).expect("writable");
}

/// Verdicts of the self-test, key by key, when the bodies of that key alone are spoilt.
fn verdicts_on_spoilt_bodies() -> Vec<(&'static str, bool)> {
    let scratch = Scratch::new();
    reference(&scratch, "test").expect("stock generates");
    let client_key: ClientKey = load(&scratch.path("client_key.bin")).expect("loads");
    let mut verdicts = Vec::new();
    for key in keys(&Parameters::named("test").expect("known set")).expect("a plan") {
        let path = scratch.path("ref").join(format!("{}.bodies", key.name));
        let whole = fs::read(&path).expect("bodies");
        spoil(&path, key.word_bits / 8);
        assemble(&scratch, "test", SEED, "ref", "out").expect("assembles");
        let keyset: CompressedXofKeySet = load(&scratch.path("out").join("keyset.bin")).expect("loads");
        let report = self_test::run(keyset, &client_key, 20, 1).expect("conforms");
        verdicts.push((key.name, report.passed()));
        fs::write(&path, whole).expect("writable");
    }
    verdicts
}

/// All but the zeros of the drift modulus switch: tfhe-rs adds one only where the noise of a modulus switch
/// would be too large, which does not happen with one LWE bit. Only the bit-exact test sees those two keys.
#[test]
fn spoilt_bodies_of_any_key_that_is_ever_used_are_found() {
    let unseen: Vec<_> = verdicts_on_spoilt_bodies().into_iter().filter(|(_, passed)| *passed).collect();
    assert_eq!(unseen, [("modulus_switch_key", true), ("sns_modulus_switch_key", true)]);
}

#[test]
fn bodies_under_another_seed_do_not_compute() {
    let scratch = Scratch::new();
    reference(&scratch, "core").expect("stock generates");
    assemble(&scratch, "core", "ff0102030405060708090a0b0c0d0e0f", "ref", "out").expect("assembles");
    let failure = self_test(&scratch, "out", "1").expect_err("wrong masks");
    assert_eq!(failure.exit_code(), 1);
}

/// The same seed entered 16 bytes later.
fn shifted(seed: &CompressionSeed) -> CompressionSeed {
    let AesCtrParams { seed, mut first_index } = seed.inner.clone();
    first_index.increase(16);
    CompressionSeed::from(AesCtrParams { seed, first_index })
}

fn with_shifted_public_key(keyset: CompressedXofKeySet) -> CompressedXofKeySet {
    let (seed, public, server) = keyset.into_raw_parts();
    let (key, parameters) = public.into_raw_parts().0.into_raw_parts().into_raw_parts();
    let index = shifted(&key.compression_seed());
    let key = SeededLweCompactPublicKey::from_container(key.into_container(), index, CiphertextModulus::new_native());
    let key = shortint::CompressedCompactPublicKey::from_raw_parts(key, parameters);
    let key = integer::CompressedCompactPublicKey::from_raw_parts(key);
    CompressedXofKeySet::from_raw_parts(seed, CompressedCompactPublicKey::from_raw_parts(key, Tag::default()), server)
}

fn with_shifted_casting_key(keyset: CompressedXofKeySet) -> CompressedXofKeySet {
    let (seed, public, server) = keyset.into_raw_parts();
    let (compute, casting, packing, unpacking, squashing, squashed, rerandomization, oprf, tag) =
        server.into_raw_parts();
    let casting = casting.map(|key| {
        let (ksk, rshift, destination, pattern) = key.into_raw_parts().into_raw_parts();
        let (base, level) = (ksk.decomposition_base_log(), ksk.decomposition_level_count());
        let (size, index) = (ksk.output_lwe_size(), shifted(&ksk.compression_seed()));
        let modulus = CiphertextModulus::new_native();
        let ksk = SeededLweKeyswitchKey::from_container(ksk.into_container(), base, level, size, index, modulus);
        integer::key_switching_key::CompressedKeySwitchingKeyMaterial::from_raw_parts(
            shortint::key_switching_key::CompressedKeySwitchingKeyMaterial::from_raw_parts(
                ksk,
                rshift,
                destination,
                pattern,
            ),
        )
    });
    let server = CompressedServerKey::from_raw_parts(
        compute,
        casting,
        packing,
        unpacking,
        squashing,
        squashed,
        rerandomization,
        oprf,
        tag,
    );
    CompressedXofKeySet::from_raw_parts(seed, public, server)
}

#[test]
fn wrong_first_index_of_a_key_is_found_though_the_whole_set_computes() {
    let scratch = Scratch::new();
    reference(&scratch, "test").expect("stock generates");
    let path = scratch.path("ref").join("keyset.bin");
    let client_key: ClientKey = load(&scratch.path("client_key.bin")).expect("loads");
    for shift in [with_shifted_public_key, with_shifted_casting_key] {
        let keyset: CompressedXofKeySet = load(&path).expect("loads");
        let report = self_test::run(shift(keyset), &client_key, 3, 1).expect("conforms");
        assert!(report.complaint().ends_with("wrong results: single_key_decompression 1 of 1"), "{}", report.json());
    }
    let keyset: CompressedXofKeySet = load(&path).expect("loads");
    assert!(self_test::run(keyset, &client_key, 3, 1).expect("conforms").passed());
}

#[test]
fn client_key_of_another_ceremony_or_set_is_found() {
    let (one, other) = (Scratch::new(), Scratch::new());
    reference(&one, "test").expect("stock generates");
    reference(&other, "core").expect("stock generates");
    fs::copy(other.path("client_key.bin"), one.path("client_key.bin")).expect("copies");
    let failure = self_test(&one, "ref", "1").expect_err("another set");
    assert_eq!(failure.exit_code(), 1);

    let set = Parameters::named("test").expect("known set");
    let flipped: Vec<u8> = crate::scratch::key_bits(&set).iter().map(|bit| 1 - bit).collect();
    let client_key = dkg_bridge::client_key::from_bits(&set, &flipped).expect("a key");
    let pending = Pending::object(&one.path(""), "client_key.bin", &client_key).expect("writes");
    pending.publish().expect("writes");
    let failure = self_test(&one, "ref", "3").expect_err("another key");
    assert_eq!(failure.exit_code(), 1);
}
