//! Canonical bytes (L3): UTF-8, two-space pretty, fixed key order, final newline; no floats.

use serde::{Serialize, de::DeserializeOwned};

/// The most bytes an event may have (L3).
pub const EVENT_LIMIT: usize = 1024 * 1024;

/// The most bytes any other file may have: a seal names every file of its commit, and a batch of
/// 10,000 needs 2 MiB. Hosts refuse files of more than 100 MB.
pub const FILE_LIMIT: usize = 64 * 1024 * 1024;

/// Why bytes are no artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    #[error("it has {bytes} bytes; {limit} are allowed")]
    TooLarge { bytes: usize, limit: usize },
    #[error("it is not UTF-8")]
    NotText,
    #[error("{message} (line {line}, column {column})")]
    Malformed { message: String, line: usize, column: usize },
    #[error("it was written for format {found}; this program reads {known}")]
    Version { found: String, known: &'static str },
    #[error("it means the same as its canonical form but is not written that way")]
    NotCanonical,
    #[error("{0}")]
    Shape(String),
}

impl From<serde_json::Error> for PaperError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self::Malformed { message, line, column }
    }
}

/// Writes a value as canonical bytes.
///
/// # Panics
/// Never: what the rooms write is plain data with string keys.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2048);
    serde_json::to_writer_pretty(&mut bytes, value).expect("plain data with string keys");
    bytes.push(b'\n');
    bytes
}

/// Whether these are the canonical bytes of a value. Nothing is built to find out: reading a large
/// ledger asks this of every file.
pub(super) fn is_canonical<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    let mut expected = Expected(bytes);
    serde_json::to_writer_pretty(&mut expected, value).is_ok() && expected.0 == b"\n"
}

/// What is still to come; writing anything else fails.
struct Expected<'a>(&'a [u8]);

impl std::io::Write for Expected<'_> {
    fn write(&mut self, written: &[u8]) -> std::io::Result<usize> {
        match self.0.strip_prefix(written) {
            Some(rest) => {
                self.0 = rest;
                Ok(written.len())
            }
            None => Err(std::io::ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads canonical bytes, refusing everything else.
///
/// # Errors
/// Malformed, unknown or doubled fields, or the same meaning in other bytes.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, PaperError> {
    let text = text(bytes, FILE_LIMIT)?;
    let value: T = serde_json::from_str(text)?;
    if !is_canonical(&value, bytes) {
        return Err(PaperError::NotCanonical);
    }
    Ok(value)
}

pub(super) fn text(bytes: &[u8], limit: usize) -> Result<&str, PaperError> {
    if bytes.len() > limit {
        return Err(PaperError::TooLarge { bytes: bytes.len(), limit });
    }
    std::str::from_utf8(bytes).map_err(|_| PaperError::NotText)
}
