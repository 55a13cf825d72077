//! Loose objects, read by ourselves: libgit2 1.9.7 spins for ever on a truncated one (measured).
//! Bounded inflate, checked header, checked hash. Trees and commits as plain data.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use git2::{ObjectType, Oid};

/// The largest object this room reads; a ledger object is far smaller.
const LIMIT: u64 = 256 * 1024 * 1024;

/// What is wrong with an object's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadObject {
    #[error("is empty")]
    Empty,
    #[error("is truncated")]
    Truncated,
    #[error("is no zlib stream")]
    Garbled,
    #[error("has a header that does not fit its content")]
    Header,
    #[error("has content that does not fit its id")]
    Hash,
    #[error("is larger than 256 MiB")]
    TooLarge,
    #[error("is damaged in its pack")]
    Packed,
    #[error("is not of the expected type")]
    Type,
}

/// Inflates a loose object's file and checks it against its id.
pub(super) fn inflate(file: &[u8], oid: Oid) -> Result<(ObjectType, Vec<u8>), BadObject> {
    if file.is_empty() {
        return Err(BadObject::Empty);
    }
    let mut decoder = ZlibDecoder::new(file);
    let mut header = Vec::with_capacity(32);
    loop {
        let mut byte = [0];
        match decoder.read(&mut byte) {
            Ok(0) => return Err(BadObject::Truncated),
            Ok(_) if byte[0] == 0 => break,
            Ok(_) => header.push(byte[0]),
            Err(error) => return Err(read_error(&error)),
        }
        if header.len() > 32 {
            return Err(BadObject::Header);
        }
    }
    let header = std::str::from_utf8(&header).map_err(|_| BadObject::Header)?;
    let (kind, size) = header.split_once(' ').ok_or(BadObject::Header)?;
    let kind = ObjectType::from_str(kind).ok_or(BadObject::Header)?;
    let size: u64 = size.parse().map_err(|_| BadObject::Header)?;
    if size > LIMIT {
        return Err(BadObject::TooLarge);
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(1 << 20));
    let mut bounded = decoder.by_ref().take(size + 1);
    bounded.read_to_end(&mut content).map_err(|error| read_error(&error))?;
    match (content.len() as u64).cmp(&size) {
        std::cmp::Ordering::Less => return Err(BadObject::Truncated),
        std::cmp::Ordering::Greater => return Err(BadObject::Header),
        std::cmp::Ordering::Equal => {}
    }
    if Oid::hash_object(kind, &content).ok() != Some(oid) {
        return Err(BadObject::Hash);
    }
    Ok((kind, content))
}

fn read_error(error: &std::io::Error) -> BadObject {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        BadObject::Truncated
    } else {
        BadObject::Garbled
    }
}

/// One entry of a git tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub mode: u32,
    pub name: String,
    pub oid: Oid,
}

/// A folder's mode.
pub(super) const FOLDER: u32 = 0o040_000;
/// A plain file's mode.
pub(super) const FILE: u32 = 0o100_644;

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.mode == FOLDER
    }

    /// Git sorts folders as if their names ended in a slash.
    fn sort_key(&self) -> (Vec<u8>, bool) {
        let mut key = self.name.as_bytes().to_vec();
        if self.is_folder() {
            key.push(b'/');
        }
        (key, self.is_folder())
    }
}

/// Reads a tree object.
pub(super) fn parse_tree(bytes: &[u8]) -> Result<Vec<Entry>, BadObject> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = rest.iter().position(|&b| b == b' ').ok_or(BadObject::Header)?;
        let nul = rest.iter().position(|&b| b == 0).ok_or(BadObject::Header)?;
        if nul < space || rest.len() < nul + 21 {
            return Err(BadObject::Truncated);
        }
        let mode = std::str::from_utf8(&rest[..space])
            .ok()
            .and_then(|mode| u32::from_str_radix(mode, 8).ok())
            .ok_or(BadObject::Header)?;
        let name = String::from_utf8_lossy(&rest[space + 1..nul]).into_owned();
        let oid = Oid::from_bytes(&rest[nul + 1..nul + 21]).map_err(|_| BadObject::Header)?;
        entries.push(Entry { mode, name, oid });
        rest = &rest[nul + 21..];
    }
    Ok(entries)
}

