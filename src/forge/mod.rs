//! GITHUB: the workflows of a repository that works in GitHub Actions, and the way the program
//! speaks to a job there.
//!
//! What is not here: the ledger, and what is said in it. Pure: whoever asks writes the files.

/// The files of a repository that works in GitHub Actions, by path.
pub const FILES: [(&str, &str); 4] = [
    (".github/workflows/orchestrator.yml", include_str!("files/orchestrator.yml")),
    (".github/workflows/execute.yml", include_str!("files/execute.yml")),
    (".github/workflows/collector.yml", include_str!("files/collector.yml")),
    (".github/actions/stepseal/action.yml", include_str!("files/action.yml")),
];

/// The most bytes of one step's summary; GitHub drops a longer one whole.
const SUMMARY: usize = 1000 * 1024;

/// One output of a step, as it stands in `$GITHUB_OUTPUT`: the delimiter is a word nobody can
/// guess, so no value ends it early.
#[must_use]
pub fn output(name: &str, value: &str, delimiter: &str) -> String {
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// A line that GitHub shows as an annotation of the run: `error`, `warning` or `notice`.
#[must_use]
pub fn annotation(level: &str, title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={}::{}", property(title), data(message))
}

/// A summary that GitHub takes: cut at a line where it is too long.
#[must_use]
pub fn summary(markdown: &str) -> String {
    if markdown.len() <= SUMMARY {
        return markdown.to_owned();
    }
    let mut cut = String::with_capacity(SUMMARY);
    for line in markdown.split_inclusive('\n') {
        if cut.len() + line.len() > SUMMARY {
            break;
        }
        cut.push_str(line);
    }
    // A fence that was cut open would swallow what follows.
    if cut.matches("\n```").count() % 2 == 1 {
        cut.push_str("```\n");
    }
    cut.push_str("\nThe rest was left out: it is too long for a summary.\n");
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `$GITHUB_OUTPUT` as the runner reads it.
    fn read(text: &str) -> Vec<(String, String)> {
        let mut lines = text.lines();
        let mut read = Vec::new();
        while let Some(line) = lines.next() {
            let (name, delimiter) = line.split_once("<<").expect("a heredoc");
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            read.push((name.to_owned(), value.join("\n")));
        }
        read
    }

    #[test]
    fn whatever_an_output_holds_it_is_one_output() {
        for value in
            ["", "x", "a=b", "x<<EOF\nEOF\ny=1", "::set-output name=a::b", "{\"a\":[1]}", "EOF"]
        {
            let text = output("matrix", value, "d-01a2") + &output("count", "2", "d-01a2");
            let expected = [("matrix".to_owned(), value.to_owned()), ("count".into(), "2".into())];
            assert_eq!(read(&text), expected, "{value}");
        }
    }

    #[test]
    fn an_annotation_is_one_line_whatever_it_says() {
        let said = annotation("error", "a:b,c", "one\n::set-env name=x::y\r\n100%");
        assert_eq!(said, "::error title=a%3Ab%2Cc::one%0A::set-env name=x::y%0D%0A100%25");
        assert_eq!(said.lines().count(), 1);
    }

    #[test]
    fn a_summary_that_is_too_long_is_cut_at_a_line() {
        assert_eq!(summary("# short\n"), "# short\n");
        let long = format!("# long\n\n```mermaid\n{}", "a --> b\n".repeat(200_000));
        let cut = summary(&long);
        assert!(cut.len() < 1024 * 1024, "{}", cut.len());
        assert_eq!(cut.matches("```").count(), 2);
        assert!(cut.ends_with("summary.\n"));
    }
}
