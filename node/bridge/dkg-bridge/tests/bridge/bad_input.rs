//! Input that must be refused: one line that names it, the right exit code, nothing left behind.

use std::fs::{self, File};
use std::process::{Command, Output};

use dkg_bridge::failure::Failure;
use dkg_bridge::parameters::Parameters;
use dkg_bridge::plan::keys;

use crate::scratch::{assemble, key_bits, reference, run, self_test, Scratch, SEED};

fn message(failure: &Failure) -> String {
    failure.to_string()
}

#[test]
fn missing_short_and_long_bodies_are_refused_by_name_and_leave_no_output() {
    let scratch = Scratch::new();
    reference(&scratch, "test").expect("stock generates");
    for key in keys(&Parameters::named("test").expect("known set")).expect("a plan") {
        let name = format!("{}.bodies", key.name);
        let path = scratch.path("ref").join(&name);
        let whole = fs::read(&path).expect("bodies");
        for wrong in [None, Some(whole.len() - 1), Some(whole.len() + 1), Some(0)] {
            match wrong {
                None => fs::remove_file(&path).expect("removable"),
                Some(length) => {
                    let mut bytes = whole.clone();
                    bytes.resize(length, 0);
                    fs::write(&path, bytes).expect("writable");
                }
            }
            let failure = assemble(&scratch, "test", SEED, "ref", "out").expect_err("refused");
            assert_eq!(failure.exit_code(), 4);
            assert!(message(&failure).contains(&name), "{failure} does not name {name}");
            assert!(scratch.names("out").is_empty());
        }
        fs::write(&path, whole).expect("writable");
    }
    assemble(&scratch, "test", SEED, "ref", "out").expect("whole again");
}

#[test]
fn bodies_of_another_set_are_refused() {
    let scratch = Scratch::new();
    reference(&scratch, "test").expect("stock generates");
    let failure = assemble(&scratch, "core", SEED, "ref", "out").expect_err("refused");
    assert!(message(&failure).contains("no such key"));
}

#[test]
fn a_run_that_cannot_write_replaces_no_earlier_file() {
    let scratch = Scratch::new();
    reference(&scratch, "test").expect("stock generates");
    assemble(&scratch, "test", SEED, "ref", "out").expect("assembles");
    let before = fs::read(scratch.path("out").join("keyset.bin")).expect("key set");
    // A directory of the temporary file's name makes the second write fail.
    let blocked = format!(".public_key.bin.{}.tmp", std::process::id());
    fs::create_dir(scratch.path("out").join(&blocked)).expect("directory");
    let other = "ff0102030405060708090a0b0c0d0e0f";
    let failure = assemble(&scratch, "test", other, "ref", "out").expect_err("cannot write");
    assert_eq!(failure.exit_code(), 4);
    assert!(fs::read(scratch.path("out").join("keyset.bin")).expect("key set") == before);
    fs::remove_dir(scratch.path("out").join(&blocked)).expect("still there");
    assert_eq!(scratch.names("out"), ["keyset.bin", "public_key.bin", "server_key.bin"]);
}

#[test]
fn key_bits_of_the_wrong_number_or_value_are_refused_without_showing_them() {
    let scratch = Scratch::new();
    let path = scratch.path("bits");
    let mut bits = key_bits(&Parameters::named("test").expect("known set"));
    bits.push(0);
    for wrong in [bits.clone(), bits[..bits.len() - 2].to_vec(), {
        let mut two = bits[..bits.len() - 1].to_vec();
        two[7] = 2;
        two
    }] {
        fs::write(&path, wrong).expect("writable");
        let options = [("key-bits", &*path), ("out", &*scratch.path("ck"))];
        let failure = run("client-key", &options, &[("parameter-set", "test")]).expect_err("refused");
        assert_eq!(failure.exit_code(), 4);
        assert!(!scratch.path("ck").exists());
    }
}

#[test]
fn a_key_set_cut_short_or_of_noise_is_a_negative_verdict() {
    let scratch = Scratch::new();
    reference(&scratch, "test").expect("stock generates");
    let path = scratch.path("ref").join("keyset.bin");
    let whole = fs::read(&path).expect("key set");
    for wrong in [whole[..whole.len() - 1].to_vec(), whole[..100].to_vec(), Vec::new(), vec![0xa5; 1000]] {
        fs::write(&path, wrong).expect("writable");
        let failure = self_test(&scratch, "ref", "1").expect_err("does not load");
        assert_eq!(failure.exit_code(), 1, "{failure}");
        assert_eq!(message(&failure).lines().count(), 1);
    }
}

fn command(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dkg-bridge")).args(arguments).output().expect("the command starts")
}

#[test]
fn every_misuse_of_the_command_is_one_line_and_exit_two() {
    let misuses: [&[&str]; 9] = [
        &[],
        &["keys"],
        &["parameters"],
        &["parameters", "--parameter-set", "tests"],
        &["parameters", "--parameter-set"],
        &["parameters", "test"],
        &["parameters", "--parameter-set", "test", "--parameter-set", "core"],
        &["assemble", "--parameter-set", "test", "--seed", "0011", "--bodies", "a", "--out", "b"],
        &["self-test", "--keyset", "a", "--client-key", "b", "--cases", "-1"],
    ];
    for arguments in misuses {
        let output = command(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(text.starts_with("dkg-bridge: ") && text.lines().count() == 1, "{text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn missing_files_are_one_line_and_exit_four() {
    let scratch = Scratch::new();
    let nowhere = scratch.path("nowhere").to_string_lossy().into_owned();
    File::create(scratch.path("file")).expect("writable");
    let output = command(&["self-test", "--keyset", &nowhere, "--client-key", &nowhere]);
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains(&nowhere) && text.lines().count() == 1, "{text}");
}
