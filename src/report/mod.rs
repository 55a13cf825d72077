//! View structs: what `status`, `export` and `brief` say, as plain data with a schema. Pure.
//!
//! What is not here: git, terminals, ages. Nothing here shows an event number, so the same facts
//! in another legal order read the same (L4).

mod item;
mod mermaid;
mod text;

pub use item::{
    AttemptReport, BriefReport, CriterionReport, ItemReport, OutputReport, PredecessorReport,
    ReturnReport, ReviewReport, StepReport, WorkflowReport, brief, item,
};
pub use mermaid::{graph, workflow_graph};
pub use text::{cut, plain};
