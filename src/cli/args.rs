//! What may be typed: the clap tree. Doc comments are the help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint};

use super::suggest::{self, About};
use crate::domain::decide::Ending;
use crate::domain::event::EventKind;
use crate::domain::status::Status;
use crate::report::Table;

/// Turn a plan into ordered steps, hand each to one executor at a time, seal everything in git
#[derive(Debug, Parser)]
#[command(
    name = "stepseal",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  stepseal demo                              see the main job in a throw-away repository\n  stepseal init                              make a ledger in this repository\n  stepseal delegate --plan FILE --dry-run    look at a plan before it is recorded\n\nExit codes: 0 ok, 1 nothing to do, 2 usage or invalid input, 4 refused by a rule, 5 not found,\n6 conflict, 10 ledger damaged, 11 cannot be verified, 75 try again (docs/exit-codes.md)"
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    pub dir: Option<PathBuf>,
    /// Answer with one JSON document on stdout (log: one a line), a refusal too
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what scripts need; no hints
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print long answers as they are, although they go to a terminal
    #[arg(long, global = true)]
    pub no_pager: bool,
    /// Never ask anything (nothing is asked today; scripts may say so)
    #[arg(long, global = true)]
    pub non_interactive: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "always", "never"], global = true)]
    pub color: Option<String>,
    /// Who works; one task at a time [default: executor.id, else local-XXXXXXXX]
    #[arg(long, value_name = "ID", global = true)]
    pub executor: Option<String>,
    /// The accountable person [default: principal.id, else git's user.email]
    #[arg(long, value_name = "ID", global = true)]
    pub principal: Option<String>,
    /// Makes the command safe to repeat: the same id and ask again is the original result
    #[arg(long, value_name = "ID", global = true)]
    pub request_id: Option<String>,
    /// Read the ledger as it stood at COMMIT; what reads takes it, what acts refuses it
    #[arg(long, value_name = "COMMIT", global = true)]
    pub at: Option<String>,
    /// Read the ledger as it stood at the end of WHEN: a date, a time, or so long before the latest
    /// fact (7d)
    #[arg(long, value_name = "WHEN", global = true, conflicts_with = "at")]
    pub as_of: Option<String>,
}

