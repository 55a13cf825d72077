//! What somebody with every right on the repository can do to the branch: commits made with git's
//! own plumbing, with seals as right as stepseal's own arithmetic makes them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use stepseal::artifact::{self, Frontier, Mark, Restored, Seal, SealedFile};
use stepseal::domain::id::Digest;

use super::kit::{Ran, Room};

pub(crate) const BRANCH: &str = "refs/heads/stepseal-ledger";

/// What one commit does to the tree: new bytes, or none.
pub(crate) type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// One commit, without its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub message: String,
    pub changes: Changes,
}

/// Writes commits one after another on a commit, or on nothing, and points the branch at the last.
pub(crate) fn write(room: &Room, onto: Option<&str>, commits: &[Told]) -> String {
    let mut stream: Vec<u8> = Vec::new();
    let mut say = |text: String| stream.extend_from_slice(text.as_bytes());
    if onto.is_none() {
        say(format!("reset {BRANCH}\n"));
    }
    let mut from = onto.map(str::to_owned);
    for (n, told) in commits.iter().enumerate() {
        say(format!("commit {BRANCH}\nmark :{}\n", n + 1));
        say("committer it <it@localhost> 1795170000 +0000\n".to_owned());
        say(format!("data {}\n{}\n", told.message.len(), told.message));
        if let Some(from) = from {
            say(format!("from {from}\n"));
        }
        for (path, bytes) in &told.changes {
            match bytes {
                Some(bytes) => {
                    let text = String::from_utf8(bytes.clone()).expect("the ledger is UTF-8");
                    say(format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
                }
                None => say(format!("D {path}\n")),
            }
        }
        say("\n".to_owned());
        from = Some(format!(":{}", n + 1));
    }
    let mut git = room.program("git");
    git.args(["fast-import", "--quiet", "--force"]).stdin(Stdio::piped());
    let mut child = git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git starts");
    child.stdin.take().expect("a pipe").write_all(&stream).expect("git reads");
    let ran = Ran::of(&child.wait_with_output().expect("git ends"));
    assert_eq!(ran.code, 0, "fast-import: {ran}");
    tip(room)
}

pub(crate) fn tip(room: &Room) -> String {
    room.git(&["rev-parse", BRANCH]).trim().to_owned()
}

/// Every commit of the branch, oldest first, as `git fast-export` tells it.
pub(crate) fn history(room: &Room) -> Vec<Told> {
    let mut git = room.program("git");
    let output = git.args(["fast-export", "--no-mark-tags", BRANCH]).output().expect("git starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("the ledger is UTF-8");
    let (mut rest, mut blobs, mut told) = (&text[..], BTreeMap::new(), Vec::<Told>::new());
    let (mut blob, mut mark) = (false, "");
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        let mut words = line.split(' ');
        match words.next().unwrap_or("") {
            "blob" => blob = true,
            "commit" => {
                blob = false;
                told.push(Told { message: String::new(), changes: Changes::new() });
            }
            "mark" => mark = words.next().expect("a mark"),
            "data" => {
                let length: usize = words.next().and_then(|n| n.parse().ok()).expect("a length");
                let (data, after) = rest.split_at(length);
                rest = after;
                if blob {
                    blobs.insert(mark, data.as_bytes().to_vec());
                } else {
                    data.clone_into(&mut told.last_mut().expect("a commit").message);
                }
            }
            "M" => {
                let (mark, path) = (words.nth(1).expect("a mark"), words.next().expect("a path"));
                let changes = &mut told.last_mut().expect("a commit").changes;
                changes.insert(path.to_owned(), Some(blobs[mark].clone()));
            }
            "D" => {
                let path = words.next().expect("a path");
                told.last_mut().expect("a commit").changes.insert(path.to_owned(), None);
            }
            _ => {}
        }
    }
    told
}

/// The seal a commit adds.
fn seal_of(told: &Told) -> Option<(String, Seal)> {
    let added = told.changes.iter().filter_map(|(path, bytes)| Some((path, bytes.as_ref()?)));
    let mut seals = added.filter(|(path, _)| artifact::parse_seal_path(path).is_some());
    let (path, bytes) = seals.next()?;
    Some((path.clone(), artifact::decode(bytes).ok()?))
}

/// The same history with every seal, digest and link made anew after an edit: sound in itself.
///
/// `edit` is given each commit without its seal; a commit left without changes goes away.
pub(crate) fn resealed(history: &[Told], mut edit: impl FnMut(usize, &mut Changes)) -> Vec<Told> {
    let mut frontier = Frontier::default();
    let (mut last, mut seq): (Option<Digest>, u64) = (None, 0);
    let mut renamed: Vec<(Digest, Digest)> = Vec::new();
    let mut commits = Vec::new();
    for (n, told) in history.iter().enumerate() {
        let Some((path, mut seal)) = seal_of(told) else { continue };
        let mut changes = told.changes.clone();
        changes.remove(&path);
        let before = changes.clone();
        edit(n, &mut changes);
        if changes.is_empty() {
            continue;
        }
        let mut order: Vec<String> = seal.artifacts.iter().map(|f| f.path.clone()).collect();
        order.retain(|path| changes.contains_key(path));
        order.extend(
            changes
                .keys()
                .filter(|path| write_once(path) && !order.contains(path))
                .cloned()
                .collect::<Vec<_>>(),
        );
        for bytes in changes.values_mut().flatten() {
            *bytes = replaced(bytes, &renamed);
        }
        seal.artifacts.clear();
        for path in order {
            // What stands earlier in this commit is linked by its digest, too.
            let bytes = changes[&path].clone().expect("write-once files are not deleted");
            let bytes = replaced(&bytes, &renamed);
            let sha256 = Digest::of(&bytes);
            frontier.push(artifact::leaf(&path, &bytes));
            if let Some(old) = before.get(&path).and_then(|old| old.as_ref()).map(|b| Digest::of(b))
                && old != sha256
            {
                renamed.push((old, sha256.clone()));
            }
            changes.insert(path.clone(), Some(bytes));
            seal.artifacts.push(SealedFile { path, sha256 });
        }
        for file in &mut seal.documents {
            if let Some(Some(bytes)) = changes.get(&file.path) {
                file.sha256 = Digest::of(bytes);
            }
        }
        seq += 1;
        seal.seq = seq;
        let (sealed, message) = finish(seal, last.take(), &frontier, &told.message);
        last = Some(Digest::of(&sealed));
        changes.insert(artifact::seal_path(seq), Some(sealed));
        commits.push(Told { message, changes });
    }
    commits
}

fn write_once(path: &str) -> bool {
    path.starts_with("artifacts/handoff/") || path.starts_with("artifacts/workflows/")
}

fn replaced(bytes: &[u8], renamed: &[(Digest, Digest)]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).expect("the ledger is UTF-8");
    renamed
        .iter()
        .fold(text, |text, (old, new)| text.replace(old.as_str(), new.as_str()))
        .into_bytes()
}

