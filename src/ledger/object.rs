//! Loose objects, read by ourselves: libgit2 1.9.7 spins for ever on a truncated one (measured).
//! Bounded inflate, checked header, checked hash. Trees and commits as plain data.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use git2::{ObjectType, Oid};

use crate::domain::moment::Moment;

/// The largest object this room reads; a ledger object is far smaller.
pub(super) const LIMIT: u64 = 256 * 1024 * 1024;

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
    #[error("cannot be found, because the index of a pack is damaged")]
    Index,
    #[error("is not of the expected type")]
    Type,
}

thread_local! {
    // To make their tables takes longer than most objects take.
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    static DEFLATER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
}

/// The longest header of an object: a type, a size and a NUL.
const HEADER: usize = 32;

/// What most objects of a ledger fit into.
const SMALL: usize = 4096;

/// Inflates a loose object's file and checks it against its id.
pub(super) fn inflate(file: &[u8], oid: Oid) -> Result<(ObjectType, Vec<u8>), BadObject> {
    if file.is_empty() {
        return Err(BadObject::Empty);
    }
    let (kind, content) = INFLATER.with_borrow_mut(|stream| {
        stream.reset(true);
        let mut bytes = Vec::with_capacity(SMALL);
        let mut ended = pour(stream, file, &mut bytes)?;
        let nul = bytes.iter().take(HEADER + 1).position(|&byte| byte == 0);
        let nul = match nul {
            None if ended && bytes.len() <= HEADER => return Err(BadObject::Truncated),
            nul => nul.ok_or(BadObject::Header)?,
        };
        let header = std::str::from_utf8(&bytes[..nul]).map_err(|_| BadObject::Header)?;
        let (kind, size) = header.split_once(' ').ok_or(BadObject::Header)?;
        let kind = ObjectType::from_str(kind).ok_or(BadObject::Header)?;
        let size: u64 = size.parse().map_err(|_| BadObject::Header)?;
        if size > LIMIT {
            return Err(BadObject::TooLarge);
        }
        let whole = nul + 1 + usize::try_from(size).map_err(|_| BadObject::TooLarge)?;
        while !ended && bytes.len() <= whole {
            // Not all at once, since the header may lie; and one more, to see that it ends.
            bytes.reserve_exact((whole + 1 - bytes.len()).min(1 << 20));
            ended = pour(stream, file, &mut bytes)?;
        }
        match bytes.len().cmp(&whole) {
            Ordering::Less => return Err(BadObject::Truncated),
            Ordering::Greater => return Err(BadObject::Header),
            Ordering::Equal => {}
        }
        bytes.drain(..=nul);
        Ok((kind, bytes))
    })?;
    if Oid::hash_object(kind, &content).ok() != Some(oid) {
        return Err(BadObject::Hash);
    }
    Ok((kind, content))
}

/// Inflates until the stream ends, which is true, or what is to hold it is full.
fn pour(stream: &mut Decompress, file: &[u8], into: &mut Vec<u8>) -> Result<bool, BadObject> {
    loop {
        let read = usize::try_from(stream.total_in()).unwrap_or(file.len());
        let had = into.len();
        let status = stream
            .decompress_vec(&file[read..], into, FlushDecompress::None)
            .map_err(|_| BadObject::Garbled)?;
        if status == Status::StreamEnd {
            return Ok(true);
        }
        if into.len() == into.capacity() {
            return Ok(false);
        }
        if stream.total_in() == read as u64 && into.len() == had {
            return Err(BadObject::Truncated);
        }
    }
}

/// The bytes of a loose object's file.
pub(super) fn deflate(kind: ObjectType, content: &[u8]) -> Vec<u8> {
    let mut whole = format!("{} {}\0", kind.str(), content.len()).into_bytes();
    whole.extend_from_slice(content);
    DEFLATER.with_borrow_mut(|stream| {
        stream.reset();
        let mut bytes = Vec::with_capacity(SMALL.max(whole.len() / 2));
        loop {
            let read = usize::try_from(stream.total_in()).unwrap_or(whole.len());
            // Into memory, which cannot fail.
            match stream.compress_vec(&whole[read..], &mut bytes, FlushCompress::Finish) {
                Ok(Status::StreamEnd) | Err(_) => return bytes,
                Ok(Status::Ok | Status::BufError) => bytes.reserve(SMALL),
            }
        }
    })
}

/// A git tree: its bytes, and where each entry stands in them. An item's folder has thousands of
/// entries, so nothing is allocated for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

/// `mode SP name NUL oid`, by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    start: u32,
    name: u32,
    nul: u32,
    mode: u32,
}

/// One entry of a git tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub mode: u32,
    pub name: Cow<'a, str>,
    pub oid: Oid,
}

/// What a name of a tree becomes: a mode and an object, or nothing.
pub(super) type Renewed<'a> = (&'a str, Option<(u32, Oid)>);

/// A folder's mode.
pub(super) const FOLDER: u32 = 0o040_000;
/// A plain file's mode.
pub(super) const FILE: u32 = 0o100_644;

/// The bytes an object id takes.
const OID: usize = 20;

impl Entry<'_> {
    pub(super) fn is_folder(&self) -> bool {
        self.mode == FOLDER
    }

    pub(super) fn into_owned(self) -> Entry<'static> {
        Entry { mode: self.mode, name: Cow::Owned(self.name.into_owned()), oid: self.oid }
    }
}

