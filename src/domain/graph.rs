//! What waits for what (S1–S3), in size linear in steps and edges.
//!
//! Implied waiting is "all lower steps", so written out it would be quadratic. Two forms keep it
//! linear: prefix counters while a state is judged ([`Graph::open`]), and virtual nodes (joins)
//! when reachability is asked ([`Graph::cycle`], [`Graph::dependents`]).

use std::collections::{BTreeMap, BTreeSet};

use super::id::StepKey;
use super::workflow::Step;

/// Step `from` waits for step `to`; `need` is the position in its `needs`, `None` when implied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub need: Option<usize>,
}

/// The waiting rules of one workflow, compiled. Positions are launch order.
#[derive(Debug, Clone)]
pub struct Graph {
    rules: Vec<Rule>,
    /// How many groups there are; group 0 is the common group of steps without one.
    groups: usize,
}

/// How one step waits.
#[derive(Debug, Clone)]
struct Rule {
    parallelizable: bool,
    gate: bool,
    crosses_gates: bool,
    group: usize,
    /// `needs` replaces the implied waiting (S3).
    needs_replace: bool,
    needs: Vec<usize>,
}

impl Graph {
    pub(super) fn compile(steps: &[Step], index: &BTreeMap<StepKey, usize>) -> Self {
        let mut groups = BTreeMap::new();
        let rules = steps
            .iter()
            .map(|step| {
                let definition = &step.definition;
                let group = match &definition.group {
                    None => 0,
                    Some(name) => {
                        let next = groups.len() + 1;
                        *groups.entry(name.clone()).or_insert(next)
                    }
                };
                let needs = definition.needs.as_deref().unwrap_or_default();
                Rule {
                    parallelizable: definition.parallelizable,
                    gate: definition.gate.is_some(),
                    crosses_gates: definition.crosses_gates,
                    group,
                    needs_replace: definition.parallelizable
                        && definition.group.is_none()
                        && definition.needs.is_some(),
                    needs: needs.iter().filter_map(|key| index.get(key).copied()).collect(),
                }
            })
            .collect();
        Self { rules, groups: groups.len() + 1 }
    }

    /// The explicit edges of a step: positions of its `needs`, in the order written.
    #[must_use]
    pub fn needs(&self, step: usize) -> &[usize] {
        &self.rules[step].needs
    }

    /// For every step, whether S1–S3 let it start, given which steps are done.
    #[must_use]
    pub fn open(&self, done: &[bool]) -> Vec<bool> {
        let mut below = Below { groups: vec![0; self.groups], ..Below::default() };
        self.rules
            .iter()
            .enumerate()
            .map(|(at, rule)| {
                let open =
                    !done[at] && below.lets(rule) && rule.needs.iter().all(|&need| done[need]);
                if !done[at] {
                    below.count(rule);
                }
                open
            })
            .collect()
    }

    /// The nearest lower steps a step waits for by S1–S3, written `needs` included, whatever
    /// their state, in launch order: what its inputs come from (K5).
    #[must_use]
    pub fn direct(&self, step: usize) -> Vec<usize> {
        self.nearest(step, |_| true, usize::MAX).0
    }

    /// The nearest steps not done that a step waits for, at most `limit`, with the count of the
    /// rest of that nearest layer.
    #[must_use]
    pub fn blockers(&self, step: usize, done: &[bool], limit: usize) -> (Vec<usize>, usize) {
        self.nearest(step, |at| !done[at], limit)
    }

    /// Walks down from a step, taking those of its waits for which `counts` holds and for which
    /// no nearer one waits too: what that one waits for is its business. Written `needs` are
    /// always taken.
    fn nearest(
        &self,
        step: usize,
        counts: impl Fn(usize) -> bool,
        limit: usize,
    ) -> (Vec<usize>, usize) {
        let rule = &self.rules[step];
        let mut found: BTreeSet<usize> =
            rule.needs.iter().copied().filter(|&need| counts(need)).collect();
        let mut nearer = Nearer::default();
        for at in (0..step).rev() {
            let lower = &self.rules[at];
            let written = found.contains(&at);
            if !(written || rule.waits_for(lower) && counts(at)) {
                continue;
            }
            if !nearer.wait_for(at, lower) {
                found.insert(at);
            }
            if nearer.take(lower) {
                break;
            }
        }
        let rest = found.len().saturating_sub(limit);
        (found.into_iter().take(limit).collect(), rest)
    }

    /// Every step not done that a step waits for by a rule of its own, in launch order: the
    /// whole of "why not", not only the nearest layer.
    #[must_use]
    pub fn all_blockers(&self, step: usize, done: &[bool]) -> Vec<usize> {
        let rule = &self.rules[step];
        (0..self.rules.len())
            .filter(|&at| !done[at])
            .filter(|&at| {
                rule.needs.contains(&at) || (at < step && rule.waits_for(&self.rules[at]))
            })
            .collect()
    }

