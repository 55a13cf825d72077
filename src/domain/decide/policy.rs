//! Policy: what people set for the whole ledger (FR-022). The list of keys is closed, and every
//! value has a type.
//!
//! A rule asks for the value in force when it decides, and what it decided stands in the facts of
//! its item. So a policy that changes later changes no history, and no derived file of an item.

use std::collections::BTreeSet;

use super::super::event::{EventData, PolicyChanged};
use super::super::id::{ItemId, PrincipalId, RoleName};
use super::super::moment::Moment;
use super::super::refusal::Refusal;
use super::super::state::LedgerState;
use super::super::workflow::{GateDefinition, GateKind, SelfReview, nearest};
use super::blocker::{BLOCKER_TYPES, BLOCKER_TYPES_POLICY};
use super::review::REVIEW_POLICY;
use super::{Decided, Unchanged, answered, flow, ledger_fact, outcome, text};

/// What the key of a role's members begins with.
const ROLE: &str = "role.";

/// What names a role among principals.
const ROLE_VALUE: &str = "role:";

/// The policy key that says who may integrate.
const INTEGRATE: &str = "integrate";

/// The longest type of blocker.
const TYPE_LENGTH: usize = 60;

/// The closed list of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyKey {
    /// When items wait for a review before any work (FR-003).
    Review,
    /// Which types blockers have (FR-012).
    BlockerTypes,
    /// How many approvals a gate of a kind needs that does not say.
    GateQuorum(GateKind),
    /// Whether those who worked may decide a gate of a kind that does not say.
    GateSelfReview(GateKind),
    /// Who may say that an item's outputs are on the base branch (FR-010).
    Integrate,
    /// Who belongs to a role.
    Role(RoleName),
}

/// The keys but those of roles, in the order they are shown.
const FIXED: [PolicyKey; 7] = [
    PolicyKey::Review,
    PolicyKey::BlockerTypes,
    PolicyKey::GateQuorum(GateKind::Review),
    PolicyKey::GateQuorum(GateKind::Release),
    PolicyKey::GateSelfReview(GateKind::Review),
    PolicyKey::GateSelfReview(GateKind::Release),
    PolicyKey::Integrate,
];

impl PolicyKey {
    /// Reads a key as it is typed.
    ///
    /// # Errors
    /// A refusal with the nearest key and all of them.
    pub fn parse(given: &str) -> Result<Self, Refusal> {
        if let Some(role) = given.strip_prefix(ROLE) {
            let role = role.parse().map_err(|error| Refusal::Invalid(format!("{error}")))?;
            return Ok(Self::Role(role));
        }
        let found = FIXED.into_iter().find(|key| key.name() == given);
        found.ok_or_else(|| {
            let known: Vec<String> =
                FIXED.iter().map(Self::name).chain([format!("{ROLE}NAME")]).collect();
            let near = nearest(given, known.iter(), String::as_str).cloned();
            Refusal::UnknownPolicy { given: given.to_owned(), nearest: near, known }
        })
    }

    /// Every key that has a value: those of the list, and the roles that were ever given members.
    #[must_use]
    pub fn all(ledger: &LedgerState) -> Vec<Self> {
        let roles = ledger.policy.keys().filter_map(|key| key.strip_prefix(ROLE)?.parse().ok());
        FIXED.into_iter().chain(roles.map(Self::Role)).collect()
    }

