//! The parameter sets, written down a second time: nothing of the bridge is used here.

use tfhe::core_crypto::prelude::*;
use tfhe::shortint::parameters::list_compression::ClassicCompressionParameters;
use tfhe::shortint::parameters::noise_squashing::NoiseSquashingClassicParameters;
use tfhe::shortint::parameters::v1_7::meta::cpu::V1_7_META_PARAM_CPU_2_2_KS_PBS_PKE_TO_SMALL_ZKV2_TUNIFORM_2M128 as META;
use tfhe::shortint::parameters::{
    CiphertextModulus as Modulus, CompactCiphertextListExpansionKind, CompactPublicKeyEncryptionParameters,
    CompressionParameters, ModulusSwitchNoiseReductionParams, ModulusSwitchType, NoiseSquashingCompressionParameters,
    NoiseSquashingParameters, ReRandomizationParameters, ShortintKeySwitchingParameters, SupportedCompactPkeZkScheme,
};
use tfhe::shortint::{CarryModulus, ClassicPBSParameters, EncryptionKeyChoice, MaxNoiseLevel, MessageModulus};
use tfhe::{Config, ConfigBuilder};

/// Configuration of a set; None for an unknown name.
pub fn config(set: &str) -> Option<Config> {
    match set {
        "test" => Some(test()),
        "core" => core(),
        "production" => Some(META.into()),
        _ => None,
    }
}

fn core() -> Option<Config> {
    let dedicated = META.dedicated_compact_public_key_parameters?;
    let builder = ConfigBuilder::with_custom_parameters(META.compute_parameters)
        .use_dedicated_compact_public_key_parameters((dedicated.pke_params, dedicated.ksk_params))
        .enable_ciphertext_re_randomization(META.rerandomization_parameters()?)
        .use_dedicated_oprf_key(false);
    Some(builder.build())
}

fn test() -> Config {
    let compute = ClassicPBSParameters {
        lwe_dimension: LweDimension(1),
        glwe_dimension: GlweDimension(1),
        polynomial_size: PolynomialSize(256),
        lwe_noise_distribution: DynamicDistribution::new_t_uniform(0),
        glwe_noise_distribution: DynamicDistribution::new_t_uniform(0),
        pbs_base_log: DecompositionBaseLog(24),
        pbs_level: DecompositionLevelCount(1),
        ks_base_log: DecompositionBaseLog(37),
        ks_level: DecompositionLevelCount(1),
        message_modulus: MessageModulus(4),
        carry_modulus: CarryModulus(4),
        max_noise_level: MaxNoiseLevel::new(5),
        log2_p_fail: -64.0,
        ciphertext_modulus: Modulus::new_native(),
        encryption_key_choice: EncryptionKeyChoice::Big,
        modulus_switch_noise_reduction_params: drift(10, 9.755_393_200_764_16, 1.926_313_907_165_19e-10),
    };
    let pke = CompactPublicKeyEncryptionParameters {
        encryption_lwe_dimension: LweDimension(512),
        encryption_noise_distribution: DynamicDistribution::new_t_uniform(0),
        message_modulus: MessageModulus(4),
        carry_modulus: CarryModulus(4),
        ciphertext_modulus: Modulus::new_native(),
        expansion_kind: CompactCiphertextListExpansionKind::RequiresCasting,
        zk_scheme: SupportedCompactPkeZkScheme::V2,
    };
    let casting = ShortintKeySwitchingParameters {
        ks_base_log: DecompositionBaseLog(37),
        ks_level: DecompositionLevelCount(1),
        destination_key: EncryptionKeyChoice::Small,
    };
    ConfigBuilder::with_custom_parameters(compute)
        .use_dedicated_compact_public_key_parameters((pke, casting))
        .enable_compression(test_compression())
        .enable_noise_squashing(test_squashing())
        .enable_noise_squashing_compression(test_squashed_compression())
        .enable_ciphertext_re_randomization(ReRandomizationParameters::DerivedCPKWithoutKeySwitch)
        .build()
}

fn test_compression() -> CompressionParameters {
    CompressionParameters::Classic(ClassicCompressionParameters {
        br_level: DecompositionLevelCount(1),
        br_base_log: DecompositionBaseLog(24),
        packing_ks_level: DecompositionLevelCount(1),
        packing_ks_base_log: DecompositionBaseLog(27),
        packing_ks_polynomial_size: PolynomialSize(256),
        packing_ks_glwe_dimension: GlweDimension(1),
        lwe_per_glwe: LweCiphertextCount(256),
        storage_log_modulus: CiphertextModulusLog(9),
        packing_ks_key_noise_distribution: DynamicDistribution::new_t_uniform(0),
    })
}

fn test_squashing() -> NoiseSquashingParameters {
    NoiseSquashingParameters::Classic(NoiseSquashingClassicParameters {
        glwe_dimension: GlweDimension(1),
        polynomial_size: PolynomialSize(256),
        glwe_noise_distribution: DynamicDistribution::new_t_uniform(0),
        decomp_base_log: DecompositionBaseLog(33),
        decomp_level_count: DecompositionLevelCount(2),
        modulus_switch_noise_reduction_params: drift(8, 9.2, 2.182_718_682_903_484e-224),
        message_modulus: MessageModulus(4),
        carry_modulus: CarryModulus(4),
        ciphertext_modulus: CiphertextModulus::new_native(),
    })
}

fn test_squashed_compression() -> NoiseSquashingCompressionParameters {
    NoiseSquashingCompressionParameters {
        packing_ks_level: DecompositionLevelCount(1),
        packing_ks_base_log: DecompositionBaseLog(61),
        packing_ks_polynomial_size: PolynomialSize(256),
        packing_ks_glwe_dimension: GlweDimension(1),
        lwe_per_glwe: LweCiphertextCount(128),
        packing_ks_key_noise_distribution: DynamicDistribution::new_t_uniform(3),
        message_modulus: MessageModulus(4),
        carry_modulus: CarryModulus(4),
        ciphertext_modulus: CiphertextModulus::new_native(),
    }
}

fn drift(zeros: usize, r_sigma: f64, variance: f64) -> ModulusSwitchType {
    ModulusSwitchType::DriftTechniqueNoiseReduction(ModulusSwitchNoiseReductionParams {
        modulus_switch_zeros_count: LweCiphertextCount(zeros),
        ms_bound: NoiseEstimationMeasureBound(288_230_376_151_711_744.0),
        ms_r_sigma_factor: RSigmaFactor(r_sigma),
        ms_input_variance: Variance(variance),
    })
}
