//! What every key of a set holds and where its masks start (design 02, the table and "Layouts").

use tfhe::core_crypto::prelude::{DynamicDistribution, UnsignedInteger};
use tfhe::shortint::parameters::ModulusSwitchType;

use crate::failure::{Failure, Outcome};
use crate::json::Json;
use crate::parameters::Parameters;

/// Names of the keys in normative mask-stream order; the index is the number of design 02 less one.
pub const KEY_NAMES: [&str; 12] = [
    "compact_public_key",
    "compression_packing_ksk",
    "decompression_bsk",
    "ksk",
    "bsk",
    "modulus_switch_key",
    "sns_bsk",
    "sns_modulus_switch_key",
    "pksk",
    "rerandomization_key",
    "sns_compression_packing_ksk",
    "oprf_bsk",
];

/// Numbers of secret key bits, in the order of a key-bits file; 0 where the set has no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBits {
    /// Dedicated encryption key (compact public key).
    pub encryption: usize,
    /// Compute LWE key.
    pub lwe: usize,
    /// Compute GLWE key, k polynomials one after the other.
    pub glwe: usize,
    /// Compression GLWE key.
    pub compression: usize,
    /// Noise-squashing GLWE key.
    pub sns: usize,
    /// Squashed-compression GLWE key.
    pub sns_compression: usize,
    /// OPRF LWE key.
    pub oprf: usize,
}

impl KeyBits {
    /// Key-bit counts of a set.
    #[must_use]
    pub fn of(set: &Parameters) -> Self {
        Self {
            encryption: set.pke.encryption_lwe_dimension.0,
            lwe: set.compute.lwe_dimension.0,
            glwe: set.compute.glwe_dimension.0 * set.compute.polynomial_size.0,
            compression: set.compression.map_or(0, |p| p.packing_ks_glwe_dimension.0 * p.packing_ks_polynomial_size.0),
            sns: set.sns.map_or(0, |p| p.glwe_dimension.0 * p.polynomial_size.0),
            sns_compression: set
                .sns_compression
                .map_or(0, |p| p.packing_ks_glwe_dimension.0 * p.packing_ks_polynomial_size.0),
            oprf: usize::from(set.oprf) * set.compute.lwe_dimension.0,
        }
    }

    /// Names and counts in file order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, usize); 7] {
        [
            ("encryption", self.encryption),
            ("lwe", self.lwe),
            ("glwe", self.glwe),
            ("compression", self.compression),
            ("sns", self.sns),
            ("sns_compression", self.sns_compression),
            ("oprf", self.oprf),
        ]
    }

    /// All key bits of the set.
    #[must_use]
    pub fn total(&self) -> usize {
        self.named().iter().map(|(_, count)| count).sum()
    }
}

/// One seeded key: what is opened of it and what the mask stream gives for it.
#[derive(Clone, Debug)]
pub struct KeyPlan {
    /// Number in design 02, 1 to 12.
    pub number: usize,
    /// Name, also of the file of bodies.
    pub name: &'static str,
    /// Bits of a word: 64 or 128.
    pub word_bits: usize,
    /// w of `TUniform(w)`.
    pub noise_width: usize,
    /// Opened body words, one noise sample each.
    pub samples: usize,
    /// Words the mask stream gives.
    pub mask_words: usize,
    /// Secret times secret bit products behind the bodies.
    pub products: usize,
    /// First byte of the masks in the stream of the set.
    pub mask_offset: usize,
}

impl KeyPlan {
    /// Random bits the noise takes: w + 2 a sample.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.samples * (self.noise_width + 2)
    }

    /// Size of the bodies in bytes.
    #[must_use]
    pub fn seeded_bytes(&self) -> usize {
        self.samples * self.word_bits / 8
    }

    /// Bytes of the mask stream this key consumes.
    #[must_use]
    pub fn mask_bytes(&self) -> usize {
        self.mask_words * self.word_bits / 8
    }

    fn json(&self) -> Json {
        Json::object(&[
            ("number", self.number.into()),
            ("name", self.name.into()),
            ("word_bits", self.word_bits.into()),
            ("noise_width", self.noise_width.into()),
            ("samples", self.samples.into()),
            ("bits", self.bits().into()),
            ("products", self.products.into()),
            ("seeded_bytes", self.seeded_bytes().into()),
            ("mask_offset", self.mask_offset.into()),
            ("mask_bytes", self.mask_bytes().into()),
        ])
    }
}

