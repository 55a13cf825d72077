//! `demo`: the main job, end to end, in a throw-away repository.

use super::super::Reply;
use super::super::args::DemoArgs;
use super::super::error::Failure;
use super::super::session::Session;
use super::super::ui::Ui;
pub(super) fn run(_args: &DemoArgs, _session: &Session, _ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    Err(Failure::usage("demo"))
}
