//! Puts opened key bodies and the public seed into tfhe-rs key files. tfhe-rs formats only: no
//! ceremony logic lives here.

pub mod assemble;
pub mod client_key;
pub mod commands;
pub mod failure;
pub mod files;
pub mod json;
pub mod parameters;
pub mod plan;
pub mod reference;
pub mod self_test;