    /// Which steps wait for `step`, directly or through others, implied or explicit.
    #[must_use]
    pub fn dependents(&self, step: usize) -> Vec<bool> {
        let joined = self.joined();
        let mut reverse = vec![Vec::new(); joined.len()];
        for (from, targets) in joined.iter().enumerate() {
            for &(to, _) in targets {
                reverse[to].push(from);
            }
        }
        let mut reached = vec![false; joined.len()];
        let mut stack = vec![step];
        while let Some(at) = stack.pop() {
            for &from in &reverse[at] {
                if !reached[from] {
                    reached[from] = true;
                    stack.push(from);
                }
            }
        }
        reached.truncate(self.rules.len());
        reached[step] = false;
        reached
    }

    /// One cycle of the combined implied and explicit graph, if there is one (S7): each step
    /// waits for the next, the last for the first.
    #[must_use]
    pub fn cycle(&self) -> Option<Vec<Edge>> {
        let joined = self.joined();
        // Depth-first with an explicit stack: a million steps would overflow the real one.
        let (mut state, mut path) = (vec![0u8; joined.len()], Vec::new());
        for root in 0..joined.len() {
            if state[root] != 0 {
                continue;
            }
            state[root] = 1;
            path.push((root, 0usize));
            while let Some(&mut (at, ref mut next)) = path.last_mut() {
                let Some(&(to, _)) = joined[at].get(*next) else {
                    state[at] = 2;
                    path.pop();
                    continue;
                };
                *next += 1;
                match state[to] {
                    0 => {
                        state[to] = 1;
                        path.push((to, 0));
                    }
                    1 => {
                        let start = path.iter().position(|&(node, _)| node == to);
                        let start = start.expect("a node in progress is on the path");
                        return Some(self.real_edges(&joined, &path[start..]));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Turns a cycle through joins into edges between steps.
    fn real_edges(&self, joined: &Joined, path: &[(usize, usize)]) -> Vec<Edge> {
        let steps = self.rules.len();
        let offset = path.iter().position(|&(node, _)| node < steps).unwrap_or(0);
        let around: Vec<_> = path.iter().cycle().skip(offset).take(path.len()).collect();
        let mut edges: Vec<Edge> = Vec::new();
        for &&(node, next) in &around {
            if node >= steps {
                continue;
            }
            if let Some(last) = edges.last_mut() {
                last.to = node;
            }
            let (target, need) = joined[node][next - 1];
            edges.push(Edge { from: node, to: target, need });
        }
        if let (Some(first), Some(last)) = (edges.first().map(|e| e.from), edges.last_mut()) {
            last.to = first;
        }
        edges
    }

    /// The waits as adjacency, with virtual nodes after the steps that join "all lower …".
    fn joined(&self) -> Joined {
        let mut nodes: Joined = vec![Vec::new(); self.rules.len()];
        // A join waits for the join before it and one step: a chain, so prefixes cost nothing.
        let extend = |nodes: &mut Joined, before: Option<usize>, step: usize| {
            let mut waits = vec![(step, None)];
            waits.extend(before.map(|join| (join, None)));
            nodes.push(waits);
            Some(nodes.len() - 1)
        };
        let (mut all, mut gates) = (None, None);
        // The last sequential step stands for everything below it.
        let (mut sequential, mut plain_sequential): (Option<usize>, Option<usize>) = (None, None);
        // Parallelizable steps since the last sequential one, as runs of one group.
        let mut runs: Vec<Run> = Vec::new();
        let mut last_run_of: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let mut waits: Vec<(usize, Option<usize>)> =
                rule.needs.iter().enumerate().map(|(n, &need)| (need, Some(n))).collect();
            if !rule.parallelizable {
                waits.extend(all.map(|join| (join, None)));
            } else {
                if !rule.crosses_gates {
                    waits.extend(gates.map(|join| (join, None)));
                }
                if rule.crosses_gates && !rule.needs_replace {
                    // Rare enough to be written out: joins would bring the gates back in.
                    waits.extend(plain_sequential.map(|step| (step, None)));
                    let since = plain_sequential.map_or(0, |step| step + 1);
                    let others = (since..at).filter(|&lower| rule.waits_for(&self.rules[lower]));
                    waits.extend(others.map(|step| (step, None)));
                } else if !rule.needs_replace {
                    waits.extend(sequential.map(|step| (step, None)));
                    if runs.last().is_none_or(|run| run.group != rule.group) {
                        let own = last_run_of.get(&rule.group).copied();
                        let join = open_run(&mut nodes, &runs, own);
                        last_run_of.insert(rule.group, runs.len());
                        runs.push(Run { group: rule.group, members: None, before: join });
                    }
                    let run = last_run_of[&rule.group];
                    waits.extend(runs[run].before.map(|join| (join, None)));
                }
            }
            nodes[at] = waits;
            all = extend(&mut nodes, all, at);
            if rule.gate {
                gates = extend(&mut nodes, gates, at);
            }
            if rule.parallelizable {
                // A step whose needs replace the implied waiting is still waited for.
                if runs.last().is_none_or(|run| run.group != rule.group) {
                    let own = last_run_of.get(&rule.group).copied();
                    let join = open_run(&mut nodes, &runs, own);
                    last_run_of.insert(rule.group, runs.len());
                    runs.push(Run { group: rule.group, members: None, before: join });
                }
                let run = runs.last_mut().expect("a run was just opened");
                run.members = extend(&mut nodes, run.members, at);
            } else {
                sequential = Some(at);
                if !rule.gate {
                    plain_sequential = Some(at);
                }
                runs.clear();
                last_run_of.clear();
            }
        }
        nodes
    }
}

/// What each node waits for; the second half is the position in `needs` of an explicit edge.
type Joined = Vec<Vec<(usize, Option<usize>)>>;

/// Consecutive parallelizable steps of one group, between two sequential steps.
struct Run {
    group: usize,
    /// Joins the members so far.
    members: Option<usize>,
    /// Joins every earlier run of another group.
    before: Option<usize>,
}

/// Makes the join a new run waits for: what the group's earlier run waited for, and every run
/// since then (none of which is of this group).
fn open_run(nodes: &mut Joined, runs: &[Run], own: Option<usize>) -> Option<usize> {
    let mut waits = Vec::new();
    if let Some(own) = own {
        waits.extend(runs[own].before.map(|join| (join, None)));
    }
    let since = own.map_or(0, |own| own + 1);
    waits.extend(runs[since..].iter().filter_map(|run| run.members).map(|join| (join, None)));
    if waits.is_empty() {
        return None;
    }
    nodes.push(waits);
    Some(nodes.len() - 1)
}

impl Rule {
    /// Whether S1–S3 imply that a step of this rule waits for a lower step of that one.
    fn waits_for(&self, lower: &Self) -> bool {
        if !self.parallelizable {
            return true;
        }
        if lower.gate {
            return !self.crosses_gates;
        }
        if self.needs_replace {
            return false;
        }
        !lower.parallelizable || lower.group != self.group
    }
}

/// What the steps passed so far on the way down wait for, all together.
#[derive(Default)]
struct Nearer {
    /// The group of the ones that wait for every other group, and whether there are several.
    group: Option<usize>,
    groups: bool,
    /// One of them waits for gates.
    gates: bool,
    needs: BTreeSet<usize>,
}

impl Nearer {
    /// Whether one of them waits for a step below them all.
    fn wait_for(&self, at: usize, lower: &Rule) -> bool {
        let implied = match (lower.gate, lower.parallelizable) {
            (true, _) => self.gates,
            (false, false) => self.group.is_some(),
            (false, true) => self.groups || self.group.is_some_and(|group| group != lower.group),
        };
        implied || self.needs.contains(&at)
    }

    /// Adds one; true when nothing lower is left that one of them does not wait for.
    fn take(&mut self, rule: &Rule) -> bool {
        if !rule.parallelizable {
            return true;
        }
        self.needs.extend(&rule.needs);
        self.gates |= !rule.crosses_gates;
        if !rule.needs_replace {
            self.groups |= self.group.is_some_and(|group| group != rule.group);
            self.group = Some(rule.group);
        }
        self.groups && self.gates
    }
}

/// How many steps below the current position are not done, by kind.
#[derive(Default)]
struct Below {
    all: usize,
    sequential: usize,
    sequential_gates: usize,
    parallelizable: usize,
    parallelizable_gates: usize,
    gates: usize,
    /// Parallelizable ones by group, and how many of the common group's are gates.
    groups: Vec<usize>,
    common_gates: usize,
}

impl Below {
    fn count(&mut self, rule: &Rule) {
        let gate = usize::from(rule.gate);
        self.all += 1;
        self.gates += gate;
        if rule.parallelizable {
            self.parallelizable += 1;
            self.parallelizable_gates += gate;
            self.groups[rule.group] += 1;
            if rule.group == 0 {
                self.common_gates += gate;
            }
        } else {
            self.sequential += 1;
            self.sequential_gates += gate;
        }
    }

    /// S1–S3 for the implied part.
    fn lets(&self, rule: &Rule) -> bool {
        if !rule.parallelizable {
            return self.all == 0;
        }
        if !rule.crosses_gates && self.gates > 0 {
            return false;
        }
        if rule.needs_replace {
            return true;
        }
        let others = self.parallelizable - self.groups[rule.group];
        if rule.crosses_gates {
            // Only steps of the common group may cross, so its gates are the ones to take out.
            let other_gates = self.parallelizable_gates - self.common_gates;
            return self.sequential == self.sequential_gates && others == other_gates;
        }
        self.sequential == 0 && others == 0
    }
}
