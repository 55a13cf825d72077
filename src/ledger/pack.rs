//! Packs, read by ourselves: with a damaged index libgit2 1.9.7 reads past the end of the pack and
//! is killed (measured). Here every offset and length is checked, and every inflation and every
//! chain of deltas is bounded.
#![expect(clippy::disallowed_methods, reason = "the adapter for pack files")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};
use git2::{ObjectType, Oid};

use super::object::{BadObject, LIMIT};

/// How many deltas may stand on each other: git's own limit.
const CHAIN: usize = 4096;

/// How many bytes of bases are kept: the next object of a chain stands on one of them.
const BASES: usize = 16 << 20;

/// How much of a pack is read at once: most objects of a ledger are smaller, and so are some of
/// their neighbours.
const WINDOW: usize = 8 << 10;

/// How many ids of an index are read at once: a page of them.
const BLOCK: u32 = 200;

/// What comes after the last entry of a pack.
const TRAILER: u64 = 20;

/// Why packs did not give an object that they have.
#[derive(Debug)]
pub(super) enum Fault {
    /// This file holds something else.
    Bad { file: PathBuf, why: BadObject },
    /// This file could not be read at all.
    Io { file: PathBuf, error: std::io::Error },
}

/// The packs below some folders of objects.
#[derive(Debug)]
pub(super) struct Packs {
    folders: Vec<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many packs were ever opened: what tells one from another.
    opened: u64,
    packs: Vec<Arc<Pack>>,
    /// Indexes that cannot be used: an object that is nowhere else may be in their packs.
    unusable: BTreeMap<PathBuf, BadObject>,
    desk: Desk,
}

/// What reading one object leaves for the next.
#[derive(Debug, Default)]
struct Desk {
    bases: Bases,
    /// Made when the first object is inflated: many commands read no pack.
    inflater: Option<Decompress>,
    window: Window,
}

/// The part of a pack that was read last.
#[derive(Debug, Default)]
struct Window {
    pack: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes from a place on: at least so many, unless the pack ends before.
    fn at(&mut self, pack: &Pack, offset: u64, least: usize) -> Result<&[u8], Fault> {
        let skip = usize::try_from(offset.wrapping_sub(self.offset)).unwrap_or(usize::MAX);
        let rest = self.bytes.len().saturating_sub(skip);
        if self.pack != pack.id || offset < self.offset || rest < least {
            // Nothing is known while the read may fail.
            self.pack = 0;
            self.bytes.resize(WINDOW, 0);
            let read = pack.bytes(offset, &mut self.bytes)?;
            self.bytes.truncate(read);
            (self.pack, self.offset) = (pack.id, offset);
            return Ok(&self.bytes);
        }
        Ok(&self.bytes[skip..])
    }
}

/// An object's type and content, shared with those that stand on it.
type Content = (ObjectType, Arc<Vec<u8>>);

/// Objects that others stand on, by pack and place.
#[derive(Debug, Default)]
struct Bases {
    kept: BTreeMap<(u64, u64), Content>,
    bytes: usize,
}

impl Bases {
    fn keep(&mut self, pack: u64, at: u64, content: &Content) {
        let size = content.1.len();
        if size > BASES / 16 {
            return;
        }
        if self.bytes + size > BASES {
            *self = Self::default();
        }
        self.bytes += size;
        self.kept.insert((pack, at), content.clone());
    }
}

impl Packs {
    /// The packs of these folders of objects; nothing is opened yet.
    pub(super) fn below(folders: &[PathBuf]) -> Self {
        let folders = folders.iter().map(|folder| folder.join("pack")).collect();
        Self { folders, known: Mutex::default() }
    }

