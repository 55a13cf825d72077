//! Trees as paths: look one up, list them, change a few, compare two. Never checked out, never
//! through an index; equal subtrees are equal oids and cost nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use git2::{ObjectType, Oid};

use super::error::LedgerError;
use super::object::{Entry, FILE, FOLDER, Tree, git_order};
use super::store::Store;

/// What a path becomes: new content, or nothing.
pub(super) type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// Finds what a path names below a tree.
pub(super) fn find(
    store: &Store,
    root: Oid,
    path: &str,
) -> Result<Option<Entry<'static>>, LedgerError> {
    let mut at = root;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let tree = store.tree(at)?;
        let Some(entry) = tree.get(part) else {
            return Ok(None);
        };
        if parts.peek().is_none() {
            return Ok(Some(entry.into_owned()));
        }
        if !entry.is_folder() {
            return Ok(None);
        }
        at = entry.oid;
    }
    Ok(None)
}

/// The content of the file a path names.
pub(super) fn file(store: &Store, root: Oid, path: &str) -> Result<Option<Vec<u8>>, LedgerError> {
    match find(store, root, path)? {
        Some(entry) if !entry.is_folder() => store.blob(entry.oid).map(Some),
        _ => Ok(None),
    }
}

/// The folder a path names; an empty one when there is no such folder.
pub(super) fn folder(store: &Store, root: Oid, path: &str) -> Result<Arc<Tree>, LedgerError> {
    match find(store, root, path)? {
        Some(entry) if entry.is_folder() => store.tree(entry.oid),
        _ => Ok(Arc::default()),
    }
}

/// Every file below a folder, by path, with its blob.
pub(super) fn files(
    store: &Store,
    root: Oid,
    prefix: &str,
) -> Result<BTreeMap<String, Oid>, LedgerError> {
    let mut found = BTreeMap::new();
    let mut stack = match find(store, root, prefix)? {
        Some(entry) if entry.is_folder() => vec![(prefix.to_owned(), entry.oid)],
        Some(entry) => {
            found.insert(prefix.to_owned(), entry.oid);
            Vec::new()
        }
        None => Vec::new(),
    };
    while let Some((path, oid)) = stack.pop() {
        for entry in store.tree(oid)?.iter() {
            let path = format!("{path}/{}", entry.name);
            if entry.is_folder() {
                stack.push((path, entry.oid));
            } else {
                found.insert(path, entry.oid);
            }
        }
    }
    Ok(found)
}

/// Writes changed files and the trees above them; returns the new root and every object written.
pub(super) fn splice(
    store: &Store,
    root: Option<Oid>,
    changes: &Changes,
) -> Result<(Oid, Vec<Oid>), LedgerError> {
    let mut written = Vec::new();
    let changes: Vec<(Vec<&str>, &Option<Vec<u8>>)> =
        changes.iter().map(|(path, content)| (path.split('/').collect(), content)).collect();
    let root = splice_level(store, root, &changes, 0, &mut written)?;
    match root {
        Some(root) => Ok((root, written)),
        None => {
            let empty = store.write(ObjectType::Tree, &[])?;
            written.push(empty);
            Ok((empty, written))
        }
    }
}

fn splice_level(
    store: &Store,
    tree: Option<Oid>,
    changes: &[(Vec<&str>, &Option<Vec<u8>>)],
    depth: usize,
    written: &mut Vec<Oid>,
) -> Result<Option<Oid>, LedgerError> {
    let tree = match tree {
        Some(oid) => store.tree(oid)?,
        None => Arc::default(),
    };
    let mut renewed = Vec::new();
    let mut rest = changes;
    while let Some((path, content)) = rest.first() {
        let name = path[depth];
        let run = rest.iter().take_while(|(path, _)| path[depth] == name).count();
        let (here, after) = rest.split_at(run);
        let new = if path.len() == depth + 1 {
            match content {
                Some(content) => {
                    let oid = store.write(ObjectType::Blob, content)?;
                    written.push(oid);
                    Some((FILE, oid))
                }
                None => None,
            }
        } else {
            let below = tree.get(name).filter(Entry::is_folder).map(|entry| entry.oid);
            splice_level(store, below, here, depth + 1, written)?.map(|oid| (FOLDER, oid))
        };
        renewed.push((name, new));
        rest = after;
    }
    let bytes = tree.renewed(renewed);
    if bytes.is_empty() {
        return Ok(None);
    }
    let oid = store.write(ObjectType::Tree, &bytes)?;
    written.push(oid);
    Ok(Some(oid))
}

/// A path whose blob differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub path: String,
    pub old: Option<Oid>,
    pub new: Option<Oid>,
}

/// Compares two trees oid by oid: equal subtrees are skipped, so the cost is what changed.
/// (libgit2's own diff walks every entry of both trees: measured 800 ms at a million files.)
pub(super) fn compare(
    store: &Store,
    old: Option<Oid>,
    new: Option<Oid>,
) -> Result<Vec<Difference>, LedgerError> {
    let mut found = Vec::new();
    compare_level(store, old, new, "", &mut found)?;
    Ok(found)
}

fn compare_level(
    store: &Store,
    old: Option<Oid>,
    new: Option<Oid>,
    prefix: &str,
    found: &mut Vec<Difference>,
) -> Result<(), LedgerError> {
    if old == new {
        return Ok(());
    }
    let read = |oid: Option<Oid>| match oid {
        Some(oid) => store.tree(oid),
        None => Ok(Arc::default()),
    };
    let (old, new) = (read(old)?, read(new)?);
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (olds.peek(), news.peek()) {
            (Some(was), Some(is)) => {
                git_order((was.name.as_bytes(), was.mode), (is.name.as_bytes(), is.mode))
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(()),
        };
        let was = if order == Ordering::Greater { None } else { olds.next() };
        let is = if order == Ordering::Less { None } else { news.next() };
        let Some(either) = was.as_ref().or(is.as_ref()) else { return Ok(()) };
        if was == is {
            continue;
        }
        let name = &either.name;
        let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
        let oid = |entry: &Option<Entry<'_>>| entry.as_ref().map(|entry| entry.oid);
        if either.is_folder() {
            compare_level(store, oid(&was), oid(&is), &path, found)?;
        } else {
            found.push(Difference { path, old: oid(&was), new: oid(&is) });
        }
    }
}
