//! What libgit2 alone needs for the objects of one commit: the floor under an append.

use std::path::Path;
use std::process::Command;

use git2::{ObjectType, Oid, Repository};

/// The objects one commit added, as `KIND SIZE\n` and their bytes, one after the other; the commit
/// comes last.
pub(crate) fn objects_of(repo: &Path, commit: &str) -> Vec<u8> {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(repo).output().expect("git starts");
        assert!(output.status.success(), "git {args:?}");
        output.stdout
    };
    let listed =
        git(&["rev-list", "--objects", "--no-object-names", commit, &format!("^{commit}^")]);
    let text = String::from_utf8(listed).expect("ids");
    let mut out = Vec::new();
    // rev-list names the commit first, then what it reaches.
    for oid in text.lines().rev() {
        let kind = String::from_utf8(git(&["cat-file", "-t", oid])).expect("a kind");
        let bytes = git(&["cat-file", kind.trim(), oid]);
        out.extend_from_slice(format!("{} {}\n", kind.trim(), bytes.len()).as_bytes());
        out.extend_from_slice(&bytes);
    }
    out
}

/// Writes such objects and moves the branch, as plainly as git2 can.
pub(crate) fn append(repo: &Path, objects: &Path, durable: bool) {
    let bytes = std::fs::read(objects).expect("objects");
    #[expect(clippy::disallowed_methods, reason = "the peer that is measured against")]
    let repository = Repository::open(repo).expect("a repository");
    let tip = repository.refname_to_id(REFERENCE).expect("a ledger");
    let mut last = Oid::ZERO_SHA1;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let line = rest.iter().position(|&b| b == b'\n').expect("a header");
        let header = std::str::from_utf8(&rest[..line]).expect("a header");
        let (kind, size) = header.split_once(' ').expect("a header");
        let end = line + 1 + size.parse::<usize>().expect("a size");
        let kind = ObjectType::from_str(kind).expect("a kind");
        last = repository
            .odb()
            .and_then(|odb| odb.write(kind, &rest[line + 1..end]))
            .expect("an object");
        rest = &rest[end..];
    }
    if durable {
        sync(&repository.commondir().join("objects"), true);
    }
    repository
        .reference_matching(REFERENCE, last, true, tip, "bare")
        .expect("nobody else is writing");
    if durable {
        let file = repository.commondir().join(REFERENCE);
        sync(&file, false);
        sync(file.parent().expect("a folder"), false);
    }
}

const REFERENCE: &str = "refs/heads/stepseal-ledger";

/// The same barrier as the product's on Linux: one `syncfs`, then the reference and its folder.
fn sync(path: &Path, whole: bool) {
    let file = std::fs::File::open(path).expect("a file");
    #[cfg(target_os = "linux")]
    if whole {
        rustix::fs::syncfs(&file).expect("syncfs");
        return;
    }
    let _ = whole;
    file.sync_all().expect("fsync");
}
