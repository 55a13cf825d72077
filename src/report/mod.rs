//! What `status`, `export` and `brief` say: view structs with a schema, tables, one report. Pure.
//!
//! What is not here: git, terminals, ages. Nothing here shows an event number, so the same facts
//! in another legal order read the same (L4).

mod charts;
mod diff;
mod flow;
mod html;
mod item;
mod layout;
mod markdown;
mod mermaid;
mod table;
mod text;

pub use diff::{FieldChange, Neighbours, StepChange, WorkflowDiff, diff};
pub use flow::{attempt_table, item_table, portfolio_table, step_table, workflow_table};
pub use html::{Asked, Detail, Page, Told, page};
pub use item::{
    AttemptReport, BlockerReport, BriefReport, CriterionReport, EndedReport, FollowUpReport,
    FormerStepReport, IntegratedReport, ItemReport, MigrationReport, OutputReport,
    PredecessorReport, RenamedStep, ResumedReport, ReturnReport, ReviewReport, ReviewedReport,
    ReworkReason, ReworkReport, ReworkedStep, StepReport, TransferReport, WorkflowReport, brief,
    follow_ups, item,
};
pub use markdown::{Overview, Unreadable, begin, section};
pub use mermaid::{graph, workflow_graph};
pub use table::{Csv, Table};
pub use text::{acts, count, cut, grouped, harmless, lasted, percent, plain, span, tenths};
