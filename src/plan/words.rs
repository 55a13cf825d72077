//! What a parsing library says of a file, in words for whoever wrote the file.

use crate::domain::workflow::nearest;

/// A complaint and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub message: String,
    pub hint: Option<String>,
}

/// Says a library's message again; `found` is the word that stands at its place, where the message
/// does not name it.
pub(super) fn said(message: &str, found: Option<&str>) -> Said {
    let plain = |message: String| Said { message, hint: None };
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (name, known) = rest.split_once('`').unwrap_or((rest, ""));
        return among(format!("`{name}` is no field here"), name, known);
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (name, known) = rest.split_once('`').unwrap_or((rest, ""));
        return among(format!("`{name}` is not known here"), name, known);
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        return plain(format!("{name} is missing here"));
    }
    for twice in ["duplicate field `", "duplicate mapping key: "] {
        if let Some(name) = message.strip_prefix(twice) {
            return plain(format!("`{}` stands here twice", name.trim_end_matches('`')));
        }
    }
    if message == "duplicate key" {
        let name = found.map_or("a key".to_owned(), |name| format!("`{name}`"));
        return plain(format!("{name} stands here twice"));
    }
    for wrong in ["invalid type: ", "invalid value: "] {
        if let Some((was, wanted)) =
            message.strip_prefix(wrong).and_then(|rest| rest.split_once(", expected "))
        {
            return plain(format!("expected {}, found {}", kind(wanted), was_found(was)));
        }
    }
    let wanted = match message {
        "expected a list" => Some("a list"),
        "expected fields" => Some("fields"),
        "expected string scalar" => Some("text"),
        _ if message.starts_with("invalid boolean") => Some("true or false"),
        _ if message.starts_with("cannot deserialize null into string") => {
            return plain("expected text, found nothing".to_owned());
        }
        _ => message.strip_prefix("invalid ").filter(|kind| is_number(kind)).map(kind),
    };
    match (wanted, found) {
        (Some(wanted), Some(found)) => plain(format!("expected {wanted}, found `{found}`")),
        (Some(wanted), None) => plain(format!("expected {wanted}")),
        (None, _) => plain(message.to_owned()),
    }
}

/// A word that is none of those that are known.
fn among(message: String, word: &str, known: &str) -> Said {
    let known = known.strip_prefix(", expected ").unwrap_or("");
    let known = known.strip_prefix("one of ").unwrap_or(known).replace('`', "");
    let known: Vec<&str> =
        known.split(", ").flat_map(|part| part.split(" or ")).filter(|w| !w.is_empty()).collect();
    let hint = match nearest(word, known.iter().copied(), |word| word) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", known.join(", "))),
    };
    Said { message, hint }
}

fn is_number(kind: &str) -> bool {
    matches!(kind, "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64")
}

/// A type of the program, as what is written in a file.
fn kind(wanted: &str) -> &str {
    match wanted {
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "fields",
        "a string" | "string" => "text",
        "a boolean" | "boolean" => "true or false",
        "u32" => "a whole number from 0 to 4294967295",
        number if is_number(number) => "a whole number",
        _ if wanted.starts_with("struct ") => "fields",
        other => other,
    }
}

/// What stood there instead, as serde names it.
fn was_found(was: &str) -> String {
    match was {
        "sequence" => "a list".to_owned(),
        "map" => "fields".to_owned(),
        "null" | "unit value" => "nothing".to_owned(),
        _ => match was.strip_prefix("string \"").and_then(|text| text.strip_suffix('"')) {
            Some(text) => format!("`{text}`"),
            // `integer `5`` and its kin name the value themselves.
            None => match was.split_once('`') {
                Some((_, value)) => format!("`{}`", value.trim_end_matches('`')),
                None => was.to_owned(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_about_the_file() {
        let known = ", expected one of `key`, `order`, `needs`";
        for (message, found, shown) in [
            ("expected a list", Some("b"), "expected a list, found `b`"),
            ("expected a list", None, "expected a list"),
            ("invalid u64", Some("two"), "expected a whole number, found `two`"),
            (
                "invalid boolean (strict mode expects true/false)",
                Some("yes"),
                "expected true or false, found `yes`",
            ),
            ("expected string scalar", None, "expected text"),
            (
                "cannot deserialize null into string; use Option<String>",
                None,
                "expected text, found nothing",
            ),
            ("missing field `key`", None, "`key` is missing here"),
            ("duplicate mapping key: name", None, "`name` stands here twice"),
            ("duplicate field `key`", None, "`key` stands here twice"),
            ("duplicate key", Some("key"), "`key` stands here twice"),
            ("invalid type: string \"b\", expected a sequence", None, "expected a list, found `b`"),
            (
                "invalid type: floating point `1.5`, expected u32",
                None,
                "expected a whole number from 0 to 4294967295, found `1.5`",
            ),
            ("invalid type: null, expected a string", None, "expected text, found nothing"),
            (
                "invalid type: string \"review\", expected struct GateDefinition",
                None,
                "expected fields, found `review`",
            ),
            (
                "invalid value: string \"tomorrow\", expected a date and time such as X",
                None,
                "expected a date and time such as X, found `tomorrow`",
            ),
            ("trailing comma", None, "trailing comma"),
        ] {
            assert_eq!(said(message, found), Said { message: shown.into(), hint: None });
        }
        for (word, hint) in
            [("nees", "did you mean `needs`?"), ("effort", "known here: key, order, needs")]
        {
            let heard = said(&format!("unknown field `{word}`{known}"), None);
            assert_eq!(heard.message, format!("`{word}` is no field here"));
            assert_eq!(heard.hint.as_deref(), Some(hint));
        }
        let heard = said("unknown variant `revew`, expected `review` or `release`", None);
        assert_eq!(heard.hint.as_deref(), Some("did you mean `review`?"));
    }
}
