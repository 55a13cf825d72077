//! Outputs, by content: the file is read once, where it stands.
#![expect(clippy::disallowed_methods, reason = "the adapter that reads a named output")]

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::domain::event::Output;
use crate::domain::id::Digest;

/// Why a file cannot be recorded as an output.
#[derive(Debug, thiserror::Error)]
#[error("output {path}: {why}")]
pub struct OutputError {
    pub path: String,
    pub why: String,
}

/// Hashes a file; its path is recorded relative to the work tree where it is inside it.
///
/// # Errors
/// When it cannot be read, or is no plain file.
pub fn hash_output(path: &str, dir: &Path, work_dir: Option<&Path>) -> Result<Output, OutputError> {
    let failed = |why: String| OutputError { path: path.to_owned(), why };
    let whole = dir.join(path);
    // Looked at before it is opened: opening a named pipe waits for somebody to write.
    if !std::fs::metadata(&whole).map_err(|error| failed(error.to_string()))?.is_file() {
        return Err(failed("is no plain file".into()));
    }
    let mut file = std::fs::File::open(&whole).map_err(|error| failed(error.to_string()))?;
    let (mut hasher, mut size) = (Sha256::new(), 0u64);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(|error| failed(error.to_string()))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    let sha256 = Digest::from_bytes(&hasher.finalize().into());
    let plain = whole.canonicalize().unwrap_or(whole);
    let root = work_dir.and_then(|root| root.canonicalize().ok());
    let shown = match root {
        Some(root) => match plain.strip_prefix(root) {
            Ok(inside) => inside.to_path_buf(),
            Err(_) => return Err(failed("is outside the work tree".into())),
        },
        None => PathBuf::from(path),
    };
    let parts: Vec<String> = shown
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let path = parts.join("/");
    if path.len() > 1024 || path.chars().any(char::is_control) {
        return Err(failed("has a name that cannot be recorded".into()));
    }
    Ok(Output { path, sha256, size })
}
