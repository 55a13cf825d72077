//! The one file that opens a repository: objects and one reference, as plain data.
#![expect(clippy::disallowed_methods, reason = "the adapter for the repository's files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository, RepositoryOpenFlags};

use super::error::{LedgerError, WayBack};
use super::object::{self, BadObject, Commit, Person, Tree};
use super::pack::{Fault, Packs};

/// An opened repository and the ledger branch in it.
pub(super) struct Store {
    repository: Repository,
    /// Where objects and branches are, shared by all work trees.
    common: PathBuf,
    /// Loose object folders: the repository's own first, then its alternates.
    object_dirs: Vec<PathBuf>,
    packs: Packs,
    reference: String,
    branch: String,
    /// Trees read in this process: they are immutable.
    trees: Mutex<Trees>,
    /// What is known of the folders of loose objects, by object folder and first byte.
    loose: Mutex<BTreeMap<(usize, u8), Fan>>,
}

/// One of the 256 folders loose objects are in.
#[derive(Default)]
struct Fan {
    misses: u32,
    listed: Option<BTreeSet<String>>,
}

/// After how many objects that were not in a folder of loose ones it is listed.
const MISSES: u32 = 8;

/// Trees that were read, and how many bytes they have.
#[derive(Default)]
struct Trees {
    known: BTreeMap<Oid, Arc<Tree>>,
    bytes: usize,
}

/// How many bytes of trees one process keeps.
const TREES: usize = 32 << 20;

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("common", &self.common)
            .field("reference", &self.reference)
            .finish()
    }
}

/// Where a command stands.
#[derive(Debug, Clone)]
pub struct Place {
    pub dir: PathBuf,
    /// `GIT_DIR`, where the caller set it.
    pub git_dir: Option<PathBuf>,
}

/// What moving the branch came to.
pub(super) enum Swap {
    Moved,
    /// Somebody else moved it, or holds its lock.
    Lost {
        locked: bool,
    },
    /// The write began and may have happened: look before saying anything.
    Unknown(String),
}

impl Store {
    /// Opens the repository around a place.
    ///
    /// # Errors
    /// No repository, or one of a kind libgit2 cannot read, with the remedy.
    pub(super) fn open(place: &Place) -> Result<Self, LedgerError> {
        let repository = match &place.git_dir {
            Some(dir) => Repository::open(place.dir.join(dir)),
            None => Repository::open_ext(
                &place.dir,
                RepositoryOpenFlags::empty(),
                &[] as &[&std::ffi::OsStr],
            ),
        }
        .map_err(|error| open_error(&error, &place.dir))?;
        let common = repository.commondir().to_path_buf();
        refuse_partial(&repository)?;
        let object_dirs = with_alternates(common.join("objects"));
        Ok(Self {
            common,
            packs: Packs::below(&object_dirs),
            object_dirs,
            reference: String::new(),
            branch: String::new(),
            repository,
            trees: Mutex::default(),
            loose: Mutex::default(),
        })
    }

    /// The same repository and branch, opened once more: for another thread.
    ///
    /// # Errors
    /// When it cannot be opened any more.
    pub(super) fn twin(&self) -> Result<Self, LedgerError> {
        let dir = self.git_dir().to_path_buf();
        let place = Place { dir: dir.clone(), git_dir: Some(dir) };
        Ok(Self::open(&place)?.on(&self.branch))
    }

    /// Says which branch the ledger is on: nothing below this works before.
    pub(super) fn on(mut self, branch: &str) -> Self {
        branch.clone_into(&mut self.branch);
        self.reference = format!("refs/heads/{branch}");
        self
    }

    pub(super) fn branch(&self) -> &str {
        &self.branch
    }

    pub(super) fn common(&self) -> &Path {
        &self.common
    }

    /// This work tree's own git folder.
    pub(super) fn git_dir(&self) -> &Path {
        self.repository.path()
    }

    pub(super) fn work_dir(&self) -> Option<&Path> {
        self.repository.workdir()
    }

