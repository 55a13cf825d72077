//! THE SHARED BRANCH: one remote's ledger, fetched and pushed by the git program (M1).
//!
//! git brings its own transports, credentials and configuration, and its push compares and swaps
//! at the server; libgit2's does not (docs/design/0002-append.md). A push names the tip it was
//! decided on, so that whoever was quicker makes it a lost race and never a lost fact.
#![expect(clippy::disallowed_methods, reason = "the adapter that waits between two pushes")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ObjectType, Oid};

use super::error::{LedgerError, Rewrite, Trouble};
use super::lock::WriterLock;
use super::seen::Seen;
use super::snapshot::Snapshot;
use super::store::{Store, Swap};
use super::{Direction, Ledger, object, tree};
use crate::domain::event::EventKind;
use crate::domain::id::{AttemptId, ItemId};
use crate::domain::moment::Moment;
use crate::process::{self, Ended, Program};

/// What is kept of what git says.
const KEEP: usize = 256 * 1024;

/// How a ledger is shared.
#[derive(Debug, Clone)]
pub struct Sharing {
    /// One fetch or push.
    pub timeout: Duration,
    /// How often a push that lost the race is tried again.
    pub tries: u32,
}

/// A remote's ledger branch.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub name: String,
    branch: String,
    git_dir: PathBuf,
    /// Where a relative URL of the remote begins.
    dir: PathBuf,
    pub sharing: Sharing,
}

/// What a push came to.
#[derive(Debug)]
pub(super) enum Pushed {
    Accepted,
    /// The remote's branch was somewhere else already.
    Lost,
    /// A hook or a rule of the remote said no.
    Refused(String),
    /// The push began and may have been accepted: look before saying anything.
    Unclear(Trouble, String),
}

impl Remote {
    pub(super) fn new(name: &str, store: &Store, sharing: &Sharing) -> Self {
        Self {
            name: name.to_owned(),
            branch: store.branch().to_owned(),
            git_dir: store.git_dir().to_path_buf(),
            dir: store.work_dir().unwrap_or(store.git_dir()).to_path_buf(),
            sharing: sharing.clone(),
        }
    }

    /// Where the last tip is kept that the remote was seen at.
    pub(super) fn reference(&self) -> String {
        format!("refs/stepseal/remote/{}", self.name)
    }

    /// git, asked about the remote: nothing prompts, no hook of this repository runs, and nothing
    /// is cleaned up beside a writer.
    fn git(&self, words: &[&str]) -> Result<Ended, LedgerError> {
        let dir = format!("--git-dir={}", self.git_dir.display());
        let hermetic = ["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"];
        let more = ["-c", "maintenance.auto=false", "-c", "protocol.ext.allow=never"];
        let argv: Vec<String> = ["git", &dir]
            .iter()
            .chain(&hermetic)
            .chain(&more)
            .chain(words)
            .map(|word| (*word).to_owned())
            .collect();
        let env = [("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0")];
        let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let program = Program {
            argv: &argv,
            dir: &self.dir,
            env: &env,
            timeout: self.sharing.timeout,
            keep: KEEP,
            interruptible: false,
        };
        tracing::debug!(?argv, "git");
        process::run(&program).map_err(|error| LedgerError::Remote {
            remote: self.name.clone(),
            trouble: Trouble::NoGit,
            said: error.to_string(),
        })
    }

    fn failed(&self, ended: &Ended) -> LedgerError {
        let (trouble, said) = trouble(ended, self.sharing.timeout);
        LedgerError::Remote { remote: self.name.clone(), trouble, said }
    }

