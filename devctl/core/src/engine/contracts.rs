//! Contracts of the nodes: when those in which a node is the provider are verified, when a consumer's tests are run, and what came of
//! it. A small machine of its own beside the runs: what it waits for is a run that is ready, never the other way round, save for a
//! dependent that says `contract_verified`.
//!
//! A save comes first: it is verified as soon as its run serves, and takes the place of what is under way for the same node. What is
//! verified once at the beginning waits until everything is ready, one node at a time. Tests are run when nobody builds.

use std::fmt;
use std::time::Duration;

use super::effect::Effect;
use super::event::Failure;
use super::node::{Run, Wanted};
use super::notice::NoticeKind;
use super::state::State;
use super::verdict::Verdict;
use crate::plan::{Condition, ContentHash, Verify};
use crate::{NodeId, Seconds, Time};

/// Verifications at a time, each with a provider that is started for it.
const AT_ONCE: usize = 2;

/// What is known of the contracts that a node is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contracts {
    /// What it came to the last time.
    pub last: Option<Verified>,
    /// Those in which it is the provider.
    verification: Check,
    /// The tests that write those in which it is the consumer.
    tests: Check,
    /// The build that was last looked at.
    of: Option<Of>,
    /// When the change was noticed that the run of now has come from.
    saved: Option<Time>,
    up: Up,
}

/// Something that is to be checked, or is being checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Check {
    due: Option<Due>,
    running: Option<(u64, Due)>,
}

/// Why and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    cause: Cause,
    since: Time,
}

/// Why contracts are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The provider has become ready for the first time.
    Ready,
    /// It was reloaded.
    Saved,
    /// What is expected of it, or its provider states, have changed.
    Expected(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Ready => write!(out, "after it was ready"),
            Cause::Saved => write!(out, "after the save"),
            Cause::Expected(what) => write!(out, "after {what} changed"),
        }
    }
}

/// What runs: verdicts are about it and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Of {
    hash: ContentHash,
    artefact: Option<ContentHash>,
    /// Where nothing is built, each run that somebody asked for may be of other sources.
    run: u64,
}

/// Whether something is kept up for the next verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Up {
    #[default]
    Nothing,
    Something,
    Ending,
}

/// A verification that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// When.
    pub at: Time,
    /// What it came to.
    pub outcome: Verification,
    of: Option<Of>,
}

/// What a verification came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Promises that are kept.
    pub kept: usize,
    /// Promises that are broken.
    pub broken: usize,
    /// Promises that are broken, and were only announced.
    pub pending: usize,
    /// Promises of which nothing is known.
    pub could_not_run: usize,
    /// Of all these, how many were known from before.
    pub known: usize,
    /// The first broken one.
    pub breach: Option<Breach>,
    /// Why something could not be run.
    pub trouble: Option<Failure>,
}

/// A broken promise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breach {
    /// To whom.
    pub consumer: String,
    /// The pact's sentence.
    pub interaction: String,
    /// Where in the answer.
    pub path: String,
    /// What the consumer expects there.
    pub expected: String,
    /// What was there.
    pub actual: String,
    /// All of it in words: `api-gateway expects $.amount to be an integer, got "12"`.
    pub said: String,
    /// The command that shows it whole.
    pub command: String,
}

/// A verification in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdicts {
    /// Nobody expects anything of it.
    None,
    /// Every promise is kept, or only announced.
    Kept,
    /// One is broken.
    Broken,
    /// None is known to be broken, and not all are known to be kept.
    CouldNotRun,
}

impl Verification {
    /// One that could not be begun.
    #[must_use]
    pub fn failed(trouble: Failure) -> Self {
        Self {
            trouble: Some(trouble),
            ..Self::default()
        }
    }

