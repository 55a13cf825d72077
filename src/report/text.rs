//! Untrusted text on its way into a page somebody looks at.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Whether a character does something instead of being something: controls, directions, and what
/// takes no place at all.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Control and bidi characters shown, never obeyed, and all on one line.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || c == '\t' {
            plain.push(' ');
        } else {
            shown(c, &mut plain);
        }
    }
    plain
}

/// The same, with its lines and tabs as they are.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' => plain.push(c),
            c => shown(c, &mut plain),
        }
    }
    plain
}

fn shown(c: char, text: &mut String) {
    if acts(c) {
        text.push_str(&c.escape_unicode().to_string());
    } else {
        text.push(c);
    }
}

/// A line cut to a width, which the ellipsis is part of.
#[must_use]
pub fn cut(line: &str, width: usize, ellipsis: &str) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let room = width.saturating_sub(ellipsis.width());
    let (mut cut, mut used) = (String::new(), 0);
    for c in line.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        cut.push(c);
    }
    format!("{}{ellipsis}", cut.trim_end())
}

/// A count as people read it: `12,345`.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 step`, `12,345 steps`.
#[must_use]
pub fn count(number: usize, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Seconds as people say them: `8s`, `3m 12s`, `2h 5m`, `3d 4h`.
#[must_use]
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => match seconds % 60 {
            0 => format!("{}m", seconds / 60),
            rest => format!("{}m {rest}s", seconds / 60),
        },
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Milliseconds as people say them.
#[must_use]
pub fn lasted(ms: u64) -> String {
    match ms {
        1..1_000 => format!("{ms}ms"),
        _ => span(i64::try_from(ms / 1_000).unwrap_or(i64::MAX)),
    }
}

/// Thousandths as people say them: `2.4`.
#[must_use]
pub fn tenths(thousandths: u64) -> String {
    let tenths = (thousandths + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Hundredths of a percent as people say them: `33.3%`.
#[must_use]
pub fn percent(basis_points: u64) -> String {
    let tenths = (basis_points + 5) / 10;
    format!("{}.{}%", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(
            plain("a\u{1b}[31m\tb\nc\u{202e}d\u{feff}"),
            "a\\u{1b}[31m b c\\u{202e}d\\u{feff}"
        );
        assert_eq!(harmless("a\r\nb\tc\rd\u{7}"), "a\nb\tc\\u{d}d\\u{7}");
    }

    #[test]
    fn a_cut_line_is_as_wide_as_was_asked_whatever_its_script() {
        for line in ["plain words", "日本語の長い題名です", "é̂́ combining", "→→→→→→→→→→→→"]
        {
            for width in 1..40 {
                let cut = cut(line, width, "…");
                assert!(cut.width() <= width, "{cut} {width}");
                assert!(cut == line || cut.ends_with('…'), "{cut} {width}");
            }
        }
    }

    #[test]
    fn counts_are_grouped_from_the_right() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