/// Rows of a seeded key before it has a name and a place in the stream.
struct Rows {
    word_bits: usize,
    noise_width: usize,
    count: usize,
    masks: usize,
    bodies: usize,
    products: usize,
}

/// Plans of all keys the set has, in mask-stream order.
pub fn keys(set: &Parameters) -> Outcome<Vec<KeyPlan>> {
    let mut plans = Vec::new();
    let mut mask_offset = 0;
    for (index, rows) in rows(set)?.into_iter().enumerate() {
        let Some(rows) = rows else { continue };
        let plan = KeyPlan {
            number: index + 1,
            name: KEY_NAMES[index],
            word_bits: rows.word_bits,
            noise_width: rows.noise_width,
            samples: rows.count * rows.bodies,
            mask_words: rows.count * rows.masks,
            products: rows.products,
            mask_offset,
        };
        mask_offset += plan.mask_bytes();
        plans.push(plan);
    }
    Ok(plans)
}

fn rows(set: &Parameters) -> Outcome<[Option<Rows>; 12]> {
    let (p, bits) = (&set.compute, KeyBits::of(set));
    let lwe_width = width(p.lwe_noise_distribution)?;
    let glwe_width = width(p.glwe_noise_distribution)?;
    let shape = (p.glwe_dimension.0, p.polynomial_size.0);
    let bootstrap = |bits, level| blind_rotation(64, glwe_width, bits, level, shape);
    let switch_down = |rows| key_switch(rows, bits.lwe, lwe_width);
    let squashing = set.sns.map(|s| s.modulus_switch_noise_reduction_params);
    Ok([
        Some(compact(bits.encryption, width(set.pke.encryption_noise_distribution)?)),
        compression_packing(set, bits.glwe)?,
        set.compression.map(|c| bootstrap(bits.compression, c.br_level.0)),
        Some(switch_down(bits.glwe * p.ks_level.0)),
        Some(bootstrap(bits.lwe, p.pbs_level.0)),
        zeros(p.modulus_switch_noise_reduction_params).map(switch_down),
        squashing_bsk(set, bits.lwe)?,
        squashing.and_then(zeros).map(switch_down),
        Some(switch_down(bits.encryption * set.pksk.ks_level.0)),
        Some(compact(bits.glwe, glwe_width)),
        squashed_packing(set, bits.sns)?,
        set.oprf.then(|| bootstrap(bits.oprf, p.pbs_level.0)),
    ])
}

fn compression_packing(set: &Parameters, bits: usize) -> Outcome<Option<Rows>> {
    let Some(c) = set.compression else { return Ok(None) };
    let shape = (c.packing_ks_glwe_dimension.0, c.packing_ks_polynomial_size.0);
    let noise = width(c.packing_ks_key_noise_distribution)?;
    Ok(Some(packing(64, noise, bits * c.packing_ks_level.0, shape)))
}

fn squashing_bsk(set: &Parameters, bits: usize) -> Outcome<Option<Rows>> {
    let Some(s) = set.sns else { return Ok(None) };
    let shape = (s.glwe_dimension.0, s.polynomial_size.0);
    let noise = width(s.glwe_noise_distribution)?;
    Ok(Some(blind_rotation(128, noise, bits, s.decomp_level_count.0, shape)))
}

fn squashed_packing(set: &Parameters, bits: usize) -> Outcome<Option<Rows>> {
    let Some(c) = set.sns_compression else { return Ok(None) };
    let shape = (c.packing_ks_glwe_dimension.0, c.packing_ks_polynomial_size.0);
    let noise = width(c.packing_ks_key_noise_distribution)?;
    Ok(Some(packing(128, noise, bits * c.packing_ks_level.0, shape)))
}

/// b = mask * rev(s) + e: one row of `dimension` masks and bodies.
fn compact(dimension: usize, noise_width: usize) -> Rows {
    Rows { word_bits: 64, noise_width, count: 1, masks: dimension, bodies: dimension, products: 0 }
}

/// LWE rows, one body each: key switching keys, and zeros of the drift modulus switch.
fn key_switch(rows: usize, lwe_dimension: usize, noise_width: usize) -> Rows {
    Rows { word_bits: 64, noise_width, count: rows, masks: lwe_dimension, bodies: 1, products: 0 }
}

/// Encryptions of zero for the drift modulus switch; other modulus switches need none.
fn zeros(switch: ModulusSwitchType) -> Option<usize> {
    match switch {
        ModulusSwitchType::DriftTechniqueNoiseReduction(drift) => Some(drift.modulus_switch_zeros_count.0),
        ModulusSwitchType::Standard | ModulusSwitchType::CenteredMeanNoiseReduction => None,
    }
}

