//! THE PEN. Signs with the user's ssh key: in this process where the private key can be read as
//! it stands, else by `ssh-keygen`, which asks the agent or the hardware. Nobody is ever asked
//! for a passphrase.
//!
//! What is not here: what is signed, or whether the key may sign it.
#![expect(clippy::disallowed_methods, reason = "the adapter for key files")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ssh_key::private::KeypairData;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::artifact::{BadKey, BadSignature, NAMESPACE, check_signature, named, public_key};
use crate::domain::id::{Fingerprint, SSH_ALGORITHMS, SshKey};
use crate::process::{self, Program};

/// How long `ssh-keygen` may take: an agent or a touch, never a person at a prompt.
const LIMIT: Duration = Duration::from_secs(10);

/// The most bytes a key file has.
const KEY_FILE: u64 = 64 * 1024;

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error("no signing key is configured")]
    NoKey {
        /// git has a key, but one that is not ssh's.
        other_format: Option<String>,
    },
    #[error("the signing key {} is not there ({from})", path.display())]
    Missing { path: PathBuf, from: String },
    #[error("the signing key {} cannot be read: {why} ({from})", path.display())]
    Unreadable { path: PathBuf, why: String, from: String },
    #[error("the signing key {place} cannot sign: {why} ({from})")]
    BadKey { place: String, why: BadKey, from: String },
    #[error("the private key {} can be read by others, so it is not used", path.display())]
    Exposed { path: PathBuf },
    #[error("ssh-keygen is needed for this key and cannot be started: {why}")]
    NoProgram { why: String },
    #[error("ssh-keygen did not sign with {fingerprint}: {why}")]
    Refused { fingerprint: Fingerprint, why: String, add: Option<PathBuf> },
    #[error("ssh-keygen did not sign with {fingerprint} within {} s", LIMIT.as_secs())]
    TimedOut { fingerprint: Fingerprint, add: Option<PathBuf> },
    #[error("what ssh-keygen signed with {fingerprint} does not hold: {why}")]
    Unsound { fingerprint: Fingerprint, why: BadSignature },
    #[error("signing with {fingerprint} failed: {why}")]
    Failed { fingerprint: Fingerprint, why: String },
}

/// Which key the user means, in the user's own words, and who says so.
#[derive(Debug, Clone)]
pub struct KeyName {
    /// A path, or `key::` and a public key, as git understands them.
    pub text: String,
    pub from: String,
}

/// Why a seal went unsigned, where somebody should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// The ledger has keys; this clone does not sign.
    NotAsked,
    /// This clone signs; the ledger has no key yet.
    NoKeyYet,
}

/// How this clone signs; by default it does not.
#[derive(Debug, Default)]
pub struct Signing {
    on: bool,
    key: Option<KeyName>,
    /// git's `gpg.format`, where it is not ssh and so gives no key.
    other_format: Option<String>,
    dir: PathBuf,
    home: Option<PathBuf>,
    pen: OnceLock<Pen>,
    left_out: Mutex<Option<LeftOut>>,
}

impl Signing {
    /// Takes the settings; no key is looked at before one is needed.
    #[must_use]
    pub fn new(
        on: bool,
        key: Option<KeyName>,
        other_format: Option<String>,
        dir: PathBuf,
        home: Option<PathBuf>,
    ) -> Self {
        let (pen, left_out) = (OnceLock::new(), Mutex::new(None));
        Self { on, key, other_format, dir, home, pen, left_out }
    }

    /// Whether seals are to be signed.
    #[must_use]
    pub fn on(&self) -> bool {
        self.on
    }

    /// The key, looked for once.
    ///
    /// # Errors
    /// Why there is none to sign with.
    pub fn pen(&self) -> Result<&Pen, NotSigned> {
        if let Some(pen) = self.pen.get() {
            return Ok(pen);
        }
        let pen = self.load()?;
        Ok(self.pen.get_or_init(|| pen))
    }

    /// The key, if it was looked for and found.
    #[must_use]
    pub fn known(&self) -> Option<&Pen> {
        self.pen.get()
    }

