//! A stock tfhe-rs `ClientKey` from secret key bits, and back (test commands and tests only).

use tfhe::core_crypto::prelude::{GlweSecretKey, LweSecretKey};
use tfhe::integer::ciphertext::NoiseSquashingCompressionPrivateKey;
use tfhe::integer::compression_keys::CompressionPrivateKeys;
use tfhe::integer::noise_squashing::NoiseSquashingPrivateKey;
use tfhe::integer::oprf::OprfPrivateKey;
use tfhe::integer::CompactPrivateKey;
use tfhe::shortint::client_key::atomic_pattern::{AtomicPatternClientKey, StandardAtomicPatternClientKey};
use tfhe::shortint::oprf::AtomicPatternOprfPrivateKey;
use tfhe::shortint::parameters::{CompressionParameters, NoiseSquashingParameters, ReRandomizationParameters};
use tfhe::shortint::PBSParameters;
use tfhe::{integer, shortint, ClientKey, Tag};

use crate::failure::{Failure, Outcome};
use crate::parameters::Parameters;
use crate::plan::KeyBits;

/// Client key from bits in file order: encryption, lwe, glwe, compression, sns, `sns_compression`,
/// oprf.
///
/// # Panics
/// Unless there are exactly `KeyBits::of(set).total()` bits.
pub fn from_bits(set: &Parameters, bits: &[u8]) -> Outcome<ClientKey> {
    let counts = KeyBits::of(set);
    assert_eq!(bits.len(), counts.total(), "key bits of another parameter set");
    let mut rest = bits;
    let mut next = |count: usize| {
        let (part, tail) = rest.split_at(count);
        rest = tail;
        part
    };
    let encryption = words::<u64>(next(counts.encryption));
    let lwe = LweSecretKey::from_container(words::<u64>(next(counts.lwe)));
    let glwe = words::<u64>(next(counts.glwe));
    let compression = words::<u64>(next(counts.compression));
    let sns = words::<u128>(next(counts.sns));
    let sns_compression = words::<u128>(next(counts.sns_compression));
    let oprf = words::<u64>(next(counts.oprf));

    let compute = StandardAtomicPatternClientKey::from_raw_parts(
        GlweSecretKey::from_container(glwe, set.compute.polynomial_size),
        lwe,
        PBSParameters::PBS(set.compute),
        None,
    );
    let compute = integer::ClientKey::from_raw_parts(shortint::ClientKey {
        atomic_pattern: AtomicPatternClientKey::Standard(compute),
    });
    Ok(ClientKey::from_raw_parts(
        compute,
        Some((encryption_key(set, encryption)?, set.pksk)),
        set.compression.map(|parameters| {
            let size = parameters.packing_ks_polynomial_size;
            CompressionPrivateKeys::from_raw_parts(shortint::list_compression::CompressionPrivateKeys {
                post_packing_ks_key: GlweSecretKey::from_container(compression, size),
                params: CompressionParameters::Classic(parameters),
            })
        }),
        set.sns.map(|parameters| {
            let key = GlweSecretKey::from_container(sns, parameters.polynomial_size);
            let parameters = NoiseSquashingParameters::Classic(parameters);
            NoiseSquashingPrivateKey::from_raw_parts(
                shortint::noise_squashing::NoiseSquashingPrivateKey::from_raw_parts(key, parameters),
            )
        }),
        set.sns_compression.map(|parameters| {
            let size = parameters.packing_ks_polynomial_size;
            let key = GlweSecretKey::from_container(sns_compression, size);
            NoiseSquashingCompressionPrivateKey::from_raw_parts(
                shortint::list_compression::NoiseSquashingCompressionPrivateKey::from_raw_parts(key, parameters),
            )
        }),
        Some(ReRandomizationParameters::DerivedCPKWithoutKeySwitch),
        set.oprf.then(|| {
            let key = AtomicPatternOprfPrivateKey::Standard(LweSecretKey::from_container(oprf));
            OprfPrivateKey::from_raw_parts(shortint::oprf::OprfPrivateKey::from_raw_parts(key))
        }),
        Tag::default(),
    ))
}

fn encryption_key(set: &Parameters, bits: Vec<u64>) -> Outcome<CompactPrivateKey<Vec<u64>>> {
    let key = LweSecretKey::from_container(bits);
    shortint::CompactPrivateKey::from_raw_parts(key, set.pke)
        .map(CompactPrivateKey::from_raw_parts)
        .map_err(|error| Failure::Environment(format!("cannot build the encryption key: {error}")))
}

fn words<W: From<u8>>(bits: &[u8]) -> Vec<W> {
    bits.iter().map(|&bit| W::from(bit)).collect()
}