/// A seal's bytes on this tree, and a commit message whose trailers agree with it.
fn finish(
    mut seal: Seal,
    previous: Option<Digest>,
    frontier: &Frontier,
    message: &str,
) -> (Vec<u8>, String) {
    seal.previous = previous;
    seal.size = frontier.size();
    seal.root = frontier.root();
    seal.frontier = frontier.roots().to_vec();
    let mark = Mark { size: seal.size, root: seal.root.clone() };
    let lines = message.lines().filter(|line| {
        !line.starts_with("Stepseal-Seal: ") && !line.starts_with("Stepseal-Mark: ")
    });
    let mut message = lines.collect::<Vec<_>>().join("\n");
    message.push_str(&format!("\nStepseal-Seal: {}\nStepseal-Mark: {mark}\n", seal.seq));
    (artifact::encode(&seal), message)
}

/// A commit on the tip with a seal that follows, over whatever the commit adds; `edit` may spoil
/// the seal before it is counted.
pub(crate) fn sealed(
    room: &Room,
    mut changes: Changes,
    restored: &[&str],
    edit: impl FnOnce(&mut Seal),
) -> Told {
    let last = last_seal(room);
    let text = match changes.get(&last) {
        Some(Some(bytes)) => String::from_utf8(bytes.clone()).expect("the ledger is UTF-8"),
        _ => room.ledger_text(&last),
    };
    let mut seal: Seal = artifact::decode(text.as_bytes()).expect("a seal");
    let mut frontier = seal.tree().expect("it agrees with itself");
    seal.seq += 1;
    seal.artifacts.clear();
    seal.documents.clear();
    let digest = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| Digest::of(bytes));
    if !restored.is_empty() {
        let restored = restored.iter().map(|path| Restored {
            path: (*path).to_owned(),
            sha256: changes.get(*path).and_then(digest),
            found: None,
        });
        seal.recovery = Some(artifact::Recovery {
            foreign_commits: Vec::new(),
            restored: restored.collect(),
            cleared_lock: None,
        });
    }
    for (path, bytes) in &changes {
        if let (true, false, Some(bytes)) = (write_once(path), restored.contains(&&**path), bytes) {
            frontier.push(artifact::leaf(path, bytes));
            seal.artifacts.push(SealedFile { path: path.clone(), sha256: Digest::of(bytes) });
        }
    }
    edit(&mut seal);
    let path = artifact::seal_path(seal.seq);
    let subject = "WI-A s001: s001.1 claimed by agent-1\n";
    let (bytes, message) = finish(seal, Some(Digest::of(text.as_bytes())), &frontier, subject);
    changes.insert(path, Some(bytes));
    Told { message, changes }
}

pub(crate) fn last_seal(room: &Room) -> String {
    let files = room.ledger_files();
    files.into_iter().rfind(|path| path.starts_with("artifacts/seals/")).expect("a seal")
}