    /// Brings what the remote has, and says where its branch is; nothing where it has none.
    ///
    /// Never forced: a remote that does not contain what was seen there is named and left alone.
    pub(super) fn fetch(&self, store: &Store) -> Result<Option<Oid>, LedgerError> {
        let reference = self.reference();
        let known = store.resolve(&reference)?;
        let spec = format!("refs/heads/{}:{reference}", self.branch);
        let ended = self.git(&[
            "fetch",
            "--no-tags",
            "--no-write-fetch-head",
            "--recurse-submodules=no",
            "--",
            &self.name,
            &spec,
        ])?;
        if ended.exit_code == 0 {
            return store.resolve(&reference);
        }
        let lost = |how: Rewrite, tip: String| {
            let known = known.expect("only what was seen is lost");
            let mark = Seen::trust(store, known)?.mark;
            let branch = format!("{}/{}", self.name, self.branch);
            let (remote, seen) = (Some(self.name.clone()), known.to_string());
            Err(LedgerError::Rewritten { how, remote, branch, seen, tip, mark })
        };
        if ended.output.contains("couldn't find remote ref") {
            return match known {
                Some(_) => lost(Rewrite::Deleted, String::new()),
                None => Ok(None),
            };
        }
        let behind = ended.output.contains("(non-fast-forward)")
            || ended.output.contains("[rejected]") && !ended.timed_out;
        match known {
            Some(known) if behind => {
                let tip = self.looked_up()?;
                let tip = tip.ok_or_else(|| self.failed(&ended))?;
                let cut = store.on_line(known, tip, usize::MAX).unwrap_or(false);
                lost(if cut { Rewrite::CutTail } else { Rewrite::Rewritten }, tip.to_string())
            }
            _ => Err(self.failed(&ended)),
        }
    }

