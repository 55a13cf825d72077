//! A line lexer for Markdown plans: what a line is, before anybody asks what it means.
//!
//! Fences come first, then HTML comments and front matter; line numbers stay those of the text as
//! given, because every later message points at them. There is no block tree: plans in the wild
//! break CommonMark often enough that only line-level facts can be trusted.

use std::borrow::Cow;

/// A text, lexed into lines.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// Every line of the text; line `n` is `lines[n - 1]`.
    pub lines: Vec<Line<'a>>,
    /// Code fences in the order they open.
    pub fences: Vec<Fence<'a>>,
    /// What looked wrong while lexing, as (line, message).
    pub notes: Vec<(u32, String)>,
}

/// One line with its comments taken out.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// 1-based, in the text as given.
    pub number: u32,
    /// The words that count: comments blanked outside fences, no line ending.
    pub text: Cow<'a, str>,
    /// Where the line stands.
    pub place: Place,
}

/// Where a line stands, because the same words are a task in one place and an example in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Between the two `---` that open a file.
    FrontMatter,
    /// In a fence, its two delimiters included; the index into `Document::fences`.
    Fence(usize),
    /// Anywhere else.
    Text,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Fence<'a> {
    /// The words after the opening fence: `mermaid`, `bash`.
    pub info: &'a str,
    /// Line of the opening fence.
    pub open: u32,
    /// Line of the closing fence; none when the text ends first.
    pub close: Option<u32>,
}

/// What stands between the brackets of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `[ ]`, and `[~]`, `[-]`, `[🔄]` and their kind, which mean begun and so still to do.
    Open,
    /// `[x]`, `[X]`, `[✅]`.
    Ticked,
}

/// Lexes a text; never fails, because what is odd is a note and not a reason to stop here.
pub(super) fn lex(text: &str) -> Document<'_> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut raw: Vec<&str> =
        text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    if raw.last().is_some_and(|last| last.is_empty()) {
        raw.pop();
    }
    let matter = front_matter(&raw);
    let last_comment_end = raw.iter().rposition(|line| line.contains("-->"));
    let mut document = Document { lines: Vec::new(), fences: Vec::new(), notes: Vec::new() };
    let mut open: Option<OpenFence> = None;
    let mut in_comment = false;
    for (index, &line) in raw.iter().enumerate() {
        let number = number_of(index);
        let (words, place) = if index < matter {
            (Cow::Borrowed(line), Place::FrontMatter)
        } else if let Some(fence) = &open {
            let place = Place::Fence(fence.index);
            if let Some((mark, run, info)) = fence_line(line)
                && mark == fence.mark
            {
                if info.is_empty() && run >= fence.run {
                    document.fences[fence.index].close = Some(number);
                    open = None;
                } else if !info.is_empty() {
                    let opened = document.fences[fence.index].open;
                    document.notes.push((
                        number,
                        format!("a fence opens here inside the fence of line {opened}"),
                    ));
                }
            }
            (Cow::Borrowed(line), place)
        } else if !in_comment && let Some((mark, run, info)) = fence_line(line) {
            let index = document.fences.len();
            document.fences.push(Fence { info, open: number, close: None });
            open = Some(OpenFence { index, mark, run });
            (Cow::Borrowed(line), Place::Fence(index))
        } else {
            // An opening without any end further down is text, not a comment to the end.
            let ends_later = last_comment_end.is_some_and(|end| end > index);
            let stripped = strip_comments(line, &mut in_comment, ends_later);
            if stripped.unclosed {
                document.notes.push((number, "an HTML comment opens here and never ends".into()));
            }
            (stripped.text, Place::Text)
        };
        document.lines.push(Line { number, text: words, place });
    }
    if let Some(fence) = open {
        let opened = document.fences[fence.index].open;
        document.notes.push((opened, "a fence opens here and is never closed".into()));
    }
    document
}

struct OpenFence {
    index: usize,
    mark: u8,
    run: usize,
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// Counts the lines of a leading front matter; zero when there is none.
fn front_matter(lines: &[&str]) -> usize {
    if lines.first().map(|line| line.trim_end()) != Some("---") {
        return 0;
    }
    // A rule at the top of a plan looks the same; only `key:` below it makes it front matter.
    let keyed = lines[1..].iter().find(|line| !line.trim().is_empty()).is_some_and(|line| {
        line.split_once(':').is_some_and(|(key, _)| {
            !key.is_empty()
                && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        })
    });
    if !keyed {
        return 0;
    }
    let end = lines[1..].iter().position(|line| matches!(line.trim_end(), "---" | "..."));
    end.map_or(0, |end| end + 2)
}

/// Reads a fence delimiter: its character, how many of them, and the info string.
fn fence_line(line: &str) -> Option<(u8, usize, &str)> {
    let line = line.trim_start();
    let mark = *line.as_bytes().first()?;
    if mark != b'`' && mark != b'~' {
        return None;
    }
    let run = line.bytes().take_while(|byte| *byte == mark).count();
    let info = line[run..].trim();
    let inline_code = mark == b'`' && info.contains('`');
    (run >= 3 && !inline_code).then_some((mark, run, info))
}

struct Stripped<'a> {
    text: Cow<'a, str>,
    unclosed: bool,
}