/// Declares the verbs once: the enum that clap derives the whole tree from, their names, and one
/// verb's tree for itself.
macro_rules! verbs {
    ($($(#[$meta:meta])* $shape:ident $verb:ident $name:literal $args:ident,)*) => {
        /// The verbs.
        #[derive(Debug, Subcommand)]
        pub(super) enum Command {
            $($(#[$meta])* $verb($args),)*
        }

        impl Command {
            /// The verb, as it is typed and as the `--json` contract names it.
            pub(super) fn name(&self) -> &'static str {
                match self {
                    $(Self::$verb(_) => $name,)*
                }
            }

            /// The tree of the verb of this name; `None` where there is no such verb.
            fn alone(name: &str) -> Option<clap::Command> {
                Some(match name {
                    $($name => verbs!(@$shape $args, clap::Command::new($name)),)*
                    _ => return None,
                })
            }
        }
    };
    (@alone $args:ident, $command:expr) => { <$args as Args>::augment_args($command) };
    (@below $args:ident, $command:expr) => {
        <$args as Subcommand>::augment_subcommands($command.subcommand_required(true))
    };
}

verbs! {
    /// Make a ledger in this repository, or adopt the one that is there
    alone Init "init" InitArgs,
    /// Turn a plan or a prompt into a work item
    alone Delegate "delegate" DelegateArgs,
    /// Say what may start now, in which order, and why not the rest
    alone Schedule "schedule" ScheduleArgs,
    /// Take one step, exclusively
    alone Claim "claim" ClaimArgs,
    /// Print all a worker needs for one step
    alone Brief "brief" BriefArgs,
    /// End an attempt: completed, failed or rejected
    alone Complete "complete" CompleteArgs,
    /// Give a step up; those that wait for it go on
    alone Skip "skip" SkipArgs,
    /// Queue a further attempt of a step that ended
    alone Requeue "requeue" RequeueArgs,
    /// Give a claim back
    alone Release "release" ReleaseArgs,
    /// Decide a gate
    #[command(subcommand)]
    below Gate "gate" GateCommand,
    /// Send an item back to an earlier step, outside a gate
    alone Rework "rework" ReworkArgs,
    /// Say that an item's outputs are on the base branch, and see that they are
    alone Integrate "integrate" IntegrateArgs,
    /// Say that an integration was undone, and go back to a step
    alone Revert "revert" RevertArgs,
    /// Decide about items that may be duplicates
    #[command(subcommand)]
    below Review "review" ReviewCommand,
    /// Say what holds an item from outside, and when it is gone
    #[command(subcommand)]
    below Blocker "blocker" BlockerCommand,
    /// Say who is accountable
    #[command(subcommand)]
    below Owner "owner" OwnerCommand,
    /// Go on after an interruption: list what has to be verified again
    alone Resume "resume" ResumeArgs,
    /// Move an item to another version of its workflow
    alone Migrate "migrate" MigrateArgs,
    /// Take an item's last migration back
    alone Rollback "rollback" RollbackArgs,
    /// Give an item up
    alone Cancel "cancel" CancelArgs,
    /// Say where items stand, and why
    alone Status "status" StatusArgs,
    /// Show what happened, event by event
    alone Log "log" LogArgs,
    /// Say how work flows: lead and cycle times, waiting, throughput, rework
    alone Metrics "metrics" MetricsArgs,
    /// Write everything as JSON, as tables or as one report, or the ledger's files as a folder
    alone Export "export" ExportArgs,
    /// Recompute everything and name what is not as it was sealed
    alone Verify "verify" VerifyArgs,
    /// Compute every state, schedule and metric anew from the events, and compare
    alone Replay "replay" ReplayArgs,
    /// Start the work of a ticket, and spool how it ended
    alone Run "run" RunArgs,
    /// Bring spooled handoffs home, in one commit
    alone Collect "collect" CollectArgs,
    /// Bring what others recorded, through the remote the ledger is shared by
    alone Sync "sync" SyncArgs,
    /// Put sealed bytes back after somebody changed the ledger
    alone Correct "correct" CorrectArgs,
    /// Say which keys may sign seals
    #[command(subcommand)]
    below Key "key" KeyCommand,
    /// Set the rules of the whole ledger, and look at them
    #[command(subcommand)]
    below Policy "policy" PolicyCommand,
    /// Look at workflows; publish, compare and retire their versions
    #[command(subcommand)]
    below Workflow "workflow" WorkflowCommand,
    /// Look at what may be in the way: git, the remote and its rights, clocks, locks, configuration
    alone Doctor "doctor" DoctorArgs,
    /// Print the JSON Schemas of everything written and answered
    alone Schema "schema" SchemaArgs,
    /// Look at the configuration
    #[command(subcommand)]
    below Config "config" ConfigCommand,
    /// Show the main job, end to end, in a throw-away repository
    alone Demo "demo" DemoArgs,
    /// Print what makes a shell complete ids, step keys and workflow names
    alone Completions "completions" CompletionsArgs,
    /// Print the manual
    alone Man "man" ManArgs,
}

impl Command {
    /// Whether the verb reads one state of the ledger, and so may read an earlier one.
    pub(super) fn reads(&self) -> bool {
        matches!(
            self,
            Self::Schedule(_)
                | Self::Brief(_)
                | Self::Review(_)
                | Self::Blocker(_)
                | Self::Owner(_)
                | Self::Status(_)
                | Self::Log(_)
                | Self::Export(_)
                | Self::Metrics(_)
                | Self::Replay(_)
                | Self::Policy(_)
                | Self::Workflow(_)
        )
    }
}

impl Cli {
    /// Reads what was typed.
    ///
    /// The whole tree takes longer to build than many a command takes, and only the verb that was
    /// typed matters. So that verb is read alone, and the whole tree only says what is wrong, and
    /// the help.
    ///
    /// # Errors
    /// What clap says: usage, help or the version.
    pub(super) fn read(argv: &[OsString]) -> Result<Self, clap::Error> {
        let root =
            Global::augment_args(clap::Command::new("stepseal")).version(env!("CARGO_PKG_VERSION"));
        let words = argv.iter().skip(1).filter_map(|word| word.to_str());
        let verb = words.filter_map(Command::alone).next();
        let alone = root.subcommands(verb);
        let read =
            alone.try_get_matches_from(argv).and_then(|found| Self::from_arg_matches(&found));
        match read {
            Err(error) if error.kind() != ErrorKind::DisplayVersion => Self::try_parse_from(argv),
            read => read,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal replay\n  stepseal replay ALBUMS\n  stepseal replay --expect 3b5f…        the digest another clone printed\n\nThe same facts give the same digest, in whichever order they came and whichever way. Nothing that\nthis clone keeps is used; what it keeps and is wrong is thrown away. Exit 10 where a file of the\nledger is not what the events give, or the digest is another."
)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub item: MaybeItem,
    /// The digest it should come to
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal sync\n  stepseal sync status        asks nobody\n\nWhat acts asks the remote itself, before it decides and when it records. What reads shows what this\nclone has: sync first to see what others did meanwhile."
)]
pub(super) struct SyncArgs {
    /// What to do [default: bring and send]
    #[arg(value_enum, value_name = "WHAT", conflicts_with = "accept_rewrite")]
    pub what: Option<SyncArg>,
    /// Take the remote's history although it lost what this clone saw there: what this clone had is
    /// kept under refs/stepseal/rescued, and what ended only in it is brought home
    #[arg(long, requires = "reason")]
    pub accept_rewrite: bool,
    /// Why the remote is right
    #[arg(long, value_name = "TEXT", requires = "accept_rewrite")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal run --ticket tickets/SHOP-7/api.1.json --spool out\n\nStarts the step's `execute` command in this folder, with STEPSEAL_WORK_ITEM, STEPSEAL_STEP,\nSTEPSEAL_ATTEMPT, STEPSEAL_CLAIM and STEPSEAL_EXECUTOR set and the brief in the file that\nSTEPSEAL_TICKET names. Exit 0 completes the attempt, with the checks of its exit criteria run;\nanything else fails it, and this command then ends with 8: that too was spooled. Its output goes to\nstderr."
)]
pub(super) struct RunArgs {
    /// The ticket
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ticket: PathBuf,
    /// Where the handoff waits for a collector
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub spool: PathBuf,
    /// A file the work produces; recorded by content
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal collect spool\n  stepseal collect handoffs --fail-missing --run 4211:1\n\nEach handoff is judged by the rules it would have been judged by at once; the rest is quarantined with\nits reason (exit 4). The same again records nothing twice."
)]
pub(super) struct CollectArgs {
    /// Folders of spooled handoffs
    #[arg(value_name = "DIR", required_unless_present = "fail_missing", value_hint = ValueHint::DirPath)]
    pub folders: Vec<PathBuf>,
    /// Fail what executors of the run hold and did not hand in
    #[arg(long, requires = "run")]
    pub fail_missing: bool,
    /// RUN_ID:RUN_ATTEMPT in Actions, else the BASE of the pre-claims
    #[arg(long, value_name = "RUN", requires = "fail_missing")]
    pub run: Option<String>,
}

/// What `sync` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SyncArg {
    /// Say where this clone and the remote stood at the last look
    Status,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal doctor\n  stepseal doctor --offline        asks no remote\n\nNothing is changed. Ends with the code of the first thing that fails; each says what puts it right.\nWhether the history is sound says `stepseal verify`."
)]
pub(super) struct DoctorArgs {
    /// Ask no remote
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The ledger's branch [default: ledger.branch, else stepseal-ledger]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Share the ledger through this git remote
    #[arg(long, value_name = "NAME")]
    pub remote: Option<String>,
    /// Write workflows for GitHub Actions too: files that are there already are left as they are
    #[arg(long)]
    pub github: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal delegate --plan specs/001-albums/tasks.md --dry-run\n  stepseal delegate --plan workflows/checkout.yaml --work-item SHOP-7\n  stepseal delegate --prompt \"Fix the login\" --work-item LOGIN-1"
)]
pub(super) struct DelegateArgs {
    /// A plan: native YAML, TOML or JSON, or spec-kit's tasks.md; DIR holds one; - is stdin
    #[arg(long, value_name = "FILE|DIR|-", value_hint = ValueHint::AnyPath)]
    pub plan: Option<String>,
    /// What the plan is, when it should not be guessed
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub plan_format: Option<FormatArg>,
    /// The work in words, when there is no plan; becomes the title
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// The item's id [default: the spec folder's name, else a slug of the title]
    #[arg(long, visible_alias = "structured-work-item", value_name = "ID")]
    pub work_item: Option<String>,
    /// A published workflow, when there is no plan
    #[arg(long, value_name = "NAME[@VERSION]", add = suggest::workflows())]
    pub workflow: Option<String>,
    /// The item's title [default: the plan's]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// 0 is most urgent
    #[arg(long, value_name = "N")]
    pub priority: Option<u32>,
    #[arg(long, value_name = "TEXT")]
    pub label: Vec<String>,
    /// Who is accountable for the item
    #[arg(long, value_name = "ID")]
    pub owner: Option<String>,
    /// What becomes of a plan's checkpoints
    #[arg(long, value_enum, value_name = "WHAT")]
    pub gates: Option<GatesArg>,
    /// Show waves and warnings; record nothing; needs no repository
    #[arg(long)]
    pub dry_run: bool,
}

