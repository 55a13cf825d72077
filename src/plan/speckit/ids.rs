//! Task ids: how they are spelled, how they sort, how they become keys.

/// The longest step key of the key grammar.
const LONGEST_KEY: usize = 64;

/// How a plan names its tasks when it speaks of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `T012`.
    #[default]
    Ids,
    /// `Task 3.6`, `TASK-001`, `T2-003`, as plans without task ids number their units.
    Units,
}

impl Spelling {
    /// Reads the name of one task at the start of a text: its length in bytes and the id.
    pub(super) fn lex(self, text: &str) -> Option<(usize, String)> {
        if self == Self::Units
            && let Some(unit) = unit(text)
            && !unit.several
        {
            return Some((unit.length, unit.id));
        }
        let length = lex(text)?;
        Some((length, text[..length].to_owned()))
    }
}

/// A numbered unit that a text names: `Task 3.6`.
#[derive(Debug)]
pub(super) struct Unit {
    /// In bytes.
    pub length: usize,
    /// The word as it is spelled, and the number: `Task-3.6`, `TASK-001`.
    pub id: String,
    /// `Tasks 4.1-4.6`: numbers that follow are units too.
    pub several: bool,
    /// The digits before the first dot, for `TASK-006~009`.
    pub width: usize,
}

/// Reads `Task 3.6`, `TASK-001`, `task #2`, `Tasks 4.1` at the start of a text.
pub(super) fn unit(text: &str) -> Option<Unit> {
    let word = text.get(..4).filter(|word| word.eq_ignore_ascii_case("task"))?;
    let several = text[4..].starts_with(['s', 'S']);
    let rest = &text[4 + usize::from(several)..];
    let number = rest.trim_start_matches([' ', '-', '_', '#']);
    if rest.len() - number.len() > 2 {
        return None;
    }
    let length = unit_number(number)?;
    let start = text.len() - number.len();
    let width = number.bytes().take_while(u8::is_ascii_digit).count();
    let id = format!("{word}-{}", &number[..length]);
    Some(Unit { length: start + length, id, several, width })
}

/// Reads the number of a unit: `3`, `3.6`, `2A`; its length in bytes.
pub(super) fn unit_number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(0);
    if end == 0 || end > 9 {
        return None;
    }
    while bytes.get(end) == Some(&b'.') && (1..=9).contains(&digits(end + 1)) {
        end += 1 + digits(end + 1);
    }
    if bytes.get(end).is_some_and(u8::is_ascii_alphabetic) {
        end += 1;
    }
    let glued = bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    (!glued).then_some(end)
}

/// Folds the spellings of one unit: `TASK-001` and `Task 001` are one task.
pub(super) fn folded(id: &str) -> String {
    match id.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("task-")) {
        true => id.to_ascii_lowercase(),
        false => id.to_owned(),
    }
}

/// Reads a task id at the start of a text and gives its length in bytes.
///
/// `T012`, `T015b`, `T158-1`, `T031-MIN`, `T012.1`, `T-001-P1-001-002`. A `-` followed by another
/// id is a range and ends this one.
pub(super) fn lex(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    if bytes.first() != Some(&b'T') {
        return None;
    }
    let start = if bytes.get(1) == Some(&b'-') { 2 } else { 1 };
    let count = digits(start);
    if count == 0 || (start == 2 && count < 2) || count > 9 {
        return None;
    }
    let mut end = start + count;
    if bytes.get(end).is_some_and(u8::is_ascii_alphabetic)
        && !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric)
    {
        end += 1;
    }
    loop {
        let from = end + 1;
        let more = match bytes.get(end) {
            Some(b'.') => digits(from),
            Some(b'-') if digits(from) > 0 => digits(from),
            Some(b'-') if !begins(&bytes[from..]) => upper_run(&bytes[from..]),
            _ => 0,
        };
        if more == 0 || bytes.get(from + more).is_some_and(u8::is_ascii_alphanumeric) {
            break;
        }
        end = from + more;
    }
    let glued = bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    (!glued).then_some(end)
}

/// Tells whether another id begins here: `T5` or `T-5`.
fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [b'T', b'0'..=b'9', ..] | [b'T', b'-', b'0'..=b'9', ..])
}

/// Counts an upper-case segment such as `MIN`, `P1`, `POLISH`; one letter alone is a word.
fn upper_run(bytes: &[u8]) -> usize {
    let run = bytes.iter().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
    if run >= 2 { run } else { 0 }
}

/// Tells whether an id is long enough for a heading: `T012`, `T-001`; not the `T2-003` of style C.
pub(super) fn fits_heading(id: &str) -> bool {
    let rest = &id[1..];
    rest.starts_with('-') || rest.bytes().take_while(u8::is_ascii_digit).count() >= 3
}

/// Maps words into the key grammar `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, the same way every time.
pub(super) fn key_of(words: &str) -> String {
    let mut key = String::new();
    for c in words.chars() {
        let kept = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        if !(matches!(kept, '-' | '.') && key.ends_with(kept)) {
            key.push(kept);
        }
    }
    let key = key.trim_matches(['-', '.', '_']);
    let key = if key.is_empty() { "x" } else { key };
    // `.lock` is git's: a ref of that name could never be written.
    let key = match key.strip_suffix(".lock") {
        Some(stem) => format!("{stem}-lock"),
        None => key.to_owned(),
    };
    if key.len() <= LONGEST_KEY {
        return key;
    }
    // Two long ids that begin alike must stay two, so the cut-off part leaves its digest.
    let hash = key
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}-{hash:08x}", &key[..LONGEST_KEY - 9])
}

/// A piece of an id, so that `T9` sorts before `T10` and `T020a` between `T020` and `T021`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    Number(u64),
    Letters(String),
}

/// Splits an id into the pieces it sorts by.
pub(super) fn sort_key(id: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = id;
    while let Some(first) = rest.chars().next() {
        let numeric = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != numeric).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        pieces.push(match piece.parse() {
            Ok(number) if numeric => Piece::Number(number),
            _ => Piece::Letters(piece.to_owned()),
        });
        rest = after;
    }
    pieces
}