    /// The key on paper.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Review => REVIEW_POLICY.into(),
            Self::BlockerTypes => BLOCKER_TYPES_POLICY.into(),
            Self::GateQuorum(kind) => format!("gate.{}.quorum", kind.word()),
            Self::GateSelfReview(kind) => format!("gate.{}.selfReview", kind.word()),
            Self::Integrate => INTEGRATE.into(),
            Self::Role(role) => format!("{ROLE}{role}"),
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn about(&self) -> &'static str {
        match self {
            Self::Review => "when items wait for a review before any work",
            Self::BlockerTypes => "the types of blockers",
            Self::GateQuorum(_) => "approvals such a gate needs where its workflow does not say",
            Self::GateSelfReview(_) => {
                "whether who worked may decide such a gate where its workflow does not say"
            }
            Self::Integrate => "who may integrate",
            Self::Role(_) => "members of the role",
        }
    }

    /// The words it takes, where they are few.
    #[must_use]
    pub fn choices(&self) -> &'static [&'static str] {
        match self {
            Self::Review => &["required", "on-suspicion", "off"],
            Self::GateSelfReview(_) => &["allowed", "refused"],
            Self::BlockerTypes | Self::GateQuorum(_) | Self::Integrate | Self::Role(_) => &[],
        }
    }

    /// What holds while nobody has set it; empty means everybody (`integrate`) or nobody (a role).
    #[must_use]
    pub fn default(&self) -> Vec<String> {
        let one = |word: &str| vec![word.to_owned()];
        match self {
            Self::Review => one("on-suspicion"),
            Self::BlockerTypes => BLOCKER_TYPES.map(str::to_owned).to_vec(),
            Self::GateQuorum(_) => one("1"),
            Self::GateSelfReview(GateKind::Review) => one("allowed"),
            Self::GateSelfReview(GateKind::Release) => one("refused"),
            Self::Integrate | Self::Role(_) => Vec::new(),
        }
    }

    /// What people set; empty where nobody did, or it was taken back.
    #[must_use]
    pub fn set<'a>(&self, ledger: &'a LedgerState) -> &'a [String] {
        ledger.policy.get(&self.name()).map_or(&[], Vec::as_slice)
    }

    /// A value as it is kept: checked, and sets in one order, so that the same value is the same.
    fn canonical(&self, given: &[String]) -> Result<Vec<String>, Refusal> {
        let bad = |given: &str, why: String| Refusal::BadPolicyValue {
            key: self.name(),
            given: given.to_owned(),
            why,
            choices: self.choices().iter().map(|&word| word.to_owned()).collect(),
        };
        match self {
            Self::Review | Self::GateSelfReview(_) => {
                let one = self.one(given)?;
                match self.choices().contains(&one.as_str()) {
                    true => Ok(vec![one.clone()]),
                    false => Err(bad(one, format!("is one of {}", self.choices().join(", ")))),
                }
            }
            Self::GateQuorum(_) => {
                let one = self.one(given)?;
                match one.parse::<u32>() {
                    Ok(number) if number > 0 => Ok(vec![number.to_string()]),
                    _ => Err(bad(one, "is a number from 1".into())),
                }
            }
            Self::BlockerTypes => {
                let mut types: Vec<String> = Vec::new();
                for word in given {
                    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                    if word.is_empty() || word.len() > TYPE_LENGTH || !word.chars().all(allowed) {
                        return Err(bad(
                            word,
                            format!(
                                "is words of letters, digits, `-` and `_`, of at most \
                                 {TYPE_LENGTH} characters"
                            ),
                        ));
                    }
                    if !types.contains(word) {
                        types.push(word.clone());
                    }
                }
                Ok(types)
            }
            Self::Role(_) | Self::Integrate => {
                let mut members = BTreeSet::new();
                for member in given {
                    let role = member.strip_prefix(ROLE_VALUE);
                    let wrong = match (self, role) {
                        (Self::Integrate, Some(role)) => role.parse::<RoleName>().err(),
                        (_, Some(_)) => {
                            let why = "is principals; a role has no roles as members";
                            return Err(bad(member, why.into()));
                        }
                        (_, None) => member.parse::<PrincipalId>().err(),
                    };
                    if let Some(wrong) = wrong {
                        return Err(bad(member, format!("is principals: {wrong}")));
                    }
                    members.insert(member.clone());
                }
                Ok(members.into_iter().collect())
            }
        }
    }

    fn one<'a>(&self, given: &'a [String]) -> Result<&'a String, Refusal> {
        match given {
            [one] => Ok(one),
            _ => Err(Refusal::BadPolicyValue {
                key: self.name(),
                given: given.join(" "),
                why: "is one value".into(),
                choices: self.choices().iter().map(|&word| word.to_owned()).collect(),
            }),
        }
    }
}

/// Sets a policy, or takes it back.
#[derive(Debug, Clone)]
pub struct SetPolicy {
    /// As it was typed.
    pub key: String,
    /// Empty: the default holds again.
    pub value: Vec<String>,
    pub reason: String,
    /// Who or what will notice.
    pub impact: Option<String>,
}

