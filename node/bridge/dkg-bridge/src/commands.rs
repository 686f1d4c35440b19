//! The commands and their options.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tfhe::core_crypto::seeders::new_seeder;

use crate::assemble::{assemble, write_key_files};
use crate::client_key;
use crate::failure::{Failure, Outcome};
use crate::files::{load, read_key_bits, Pending};
use crate::json::Json;
use crate::parameters::Parameters;
use crate::plan::{describe, KeyBits};
use crate::{reference, self_test};

/// What `--help` prints.
pub const USAGE: &str = "\
usage: dkg-bridge COMMAND OPTIONS

  parameters       --parameter-set test|core|production
  assemble         --parameter-set SET --seed HEX32 --bodies DIR --out DIR
  client-key       --parameter-set SET --key-bits FILE --out FILE          (test command)
  stock-reference  --parameter-set SET --key-bits FILE --seed HEX32 --out DIR
                   [--noise-seed HEX32]                                    (test command)
  self-test        --keyset FILE --client-key FILE [--cases 100] [--seed N]

HEX32: 16 bytes as 32 hex digits in byte order. DIR of bodies: one file <key>.bodies a key, raw
little-endian words in storage order. Exit codes: 0 done, 1 negative verdict, 2 usage, 4 environment.";

/// Runs one command; the returned text goes to standard output.
pub fn run(arguments: &[String]) -> Outcome<String> {
    let Some((command, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("no command: see dkg-bridge --help".into()));
    };
    match command.as_str() {
        "--help" | "-h" | "help" => Ok(USAGE.into()),
        "--version" => Ok(format!("dkg-bridge {}", env!("CARGO_PKG_VERSION"))),
        "parameters" => {
            let options = Options::parse(rest, &["parameter-set"])?;
            Ok(describe(&options.set()?)?.to_string())
        }
        "assemble" => run_assemble(rest),
        "client-key" => run_client_key(rest),
        "stock-reference" => run_reference(rest),
        "self-test" => run_self_test(rest),
        other => Err(Failure::Usage(format!("unknown command '{other}': see dkg-bridge --help"))),
    }
}

fn run_assemble(rest: &[String]) -> Outcome<String> {
    let options = Options::parse(rest, &["parameter-set", "seed", "bodies", "out"])?;
    let (set, seed) = (options.set()?, options.seed("seed")?);
    let (bodies, out) = (options.path("bodies")?, options.path("out")?);
    let keyset = assemble(&set, seed, &bodies)?;
    Ok(write_key_files(&set, keyset, &out)?.to_string())
}

fn run_client_key(rest: &[String]) -> Outcome<String> {
    let options = Options::parse(rest, &["parameter-set", "key-bits", "out"])?;
    let set = options.set()?;
    let (bits, out) = (options.path("key-bits")?, options.path("out")?);
    let bits = read_key_bits(&bits, KeyBits::of(&set).total())?;
    let client_key = client_key::from_bits(&set, &bits)?;
    let (Some(dir), Some(name)) = (out.parent(), out.file_name().and_then(|name| name.to_str())) else {
        return Err(Failure::Usage("--out names no file: give the path of a file".into()));
    };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let sha256 = Pending::object(dir, name, &client_key)?.publish()?;
    Ok(Json::object(&[
        ("parameter_set", set.name.into()),
        ("insecure", set.insecure().into()),
        ("client_key_sha256", sha256.as_str().into()),
    ])
    .to_string())
}

fn run_reference(rest: &[String]) -> Outcome<String> {
    let allowed = ["parameter-set", "key-bits", "seed", "noise-seed", "out"];
    let options = Options::parse(rest, &allowed)?;
    let (set, seed) = (options.set()?, options.seed("seed")?);
    let noise_seed = match options.optional("noise-seed") {
        Some(_) => Some(options.seed("noise-seed")?),
        None => None,
    };
    let (bits, out) = (options.path("key-bits")?, options.path("out")?);
    let bits = read_key_bits(&bits, KeyBits::of(&set).total())?;
    let client_key = client_key::from_bits(&set, &bits)?;
    let keyset = reference::generate(&client_key, seed, noise_seed)?;
    reference::write_bodies(keyset.clone(), &out)?;
    Ok(write_key_files(&set, keyset, &out)?.to_string())
}

fn run_self_test(rest: &[String]) -> Outcome<String> {
    let options = Options::parse(rest, &["keyset", "client-key", "cases", "seed"])?;
    let cases = options.number("cases")?.unwrap_or(100);
    if !(1..=1_000_000).contains(&cases) {
        return Err(Failure::Usage("--cases out of range: give 1 to 1000000".into()));
    }
    let seed = options.number("seed")?.unwrap_or_else(|| (new_seeder().seed().0 >> 64) as u64);
    let keyset = load(&options.path("keyset")?)?;
    let client_key = load(&options.path("client-key")?)?;
    let cases = usize::try_from(cases).unwrap_or(usize::MAX);
    let report = self_test::run(keyset, &client_key, cases, seed)?;
    if report.passed() {
        return Ok(report.json().to_string());
    }
    // The report goes out as well; the complaint is the one line on standard error.
    println!("{}", report.json());
    Err(Failure::Negative(report.complaint()))
}

/// Options of the form `--name VALUE` or `--name=VALUE`, each at most once.
struct Options(BTreeMap<String, String>);

impl Options {
    fn parse(arguments: &[String], allowed: &[&str]) -> Outcome<Self> {
        let mut options = BTreeMap::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(option) = argument.strip_prefix("--") else {
                return Err(Failure::Usage(format!("unexpected argument '{argument}': options are --name VALUE")));
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (option, rest.next().cloned()),
            };
            if !allowed.contains(&name) {
                return Err(Failure::Usage(format!(
                    "unknown option --{name}: this command takes --{}",
                    allowed.join(", --")
                )));
            }
            let Some(value) = value else {
                return Err(Failure::Usage(format!("option --{name} has no value: add one")));
            };
            if options.insert(name.to_string(), value).is_some() {
                return Err(Failure::Usage(format!("option --{name} is given twice: drop one")));
            }
        }
        Ok(Self(options))
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn required(&self, name: &str) -> Outcome<&str> {
        self.optional(name).ok_or_else(|| Failure::Usage(format!("option --{name} is missing: add it")))
    }

    fn path(&self, name: &str) -> Outcome<PathBuf> {
        self.required(name).map(PathBuf::from)
    }

    fn set(&self) -> Outcome<Parameters> {
        Parameters::named(self.required("parameter-set")?)
    }

    fn number(&self, name: &str) -> Outcome<Option<u64>> {
        self.optional(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Failure::Usage(format!("--{name} '{text}' is not a number: give one from 0 up")))
            })
            .transpose()
    }

    fn seed(&self, name: &str) -> Outcome<[u8; 16]> {
        let text = self.required(name)?;
        parse_seed(text)
            .ok_or_else(|| Failure::Usage(format!("--{name} is not a seed: give 16 bytes as 32 hex digits")))
    }
}

/// 16 bytes from 32 hex digits in byte order.
fn parse_seed(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut seed = [0; 16];
    for (byte, digits) in seed.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(seed)
}
