//! Whether work is on the base branch, and whether a commit undoes it again (B1, B2).
//!
//! git is asked and writes nothing: the one object that a comparison needs is made in a folder
//! that goes away.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::git::Git;
use crate::domain::decide::{OnBase, Work};
use crate::domain::event::{Landed, LandedVerdict};
use crate::domain::id::Digest;

/// How long all the questions about one item may take together.
const LIMIT: Duration = Duration::from_secs(30);

/// The most changed paths that are compared one by one.
const PATHS: usize = 1000;

/// Why a branch or a commit cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("there is no commit `{}` in this repository", named.escape_debug())]
    UnknownCommit { named: String, shallow: bool },
    #[error("there is no branch `{}` in this repository", named.escape_debug())]
    UnknownBranch { named: String },
    #[error("this repository does not say which branch is its base")]
    NoBase,
}

/// Paths that differ between two commits, with the blob on each side; zeros where there is none.
type Changes = BTreeMap<String, (String, String)>;

/// The user's repository, as far as it says what is on the base branch.
#[derive(Debug)]
pub struct Base {
    git: Git,
    shallow: bool,
}

impl Base {
    /// Looks at the repository of a folder.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        let git = Git::new(dir, LIMIT);
        // Paths are asked for as the repository has them, from wherever the command runs.
        let git = match git.line(&["rev-parse", "--show-toplevel"]) {
            Some(top) => Git::new(Path::new(&top), LIMIT),
            None => git,
        };
        let shallow = git.line(&["rev-parse", "--is-shallow-repository"]);
        Self { git, shallow: shallow.as_deref() == Some("true") }
    }

    /// The commit somebody names, on the base branch somebody names: a local branch before a
    /// remote-tracking one. Without a name it is the branch that `origin` calls its default, else
    /// git's `init.defaultBranch`, `main` or `master`, the first that is there.
    ///
    /// # Errors
    /// Where there is no such commit or branch, or no base branch at all.
    pub fn place(&self, commit: &str, branch: Option<&str>) -> Result<OnBase, CodeError> {
        let (branch, tip) = self.branch(branch)?;
        let unknown =
            || CodeError::UnknownCommit { named: commit.to_owned(), shallow: self.shallow };
        let commit = self.commit(commit).ok_or_else(unknown)?;
        let reached = match self.reaches(&commit, &tip) {
            // The way there may be what this clone leaves out.
            Some(false) if self.shallow => None,
            reached => reached,
        };
        Ok(OnBase { commit, branch, reached })
    }

    fn branch(&self, named: Option<&str>) -> Result<(String, String), CodeError> {
        let at = |name: &str, full: String| Some((name.to_owned(), self.commit(&full)?));
        let find = |name: &str| {
            let folders = ["refs/heads/", "refs/remotes/"];
            folders.iter().find_map(|folder| at(name, format!("{folder}{name}")))
        };
        if let Some(named) = named {
            let named = named.strip_prefix("refs/heads/").unwrap_or(named);
            return find(named).ok_or_else(|| CodeError::UnknownBranch { named: named.to_owned() });
        }
        let origin = self.git.line(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
        let origin = origin.as_deref().and_then(|full| full.strip_prefix("refs/remotes/"));
        let configured = self.git.line(&["config", "--get", "init.defaultBranch"]);
        let usual = [origin, configured.as_deref(), Some("main"), Some("master")];
        usual.into_iter().flatten().find_map(find).ok_or(CodeError::NoBase)
    }

    /// The whole id of a commit, where it is here.
    fn commit(&self, named: &str) -> Option<String> {
        let peeled = format!("{named}^{{commit}}");
        let ask = ["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled];
        let id = self.git.line(&ask)?;
        (id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }

    fn reaches(&self, commit: &str, from: &str) -> Option<bool> {
        self.git.holds(&["merge-base", "--is-ancestor", commit, from])
    }

    /// Says of each work whether it is in a commit, and how that was seen.
    #[must_use]
    pub fn landed(&self, works: &[Work], commit: &str) -> Vec<Landed> {
        let heads: Vec<&str> = works.iter().filter_map(|work| work.head.as_deref()).collect();
        let of = |work: &Work| {
            let (verdict, how) = self.verdict(work, &heads, commit);
            let (verdict, how) = match verdict {
                // A "no" is none when there was no time to look everywhere.
                LandedVerdict::NotLanded | LandedVerdict::Unknown if !self.git.in_time() => {
                    let limit = LIMIT.as_secs();
                    (LandedVerdict::Unknown, format!("git took longer than {limit} s"))
                }
                verdict => (verdict, how),
            };
            Landed { attempt_id: work.attempt.clone(), verdict, how }
        };
        works.iter().map(of).collect()
    }

    fn verdict(&self, work: &Work, heads: &[&str], commit: &str) -> (LandedVerdict, String) {
        let (by_code, how) = self.by_code(work, heads, commit);
        if by_code == LandedVerdict::Landed || work.outputs.is_empty() {
            return (by_code, how);
        }
        // What was said to be produced was recorded by content, whatever the commit was.
        match self.by_outputs(&work.outputs, commit) {
            found @ (LandedVerdict::Landed, _) => found,
            // Without code the outputs are all there is to go by.
            found if by_code == LandedVerdict::Unknown && work.head.is_none() => found,
            (_, also) => (by_code, format!("{how}; {also}")),
        }
    }

    fn by_code(&self, work: &Work, heads: &[&str], commit: &str) -> (LandedVerdict, String) {
        use LandedVerdict::{Landed, NotLanded, Unknown};
        let Some(head) = work.head.as_deref() else {
            return (Unknown, "it is not on record which code it saw".into());
        };
        let no = |verdict, how: String| (verdict, how);
        if self.commit(head).is_none() {
            return no(Unknown, format!("its commit {} is not in this clone", short(head)));
        }
        let start = work.start.as_deref().filter(|start| self.commit(start).is_some());
        // Nothing was committed in between where the claim saw this commit, or a later one.
        let stood =
            start.is_some_and(|start| start == head || self.reaches(head, start) == Some(true));
        if stood {
            return match work.dirty {
                Some(false) if work.outputs.is_empty() => {
                    (Landed, "it changed nothing: there is nothing to land".into())
                }
                Some(false) => (Unknown, "it committed nothing".into()),
                Some(true) => (Unknown, "what it changed was not committed".into()),
                None => {
                    (Unknown, "it committed nothing, and its work tree was not looked at".into())
                }
            };
        }
        let dirty = if work.dirty == Some(true) {
            "; what it had not committed was not looked for"
        } else {
            ""
        };
        let yes = |how: String| (Landed, format!("{how}{dirty}"));
        // What an integration that was reverted had brought is in the history, and not there.
        let undone = work.undone_by.as_deref();
        let gone = undone.is_some_and(|undone| self.reaches(head, undone) == Some(true));
        if !gone && self.reaches(head, commit) == Some(true) {
            return match start {
                Some(_) => yes(format!("its commit {} is in the history", short(head))),
                // Without the claim's commit this may be where the work began.
                None if work.start.is_none() => {
                    (Unknown, "it is not on record where it began".into())
                }
                None => (Unknown, "the commit it began at is not in this clone".into()),
            };
        }
        // What the branch has that the base has not, and what this step did of it.
        let fork = self.git.line(&["merge-base", head, commit]);
        let own = start.and_then(|start| self.git.line(&["merge-base", start, head]));
        let Some(from) = own.or_else(|| fork.clone()) else {
            return no(Unknown, "it has no history in common with the base branch".into());
        };
        let changed = self.changes(&from, head);
        if changed.as_ref().is_some_and(BTreeMap::is_empty) {
            return yes("its commits change nothing".into());
        }
        if let Some(how) = self.on_base(&from, head, commit, undone) {
            return yes(how);
        }
        if fork.as_ref().is_some_and(|fork| *fork != from)
            && let Some(how) = self.whole(head, commit, undone)
        {
            return yes(format!("with its whole branch: {how}"));
        }
        // A later completion may contain it, and have landed as one; what went away with a revert
        // is in the history of all that came after, and in none of it.
        let later = heads.iter().filter(|later| **later != head && !gone);
        for later in later {
            if self.commit(later).is_some()
                && self.reaches(head, later) == Some(true)
                && let Some(how) = self.whole(later, commit, undone)
            {
                return yes(format!("with {}, which contains it: {how}", short(later)));
            }
        }
        if self.shallow {
            return no(Unknown, "this clone is shallow, and what it has does not show it".into());
        }
        let Some(changed) = changed else {
            return no(Unknown, "what it changed is too much to compare".into());
        };
        match self.differing(&changed, head, commit) {
            Some(differing) => {
                let first = differing.first().map_or("", String::as_str);
                let of = changed.len();
                let how = format!(
                    "{} of {of} changed paths {} on the base as it left them, such as {}",
                    differing.len(),
                    if differing.len() == 1 { "is not" } else { "are not" },
                    clip(first)
                );
                no(NotLanded, how)
            }
            None => no(Unknown, "what it changed could not be compared".into()),
        }
    }

    /// What a branch has since it left the base, as one change or path by path.
    fn whole(&self, head: &str, commit: &str, undone: Option<&str>) -> Option<String> {
        let fork = self.git.line(&["merge-base", head, commit])?;
        if fork == head {
            return None;
        }
        self.on_base(&fork, head, commit, undone)
    }

    /// A range of commits that is on the base without being in its history.
    fn on_base(
        &self,
        from: &str,
        head: &str,
        commit: &str,
        undone: Option<&str>,
    ) -> Option<String> {
        let changed = self.changes(from, head)?;
        if changed.is_empty() {
            return None;
        }
        if self.as_one(from, head, commit, undone) == Some(true) {
            return Some("one commit makes the same change".into());
        }
        if let Some(count) = self.one_by_one(from, head, commit, undone) {
            return Some(format!("each of its {count} commits has an equal one there"));
        }
        let differing = self.differing(&changed, head, commit)?;
        let paths = changed.len();
        differing.is_empty().then(|| match paths {
            1 => "the path it changed is as it left it".to_owned(),
            paths => format!("the {paths} paths it changed are as it left them"),
        })
    }

    /// Paths that differ between two commits, renames as what they are made of.
    fn changes(&self, from: &str, to: &str) -> Option<Changes> {
        let ask = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", from, to];
        raw(&self.git.text(&ask, &[])?)
    }

    /// Which of the changed paths a commit does not have as another one left them.
    fn differing(&self, changed: &Changes, head: &str, commit: &str) -> Option<Vec<String>> {
        if changed.len() > PATHS {
            return None;
        }
        let mut ask = vec!["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev"];
        ask.extend([head, commit, "--"]);
        ask.extend(changed.keys().map(String::as_str));
        let found = raw(&self.git.text(&ask, &[])?)?;
        // A mode alone is no content, and a path names a folder's files too.
        let other = |path: &&String| found.get(*path).is_some_and(|(left, there)| left != there);
        Some(changed.keys().filter(other).cloned().collect())
    }

    /// Whether one commit of the base makes the whole change of a range.
    fn as_one(&self, from: &str, head: &str, commit: &str, undone: Option<&str>) -> Option<bool> {
        let objects = Aside::of(&self.git)?;
        let one = objects.commit(&self.git, head, from)?;
        let equal = self.cherry(commit, &one, &[Some(from), undone], &objects.env)?;
        Some(equal == [true])
    }

    /// How many commits a range has, where each has an equal one on the base. What a merge brings
    /// beside its parents is seen by no comparison of commits, so a range with merges has none.
    fn one_by_one(
        &self,
        from: &str,
        head: &str,
        commit: &str,
        undone: Option<&str>,
    ) -> Option<usize> {
        let range = [head.to_owned(), format!("^{from}"), format!("^{commit}")];
        let merges = ["rev-list", "--merges", "--max-count=1", &range[0], &range[1], &range[2]];
        if !self.git.text(&merges, &[])?.is_empty() {
            return None;
        }
        let equal = self.cherry(commit, head, &[Some(from), undone], &[])?;
        (!equal.is_empty() && equal.iter().all(|equal| *equal)).then_some(equal.len())
    }

    /// For each commit that a head has and neither the base nor what is left out has, whether the
    /// base has an equal one outside of that, by git's patch id: the change without line numbers
    /// and white space.
    fn cherry(
        &self,
        base: &str,
        head: &str,
        without: &[Option<&str>],
        env: &[(String, String)],
    ) -> Option<Vec<bool>> {
        let both = format!("{base}...{head}");
        let without: Vec<String> =
            without.iter().flatten().map(|commit| format!("^{commit}")).collect();
        let mut ask = vec!["rev-list", "--cherry-mark", "--right-only", "--no-merges", &both];
        ask.extend(without.iter().map(String::as_str));
        let text = self.git.text(&ask, env)?;
        let equal = |line: &str| match line.as_bytes().first()? {
            b'=' => Some(true),
            b'+' => Some(false),
            _ => None,
        };
        text.lines().map(equal).collect()
    }

    /// Whether a commit has every output, byte for byte.
    fn by_outputs(
        &self,
        outputs: &[(String, Digest, u64)],
        commit: &str,
    ) -> (LandedVerdict, String) {
        for (path, sha256, _) in outputs {
            let blob = format!("{commit}:{path}");
            // Its digest is that of all of it, however long it is.
            match self.git.run(&["cat-file", "blob", &blob], &[]) {
                Some(found) if found.exit_code != 0 => {
                    return (
                        LandedVerdict::NotLanded,
                        format!("its output {} is not there", clip(path)),
                    );
                }
                Some(found) if found.output_sha256 != sha256.to_bytes() => {
                    let how = format!("its output {} has other bytes there", clip(path));
                    return (LandedVerdict::Unknown, how);
                }
                Some(_) => {}
                None => return (LandedVerdict::Unknown, "its outputs could not be read".into()),
            }
        }
        let how = match outputs.len() {
            1 => "its output is there, byte for byte".to_owned(),
            count => format!("its {count} outputs are there, byte for byte"),
        };
        (LandedVerdict::Landed, how)
    }

    /// Whether a commit undoes an integration, and how that was seen, or why it was not.
    #[must_use]
    pub fn undoes(&self, revert: &str, integrated: &str, works: &[Work]) -> (bool, String) {
        let no = |how: &str| (false, how.to_owned());
        if self.commit(integrated).is_none() {
            return (false, format!("{} is not in this clone", short(integrated)));
        }
        if revert == integrated || self.reaches(integrated, revert) != Some(true) {
            return (false, format!("it does not come after {}", short(integrated)));
        }
        let parent = format!("{integrated}^1");
        let merged = self.commit(&parent).and_then(|parent| self.changes(&parent, integrated));
        let Some(changed) = self.before(works, merged.as_ref()) else {
            return no("what was integrated could not be compared");
        };
        if changed.is_empty() {
            return no("nothing is known of what the item changed");
        }
        let Some(left) = self.not_restored(&changed, revert) else {
            return no("what was integrated could not be compared");
        };
        if left.is_empty() {
            return (true, "every path the item changed is as it was before".into());
        }
        // Where others changed the same paths, the change itself may still be taken back.
        let covered = merged.is_some_and(|merged| changed.keys().all(|p| merged.contains_key(p)));
        if covered && self.taken_back(integrated, &parent, revert) == Some(true) {
            return (true, format!("a commit takes the change of {} back", short(integrated)));
        }
        let first = left.first().map_or("", String::as_str);
        (false, format!("{} is not as it was before the item", clip(first)))
    }

    /// Every path an item changed, with the blob it had before: by its completions where their
    /// commits are here, and by the commit that integrated it where one is not.
    fn before(&self, works: &[Work], merged: Option<&Changes>) -> Option<BTreeMap<String, String>> {
        let mut works: Vec<&Work> = works.iter().collect();
        works.sort_by_key(|work| work.at);
        let (mut before, mut whole) = (BTreeMap::new(), true);
        for work in works {
            let (Some(start), Some(head)) = (&work.start, &work.head) else {
                whole = false;
                continue;
            };
            if start == head {
                whole &= work.dirty == Some(false);
                continue;
            }
            let from = self.git.line(&["merge-base", start, head]);
            match from.and_then(|from| self.changes(&from, head)) {
                Some(changed) => {
                    for (path, (was, _)) in changed {
                        before.entry(path).or_insert(was);
                    }
                }
                None => whole = false,
            }
        }
        if !whole || before.is_empty() {
            for (path, (was, _)) in merged? {
                before.entry(path.clone()).or_insert_with(|| was.clone());
            }
        }
        Some(before)
    }

    /// Which paths a commit does not have as they were.
    fn not_restored(&self, before: &BTreeMap<String, String>, commit: &str) -> Option<Vec<String>> {
        if before.len() > PATHS {
            return None;
        }
        let mut ask = vec!["ls-tree", "-r", "-z", "--full-tree", commit, "--"];
        ask.extend(before.keys().map(String::as_str));
        let text = self.git.text(&ask, &[])?;
        let mut now = BTreeMap::new();
        for entry in text.split_terminator('\0') {
            let (meta, path) = entry.split_once('\t')?;
            now.insert(path, meta.split(' ').nth(2)?);
        }
        let other = |(path, was): &(&String, &String)| match now.get(path.as_str()) {
            Some(now) => *now != was.as_str(),
            None => !none(was),
        };
        Some(before.iter().filter(other).map(|(path, _)| path.clone()).collect())
    }

    /// Whether a commit up to this one is the inverse of another (`git revert`).
    fn taken_back(&self, commit: &str, parent: &str, until: &str) -> Option<bool> {
        let objects = Aside::of(&self.git)?;
        let inverse = objects.commit(&self.git, parent, commit)?;
        Some(self.cherry(until, &inverse, &[Some(commit)], &objects.env)? == [true])
    }
}

/// A folder of objects beside the repository's own, which it is read with and which goes away.
struct Aside {
    _folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Aside {
    fn of(git: &Git) -> Option<Self> {
        let objects =
            git.line(&["rev-parse", "--path-format=absolute", "--git-path", "objects"])?;
        let folder = tempfile::tempdir().ok()?;
        let info = folder.path().join("info");
        std::fs::create_dir(&info).ok()?;
        std::fs::write(info.join("alternates"), format!("{objects}\n")).ok()?;
        let mut env = vec![("GIT_OBJECT_DIRECTORY".to_owned(), folder.path().to_str()?.to_owned())];
        for who in ["AUTHOR", "COMMITTER"] {
            env.push((format!("GIT_{who}_NAME"), "stepseal".into()));
            env.push((format!("GIT_{who}_EMAIL"), "stepseal@localhost".into()));
            env.push((format!("GIT_{who}_DATE"), "2000-01-01T00:00:00Z".into()));
        }
        Some(Self { _folder: folder, env })
    }

    /// A commit with one's tree on another: their difference as one change.
    fn commit(&self, git: &Git, tree_of: &str, parent: &str) -> Option<String> {
        let tree = format!("{tree_of}^{{tree}}");
        let made = git.text(&["commit-tree", &tree, "-p", parent, "-m", "one"], &self.env)?;
        Some(made.trim().to_owned())
    }
}

/// Reads `git diff-tree -r -z --raw`: `:MODE MODE BLOB BLOB STATUS`, then the path.
fn raw(text: &str) -> Option<Changes> {
    let mut changes = Changes::new();
    let mut parts = text.split_terminator('\0');
    while let Some(meta) = parts.next() {
        let mut words = meta.strip_prefix(':')?.split(' ').skip(2);
        let (was, is) = (words.next()?, words.next()?);
        changes.insert(parts.next()?.to_owned(), (was.to_owned(), is.to_owned()));
    }
    Some(changes)
}

/// Whether a blob's id says that there is none.
fn none(blob: &str) -> bool {
    blob.bytes().all(|byte| byte == b'0')
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// A path as part of a sentence.
fn clip(path: &str) -> String {
    path.chars().take(200).collect()
}