/// Judges an ask about policy.
///
/// # Errors
/// The refusal, with its facts.
pub fn decide_policy(
    ledger: &LedgerState,
    ask: &SetPolicy,
    moment: &Moment,
) -> Result<Decided, Refusal> {
    if let Some(request) = &moment.request
        && let Some(seen) = ledger.requests.get(&request.id)
    {
        return answered(seen, &request.id, moment);
    }
    let key = PolicyKey::parse(&ask.key)?;
    let value = match ask.value.as_slice() {
        [] => Vec::new(),
        given => key.canonical(given)?,
    };
    text("the reason", &ask.reason)?;
    ask.impact.as_ref().map_or(Ok(()), |impact| text("the impact", impact))?;
    if key.set(ledger) == value {
        return Ok(Decided::Unchanged(Unchanged::Policy { key: key.name() }));
    }
    let (status, summary) = match value.as_slice() {
        [] => ("policy-unset", format!("{} is not set any more", key.name())),
        value => ("policy-set", format!("{} = {}", key.name(), flow::brief(&value.join(" ")))),
    };
    let data = EventData::PolicyChanged(PolicyChanged {
        key: key.name(),
        value,
        reason: ask.reason.clone(),
        impact: ask.impact.clone(),
    });
    let outcome = outcome(status, summary);
    Ok(Decided::Facts(vec![ledger_fact(None, outcome, "decide by it", Vec::new(), data, moment)]))
}

/// What a gate asks for: as its workflow says, else as policy says now, else the default (G2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateRules {
    /// Distinct principals that must approve.
    pub quorum: u32,
    /// Whether a principal whose executors worked on a step under review may decide.
    pub self_review: SelfReview,
}

impl GateRules {
    /// The rules of a gate in a ledger.
    #[must_use]
    pub fn of(ledger: &LedgerState, gate: &GateDefinition) -> Self {
        let value = |key: PolicyKey| {
            let set = key.set(ledger).first().cloned();
            set.or_else(|| key.default().into_iter().next()).unwrap_or_default()
        };
        let by_policy = || {
            let asked = value(PolicyKey::GateQuorum(gate.kind)).parse().unwrap_or(1);
            // A gate that names people can ask no more than those: nobody else could answer.
            match &gate.approvers {
                Some(who) if who.roles.is_empty() && !who.ids.is_empty() => {
                    let people = who.ids.iter().collect::<BTreeSet<_>>().len();
                    u32::min(asked, u32::try_from(people).unwrap_or(u32::MAX))
                }
                _ => asked,
            }
        };
        let self_review = gate.self_review.unwrap_or_else(|| {
            match value(PolicyKey::GateSelfReview(gate.kind)).as_str() {
                "allowed" => SelfReview::Allowed,
                _ => SelfReview::Refused,
            }
        });
        Self { quorum: gate.quorum.unwrap_or_else(by_policy), self_review }
    }
}

/// Under what a principal is one of those who may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// The role it counts under; none when named by id, or when everybody may.
    pub role: Option<RoleName>,
    /// No members were on record for any role, so every principal was admitted (G2).
    pub role_unchecked: bool,
}

/// Whether a principal is one of those that ids and roles name; nobody named means everybody.
pub(super) fn admitted(
    ledger: &LedgerState,
    principal: &PrincipalId,
    ids: &[PrincipalId],
    roles: &[RoleName],
) -> Option<Admission> {
    if (ids.is_empty() && roles.is_empty()) || ids.contains(principal) {
        return Some(Admission::default());
    }
    roles.iter().find_map(|role| {
        let members = ledger.role_members(role.as_str());
        let member =
            members.is_none_or(|members| members.iter().any(|who| who == principal.as_str()));
        member.then(|| Admission { role: Some(role.clone()), role_unchecked: members.is_none() })
    })
}

/// The members of roles as policy has them now.
pub(super) fn members(ledger: &LedgerState, roles: &[RoleName]) -> Vec<(RoleName, Vec<String>)> {
    let of = |role: &RoleName| ledger.role_members(role.as_str()).unwrap_or_default().to_vec();
    roles.iter().map(|role| (role.clone(), of(role))).collect()
}

/// Whether a principal may say that an item's outputs are on the base branch, and under what.
///
/// # Errors
/// A refusal that names who may.
pub fn may_integrate(
    ledger: &LedgerState,
    item: &ItemId,
    principal: &PrincipalId,
) -> Result<Admission, Refusal> {
    let set = PolicyKey::Integrate.set(ledger);
    let roles: Vec<RoleName> =
        set.iter().filter_map(|who| who.strip_prefix(ROLE_VALUE)?.parse().ok()).collect();
    let named = set.iter().filter(|who| !who.starts_with(ROLE_VALUE));
    let ids: Vec<PrincipalId> = named.filter_map(|who| who.parse().ok()).collect();
    admitted(ledger, principal, &ids, &roles).ok_or_else(|| Refusal::NotIntegrator {
        item: item.clone(),
        principal: principal.clone(),
        members: members(ledger, &roles),
        ids,
    })
}
