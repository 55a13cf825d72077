//! How things are said: answers to stdout, talk to stderr; first word bold, marks with words.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::config::{Config, Environment};

/// Where a command speaks.
pub(super) struct Ui<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    pub json: bool,
    pub quiet: bool,
    out_color: bool,
    err_color: bool,
    /// stdout is a terminal: columns line up; otherwise one record a line, tabs.
    pub columns: bool,
    pub progress: bool,
    utf8: bool,
    /// The reader went away: nothing more is written, quietly.
    broken: bool,
    /// Why stdout did not take the answer, where it is not that its reader went away.
    lost: Option<std::io::Error>,
}

impl std::fmt::Debug for Ui<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("json", &self.json).field("quiet", &self.quiet).finish()
    }
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A verb, then the rest.
    Said(String, String),
    /// Words of a table; the rows around it line up.
    Row(Vec<String>),
    Text(String),
    Blank,
}

/// Makes a `Said` line.
pub(super) fn said(verb: &str, rest: impl Into<String>) -> Line {
    Line::Said(verb.to_owned(), rest.into())
}

/// Makes a table row.
pub(super) fn row<const N: usize>(cells: [&str; N]) -> Line {
    Line::Row(cells.map(str::to_owned).to_vec())
}

const VERB: Style = Style::new().bold();
const GOOD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const WARN: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
const DIM: Style = Style::new().dimmed();

impl<'a> Ui<'a> {
    /// Decides once how to speak.
    pub(super) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        environment: &Environment,
        color: &str,
        json: bool,
        quiet: bool,
    ) -> Self {
        Self {
            out,
            err,
            json,
            quiet,
            out_color: wanted(environment, color, environment.stdout_terminal),
            err_color: wanted(environment, color, environment.stderr_terminal),
            columns: environment.stdout_terminal,
            progress: environment.stderr_terminal && !quiet,
            utf8: environment.utf8(),
            broken: false,
            lost: None,
        }
    }

    /// Decides on colour again, once the configuration is known.
    pub(super) fn recolor(&mut self, environment: &Environment, color: &str) {
        self.out_color = wanted(environment, color, environment.stdout_terminal);
        self.err_color = wanted(environment, color, environment.stderr_terminal);
    }

    /// Whether talk is coloured.
    #[must_use]
    pub(super) fn err_color(&self) -> bool {
        self.err_color
    }

    /// Prints prepared talk.
    pub(super) fn snippet(&mut self, text: &str) {
        self.talk(text);
    }

    /// A mark, in ASCII where the locale is not UTF-8.
    #[must_use]
    pub(super) fn mark(&self, mark: char) -> String {
        if self.utf8 {
            return mark.to_string();
        }
        match mark {
            '✓' => 'x',
            '●' => '*',
            '○' => 'o',
            '·' => '.',
            '◆' => '#',
            '∥' => '|',
            '→' => '>',
            '–' | '—' => '-',
            other => other,
        }
        .to_string()
    }

    /// Writes data to stdout; a reader that went away is no error, a full disk is.
    pub(super) fn data(&mut self, text: &str) {
        if self.broken {
            return;
        }
        if let Err(error) = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            self.broken = true;
            self.lost = (error.kind() != std::io::ErrorKind::BrokenPipe).then_some(error);
        }
    }

    /// Why the answer did not arrive, if it did not.
    pub(super) fn take_lost(&mut self) -> Option<std::io::Error> {
        self.lost.take()
    }

    fn talk(&mut self, text: &str) {
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }

    /// Prints an answer's lines to stdout.
    pub(super) fn answer(&mut self, lines: &[Line]) {
        let text = self.render(lines, self.out_color, self.columns);
        self.data(&text);
    }

    /// Prints lines of talk to stderr.
    pub(super) fn aside(&mut self, lines: &[Line]) {
        let text = self.render(lines, self.err_color, true);
        self.talk(&text);
    }

    fn render(&self, lines: &[Line], color: bool, columns: bool) -> String {
        let mut text = String::new();
        let verbs = lines
            .iter()
            .filter_map(|line| match line {
                Line::Said(verb, _) => Some(verb.width()),
                _ => None,
            })
            .max()
            .unwrap_or(0);
        let mut at = 0;
        while at < lines.len() {
            match &lines[at] {
                Line::Said(verb, rest) => {
                    let padded = format!("{verb:verbs$}");
                    text.push_str(&paint(&padded, style_of(verb), color));
                    text.push_str(&format!("  {rest}\n"));
                    at += 1;
                }
                Line::Text(line) => {
                    text.push_str(line);
                    text.push('\n');
                    at += 1;
                }
                Line::Blank => {
                    text.push('\n');
                    at += 1;
                }
                Line::Row(_) => {
                    let run = lines[at..].iter().take_while(|l| matches!(l, Line::Row(_))).count();
                    let rows: Vec<&Vec<String>> = lines[at..at + run]
                        .iter()
                        .filter_map(|line| match line {
                            Line::Row(cells) => Some(cells),
                            _ => None,
                        })
                        .collect();
                    text.push_str(&table(&rows, columns));
                    at += run;
                }
            }
        }
        text
    }

    /// Says what a user must act on.
    pub(super) fn warning(&mut self, message: &str, at: Option<&str>) {
        if self.quiet {
            return;
        }
        let mut text = paint("warning:", WARN, self.err_color);
        text.push_str(&format!(" {message}\n"));
        if let Some(at) = at {
            text.push_str(&format!("  --> {at}\n"));
        }
        self.talk(&text);
    }

    /// Says what went wrong.
    pub(super) fn error(&mut self, message: &str) {
        let text = format!("{} {message}\n", paint("error:", BAD, self.err_color));
        self.talk(&text);
    }

    /// Says what can be typed next.
    pub(super) fn next(&mut self, lines: &[(String, Option<String>)], indent: bool) {
        if self.quiet {
            return;
        }
        let pad = if indent { "  " } else { "" };
        for (n, (command, note)) in lines.iter().enumerate() {
            let label = if n == 0 { "next" } else { "    " };
            let note = note.as_ref().map(|note| format!("        {note}")).unwrap_or_default();
            let note = if note.is_empty() { note } else { paint(&note, DIM, self.err_color) };
            let text = format!("{pad}{}  {command}{note}\n", paint(label, DIM, self.err_color));
            self.talk(&text);
        }
    }

    /// Replaces the progress line, where somebody watches.
    pub(super) fn progress(&mut self, text: &str) {
        if self.progress {
            self.talk(&format!("\r\x1b[K{text}"));
        }
    }

    /// Takes the progress line away.
    pub(super) fn progress_done(&mut self) {
        if self.progress {
            self.talk("\r\x1b[K");
        }
    }
}

