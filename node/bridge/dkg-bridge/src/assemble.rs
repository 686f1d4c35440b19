//! Bodies and public seed -> the seeded keys, through the public API of tfhe-rs alone (design 02a).

use std::path::Path;

use tfhe::core_crypto::commons::math::random::CompressionSeed;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, SeededLweBootstrapKey, SeededLweBootstrapKeyOwned, SeededLweCiphertextList,
    SeededLweCompactPublicKey, SeededLweKeyswitchKey, SeededLweKeyswitchKeyOwned, SeededLwePackingKeyswitchKey,
};
use tfhe::integer::ciphertext::CompressedNoiseSquashingCompressionKey;
use tfhe::integer::compression_keys::{CompressedCompressionKey, CompressedDecompressionKey};
use tfhe::integer::key_switching_key::CompressedKeySwitchingKeyMaterial;
use tfhe::integer::noise_squashing::CompressedNoiseSquashingKey;
use tfhe::integer::oprf::CompressedOprfServerKey;
use tfhe::shortint::atomic_pattern::compressed::{
    CompressedAtomicPatternServerKey, CompressedStandardAtomicPatternServerKey,
};
use tfhe::shortint::ciphertext::MaxDegree;
use tfhe::shortint::key_switching_key::KeySwitchingKeyDestinationAtomicPattern;
use tfhe::shortint::noise_squashing::atomic_pattern::compressed::standard::CompressedStandardAtomicPatternNoiseSquashingKey;
use tfhe::shortint::noise_squashing::atomic_pattern::compressed::CompressedAtomicPatternNoiseSquashingKey;
use tfhe::shortint::noise_squashing::CompressedShortint128BootstrappingKey;
use tfhe::shortint::oprf::CompressedOprfBootstrappingKey;
use tfhe::shortint::parameters::{CompactPublicKeyEncryptionParameters, ModulusSwitchType};
use tfhe::shortint::server_key::{
    CompressedModulusSwitchConfiguration, CompressedModulusSwitchNoiseReductionKey, ShortintCompressedBootstrappingKey,
};
use tfhe::xof_key_set::CompressedXofKeySet;
use tfhe::{
    integer, shortint, CompressedCompactPublicKey, CompressedReRandomizationKey, CompressedServerKey, Tag, XofSeed,
};
use tfhe_csprng::generators::aes_ctr::{AesCtrParams, AesIndex, ByteIndex, TableIndex};
use tfhe_csprng::seeders::SeedKind;

use crate::failure::{Failure, Outcome};
use crate::files::{read_bodies, refuse_foreign_bodies, Pending, Word};
use crate::json::Json;
use crate::parameters::Parameters;
use crate::plan::{keys, KeyPlan};

/// Largest degree that stock keys of two message and two carry bits have; conformance demands it (15 would be refused).
const MAX_DEGREE: u64 = 12;

/// The public seed as tfhe-rs takes it: separator `TFHE_GEN`, the 16 bytes a little-endian u128.
#[must_use]
pub fn xof_seed(seed: [u8; 16]) -> XofSeed {
    XofSeed::new_u128(u128::from_le_bytes(seed), *b"TFHE_GEN")
}

/// Reads all bodies in `dir` and builds the key set.
pub fn assemble(set: &Parameters, seed: [u8; 16], dir: &Path) -> Outcome<CompressedXofKeySet> {
    let source = Source { set, seed: xof_seed(seed), keys: keys(set)?, dir };
    refuse_foreign_bodies(dir, &source.keys)?;
    let public = source.public_key()?;
    let server = source.server_key()?;
    Ok(CompressedXofKeySet::from_raw_parts(source.seed, public, server))
}

/// Writes `keyset.bin`, `public_key.bin` and `server_key.bin`; none gets its name before all are
/// complete. Returns one JSON object with their SHA-256.
pub fn write_key_files(set: &Parameters, keyset: CompressedXofKeySet, out: &Path) -> Outcome<Json> {
    let whole = Pending::object(out, "keyset.bin", &keyset)?;
    let (_, public, server) = keyset.into_raw_parts();
    let public = Pending::object(out, "public_key.bin", &public)?;
    let server = Pending::object(out, "server_key.bin", &server)?;
    let (public, server) = (public.publish()?, server.publish()?);
    // The set is the last to appear: whoever sees it sees the others.
    let whole = whole.publish()?;
    Ok(Json::object(&[
        ("parameter_set", set.name.into()),
        ("insecure", set.insecure().into()),
        ("keyset_sha256", whole.as_str().into()),
        ("public_key_sha256", public.as_str().into()),
        ("server_key_sha256", server.as_str().into()),
    ]))
}

struct Source<'a> {
    set: &'a Parameters,
    seed: XofSeed,
    keys: Vec<KeyPlan>,
    dir: &'a Path,
}

