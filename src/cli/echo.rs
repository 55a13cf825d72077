//! What a program writes while it runs, said on standard error as it comes: as text only, whatever
//! it holds.
//!
//! In GitHub Actions a line that begins with `::word` or holds `##[word]` is a command of the
//! workflow. They are turned off meanwhile with a word nobody can guess, and what looks like one is
//! broken up besides: a program that is killed with us never turns them on again.

use std::io::Write as _;

use super::ui::plain;

/// The longest line that is said whole.
const LONG: usize = 8 * 1024;

/// Says lines as they are complete.
#[derive(Debug)]
pub(super) struct Echo {
    line: Vec<u8>,
    /// Turns commands off and on again; none outside Actions.
    token: Option<String>,
    quiet: bool,
    begun: bool,
}

impl Echo {
    pub(super) fn new(quiet: bool, token: Option<String>) -> Self {
        Self { line: Vec::new(), token, quiet, begun: false }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.quiet {
            return;
        }
        if let (Some(token), false) = (&self.token, self.begun) {
            say(&format!("::stop-commands::{token}\n"));
        }
        self.begun = true;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() > LONG {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        say(&format!("{}\n", unspoken(text.trim_end_matches(['\n', '\r']), self.token.is_some())));
        self.line.clear();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        if let (Some(token), true) = (&self.token, self.begun) {
            say(&format!("::{token}::\n"));
        }
    }
}

/// A line that acts on no terminal, and in Actions is no command.
pub(super) fn unspoken(line: &str, actions: bool) -> String {
    let text = plain(line);
    if !actions {
        return text;
    }
    uncommand(&text)
}

/// A line in which a runner of GitHub Actions finds no command.
pub(super) fn uncommand(line: &str) -> String {
    let text = line.replace("##[", "##\u{200b}[");
    match text.trim_start().starts_with("::") {
        true => text.replacen("::", ":\u{200b}:", 1),
        false => text,
    }
}

/// A terminal that is gone is nobody to tell.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runner's two parsers, as its source has them: `::name::` at the start of a trimmed
    /// line, `##[name]` anywhere.
    fn is_command(line: &str) -> bool {
        let first = line.trim_start().strip_prefix("::").is_some_and(|rest| rest.contains("::"));
        let second = line.find("##[").is_some_and(|at| line[at..].contains(']'));
        first || second
    }

    #[test]
    fn nothing_in_a_line_is_a_command() {
        for line in [
            "::add-mask::x",
            "   ::set-env name=A::b",
            "\t::error file=a,line=1::text",
            "::stop-commands::guess",
            "text ##[error]red",
            "##[group]a ##[endgroup]",
            "\u{feff}::warning::x",
            "::::",
            "a::b::c",
        ] {
            assert!(!is_command(&unspoken(line, true)), "{line}");
        }
        assert_eq!(unspoken("a::b ok", true), "a::b ok");
        assert_eq!(unspoken("\x1b[31mred", false), "\\u{1b}[31mred");
    }
}