    /// Brings what the remote has although it does not contain what was seen there.
    fn fetch_anew(&self, store: &Store) -> Result<Option<Oid>, LedgerError> {
        let spec = format!("+refs/heads/{}:{}", self.branch, self.reference());
        let flags = ["fetch", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no"];
        let ended = self.git(&[&flags[..], &["--", &self.name, &spec]].concat())?;
        match ended.exit_code {
            0 => store.resolve(&self.reference()),
            _ => Err(self.failed(&ended)),
        }
    }

    /// Where the remote's branch is, without bringing anything.
    fn looked_up(&self) -> Result<Option<Oid>, LedgerError> {
        let branch = format!("refs/heads/{}", self.branch);
        let ended = self.git(&["ls-remote", "--quiet", "--", &self.name, &branch])?;
        if ended.exit_code != 0 {
            return Err(self.failed(&ended));
        }
        let line = ended.output.lines().find(|line| line.ends_with(&format!("\t{branch}")));
        Ok(line.and_then(|line| Oid::from_str(line.split('\t').next()?).ok()))
    }

    /// Asks whether a push would be let in, and pushes nothing. Hooks and rules are not asked: only
    /// a push does that.
    pub(super) fn try_push(&self, tip: Oid) -> Result<(), LedgerError> {
        let spec = format!("{tip}:refs/heads/{}", self.branch);
        let words = ["push", "--dry-run", "--porcelain", "--no-verify", "--", &self.name, &spec];
        let ended = self.git(&words)?;
        match ended.exit_code {
            0 => Ok(()),
            _ => Err(self.failed(&ended)),
        }
    }

    /// Moves the remote's branch from `old` (nothing, for the first commit) to `new`, if it is
    /// still there.
    pub(super) fn push(&self, old: Option<Oid>, new: Oid) -> Result<Pushed, LedgerError> {
        let branch = format!("refs/heads/{}", self.branch);
        let old = old.map_or_else(String::new, |old| old.to_string());
        let lease = format!("--force-with-lease={branch}:{old}");
        let spec = format!("{new}:{branch}");
        let ended = self.git(&[
            "push",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            "--no-signed",
            &lease,
            "--",
            &self.name,
            &spec,
        ])?;
        let pushed = pushed(&ended, &branch, self.sharing.timeout);
        tracing::debug!(?pushed, exit = ended.exit_code, "pushed");
        Ok(pushed)
    }
}

/// The version of the git program, as `git --version` says it; none where it does not start.
pub(super) fn git_version(dir: &Path) -> Option<(u32, u32)> {
    let argv = ["git", "--version"].map(str::to_owned);
    let timeout = Duration::from_secs(10);
    let program = Program { argv: &argv, dir, env: &[], timeout, keep: 1024, interruptible: false };
    let said = process::run(&program).ok()?.output;
    let mut numbers = said.split(' ').nth(2)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Reads git's answer to a push: one line for each branch, which begins with a flag.
fn pushed(ended: &Ended, branch: &str, limit: Duration) -> Pushed {
    let to = format!(":{branch}\t");
    let line = ended.output.lines().find(|line| {
        line.contains(&to) && line.get(1..2) == Some("\t") && !line.starts_with("remote:")
    });
    let unclear = || {
        let (trouble, said) = trouble(ended, limit);
        Pushed::Unclear(trouble, said)
    };
    let Some(line) = line.filter(|_| !ended.timed_out) else { return unclear() };
    let summary = line.rsplit('\t').next().unwrap_or_default();
    match line.chars().next() {
        // `=`: the very commit is there, and no two commits of a ledger are the same.
        Some(' ' | '*' | '+' | '=') => Pushed::Accepted,
        Some('!') if summary.starts_with("[rejected]") => Pushed::Lost,
        Some('!') if summary.starts_with("[remote rejected]") => {
            // The server compared under its lock: somebody was quicker.
            let raced = ["cannot lock ref", "failed to update ref", "incorrect old value"];
            let raced = raced.iter().any(|word| summary.contains(word))
                || ended.output.contains("cannot lock ref");
            if raced { Pushed::Lost } else { Pushed::Refused(said(&ended.output)) }
        }
        _ => unclear(),
    }
}

/// What kind of trouble a remote makes, and in whose words.
fn trouble(ended: &Ended, limit: Duration) -> (Trouble, String) {
    if ended.timed_out {
        return (Trouble::TimedOut, format!("no answer within {} s", limit.as_secs_f64()));
    }
    let has = |words: &[&str]| words.iter().any(|word| ended.output.contains(word));
    let trouble = if has(&[
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "terminal prompts disabled",
        "Permission denied",
        "The requested URL returned error: 401",
        "The requested URL returned error: 403",
        "Invalid username or",
        "Repository not found",
        "Host key verification failed",
    ]) {
        Trouble::Credentials
    } else if has(&["does not appear to be a git repository", "No such remote", "no such remote"]) {
        Trouble::NoRemote
    } else {
        Trouble::Unreachable
    };
    (trouble, said(&ended.output))
}

/// The lines that say why, in order, without git's own counting.
fn said(output: &str) -> String {
    let tells = |line: &&str| {
        line.starts_with("remote:")
            || line.starts_with("fatal:")
            || line.starts_with("error:")
            || line.contains("rejected]")
            || line.contains("ermission denied")
    };
    let lines: Vec<&str> = output.lines().map(str::trim_end).filter(tells).take(12).collect();
    match lines.is_empty() {
        true => output.trim().lines().next_back().unwrap_or("git said nothing").to_owned(),
        false => lines.join("\n"),
    }
}

/// Waits a random part of a growing pause between two pushes, which take tenths of a second each:
/// full jitter, so that losers do not lose together.
fn back_off(lost: u32, chance: u64) {
    let longest = 100u64.saturating_mul(1 << lost.min(5));
    std::thread::sleep(Duration::from_micros(chance % (longest * 1000)));
}

/// Where a push of this clone left the shared branch.
pub(super) enum Shared {
    Accepted,
    /// Somebody was quicker: decide again.
    Lost,
}

/// What was kept when a remote's rewritten history was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The reference that keeps it, with the reason.
    pub name: String,
    pub old: String,
    pub new: String,
}

/// Where this clone and its remote stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    pub local: Option<String>,
    pub shared: Option<String>,
    /// Commits that came.
    pub received: usize,
    /// Commits that went.
    pub sent: usize,
}

impl Ledger {
    /// Brings what others recorded; sends what was recorded before the ledger was shared.
    ///
    /// # Errors
    /// What the remote says; a remote that lost what was seen there, or has another history.
    pub fn sync(&self) -> Result<Synced, LedgerError> {
        let Some(remote) = &self.remote else { return self.as_last_seen() };
        let lock = self.lock()?;
        let (before, known) = (self.store.tip()?, self.store.resolve(&remote.reference())?);
        self.catch_up(remote, &lock)?;
        let now = self.store.tip()?;
        // Every new commit is checked as it arrives.
        self.snapshot()?;
        let shared = self.store.resolve(&remote.reference())?;
        Ok(Synced {
            local: now.map(|tip| tip.to_string()),
            shared: shared.map(|tip| tip.to_string()),
            received: self.between(before, now)?,
            sent: match before == now && known != shared {
                true => self.between(known, now)?,
                false => 0,
            },
        })
    }

