//! The stock reference: what tfhe-rs itself generates for the same client key and seed (test command).

use std::path::Path;

use tfhe::core_crypto::commons::math::random::RandomGenerator;
use tfhe::core_crypto::prelude::DefaultRandomGenerator;
use tfhe::core_crypto::seeders::new_seeder;
use tfhe::shortint::atomic_pattern::compressed::CompressedAtomicPatternServerKey;
use tfhe::shortint::noise_squashing::atomic_pattern::compressed::CompressedAtomicPatternNoiseSquashingKey;
use tfhe::shortint::noise_squashing::CompressedShortint128BootstrappingKey;
use tfhe::shortint::oprf::CompressedOprfBootstrappingKey;
use tfhe::shortint::server_key::{CompressedModulusSwitchConfiguration, ShortintCompressedBootstrappingKey};
use tfhe::xof_key_set::CompressedXofKeySet;
use tfhe::{integer, ClientKey, CompressedReRandomizationKey, Seed};

use crate::assemble::xof_seed;
use crate::failure::{Failure, Outcome};
use crate::files::{Pending, Word};
use crate::plan::KEY_NAMES;

/// Key set by stock generation. Without a noise seed the noise is fresh.
pub fn generate(client_key: &ClientKey, seed: [u8; 16], noise_seed: Option<[u8; 16]>) -> Outcome<CompressedXofKeySet> {
    let noise = noise_seed.map_or_else(|| new_seeder().seed(), |bytes| Seed(u128::from_le_bytes(bytes)));
    let generator = RandomGenerator::<DefaultRandomGenerator>::new(noise);
    CompressedXofKeySet::generate_with_pre_seeded_generator(xof_seed(seed), client_key, generator)
        .map_err(|error| Failure::Environment(format!("cannot generate the reference: {error}")))
}

/// Writes the bodies of every key as `assemble` reads them.
pub fn write_bodies(keyset: CompressedXofKeySet, dir: &Path) -> Outcome<()> {
    let (_, public, server) = keyset.into_raw_parts();
    let (compute, casting, packing, unpacking, squashing, squashed, rerandomization, oprf, _) = server.into_raw_parts();
    write(dir, 1, &compact(public.into_raw_parts().0))?;
    if let Some(key) = packing {
        let key = key.into_raw_parts().packing_key_switching_key;
        write(dir, 2, &key.into_container())?;
    }
    if let Some(key) = unpacking {
        write_bootstrap(dir, key.into_raw_parts().into_raw_parts().0, 3, 0)?;
    }
    write_compute(dir, compute)?;
    if let Some(key) = squashing {
        write_squashing(dir, &key.into_raw_parts())?;
    }
    if let Some(key) = casting {
        write(dir, 9, &key.into_raw_parts().into_raw_parts().0.into_container())?;
    }
    if let Some(CompressedReRandomizationKey::DerivedCPKWithoutKeySwitch { cpk }) = rerandomization {
        write(dir, 10, &compact(cpk))?;
    }
    if let Some(key) = squashed {
        write(dir, 11, &key.into_raw_parts().into_raw_parts().0.into_container())?;
    }
    if let Some(key) = oprf {
        let CompressedOprfBootstrappingKey::Classic { seeded_bsk } = key.into_raw_parts().into_raw_parts() else {
            return Err(unexpected());
        };
        write(dir, 12, &seeded_bsk.into_container())?;
    }
    Ok(())
}

fn write_compute(dir: &Path, key: integer::CompressedServerKey) -> Outcome<()> {
    let CompressedAtomicPatternServerKey::Standard(pattern) = key.into_raw_parts().into_raw_parts().0 else {
        return Err(unexpected());
    };
    let (ksk, bsk, _) = pattern.into_raw_parts();
    write(dir, 4, &ksk.into_container())?;
    write_bootstrap(dir, bsk, 5, 6)
}

fn write_bootstrap(
    dir: &Path,
    key: ShortintCompressedBootstrappingKey<u64>,
    number: usize,
    switch_number: usize,
) -> Outcome<()> {
    let ShortintCompressedBootstrappingKey::Classic { bsk, modulus_switch_noise_reduction_key: switch } = key else {
        return Err(unexpected());
    };
    write(dir, number, &bsk.into_container())?;
    write_switch(dir, switch, switch_number)
}

fn write_switch(dir: &Path, switch: CompressedModulusSwitchConfiguration<u64>, number: usize) -> Outcome<()> {
    match switch {
        CompressedModulusSwitchConfiguration::DriftTechniqueNoiseReduction(key) => {
            write(dir, number, &key.modulus_switch_zeros.into_container())
        }
        CompressedModulusSwitchConfiguration::Standard
        | CompressedModulusSwitchConfiguration::CenteredMeanNoiseReduction => Ok(()),
    }
}

fn write_squashing(dir: &Path, key: &tfhe::shortint::noise_squashing::CompressedNoiseSquashingKey) -> Outcome<()> {
    // This key has no public way apart; its pattern is a copy.
    let CompressedAtomicPatternNoiseSquashingKey::Standard(pattern) = key.atomic_pattern().clone() else {
        return Err(unexpected());
    };
    let CompressedShortint128BootstrappingKey::Classic { bsk, modulus_switch_noise_reduction_key: switch } =
        pattern.into_raw_parts()
    else {
        return Err(unexpected());
    };
    write(dir, 7, &bsk.into_container())?;
    write_switch(dir, switch, 8)
}

fn compact(key: integer::CompressedCompactPublicKey) -> Vec<u64> {
    key.into_raw_parts().into_raw_parts().0.into_container()
}

fn write<W: Word>(dir: &Path, number: usize, words: &[W]) -> Outcome<()> {
    let name = format!("{}.bodies", KEY_NAMES[number - 1]);
    Pending::words(dir, &name, words)?.publish().map(drop)
}

fn unexpected() -> Failure {
    Failure::Environment("cannot take the reference apart: a key is of another kind; build the pinned tfhe-rs".into())
}
