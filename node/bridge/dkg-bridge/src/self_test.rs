//! Computes under a key set with its client key and compares with plain arithmetic (test command).

use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};

use sha2::{Digest, Sha256};
use tfhe::integer::oprf::OprfServerKey;
use tfhe::prelude::*;
use tfhe::safe_serialization::safe_serialize;
use tfhe::xof_key_set::CompressedXofKeySet;
use tfhe::{
    set_server_key, unset_server_key, ClientKey, CompactCiphertextList, CompactPublicKey,
    CompressedCiphertextListBuilder, CompressedSquashedNoiseCiphertextList, FheBool, FheUint8, ReRandomizationContext,
    ReRandomizationMode, Seed, ServerKey, SquashedNoiseFheUint,
};

use crate::failure::{Failure, Outcome};
use crate::json::Json;
use crate::parameters::{Parameters, NAMES};

/// Blocks of two message bits in an `FheUint8`.
const BLOCKS: u64 = 4;

/// What the self-test found.
pub struct Report {
    set: Parameters,
    cases: usize,
    seed: u64,
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    cases: usize,
    wrong: usize,
}

impl Report {
    /// True when every case of every check came out right.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.wrong == 0)
    }

    /// One line naming what was wrong.
    #[must_use]
    pub fn complaint(&self) -> String {
        let wrong: Vec<_> = self
            .checks
            .iter()
            .filter(|check| check.wrong > 0)
            .map(|check| format!("{} {} of {}", check.name, check.wrong, check.cases))
            .collect();
        format!("self-test failed, wrong results: {}", wrong.join(", "))
    }

    /// The report as one JSON object.
    #[must_use]
    pub fn json(&self) -> Json {
        let check = |check: &Check| {
            Json::object(&[("name", check.name.into()), ("cases", check.cases.into()), ("wrong", check.wrong.into())])
        };
        Json::object(&[
            ("passed", self.passed().into()),
            ("cases", self.cases.into()),
            ("parameter_set", self.set.name.into()),
            ("insecure", self.set.insecure().into()),
            ("seed", self.seed.into()),
            ("checks", Json::list(&self.checks.iter().map(check).collect::<Vec<_>>())),
        ])
    }
}

/// Runs `cases` cases of the arithmetic and a tenth of them of everything else the set has. A set
/// that fits no parameter set is a negative verdict.
pub fn run(keyset: CompressedXofKeySet, client_key: &ClientKey, cases: usize, seed: u64) -> Outcome<Report> {
    let set = recognise(&keyset)?;
    if client_key.computation_parameters() != tfhe::shortint::PBSParameters::PBS(set.compute).into() {
        return Err(Failure::Negative(format!(
            "client key is not of parameter set '{}': give the one of this key set",
            set.name
        )));
    }
    let (public_key, server_key) = keyset.decompress().into_raw_parts();
    set_server_key(server_key.clone());
    let mut test = Test { public_key, server_key, client_key, random: SplitMix(seed), checks: Vec::new() };
    test.repeat(cases, Test::arithmetic);
    let fewer = cases.div_ceil(10);
    test.repeat(fewer, Test::rerandomization);
    if set.compression.is_some() {
        test.repeat(fewer, Test::compression);
    }
    if set.sns.is_some() {
        test.repeat(fewer, Test::squashing);
    }
    if set.sns_compression.is_some() {
        test.repeat(fewer, Test::squashed_compression);
    }
    if set.oprf {
        test.oprf(fewer);
    }
    let mut checks = test.checks;
    let same = single_key_route(keyset, test.public_key, test.server_key);
    checks.push(Check { name: "single_key_decompression", cases: 1, wrong: usize::from(!same) });
    Ok(Report { set, cases, seed, checks })
}

/// The one parameter set the key set conforms to.
fn recognise(keyset: &CompressedXofKeySet) -> Outcome<Parameters> {
    for name in NAMES {
        let set = Parameters::named(name)?;
        if keyset.is_conformant(&set.config()) {
            return Ok(set);
        }
    }
    Err(Failure::Negative(format!("key set conforms to none of {}: assemble it again", NAMES.join(", "))))
}

struct Test<'a> {
    public_key: CompactPublicKey,
    server_key: ServerKey,
    client_key: &'a ClientKey,
    random: SplitMix,
    checks: Vec<Check>,
}

