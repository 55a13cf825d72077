//! The words of one task line: deco, id, separators, tags, title, and what says it is skipped.

use super::ids::Spelling;

/// The words that mark a task as not to be done.
const SKIP_WORDS: [&str; 4] = ["SKIPPED", "SKIP", "DEFERRED", "OBSOLETE"];
/// Words that may follow a struck-through title; anything else replaces it.
const STRUCK_REMARKS: [&str; 10] = [
    "REMOVED",
    "CANCELLED",
    "CANCELED",
    "SUPERSEDED",
    "MERGED",
    "MOVED",
    "DROPPED",
    "DUPLICATE",
    "REJECTED",
    "ABANDONED",
];
const TICKS: [&str; 6] = ["✅", "✔️", "✔", "☑️", "☑", "✓"];

/// Words that make a line without a box a sentence about its task and not the task.
const SAYS: [&str; 25] = [
    "must", "should", "can", "cannot", "may", "might", "will", "is", "are", "has", "and", "or",
    "depends", "requires", "needs", "blocks", "unblocks", "precedes", "follows", "waits", "需要",
    "必须", "依赖", "依賴", "阻塞",
];

/// A task line, taken apart.
#[derive(Debug, Default)]
pub(super) struct TaskLine {
    /// Empty where the plan gives none.
    pub id: String,
    pub title: String,
    /// `[P]` among the tags that follow the id.
    pub parallel: bool,
    /// `[P]` somewhere else in the line.
    pub parallel_elsewhere: bool,
    pub story: Option<String>,
    /// Why the line says it is not to be done.
    pub skipped: Option<String>,
    /// A `✅` before the id or at the end.
    pub tick: bool,
    /// A box stood before the title, inside the tags: `T001 [Setup] [X]`.
    pub inner_tick: bool,
    /// A colon or a dash sets the id off from the words.
    pub set_off: bool,
}

/// Takes a task line apart; none when it does not begin with one id.
pub(super) fn parse(words: &str, spelling: Spelling) -> Option<TaskLine> {
    let mut line = TaskLine::default();
    let mut open = Vec::new();
    let mut rest = words.trim();
    loop {
        rest = rest.trim_start();
        if let Some(after) = strip_deco(rest) {
            open.push(&rest[..rest.len() - after.len()]);
            rest = after;
        } else if let Some(after) = strip_tick(rest) {
            line.tick = true;
            rest = after;
        } else if let Some((word, after)) = skip_word(rest) {
            line.skipped = Some(word.to_owned());
            rest = after.trim_start().trim_start_matches([':', '-', '—', '–', '：']);
        } else {
            break;
        }
    }
    let (length, id) = spelling.lex(rest)?;
    if names_more(&rest[length..], spelling) {
        return None;
    }
    line.id = id;
    rest = tags(&rest[length..], &mut open, &mut line);
    title(rest, &open, &mut line);
    Some(line)
}

/// Takes the line of a box apart whose plan gives no ids; none when the box is empty.
///
/// `**Task 6 [P]:** words` has a name all the same.
pub(super) fn parse_nameless(words: &str) -> Option<TaskLine> {
    if let Some(named) = parse(words, Spelling::Units).filter(|line| line.set_off) {
        return Some(named);
    }
    let mut line = TaskLine::default();
    let mut rest = words.trim();
    while let Some(after) = strip_tick(rest) {
        line.tick = true;
        rest = after.trim_start();
    }
    rest = tags(rest, &mut Vec::new(), &mut line);
    title(rest, &[], &mut line);
    (!line.title.is_empty()).then_some(line)
}

/// Tells whether a line without a box speaks of its task and does not define it:
/// `T010 must fail before T020 begins`, `T001 [P] and T002 [P]`.
pub(super) fn only_says(line: &TaskLine) -> bool {
    let title = line.title.as_str();
    let word = title.split([' ', ',', '.', ';']).next().unwrap_or("");
    let arrow = title.starts_with(['→', '➜', '►', '⇒', '➔']) || title.starts_with("->");
    arrow || (!line.set_off && SAYS.contains(&word))
}

/// Tells whether the text after an id goes on to a range or a list: `T016-T018: Components`.
fn names_more(rest: &str, spelling: Spelling) -> bool {
    let after = rest.trim_start();
    let after = after.strip_prefix("to ").unwrap_or(after);
    let after = after.trim_start_matches(['-', '–', '—', '~', ',', '、', '/', '&', '+']);
    let more = after.len() < rest.trim_start().len();
    let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    // `Task 4.1-4.3` and `Task 4.1, 4.2` go on, `Task 3 - 4 screens` does not.
    let listed = rest.trim_start().starts_with([',', '、', '/', '&', '+']);
    let numbers = number(after) || (listed && number(after.trim_start()));
    let units = spelling == Spelling::Units && numbers;
    more && (units || spelling.lex(after.trim_start()).is_some())
}