    /// All that was tried could be run, and there may be more of it: a pact could not be read.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.could_not_run == 0 && self.breach.is_none() && self.trouble.is_some() && self.kept + self.pending > 0
    }

    /// In one word.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        if self.broken > 0 {
            Verdicts::Broken
        } else if self.could_not_run > 0 || self.trouble.is_some() {
            Verdicts::CouldNotRun
        } else if self.kept + self.pending > 0 {
            Verdicts::Kept
        } else {
            Verdicts::None
        }
    }

    /// What is wrong, for those who wait: fits after "which".
    #[must_use]
    pub fn reason(&self) -> String {
        match (&self.breach, &self.trouble) {
            (Some(breach), _) => format!("breaks a contract: {}", breach.said),
            (None, Some(trouble)) => format!("could not be verified: {}", trouble.what),
            (None, None) => "could not be verified".to_owned(),
        }
    }

    /// What to do next.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match (&self.breach, &self.trouble) {
            (Some(breach), _) => Some(&breach.command),
            (None, Some(trouble)) => trouble.help.as_deref(),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.kept, "kept"),
            (self.broken, "broken"),
            (self.pending, "pending"),
            (self.could_not_run, "could not run"),
        ];
        let counted = counts.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<String> = counted.map(|(count, word)| format!("{count} {word}")).collect();
        match (counted.is_empty(), &self.trouble) {
            (true, None) => write!(out, "no pact names it as a provider, nothing is verified")?,
            (true, Some(_)) => write!(out, "could not run")?,
            (false, _) => write!(out, "{}", counted.join(", "))?,
        }
        if self.is_partial() {
            write!(out, ", and what else is expected is not known")?;
        }
        match (&self.breach, &self.trouble) {
            (Some(breach), _) => write!(out, ": {}", breach.said),
            (None, Some(trouble)) => write!(out, ": {}", trouble.what),
            (None, None) => Ok(()),
        }
    }
}

/// What a consumer's tests wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tested {
    /// How long they took.
    pub took: Duration,
    /// Providers of whom something else is expected now than is committed.
    pub changed: Vec<String>,
}

impl fmt::Display for Tested {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "consumer tests passed in {}", Seconds(self.took))?;
        match self.changed.as_slice() {
            [] => write!(out, ", its contracts are as committed"),
            changed => write!(
                out,
                ": it expects something else of {} than is committed, which is verified now (`devctl contracts drift` shows it)",
                changed.join(", ")
            ),
        }
    }
}

impl Contracts {
    /// Since when the contracts are to be verified, or are being verified.
    #[must_use]
    pub fn since(&self) -> Option<Time> {
        let running = self.verification.running.as_ref().map(|(_, due)| due.since);
        running.or(self.verification.due.as_ref().map(|due| due.since))
    }

    /// A verification is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.verification.running.is_some()
    }

    /// The last verification, where it was of what runs now.
    #[must_use]
    pub fn current(&self) -> Option<&Verified> {
        self.last.as_ref().filter(|last| last.of == self.of)
    }

    pub(super) fn is_kept_up(&self) -> bool {
        self.up != Up::Nothing
    }

    /// Somebody asks again: what could not be run is tried again.
    pub(super) fn try_again(&mut self) {
        if self
            .current()
            .is_some_and(|last| last.outcome.verdicts() == Verdicts::CouldNotRun)
        {
            self.last = None;
            self.of = None;
        }
    }

    /// A build that failed has nothing that could be verified.
    pub(super) fn forget_due(&mut self) {
        self.verification.due = None;
        self.tests.due = None;
    }
}

impl Check {
    /// Ends what is under way; it is due again.
    fn put_back(&mut self, node: &NodeId, out: &mut Vec<Effect>) {
        if let Some((check, due)) = self.running.take() {
            self.due.get_or_insert(due);
            out.push(Effect::CancelCheck {
                node: node.clone(),
                check,
            });
        }
    }

    fn end(&mut self, node: &NodeId, out: &mut Vec<Effect>) {
        self.put_back(node, out);
        self.due = None;
    }
}

