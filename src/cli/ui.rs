//! How things are said: answers to stdout, talk to stderr; first word bold, marks with words.
//!
//! Commands write `✓ ● ○ · ◆ ∥ → …` as they are meant; where the locale is not UTF-8 they become
//! ASCII here and nowhere else.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::echo::uncommand;
use super::meter::Meter;
use crate::config::{Config, Environment, Pager, Size};
use crate::forge;
use crate::ledger::Progress;
use crate::process::{self, Feed};
use crate::report::acts;
pub(super) use crate::report::{count, cut, grouped, harmless, plain, span};

/// Where a command speaks.
pub(super) struct Ui<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    pub json: bool,
    pub quiet: bool,
    out_color: bool,
    err_color: bool,
    /// stdout is a terminal: columns line up; otherwise one record a line, tabs.
    columns: bool,
    /// The terminal's size: answers are fitted to its width.
    size: Option<Size>,
    meter: Rc<RefCell<Meter>>,
    paging: Paging,
    utf8: bool,
    /// A job of GitHub Actions reads along.
    actions: bool,
    /// The reader went away: nothing more is written, quietly.
    broken: bool,
    /// Why stdout did not take the answer, where it is not that its reader went away.
    lost: Option<std::io::Error>,
}

/// Whether long answers go through a pager.
enum Paging {
    Off,
    /// Held back until it is known to be longer than the screen.
    Held {
        pager: Pager,
        bytes: Vec<u8>,
        lines: usize,
    },
    Open(Feed),
}

