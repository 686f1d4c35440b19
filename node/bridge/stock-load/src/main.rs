//! Loads a ceremony's key files as any user of tfhe-rs would - this crate depends on tfhe alone - and
//! computes under them.
//!
//! `stock-load KEYSET PUBLIC_KEY SERVER_KEY CLIENT_KEY test|core|production [CASES]`: every check of
//! design 02, "Tests every key set must pass", step 5.
//!
//! `stock-load ciphertext LIST SERVER_KEY CLIENT_KEY test|core|production X Y`: computes on a list of
//! two values that somebody else, the node build of tfhe-rs say, encrypted.

mod checks;
mod sets;

use std::fs::File;
use std::hash::Hasher;
use std::io::{BufReader, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;

use tfhe::prelude::*;
use tfhe::safe_serialization::{safe_deserialize, safe_deserialize_conformant, safe_serialize};
use tfhe::xof_key_set::CompressedXofKeySet;
use tfhe::{
    set_server_key, ClientKey, CompactCiphertextList, CompressedCompactPublicKey, CompressedServerKey, ServerKey,
};

use checks::Bench;

const SIZE_LIMIT: u64 = 1 << 32;
const USAGE: &str = "usage: stock-load KEYSET PUBLIC_KEY SERVER_KEY CLIENT_KEY test|core|production [CASES]\n       \
                     stock-load ciphertext LIST SERVER_KEY CLIENT_KEY test|core|production X Y";

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = catch_unwind(|| match arguments[..] {
        ["ciphertext", list, server, client, set, x, y] => ciphertext([list, server, client, set], x, y),
        [keyset, public, server, client, set] => files([keyset, public, server, client, set], 100),
        [keyset, public, server, client, set, cases] => {
            files([keyset, public, server, client, set], cases.parse().map_err(|_| USAGE)?)
        }
        _ => Err(USAGE.into()),
    });
    let complaint = match outcome {
        Ok(Ok(summary)) => {
            println!("{summary}");
            return ExitCode::SUCCESS;
        }
        Ok(Err(complaint)) => complaint,
        Err(panic) => {
            format!("tfhe-rs gave up: {}", panic.downcast_ref::<String>().map_or("unknown reason", |text| text))
        }
    };
    eprintln!("stock-load: {complaint}");
    ExitCode::from(if complaint == USAGE { 2 } else { 1 })
}

/// All checks on the files of one ceremony.
fn files([keyset, public, server, client, set]: [&str; 5], cases: usize) -> Result<String, String> {
    let config = sets::config(set).ok_or(USAGE)?;
    let (keyset_path, public_path, server_path) = (keyset, public, server);
    let keyset: CompressedXofKeySet =
        safe_deserialize_conformant(open(keyset)?, SIZE_LIMIT, &config).map_err(|e| refused(keyset_path, &e))?;
    let pke = config.public_key_encryption_parameters().map_err(|e| e.to_string())?;
    let public: CompressedCompactPublicKey =
        safe_deserialize_conformant(open(public)?, SIZE_LIMIT, &pke).map_err(|e| refused(public_path, &e))?;
    let server: CompressedServerKey =
        safe_deserialize(open(server)?, SIZE_LIMIT).map_err(|e| refused(server_path, &e))?;
    if !server.is_conformant(&config.into()) {
        return Err(refused(server_path, "not conformant"));
    }
    let client_key: ClientKey = safe_deserialize(open(client)?, SIZE_LIMIT).map_err(|e| refused(client, &e))?;

    // The whole set ignores the seed of each key, a single key goes by it. One server key at a time: they are
    // gigabytes once decompressed.
    let (whole_public, whole_server) = keyset.decompress().into_raw_parts();
    let whole = digest(&whole_server);
    drop(whole_server);
    let (_, inner_public, inner_server) = keyset.into_raw_parts();
    same("public key of the set, whole and single", whole_public == inner_public.decompress())?;
    same("server key of the set, whole and single", whole == digest(&inner_server.decompress()))?;
    drop(inner_server);
    let (public_key, server_key) = (public.decompress(), server.decompress());
    drop(server);
    same("public key of the set and public_key.bin", whole_public == public_key)?;
    same("server key of the set and server_key.bin", whole == digest(&server_key))?;

    set_server_key(server_key.clone());
    Bench { public: public_key, server: server_key, client: client_key }.run(cases)
}

/// Adds and compares two values from somebody else's list.
fn ciphertext([list, server, client, set]: [&str; 4], x: &str, y: &str) -> Result<String, String> {
    let (x, y): (u8, u8) = (x.parse().map_err(|_| USAGE)?, y.parse().map_err(|_| USAGE)?);
    let config = sets::config(set).ok_or(USAGE)?;
    let (list_path, server_path) = (list, server);
    let list: CompactCiphertextList = safe_deserialize(open(list)?, SIZE_LIMIT).map_err(|e| refused(list_path, &e))?;
    let server: CompressedServerKey =
        safe_deserialize(open(server)?, SIZE_LIMIT).map_err(|e| refused(server_path, &e))?;
    if !server.is_conformant(&config.into()) {
        return Err(refused(server_path, "not conformant"));
    }
    let client_key: ClientKey = safe_deserialize(open(client)?, SIZE_LIMIT).map_err(|e| refused(client, &e))?;
    set_server_key(server.decompress());
    let (a, b) = checks::pair(&list)?;
    checks::arithmetic(&client_key, (&a, &b), (x, y))?;
    Ok(format!("{{\"passed\": true, \"x\": {x}, \"y\": {y}}}"))
}

fn open(path: &str) -> Result<BufReader<File>, String> {
    File::open(path).map(BufReader::new).map_err(|error| format!("cannot read {path}: {error}"))
}

fn refused(path: &str, reason: &str) -> String {
    format!("refused {path}: {}", reason.lines().next().unwrap_or_default())
}

fn same(what: &str, equal: bool) -> Result<(), String> {
    equal.then_some(()).ok_or_else(|| format!("differ: {what}"))
}

/// Length and hash of the serialised key: enough to tell two of them apart, not a commitment.
fn digest(key: &ServerKey) -> (u64, u64) {
    struct Sink(std::collections::hash_map::DefaultHasher, u64);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes);
            self.1 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(std::collections::hash_map::DefaultHasher::new(), 0);
    safe_serialize(key, &mut sink, u64::MAX).expect("a hash takes any number of bytes");
    (sink.1, sink.0.finish())
}