    /// Takes the remote's history for this clone's, although it lost what was seen there: somebody
    /// decided that the remote is right. What this clone had stays, under a name of its own with
    /// the reason.
    ///
    /// # Errors
    /// What the remote says; when there is nothing to accept, or nothing there to take.
    pub fn accept_rewrite(&self, reason: &str, moment: &Moment) -> Result<Rescued, LedgerError> {
        let Some(remote) = &self.remote else {
            return Err(LedgerError::Invalid("this ledger is for this clone only".into()));
        };
        let _lock = self.lock()?;
        let old = self.store.tip()?.ok_or(LedgerError::NoLedger)?;
        match remote.fetch(&self.store) {
            Err(LedgerError::Rewritten { how: Rewrite::CutTail | Rewrite::Rewritten, .. }) => {}
            Ok(Some(shared)) if !self.store.on_line(shared, old, usize::MAX)? => {}
            Ok(_) => {
                let why =
                    format!("{} contains what this clone has: nothing to accept", remote.name);
                return Err(LedgerError::Invalid(why));
            }
            Err(error) => return Err(error),
        }
        let new = remote.fetch_anew(&self.store)?.ok_or(LedgerError::NoLedger)?;
        self.check_is_ledger(new)?;
        let name = format!("refs/stepseal/rescued/{}", &old.to_string()[..12]);
        let tag = object::format_tag(old, &name, moment, reason);
        let tag = self.store.write(ObjectType::Tag, &tag)?;
        match self.store.swap_named(&name, None, tag, "stepseal: rescued") {
            Swap::Moved | Swap::Lost { locked: false } => {}
            Swap::Lost { locked: true } => return Err(LedgerError::Contended { tries: 1 }),
            Swap::Unknown(why) => {
                return Err(LedgerError::Git { doing: "keeping what this clone had".into(), why });
            }
        }
        // Kept first: only then this clone forgets what it saw.
        self.cache.forget_seen();
        self.advance(Some(old), new)?;
        self.snapshot()?;
        Ok(Rescued { name, old: old.to_string(), new: new.to_string() })
    }

    /// The ends of attempts that stand in a commit of another history and not in this one: their
    /// bytes, by item and attempt.
    ///
    /// # Errors
    /// When that commit cannot be read.
    pub fn ends_of(&self, commit: &str) -> Result<Vec<(ItemId, AttemptId, Vec<u8>)>, LedgerError> {
        let oid = Oid::from_str(commit).map_err(|_| LedgerError::Invalid("no commit".into()))?;
        let there = Snapshot::at(&self.store, &self.cache, oid)?;
        let here = self.snapshot()?;
        let mut ends = Vec::new();
        for item in there.item_ids()? {
            for entry in there.item_history(&item, Direction::OldestFirst)? {
                let entry = entry?;
                let ends_one = matches!(
                    entry.named.kind,
                    EventKind::AttemptCompleted
                        | EventKind::AttemptFailed
                        | EventKind::AttemptRejected
                );
                if !ends_one {
                    continue;
                }
                let (sealed, bytes) = there.read_whole(&entry)?;
                let same = tree::file(&self.store, here.root, &sealed.path)?;
                if let (Some(attempt), true) =
                    (sealed.event.attempt_id, same.as_ref() != Some(&bytes))
                {
                    ends.push((item.clone(), attempt, bytes));
                }
            }
        }
        Ok(ends)
    }

    /// Where both stood when the remote was last asked.
    ///
    /// # Errors
    /// When a branch cannot be read.
    pub fn as_last_seen(&self) -> Result<Synced, LedgerError> {
        let shared = match &self.remote {
            Some(remote) => self.store.resolve(&remote.reference())?,
            None => None,
        };
        Ok(Synced {
            local: self.store.tip()?.map(|tip| tip.to_string()),
            shared: shared.map(|tip| tip.to_string()),
            received: 0,
            sent: 0,
        })
    }

