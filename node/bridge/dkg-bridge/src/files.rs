//! Files in and out: words of bodies, key bits, key objects. What is written appears whole or not at all.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tfhe::named::Named;
use tfhe::safe_serialization::{safe_deserialize, safe_serialize};
use tfhe::{Unversionize, Versionize};

use crate::failure::{Failure, Outcome};
use crate::plan::KeyPlan;

/// Upper bound of a serialised key object; `production` takes half a GiB.
const SIZE_LIMIT: u64 = 1 << 32;

/// A word of a key: u64 or u128, little endian in files.
pub trait Word: Copy {
    /// Bytes of the word.
    const BYTES: usize;
    /// Word from exactly `BYTES` bytes.
    fn from_le(bytes: &[u8]) -> Self;
    /// Little-endian bytes of the word.
    fn write_le(self, out: &mut dyn Write) -> io::Result<()>;
}

macro_rules! word {
    ($type:ty) => {
        impl Word for $type {
            const BYTES: usize = std::mem::size_of::<$type>();

            fn from_le(bytes: &[u8]) -> Self {
                let mut word = [0; Self::BYTES];
                word.copy_from_slice(bytes);
                Self::from_le_bytes(word)
            }

            fn write_le(self, out: &mut dyn Write) -> io::Result<()> {
                out.write_all(&self.to_le_bytes())
            }
        }
    };
}
word!(u64);
word!(u128);

/// Path of the bodies of a key in a directory of bodies.
#[must_use]
pub fn bodies_path(dir: &Path, key: &KeyPlan) -> PathBuf {
    dir.join(format!("{}.bodies", key.name))
}

/// All body words of a key. A file of any other length than the plan's is refused.
pub fn read_bodies<W: Word>(dir: &Path, key: &KeyPlan) -> Outcome<Vec<W>> {
    debug_assert_eq!(W::BYTES * 8, key.word_bits);
    let path = bodies_path(dir, key);
    let file = open_sized(&path, key.samples * W::BYTES)?;
    let mut words = Vec::with_capacity(key.samples);
    let mut reader = BufReader::new(file);
    let mut block = vec![0; 1 << 16];
    while words.len() < key.samples {
        let want = block.len().min((key.samples - words.len()) * W::BYTES);
        reader.read_exact(&mut block[..want]).map_err(|error| Failure::io("read", &path, &error))?;
        words.extend(block[..want].chunks_exact(W::BYTES).map(W::from_le));
    }
    Ok(words)
}

/// Refuses bodies of keys the set does not have: they belong to another set.
pub fn refuse_foreign_bodies(dir: &Path, keys: &[KeyPlan]) -> Outcome<()> {
    let entries = fs::read_dir(dir).map_err(|error| Failure::io("read directory", dir, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| Failure::io("read directory", dir, &error))?.path();
        if path.extension().is_some_and(|suffix| suffix == "bodies")
            && !keys.iter().any(|key| path == bodies_path(dir, key))
        {
            return Err(Failure::Environment(format!(
                "refused {}: the parameter set has no such key; check the set and the directory",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Secret key bits, one byte 0 or 1 each; the content is never part of a message.
pub fn read_key_bits(path: &Path, count: usize) -> Outcome<Vec<u8>> {
    let mut bits = Vec::with_capacity(count);
    open_sized(path, count)?.read_to_end(&mut bits).map_err(|error| Failure::io("read", path, &error))?;
    if bits.iter().any(|&bit| bit > 1) {
        return Err(Failure::Environment(format!(
            "refused {}: a byte other than 0 and 1; write one byte a bit",
            path.display()
        )));
    }
    Ok(bits)
}

fn open_sized(path: &Path, bytes: usize) -> Outcome<File> {
    let file = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    let found = file.metadata().map_err(|error| Failure::io("read", path, &error))?.len();
    if found == bytes as u64 {
        return Ok(file);
    }
    Err(Failure::Environment(format!(
        "refused {}: {found} bytes, {bytes} expected; write it again for this parameter set",
        path.display()
    )))
}

/// A file under a temporary name, removed unless it is published.
pub struct Pending {
    temporary: PathBuf,
    target: PathBuf,
    sha256: String,
    published: bool,
}

impl Pending {
    /// Writes by `fill` to a temporary file beside the target and flushes it to the disk.
    pub fn write(dir: &Path, name: &str, fill: impl FnOnce(&mut dyn Write) -> Result<(), String>) -> Outcome<Self> {
        fs::create_dir_all(dir).map_err(|error| Failure::io("create directory", dir, &error))?;
        let mut pending = Self {
            temporary: dir.join(format!(".{name}.{}.tmp", std::process::id())),
            target: dir.join(name),
            sha256: String::new(),
            published: false,
        };
        let path = pending.temporary.clone();
        let created = File::create(&path).map_err(|error| Failure::io("write", &path, &error))?;
        let mut out = Hashing { file: BufWriter::with_capacity(1 << 20, created), hash: Sha256::new() };
        fill(&mut out).map_err(|error| Failure::Environment(format!("cannot write {}: {error}", path.display())))?;
        out.file
            .flush()
            .and_then(|()| out.file.get_ref().sync_all())
            .map_err(|error| Failure::io("write", &path, &error))?;
        pending.sha256 = hex(&out.hash.finalize());
        Ok(pending)
    }

    /// A key object by `safe_serialize`.
    pub fn object<T>(dir: &Path, name: &str, object: &T) -> Outcome<Self>
    where
        T: Serialize + Versionize + Named,
    {
        Self::write(dir, name, |out| {
            safe_serialize(object, out, SIZE_LIMIT).map_err(|error| one_line(&error.to_string()))
        })
    }

    /// Words, little endian.
    pub fn words<W: Word>(dir: &Path, name: &str, words: &[W]) -> Outcome<Self> {
        Self::write(dir, name, |out| {
            words.iter().try_for_each(|word| word.write_le(out)).map_err(|error| error.to_string())
        })
    }

    /// Gives the file its name; returns the SHA-256 of its content in hex.
    pub fn publish(mut self) -> Outcome<String> {
        fs::rename(&self.temporary, &self.target).map_err(|error| Failure::io("write", &self.target, &error))?;
        self.published = true;
        Ok(std::mem::take(&mut self.sha256))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.published {
            // Nothing more can be done about a temporary file that does not go away.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A key object by `safe_deserialize`; an unreadable file is an environment failure, content that
/// does not load a negative verdict.
pub fn load<T>(path: &Path) -> Outcome<T>
where
    T: DeserializeOwned + Unversionize + Named,
{
    let file = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    safe_deserialize(BufReader::with_capacity(1 << 20, file), SIZE_LIMIT)
        .map_err(|error| Failure::Negative(format!("cannot load {}: {}", path.display(), one_line(&error))))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// First line of a message of a library.
#[must_use]
pub fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_string()
}
