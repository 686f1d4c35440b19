//! Computations that must come out right under a whole key.

use tfhe::integer::oprf::OprfServerKey;
use tfhe::prelude::*;
use tfhe::{
    ClientKey, CompactCiphertextList, CompactPublicKey, CompressedCiphertextListBuilder,
    CompressedSquashedNoiseCiphertextList, FheBool, FheUint8, ReRandomizationContext, ReRandomizationMode, Seed,
    ServerKey, SquashedNoiseFheUint,
};

/// Keys under test; the server key is also the one set for the thread.
pub struct Bench {
    pub public: CompactPublicKey,
    pub server: ServerKey,
    pub client: ClientKey,
}

type Check = fn(&Bench, u8, u8) -> Result<(), String>;

impl Bench {
    /// `cases` cases of arithmetic and a tenth of them of everything else the set has.
    pub fn run(&self, cases: usize) -> Result<String, String> {
        // Plaintexts: a fixed multiplicative congruential sequence modulo 2^31 - 1.
        let mut state = 20_260_701_u64;
        let mut byte = move || {
            state = state * 48_271 % 2_147_483_647;
            state.to_le_bytes()[1]
        };
        let has = |present: bool, check: Check| present.then_some(check);
        let fewer: [Option<Check>; 5] = [
            has(self.server.supports_ciphertext_re_randomization(), Self::rerandomization),
            has(self.server.supports_compression(), Self::compression),
            has(self.server.supports_noise_squashing(), Self::squashing),
            has(self.server.supports_noise_squashing_compression(), Self::squashed_compression),
            has(self.server.has_oprf_key(), Self::oprf),
        ];
        for _ in 0..cases {
            let (x, y) = (byte(), byte());
            let (a, b) = self.encrypt(x, y)?;
            arithmetic(&self.client, (&a, &b), (x, y))?;
        }
        for check in fewer.iter().flatten() {
            for _ in 0..cases.div_ceil(10) {
                check(self, byte(), byte())?;
            }
        }
        let kinds = fewer.iter().flatten().count();
        Ok(format!("{{\"passed\": true, \"cases\": {cases}, \"further_checks\": {kinds}}}"))
    }

    fn encrypt(&self, x: u8, y: u8) -> Result<(FheUint8, FheUint8), String> {
        pair(&CompactCiphertextList::builder(&self.public).push(x).push(y).build())
    }

    fn rerandomization(&self, x: u8, y: u8) -> Result<(), String> {
        let (mut a, b) = self.encrypt(x, y)?;
        let mut context = ReRandomizationContext::new(*b"TFHE_Rrd", [b"stock-load".as_slice()], *b"TFHE_Enc");
        context.add_ciphertext(&a);
        let seed = context.finalize().next_seed().map_err(|e| text(&e))?;
        a.re_randomize(ReRandomizationMode::UseAvailableMode, seed).map_err(|e| text(&e))?;
        arithmetic(&self.client, (&a, &b), (x, y)).map_err(|e| format!("re-randomised {e}"))
    }

    fn compression(&self, x: u8, y: u8) -> Result<(), String> {
        let (a, b) = self.encrypt(x, y)?;
        let list = CompressedCiphertextListBuilder::new().push(a).push(b).build().map_err(|e| text(&e))?;
        let a: FheUint8 = list.get(0).map_err(|e| text(&e))?.ok_or("compressed list lacks its first value")?;
        let b: FheUint8 = list.get(1).map_err(|e| text(&e))?.ok_or("compressed list lacks its second value")?;
        arithmetic(&self.client, (&a, &b), (x, y)).map_err(|e| format!("compressed {e}"))
    }

    fn squashing(&self, x: u8, y: u8) -> Result<(), String> {
        let (a, b) = self.encrypt(x, y)?;
        let sum: u8 = (a + b).squash_noise().map_err(|e| text(&e))?.decrypt(&self.client);
        right("squashed +", sum == x.wrapping_add(y))
    }

    fn squashed_compression(&self, x: u8, y: u8) -> Result<(), String> {
        let (a, b) = self.encrypt(x, y)?;
        let mut builder = CompressedSquashedNoiseCiphertextList::builder();
        builder.push(a.squash_noise().map_err(|e| text(&e))?).push(b.squash_noise().map_err(|e| text(&e))?);
        let list = builder.build().map_err(|e| text(&e))?;
        for (index, clear) in [x, y].into_iter().enumerate() {
            let value: SquashedNoiseFheUint =
                list.get(index).map_err(|e| text(&e))?.ok_or("squashed list lacks a value")?;
            let value: u8 = value.decrypt(&self.client);
            right("squashed compression", value == clear)?;
        }
        Ok(())
    }

    /// A stock OPRF key made from the same secret key must give the same value for the same seed.
    fn oprf(&self, x: u8, y: u8) -> Result<(), String> {
        let seed = Seed(u128::from(x) << 64 | u128::from(y));
        let ours: u8 = FheUint8::generate_oblivious_pseudo_random(seed).decrypt(&self.client);
        let (compute, _, _, _, _, _, secret, _) = self.client.clone().into_raw_parts();
        let secret = secret.ok_or("client key lacks the OPRF key")?;
        let stock = OprfServerKey::new(&secret, &compute).map_err(|e| text(&e))?;
        let theirs = stock.par_generate_oblivious_pseudo_random_unsigned_integer(seed, 4, self.server.as_ref());
        right("OPRF", ours == compute.decrypt_radix::<u8>(&theirs))
    }
}

/// The two values of a list, cast to compute parameters.
pub fn pair(list: &CompactCiphertextList) -> Result<(FheUint8, FheUint8), String> {
    let expanded = list.expand().map_err(|e| text(&e))?;
    Ok((
        expanded.get(0).map_err(|e| text(&e))?.ok_or("list lacks its first value")?,
        expanded.get(1).map_err(|e| text(&e))?.ok_or("list lacks its second value")?,
    ))
}

/// + * < min of a pair that encrypts `x` and `y`.
pub fn arithmetic(key: &ClientKey, (a, b): (&FheUint8, &FheUint8), (x, y): (u8, u8)) -> Result<(), String> {
    let less: FheBool = a.lt(b);
    let value = |of: &FheUint8| -> u8 { of.decrypt(key) };
    right("first value", value(a) == x)?;
    right("second value", value(b) == y)?;
    right("+", value(&(a + b)) == x.wrapping_add(y))?;
    right("*", value(&(a * b)) == x.wrapping_mul(y))?;
    right("<", less.decrypt(key) == (x < y))?;
    right("min", value(&a.min(b)) == x.min(y))
}

fn right(what: &str, equal: bool) -> Result<(), String> {
    equal.then_some(()).ok_or_else(|| format!("wrong result: {what}"))
}

fn text(error: &tfhe::Error) -> String {
    error.to_string()
}
