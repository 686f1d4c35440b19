//! The three parameter sets in tfhe-rs terms (design 02, "Parameter sets").

use tfhe::core_crypto::prelude::{
    CiphertextModulus as CoreModulus, CiphertextModulusLog, DecompositionBaseLog, DecompositionLevelCount,
    DynamicDistribution, GlweDimension, LweCiphertextCount, LweDimension, NoiseEstimationMeasureBound, PolynomialSize,
    RSigmaFactor, UnsignedInteger, Variance,
};
use tfhe::shortint::parameters::list_compression::ClassicCompressionParameters;
use tfhe::shortint::parameters::noise_squashing::NoiseSquashingClassicParameters;
use tfhe::shortint::parameters::v1_7::meta::cpu::V1_7_META_PARAM_CPU_2_2_KS_PBS_PKE_TO_SMALL_ZKV2_TUNIFORM_2M128 as PRODUCTION;
use tfhe::shortint::parameters::{
    CiphertextModulus, ClassicPBSParameters, CompactCiphertextListExpansionKind, CompactPublicKeyEncryptionParameters,
    CompressionParameters, ModulusSwitchNoiseReductionParams, ModulusSwitchType, NoiseSquashingCompressionParameters,
    NoiseSquashingParameters, ReRandomizationParameters, ShortintKeySwitchingParameters, SupportedCompactPkeZkScheme,
};
use tfhe::shortint::{
    AtomicPatternParameters, CarryModulus, EncryptionKeyChoice, MaxNoiseLevel, MessageModulus, PBSParameters,
};
use tfhe::{Config, ConfigBuilder};

use crate::failure::{Failure, Outcome};

/// One parameter set, taken apart into what the bridge builds keys from.
#[derive(Clone, Copy)]
pub struct Parameters {
    /// `test`, `core` or `production`.
    pub name: &'static str,
    /// Compute parameters: LWE, GLWE, BSK, KSK.
    pub compute: ClassicPBSParameters,
    /// Parameters of the dedicated compact public key.
    pub pke: CompactPublicKeyEncryptionParameters,
    /// Key switch from the encryption key to the small compute key.
    pub pksk: ShortintKeySwitchingParameters,
    /// List compression, where the set has it.
    pub compression: Option<ClassicCompressionParameters>,
    /// Noise squashing (`SnS`), where the set has it.
    pub sns: Option<NoiseSquashingClassicParameters>,
    /// Compression of squashed ciphertexts, only together with `sns`.
    pub sns_compression: Option<NoiseSquashingCompressionParameters>,
    /// Whether the set has a dedicated OPRF key.
    pub oprf: bool,
}

/// Names of the sets, smallest first.
pub const NAMES: [&str; 3] = ["test", "core", "production"];

impl Parameters {
    /// The set of that name; an unknown name is a usage error.
    pub fn named(name: &str) -> Outcome<Self> {
        match name {
            "test" => Ok(test_set()),
            "core" => core_set(),
            "production" => production_set(),
            _ => Err(Failure::Usage(format!("unknown parameter set '{name}': use one of {}", NAMES.join(", ")))),
        }
    }

    /// True for the set that gives no security at all.
    #[must_use]
    pub fn insecure(&self) -> bool {
        self.name == "test"
    }

    /// The tfhe-rs `Config`. Always by the builder: `Config::from(MetaParameters)` asks for an OPRF
    /// key whether the set has one or not.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut builder = ConfigBuilder::with_custom_parameters(self.compute)
            .use_dedicated_compact_public_key_parameters((self.pke, self.pksk))
            .enable_ciphertext_re_randomization(ReRandomizationParameters::DerivedCPKWithoutKeySwitch)
            .use_dedicated_oprf_key(self.oprf);
        if let Some(compression) = self.compression {
            builder = builder.enable_compression(CompressionParameters::Classic(compression));
        }
        if let Some(sns) = self.sns {
            builder = builder.enable_noise_squashing(NoiseSquashingParameters::Classic(sns));
        }
        if let Some(compression) = self.sns_compression {
            builder = builder.enable_noise_squashing_compression(compression);
        }
        builder.build()
    }
}

fn production_set() -> Outcome<Parameters> {
    let AtomicPatternParameters::Standard(PBSParameters::PBS(compute)) = PRODUCTION.compute_parameters else {
        return Err(changed("the compute parameters are not classic"));
    };
    let Some(dedicated) = PRODUCTION.dedicated_compact_public_key_parameters else {
        return Err(changed("the dedicated compact public key is missing"));
    };
    let Some(CompressionParameters::Classic(compression)) = PRODUCTION.compression_parameters else {
        return Err(changed("the compression parameters are not classic"));
    };
    let Some(squashing) = PRODUCTION.noise_squashing_parameters else {
        return Err(changed("the noise squashing parameters are missing"));
    };
    let NoiseSquashingParameters::Classic(sns) = squashing.parameters else {
        return Err(changed("the noise squashing parameters are not classic"));
    };
    Ok(Parameters {
        name: "production",
        compute,
        pke: dedicated.pke_params,
        pksk: dedicated.ksk_params,
        compression: Some(compression),
        sns: Some(sns),
        sns_compression: squashing.compression_parameters,
        oprf: true,
    })
}

