//! How a command can end other than well, and the exit code of each way.

use std::fmt;

/// Why a command stopped. The message is one line: action first, then what to do.
#[derive(Debug)]
pub enum Failure {
    /// The caller wrote something the command cannot mean (exit 2).
    Usage(String),
    /// The command ran and the answer is no (exit 1).
    Negative(String),
    /// A file, a directory or the machine is not as needed (exit 4).
    Environment(String),
}

impl Failure {
    /// Exit code, the same for every command of the project.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Negative(_) => 1,
            Self::Usage(_) => 2,
            Self::Environment(_) => 4,
        }
    }

    /// A failed file operation, named by what was tried.
    #[must_use]
    pub fn io(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Environment(format!("cannot {action} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Negative(message) | Self::Environment(message)) = self;
        f.write_str(message)
    }
}

/// Result of every step of the bridge.
pub type Outcome<T> = Result<T, Failure>;