fn strip_deco(text: &str) -> Option<&str> {
    ["**", "__", "~~", "`"].iter().find_map(|deco| text.strip_prefix(deco))
}

/// Tells whether words begin with a tick.
pub(super) fn ticked(words: &str) -> bool {
    strip_tick(words).is_some()
}

fn strip_tick(text: &str) -> Option<&str> {
    TICKS.iter().find_map(|tick| text.strip_prefix(tick))
}

/// Takes closers, separators and tags off the text after an id.
fn tags<'a>(mut rest: &'a str, open: &mut Vec<&str>, line: &mut TaskLine) -> &'a str {
    loop {
        let trimmed = rest.trim_start();
        if let Some(after) = strip_deco(trimmed) {
            let deco = &trimmed[..trimmed.len() - after.len()];
            // An opening that no earlier deco waits for belongs to the title.
            let Some(at) = open.iter().rposition(|other| *other == deco) else {
                return trimmed;
            };
            open.remove(at);
            rest = after;
        } else if let Some((tag, after)) = tag(trimmed) {
            match tag {
                "P" => line.parallel = true,
                "X" | "x" | "✅" => line.inner_tick = true,
                _ if story_tag(tag) && line.story.is_none() => line.story = Some(tag.to_owned()),
                _ => {}
            }
            rest = after;
        } else if !line.set_off
            && let Some(after) = separator(trimmed)
        {
            line.set_off = true;
            rest = after;
        } else {
            return trimmed;
        }
    }
}

fn separator(text: &str) -> Option<&str> {
    let rest = text.strip_prefix([':', '：', '—', '–', '-', '.'])?;
    let dash = text.starts_with(['-', '.']);
    (!dash || rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

/// Reads `[P]`, `[US1]`, `[KR-001]`, `[Setup]`, an empty `[ ]`; not a link and not `[Authorize]`.
fn tag(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('[')?;
    let end = rest.find(']')?;
    let (tag, after) = (rest[..end].trim(), &rest[end + 1..]);
    let known = ["Setup", "Foundation", "Foundational", "Polish", "Story", "Test", "Tests", "x"];
    let upper = tag.len() <= 32
        && tag.starts_with(|c: char| c.is_ascii_uppercase())
        && tag.chars().all(|c| {
            c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '-' | '+' | '/' | '#' | ',')
        });
    let skips = SKIP_WORDS.contains(&tag);
    let fits = tag.is_empty() || tag == "✅" || upper || known.contains(&tag);
    (fits && !skips && !after.starts_with('(')).then_some((tag, after))
}

fn story_tag(tag: &str) -> bool {
    tag.match_indices("US").any(|(at, _)| {
        let rest = &tag[at + 2..];
        rest.starts_with(|c: char| c.is_ascii_digit()) || rest.starts_with("-ALL")
    })
}

/// Reads the title: strikes, skips and trailing marks come off, other Markdown stays.
fn title(rest: &str, open: &[&str], line: &mut TaskLine) {
    let mut title = rest.trim().to_owned();
    for deco in open.iter().filter(|deco| **deco != "~~") {
        // `**T001 words**`: the opening is gone, so its end goes too.
        if let Some(at) = title.find(deco) {
            title.replace_range(at..at + deco.len(), "");
        }
    }
    let struck = match open.contains(&"~~") {
        true => Some(title.as_str()),
        false => title.strip_prefix("~~"),
    };
    if let Some((inner, remark)) = struck.and_then(|text| text.split_once("~~")) {
        let (inner, remark) = (inner.trim(), remark.trim());
        if let Some(why) = struck_remark(remark) {
            let why = if why.is_empty() { String::new() } else { format!(", {why}") };
            line.skipped = Some(format!("struck through{why}"));
            title = format!("{inner} {remark}").trim().to_owned();
        } else {
            title = format!("~~{inner}~~ {remark}");
        }
    }
    loop {
        let trimmed = title.trim_end();
        let bare = TICKS.iter().find_map(|tick| trimmed.strip_suffix(tick));
        if let Some(bare) = bare {
            line.tick = true;
            title = bare.trim_end().to_owned();
        } else if let Some((tag, bare)) = trailing_tag(trimmed) {
            line.parallel_elsewhere |= tag == "P";
            if story_tag(tag) && line.story.is_none() {
                line.story = Some(tag.to_owned());
            }
            title = bare.trim_end().to_owned();
        } else {
            title.truncate(trimmed.len());
            break;
        }
    }
    line.parallel_elsewhere |= title.contains("[P]") && !in_code(&title, "[P]");
    if line.skipped.is_none() {
        line.skipped = skip_at_start(&title).or_else(|| skip_at_end(&title)).map(str::to_owned);
    }
    line.title = if title.is_empty() { line.id.clone() } else { title };
}

fn in_code(text: &str, words: &str) -> bool {
    let spans = crate::plan::markdown::code_spans(text);
    text.match_indices(words)
        .all(|(at, _)| spans.iter().any(|(from, to)| (*from..*to).contains(&at)))
}

fn trailing_tag(text: &str) -> Option<(&str, &str)> {
    let start = text.strip_suffix(']')?.rfind('[')?;
    let (found, after) = tag(&text[start..])?;
    let spaced = text[..start].is_empty() || text[..start].ends_with([' ', '*', ']']);
    (after.is_empty() && spaced && !found.is_empty()).then_some((found, &text[..start]))
}

/// Tells what a remark after a struck-through title says; none when it replaces the title.
fn struck_remark(remark: &str) -> Option<&str> {
    let words =
        remark.trim_start_matches(['⚠', '\u{fe0f}', '✅', '❌', '⏸', ' ', '-', '—', '–', '*']);
    if let Some((word, _)) = skip_word(words) {
        return Some(word);
    }
    let end = words.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(words.len());
    if let Some(word) = STRUCK_REMARKS.iter().find(|word| **word == &words[..end]) {
        return Some(word);
    }
    (words.is_empty() || remark.starts_with(['(', '（', '⚠'])).then_some("")
}

/// Reads a skip word in capitals; `SKIP LOCKED` is SQL and not one.
fn skip_word(text: &str) -> Option<(&'static str, &str)> {
    let word = SKIP_WORDS.into_iter().find(|word| text.starts_with(word))?;
    let rest = &text[word.len()..];
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let mut next = rest.trim_start().chars();
    let sql = word == "SKIP"
        && next.next().is_some_and(|c| c.is_ascii_uppercase())
        && next.next().is_some_and(|c| c.is_ascii_uppercase());
    (ends && !sql).then_some((word, rest))
}

fn skip_at_start(title: &str) -> Option<&'static str> {
    let words = title.trim_start_matches(['*', '_', '[', '(', '⚠', '\u{fe0f}', ' ']);
    Some(skip_word(words)?.0)
}

