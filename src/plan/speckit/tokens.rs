//! Sentences about tasks, cut into tokens and lists of ids.

use super::ids::{self, Spelling};

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Id(String),
    /// Lower case.
    Word(String),
    Arrow,
    /// `;`, or a full stop before a space: what follows is another statement.
    Stop,
    Mark(char),
}

/// A task or a range of tasks that a sentence names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    One(String),
    Range(String, String),
}

/// A list of references in a row of tokens.
#[derive(Debug, Clone)]
pub(super) struct List {
    /// First token and the one after the last.
    pub start: usize,
    pub end: usize,
    /// References between commas; `T001 or T002` is one part, `T001, T002` are two.
    pub parts: Vec<Vec<Reference>>,
    /// The list and nothing else stands in parentheses.
    pub enclosed: bool,
}

impl List {
    /// Gives every reference of the list.
    pub(super) fn all(&self) -> Vec<Reference> {
        self.parts.concat()
    }
}

/// Cuts a text into statements of tokens; Markdown emphasis is no token.
pub(super) fn statements(text: &str, spelling: Spelling) -> Vec<Vec<Token>> {
    let mut statements = vec![Vec::new()];
    for token in tokens(text, spelling) {
        if token == Token::Stop {
            statements.push(Vec::new());
        } else if let Some(last) = statements.last_mut() {
            last.push(token);
        }
    }
    statements.retain(|tokens| tokens.iter().any(|token| matches!(token, Token::Id(_))));
    statements
}

fn tokens(text: &str, spelling: Spelling) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut glued = false;
    let mut carried = None;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let unit = match spelling {
            Spelling::Units if !glued => unit(rest, &mut carried),
            _ => None,
        };
        let (token, length) = match unit {
            Some((id, length)) => (Some(Token::Id(id)), length),
            None => token(rest, c, glued),
        };
        glued = c.is_ascii_alphanumeric() || c == '_';
        carried = carried.filter(|_| token.as_ref().is_none_or(carries_on));
        tokens.extend(token);
        at += length;
    }
    tokens
}

/// What a bare number after a unit must look like to be a unit too.
#[derive(Debug, Clone, Copy)]
struct Carried {
    several: bool,
    width: usize,
}

/// Reads `Task 3.6`, and `3.7` where a list or an arrow goes on from one.
fn unit(rest: &str, carried: &mut Option<Carried>) -> Option<(String, usize)> {
    if let Some(unit) = ids::unit(rest) {
        *carried = Some(Carried { several: unit.several, width: unit.width });
        return Some((ids::folded(&unit.id), unit.length));
    }
    let carried = (*carried)?;
    let length = ids::unit_number(rest)?;
    let number = &rest[..length];
    let padded = carried.width > 1 && number.len() == carried.width;
    // A whole number may be anything: "Task 3, 2 hours".
    let fits = number.contains('.') || carried.several || padded;
    fits.then(|| (format!("task-{}", number.to_ascii_lowercase()), length))
}

/// Tells whether a bare number after this token may still be a unit.
fn carries_on(token: &Token) -> bool {
    match token {
        Token::Id(_) | Token::Arrow => true,
        Token::Mark(c) => {
            range_sign(Some(token)) || matches!(c, ',' | '，' | '、' | '/' | '&' | '·' | '+')
        }
        Token::Word(word) => range_sign(Some(token)) || CONNECTIVES.contains(&word.as_str()),
        Token::Stop => false,
    }
}

/// Reads one token and its length in bytes.
fn token(rest: &str, c: char, glued: bool) -> (Option<Token>, usize) {
    let one = c.len_utf8();
    if c == 'T'
        && !glued
        && let Some(length) = ids::lex(rest)
    {
        return (Some(Token::Id(rest[..length].to_owned())), length);
    }
    if let Some(length) = arrow(rest) {
        return (Some(Token::Arrow), length);
    }
    match c {
        ';' | '；' | '。' => (Some(Token::Stop), one),
        '.' if rest[1..].is_empty() || rest[1..].starts_with([' ', '*']) => (Some(Token::Stop), 1),
        '*' | '`' | ' ' | '\t' | '\u{a0}' => (None, one),
        '\'' | '’' => {
            // `T005's handler` names T005.
            let tail = &rest[one..];
            let length = if tail.starts_with("s ") { one + 1 } else { one };
            (None, length)
        }
        _ if c.is_alphanumeric() => {
            let ascii = c.is_ascii();
            let end = rest.find(|c: char| {
                !(c.is_alphanumeric() || c == '_') || (c.is_ascii() != ascii && !latin(c))
            });
            let end =
                end.filter(|end| *end > 0).unwrap_or(if end.is_none() { rest.len() } else { one });
            (Some(Token::Word(rest[..end].to_lowercase())), end)
        }
        _ => (Some(Token::Mark(c)), one),
    }
}