/// Plan formats by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    Yaml,
    Toml,
    Json,
    SpecKit,
}

/// What becomes of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GatesArg {
    /// Review gates; one whose steps are all done is imported as done
    Keep,
    /// Left out
    Drop,
    /// Review gates, and those already passed wait for people too
    Ask,
}

#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// The item
    #[arg(value_name = "ITEM", required_unless_present = "work_item", add = suggest::items())]
    pub item: Option<String>,
    #[arg(
        long,
        visible_alias = "structured-work-item",
        value_name = "ID",
        conflicts_with = "item",
        add = suggest::items()
    )]
    pub work_item: Option<String>,
    /// Print the ready attempts as a matrix for GitHub Actions
    #[arg(long)]
    pub matrix: bool,
    /// Claim the ready attempts, each for an executor that is still to be started, in one commit
    #[arg(long)]
    pub preclaim: bool,
    /// Only steps whose workflow says what starts their work (`execute`)
    #[arg(long)]
    pub executable: bool,
    /// How many executors there will be, 256 at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=256), requires = "preclaim")]
    pub executors: u16,
    /// What they are called: BASE:1, BASE:2, … [default: your own id; in Actions the run's]
    #[arg(long, value_name = "BASE", requires = "preclaim")]
    pub base: Option<String>,
    /// Write a ticket for each into DIR: all it needs, and no repository
    #[arg(long, value_name = "DIR", requires = "preclaim", value_hint = ValueHint::DirPath)]
    pub tickets: Option<PathBuf>,
    /// Say all entry criteria hold; recorded as not checked one by one
    #[arg(long, requires = "preclaim")]
    pub attest_all: bool,
    /// How long each may need; recorded, never enforced by a timer
    #[arg(long, value_name = "DURATION", requires = "preclaim")]
    pub lease: Option<String>,
}

/// How an item is named beside a step.
#[derive(Debug, Clone, Args)]
pub(super) struct ItemArg {
    /// The item
    #[arg(long, visible_alias = "structured-work-item", value_name = "ID", add = suggest::items())]
    pub work_item: String,
}

/// One item, as a word or by its flag, or none.
#[derive(Debug, Clone, Args)]
pub(super) struct MaybeItem {
    /// One item; all of them when left out
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: Option<String>,
    #[arg(
        long,
        visible_alias = "structured-work-item",
        value_name = "ID",
        conflicts_with = "item",
        add = suggest::items()
    )]
    pub work_item: Option<String>,
}