    /// Notes that a seal went unsigned.
    pub fn leave_out(&self, why: LeftOut) {
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why a seal went unsigned, if one did.
    #[must_use]
    pub fn left_out(&self) -> Option<LeftOut> {
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self) -> Result<Pen, NotSigned> {
        let Some(key) = &self.key else {
            return Err(NotSigned::NoKey { other_format: self.other_format.clone() });
        };
        let text = key.text.trim();
        let literal = text.strip_prefix("key::").or_else(|| {
            let algorithm = text.split(' ').next().unwrap_or_default();
            (SSH_ALGORITHMS.contains(&algorithm) || text.starts_with("ssh-")).then_some(text)
        });
        match literal {
            Some(literal) => {
                let (public, fingerprint) = public_key(literal).map_err(|why| {
                    let place = literal.split(' ').next().unwrap_or_default().to_owned();
                    NotSigned::BadKey { place, why, from: key.from.clone() }
                })?;
                Ok(Pen { public, fingerprint, how: How::Agent })
            }
            None => load_file(&self.path(text), &key.from),
        }
    }

    /// A leading `~/` is the home folder, as in git.
    fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.dir.join(text),
        }
    }
}

/// A key that can sign.
pub struct Pen {
    public: SshKey,
    fingerprint: Fingerprint,
    how: How,
}

/// Where the private half is.
enum How {
    Here(Box<PrivateKey>),
    /// For `ssh-keygen -f`: an encrypted private key, a hardware key's handle, or a public key
    /// whose private half the agent has.
    Program(PathBuf),
    /// Only the public key is known.
    Agent,
}

impl std::fmt::Debug for Pen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pen").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Pen {
    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &SshKey {
        &self.public
    }

    /// The public half's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Signs bytes, in the namespace of this program.
    ///
    /// # Errors
    /// Why there is no signature.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, NotSigned> {
        let signature = match &self.how {
            How::Here(private) => self.sign_here(private, bytes)?,
            How::Program(key) => self.sign_by_program(Some(key), bytes)?,
            How::Agent => self.sign_by_program(None, bytes)?,
        };
        // What will be checked by every reader is checked before it is written.
        check_signature(&signature, &self.public, bytes)
            .map_err(|why| NotSigned::Unsound { fingerprint: self.fingerprint.clone(), why })?;
        Ok(signature)
    }

    fn sign_here(&self, private: &PrivateKey, bytes: &[u8]) -> Result<Vec<u8>, NotSigned> {
        let failed = |error: ssh_key::Error| self.failed(&error);
        let signature = private.sign(NAMESPACE, HashAlg::Sha512, bytes).map_err(failed)?;
        let mut text = signature.to_pem(LineEnding::LF).map_err(failed)?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text.into_bytes())
    }

    fn sign_by_program(&self, key: Option<&Path>, bytes: &[u8]) -> Result<Vec<u8>, NotSigned> {
        let failed = |error: std::io::Error| self.failed(&error);
        let folder = tempfile::Builder::new().prefix("stepseal-sign-").tempdir().map_err(failed)?;
        let message = folder.path().join("seal.json");
        std::fs::File::create(&message)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(failed)?;
        // The empty passphrase keeps `ssh-keygen` from asking for one, also on a terminal.
        let mut argv: Vec<String> =
            ["ssh-keygen", "-Y", "sign", "-P", "", "-n", NAMESPACE].map(str::to_owned).to_vec();
        let file = match key {
            Some(key) => key.to_path_buf(),
            None => {
                argv.push("-U".into());
                let file = folder.path().join("key.pub");
                std::fs::write(&file, format!("{}\n", self.public)).map_err(failed)?;
                file
            }
        };
        argv.extend(["-f".into(), file.display().to_string(), message.display().to_string()]);
        let env = [("SSH_ASKPASS_REQUIRE", "never"), ("LC_ALL", "C")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let ended = process::run(&Program {
            argv: &argv,
            dir: folder.path(),
            env: &env,
            timeout: LIMIT,
            keep: 4096,
            interruptible: false,
        })
        .map_err(|error| NotSigned::NoProgram { why: error.why })?;
        // An agent may not have it loaded yet: adding it is the way out.
        let add = key.map(|key| match key.extension() {
            Some(extension) if extension == "pub" => key.with_extension(""),
            _ => key.to_path_buf(),
        });
        let fingerprint = self.fingerprint.clone();
        if ended.timed_out {
            return Err(NotSigned::TimedOut { fingerprint, add });
        }
        if ended.exit_code != 0 {
            let why = ended.output.lines().map(str::trim).rfind(|line| !line.is_empty());
            let why = why.unwrap_or("it does not say why").to_owned();
            return Err(NotSigned::Refused { fingerprint, why, add });
        }
        std::fs::read(message.with_added_extension("sig")).map_err(failed)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> NotSigned {
        NotSigned::Failed { fingerprint: self.fingerprint.clone(), why: error.to_string() }
    }
}

/// Finds out what a key file is, and how it signs.
fn load_file(path: &Path, from: &str) -> Result<Pen, NotSigned> {
    let bad = |why: BadKey| NotSigned::BadKey {
        place: path.display().to_string(),
        why,
        from: from.to_owned(),
    };
    let is_public = path.extension().is_some_and(|extension| extension == "pub");
    let private = if is_public { path.with_extension("") } else { path.to_path_buf() };
    let said = if is_public { Some(read_public(path, from)?) } else { None };
    let read = match read_private(&private) {
        Ok(read) => read,
        // The agent may have what is not here.
        Err(_) if is_public => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(NotSigned::Missing { path: private, from: from.to_owned() });
        }
        Err(error) => {
            let why = error.to_string();
            return Err(NotSigned::Unreadable { path: private, why, from: from.to_owned() });
        }
    };
    let by_program = |(public, fingerprint)| {
        Ok(Pen { public, fingerprint, how: How::Program(path.to_path_buf()) })
    };
    let Some(key) = read else {
        // A public key under a name of its own, or a private key in an older format beside its
        // public half.
        let beside = path.with_added_extension("pub");
        return match said {
            Some(said) => by_program(said),
            None if beside.exists() => by_program(read_public(&beside, from)?),
            None => by_program(read_public(path, from)?),
        };
    };
    let (public, fingerprint) = named(key.public_key()).map_err(bad)?;
    if let Some(said) = said.filter(|(said, _)| *said != public) {
        return by_program(said);
    }
    let hardware =
        matches!(key.key_data(), KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_));
    if key.is_encrypted() || hardware {
        return by_program((public, fingerprint));
    }
    if is_exposed(&private) {
        return Err(NotSigned::Exposed { path: private });
    }
    Ok(Pen { public, fingerprint, how: How::Here(Box::new(key)) })
}