/// Git sorts folders as if their names ended in a slash.
pub(super) fn git_order(a: (&[u8], u32), b: (&[u8], u32)) -> Ordering {
    let slash = |mode: u32| (mode == FOLDER).then_some(b'/');
    let shared = a.0.len().min(b.0.len());
    a.0[..shared].cmp(&b.0[..shared]).then_with(|| {
        let end = |(name, mode): (&[u8], u32)| name.get(shared).copied().or(slash(mode));
        end(a).cmp(&end(b))
    })
}

impl Tree {
    /// Reads a tree object. One that is out of order is none: git would not find its files.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, BadObject> {
        let mut slots: Vec<Slot> = Vec::with_capacity(bytes.len() / 40);
        let mut start = 0;
        let small = |at: usize| u32::try_from(at).map_err(|_| BadObject::TooLarge);
        while start < bytes.len() {
            let rest = &bytes[start..];
            let space = rest.iter().position(|&b| b == b' ').ok_or(BadObject::Header)?;
            let nul = rest.iter().position(|&b| b == 0).ok_or(BadObject::Header)?;
            if nul < space || rest.len() < nul + 1 + OID {
                return Err(BadObject::Truncated);
            }
            let mode = std::str::from_utf8(&rest[..space])
                .ok()
                .and_then(|mode| u32::from_str_radix(mode, 8).ok())
                .ok_or(BadObject::Header)?;
            let slot = Slot {
                start: small(start)?,
                name: small(start + space + 1)?,
                nul: small(start + nul)?,
                mode,
            };
            if let Some(last) = slots.last() {
                let name = |slot: &Slot| &bytes[slot.name as usize..slot.nul as usize];
                if git_order((name(last), last.mode), (name(&slot), mode)) != Ordering::Less {
                    return Err(BadObject::Header);
                }
            }
            slots.push(slot);
            start += nul + 1 + OID;
        }
        Ok(Self { bytes, slots })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.slots.iter().map(|slot| self.entry(slot))
    }

    /// The bytes of the object.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<Entry<'_>> {
        [FILE, FOLDER].into_iter().find_map(|mode| {
            let wanted = (name.as_bytes(), mode);
            let at = self
                .slots
                .binary_search_by(|slot| git_order((self.name(slot), slot.mode), wanted))
                .ok()?;
            Some(self.entry(&self.slots[at]))
        })
    }

    /// The tree object with some names renewed.
    pub(super) fn renewed(&self, mut renewed: Vec<Renewed<'_>>) -> Vec<u8> {
        let mut names: Vec<&str> = renewed.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        renewed.retain(|(_, what)| what.is_some());
        let key = |what: &Renewed<'_>| what.1.map_or(FILE, |(mode, _)| mode);
        renewed.sort_by(|a, b| git_order((a.0.as_bytes(), key(a)), (b.0.as_bytes(), key(b))));
        let mut bytes = Vec::with_capacity(self.bytes.len() + renewed.len() * 64);
        let write = |(name, what): &Renewed<'_>, bytes: &mut Vec<u8>| {
            if let Some((mode, oid)) = what {
                bytes.extend_from_slice(format!("{mode:o} {name}\0").as_bytes());
                bytes.extend_from_slice(oid.as_bytes());
            }
        };
        let mut new = renewed.iter().peekable();
        for slot in &self.slots {
            let name = self.name(slot);
            while let Some(next) = new.next_if(|next| {
                git_order((next.0.as_bytes(), key(next)), (name, slot.mode)) != Ordering::Greater
            }) {
                write(next, &mut bytes);
            }
            if names.binary_search_by(|known| known.as_bytes().cmp(name)).is_err() {
                let end = slot.nul as usize + 1 + OID;
                bytes.extend_from_slice(&self.bytes[slot.start as usize..end]);
            }
        }
        for next in new {
            write(next, &mut bytes);
        }
        bytes
    }

    fn name(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.name as usize..slot.nul as usize]
    }

    fn entry(&self, slot: &Slot) -> Entry<'_> {
        let at = slot.nul as usize + 1;
        Entry {
            mode: slot.mode,
            name: String::from_utf8_lossy(self.name(slot)),
            oid: Oid::from_bytes(&self.bytes[at..at + OID]).unwrap_or(Oid::ZERO_SHA1),
        }
    }
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

/// Writes an annotated tag: a name for a commit, with who gave it and why.
pub(super) fn format_tag(commit: Oid, name: &str, moment: &Moment, message: &str) -> Vec<u8> {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\r', '\0'], " ");
    let (name, who) = (name.rsplit('/').next().unwrap_or(name), &moment.actor);
    format!(
        "object {commit}\ntype commit\ntag {name}\ntagger {} <{}> {} +0000\n\n{}\n",
        clean(&who.name),
        clean(who.principal.as_str()),
        moment.now().timestamp(),
        message.replace('\0', " ")
    )
    .into_bytes()
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
    use super::*;

    fn loose(content: &[u8]) -> (Oid, Vec<u8>) {
        let oid = Oid::hash_object(ObjectType::Blob, content).expect("a blob has an id");
        (oid, deflate(ObjectType::Blob, content))
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
