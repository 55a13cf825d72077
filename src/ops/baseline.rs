//! Integration and its way back: what the rules ask about the user's repository, answered by it.

use std::path::Path;

use crate::code::{Base, CodeError};
use crate::domain::decide::{Ask, Decided, Integrate, Revert, Unchanged, Work, works};
use crate::domain::event::Landed;
use crate::domain::id::{ItemId, StepKey};
use crate::domain::moment::Moment;
use crate::ledger::{Ledger, LedgerError, Receipt, Snapshot};

/// What is asked of a commit on the base branch.
#[derive(Debug, Clone)]
pub struct Boundary<'a> {
    pub item: &'a ItemId,
    /// As it was typed: an id, a branch or a tag.
    pub commit: &'a str,
    /// The base branch; the repository's own default when left out.
    pub branch: Option<&'a str>,
    pub reason: Option<&'a str>,
    /// Take it although it cannot be shown; the reason says why.
    pub accept: bool,
}

/// Why an item's boundary did not move.
#[derive(Debug, thiserror::Error)]
pub enum BoundaryError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// What the repository says of a commit that is to move the boundary.
#[derive(Debug)]
pub struct Seen {
    base: Base,
    works: Vec<Work>,
    asked: Asked,
}

#[derive(Debug)]
enum Asked {
    Integrate(Integrate),
    Revert(Revert),
}

impl Asked {
    fn ask(&self) -> Ask {
        match self {
            Self::Integrate(ask) => Ask::Integrate(Box::new(ask.clone())),
            Self::Revert(ask) => Ask::Revert(Box::new(ask.clone())),
        }
    }
}

impl Seen {
    /// Looks for everything an item did on the base branch.
    ///
    /// # Errors
    /// Where the item, the commit or the branch is not there.
    pub fn landed(
        ledger: &Ledger,
        dir: &Path,
        asked: &Boundary<'_>,
    ) -> Result<Self, BoundaryError> {
        let fold = ledger.snapshot()?.known_item(asked.item)?;
        let base = Base::of(dir);
        let on = base.place(asked.commit, asked.branch)?;
        let works = works(&fold.workflow, &fold.state);
        let landed = base.landed(&works, &on.commit);
        let accepted = asked.reason.filter(|_| asked.accept).map(str::to_owned);
        let asked = Asked::Integrate(Integrate { on, landed, accepted });
        Ok(Self { base, works, asked })
    }

    /// Looks whether a commit undoes the item's integration.
    ///
    /// # Errors
    /// Where the item, the commit or the branch is not there.
    pub fn undone(
        ledger: &Ledger,
        dir: &Path,
        asked: &Boundary<'_>,
        return_to: &StepKey,
    ) -> Result<Self, BoundaryError> {
        let fold = ledger.snapshot()?.known_item(asked.item)?;
        let base = Base::of(dir);
        // What was integrated is reverted where it was.
        let integrated = fold.state.integrated.as_ref();
        let branch = asked.branch.or(integrated.map(|known| known.branch.as_str()));
        let on = base.place(asked.commit, branch)?;
        let works = works(&fold.workflow, &fold.state);
        let (undoes, how) = match integrated {
            Some(known) => base.undoes(&on.commit, &known.commit, &works),
            None => (false, "the item is not integrated".into()),
        };
        let asked = Asked::Revert(Revert {
            on,
            undoes,
            how,
            return_to: return_to.clone(),
            reason: asked.reason.unwrap_or_default().to_owned(),
            accept: asked.accept,
        });
        Ok(Self { base, works, asked })
    }

    /// What was found of each completion that counts; empty for a revert.
    #[must_use]
    pub fn verdicts(&self) -> &[Landed] {
        match &self.asked {
            Asked::Integrate(ask) => &ask.landed,
            Asked::Revert(_) => &[],
        }
    }

    /// The commit, its branch and, for a revert, how it undoes the integration.
    #[must_use]
    pub fn place(&self) -> (&str, &str, Option<&str>) {
        match &self.asked {
            Asked::Integrate(ask) => (&ask.on.commit, &ask.on.branch, None),
            Asked::Revert(ask) => (&ask.on.commit, &ask.on.branch, Some(&ask.how)),
        }
    }

    /// Judges it and records nothing.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge(
        &self,
        ledger: &Ledger,
        item: &ItemId,
        moment: &Moment,
    ) -> Result<Decided, LedgerError> {
        ledger.snapshot()?.decide(item, &self.asked.ask(), moment)
    }

    /// Records it, judged against the newest state. Where other completions count by then, these
    /// are looked for before anything is decided.
    ///
    /// # Errors
    /// The refusal, or what the ledger says.
    pub fn record(
        &mut self,
        ledger: &Ledger,
        item: &ItemId,
        moment: &Moment,
    ) -> Result<Receipt<Option<Unchanged>>, LedgerError> {
        ledger.transact(moment, |snapshot| {
            self.follow(snapshot, item)?;
            Ok(snapshot.decide(item, &self.asked.ask(), moment)?.into())
        })
    }

    /// Looks anew where the item has moved on since.
    fn follow(&mut self, snapshot: &Snapshot<'_>, item: &ItemId) -> Result<(), LedgerError> {
        let fold = snapshot.known_item(item)?;
        let works = works(&fold.workflow, &fold.state);
        if works != self.works {
            if let Asked::Integrate(ask) = &mut self.asked {
                ask.landed = self.base.landed(&works, &ask.on.commit);
            }
            self.works = works;
        }
        Ok(())
    }
}