fn strip_comments<'a>(line: &'a str, in_comment: &mut bool, ends_later: bool) -> Stripped<'a> {
    if !*in_comment && !line.contains("<!--") {
        return Stripped { text: Cow::Borrowed(line), unclosed: false };
    }
    let mut kept = String::new();
    let mut unclosed = false;
    let mut rest = line;
    let mut spans = if *in_comment { Vec::new() } else { code_spans(line) };
    loop {
        if *in_comment {
            let Some(end) = rest.find("-->") else { break };
            rest = &rest[end + 3..];
            spans = code_spans(rest);
            *in_comment = false;
        }
        let start = rest
            .match_indices("<!--")
            .map(|(at, _)| at)
            .find(|at| !spans.iter().any(|(from, to)| (*from..*to).contains(at)));
        let Some(start) = start else {
            kept.push_str(rest);
            break;
        };
        if !rest[start..].contains("-->") && !ends_later {
            kept.push_str(rest);
            unclosed = true;
            break;
        }
        kept.push_str(&rest[..start]);
        rest = &rest[start + 4..];
        *in_comment = true;
    }
    Stripped { text: Cow::Owned(kept), unclosed }
}

/// Finds inline code: byte ranges with their backticks.
///
/// Code is quoted text; a placeholder, a comment or a box inside it is somebody's example.
pub(super) fn code_spans(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let run_at = |at: usize| bytes[at..].iter().take_while(|byte| **byte == b'`').count();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'`' {
            runs.push((at, run_at(at)));
            at += run_at(at);
        } else {
            at += 1;
        }
    }
    let mut spans = Vec::new();
    let mut first = 0;
    while first < runs.len() {
        let (from, length) = runs[first];
        match runs[first + 1..].iter().position(|(_, other)| *other == length) {
            Some(skip) => {
                let (to, _) = runs[first + 1 + skip];
                spans.push((from, to + length));
                first += skip + 2;
            }
            None => first += 1,
        }
    }
    spans
}

/// Reads a heading: its level and its words, without closing `#`.
pub(super) fn heading(text: &str) -> Option<(u8, &str)> {
    let words = text.trim_start_matches(' ');
    if text.len() - words.len() > 3 {
        return None;
    }
    let level = words.bytes().take_while(|byte| *byte == b'#').count();
    let rest = &words[level..];
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let level = u8::try_from(level).expect("at most six");
    Some((level, rest.trim().trim_end_matches('#').trim_end()))
}

/// Takes the bullet off a list line: `- `, `* `, `+ `, `1. `.
pub(super) fn bullet(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let rest = match text.strip_prefix(['-', '*', '+']) {
        Some(rest) => rest,
        None => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            text[digits..].strip_prefix(['.', ')'])?
        }
    };
    rest.starts_with([' ', '\t']).then(|| rest.trim_start())
}

/// Reads a list line with a box: its mark and what follows the bracket.
///
/// `[P]` and `[US1]` look like boxes and are not: a mark is blank, an `x` or no letter at all.
pub(super) fn boxed(text: &str) -> Option<(Mark, &str)> {
    let rest = bullet(text)?.strip_prefix('[')?;
    let end = rest.char_indices().take(8).find(|(_, c)| *c == ']')?.0;
    let mark = match rest[..end].trim() {
        "x" | "X" | "✅" | "✓" | "✔" | "✔️" | "☑" | "☑️" => Mark::Ticked,
        other if other.chars().any(|c| c.is_alphanumeric() || c == '#' || c == '[') => {
            return None;
        }
        other if other.chars().count() > 2 => return None,
        _ => Mark::Open,
    };
    let rest = &rest[end + 1..];
    // `[](…)` and `[~](…)` are links.
    (!rest.starts_with('(')).then_some((mark, rest))
}

/// Finds a merge conflict left in the text, as its first line.
///
/// All three markers are looked for even inside fences, since a merge does not know fences; a
/// single marker counts only outside them.
pub(super) fn conflict(document: &Document<'_>) -> Option<u32> {
    let is = |line: &Line<'_>, marker: &str| {
        line.text.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let mut begun = None;
    let mut split = false;
    for line in &document.lines {
        if is(line, "<<<<<<<") {
            if line.place == Place::Text {
                return Some(line.number);
            }
            begun = Some(line.number);
            split = false;
        } else if is(line, "=======") && begun.is_some() {
            split = true;
        } else if is(line, ">>>>>>>") {
            if line.place == Place::Text || (begun.is_some() && split) {
                return begun.or(Some(line.number));
            }
            begun = None;
        }
    }
    None
}