impl MaybeItem {
    /// The item, however it was named.
    pub(super) fn given(&self) -> Option<&String> {
        self.item.as_ref().or(self.work_item.as_ref())
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal claim --work-item ALBUMS --step T002\n  stepseal claim --next --quiet                one line: item, step, attempt, claim id"
)]
pub(super) struct ClaimArgs {
    /// Take the first ready step, of whichever item
    #[arg(long, conflicts_with_all = ["step", "attempt"])]
    pub next: bool,
    /// The item
    #[arg(
        long,
        visible_alias = "structured-work-item",
        value_name = "ID",
        required_unless_present = "next",
        add = suggest::items()
    )]
    pub work_item: Option<String>,
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Ready))]
    pub step: Option<String>,
    /// The queued KEY.N, or a name of your own for it
    #[arg(long, value_name = "ATTEMPT", add = suggest::attempts(About::Ready))]
    pub attempt: Option<String>,
    /// Entry criteria you say hold
    #[arg(long, value_name = "ID", value_delimiter = ',', num_args = 1.., add = suggest::criteria(false))]
    pub attest: Vec<String>,
    /// Say all entry criteria hold; recorded as not checked one by one
    #[arg(long)]
    pub attest_all: bool,
    /// How long you expect to need; recorded, never enforced by a timer
    #[arg(long, value_name = "DURATION")]
    pub lease: Option<String>,
    /// With --next: only steps of this role, or of none
    #[arg(long, value_name = "ROLE", requires = "next")]
    pub role: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct BriefArgs {
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: String,
    #[arg(value_name = "STEP", add = suggest::steps(About::All))]
    pub step: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal complete --work-item ALBUMS --step T002 --outcome \"eslint 9\" --output .eslintrc.json\n  stepseal complete --work-item SHOP-7 --step schema --outcome done --verified reversible --run-checks\n  stepseal complete --work-item ALBUMS --step T002 --status failed --outcome \"no network\""
)]
pub(super) struct CompleteArgs {
    /// The item
    #[arg(
        long,
        visible_alias = "structured-work-item",
        value_name = "ID",
        required_unless_present = "ticket",
        add = suggest::items()
    )]
    pub work_item: Option<String>,
    /// End the attempt of a ticket instead: needs no repository, and records nothing by itself
    #[arg(
        long,
        value_name = "FILE",
        requires = "spool",
        conflicts_with_all = ["work_item", "step", "attempt", "claim", "link"],
        value_hint = ValueHint::FilePath
    )]
    pub ticket: Option<PathBuf>,
    /// Where the handoff waits for a collector
    #[arg(long, value_name = "DIR", requires = "ticket", value_hint = ValueHint::DirPath)]
    pub spool: Option<PathBuf>,
    /// Ask no remote: judged by what this clone has, and kept until `sync` brings it there
    #[arg(long, conflicts_with = "ticket")]
    pub offline: bool,
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Held))]
    pub step: Option<String>,
    /// KEY.N, or the name it was claimed under
    #[arg(long, value_name = "ATTEMPT", add = suggest::attempts(About::Held))]
    pub attempt: Option<String>,
    /// The claim id: needed when another work tree made the claim
    #[arg(long, value_name = "ID")]
    pub claim: Option<String>,
    #[arg(long, value_enum, default_value = "completed")]
    pub status: EndingArg,
    /// What came of it
    #[arg(long, value_name = "TEXT")]
    pub outcome: String,
    /// What should happen next [default: what the schedule says]
    #[arg(long, value_name = "TEXT")]
    pub next_action: Option<String>,
    /// An exit criterion that holds, with where to look
    #[arg(long, value_name = "ID[=EVIDENCE]", num_args = 1.., add = suggest::criteria(true))]
    pub verified: Vec<String>,
    /// Run the checks of the other exit criteria
    #[arg(long)]
    pub run_checks: bool,
    /// A file the work produced; recorded by content
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Vec<String>,
    /// A further causal link to an event of the item
    #[arg(long, value_name = "REL=EVENT-ID")]
    pub link: Vec<String>,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EndingArg {
    Completed,
    /// It could not be done
    Failed,
    /// The work as asked is wrong
    Rejected,
}

impl From<EndingArg> for Ending {
    fn from(arg: EndingArg) -> Self {
        match arg {
            EndingArg::Completed => Self::Completed,
            EndingArg::Failed => Self::Failed,
            EndingArg::Rejected => Self::Rejected,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct SkipArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Open))]
    pub step: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub(super) struct RequeueArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, value_name = "KEY", required_unless_present = "attempt", add = suggest::steps(About::Again))]
    pub step: Option<String>,
    /// KEY.N, or the name it was claimed under
    #[arg(long, value_name = "ATTEMPT", add = suggest::attempts(About::Again))]
    pub attempt: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Take the claim from a holder who is gone
    #[arg(long)]
    pub lapsed: bool,
    /// With --lapsed: before the lease ends, or without one; needs --reason
    #[arg(long, requires = "lapsed", requires = "reason")]
    pub force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, value_name = "KEY", required_unless_present = "attempt", add = suggest::steps(About::Held))]
    pub step: Option<String>,
    /// KEY.N, or the name it was claimed under
    #[arg(long, value_name = "ATTEMPT", add = suggest::attempts(About::Held))]
    pub attempt: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The claim id, when you are not its executor by name
    #[arg(long, value_name = "ID")]
    pub claim: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum GateCommand {
    /// Say yes; the quorum decides
    Approve(ApproveArgs),
    /// Say no: the item goes back
    Reject(RejectArgs),
}