/// One GLWE row a bit and level; `shape` = (k, N) of the output key.
fn packing(word_bits: usize, noise_width: usize, rows: usize, shape: (usize, usize)) -> Rows {
    Rows { word_bits, noise_width, count: rows, masks: shape.0 * shape.1, bodies: shape.1, products: 0 }
}

/// k + 1 GLWE rows a bit and level; each input bit times each of the k N output key bits is a
/// product of secrets.
fn blind_rotation(word_bits: usize, noise_width: usize, bits: usize, level: usize, shape: (usize, usize)) -> Rows {
    let rows = packing(word_bits, noise_width, bits * level * (shape.0 + 1), shape);
    Rows { products: bits * shape.0 * shape.1, ..rows }
}

fn width<T: UnsignedInteger>(noise: DynamicDistribution<T>) -> Outcome<usize> {
    match noise {
        DynamicDistribution::TUniform(noise) => Ok(noise.bound_log2() as usize),
        DynamicDistribution::Gaussian(_) => Err(Failure::Environment(
            "cannot use this tfhe-rs release: noise is not TUniform; build the pinned one".into(),
        )),
    }
}

/// The whole plan as JSON (command `parameters`).
pub fn describe(set: &Parameters) -> Outcome<Json> {
    let keys = keys(set)?;
    let key_bits = KeyBits::of(set);
    let total = |f: fn(&KeyPlan) -> usize| keys.iter().map(f).sum::<usize>();
    let noise_bits = total(KeyPlan::bits);
    let named: Vec<_> = key_bits.named().map(|(name, count)| (name, Json::from(count))).into();
    Ok(Json::object(&[
        ("parameter_set", set.name.into()),
        ("insecure", set.insecure().into()),
        ("key_bits", Json::object(&named)),
        ("shapes", shapes(set)),
        ("keys", Json::list(&keys.iter().map(KeyPlan::json).collect::<Vec<_>>())),
        (
            "totals",
            Json::object(&[
                ("samples", total(|key| key.samples).into()),
                ("noise_bits", noise_bits.into()),
                ("key_bits", key_bits.total().into()),
                ("bits", (noise_bits + key_bits.total()).into()),
                ("products", total(|key| key.products).into()),
                ("seeded_bytes", total(KeyPlan::seeded_bytes).into()),
                ("mask_bytes", total(KeyPlan::mask_bytes).into()),
            ]),
        ),
    ]))
}

/// Dimensions and decompositions; a part the set has not is left out.
fn shapes(set: &Parameters) -> Json {
    let p = &set.compute;
    let decomposition = |base: usize, level: usize| Json::object(&[("base_log", base.into()), ("level", level.into())]);
    let glwe = |k: usize, n: usize| Json::object(&[("dimension", k.into()), ("polynomial_size", n.into())]);
    let mut fields = vec![
        ("lwe_dimension", p.lwe_dimension.0.into()),
        ("encryption_dimension", set.pke.encryption_lwe_dimension.0.into()),
        ("glwe", glwe(p.glwe_dimension.0, p.polynomial_size.0)),
        ("bsk", decomposition(p.pbs_base_log.0, p.pbs_level.0)),
        ("ksk", decomposition(p.ks_base_log.0, p.ks_level.0)),
        ("pksk", decomposition(set.pksk.ks_base_log.0, set.pksk.ks_level.0)),
    ];
    if let Some(c) = set.compression {
        let key = glwe(c.packing_ks_glwe_dimension.0, c.packing_ks_polynomial_size.0);
        let packing = decomposition(c.packing_ks_base_log.0, c.packing_ks_level.0);
        fields.push(("compression_glwe", key));
        fields.push(("compression_packing_ksk", packing));
        fields.push(("decompression_bsk", decomposition(c.br_base_log.0, c.br_level.0)));
    }
    if let Some(s) = set.sns {
        let bsk = decomposition(s.decomp_base_log.0, s.decomp_level_count.0);
        fields.push(("sns_glwe", glwe(s.glwe_dimension.0, s.polynomial_size.0)));
        fields.push(("sns_bsk", bsk));
    }
    if let Some(c) = set.sns_compression {
        let key = glwe(c.packing_ks_glwe_dimension.0, c.packing_ks_polynomial_size.0);
        let packing = decomposition(c.packing_ks_base_log.0, c.packing_ks_level.0);
        fields.push(("sns_compression_glwe", key));
        fields.push(("sns_compression_packing_ksk", packing));
    }
    Json::object(&fields)
}
