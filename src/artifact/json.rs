//! Canonical bytes (L3): UTF-8, two-space pretty, fixed key order, final newline; no floats.

use serde::{Serialize, de::DeserializeOwned};

/// The most bytes an artifact may have (L3).
pub const EVENT_LIMIT: usize = 1024 * 1024;

/// Why bytes are no artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    #[error("it has {0} bytes; {EVENT_LIMIT} are allowed")]
    TooLarge(usize),
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
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain data with string keys");
    bytes.push(b'\n');
    bytes
}

/// Reads canonical bytes, refusing everything else.
///
/// # Errors
/// Malformed, unknown or doubled fields, or the same meaning in other bytes.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, PaperError> {
    let text = text(bytes)?;
    let value: T = serde_json::from_str(text)?;
    if encode(&value) != bytes {
        return Err(PaperError::NotCanonical);
    }
    Ok(value)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, PaperError> {
    if bytes.len() > EVENT_LIMIT {
        return Err(PaperError::TooLarge(bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|_| PaperError::NotText)
}
