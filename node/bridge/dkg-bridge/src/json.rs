//! Just enough JSON to print: the bridge reads none, and a crate for it would enter tfhe's build.

use std::fmt::Write;

/// A JSON value that is already text.
pub struct Json(String);

impl Json {
    /// A string with everything escaped that JSON wants escaped.
    #[must_use]
    pub fn text(value: &str) -> Self {
        let mut out = String::from("\"");
        for c in value.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        Self(out)
    }

    /// A list.
    #[must_use]
    pub fn list(items: &[Self]) -> Self {
        let items: Vec<&str> = items.iter().map(|item| item.0.as_str()).collect();
        Self(format!("[{}]", items.join(", ")))
    }

    /// An object, in the order given.
    #[must_use]
    pub fn object(fields: &[(&str, Self)]) -> Self {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}: {}", Self::text(name).0, value.0)).collect();
        Self(format!("{{{}}}", fields.join(", ")))
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self(value.to_string())
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Self(value.to_string())
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::text(value)
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
