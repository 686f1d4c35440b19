//! The one error of the kernel: a caller's misuse. Bytes of peers never end here.

/// What the caller did wrong and what it should do; becomes `ValueError`.
#[derive(Debug, PartialEq, Eq)]
pub struct Misuse(pub String);

impl Misuse {
    /// A misuse with its message (lower case, action first).
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Ok or a misuse.
pub type Result<T> = std::result::Result<T, Misuse>;

/// Refuse with `message` unless `condition` holds.
///
/// # Errors
/// `Misuse` when the condition is false.
pub fn require(condition: bool, message: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(Misuse(message())) }
}