impl State {
    /// A run has taken another one's place for a change that was noticed then.
    pub(super) fn saved(&mut self, id: &NodeId, since: Time) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.contracts.saved = Some(since);
        }
    }

    /// A new build begins: what is under way is of the one before. Tests share the machine, and what they compile, with everybody's
    /// builds: these go first.
    pub(super) fn overtake(&mut self, id: &NodeId, out: &mut Vec<Effect>) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.contracts.verification.put_back(id, out);
        }
        for (id, node) in &mut self.nodes {
            node.contracts.tests.put_back(id, out);
        }
    }

    /// Makes the contracts of a run due that has become ready and has not been looked at yet.
    pub(super) fn look_at_contracts(&mut self, id: &NodeId, now: Time) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let (verify, tests) = (node.plan.verify != Verify::Never, node.plan.tests);
        let always = node.plan.verify == Verify::Always;
        let Some(run) = node.run.as_ref().filter(|run| run.is_ready() && (verify || tests)) else {
            return;
        };
        let crashed = node.last.as_ref().is_some_and(|last| last.told.is_none());
        let contracts = &mut node.contracts;
        let before = contracts.of.as_ref();
        let same_run = || before.map_or(run.number, |of| of.run);
        let of = Of {
            hash: run.hash.clone(),
            artefact: run.artefact.clone(),
            run: if run.artefact.is_some() || crashed {
                same_run()
            } else {
                run.number
            },
        };
        if before == Some(&of) {
            return;
        }
        let saved = contracts.saved.take();
        let due = match saved {
            Some(since) => Due {
                cause: Cause::Saved,
                since,
            },
            None => Due {
                cause: Cause::Ready,
                since: run.ready.unwrap_or(now),
            },
        };
        contracts.of = Some(of);
        if tests && saved.is_some() {
            contracts.tests.due = Some(due.clone());
        }
        // What is verified from the first save on is not verified at the beginning, unless somebody waits for it.
        if verify && (always || saved.is_some()) {
            contracts.verification.due = Some(due);
        }
    }

    /// Begins what is due and may begin.
    pub(super) fn check_due(&mut self, now: Time, out: &mut Vec<Effect>) {
        let is_checked = |node: &super::Node| node.plan.verify != Verify::Never || node.plan.tests;
        let checked = self.nodes.iter().filter(|(_, node)| is_checked(node));
        let ids: Vec<NodeId> = checked.map(|(id, _)| id.clone()).collect();
        for id in &ids {
            if self.is_awaited(id) {
                self.make_awaited_due(id, now);
            }
        }
        for id in &ids {
            let pressing = match self.due_of(id) {
                Some(Cause::Ready) => self.is_awaited(id),
                Some(_) => true,
                None => false,
            };
            if pressing && self.verifying() < AT_ONCE {
                self.verify(id, out);
            }
        }
        let unpressing = |id: &&NodeId| self.due_of(id) == Some(&Cause::Ready);
        let rest: Vec<&NodeId> = ids.iter().filter(unpressing).collect();
        if !rest.is_empty() && !self.nodes.keys().any(|id| self.is_under_way(id, now)) {
            for id in rest {
                if self.verifying() == 0 {
                    self.verify(id, out);
                }
            }
        }
        self.test(out);
    }

    /// Somebody is not started before the contracts of this one are kept.
    fn is_awaited(&self, id: &NodeId) -> bool {
        let waits = |dependent: &NodeId| {
            let Some(node) = self.nodes.get(dependent) else {
                return false;
            };
            let mut dependencies = node.plan.dependencies.iter();
            let held = node.wanted == Wanted::Up && !node.let_through;
            held && dependencies.any(|dep| dep.on == *id && dep.condition == Condition::Verified)
        };
        self.dependents
            .get(id)
            .is_some_and(|dependents| dependents.iter().any(waits))
    }

    /// Whoever waits for a verdict waits for one on what runs now.
    fn make_awaited_due(&mut self, id: &NodeId, now: Time) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let ready = node.run.as_ref().is_some_and(Run::is_ready) && node.plan.verify != Verify::Never;
        let contracts = &mut node.contracts;
        if ready && contracts.since().is_none() && contracts.current().is_none() {
            contracts.verification.due = Some(Due {
                cause: Cause::Ready,
                since: now,
            });
        }
    }

    fn due_of(&self, id: &NodeId) -> Option<&Cause> {
        let node = self.nodes.get(id)?;
        let replaced = node.replace.is_some() || node.next.is_some() || node.build.running.is_some();
        let ready = node.run.as_ref().is_some_and(Run::is_ready) && !replaced;
        let contracts = &node.contracts;
        let free = contracts.verification.running.is_none() && contracts.up != Up::Ending;
        let due = contracts.verification.due.as_ref().filter(|_| ready && free);
        due.map(|due| &due.cause)
    }

    /// On its way to being ready, or about to be replaced.
    fn is_under_way(&self, id: &NodeId, now: Time) -> bool {
        matches!(self.verdict(std::slice::from_ref(id), now), Verdict::Pending)
    }

    fn verifying(&self) -> usize {
        let running = |node: &&super::Node| node.contracts.is_running();
        self.nodes.values().filter(running).count()
    }

    fn verify(&mut self, id: &NodeId, out: &mut Vec<Effect>) {
        let check = self.number();
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some(due) = node.contracts.verification.due.take() else {
            return;
        };
        node.contracts.up = Up::Something;
        node.contracts.verification.running = Some((check, due));
        out.push(Effect::Verify {
            node: id.clone(),
            check,
        });
    }

    /// One node's tests, while nobody builds or verifies.
    fn test(&mut self, out: &mut Vec<Effect>) {
        let busy = |node: &super::Node| {
            let contracts = &node.contracts;
            let verifies = contracts.is_running() || contracts.verification.due.is_some();
            verifies || contracts.tests.running.is_some() || node.build.running.is_some() || node.build.due
        };
        if self.nodes.values().any(busy) {
            return;
        }
        let due = |node: &super::Node| node.contracts.tests.due.is_some() && node.contracts.up != Up::Ending;
        let Some(id) = self.nodes.iter().find(|(_, node)| due(node)).map(|(id, _)| id.clone()) else {
            return;
        };
        let check = self.number();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(due) = node.contracts.tests.due.take() else {
            return;
        };
        node.contracts.up = Up::Something;
        node.contracts.tests.running = Some((check, due));
        out.push(Effect::Test { node: id, check });
    }

    pub(super) fn on_verified(
        &mut self,
        id: &NodeId,
        number: u64,
        outcome: Verification,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let contracts = &mut node.contracts;
        let Some((_, due)) = contracts.verification.running.take_if(|(check, _)| *check == number) else {
            return;
        };
        let before = contracts.last.replace(Verified {
            at: now,
            outcome: outcome.clone(),
            of: contracts.of.clone(),
        });
        let was_broken = before.is_some_and(|before| before.outcome.verdicts() == Verdicts::Broken);
        let again = was_broken && outcome.verdicts() == Verdicts::Kept;
        let mut awaited = false;
        for dependent in self.dependents.get(id).cloned().unwrap_or_default() {
            if let Some(dependent) = self.nodes.get_mut(&dependent) {
                let mut dependencies = dependent.plan.dependencies.iter();
                awaited |= dependencies.any(|dep| dep.on == *id && dep.condition == Condition::Verified);
                // Whoever had been told that it will not come may wait for it again, or is told why anew.
                dependent.blocked = false;
            }
        }
        if outcome.verdicts() == Verdicts::None && !awaited {
            return;
        }
        let kind = NoticeKind::Verified {
            outcome: Box::new(outcome),
            cause: due.cause,
            took: now - due.since,
            again,
        };
        self.notice(Some(id), kind, now, out);
    }

    pub(super) fn on_tested(
        &mut self,
        id: &NodeId,
        number: u64,
        outcome: Result<Tested, Failure>,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node
            .contracts
            .tests
            .running
            .take_if(|(check, _)| *check == number)
            .is_some()
        {
            self.notice(Some(id), NoticeKind::Tested { outcome }, now, out);
        }
    }

    /// Something else is expected of a provider: what is under way is about what was expected before.
    pub(super) fn on_expected(&mut self, id: &NodeId, what: String, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.plan.verify == Verify::Never || node.wanted != Wanted::Up {
            return;
        }
        node.contracts.verification.end(id, out);
        node.contracts.verification.due = Some(Due {
            cause: Cause::Expected(what),
            since: now,
        });
    }

    /// Ends what is under way and what is kept up: the node is not wanted any more, or its contracts are not to be verified.
    pub(super) fn let_go_of_contracts(&mut self, id: &NodeId, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let contracts = &mut node.contracts;
        contracts.verification.end(id, out);
        contracts.tests.end(id, out);
        contracts.of = None;
        contracts.saved = None;
        if contracts.up == Up::Something {
            contracts.up = Up::Ending;
            out.push(Effect::LetGo { node: id.clone() });
        }
    }

    pub(super) fn on_let_go(&mut self, id: &NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.contracts.up = Up::Nothing;
        }
    }
}