#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Gate))]
    pub step: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// What has to be done although it passes
    #[arg(long, value_name = "TEXT")]
    pub follow_up: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RejectArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Gate))]
    pub step: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The step the item goes back to [default: the gate's rejectTo]
    #[arg(long, value_name = "KEY", add = suggest::steps(About::All))]
    pub return_to: Option<String>,
    /// Take the claims of steps that become void
    #[arg(long)]
    pub release_claims: bool,
    #[arg(long, value_name = "TEXT")]
    pub follow_up: Vec<String>,
    /// Show which steps would become void; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal rework --work-item ALBUMS --return-to T005 --reason \"wrong model\" --dry-run\n  stepseal rework --work-item ALBUMS --return-to T005 --reason \"wrong model\"\n\nThe step and every step that waits for it, directly or through others, are done again, up to the\nhighest step that was ever started. What was done stays in history and counts as rework."
)]
pub(super) struct ReworkArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The step the item goes back to
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Done))]
    pub return_to: String,
    /// Why; counted by these words
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Take the claims of steps that become void
    #[arg(long)]
    pub release_claims: bool,
    /// Show which steps would become void; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal integrate --work-item ALBUMS --commit main --dry-run\n  stepseal integrate --work-item ALBUMS --commit 4f1c2a9\n  stepseal integrate --work-item ALBUMS --commit main --accept --reason \"edited in the merge\"\n\nEvery step must be done, and the commit on the base branch. For each completion that counts it says\nlanded, not landed or cannot tell, and how that was seen: a merge, a squash, a rebase, equal\npaths or equal outputs. Afterwards the item takes no work until a revert."
)]
pub(super) struct IntegrateArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The commit the outputs are in: an id, a branch or a tag
    #[arg(long, value_name = "COMMIT")]
    pub commit: String,
    /// The base branch [default: baseline.branch, else origin's default, main or master]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Integrate although not all of it can be shown to have landed
    #[arg(long, requires = "reason")]
    pub accept: bool,
    /// Why it is accepted
    #[arg(long, value_name = "TEXT", requires = "accept")]
    pub reason: Option<String>,
    /// Show what is found of each completion; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  git revert -m 1 4f1c2a9\n  stepseal revert --work-item ALBUMS --commit main --return-to T005 --reason \"it lost uploads\"\n\nThe commit is on the base branch, comes after the one that was integrated and undoes it. The step and\nevery step that waits for it, directly or through others, open one new round."
)]
pub(super) struct RevertArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The commit that undoes the integration: an id, a branch or a tag
    #[arg(long, value_name = "COMMIT")]
    pub commit: String,
    /// The base branch [default: the one it was integrated on]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// The step the item goes back to
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Done))]
    pub return_to: String,
    /// Why; counted by these words
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Take the commit although it was not seen to undo the integration
    #[arg(long)]
    pub accept: bool,
    /// Show which steps would become void; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal migrate SHOP-7 --to 3 --dry-run --reason \"the audit step\"\n  stepseal migrate SHOP-7 --to 3 --map e2e=acceptance --drop load --reason \"the audit step\"\n\nA step that keeps its key keeps its state. A renamed one that was done stays done; its attempts stay\nin history under the old key. What the new version does not have must be mapped or dropped."
)]
pub(super) struct MigrateArgs {
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: String,
    /// The version, or another workflow's
    #[arg(long, value_name = "VERSION|NAME@VERSION", add = suggest::workflows())]
    pub to: String,
    /// A step that has another key there; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    pub map: Vec<String>,
    /// A step that version does not have; may be repeated
    #[arg(long, value_name = "KEY")]
    pub drop: Vec<String>,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Take the claims of steps that go away
    #[arg(long)]
    pub release_claims: bool,
    /// Show what would become of every step; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal rollback SHOP-7 --reason \"the audit comes next year\" --dry-run\n\nSteps that kept their key keep what was done since; dropped and renamed ones are again as they were.\nWork that was done on new or renamed steps since then would be lost: then it is refused."
)]
pub(super) struct RollbackArgs {
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Show what would become of every step; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReviewCommand {
    /// List what waits for a review, and what was decided
    List(ReviewListArgs),
    /// Suspect a duplicate: no claims until it is decided
    Flag(FlagArgs),
    /// Drop the suspicion
    Clear(ClearArgs),
    /// End an item that lives on in another one
    Merge(MergeArgs),
    /// Say that two items are related; both go on
    Link(LinkArgs),
    /// End an item that is a duplicate
    Close(CloseArgs),
    /// Bring an item back that was merged or closed by mistake
    Overturn(OverturnArgs),
}

#[derive(Debug, Args)]
pub(super) struct ReviewListArgs {
    /// What was decided, too: merged, closed, linked and cleared items
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal review flag --work-item SHOP-9 --suspect SHOP-7 --reason \"the same page\"\n  stepseal review flag --work-item SHOP-9 --reason \"was this not done last year?\""
)]
pub(super) struct FlagArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, visible_alias = "rationale", value_name = "TEXT")]
    pub reason: String,
    /// The item it may repeat; may be repeated
    #[arg(long, value_name = "ID", add = suggest::items())]
    pub suspect: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ClearArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// Why it is no duplicate
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    pub rationale: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  stepseal review merge --work-item SHOP-9 --into SHOP-7 --rationale \"one page, one item\"\n\nThe item ends, and everything that names it says where it lives on. `review overturn` brings it\nback."
)]
pub(super) struct MergeArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The item it lives on in
    #[arg(long, value_name = "ID", add = suggest::items())]
    pub into: String,
    /// Why they are the same
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    pub rationale: String,
    /// Take the claims of its steps
    #[arg(long)]
    pub release_claims: bool,
}

#[derive(Debug, Args)]
pub(super) struct LinkArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The related item
    #[arg(long, value_name = "ID", add = suggest::items())]
    pub to: String,
    /// How they are related, and why they are not the same
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    pub rationale: String,
}

#[derive(Debug, Args)]
pub(super) struct CloseArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The item it repeats [default: the one suspect of its flag]
    #[arg(long, value_name = "ID", add = suggest::items())]
    pub duplicate_of: Option<String>,
    /// Why it ends
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    pub rationale: String,
    /// Take the claims of its steps
    #[arg(long)]
    pub release_claims: bool,
}

#[derive(Debug, Args)]
pub(super) struct OverturnArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// Why the merge or the closing was wrong
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    pub rationale: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum BlockerCommand {
    /// Say that something outside holds the item, or some of its steps
    Declare(DeclareArgs),
    /// Say that it is gone
    Resolve(ResolveArgs),
    /// List blockers
    List(BlockerListArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal blocker declare --work-item SHOP-7 --type external --notes \"waiting for the bank\"\n  stepseal blocker declare --work-item SHOP-7 --type decision --step api --step web --id pricing --notes \"which price?\"\n\nTypes: those of the policy blocker.types, else dependency, decision, environment, external, other.\nWhat it holds cannot be claimed or decided until it is resolved; who is at work goes on."
)]
pub(super) struct DeclareArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// What sort of thing it is
    #[arg(long = "type", value_name = "TYPE", add = suggest::blocker_types())]
    pub kind: String,
    /// A step it holds; may be repeated [default: every step]
    #[arg(long, value_name = "KEY", add = suggest::steps(About::Open))]
    pub step: Vec<String>,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    pub notes: String,
    /// A name for it, never used again [default: blocker-N]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Who is to see that it goes away [default: you]
    #[arg(long, value_name = "ID")]
    pub owner: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The blocker
    #[arg(long, value_name = "ID", add = suggest::blockers())]
    pub id: String,
    /// How it went away
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    pub resolution: String,
}