impl std::fmt::Debug for Ui<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui")
            .field("json", &self.json)
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
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
            size: environment.size.filter(|_| environment.stdout_terminal),
            meter: Rc::new(RefCell::new(Meter::new(environment, false, ""))),
            paging: Paging::Off,
            utf8: environment.utf8(),
            actions: environment.in_actions(),
            broken: false,
            lost: None,
        }
    }

    /// Decides on colour again, once the configuration is known.
    pub(super) fn recolor(&mut self, environment: &Environment, color: &str) {
        self.out_color = wanted(environment, color, environment.stdout_terminal);
        self.err_color = wanted(environment, color, environment.stderr_terminal);
    }

    /// Shares the line on which a command's progress is drawn.
    pub(super) fn measure(&mut self, meter: Rc<RefCell<Meter>>) {
        self.meter = meter;
    }

    /// Shows an answer longer than the screen through this program.
    pub(super) fn page(&mut self, pager: Option<Pager>) {
        if let (Some(pager), Some(_), false, false) = (pager, self.size, self.json, self.quiet) {
            self.paging = Paging::Held { pager, bytes: Vec::new(), lines: 0 };
        }
    }

    /// How many lines the terminal has, where the answer goes to one.
    #[must_use]
    pub(super) fn lines(&self) -> Option<usize> {
        self.size.map(|size| size.lines)
    }

    /// Whether talk is coloured.
    #[must_use]
    pub(super) fn err_color(&self) -> bool {
        self.err_color
    }

    /// Whether anybody still reads the answer.
    #[must_use]
    pub(super) fn is_read(&self) -> bool {
        !self.broken
    }

    /// Prints prepared talk.
    pub(super) fn snippet(&mut self, text: &str) {
        self.talk(text);
    }

    /// Writes data to stdout; a reader that went away is no error, a full disk is.
    pub(super) fn data(&mut self, text: &str) {
        // The same JSON, in which a runner finds no command.
        if self.actions && self.json && text.contains("##[") {
            self.bytes(text.replace("##[", "##\\u005b").as_bytes());
            return;
        }
        self.bytes(text.as_bytes());
    }

    /// A text for people, in which a runner of GitHub Actions finds no command.
    fn inert(&self, text: String) -> String {
        if !self.actions {
            return text;
        }
        text.split_inclusive('\n').map(uncommand).collect()
    }

    /// Shows a line as an annotation of the job, where this is one.
    pub(super) fn annotate(&mut self, level: &str, command: &str, message: &str) {
        if self.actions {
            let title = format!("stepseal {command}");
            let line = forge::annotation(level, &title, &uncommand(&plain(message)));
            self.say(&format!("{line}\n"));
        }
    }

    /// Prints what scripts need of an answer.
    pub(super) fn bare(&mut self, text: &str) {
        let text = self.inert(harmless(text));
        self.data(&text);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.meter.borrow_mut().clear();
        if let Paging::Held { bytes: held, lines, .. } = &mut self.paging {
            held.extend_from_slice(bytes);
            *lines += bytes.iter().filter(|byte| **byte == b'\n').count();
            if self.size.is_some_and(|size| *lines >= size.lines) {
                self.open_pager();
            }
            return;
        }
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        let out: &mut dyn Write = match &mut self.paging {
            Paging::Open(feed) => feed,
            Paging::Off | Paging::Held { .. } => self.out,
        };
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            self.broken = true;
            self.lost = (error.kind() != std::io::ErrorKind::BrokenPipe).then_some(error);
        }
    }

    /// Hands what was held back, and what follows, to the pager; without one it is printed.
    fn open_pager(&mut self) {
        let Paging::Held { pager, bytes, .. } = std::mem::replace(&mut self.paging, Paging::Off)
        else {
            return;
        };
        match process::feed(&pager.argv, &pager.env) {
            Ok(feed) => {
                self.meter.borrow_mut().stop();
                self.paging = Paging::Open(feed);
            }
            Err(error) if pager.named => {
                self.warning(&format!("the pager is left out: {error}"), None);
            }
            Err(_) => {}
        }
        self.put(&bytes);
    }

    /// Copies a long answer to stdout, piece by piece.
    pub(super) fn copy(&mut self, from: &mut impl std::io::Read) {
        let mut piece = vec![0; 64 * 1024];
        while self.is_read() {
            match from.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => self.bytes(&piece[..count]),
                Err(error) => {
                    self.broken = true;
                    self.lost = Some(error);
                }
            }
        }
    }

    /// The answer is complete: prints what was held back, or waits for who reads it.
    pub(super) fn end_answer(&mut self) {
        self.meter.borrow_mut().clear();
        match std::mem::replace(&mut self.paging, Paging::Off) {
            Paging::Off => {}
            Paging::Held { bytes, .. } => self.put(&bytes),
            Paging::Open(feed) => {
                feed.end();
                // Whoever left the pager early has read what they wanted; talk goes on.
                self.broken = false;
                self.lost = None;
            }
        }
    }

    /// Why the answer did not arrive, if it did not.
    pub(super) fn take_lost(&mut self) -> Option<std::io::Error> {
        self.lost.take()
    }

    fn talk(&mut self, text: &str) {
        let text = self.inert(self.spoken(text).into_owned());
        self.say(&text);
    }

    fn say(&mut self, text: &str) {
        self.meter.borrow_mut().clear();
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }

    /// Draws how far the command is, once it takes its time.
    pub(super) fn progress(&self, progress: Progress) {
        self.meter.borrow_mut().step(progress);
    }

    /// Says at once what takes its time, where somebody looks; it is gone with the next word.
    pub(super) fn busy(&mut self, text: &str) {
        let text = self.spoken(text).into_owned();
        self.meter.borrow_mut().say(&text);
    }

    /// Prints an answer's lines to stdout.
    pub(super) fn answer(&mut self, lines: &[Line]) {
        let text = self.inert(self.render(lines, self.out_color, self.columns));
        self.data(&text);
    }

    /// Prints rows of a table that goes on: its columns only grow.
    pub(super) fn rows(&mut self, columns: &mut Columns, rows: &[Vec<String>]) {
        let rows: Vec<Vec<String>> = rows.iter().map(|cells| self.cells(cells)).collect();
        let text = self.inert(self.table(columns, &rows, self.columns));
        self.data(&text);
    }

    /// Prints lines of talk to stderr.
    pub(super) fn aside(&mut self, lines: &[Line]) {
        let text = self.render(lines, self.err_color, true);
        self.talk(&text);
    }

    /// A text as it can be read here: ASCII where the locale is not UTF-8.
    fn spoken<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.utf8 || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let mut spoken = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '✓' => spoken.push('x'),
                '●' => spoken.push('*'),
                '○' => spoken.push('o'),
                '·' => spoken.push('.'),
                '◆' => spoken.push('#'),
                '∥' => spoken.push_str("||"),
                '→' => spoken.push_str("->"),
                '–' | '—' => spoken.push('-'),
                '…' => spoken.push_str("..."),
                c => spoken.push(c),
            }
        }
        Cow::Owned(spoken)
    }

    fn cells(&self, cells: &[String]) -> Vec<String> {
        cells.iter().map(|cell| self.spoken(&plain(cell)).into_owned()).collect()
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
        let width = self.size.filter(|_| columns).map(|size| size.columns);
        let mut at = 0;
        while at < lines.len() {
            match &lines[at] {
                Line::Said(verb, rest) => {
                    let padded = format!("{verb:verbs$}");
                    text.push_str(&paint(&padded, style_of(verb), color));
                    let rest = self.spoken(&harmless(rest)).into_owned();
                    let rest = wrapped(&rest, verbs + 2, verbs + 2, width);
                    text.push_str(&format!("  {rest}\n"));
                    at += 1;
                }
                Line::Text(line) => {
                    let line = self.spoken(&harmless(line)).into_owned();
                    let indent = line.len() - line.trim_start_matches(' ').len();
                    text.push_str(&wrapped(&line, 0, indent, width));
                    text.push('\n');
                    at += 1;
                }
                Line::Blank => {
                    text.push('\n');
                    at += 1;
                }
                Line::Row(_) => {
                    let rows: Vec<Vec<String>> = lines[at..]
                        .iter()
                        .map_while(|line| match line {
                            Line::Row(cells) => Some(self.cells(cells)),
                            _ => None,
                        })
                        .collect();
                    text.push_str(&self.table(&mut Columns::default(), &rows, columns));
                    at += rows.len();
                }
            }
        }
        text
    }

    /// Rows as columns, fitted to the terminal, or one record a line with tabs.
    fn table(&self, columns: &mut Columns, rows: &[Vec<String>], line_up: bool) -> String {
        let mut text = String::new();
        if !line_up {
            for cells in rows {
                let cells: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
                text.push_str(&cells.join("\t"));
                text.push('\n');
            }
            return text;
        }
        for cells in rows {
            columns.grow(cells);
        }
        let width = self.size.map(|size| size.columns);
        let widths = columns.fitted(width);
        let ellipsis = if self.utf8 { "…" } else { "..." };
        for cells in rows {
            let mut line = String::new();
            for (cell, &width) in cells.iter().zip(&widths) {
                let cell = cut(cell, width, ellipsis);
                let pad = (width + 2).saturating_sub(cell.width());
                line.push_str(&cell);
                line.push_str(&" ".repeat(pad));
            }
            text.push_str(&cut(line.trim_end(), width.unwrap_or(usize::MAX), ellipsis));
            text.push('\n');
        }
        text
    }

    /// Says what a user must act on.
    pub(super) fn warning(&mut self, message: &str, at: Option<&str>) {
        if self.quiet {
            return;
        }
        let mut text = paint("warning:", WARN, self.err_color);
        text.push_str(&format!(" {}\n", harmless(message)));
        if let Some(at) = at {
            text.push_str(&format!("  --> {}\n", plain(at)));
        }
        self.talk(&text);
    }

    /// Says what went wrong.
    pub(super) fn error(&mut self, message: &str) {
        let error = paint("error:", BAD, self.err_color);
        let text = format!("{error} {}\n", harmless(message));
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
            let note = note.as_ref().map(|note| format!("        {}", plain(note)));
            let note = self.spoken(&note.unwrap_or_default()).into_owned();
            let note = match note.is_empty() {
                true => String::new(),
                false => paint(&note, DIM, self.err_color),
            };
            // Pasted as it stands: only the place left for the caller's words is ours to change.
            let command = plain(command);
            let ascii = if self.utf8 { command } else { placeholder(&command) };
            let text = format!("{pad}{}  {ascii}{note}\n", paint(label, DIM, self.err_color));
            self.say(&text);
        }
    }
}