/// Accented Latin letters belong to the word around them; Chinese and Korean ones do not.
fn latin(c: char) -> bool {
    ('\u{c0}'..='\u{24f}').contains(&c) || c.is_ascii()
}

/// Reads `→`, `->`, `-->`, `──>`, `=>`, `─→`.
fn arrow(rest: &str) -> Option<usize> {
    // A rule of a thousand dashes is no arrow and must not be walked a thousand times.
    let stem: usize = rest
        .chars()
        .take(64)
        .take_while(|c| matches!(c, '-' | '─' | '=' | '━'))
        .map(char::len_utf8)
        .sum();
    let head = rest[stem..].chars().next()?;
    let pointed = matches!(head, '→' | '➜' | '►' | '▶' | '⇒' | '➔') || (head == '>' && stem > 0);
    pointed.then(|| stem + head.len_utf8())
}

/// Finds the lists of ids in a statement.
///
/// Remarks in parentheses between the ids of a list are passed over, so that
/// `T016 (interface), T021 (screen)` is one list.
pub(super) fn lists(tokens: &[Token]) -> Vec<List> {
    let mut lists: Vec<List> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if matches!(tokens[at], Token::Id(_)) {
            let list = list(tokens, at);
            at = list.end;
            lists.push(list);
        } else {
            at += 1;
        }
    }
    lists
}

fn list(tokens: &[Token], start: usize) -> List {
    let mut parts: Vec<Vec<Reference>> = vec![Vec::new()];
    let mut at = start;
    let mut end = start;
    while let Some(Token::Id(id)) = tokens.get(at) {
        let mut reference = Reference::One(id.clone());
        end = at + 1;
        if range_sign(tokens.get(end))
            && let Some(Token::Id(last)) = tokens.get(end + 1)
        {
            reference = Reference::Range(id.clone(), last.clone());
            end += 2;
        }
        parts.last_mut().expect("starts with one part").push(reference);
        let after = past_remark(tokens, end);
        match separator(tokens, after) {
            Some((next, comma)) => {
                if comma {
                    parts.push(Vec::new());
                }
                at = next;
            }
            None => break,
        }
    }
    let enclosed = start > 0
        && tokens[start - 1] == Token::Mark('(')
        && tokens.get(end) == Some(&Token::Mark(')'));
    parts.retain(|part| !part.is_empty());
    List { start, end, parts, enclosed }
}

fn range_sign(token: Option<&Token>) -> bool {
    match token {
        Some(Token::Mark(c)) => matches!(c, '-' | '–' | '—' | '~' | '〜' | '…' | '‑' | '−'),
        Some(Token::Word(word)) => {
            matches!(word.as_str(), "to" | "through" | "thru" | "à" | "至" | "到")
        }
        _ => false,
    }
}

/// Steps over `(words without ids)`.
pub(super) fn past_remark(tokens: &[Token], at: usize) -> usize {
    if tokens.get(at) != Some(&Token::Mark('(')) {
        return at;
    }
    let inner = tokens[at + 1..].iter().take(24);
    let stop = inner.clone().position(|t| matches!(t, Token::Id(_) | Token::Mark('(')));
    match inner.clone().position(|t| *t == Token::Mark(')')) {
        Some(close) if stop.is_none_or(|stop| stop > close) => at + close + 2,
        _ => at,
    }
}

/// Reads what stands between two ids of a list: where the next one is, and whether a comma was it.
fn separator(tokens: &[Token], mut at: usize) -> Option<(usize, bool)> {
    let mut comma = false;
    let mut seen = false;
    loop {
        match tokens.get(at)? {
            Token::Id(_) if seen => return Some((at, comma)),
            Token::Mark(',' | '，' | '、') => comma = true,
            Token::Mark('/' | '&' | '·' | '+') => {}
            Token::Word(word) if CONNECTIVES.contains(&word.as_str()) => {}
            Token::Word(word) if seen && matches!(word.as_str(), "task" | "tasks") => {}
            _ => return None,
        }
        seen = true;
        at += 1;
    }
}

const CONNECTIVES: [&str; 10] = ["and", "or", "et", "ou", "y", "und", "e", "和", "与", "및"];