impl Source<'_> {
    /// Bodies of key `number` of design 02 and the seed with the key's own first index.
    fn take<W: Word>(&self, number: usize) -> Outcome<(Vec<W>, CompressionSeed)> {
        let Some(key) = self.keys.iter().find(|key| key.number == number) else {
            return Err(Failure::Environment(format!(
                "cannot build key {number}: the plan of set '{}' lacks it",
                self.set.name
            )));
        };
        Ok((read_bodies(self.dir, key)?, compression_seed(&self.seed, key.mask_offset)))
    }

    fn public_key(&self) -> Outcome<CompressedCompactPublicKey> {
        let key = self.compact_key(1, self.set.pke)?;
        Ok(CompressedCompactPublicKey::from_raw_parts(key, Tag::default()))
    }

    fn compact_key(
        &self,
        number: usize,
        parameters: CompactPublicKeyEncryptionParameters,
    ) -> Outcome<integer::CompressedCompactPublicKey> {
        let (bodies, seed) = self.take(number)?;
        let key = SeededLweCompactPublicKey::from_container(bodies, seed, CiphertextModulus::new_native());
        Ok(integer::CompressedCompactPublicKey::from_raw_parts(shortint::CompressedCompactPublicKey::from_raw_parts(
            key, parameters,
        )))
    }

    fn server_key(&self) -> Outcome<CompressedServerKey> {
        Ok(CompressedServerKey::from_raw_parts(
            self.compute_key()?,
            Some(self.casting_key()?),
            self.compression_key()?,
            self.decompression_key()?,
            self.squashing_key()?,
            self.squashed_compression_key()?,
            Some(self.rerandomization_key()?),
            self.oprf_key()?,
            Tag::default(),
        ))
    }

    fn compute_key(&self) -> Outcome<integer::CompressedServerKey> {
        let p = &self.set.compute;
        let (bodies, seed) = self.take(4)?;
        let ksk = SeededLweKeyswitchKey::from_container(
            bodies,
            p.ks_base_log,
            p.ks_level,
            p.lwe_dimension.to_lwe_size(),
            seed,
            CiphertextModulus::new_native(),
        );
        let bsk = ShortintCompressedBootstrappingKey::Classic {
            bsk: self.bsk(5)?,
            modulus_switch_noise_reduction_key: self.modulus_switch(6, p.modulus_switch_noise_reduction_params)?,
        };
        let pattern = CompressedStandardAtomicPatternServerKey::from_raw_parts(
            ksk,
            bsk,
            shortint::PBSOrder::from(p.encryption_key_choice),
        );
        Ok(integer::CompressedServerKey::from_raw_parts(shortint::CompressedServerKey::from_raw_parts(
            CompressedAtomicPatternServerKey::Standard(pattern),
            p.message_modulus,
            p.carry_modulus,
            MaxDegree::new(MAX_DEGREE),
            p.max_noise_level,
        )))
    }

    /// A bootstrapping key into the compute GLWE key, with the compute decomposition.
    fn bsk(&self, number: usize) -> Outcome<SeededLweBootstrapKeyOwned<u64>> {
        let p = &self.set.compute;
        let (bodies, seed) = self.take(number)?;
        Ok(SeededLweBootstrapKey::from_container(
            bodies,
            p.glwe_dimension.to_glwe_size(),
            p.polynomial_size,
            p.pbs_base_log,
            p.pbs_level,
            seed,
            CiphertextModulus::new_native(),
        ))
    }

    fn modulus_switch(
        &self,
        number: usize,
        kind: ModulusSwitchType,
    ) -> Outcome<CompressedModulusSwitchConfiguration<u64>> {
        use CompressedModulusSwitchConfiguration as Configuration;
        Ok(match kind {
            ModulusSwitchType::Standard => Configuration::Standard,
            ModulusSwitchType::CenteredMeanNoiseReduction => Configuration::CenteredMeanNoiseReduction,
            ModulusSwitchType::DriftTechniqueNoiseReduction(drift) => {
                let (bodies, seed) = self.take(number)?;
                let lwe_size = self.set.compute.lwe_dimension.to_lwe_size();
                let modulus = CiphertextModulus::new_native();
                Configuration::DriftTechniqueNoiseReduction(CompressedModulusSwitchNoiseReductionKey {
                    modulus_switch_zeros: SeededLweCiphertextList::from_container(bodies, lwe_size, seed, modulus),
                    ms_bound: drift.ms_bound,
                    ms_r_sigma_factor: drift.ms_r_sigma_factor,
                    ms_input_variance: drift.ms_input_variance,
                })
            }
        })
    }

    fn casting_key(&self) -> Outcome<CompressedKeySwitchingKeyMaterial> {
        let (bodies, seed) = self.take(9)?;
        let ksk: SeededLweKeyswitchKeyOwned<u64> = SeededLweKeyswitchKey::from_container(
            bodies,
            self.set.pksk.ks_base_log,
            self.set.pksk.ks_level,
            self.set.compute.lwe_dimension.to_lwe_size(),
            seed,
            CiphertextModulus::new_native(),
        );
        let material = shortint::key_switching_key::CompressedKeySwitchingKeyMaterial::from_raw_parts(
            ksk,
            0,
            self.set.pksk.destination_key,
            KeySwitchingKeyDestinationAtomicPattern::Standard,
        );
        Ok(CompressedKeySwitchingKeyMaterial::from_raw_parts(material))
    }

    fn compression_key(&self) -> Outcome<Option<CompressedCompressionKey>> {
        let Some(c) = self.set.compression else {
            return Ok(None);
        };
        let (bodies, seed) = self.take(2)?;
        let key = shortint::list_compression::CompressedCompressionKey {
            packing_key_switching_key: SeededLwePackingKeyswitchKey::from_container(
                bodies,
                c.packing_ks_base_log,
                c.packing_ks_level,
                c.packing_ks_glwe_dimension.to_glwe_size(),
                c.packing_ks_polynomial_size,
                seed,
                CiphertextModulus::new_native(),
            ),
            lwe_per_glwe: c.lwe_per_glwe,
            storage_log_modulus: c.storage_log_modulus,
        };
        Ok(Some(CompressedCompressionKey::from_raw_parts(key)))
    }

    fn decompression_key(&self) -> Outcome<Option<CompressedDecompressionKey>> {
        let Some(c) = self.set.compression else {
            return Ok(None);
        };
        let p = &self.set.compute;
        let (bodies, seed) = self.take(3)?;
        let bsk = SeededLweBootstrapKey::from_container(
            bodies,
            p.glwe_dimension.to_glwe_size(),
            p.polynomial_size,
            c.br_base_log,
            c.br_level,
            seed,
            CiphertextModulus::new_native(),
        );
        // Stock sets have the plain modulus switch here, whatever the compute key has.
        let bsk = ShortintCompressedBootstrappingKey::Classic {
            bsk,
            modulus_switch_noise_reduction_key: CompressedModulusSwitchConfiguration::Standard,
        };
        Ok(Some(CompressedDecompressionKey::from_raw_parts(
            shortint::list_compression::CompressedDecompressionKey::from_raw_parts(bsk, c.lwe_per_glwe),
        )))
    }

    fn squashing_key(&self) -> Outcome<Option<CompressedNoiseSquashingKey>> {
        let Some(s) = self.set.sns else {
            return Ok(None);
        };
        let (bodies, seed) = self.take::<u128>(7)?;
        let bsk = SeededLweBootstrapKey::from_container(
            bodies,
            s.glwe_dimension.to_glwe_size(),
            s.polynomial_size,
            s.decomp_base_log,
            s.decomp_level_count,
            seed,
            s.ciphertext_modulus,
        );
        let bsk = CompressedShortint128BootstrappingKey::Classic {
            bsk,
            modulus_switch_noise_reduction_key: self.modulus_switch(8, s.modulus_switch_noise_reduction_params)?,
        };
        let pattern = CompressedAtomicPatternNoiseSquashingKey::Standard(
            CompressedStandardAtomicPatternNoiseSquashingKey::from_raw_parts(bsk),
        );
        let key = shortint::noise_squashing::CompressedNoiseSquashingKey::from_raw_parts(
            pattern,
            s.message_modulus,
            s.carry_modulus,
            s.ciphertext_modulus,
        );
        Ok(Some(CompressedNoiseSquashingKey::from_raw_parts(key)))
    }

    fn squashed_compression_key(&self) -> Outcome<Option<CompressedNoiseSquashingCompressionKey>> {
        let Some(c) = self.set.sns_compression else {
            return Ok(None);
        };
        let (bodies, seed) = self.take::<u128>(11)?;
        let key = SeededLwePackingKeyswitchKey::from_container(
            bodies,
            c.packing_ks_base_log,
            c.packing_ks_level,
            c.packing_ks_glwe_dimension.to_glwe_size(),
            c.packing_ks_polynomial_size,
            seed,
            c.ciphertext_modulus,
        );
        let key =
            shortint::list_compression::CompressedNoiseSquashingCompressionKey::from_raw_parts(key, c.lwe_per_glwe);
        Ok(Some(CompressedNoiseSquashingCompressionKey::from_raw_parts(key)))
    }

    fn rerandomization_key(&self) -> Outcome<CompressedReRandomizationKey> {
        let parameters = CompactPublicKeyEncryptionParameters::try_from(shortint::ShortintParameterSet::from(
            shortint::PBSParameters::PBS(self.set.compute),
        ))
        .map_err(|error| Failure::Environment(format!("cannot derive key 10: {error}")))?;
        let cpk = self.compact_key(10, parameters)?;
        Ok(CompressedReRandomizationKey::DerivedCPKWithoutKeySwitch { cpk })
    }

    fn oprf_key(&self) -> Outcome<Option<CompressedOprfServerKey>> {
        if !self.set.oprf {
            return Ok(None);
        }
        let key = CompressedOprfBootstrappingKey::Classic { seeded_bsk: self.bsk(12)? };
        Ok(Some(CompressedOprfServerKey::from_raw_parts(shortint::oprf::CompressedOprfServerKey::from_raw_parts(key))))
    }
}

/// Seed of one key: the set's XOF seed, entered at the key's first mask byte.
fn compression_seed(seed: &XofSeed, offset: usize) -> CompressionSeed {
    let first_index = TableIndex::new(AesIndex((offset / 16) as u128), ByteIndex(offset % 16));
    CompressionSeed::from(AesCtrParams { seed: SeedKind::Xof(seed.clone()), first_index })
}