/// `"…"` in a command, as ASCII.
fn placeholder(command: &str) -> String {
    command.replace("\"…\"", "\"...\"")
}

/// The widths of a table's columns, so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns(Vec<usize>);

impl Columns {
    /// A column narrower than this says nothing.
    const LEAST: usize = 8;

    fn grow(&mut self, cells: &[String]) {
        self.0.resize(self.0.len().max(cells.len()), 0);
        for (width, cell) in self.0.iter_mut().zip(cells) {
            *width = (*width).max(cell.width());
        }
    }

    /// Narrower where the terminal is: the widest columns give way, the first one never, because
    /// it names what the row is about.
    fn fitted(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths = self.0.clone();
        let gaps = 2 * widths.len().saturating_sub(1);
        let Some(width) = width else { return widths };
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        while over > 0 {
            let widest = widths.iter_mut().skip(1).max();
            let Some(widest) = widest.filter(|widest| **widest > Self::LEAST) else { break };
            *widest -= 1;
            over -= 1;
        }
        widths
    }
}

/// A line broken at spaces to fit a width; it begins at `from`, its further lines at `indent`.
fn wrapped(line: &str, from: usize, indent: usize, width: Option<usize>) -> String {
    // Where nearly nothing would fit, the terminal breaks the line better than this does.
    let Some(width) = width.filter(|width| *width >= indent + 20) else {
        return line.to_owned();
    };
    let (mut text, mut at) = (String::new(), from);
    for (n, word) in line.split(' ').enumerate() {
        // A digest that fits no line stays where it is: only the terminal breaks words.
        let fits_a_line = indent + word.width() <= width;
        if n > 0 && at + 1 + word.width() > width && at > indent && fits_a_line {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            at = indent;
        } else if n > 0 {
            text.push(' ');
            at += 1;
        }
        text.push_str(word);
        at += word.width();
    }
    text
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

/// Text for one line without moving a column: one sign for each character that acts.
#[must_use]
pub(super) fn in_place(text: &str) -> String {
    let sign = |c| match c {
        '\n' => '\n',
        '\t' | '\r' => ' ',
        c if acts(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(sign).collect()
}

/// The first line of a text, cut to a width people can scan.
#[must_use]
pub(super) fn short(text: &str, longest: usize) -> String {
    cut(&plain(text.lines().next().unwrap_or("")), longest, "…")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_is_never_cut_and_the_widest_gives_way() {
        let mut columns = Columns::default();
        columns.grow(&["WI-1".into(), "x".repeat(50), "y".repeat(30), "z".repeat(4)]);
        let widths = columns.fitted(Some(60));
        assert_eq!(widths.iter().sum::<usize>() + 6, 60);
        assert_eq!((widths[0], widths[3]), (4, 4));
        assert!(widths[1].abs_diff(widths[2]) <= 1, "{widths:?}");
        let narrow = columns.fitted(Some(10));
        assert_eq!(narrow, [4, 8, 8, 4]);
    }

    #[test]
    fn a_wrapped_line_keeps_its_words_and_its_indent() {
        let line = "chain, roots, schemas, links and transitions hold; nothing was changed";
        let text = wrapped(line, 10, 10, Some(40));
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), line);
        for (n, part) in text.lines().enumerate() {
            let start = if n == 0 { 10 } else { 0 };
            assert!(start + part.width() <= 40, "{part}");
            assert!(n == 0 || part.starts_with(&" ".repeat(10)), "{part}");
        }
        assert_eq!(wrapped(line, 0, 0, None), line);
    }
}