/// `production` without noise squashing, compression and OPRF; re-randomisation stays.
fn core_set() -> Outcome<Parameters> {
    Ok(Parameters {
        name: "core",
        compression: None,
        sns: None,
        sns_compression: None,
        oprf: false,
        ..production_set()?
    })
}

fn changed(what: &str) -> Failure {
    Failure::Environment(format!("cannot use this tfhe-rs release: {what}; build the pinned one"))
}

const MESSAGE: MessageModulus = MessageModulus(4);
const CARRY: CarryModulus = CarryModulus(4);
const TEST_POLYNOMIAL: PolynomialSize = PolynomialSize(256);

/// INSECURE: one LWE bit, next to no noise. Has every key of `production` and the drift
/// modulus-switch keys besides.
fn test_set() -> Parameters {
    Parameters {
        name: "test",
        compute: test_compute(),
        pke: CompactPublicKeyEncryptionParameters {
            encryption_lwe_dimension: LweDimension(512),
            encryption_noise_distribution: t_uniform(0),
            message_modulus: MESSAGE,
            carry_modulus: CARRY,
            ciphertext_modulus: CiphertextModulus::new_native(),
            expansion_kind: CompactCiphertextListExpansionKind::RequiresCasting,
            zk_scheme: SupportedCompactPkeZkScheme::V2,
        },
        pksk: ShortintKeySwitchingParameters {
            ks_base_log: DecompositionBaseLog(37),
            ks_level: DecompositionLevelCount(1),
            destination_key: EncryptionKeyChoice::Small,
        },
        compression: Some(ClassicCompressionParameters {
            br_level: DecompositionLevelCount(1),
            br_base_log: DecompositionBaseLog(24),
            packing_ks_level: DecompositionLevelCount(1),
            packing_ks_base_log: DecompositionBaseLog(27),
            packing_ks_polynomial_size: TEST_POLYNOMIAL,
            packing_ks_glwe_dimension: GlweDimension(1),
            lwe_per_glwe: LweCiphertextCount(256),
            storage_log_modulus: CiphertextModulusLog(9),
            packing_ks_key_noise_distribution: t_uniform(0),
        }),
        sns: Some(test_squashing()),
        sns_compression: Some(NoiseSquashingCompressionParameters {
            packing_ks_level: DecompositionLevelCount(1),
            packing_ks_base_log: DecompositionBaseLog(61),
            packing_ks_polynomial_size: TEST_POLYNOMIAL,
            packing_ks_glwe_dimension: GlweDimension(1),
            lwe_per_glwe: LweCiphertextCount(128),
            packing_ks_key_noise_distribution: t_uniform(3),
            message_modulus: MESSAGE,
            carry_modulus: CARRY,
            ciphertext_modulus: CoreModulus::new_native(),
        }),
        oprf: true,
    }
}

fn test_compute() -> ClassicPBSParameters {
    ClassicPBSParameters {
        lwe_dimension: LweDimension(1),
        glwe_dimension: GlweDimension(1),
        polynomial_size: TEST_POLYNOMIAL,
        lwe_noise_distribution: t_uniform(0),
        glwe_noise_distribution: t_uniform(0),
        pbs_base_log: DecompositionBaseLog(24),
        pbs_level: DecompositionLevelCount(1),
        ks_base_log: DecompositionBaseLog(37),
        ks_level: DecompositionLevelCount(1),
        message_modulus: MESSAGE,
        carry_modulus: CARRY,
        max_noise_level: MaxNoiseLevel::new(5),
        log2_p_fail: -64.0,
        ciphertext_modulus: CiphertextModulus::new_native(),
        encryption_key_choice: EncryptionKeyChoice::Big,
        modulus_switch_noise_reduction_params: drift(10, 9.755_393_200_764_16, 1.926_313_907_165_19e-10),
    }
}

fn test_squashing() -> NoiseSquashingClassicParameters {
    NoiseSquashingClassicParameters {
        glwe_dimension: GlweDimension(1),
        polynomial_size: TEST_POLYNOMIAL,
        glwe_noise_distribution: t_uniform(0),
        decomp_base_log: DecompositionBaseLog(33),
        decomp_level_count: DecompositionLevelCount(2),
        modulus_switch_noise_reduction_params: drift(8, 9.2, 2.182_718_682_903_484e-224),
        message_modulus: MESSAGE,
        carry_modulus: CARRY,
        ciphertext_modulus: CoreModulus::new_native(),
    }
}

fn drift(zeros: usize, r_sigma: f64, input_variance: f64) -> ModulusSwitchType {
    ModulusSwitchType::DriftTechniqueNoiseReduction(ModulusSwitchNoiseReductionParams {
        modulus_switch_zeros_count: LweCiphertextCount(zeros),
        ms_bound: NoiseEstimationMeasureBound(288_230_376_151_711_744.0),
        ms_r_sigma_factor: RSigmaFactor(r_sigma),
        ms_input_variance: Variance(input_variance),
    })
}

fn t_uniform<T: UnsignedInteger>(width: u32) -> DynamicDistribution<T> {
    DynamicDistribution::new_t_uniform(width)
}
