//! CHOREOGRAPHY: only where rooms must meet. Prints nothing, returns a report.
//!
//! What is not here: flags, terminals, a rule of its own.

mod baseline;
mod claim;
mod collect;
mod complete;
mod delegate;
mod handoff;
mod output;
mod replay;

pub use baseline::{Boundary, BoundaryError, Seen};
pub use claim::{Claimed, Next, NextClaim, claim, claim_next};
pub use collect::{Collect, Collected, Quarantined, collect};
pub use complete::{CheckFailed, Checks, Completion, OpsError, Run, complete};
pub use delegate::{Delegated, Delegation, Dry, Twin, compiled, delegate, dry_run};
pub use handoff::{
    Handed, Held, Preclaim, Preclaimed, SpoolError, Spooled, keep, preclaim, rescue, share, spool,
    unshared, work, write_tickets,
};
pub use output::{OutputError, hash_output};
pub use replay::{Difference, Measuring, Replayed, replay};