#[derive(Debug, Args)]
pub(super) struct BlockerListArgs {
    #[command(flatten)]
    pub item: MaybeItem,
    /// Resolved ones, too
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum OwnerCommand {
    /// Make somebody else accountable for an item
    Transfer(TransferArgs),
    /// Say who is accountable, and which role each step asks for
    Show(OwnerShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct TransferArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// The new owner
    #[arg(long, value_name = "ID")]
    pub to: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub(super) struct OwnerShowArgs {
    #[command(flatten)]
    pub item: MaybeItem,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal resume --work-item SHOP-7 --dry-run\n  stepseal resume --work-item SHOP-7 --reason \"the build machine died\"\n\nThe ledger is all the state there is, so nothing has to be restored. What is listed: the exit\ncriteria of every step in progress, and those that were shown on code that is in no commit or not\nknown. A step in progress is completed with --verified again; one that is done is done again with\n`rework`."
)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    pub item: ItemArg,
    /// What interrupted the work
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// List only; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    pub item: ItemArg,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Take the claims of its steps
    #[arg(long)]
    pub release_claims: bool,
}

/// Which items, or whose events.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which")]
pub(super) struct WhichArgs {
    /// Only items that are this now, first of all or besides; may be repeated
    #[arg(long, value_name = "WORD", value_parser = status_words())]
    pub status: Vec<String>,
    /// Only on this workflow
    #[arg(long, value_name = "NAME[@VERSION]", add = suggest::workflows())]
    pub workflow: Option<String>,
    /// Only items with this label; repeated: with all of them
    #[arg(long, value_name = "TEXT")]
    pub label: Vec<String>,
    /// Only items of this owner
    #[arg(long, value_name = "ID")]
    pub owner: Option<String>,
    /// Only what this executor holds (status), did (log), or ever held a step of (metrics, export)
    #[arg(long, value_name = "ID")]
    pub executor: Option<String>,
    /// Only what happened since: a date, a time, or 7d, 12h, 30m back from the last record
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only what happened until then; a date counts to its end
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
}

impl WhichArgs {
    /// Whether anything narrows the view.
    pub(super) fn is_given(&self) -> bool {
        self.names_items() || self.since.is_some() || self.until.is_some()
    }

    /// Whether anything but time does.
    pub(super) fn names_items(&self) -> bool {
        let Self { status, workflow, label, owner, executor, since: _, until: _ } = self;
        !status.is_empty()
            || !label.is_empty()
            || [workflow, owner, executor].into_iter().any(Option::is_some)
    }
}

fn status_words() -> Vec<&'static str> {
    Status::ALL.into_iter().map(Status::word).collect()
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal status                              what needs attention first\n  stepseal status --status awaiting-gate --sort wait\n  stepseal status --since 7d --label checkout --all\n  stepseal status ALBUMS --why-not T009\n  stepseal status ALBUMS --impact T005\n  stepseal status ALBUMS --at 51be0c2          as it stood at that commit of the ledger\n\nDates and times are UTC; a duration counts back from when the ledger last recorded something, so\nthe same ledger gives the same answer on any day."
)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub item: MaybeItem,
    /// Every fact that keeps this step from starting
    #[arg(long, value_name = "STEP", add = suggest::steps(About::Open))]
    pub why_not: Option<String>,
    /// What waits for this step, and what going back to it would undo
    #[arg(long, value_name = "STEP", conflicts_with = "why_not", add = suggest::steps(About::All))]
    pub impact: Option<String>,
    #[command(flatten)]
    pub which: WhichArgs,
    /// At most N items [default: what the terminal shows, else 40; all with --json or --quiet]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Every item, however many
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Which items come first [default: attention; with --json or --quiet: id]
    #[arg(long, value_enum, value_name = "BY")]
    pub sort: Option<SortArg>,
}

/// Orders of the portfolio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SortArg {
    /// What needs a person, then what is ready, then what runs, then what is over
    Attention,
    Id,
    /// Most urgent first
    Priority,
    /// What has waited longest first
    Wait,
    /// What changed last first
    Changed,
    /// The oldest item first
    Registered,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal log -n 20                           the last twenty events\n  stepseal log ALBUMS --step T005\n  stepseal log --event gate-rejected --since 30d --reverse\n  stepseal log --executor agent-1 --json\n\nDates and times are UTC; a duration counts back from when the ledger last recorded something, so\nthe same ledger gives the same answer on any day."
)]
pub(super) struct LogArgs {
    /// One item; the whole ledger when left out
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: Option<String>,
    /// Only the last N events
    #[arg(short = 'n', long, visible_alias = "limit", value_name = "N")]
    pub last: Option<usize>,
    /// The newest event first
    #[arg(long)]
    pub reverse: bool,
    /// Only events of this step
    #[arg(long, value_name = "KEY", add = suggest::steps(About::All))]
    pub step: Option<String>,
    /// Only events of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = event_names(), hide_possible_values = true)]
    pub event: Vec<String>,
    #[command(flatten)]
    pub which: WhichArgs,
}

