//! The bridge against stock tfhe-rs: one test binary, because each one links all of tfhe.

mod against_stock;
mod bad_input;
mod corruption;
mod plan;
mod scratch;