    /// How many commits lead from one to the other.
    fn between(&self, from: Option<Oid>, to: Option<Oid>) -> Result<usize, LedgerError> {
        let (mut at, mut count) = (to, 0);
        while let Some(commit) = at.filter(|at| Some(*at) != from) {
            count += 1;
            at = self.store.commit(commit)?.parents.first().copied();
        }
        Ok(count)
    }

    /// The remote this ledger is shared through, by name.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_ref().map(|remote| remote.name.as_str())
    }

    /// Brings what the remote has, and moves this clone's branch to it: what is decided next is
    /// decided on the shared state. What only this clone has is pushed, once: it was made before
    /// the ledger was shared.
    ///
    /// The caller holds the writer lock.
    pub(super) fn catch_up(&self, remote: &Remote, lock: &WriterLock) -> Result<(), LedgerError> {
        for lost in 0..=remote.sharing.tries {
            let shared = match remote.fetch(&self.store) {
                // A git that was killed left it there.
                Err(LedgerError::Remote { said, .. })
                    if said.contains(".lock")
                        && lock
                            .clear_stale(&self.store.common().join(remote.reference()))
                            .is_some() =>
                {
                    continue;
                }
                fetched => fetched?,
            };
            let local = self.store.tip()?;
            match (local, shared) {
                (Some(local), Some(shared)) if local == shared => return Ok(()),
                (Some(local), Some(shared)) if self.store.on_line(shared, local, usize::MAX)? => {
                    self.advance(Some(local), shared)?;
                    return Ok(());
                }
                (None, Some(shared)) => {
                    self.advance(None, shared)?;
                    return Ok(());
                }
                (Some(local), shared) => {
                    if let Some(shared) = shared
                        && !self.store.on_line(local, shared, usize::MAX)?
                    {
                        return Err(LedgerError::Forked {
                            remote: remote.name.clone(),
                            local: local.to_string(),
                            shared: shared.to_string(),
                        });
                    }
                    match self.share(remote, shared, local)? {
                        Shared::Accepted => return Ok(()),
                        Shared::Lost => back_off(lost, chance(local)),
                    }
                }
                (None, None) => return Err(LedgerError::NoLedger),
            }
        }
        Err(LedgerError::Contended { tries: remote.sharing.tries })
    }

    /// Moves this clone's branch to what the remote has; whoever moved it meanwhile holds no lock
    /// of ours, and the next command looks again.
    fn advance(&self, local: Option<Oid>, shared: Oid) -> Result<(), LedgerError> {
        match self.store.swap(local, shared, "stepseal: from the remote") {
            Swap::Moved => Ok(()),
            Swap::Lost { .. } if self.store.tip()? == Some(shared) => Ok(()),
            Swap::Lost { .. } => Err(LedgerError::Contended { tries: 1 }),
            Swap::Unknown(why) => Err(LedgerError::Git { doing: "moving the branch".into(), why }),
        }
    }

    /// Pushes a commit that was decided on `old`, and finds out what became of it.
    ///
    /// # Errors
    /// What the remote says; or unknown, where it may have the commit and cannot be asked.
    pub(super) fn share(
        &self,
        remote: &Remote,
        old: Option<Oid>,
        new: Oid,
    ) -> Result<Shared, LedgerError> {
        let refused =
            |trouble, said| Err(LedgerError::Remote { remote: remote.name.clone(), trouble, said });
        match remote.push(old, new)? {
            Pushed::Accepted => {}
            Pushed::Lost => return Ok(Shared::Lost),
            Pushed::Refused(said) => return refused(Trouble::Refused, said),
            Pushed::Unclear(trouble, said) => {
                // The answer may be lost, and the commit there all the same.
                let unknown = |error: &LedgerError| LedgerError::Unknown {
                    why: format!("{}: {said}; {error}", remote.name),
                };
                let shared = remote.fetch(&self.store).map_err(|error| unknown(&error))?;
                let there = match shared {
                    Some(shared) => self.store.on_line(shared, new, 10_000),
                    None => Ok(false),
                };
                if !there.map_err(|error| unknown(&error))? {
                    return refused(trouble, said);
                }
            }
        }
        // Only what the next fetch would say: it may be further already.
        drop(self.store.swap_named(&remote.reference(), old, new, "stepseal: accepted"));
        Ok(Shared::Accepted)
    }

    /// Waits before a push that lost the race is decided and tried again; an error once it was
    /// tried often enough.
    pub(super) fn lost_to_others(
        &self,
        remote: &Remote,
        lost: u32,
        draft: Oid,
    ) -> Result<(), LedgerError> {
        if lost >= remote.sharing.tries {
            return Err(LedgerError::Contended { tries: lost });
        }
        back_off(lost, chance(draft));
        Ok(())
    }
}