fn event_names() -> Vec<&'static str> {
    EventKind::ALL.iter().map(|kind| kind.name()).collect()
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal metrics                             the portfolio\n  stepseal metrics --by workflow --since 30d\n  stepseal metrics ALBUMS                      one item, step by step\n  stepseal metrics ALBUMS --by attempt\n  stepseal metrics --by step --format csv > steps.csv\n  stepseal metrics --as-of 2026-11-20 --json   what was known at the end of that day\n\nNothing depends on the day it is asked: what has not ended runs to --as-of, and a duration counts\nback from there. What each number means: docs/metrics.md"
)]
pub(super) struct MetricsArgs {
    /// One item; all of them when left out
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: Option<String>,
    /// What has a row [default: portfolio, or step where an item is named]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub by: Option<LevelArg>,
    /// Write a table instead
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<MetricsFormat>,
    #[command(flatten)]
    pub which: WhichArgs,
}

/// From the whole to the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LevelArg {
    Portfolio,
    Workflow,
    Item,
    Step,
    Attempt,
}

impl LevelArg {
    /// The word on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Portfolio => "portfolio",
            Self::Workflow => "workflow",
            Self::Item => "item",
            Self::Step => "step",
            Self::Attempt => "attempt",
        }
    }
}

/// What metrics are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MetricsFormat {
    /// One table, a row for each of --by
    Csv,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal export > everything.json\n  stepseal export --format csv --output tables\n  stepseal export --format csv --table steps ALBUMS\n  stepseal export --format md >> \"$GITHUB_STEP_SUMMARY\"\n  stepseal export --format html --output report --status in-progress --owner dev@example.org\n  stepseal export ALBUMS --format html > albums.html\n\nThe same facts give the same bytes, whenever and in whichever legal order they were recorded."
)]
pub(super) struct ExportArgs {
    /// Only these items
    #[arg(value_name = "ITEM", conflicts_with = "tree", add = suggest::items())]
    pub items: Vec<String>,
    #[arg(long, value_enum, default_value = "json", value_name = "FORMAT")]
    pub format: ExportFormat,
    /// With --format csv: this table only; stdout takes one
    #[arg(long, value_enum, value_name = "TABLE")]
    pub table: Option<TableArg>,
    /// Write files below DIR instead: export.json, report.md, report.html, or the tables
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "tree")]
    pub output: Option<PathBuf>,
    /// Write to stdout, as it does anyway
    #[arg(long, conflicts_with_all = ["tree", "output"])]
    pub stdout: bool,
    /// Write the ledger's own files below DIR instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["format", "table", "status", "workflow", "label", "owner", "executor", "since", "until"])]
    pub tree: Option<PathBuf>,
    #[command(flatten)]
    pub which: WhichArgs,
}

/// What an export looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    /// One document with everything, down to the artifacts
    Json,
    /// Tables for spreadsheets and scripts
    Csv,
    /// One report for people, with Mermaid pictures
    Md,
    /// One page for people, whole in itself: charts, no script, nothing loaded
    Html,
}

/// Tables by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TableArg {
    Items,
    Steps,
    Attempts,
    Events,
}