/// Reads a skip word that opens the last parenthesis or the last `⚠` remark of a title.
fn skip_at_end(title: &str) -> Option<&'static str> {
    let bare = title.trim_end_matches(['*', '.', ' ']);
    let remark = title.rfind('⚠').map(|at| &title[at + '⚠'.len_utf8()..]);
    let opening = bare.strip_suffix([')', '）']).and_then(|inner| {
        let at = last_opening(inner)?;
        inner[at..].char_indices().nth(1).map(|(skip, _)| &inner[at + skip..])
    });
    [remark, opening].into_iter().flatten().find_map(|words| {
        let words = words.trim_start_matches(['\u{fe0f}', ' ', '*', '_', '⚠']);
        Some(skip_word(words)?.0)
    })
}

/// Finds the parenthesis that the end of the text closes, over nested ones.
fn last_opening(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | '）' => depth += 1,
            '(' | '（' if depth == 0 => return Some(at),
            '(' | '（' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Finds the paths a text names: tokens with a slash and an extension.
///
/// Inside inline code a token may hold anything but spaces; outside it ends at letters that are
/// not ASCII, because Chinese and Korean put no space after a path.
pub(super) fn paths(text: &str, found: &mut Vec<String>) {
    let spans = crate::plan::markdown::code_spans(text);
    let mut at = 0;
    for (from, to) in spans.iter().copied().chain([(text.len(), text.len())]) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./\\@+~#$[]{}*%:".contains(c);
        text[at..from].split(|c| !plain(c)).for_each(|token| path(token, found));
        let code = text[from..to].trim_matches('`');
        code.split([' ', '\t', ',', ';', '"', '\'', '、', '，'])
            .for_each(|token| path(token, found));
        at = to;
    }
}

fn path(token: &str, found: &mut Vec<String>) {
    let token = token.trim_end_matches(['.', ':', ',', ')', '*', '!', '?', '}']);
    let token = match token.rsplit_once(':') {
        // `src/a.rs:42` names the file, whatever the line.
        Some((file, line)) if line.bytes().all(|b| b.is_ascii_digit() || b == b'-') => file,
        _ => token,
    };
    if token.contains("://") || !token.contains(['/', '\\']) {
        return;
    }
    let token = token.trim_start_matches(['(', '[', ':', '*']).replace('\\', "/");
    let token = token.strip_prefix("./").unwrap_or(&token);
    let name = token.rsplit('/').next().unwrap_or(token);
    let Some((_, extension)) = name.rsplit_once('.') else {
        return;
    };
    let fits = extension.len() <= 12
        && extension.starts_with(|c: char| c.is_ascii_alphabetic())
        && extension.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits && !found.iter().any(|other| other == token) {
        found.push(token.to_owned());
    }
}