/// Writes a tree object, sorted as git sorts.
pub(super) fn format_tree(mut entries: Vec<Entry>) -> Vec<u8> {
    entries.sort_by_cached_key(Entry::sort_key);
    let mut bytes = Vec::with_capacity(entries.len() * 48);
    for entry in entries {
        bytes.extend_from_slice(format!("{:o} {}\0", entry.mode, entry.name).as_bytes());
        bytes.extend_from_slice(entry.oid.as_bytes());
    }
    bytes
}

/// The parts of a commit this room reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub tree: Oid,
    pub parents: Vec<Oid>,
    pub message: String,
    /// Seconds since 1970, as the committer says.
    pub seconds: i64,
    pub author: String,
}

/// Reads a commit object.
pub(super) fn parse_commit(bytes: &[u8]) -> Result<Commit, BadObject> {
    let text = String::from_utf8_lossy(bytes);
    let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (mut tree, mut parents, mut seconds, mut author) = (None, Vec::new(), 0, String::new());
    for line in head.lines() {
        if let Some(oid) = line.strip_prefix("tree ") {
            tree = Oid::from_str(oid).ok();
        } else if let Some(oid) = line.strip_prefix("parent ") {
            parents.push(Oid::from_str(oid).map_err(|_| BadObject::Header)?);
        } else if let Some(person) = line.strip_prefix("author ") {
            author = person.rsplitn(3, ' ').last().unwrap_or(person).to_owned();
        } else if let Some(person) = line.strip_prefix("committer ") {
            seconds = person.rsplit(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        }
    }
    let tree = tree.ok_or(BadObject::Header)?;
    Ok(Commit { tree, parents, message: message.to_owned(), seconds, author })
}

/// A person as a commit names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub email: String,
}

impl Person {
    /// As the commit header writes it; what would break the header is left out.
    fn header(&self, seconds: i64) -> String {
        let clean = |text: &str| {
            let text: String =
                text.chars().filter(|c| !matches!(c, '<' | '>') && !c.is_control()).collect();
            let text = text.trim().to_owned();
            if text.is_empty() { "unknown".to_owned() } else { text }
        };
        format!("{} <{}> {seconds} +0000", clean(&self.name), clean(&self.email))
    }
}

/// Writes a commit object.
pub(super) fn format_commit(
    tree: Oid,
    parent: Option<Oid>,
    author: &Person,
    committer: &Person,
    seconds: i64,
    message: &str,
) -> Vec<u8> {
    let parent = parent.map(|oid| format!("parent {oid}\n")).unwrap_or_default();
    format!(
        "tree {tree}\n{parent}author {}\ncommitter {}\n\n{message}",
        author.header(seconds),
        committer.header(seconds)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn loose(content: &[u8]) -> (Oid, Vec<u8>) {
        let oid = Oid::hash_object(ObjectType::Blob, content).expect("a blob has an id");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(format!("blob {}\0", content.len()).as_bytes()).expect("memory");
        encoder.write_all(content).expect("memory");
        (oid, encoder.finish().expect("memory"))
    }

    #[test]
    fn every_truncation_is_refused_and_ends() {
        let (oid, file) = loose(&b"stepseal ".repeat(400));
        assert!(inflate(&file, oid).is_ok());
        for length in 0..file.len() {
            // The checksum at the very end may be cut without loss: content and hash still fit.
            if let Ok((_, content)) = inflate(&file[..length], oid) {
                assert_eq!(content, b"stepseal ".repeat(400), "cut at {length}");
            }
        }
        assert_eq!(inflate(&[], oid), Err(BadObject::Empty));
        assert_eq!(inflate(&file[..file.len() / 2], oid), Err(BadObject::Truncated));
    }

    #[test]
    fn a_flipped_bit_never_changes_content() {
        let (oid, file) = loose(b"one event, sealed");
        for at in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            if let Ok((_, content)) = inflate(&flipped, oid) {
                assert_eq!(content, b"one event, sealed", "bit {at}");
            }
        }
    }
}
