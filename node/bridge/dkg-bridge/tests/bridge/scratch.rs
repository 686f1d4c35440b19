//! A directory that goes away, key bits, and references made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dkg_bridge::commands;
use dkg_bridge::failure::Outcome;
use dkg_bridge::parameters::Parameters;
use dkg_bridge::plan::KeyBits;

/// Public seed of the tests, and the one of their noise.
pub const SEED: &str = "000102030405060708090a0b0c0d0e0f";
pub const NOISE: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

/// A directory of its own for one test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dkg-bridge-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names in a directory below, sorted; empty when it is not there.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(dir)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Pseudo-random key bits of a set. The single LWE bits of `test` are 1: with 0 even a wrong sign computes.
pub fn key_bits(set: &Parameters) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bits = Vec::new();
    for (name, count) in KeyBits::of(set).named() {
        for _ in 0..count {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let only = set.insecure() && (name == "lwe" || name == "oprf");
            bits.push(u8::from(only || state >> 63 == 1));
        }
    }
    bits
}

/// Runs a command given as one line of words and paths.
pub fn run(command: &str, options: &[(&str, &Path)], texts: &[(&str, &str)]) -> Outcome<String> {
    let mut arguments = vec![command.to_string()];
    for (name, value) in options {
        arguments.extend([format!("--{name}"), value.to_string_lossy().into_owned()]);
    }
    for (name, value) in texts {
        arguments.extend([format!("--{name}"), (*value).to_string()]);
    }
    commands::run(&arguments)
}

/// Writes key bits, stock reference (in `ref`) and client key (`client_key.bin`) of a set.
pub fn reference(scratch: &Scratch, set: &str) -> Outcome<()> {
    let bits = scratch.path("bits");
    fs::write(&bits, key_bits(&Parameters::named(set)?)).expect("scratch is writable");
    let texts = [("parameter-set", set), ("seed", SEED), ("noise-seed", NOISE)];
    run("stock-reference", &[("key-bits", &bits), ("out", &scratch.path("ref"))], &texts)?;
    let out = scratch.path("client_key.bin");
    run("client-key", &[("key-bits", &bits), ("out", &out)], &[("parameter-set", set)])?;
    Ok(())
}

/// Assembles the bodies in `from` into `to`.
pub fn assemble(scratch: &Scratch, set: &str, seed: &str, from: &str, to: &str) -> Outcome<String> {
    let paths = [("bodies", &*scratch.path(from)), ("out", &*scratch.path(to))];
    run("assemble", &paths, &[("parameter-set", set), ("seed", seed)])
}

/// Self-test of the key set in `dir`.
pub fn self_test(scratch: &Scratch, dir: &str, cases: &str) -> Outcome<String> {
    let keyset = scratch.path(dir).join("keyset.bin");
    let client_key = scratch.path("client_key.bin");
    run("self-test", &[("keyset", &keyset), ("client-key", &client_key)], &[("cases", cases), ("seed", "1")])
}