impl TableArg {
    /// The table of that name.
    pub(super) fn table(self) -> Table {
        match self {
            Self::Items => Table::Items,
            Self::Steps => Table::Steps,
            Self::Attempts => Table::Attempts,
            Self::Events => Table::Events,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal verify\n  stepseal verify --since\n  stepseal verify --since \"SIZE ROOT\"\n  stepseal verify --deep --mark \"SIZE ROOT\""
)]
pub(super) struct VerifyArgs {
    /// Walk every commit as well
    #[arg(long)]
    pub deep: bool,
    /// Look only at what came after MARK, or after what this clone verified last
    #[arg(
        long,
        value_name = "MARK",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["deep", "mark"]
    )]
    pub since: Option<String>,
    /// A mark kept elsewhere: SIZE ROOT, as verify prints it
    #[arg(long, value_name = "MARK")]
    pub mark: Vec<String>,
    /// Every seal must be signed, from the one that added the first key, or from SEAL
    #[arg(
        long,
        value_name = "SEAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1"
    )]
    pub require_signatures: Option<u64>,
    /// The first key must be this one: its fingerprint, known from elsewhere
    #[arg(long, value_name = "FINGERPRINT", requires = "require_signatures")]
    pub root_key: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct CorrectArgs {
    /// The item; left out for files that concern the whole ledger
    #[arg(value_name = "ITEM", add = suggest::items())]
    pub item: Option<String>,
    /// The damaged file; every damaged one of the item when left out
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Let a key sign from the next seal on; the first key signs its own
    Add(KeyAddArgs),
    /// Let a key no longer sign, from the next seal on
    Revoke(KeyRevokeArgs),
    /// List every key there ever was, and where it stands
    List,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal key add --self --reason \"first key\"\n  stepseal key add dev.pub --for dev@example.org --role executor --reason \"joins\"\n  ssh-keygen -y -f ci_key | stepseal key add - --for ci --role collector --not-after 2027-06-30 --reason \"CI\""
)]
pub(super) struct KeyAddArgs {
    /// A public key: its file, the key itself, or - for stdin
    #[arg(value_name = "FILE|KEY|-", required_unless_present = "own", conflicts_with = "own")]
    pub key: Option<String>,
    /// The key this clone signs with
    #[arg(long = "self")]
    pub own: bool,
    /// The principal it speaks for [default with --self: yours]
    #[arg(long = "for", value_name = "ID", required_unless_present = "own")]
    pub speaks_for: Option<String>,
    /// What it may seal [default with --self: owner]
    #[arg(long, value_enum, value_name = "ROLE", required_unless_present = "own")]
    pub role: Option<KeyRoleArg>,
    /// The last day or moment it counts
    #[arg(long, value_name = "DATE")]
    pub not_after: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Show the key and what would be recorded; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What a key may seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyRoleArg {
    /// Anything; alone adds and revokes keys
    Owner,
    /// What its own principal did
    Executor,
    /// What anybody did, but no keys
    Collector,
}

#[derive(Debug, Args)]
pub(super) struct KeyRevokeArgs {
    /// Its fingerprint, or the beginning of it
    #[arg(value_name = "FINGERPRINT")]
    pub key: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The first seal that somebody else may have signed with it; verify then names them
    #[arg(long, value_name = "SEAL")]
    pub compromised_since: Option<u64>,
    /// Show what would be recorded; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Give a policy a value
    Set(PolicySetArgs),
    /// Take a policy's value back: its default holds again
    Unset(PolicyUnsetArgs),
    /// Print what holds, and since when
    Show(PolicyShowArgs),
    /// Print every change, with who, why and what it means
    Log(PolicyShowArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal policy set role.lead ann@example.org bob@example.org --reason \"the team of May\"\n  stepseal policy set gate.release.quorum 2 --reason \"four eyes\" --impact \"every release waits for two\"\n  stepseal policy set review required --reason \"too many twins\"\n  stepseal policy set integrate role:lead ci --reason \"nobody else merges\"\n\nThe keys: review, blocker.types, gate.review.quorum, gate.release.quorum, gate.review.selfReview,\ngate.release.selfReview, integrate, role.NAME. A value replaces the one before: name every member."
)]
pub(super) struct PolicySetArgs {
    /// Which one: review, blocker.types, role.NAME, integrate, gate.KIND.quorum, …; `policy show`
    /// lists them
    #[arg(value_name = "KEY", add = suggest::policies())]
    pub key: String,
    /// The whole new value
    #[arg(value_name = "VALUE", required = true, num_args = 1.., add = suggest::policy_values())]
    pub value: Vec<String>,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who or what will notice
    #[arg(long, value_name = "TEXT")]
    pub impact: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  stepseal policy unset review --reason \"back to on-suspicion\"\n\nA role without members has nobody; it is not open to everybody again."
)]
pub(super) struct PolicyUnsetArgs {
    #[arg(value_name = "KEY", add = suggest::policies())]
    pub key: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who or what will notice
    #[arg(long, value_name = "TEXT")]
    pub impact: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PolicyShowArgs {
    /// One policy; all of them when left out
    #[arg(value_name = "KEY", add = suggest::policies())]
    pub key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum WorkflowCommand {
    /// Print the steps in launch order
    Show(WorkflowArgs),
    /// Print the step graph as Mermaid
    Graph(WorkflowArgs),
    /// Make a version available, for ever the same
    Publish(PublishArgs),
    /// List every version: published, in effect, retired, and the items on it
    List,
    /// Say what differs between two versions
    Diff(DiffArgs),
    /// Print publications and retirements, with who, why and what they mean
    Log(VersionsLogArgs),
    /// End a version: no new items start on it, those on it go on
    Retire(RetireArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal workflow publish checkout.yaml --reason \"an audit step\" --impact \"two days longer\" --dry-run\n  stepseal workflow publish checkout.yaml --reason \"an audit step\" --impact \"two days longer\"\n\nA published version never changes: raise `version` in the file for another content. Items in flight\nstay on the version they are on until they are migrated. From when to when new items may start on\na version stands in the file (`effective`)."
)]
pub(super) struct PublishArgs {
    /// A workflow file in YAML, TOML or JSON; - is stdin
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub file: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who or what will notice
    #[arg(long, value_name = "TEXT")]
    pub impact: String,
    /// Show what differs and which items are in flight; record nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal workflow diff checkout@1 checkout@2\n  stepseal workflow diff checkout checkout.yaml\n\nSteps are compared by key: what came, went and changed, field by field, where a step moved among\nthe others, and what it waits for. Numbers of steps and lines of files are not compared."
)]
pub(super) struct DiffArgs {
    /// A file, or a published NAME or NAME@VERSION
    #[arg(value_name = "BEFORE", add = suggest::workflow_files())]
    pub before: String,
    #[arg(value_name = "AFTER", add = suggest::workflow_files())]
    pub after: String,
}

#[derive(Debug, Args)]
pub(super) struct VersionsLogArgs {
    /// One workflow, or one version of it
    #[arg(value_name = "NAME[@VERSION]", add = suggest::workflows())]
    pub workflow: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  stepseal workflow retire checkout@1 --reason \"the audit step is needed\""
)]
pub(super) struct RetireArgs {
    #[arg(value_name = "NAME@VERSION", add = suggest::workflows())]
    pub workflow: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub(super) struct WorkflowArgs {
    /// A file, or a published NAME or NAME@VERSION
    #[arg(value_name = "FILE|NAME[@VERSION]", add = suggest::workflow_files())]
    pub workflow: String,
    /// With graph: colour the steps by where this item stands
    #[arg(long, visible_alias = "structured-work-item", value_name = "ID", add = suggest::items())]
    pub work_item: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// One schema; the list of names when left out
    #[arg(value_name = "NAME", add = suggest::schemas())]
    pub name: Option<String>,
    /// Write them all below DIR
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "name")]
    pub all: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting that holds
    List(ConfigListArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigListArgs {
    /// With where each value comes from
    #[arg(long)]
    pub origin: bool,
    /// The defaults, as a file with comments
    #[arg(long, conflicts_with = "origin")]
    pub defaults: bool,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keep the repository in DIR, which must not exist or be empty
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "For one session:\n  source <(stepseal completions bash)          bash, zsh\n  stepseal completions fish | source           fish\n\nFor every session: docs/install.md"
)]
pub(super) struct CompletionsArgs {
    #[arg(value_name = "SHELL", value_parser = suggest::shells())]
    pub shell: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stepseal man | man -l -                      read it here\n  stepseal man --output ~/.local/share/man/man1    then: man stepseal-claim"
)]
pub(super) struct ManArgs {
    /// Write a page for the program and one for each verb below DIR
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}
