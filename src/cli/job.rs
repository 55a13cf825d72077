//! What a job of GitHub Actions is told beside the answer: outputs for the steps after this one,
//! and a summary that people see.

use std::io::Write as _;
use std::path::PathBuf;

use crate::config::Environment;
use crate::domain::id::Digest;
use crate::forge;

/// The files the runner gave this step; none outside Actions.
#[derive(Debug, Clone, Default)]
pub(super) struct Job {
    output: Option<PathBuf>,
    summary: Option<PathBuf>,
    delimiter: String,
}

impl Job {
    pub(super) fn of(environment: &Environment) -> Self {
        if !environment.in_actions() {
            return Self::default();
        }
        let file =
            |name: &str| environment.var(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let chance = Digest::of_parts(&[&environment.seed(), b"delimiter"]);
        Self {
            output: file("GITHUB_OUTPUT"),
            summary: file("GITHUB_STEP_SUMMARY"),
            delimiter: format!("stepseal-{}", &chance.as_str()[..32]),
        }
    }

    /// Says both; what cannot be said is a warning, for the command itself went well.
    pub(super) fn tell(
        &self,
        outputs: &[(&'static str, String)],
        summary: Option<&str>,
    ) -> Option<String> {
        let outputs: String = outputs
            .iter()
            .map(|(name, value)| forge::output(name, value, &self.delimiter))
            .collect();
        let summary = summary.map(forge::summary).unwrap_or_default();
        let append = |file: &Option<PathBuf>, text: &str| {
            let file = file.as_ref().filter(|_| !text.is_empty())?;
            let open = std::fs::OpenOptions::new().append(true).create(true).open(file);
            let written = open.and_then(|mut open| open.write_all(text.as_bytes()));
            let error = written.err()?;
            Some(format!("{} was not written: {error}", file.display()))
        };
        append(&self.output, &outputs).or_else(|| append(&self.summary, &summary))
    }
}