fn read_public(path: &Path, from: &str) -> Result<(SshKey, Fingerprint), NotSigned> {
    let text = match std::fs::metadata(path) {
        Ok(about) if about.len() > KEY_FILE => Ok(String::new()),
        Ok(_) => std::fs::read_to_string(path),
        Err(error) => Err(error),
    };
    let from = from.to_owned();
    match text {
        Ok(text) => public_key(&text).map_err(|why| {
            let place = path.display().to_string();
            // Something private that is of no format read here.
            let why = if why == BadKey::Private { BadKey::NotAKey } else { why };
            NotSigned::BadKey { place, why, from }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(NotSigned::Missing { path: path.to_path_buf(), from })
        }
        Err(error) => {
            Err(NotSigned::Unreadable { path: path.to_path_buf(), why: error.to_string(), from })
        }
    }
}

/// A private key in OpenSSH's format; nothing when the file holds something else.
fn read_private(path: &Path) -> std::io::Result<Option<PrivateKey>> {
    let about = std::fs::metadata(path)?;
    if about.len() > KEY_FILE || !about.is_file() {
        return Ok(None);
    }
    match PrivateKey::read_openssh_file(path) {
        Ok(key) => Ok(Some(key)),
        Err(ssh_key::Error::Io(kind)) if kind != std::io::ErrorKind::InvalidData => {
            Err(kind.into())
        }
        Err(_) => Ok(None),
    }
}

/// As ssh sees it: a private key of one's own that others can read is not private.
#[cfg(unix)]
fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|about| {
        about.mode() & 0o077 != 0 && about.uid() == rustix::process::getuid().as_raw()
    })
}

#[cfg(not(unix))]
fn is_exposed(_path: &Path) -> bool {
    false
}
