//! Arithmetic over R = GR(2^K, 4) on secret vectors: everything but `binding` is plain mathematics.
//!
//! Source of every formula: the protocol document, sections 1, 3, 4 and 5.

#![warn(missing_docs)]
// An internal crate: no caller outside who could drop a result.
#![allow(clippy::must_use_candidate)]
// One-line operations on words, called a billion times: a call would cost more than they do.
#![allow(clippy::inline_always)]
// Every expect says why it cannot fail.
#![allow(clippy::missing_panics_doc)]

pub mod aesctr;
mod binding;
pub mod check;
pub mod encoding;
pub mod error;
pub mod king;
pub mod mask;
pub mod modular;
pub mod ntt;
pub mod offline;
pub mod opening;
pub mod prss;
pub mod ring;
pub mod seal;
pub mod sets;
pub mod setup;
pub mod trim;
pub mod vector;
pub mod word;