/// Chance that differs between clones: a commit that nobody else made.
fn chance(commit: Oid) -> u64 {
    commit.as_bytes().iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by_git(output: &str, exit_code: i32) -> Pushed {
        let ended = Ended {
            exit_code,
            timed_out: exit_code == 124,
            interrupted: false,
            duration: Duration::ZERO,
            output_sha256: [0; 32],
            output: output.to_owned(),
        };
        pushed(&ended, "refs/heads/stepseal-ledger", Duration::from_secs(1))
    }

    /// What git 2.47 prints, word for word.
    #[test]
    fn every_answer_to_a_push_is_told_apart() {
        let to = "0123456789012345678901234567890123456789:refs/heads/stepseal-ledger";
        let line =
            |flag: &str, summary: &str| format!("To ../r.git\n{flag}\t{to}\t{summary}\nDone\n");
        for (flag, summary) in
            [(" ", "5be79ac..c443d45"), ("*", "[new branch]"), ("=", "[up to date]")]
        {
            let pushed = said_by_git(&line(flag, summary), 0);
            assert!(matches!(pushed, Pushed::Accepted), "{flag} {summary}: {pushed:?}");
        }
        for summary in [
            "[rejected] (stale info)",
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[remote rejected] (cannot lock ref 'refs/heads/stepseal-ledger': is at 1 but expected 2)",
            "[remote rejected] (failed to update ref)",
            "[remote rejected] (incorrect old value provided)",
        ] {
            let pushed = said_by_git(&line("!", summary), 1);
            assert!(matches!(pushed, Pushed::Lost), "{summary}: {pushed:?}");
        }
        for (reason, told) in [
            ("pre-receive hook declined", "remote: no pushes today"),
            (
                "protected branch hook declined",
                "remote: error: GH006: Protected branch update failed",
            ),
            (
                "push declined due to repository rule violations",
                "remote: error: GH013: Repository rule violations found",
            ),
        ] {
            let output = format!("{told}\n{}", line("!", &format!("[remote rejected] ({reason})")));
            match said_by_git(&output, 1) {
                Pushed::Refused(said) => assert!(said.contains(told) && said.contains(reason)),
                other => panic!("{reason}: {other:?}"),
            }
        }
        for (output, exit, kind) in [
            ("fatal: Authentication failed for 'http://x/'", 128, Trouble::Credentials),
            (
                "x@y: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                128,
                Trouble::Credentials,
            ),
            (
                "fatal: unable to access 'http://x/': Could not resolve host: x",
                128,
                Trouble::Unreachable,
            ),
            ("fatal: the remote end hung up unexpectedly", 128, Trouble::Unreachable),
            ("fatal: 'nowhere' does not appear to be a git repository", 128, Trouble::NoRemote),
            ("", 124, Trouble::TimedOut),
        ] {
            match said_by_git(output, exit) {
                Pushed::Unclear(trouble, _) => assert_eq!(trouble, kind, "{output}"),
                other => panic!("{output}: {other:?}"),
            }
        }
        // A server's words are no answer, whatever they look like.
        let forged = format!("remote:  \t{to}\t1..2\n");
        assert!(matches!(said_by_git(&forged, 128), Pushed::Unclear(..)));
    }
}