    pub(super) fn is_shallow(&self) -> bool {
        self.repository.is_shallow()
    }

    /// A value of the repository's configuration.
    pub(super) fn config(&self, key: &str) -> Option<String> {
        config(&self.repository, key)
    }

    /// Writes a value to the common git config; false while somebody holds its lock.
    pub(super) fn set_config(&self, key: &str, value: &str) -> Result<bool, LedgerError> {
        let written = self
            .repository
            .config()
            .and_then(|config| config.open_level(git2::ConfigLevel::Local))
            .and_then(|mut local| local.set_str(key, value));
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.code() == ErrorCode::Locked => Ok(false),
            Err(error) => Err(LedgerError::git("writing the git config", &error)),
        }
    }

    /// git's user, where one is configured.
    pub(super) fn user(&self) -> Option<Person> {
        Some(Person { name: self.config("user.name")?, email: self.config("user.email")? })
    }

    /// The branch's tip.
    pub(super) fn tip(&self) -> Result<Option<Oid>, LedgerError> {
        self.resolve(&self.reference)
    }

    /// Where a full reference name points.
    pub(super) fn resolve(&self, name: &str) -> Result<Option<Oid>, LedgerError> {
        let bad = |why: String| LedgerError::BadBranch {
            branch: self.branch.clone(),
            file: self.common.join(name),
            why,
            seen: None,
        };
        match self.repository.find_reference(name) {
            Ok(reference) => match reference.target() {
                Some(oid) => Ok(Some(oid)),
                // The swap would not follow it.
                None => Err(bad("it is another name for something else".into())),
            },
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            // Not the disk: what it holds.
            Err(error) if error.class() == ErrorClass::Reference => {
                Err(bad(error.message().to_owned()))
            }
            Err(error) => Err(LedgerError::git("reading the ledger branch", &error)),
        }
    }

    /// How an object comes back that is damaged in this file, or missing.
    fn way_back(&self, file: Option<PathBuf>) -> Box<WayBack> {
        let tracking = self.tracking().into_iter().find_map(|name| {
            let rest = name.strip_prefix("refs/remotes/")?;
            Some(rest.strip_suffix(&self.branch)?.trim_end_matches('/').to_owned())
        });
        let first = || {
            let remotes = self.repository.remotes().ok()?;
            remotes.iter().find_map(|name| name.ok().flatten().map(str::to_owned))
        };
        Box::new(WayBack {
            file,
            shallow: self.is_shallow(),
            remote: tracking.or_else(first),
            branch: self.branch.clone(),
            seen: None,
        })
    }

    /// An object whose content does not read, in this file; one of another type is sound.
    fn bad(&self, oid: Oid, why: BadObject, file: Option<PathBuf>) -> LedgerError {
        LedgerError::BadObject { oid: oid.to_string(), why, way: self.way_back(file) }
    }

    /// Remote-tracking branches of the ledger's name, as full reference names.
    pub(super) fn tracking(&self) -> Vec<String> {
        let Ok(references) =
            self.repository.references_glob(&format!("refs/remotes/*/{}", self.branch))
        else {
            return Vec::new();
        };
        references
            .filter_map(Result::ok)
            .filter_map(|reference| reference.name().ok().map(str::to_owned))
            .collect()
    }

    /// The work tree the ledger branch is checked out in, if any (L1).
    pub(super) fn checked_out(&self) -> Option<PathBuf> {
        let wanted = format!("ref: {}", self.reference);
        let says = |file: PathBuf, wanted: &str| {
            std::fs::read_to_string(file).is_ok_and(|text| text.trim_end() == wanted)
        };
        // A rebase detaches HEAD and moves the branch when it ends.
        let points = |git_dir: &Path| {
            says(git_dir.join("HEAD"), &wanted)
                || ["rebase-merge", "rebase-apply"]
                    .iter()
                    .any(|state| says(git_dir.join(state).join("head-name"), &self.reference))
        };
        let bare = self.config("core.bare").as_deref() == Some("true");
        if !bare && points(&self.common) {
            return Some(self.common.parent().unwrap_or(&self.common).to_path_buf());
        }
        let worktrees = std::fs::read_dir(self.common.join("worktrees")).ok()?;
        let git_dir =
            worktrees.filter_map(Result::ok).map(|e| e.path()).find(|git_dir| points(git_dir))?;
        let link = std::fs::read_to_string(git_dir.join("gitdir")).unwrap_or_default();
        match git_dir.join(link.trim_end()).parent() {
            Some(tree) if !link.is_empty() => Some(tree.to_path_buf()),
            _ => Some(git_dir),
        }
    }

    /// The commit a caller's words mean.
    pub(super) fn commit_named(&self, text: &str) -> Option<Oid> {
        // Never revparse untrusted text: hex prefixes only. Looked up and not read: libgit2 would
        // inflate it.
        if !(4..=40).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let short = Oid::from_str(text).ok()?;
        self.repository.odb().ok()?.exists_prefix(short, text.len()).ok()
    }

    /// Where a loose object of this id would be in this repository.
    pub(super) fn loose_path(&self, oid: Oid) -> PathBuf {
        loose_path(&self.object_dirs[0], &oid.to_string())
    }

    /// Reads an object, whatever its storage, and checks its hash. Where one copy is damaged
    /// another serves.
    pub(super) fn read(&self, oid: Oid, kind: ObjectType) -> Result<Vec<u8>, LedgerError> {
        let hex = oid.to_string();
        let (mut damaged, mut passed_over) = (None, false);
        let loose = |dir: &Path, damaged: &mut Option<(BadObject, PathBuf)>| {
            let path = loose_path(dir, &hex);
            match std::fs::read(&path) {
                Ok(file) => match object::inflate(&file, oid) {
                    Ok((found, content)) if found == kind => Ok(Some(content)),
                    // It is sound, and so is every copy of it.
                    Ok(_) => Err(self.bad(oid, BadObject::Type, None)),
                    Err(why) => {
                        damaged.get_or_insert((why, path));
                        Ok(None)
                    }
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(LedgerError::io("reading", &path, &error)),
            }
        };
        for (at, dir) in self.object_dirs.iter().enumerate() {
            if !self.may_be_loose(at, dir, oid) {
                passed_over = true;
                continue;
            }
            match loose(dir, &mut damaged)? {
                Some(content) => return Ok(content),
                None => self.was_not_loose(at, oid),
            }
        }
        let why = match self.packs.read(oid) {
            Ok(Some((found, content))) if found == kind => return Ok(content),
            Ok(Some(_)) => return Err(self.bad(oid, BadObject::Type, None)),
            Ok(None) => None,
            Err(Fault::Bad { file, why }) => Some((why, file)),
            Err(Fault::Io { file, error }) => {
                return Err(LedgerError::io("reading", &file, &error));
            }
        };
        // It may have come since its folder was listed.
        for dir in self.object_dirs.iter().filter(|_| passed_over) {
            if let Some(content) = loose(dir, &mut damaged)? {
                return Ok(content);
            }
        }
        match damaged.or(why) {
            Some((why, file)) => Err(self.bad(oid, why, Some(file))),
            None => Err(LedgerError::MissingObject { oid: hex, way: self.way_back(None) }),
        }
    }

    /// Whether a folder of loose objects may hold one. A pass over a large packed ledger would ask
    /// the disk in vain for every object, so after some misses the folder is listed once. What is
    /// then found nowhere is asked for once more.
    fn may_be_loose(&self, at: usize, dir: &Path, oid: Oid) -> bool {
        let mut loose = self.loose.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fan = loose.entry((at, oid.as_bytes()[0])).or_default();
        if fan.misses < MISSES {
            return true;
        }
        let listed = fan.listed.get_or_insert_with(|| {
            let folder = dir.join(format!("{:02x}", oid.as_bytes()[0]));
            let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            names.filter_map(|name| name.file_name().into_string().ok()).collect()
        });
        listed.contains(&oid.to_string()[2..])
    }

    fn was_not_loose(&self, at: usize, oid: Oid) {
        let mut loose = self.loose.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loose.entry((at, oid.as_bytes()[0])).or_default().misses += 1;
    }

    pub(super) fn blob(&self, oid: Oid) -> Result<Vec<u8>, LedgerError> {
        self.read(oid, ObjectType::Blob)
    }

    pub(super) fn commit(&self, oid: Oid) -> Result<Commit, LedgerError> {
        let bytes = self.read(oid, ObjectType::Commit)?;
        object::parse_commit(&bytes).map_err(|why| self.bad(oid, why, None))
    }

    pub(super) fn tree(&self, oid: Oid) -> Result<Arc<Tree>, LedgerError> {
        let mut trees = self.trees.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(tree) = trees.known.get(&oid) {
            return Ok(tree.clone());
        }
        let bytes = self.read(oid, ObjectType::Tree)?;
        let tree = Tree::parse(bytes).map_err(|why| self.bad(oid, why, None))?;
        let tree = Arc::new(tree);
        // Bounded: a verify of a long history must not keep every tree it saw.
        if trees.bytes > TREES {
            *trees = Trees::default();
        }
        trees.bytes += tree.size();
        trees.known.insert(oid, tree.clone());
        Ok(tree)
    }

    /// Writes an object; the same content twice is one object.
    ///
    /// libgit2 keeps what is stored under the same id already, without looking into it. Here it
    /// is read, and what does not read is replaced in one step: it is never missing.
    pub(super) fn write(&self, kind: ObjectType, content: &[u8]) -> Result<Oid, LedgerError> {
        let oid = Oid::hash_object(kind, content)
            .map_err(|error| LedgerError::git("writing an object", &error))?;
        // It is loose now, and is read back as such.
        let mut loose = self.loose.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loose.remove(&(0, oid.as_bytes()[0]));
        drop(loose);
        let path = self.loose_path(oid);
        if std::fs::read(&path).is_ok_and(|file| object::inflate(&file, oid).is_ok()) {
            // A clean-up takes only what is old: nothing may refer to it yet.
            let touched = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
            if touched.is_ok() {
                return Ok(oid);
            }
        }
        let folder = path.parent().unwrap_or(&self.common);
        let bytes = object::deflate(kind, content);
        for _ in 0..100 {
            match put(folder, &path, &bytes) {
                Ok(()) => return Ok(oid),
                // Not there yet; or `git gc` removed it a moment ago, which it emptied.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(LedgerError::io("writing", &path, &error)),
            }
            match std::fs::create_dir(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(LedgerError::io("writing", &path, &error));
                }
                _ => {}
            }
        }
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        Err(LedgerError::io("writing", &path, &gone))
    }

    /// Moves the branch from `old` (nothing, for the first commit) to `new`, if it is still there.
    ///
    /// `reference_matching` is the only exclusive way in libgit2 (measured: 200 of 200 races).
    pub(super) fn swap(&self, old: Option<Oid>, new: Oid, why: &str) -> Swap {
        self.swap_named(&self.reference, old, new, why)
    }

    /// The same for any reference.
    pub(super) fn swap_named(&self, name: &str, old: Option<Oid>, new: Oid, why: &str) -> Swap {
        let expected = old.unwrap_or(Oid::ZERO_SHA1);
        match self.repository.reference_matching(name, new, true, expected, why) {
            Ok(_) => Swap::Moved,
            Err(error) => match (error.code(), error.class()) {
                (ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound, _) => {
                    Swap::Lost { locked: false }
                }
                (ErrorCode::Locked, _) => Swap::Lost { locked: true },
                // Windows: another process has the file open this instant.
                (_, ErrorClass::Os) if error.message().contains("sharing violation") => {
                    Swap::Lost { locked: true }
                }
                _ => Swap::Unknown(error.message().to_owned()),
            },
        }
    }

    /// The branch's file, its lock's, and the folder they are in.
    pub(super) fn reference_path(&self) -> PathBuf {
        self.common.join(&self.reference)
    }

    /// Whether `ancestor` is `tip` or on its first-parent line, within `limit` commits.
    pub(super) fn on_line(
        &self,
        tip: Oid,
        ancestor: Oid,
        limit: usize,
    ) -> Result<bool, LedgerError> {
        let mut at = tip;
        for _ in 0..limit {
            if at == ancestor {
                return Ok(true);
            }
            match self.commit(at)?.parents.first() {
                Some(&parent) => at = parent,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// A folder of objects and those it borrows from, as git reads them: at most five deep.
fn with_alternates(own: PathBuf) -> Vec<PathBuf> {
    let mut folders = vec![(own, 0)];
    let mut at = 0;
    while at < folders.len() {
        let (folder, depth) = folders[at].clone();
        at += 1;
        let named = std::fs::read_to_string(folder.join("info/alternates")).unwrap_or_default();
        for line in named.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let other = folder.join(line);
            if depth < 5 && folders.iter().all(|(known, _)| *known != other) {
                folders.push((other, depth + 1));
            }
        }
    }
    folders.into_iter().map(|(folder, _)| folder).collect()
}

/// Writes a file beside its place and renames it there, as git writes an object.
fn put(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new();
    // The name that git's own clean-up knows, and what git lets others do with it.
    file.prefix("tmp_obj_");
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444));
    let mut file = file.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Where a loose object is below a folder of objects.
fn loose_path(objects: &Path, hex: &str) -> PathBuf {
    objects.join(&hex[..2]).join(&hex[2..])
}

fn config(repository: &Repository, key: &str) -> Option<String> {
    repository.config().ok()?.get_string(key).ok().filter(|value| !value.is_empty())
}

/// A partial clone lacks objects silently: never read one as if it were whole.
fn refuse_partial(repository: &Repository) -> Result<(), LedgerError> {
    // git 2.47 writes no `extensions.partialclone` (measured): it says it of the remote.
    let promised = || -> Result<bool, git2::Error> {
        let config = repository.config()?;
        let mut found = false;
        let entries = config.entries(Some(r"^remote\..*\.(promisor|partialclonefilter)$"))?;
        entries.for_each(|entry| found |= entry.value().is_ok_and(|value| value != "false"))?;
        Ok(found)
    };
    if config(repository, "extensions.partialclone").is_some() || promised().unwrap_or(false) {
        return Err(partial());
    }
    Ok(())
}

fn partial() -> LedgerError {
    LedgerError::Unsupported {
        what: "this is a partial clone: objects of the ledger may be missing; clone it whole, \
               without --filter"
            .into(),
        remedy: "git clone URL DIR".into(),
    }
}

/// Words libgit2's refusal to open for people, with the remedy .
fn open_error(error: &git2::Error, dir: &Path) -> LedgerError {
    let message = error.message();
    let unsupported = |what: &str, remedy: &str| LedgerError::Unsupported {
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    };
    if error.code() == ErrorCode::Owner {
        return LedgerError::ForeignOwner { dir: dir.to_path_buf() };
    }
    if message.contains("refstorage") {
        return unsupported(
            "this repository keeps its refs as a reftable, which libgit2 1.9 cannot read",
            "git refs migrate --ref-format=files",
        );
    }
    if message.contains("partialclone") {
        return partial();
    }
    if message.contains("object format") || message.contains("objectformat") {
        return unsupported(
            "this repository uses SHA-256 objects, which libgit2 1.9 cannot read; the ledger can \
             be kept in a SHA-1 repository beside it",
            "git init --object-format=sha1 DIR",
        );
    }
    if message.contains("extension") || message.contains("repositoryformatversion") {
        return unsupported(
            &format!("this repository needs something libgit2 1.9 does not have: {message}"),
            "git config --list --show-origin",
        );
    }
    if error.code() == ErrorCode::NotFound {
        return LedgerError::NoRepository { dir: dir.to_path_buf() };
    }
    LedgerError::git("opening the repository", error)
}