    /// Reads an object; none when no pack has it.
    pub(super) fn read(&self, oid: Oid) -> Result<Option<(ObjectType, Vec<u8>)>, Fault> {
        let mut known = self.known();
        let mut first = None;
        for fresh in [false, true] {
            if fresh {
                // A pack may have been made, or replaced, since the last look.
                known.list(&self.folders)?;
            }
            for at in 0..known.packs.len() {
                let pack = known.packs[at].clone();
                let read = match pack.find(oid) {
                    Ok(None) => continue,
                    Ok(Some(offset)) => pack.object(oid, offset, &mut known.desk),
                    Err(fault) => Err(fault),
                };
                match read {
                    Ok(found) => {
                        // The next object is likely in the same pack.
                        known.packs.swap(0, at);
                        return Ok(Some(found));
                    }
                    Err(fault) => first = first.or(Some(fault)),
                }
            }
        }
        let unusable = known.unusable.iter().next();
        let unusable = unusable.map(|(file, why)| Fault::Bad { file: file.clone(), why: *why });
        match first.or(unusable) {
            Some(fault) => Err(fault),
            None => Ok(None),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Opens packs that are not open yet, and forgets those that are gone.
    fn list(&mut self, folders: &[PathBuf]) -> Result<(), Fault> {
        let mut packs = Vec::new();
        self.unusable.clear();
        for folder in folders {
            let entries = match std::fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Fault::Io { file: folder.clone(), error }),
            };
            let mut files: Vec<PathBuf> =
                entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
            files.sort();
            for index in files.into_iter().filter(|file| file.extension() == Some("idx".as_ref())) {
                let open = self.packs.iter().find(|pack| pack.index.path == index);
                self.opened += 1;
                let id = self.opened;
                match open.map_or_else(|| Pack::open(&index, id), |pack| Ok(Some(pack.clone()))) {
                    Ok(pack) => packs.extend(pack),
                    Err(Fault::Bad { file, why }) => drop(self.unusable.insert(file, why)),
                    Err(fault @ Fault::Io { .. }) => return Err(fault),
                }
            }
        }
        self.packs = packs;
        Ok(())
    }
}

/// One pack with its index.
#[derive(Debug)]
struct Pack {
    id: u64,
    index: Index,
    path: PathBuf,
    file: File,
    size: u64,
}

/// Where each object of a pack is, sorted by id.
#[derive(Debug)]
struct Index {
    path: PathBuf,
    file: File,
    size: u64,
    /// The first version has no header, and each offset beside its id.
    first_version: bool,
    /// How many ids begin with at most this byte.
    fanout: Vec<u32>,
}

/// An entry of a pack: what it is, how long it is, and where its data begins.
enum Entry {
    Whole(ObjectType, u64, u64),
    /// A delta against another entry of the pack.
    Delta(u64, u64, u64),
}