/// NO_COLOR and CLICOLOR_FORCE are obeyed where nothing was said.
fn wanted(environment: &Environment, color: &str, terminal: bool) -> bool {
    match color {
        "always" => true,
        "never" => false,
        _ if environment.var("NO_COLOR").is_some() => false,
        _ if environment.var("CLICOLOR_FORCE").is_some_and(|v| v != "0") => true,
        _ => terminal && environment.var("TERM") != Some("dumb"),
    }
}

fn paint(text: &str, style: Style, color: bool) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn style_of(verb: &str) -> Style {
    match verb {
        "violation" | "rejected" | "failed" => BAD,
        "created" | "claimed" | "completed" | "verified" | "registered" | "approved"
        | "adopted" => GOOD,
        "void" | "not seen" | "unshared" => WARN,
        _ => VERB,
    }
}

/// Rows as columns, or one record a line with tabs.
fn table(rows: &[&Vec<String>], columns: bool) -> String {
    let mut text = String::new();
    if !columns {
        for cells in rows {
            text.push_str(&cells.iter().map(|cell| cell.trim()).collect::<Vec<_>>().join("\t"));
            text.push('\n');
        }
        return text;
    }
    let count = rows.iter().map(|cells| cells.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|n| rows.iter().filter_map(|cells| cells.get(n)).map(|c| c.width()).max().unwrap_or(0))
        .collect();
    for cells in rows {
        let mut line = String::new();
        for (n, cell) in cells.iter().enumerate() {
            line.push_str(cell);
            if n + 1 < cells.len() {
                line.push_str(&" ".repeat(widths[n].saturating_sub(cell.width()) + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Untrusted text for a terminal: control and bidi characters are shown, never obeyed; one line.
#[must_use]
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}');
        if c == '\n' || c == '\t' {
            plain.push(' ');
        } else if c.is_control() || hidden {
            plain.push_str(&c.escape_unicode().to_string());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The first line of a text, cut to a width people can scan.
#[must_use]
pub(super) fn short(text: &str, longest: usize) -> String {
    let line = plain(text.lines().next().unwrap_or(""));
    if line.chars().count() <= longest {
        return line;
    }
    let cut: String = line.chars().take(longest.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

/// A command as it can be pasted: words a shell would touch are quoted.
#[must_use]
pub(super) fn shell(argv: &[String]) -> String {
    let word = |word: &String| {
        let safe = !word.is_empty()
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "._:/@+-=,".contains(c));
        if safe {
            word.clone()
        } else if word.contains(['\'', '$', '`', '\\', '!']) || word.chars().any(char::is_control) {
            format!("'{}'", plain(word).replace('\'', "'\\''"))
        } else {
            format!("\"{}\"", word.replace('"', "\\\""))
        }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Seconds as people say them: `8s`, `3m 12s`, `2h 5m`, `3d 4h`.
#[must_use]
pub(super) fn span(seconds: i64) -> String {
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

/// A time for people: only the clock when it was today.
#[must_use]
pub(super) fn clock(
    at: chrono::DateTime<chrono::Utc>,
    now: chrono::DateTime<chrono::Utc>,
    config: &Config,
) -> String {
    fn say<Z: chrono::TimeZone>(at: &chrono::DateTime<Z>, now: &chrono::DateTime<Z>) -> String
    where
        Z::Offset: std::fmt::Display,
    {
        let same_day = at.date_naive() == now.date_naive();
        at.format(if same_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" }).to_string()
    }
    if config.text("output.time") == "local" {
        let (at, now) = (at.with_timezone(&chrono::Local), now.with_timezone(&chrono::Local));
        return say(&at, &now);
    }
    say(&at, &now)
}
