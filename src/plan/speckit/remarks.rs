//! Lines that are no tasks and still say something: checkpoints, keys with values, totals.

use super::ids;
use crate::plan::markdown;

/// Reads `**Checkpoint**: words`; a heading of that name is a block that may hold tasks.
pub(super) fn checkpoint(text: &str) -> Option<String> {
    let indent = text.len() - text.trim_start().len();
    if indent > 1 {
        return None;
    }
    let words = markdown::boxed(text).map(|(_, rest)| rest).or_else(|| markdown::bullet(text));
    let words = words.unwrap_or(text).trim_start_matches(|c: char| !c.is_alphanumeric());
    let words = ["Final ", "FINAL "].iter().find_map(|f| words.strip_prefix(f)).unwrap_or(words);
    let names =
        ["checkpoint", "檢查點", "检查点", "체크포인트", "チェックポイント", "point de contrôle"];
    let rest = names.iter().find_map(|name| {
        let head = words.get(..name.len())?;
        (head.to_lowercase() == **name).then(|| &words[name.len()..])
    })?;
    let rest = rest.trim_start_matches(['*', '_', ' ']);
    let title = rest.strip_prefix([':', '：', '—', '–', '-'])?;
    let title = title.trim_start_matches(['*', '_', ' ']).trim_end();
    Some(if title.is_empty() { "Checkpoint".to_owned() } else { title.to_owned() })
}

/// Reads a line of its own that only names what follows: `**GREEN:**`, `Acceptance criteria:`.
pub(super) fn label(text: &str) -> Option<&str> {
    let words = text.trim();
    let moved_in = text.len() - text.trim_start().len() > 1;
    let list = markdown::bullet(text).is_some() || markdown::heading(text).is_some();
    if words.is_empty() || moved_in || list || words.chars().count() > 60 {
        return None;
    }
    let bold = words.starts_with("**") || words.starts_with("__");
    let colon = words.ends_with([':', '：']);
    (bold || colon).then(|| words.trim_matches(['*', '_', ':', '：', ' ']))
}

/// Tells whether the words of a box begin with a number in an outline: `1.`, `1.1`, `2.3*`.
pub(super) fn numbered(words: &str) -> bool {
    let words = words.trim_start_matches(['*', '_', ' ']);
    let Some(length) = ids::unit_number(words) else {
        return false;
    };
    let (number, rest) = words.split_at(length);
    let rest = rest.trim_start_matches('*');
    let ends = rest.is_empty() || rest.starts_with([' ', '.', ')', '、']);
    let listed = rest.starts_with(". ") || rest.starts_with(") ") || rest.starts_with('、');
    ends && (number.contains('.') || listed)
}

/// Splits `- **Key**: value`, the bold and the bullet aside.
pub(super) fn key_value(text: &str) -> Option<(String, &str)> {
    let body = markdown::bullet(text).unwrap_or(text.trim_start());
    let at = body.find([':', '：'])?;
    let colon = body[at..].chars().next()?.len_utf8();
    let key = body[..at].trim_matches(|c: char| matches!(c, '*' | '_' | ' ' | '→' | '`' | '-'));
    let value = body[at + colon..].trim_start_matches(['*', '_', ' ']).trim_end();
    (key.chars().count() <= 40).then(|| (key.to_lowercase(), value))
}

/// Reads a body line of style B that is about `[P]`: `**Parallel**: [P] with …`, `- **[P]** : …`.
pub(super) fn says_parallel(text: &str) -> bool {
    let Some((key, value)) = key_value(text) else {
        return text == "[P]";
    };
    let refused = ["no", "non", "none", "n/a", "—", "-"];
    let lower = value.to_lowercase();
    let word = lower.split(|c: char| !c.is_alphanumeric() && c != '/').next().unwrap_or("");
    match key.as_str() {
        "[p]" => !refused.contains(&word),
        _ => key.starts_with("parall") && (value.contains("[P]") || matches!(word, "yes" | "oui")),
    }
}

/// Reads a status line of style B that says done.
pub(super) fn says_done(text: &str) -> bool {
    let Some((key, value)) = key_value(text) else {
        return false;
    };
    let bare = value.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '✅').to_lowercase();
    let word = bare.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    matches!(key.as_str(), "status" | "statut" | "状态" | "狀態" | "상태")
        && (bare.starts_with('✅')
            || matches!(word, "done" | "complete" | "completed" | "terminé" | "完成" | "완료"))
}

/// Reads the number of tasks a plan claims for itself, out of one line.
///
/// `~80` and `100+` are estimates and claim nothing.
pub(super) fn claimed_total(text: &str) -> Option<u64> {
    let words = [
        "total tasks",
        "total task count",
        "total number of tasks",
        "总任务数",
        "總任務數",
        "任务总数",
        "任務總數",
        "총 태스크 수",
        "총 작업 수",
        "총 작업",
        "nombre total de tâches",
        "total de tâches",
    ];
    let body = markdown::bullet(text).unwrap_or(text);
    let cells: Vec<String> = body
        .split('|')
        .map(|cell| cell.replace(['*', '_', '`'], "").trim().to_lowercase())
        .filter(|cell| !cell.is_empty())
        .collect();
    cells.iter().enumerate().find_map(|(index, cell)| {
        let after = words.iter().find_map(|word| cell.strip_prefix(word))?.trim_start();
        let value = match after.strip_prefix([':', '：']) {
            Some(value) => value.trim(),
            None if after.is_empty() => cells.get(index + 1)?,
            None => return None,
        };
        let end = value.bytes().take_while(u8::is_ascii_digit).count();
        let exact = !value[end..].starts_with(['+', '~', '-', '–']);
        exact.then(|| value[..end].parse().ok()).flatten()
    })
}