impl Pack {
    /// Opens a pack by its index; none when the pack itself is gone.
    fn open(index: &Path, id: u64) -> Result<Option<Arc<Self>>, Fault> {
        let path = index.with_extension("pack");
        let file = match File::open(&path) {
            Ok(file) => file,
            // It is being deleted: its index goes last.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::Io { file: path, error }),
        };
        let io = |error| Fault::Io { file: path.clone(), error };
        let size = file.metadata().map_err(io)?.len();
        let index = match Index::open(index) {
            Err(Fault::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            index => index?,
        };
        Ok(Some(Arc::new(Self { id, index, path, file, size })))
    }

    fn bad(&self) -> Fault {
        Fault::Bad { file: self.path.clone(), why: BadObject::Packed }
    }

    /// Where the pack has an object.
    fn find(&self, oid: Oid) -> Result<Option<u64>, Fault> {
        let Some(offset) = self.index.find(oid)? else { return Ok(None) };
        // Where no entry can begin the index is wrong.
        if offset < 12 || offset + TRAILER >= self.size {
            return Err(self.index.bad());
        }
        Ok(Some(offset))
    }

    /// Reads up to this many bytes of the pack.
    fn bytes(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Fault> {
        let end = self.size.saturating_sub(TRAILER);
        let room = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(room);
        let read = read_at(&self.file, &mut buffer[..wanted], offset);
        read.map_err(|error| Fault::Io { file: self.path.clone(), error })
    }

    /// What an entry is.
    fn entry(&self, at: u64, window: &mut Window) -> Result<Entry, Fault> {
        let head = window.at(self, at, 64)?;
        let length = head.len();
        let mut bytes = head.iter();
        let next =
            |bytes: &mut std::slice::Iter<'_, u8>| bytes.next().copied().ok_or_else(|| self.bad());
        let mut byte = next(&mut bytes)?;
        let kind = byte >> 4 & 7;
        let (mut size, mut shift) = (u64::from(byte & 15), 4);
        while byte & 0x80 != 0 {
            byte = next(&mut bytes)?;
            if shift > 32 {
                return Err(self.bad());
            }
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        if size > LIMIT {
            return Err(Fault::Bad { file: self.path.clone(), why: BadObject::TooLarge });
        }
        let whole = |kind, used: usize| Entry::Whole(kind, size, at + used as u64);
        let base = match kind {
            1..=4 => {
                let used = length - bytes.len();
                return Ok(match kind {
                    1 => whole(ObjectType::Commit, used),
                    2 => whole(ObjectType::Tree, used),
                    3 => whole(ObjectType::Blob, used),
                    _ => whole(ObjectType::Tag, used),
                });
            }
            // So far before this one.
            6 => {
                byte = next(&mut bytes)?;
                let mut back = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next(&mut bytes)?;
                    if back >= self.size {
                        return Err(self.bad());
                    }
                    back = (back + 1) << 7 | u64::from(byte & 0x7f);
                }
                at.checked_sub(back).filter(|base| *base >= 12 && back > 0)
            }
            // By its id, in the same pack.
            7 => {
                let mut id = [0; 20];
                for byte in &mut id {
                    *byte = next(&mut bytes)?;
                }
                let id = Oid::from_bytes(&id).map_err(|_| self.bad())?;
                self.find(id)?
            }
            _ => None,
        };
        let base = base.ok_or_else(|| self.bad())?;
        Ok(Entry::Delta(base, size, at + (length - bytes.len()) as u64))
    }

    /// Inflates so many bytes from a place.
    fn inflate(&self, mut at: u64, size: u64, desk: &mut Desk) -> Result<Vec<u8>, Fault> {
        let size = usize::try_from(size).map_err(|_| self.bad())?;
        let mut content = Vec::with_capacity(size.min(1 << 20) + 1);
        let inflater = desk.inflater.get_or_insert_with(|| Decompress::new(true));
        inflater.reset(true);
        loop {
            let packed = desk.window.at(self, at, 1)?;
            let (read, made) = (inflater.total_in(), content.len());
            let state = inflater
                .decompress_vec(packed, &mut content, FlushDecompress::None)
                .map_err(|_| self.bad())?;
            let read = inflater.total_in() - read;
            at += read;
            match state {
                Status::StreamEnd if content.len() == size => return Ok(content),
                // It is too short, too long, or the pack ends in it.
                Status::StreamEnd => return Err(self.bad()),
                _ if content.len() > size => return Err(self.bad()),
                _ if content.len() == content.capacity() => content.reserve(1 << 20),
                _ if read == 0 && content.len() == made => return Err(self.bad()),
                _ => {}
            }
        }
    }

    /// An object with everything it stands on.
    fn object(
        &self,
        oid: Oid,
        offset: u64,
        desk: &mut Desk,
    ) -> Result<(ObjectType, Vec<u8>), Fault> {
        let mut deltas = Vec::new();
        let mut at = offset;
        let (mut kind, mut content) = loop {
            if let Some(base) = desk.bases.kept.get(&(self.id, at)) {
                break base.clone();
            }
            match self.entry(at, &mut desk.window)? {
                Entry::Whole(kind, size, data) => {
                    let content = (kind, Arc::new(self.inflate(data, size, desk)?));
                    // Most objects carry no other, and it is not known before which do.
                    if !deltas.is_empty() {
                        desk.bases.keep(self.id, at, &content);
                    }
                    break content;
                }
                Entry::Delta(base, size, data) => {
                    if deltas.len() == CHAIN {
                        return Err(self.bad());
                    }
                    deltas.push((at, self.inflate(data, size, desk)?));
                    at = base;
                }
            }
        };
        while let Some((at, delta)) = deltas.pop() {
            let patched = patch(&content, &delta).ok_or_else(|| self.bad())?;
            (kind, content) = (kind, Arc::new(patched));
            desk.bases.keep(self.id, at, &(kind, content.clone()));
        }
        let content = Arc::unwrap_or_clone(content);
        if Oid::hash_object(kind, &content).ok() != Some(oid) {
            return Err(self.bad());
        }
        Ok((kind, content))
    }
}

impl Index {
    fn open(path: &Path) -> Result<Self, Fault> {
        let io = |error| Fault::Io { file: path.to_path_buf(), error };
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let bad = || Fault::Bad { file: path.to_path_buf(), why: BadObject::Index };
        let mut head = [0; 8 + 1024];
        if read_at(&file, &mut head, 0).map_err(io)? < head.len() {
            return Err(bad());
        }
        let first_version = !head.starts_with(b"\xfftOc");
        if !first_version && head[4..8] != [0, 0, 0, 2] {
            return Err(bad());
        }
        let table = if first_version { &head[..1024] } else { &head[8..] };
        let fanout: Vec<u32> = table.chunks_exact(4).map(number).collect();
        let count = u64::from(fanout[255]);
        let (least, most) = if first_version {
            (1024 + count * 24 + 40, 1024 + count * 24 + 40)
        } else {
            (1032 + count * 28 + 40, 1032 + count * 36 + 40)
        };
        if !fanout.is_sorted() || size < least || size > most {
            return Err(bad());
        }
        Ok(Self { path: path.to_path_buf(), file, size, first_version, fanout })
    }

    fn bad(&self) -> Fault {
        Fault::Bad { file: self.path.clone(), why: BadObject::Index }
    }

    /// Fills a buffer from a place.
    fn bytes(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        match read_at(&self.file, buffer, offset) {
            Ok(read) if read == buffer.len() => Ok(()),
            Ok(_) => Err(self.bad()),
            Err(error) => Err(Fault::Io { file: self.path.clone(), error }),
        }
    }

    /// The offset that stands beside an id.
    ///
    /// Ids are digests and lie evenly, so where one must be can be told to within a block; where
    /// two guesses missed, halving ends the search in any index.
    fn find(&self, oid: Oid) -> Result<Option<u64>, Fault> {
        let id = oid.as_bytes();
        let first = usize::from(id[0]);
        let mut low = first.checked_sub(1).map_or(0, |before| self.fanout[before]);
        let mut high = self.fanout[first];
        let (table, width, skip) = if self.first_version { (1024, 24, 4) } else { (1032, 20, 0) };
        let own = |entry: &[u8]| u64::from(number(&entry[skip + 1..skip + 5]));
        let wanted = u64::from(number(&id[1..5]));
        // The ids of this first byte, as four bytes after it.
        let (mut least, mut most) = (0, 1 << 32);
        let mut block = Vec::new();
        let mut guesses = 0;
        let (n, entry) = loop {
            if low >= high {
                return Ok(None);
            }
            let room = u64::from(high - low);
            let guess = match guesses {
                0 | 1 => wanted.saturating_sub(least) * room / u64::max(most - least, 1),
                _ => room / 2,
            };
            guesses += 1;
            let guess = low + u32::try_from(guess.min(room)).unwrap_or(0);
            let start = guess.saturating_sub(BLOCK / 2).max(low);
            let count = BLOCK.min(high - start);
            block.resize(count as usize * width, 0);
            self.bytes(table + u64::from(start) * width as u64, &mut block)?;
            let at = |n: u32| {
                let n = n as usize * width;
                &block[n..n + width]
            };
            let order = |n: u32| at(n)[skip..skip + 20].cmp(id);
            if order(0).is_gt() {
                (high, most) = (start, own(at(0)) + 1);
            } else if order(count - 1).is_lt() {
                (low, least) = (start + count, own(at(count - 1)));
            } else {
                let (mut from, mut to) = (0, count);
                while from < to {
                    let middle = from + (to - from) / 2;
                    if order(middle).is_lt() { from = middle + 1 } else { to = middle }
                }
                if from == count || order(from).is_ne() {
                    return Ok(None);
                }
                break (start + from, at(from));
            }
        };
        if self.first_version {
            return Ok(Some(u64::from(number(&entry[..4]))));
        }
        let count = u64::from(self.fanout[255]);
        let mut offset = [0; 4];
        self.bytes(1032 + count * 24 + u64::from(n) * 4, &mut offset)?;
        let offset = number(&offset);
        if offset & 0x8000_0000 == 0 {
            return Ok(Some(u64::from(offset)));
        }
        // Beyond two gigabytes offsets stand in a table of their own.
        let far = 1032 + count * 28 + u64::from(offset & 0x7fff_ffff) * 8;
        if far + 8 + 40 > self.size {
            return Err(self.bad());
        }
        let mut offset = [0; 8];
        self.bytes(far, &mut offset)?;
        Ok(Some(u64::from_be_bytes(offset)))
    }
}

/// Four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Applies a delta: copies out of the base, and bytes of its own.
fn patch(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut rest = delta.iter();
    let mut length = || {
        let (mut length, mut shift) = (0u64, 0);
        loop {
            let byte = *rest.next()?;
            length |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return usize::try_from(length).ok();
            }
        }
    };
    let (from, size) = (length()?, length()?);
    if from != base.len() || size as u64 > LIMIT {
        return None;
    }
    let mut result = Vec::with_capacity(size.min(1 << 20));
    while let Some(&command) = rest.next() {
        if command & 0x80 != 0 {
            let mut part = |bits: std::ops::Range<u32>| {
                let given = bits.clone().filter(|bit| command & 1 << bit != 0);
                given.into_iter().try_fold(0usize, |value, bit| {
                    Some(value | usize::from(*rest.next()?) << (8 * (bit - bits.start)))
                })
            };
            let (offset, mut length) = (part(0..4)?, part(4..7)?);
            if length == 0 {
                length = 0x10000;
            }
            result.extend_from_slice(base.get(offset..offset.checked_add(length)?)?);
        } else if command > 0 {
            let (own, after) = rest.as_slice().split_at_checked(usize::from(command))?;
            result.extend_from_slice(own);
            rest = after.iter();
        } else {
            return None;
        }
        if result.len() > size {
            return None;
        }
    }
    (result.len() == size).then_some(result)
}

/// Reads at a place, until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        let rest = &mut buffer[read..];
        #[cfg(unix)]
        let some = std::os::unix::fs::FileExt::read_at(file, rest, offset + read as u64);
        #[cfg(windows)]
        let some = std::os::windows::fs::FileExt::seek_read(file, rest, offset + read as u64);
        match some {
            Ok(0) => break,
            Ok(some) => read += some,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_copies_and_adds() {
        let base = b"one event, sealed";
        // Copy 9 from 0, add "!", copy 8 from 9.
        let delta = [&[17, 18, 0x90, 9, 1][..], b"!", &[0x91, 9, 8]].concat();
        assert_eq!(patch(base, &delta).as_deref(), Some(&b"one event!, sealed"[..]));
    }

    /// Whatever a delta says, nothing is read past its end or past the base's.
    #[test]
    fn every_cut_and_every_flipped_bit_of_a_delta_ends() {
        let base = b"one event, sealed";
        let delta = [&[17, 18, 0x90, 9, 1][..], b"!", &[0x91, 9, 8]].concat();
        for cut in 0..delta.len() {
            assert_eq!(patch(base, &delta[..cut]), None, "cut at {cut}");
        }
        for bit in 0..delta.len() * 8 {
            let mut flipped = delta.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Whether it makes sense is for the hash to say.
            let patched = patch(base, &flipped).unwrap_or_default();
            assert!(patched.len() <= 255, "bit {bit}");
        }
    }

    /// An index of these ids, each with its place among them as its offset.
    fn index(folder: &Path, first_version: bool, ids: &[[u8; 20]]) -> Index {
        let begin = |byte: u8| ids.iter().filter(|id| id[0] <= byte).count() as u32;
        let fanout: Vec<u8> = (0..=255).flat_map(|byte| begin(byte).to_be_bytes()).collect();
        let offset = |n: usize| (n as u32).to_be_bytes();
        let mut bytes = Vec::new();
        if first_version {
            bytes.extend(fanout);
            for (n, id) in ids.iter().enumerate() {
                bytes.extend(offset(n));
                bytes.extend(id);
            }
        } else {
            bytes.extend(b"\xfftOc\0\0\0\x02");
            bytes.extend(fanout);
            bytes.extend(ids.iter().flatten());
            bytes.extend(vec![0; ids.len() * 4]);
            bytes.extend((0..ids.len()).flat_map(offset));
        }
        bytes.extend([0; 40]);
        let path = folder.join(format!("{first_version}-{}.idx", ids.len()));
        std::fs::write(&path, bytes).expect("a file");
        Index::open(&path).expect("an index")
    }

    /// Where ids lie evenly, and where they lie as no guess expects them: every one is found at
    /// its place, and none that is not there.
    #[test]
    fn every_id_of_an_index_is_found_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let even = |n: u32| {
            let digest = crate::domain::id::Digest::of(&n.to_be_bytes()).to_bytes();
            let mut id = [0; 20];
            id.copy_from_slice(&digest[..20]);
            id[0] = 7;
            id
        };
        let mut sets: Vec<Vec<[u8; 20]>> =
            [0, 1, 2, 199, 200, 201, 5000].map(|count| (0..count).map(even).collect()).to_vec();
        // All at the lower end, at the upper end, alike in the bytes that are guessed by, and on
        // both sides of a gap.
        for (from, shift) in [(0, 0), (u64::MAX - 6000, 0), (1 << 60, 0), (0, 44)] {
            let id = |n: u64| {
                let mut id = [7; 20];
                id[1..9].copy_from_slice(&(from + (n << shift)).to_be_bytes());
                id
            };
            sets.push((1..=3000).chain(3002..=6000).map(id).collect());
        }
        for ids in &mut sets {
            ids.sort_unstable();
            for first_version in [false, true] {
                let index = index(folder.path(), first_version, ids);
                for (n, id) in ids.iter().enumerate() {
                    let oid = Oid::from_bytes(id).expect("an id");
                    assert_eq!(index.find(oid).expect("sound"), Some(n as u64), "{id:?}");
                    for other in [id[19].wrapping_add(1), id[19] ^ 0x80] {
                        let mut id = *id;
                        id[19] = other;
                        let there = ids.binary_search(&id).ok().map(|n| n as u64);
                        let oid = Oid::from_bytes(&id).expect("an id");
                        assert_eq!(index.find(oid).expect("sound"), there, "{id:?}");
                    }
                }
                for id in [[0; 20], [7; 20], [255; 20]] {
                    let there = ids.binary_search(&id).ok().map(|n| n as u64);
                    let oid = Oid::from_bytes(&id).expect("an id");
                    assert_eq!(index.find(oid).expect("sound"), there, "{id:?}");
                }
            }
        }
    }
}