/// Named results of one case; None where tfhe-rs itself gave up.
type Results = Option<Vec<(&'static str, bool)>>;

impl Test<'_> {
    fn repeat(&mut self, cases: usize, case: fn(&Self, u8, u8) -> Results) {
        for _ in 0..cases {
            let (x, y) = (self.random.byte(), self.random.byte());
            let this = AssertUnwindSafe(&*self);
            match catch_unwind(move || case(*this, x, y)).ok().flatten() {
                Some(results) => {
                    for (name, right) in results {
                        self.count(name, right);
                    }
                }
                None => self.count("completed", false),
            }
        }
    }

    fn count(&mut self, name: &'static str, right: bool) {
        let wrong = usize::from(!right);
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            check.cases += 1;
            check.wrong += wrong;
        } else {
            self.checks.push(Check { name, cases: 1, wrong });
        }
    }

    /// Both values encrypted with the compact public key, then cast to compute parameters.
    fn encrypt(&self, x: u8, y: u8) -> Option<(FheUint8, FheUint8)> {
        let list = CompactCiphertextList::builder(&self.public_key).push(x).push(y).build();
        let expanded = list.expand().ok()?;
        Some((expanded.get(0).ok()??, expanded.get(1).ok()??))
    }

    fn holds(&self, value: &FheUint8, expected: u8) -> bool {
        let value: u8 = value.decrypt(self.client_key);
        value == expected
    }

    fn arithmetic(&self, x: u8, y: u8) -> Results {
        let (a, b) = self.encrypt(x, y)?;
        let less: FheBool = a.lt(&b);
        Some(vec![
            ("encrypt", self.holds(&a, x) && self.holds(&b, y)),
            ("add", self.holds(&(&a + &b), x.wrapping_add(y))),
            ("mul", self.holds(&(&a * &b), x.wrapping_mul(y))),
            ("lt", less.decrypt(self.client_key) == (x < y)),
            ("min", self.holds(&a.min(&b), x.min(y))),
        ])
    }

    fn rerandomization(&self, x: u8, y: u8) -> Results {
        let (mut a, b) = self.encrypt(x, y)?;
        let mut context = ReRandomizationContext::new(*b"TFHE_Rrd", [b"self-test".as_slice(), &[x, y]], *b"TFHE_Enc");
        context.add_ciphertext(&a);
        let seed = context.finalize().next_seed().ok()?;
        a.re_randomize(ReRandomizationMode::UseAvailableMode, seed).ok()?;
        let right = self.holds(&a, x) && self.holds(&(&a + &b), x.wrapping_add(y));
        Some(vec![("rerandomization", right)])
    }

    fn compression(&self, x: u8, y: u8) -> Results {
        let (a, b) = self.encrypt(x, y)?;
        let list = CompressedCiphertextListBuilder::new().push(a).push(b).build().ok()?;
        let (a, b): (FheUint8, FheUint8) = (list.get(0).ok()??, list.get(1).ok()??);
        let right = self.holds(&(&a + &b), x.wrapping_add(y)) && self.holds(&b, y);
        Some(vec![("compression", right)])
    }

    fn squashing(&self, x: u8, y: u8) -> Results {
        let (a, b) = self.encrypt(x, y)?;
        let value: u8 = (&a + &b).squash_noise().ok()?.decrypt(self.client_key);
        Some(vec![("noise_squashing", value == x.wrapping_add(y))])
    }

    fn squashed_compression(&self, x: u8, y: u8) -> Results {
        let (a, b) = self.encrypt(x, y)?;
        let list = CompressedSquashedNoiseCiphertextList::builder()
            .push(a.squash_noise().ok()?)
            .push(b.squash_noise().ok()?)
            .build()
            .ok()?;
        let a: SquashedNoiseFheUint = list.get(0).ok()??;
        let b: SquashedNoiseFheUint = list.get(1).ok()??;
        let (a, b): (u8, u8) = (a.decrypt(self.client_key), b.decrypt(self.client_key));
        Some(vec![("squashed_compression", a == x && b == y)])
    }

    /// The OPRF's value depends on its secret key and the seed alone: a stock OPRF key made from
    /// the same secret key must give the same values.
    fn oprf(&mut self, cases: usize) {
        let (compute, _, _, _, _, _, secret, _) = self.client_key.clone().into_raw_parts();
        let stock = secret.and_then(|secret| OprfServerKey::new(&secret, &compute).ok());
        for _ in 0..cases {
            let seed = Seed(u128::from(self.random.next()));
            let server_key = AssertUnwindSafe(&self.server_key);
            let stock = AssertUnwindSafe(&stock);
            let both = catch_unwind(move || {
                let ours = FheUint8::generate_oblivious_pseudo_random(seed);
                let stock = stock.as_ref()?;
                let sks = (*server_key).as_ref();
                let theirs = stock.par_generate_oblivious_pseudo_random_unsigned_integer(seed, BLOCKS, sks);
                Some((ours, theirs))
            });
            let right = both
                .ok()
                .flatten()
                .is_some_and(|(ours, theirs)| self.holds(&ours, compute.decrypt_radix::<u8>(&theirs)));
            self.count("oprf", right);
        }
    }
}

/// Whole-set decompression ignores the seed of each key, single-key decompression goes by it: both must give
/// the same keys. Takes the keys and lets go of each as soon as its digest is known: they are gigabytes.
fn single_key_route(keyset: CompressedXofKeySet, public_key: CompactPublicKey, server_key: ServerKey) -> bool {
    let check = AssertUnwindSafe(move || {
        let (_, one_public, one_server) = keyset.into_raw_parts();
        let whole = digest(&server_key);
        unset_server_key();
        drop(server_key);
        let one = digest(&one_server.decompress());
        whole.is_some() && whole == one && public_key == one_public.decompress()
    });
    catch_unwind(check).unwrap_or(false)
}

fn digest(key: &ServerKey) -> Option<[u8; 32]> {
    let mut hasher = Hasher(Sha256::new());
    safe_serialize(key, &mut hasher, u64::MAX).ok()?;
    Some(hasher.0.finalize().into())
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The splitmix64 sequence: plaintexts need to be repeatable, not secret.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }
}
