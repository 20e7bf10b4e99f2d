//! Contracts verified beside the runs, and dependents that wait for them.

use super::*;
use crate::engine::{Breach, Status, Tested, Verdict, Verification};
use crate::plan::Condition::{Healthy, Verified};
use crate::plan::Verify;

fn provider(name: &str) -> NodePlan {
    node(name)
        .built()
        .overlapping()
        .with(|node| node.verify = Verify::Always)
}

fn kept(count: usize) -> Verification {
    Verification {
        kept: count,
        ..Verification::default()
    }
}

fn broken() -> Verification {
    Verification {
        kept: 2,
        broken: 1,
        breach: Some(Breach {
            consumer: "web".to_owned(),
            said: "web expects $.amount to be an integer, got \"12\"".to_owned(),
            command: "`devctl verify --provider api`".to_owned(),
            ..Breach::default()
        }),
        ..Verification::default()
    }
}

impl Story {
    fn checking(&self, name: &str) -> u64 {
        *self.checks.get(&name.into()).expect("no check is under way")
    }

    fn verified(&mut self, name: &str, outcome: Verification) {
        let check = self.checking(name);
        self.verified_by(name, check, outcome);
    }

    fn verified_by(&mut self, name: &str, check: u64, outcome: Verification) {
        let event = Event::Verified {
            node: name.into(),
            check,
            outcome,
        };
        self.step(&format!("{name} #{check} verified"), event);
    }

    fn saved(&mut self, name: &str, source: &str) {
        let event = Event::Changed {
            node: name.into(),
            source: source.to_owned(),
            what: "src/main.rs".to_owned(),
        };
        self.step(&format!("{name} saved"), event);
    }

    fn let_go(&mut self, name: &str) {
        self.step(&format!("{name} let go"), Event::LetGo { node: name.into() });
    }

    fn status(&self, name: &str) -> Status {
        self.state.status(&name.into(), self.now)
    }
}

#[test]
fn what_is_ready_is_verified_once_everything_is_and_again_after_each_save() {
    let mut story = Story::new();
    story.up(&[provider("api"), node("web").tested().needs("api", Healthy)]);
    story.built("api", "x1");
    story.started("api");
    story.told();
    story.ready("web");
    story.after(300).verified("api", kept(3));
    story.after(1000).saved("api", "s2");
    story.after(500).built("api", "x2");
    story.started("api");
    story.after(200).verified("api", broken());
    insta::assert_snapshot!(story.told(), @r#"
    0.00 web #3 started
     | web started
     probe web #3
    0.00 web #3 test passed
     | web ready after 0 s
     verify api #4
    0.30 api #4 verified
     | api contracts: 3 kept (0.3 s after it was ready)
    1.30 api saved
     build api #5
     | api building
    1.80 api build #5 made x2
     | api built in 0.5 s
     | api starting: src/main.rs changed
     start api #6
    1.80 api #6 started
     | api started
     | api reloaded in 0.5 s: src/main.rs changed (build 0.5 s, swap 0 s)
     stop api #2 within 10 s, after draining
     | api stopping: a newer run serves
     verify api #7
    2.00 api #7 verified
     | api contracts: 2 kept, 1 broken: web expects $.amount to be an integer, got "12" (0.7 s after the save)
    "#);
    assert_eq!(story.status("web"), Status::Ready);
}

#[test]
fn a_save_overtakes_a_verification_and_its_late_answer_is_nothing() {
    let mut story = Story::new();
    story.up(&[provider("api")]);
    story.built("api", "x1");
    story.started("api");
    let old = story.checking("api");
    story.told();
    story.saved("api", "s2");
    story.verified_by("api", old, broken());
    story.built("api", "x2");
    story.started("api");
    insta::assert_snapshot!(story.told(), @r"
    0.00 api saved
     cancel check api #3
     build api #4
     | api building
    0.00 api #3 verified
    0.00 api build #4 made x2
     | api built in 0 s
     | api starting: src/main.rs changed
     start api #5
    0.00 api #5 started
     | api started
     | api reloaded in 0 s: src/main.rs changed (build 0 s, swap 0 s)
     stop api #2 within 10 s, after draining
     | api stopping: a newer run serves
     verify api #6
    ");
}

#[test]
fn a_build_that_fails_verifies_nothing_and_one_that_makes_the_same_goes_on_with_what_was_overtaken() {
    let mut story = Story::new();
    story.up(&[provider("api")]);
    story.built("api", "x1");
    story.started("api");
    story.told();
    story.saved("api", "s2");
    story.built("api", "x1");
    assert!(
        story.told().contains("  verify api"),
        "the same product is verified after all"
    );
    story.saved("api", "s3");
    story.told();
    story.build_failed("api");
    assert!(!story.told().contains("verify"));
    story.saved("api", "s4");
    story.built("api", "x2");
    story.started("api");
    assert!(story.told().contains("  verify api"));
}

#[test]
fn contract_verified_holds_a_start_until_a_save_keeps_the_contracts() {
    let mut story = Story::new();
    story.up(&[provider("api"), node("web").needs("api", Verified)]);
    story.built("api", "x1");
    assert_eq!(story.why("web"), "waiting for api (starting)");
    story.started("api");
    story.after(400);
    assert_eq!(
        story.why("web"),
        "waiting for api (its contracts are being verified, 0.4 s)"
    );
    story.told();
    story.verified("api", broken());
    assert_eq!(story.status("web"), Status::Failed);
    assert!(matches!(
        story.state.verdict(&["web".into()], story.now),
        Verdict::Failed(_)
    ));
    story.saved("api", "s2");
    story.built("api", "x2");
    story.started("api");
    story.verified("api", kept(3));
    insta::assert_snapshot!(story.told(), @r#"
    0.40 api #3 verified
     | api contracts: 2 kept, 1 broken: web expects $.amount to be an integer, got "12" (0.4 s after it was ready)
     | web cannot start: it needs api, which breaks a contract: web expects $.amount to be an integer, got "12"
    0.40 api saved
     build api #4
     | api building
    0.40 api build #4 made x2
     | api built in 0 s
     | api starting: src/main.rs changed
     start api #5
    0.40 api #5 started
     | api started
     | api reloaded in 0 s: src/main.rs changed (build 0 s, swap 0 s)
     stop api #2 within 10 s, after draining
     | api stopping: a newer run serves
     verify api #6
    0.40 api #6 verified
     | api contracts: 3 kept, again (0 s after the save)
     | web starting
     start web #7
    "#);
    // From now on a broken contract keeps nobody down who runs already.
    story.saved("api", "s3");
    story.built("api", "x3");
    story.started("web");
    story.started("api");
    story.verified("api", broken());
    story.exited("web", 1);
    story.act(Verb::Restart, &["web"]);
    assert!(story.told().contains("start web"), "a restart is not held");
}

#[test]
fn what_could_not_run_is_neither_kept_nor_broken_and_is_tried_again_when_asked() {
    let mut story = Story::new();
    let nodes = [provider("api"), node("web").needs("api", Verified)];
    story.up(&nodes);
    story.built("api", "x1");
    story.started("api");
    story.verified("api", Verification::failed(Failure::new("the broker is gone")));
    assert_eq!(
        story.why("web"),
        "needs api, which could not be verified: the broker is gone"
    );
    assert!(
        story
            .told()
            .contains("api contracts: could not run: the broker is gone")
    );
    story.up(&nodes);
    let unread = Verification {
        trouble: Some(Failure::new("failed to read a pact")),
        ..kept(1)
    };
    story.verified("api", unread);
    assert!(
        story
            .told()
            .contains("api contracts: 1 kept, and what else is expected is not known: failed to read a pact")
    );
    story.up(&nodes);
    story.verified("api", kept(1));
    assert!(story.told().contains("start web"));
}

#[test]
fn without_contracts_nobody_waits_and_it_is_told() {
    let mut story = Story::new();
    story.up(&[provider("api"), node("web").needs("api", Verified), provider("other")]);
    story.built("api", "x1");
    story.built("other", "x1");
    story.started("api");
    story.started("other");
    story.told();
    story.verified("api", Verification::default());
    story.started("web");
    story.verified("other", Verification::default());
    insta::assert_snapshot!(story.told(), @r"
    0.00 api #5 verified
     | api contracts: no pact names it as a provider, nothing is verified (0 s after it was ready)
     | web starting
     start web #6
    0.00 web #6 started
     | web started
     verify other #7
    0.00 other #7 verified
    ");
}

#[test]
fn from_the_first_save_on_means_that_only_who_is_waited_for_is_verified_before() {
    let later = |name: &str| provider(name).with(|node| node.verify = Verify::Save);
    let mut story = Story::new();
    story.up(&[later("api"), later("other"), node("web").needs("api", Verified)]);
    story.built("api", "x1");
    story.built("other", "x1");
    story.started("other");
    story.started("api");
    story.verified("api", kept(1));
    story.started("web");
    let told = story.told();
    assert!(told.contains("verify api") && !told.contains("verify other"), "{told}");
    story.saved("other", "s2");
    story.built("other", "x2");
    story.started("other");
    assert!(story.told().contains("verify other"));
}

#[test]
fn another_expectation_is_verified_at_once() {
    let mut story = Story::new();
    story.up(&[provider("api")]);
    story.built("api", "x1");
    story.started("api");
    story.verified("api", kept(1));
    story.told();
    let expected = |what: &str| Event::Expected {
        node: "api".into(),
        what: what.to_owned(),
    };
    story.step("pact changed", expected("web-api.json"));
    story.step("pact changed again", expected("web-api.json"));
    story.verified("api", kept(2));
    insta::assert_snapshot!(story.told(), @r"
    0.00 pact changed
     verify api #4
    0.00 pact changed again
     cancel check api #4
     verify api #5
    0.00 api #5 verified
     | api contracts: 2 kept (0 s after web-api.json changed)
    ");
}

#[test]
fn consumer_tests_run_after_a_reload_and_give_way_to_every_build() {
    let consumer = provider("web").with(|node| node.tests = true);
    let mut story = Story::new();
    story.up(&[consumer, provider("api")]);
    for name in ["web", "api"] {
        story.built(name, "x1");
        story.started(name);
    }
    story.verified("web", Verification::default());
    story.verified("api", kept(1));
    assert!(!story.told().contains("test web"), "not before the first save");
    story.saved("web", "s2");
    story.built("web", "x2");
    story.started("web");
    story.verified("web", Verification::default());
    story.saved("api", "s2");
    story.built("api", "x1");
    let check = story.checking("web");
    let tested = Tested {
        took: Duration::from_secs(2),
        changed: vec!["api".to_owned()],
    };
    let event = Event::Tested {
        node: "web".into(),
        check,
        outcome: Ok(tested),
    };
    story.step("tests ended", event);
    insta::assert_snapshot!(story.told(), @r"
    0.00 web saved
     build web #7
     | web building
    0.00 web build #7 made x2
     | web built in 0 s
     | web starting: src/main.rs changed
     start web #8
    0.00 web #8 started
     | web started
     | web reloaded in 0 s: src/main.rs changed (build 0 s, swap 0 s)
     stop web #3 within 10 s, after draining
     | web stopping: a newer run serves
     verify web #9
    0.00 web #9 verified
     test web #10
    0.00 api saved
     cancel check web #10
     build api #11
     | api building
    0.00 api build #11 made x1
     | api built in 0 s, nothing changed
     test web #12
    0.00 tests ended
     | web consumer tests passed in 2 s: it expects something else of api than is committed, which is verified now (`devctl contracts drift` shows it)
    ");
}

#[test]
fn down_waits_until_nothing_is_kept_up() {
    let mut story = Story::new();
    story.up(&[provider("api")]);
    story.built("api", "x1");
    story.started("api");
    story.told();
    story.down();
    story.exited("api", 0);
    assert!(!story.state.is_quiet(), "its verification is still being ended");
    story.let_go("api");
    assert!(story.state.is_quiet());
    insta::assert_snapshot!(story.told(), @r"
    0.00 down
     cancel check api #3
     let go of api
     stop api #2 within 10 s
     | api stopping: it is no longer wanted
    0.00 api #2 exited with 0
     | api stopped after 0 s (exited with 0)
    0.00 api let go
     remove api
    ");
}

/// Whatever comes in whatever order: one check a node at a time, no start before a kept contract, and in the end nothing is left.
#[test]
fn in_any_order_nobody_is_let_through_too_early_and_nothing_is_left() {
    for seed in 0..400_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut walk = Walk::new(&mut dice);
        for _ in 0..60 {
            walk.one(&mut dice);
        }
        walk.end();
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// `web` waits for the contracts of `api`; a world that answers effects late, in any order.
struct Walk {
    state: State,
    now: Time,
    pending: Vec<Event>,
    checks: Vec<u64>,
    runs: Vec<(NodeId, u64)>,
    /// What the contracts of `api` came to the last time, as this test knows it.
    kept: bool,
    source: u64,
}

impl Walk {
    fn new(dice: &mut Dice) -> Self {
        let mut walk = Self {
            state: State::default(),
            now: Time::default(),
            pending: Vec::new(),
            checks: Vec::new(),
            runs: Vec::new(),
            kept: false,
            source: 0,
        };
        walk.step(Event::Up(Self::plan()), dice);
        walk
    }

    fn plan() -> Up {
        up(&[provider("api"), node("web").needs("api", Verified)])
    }

    fn one(&mut self, dice: &mut Dice) {
        self.now = self.now + Duration::from_millis(dice.roll(50));
        self.source += 1;
        let source = format!("s{}", self.source);
        let event = match dice.roll(12) {
            0 => Event::Changed {
                node: "api".into(),
                source,
                what: "a file".to_owned(),
            },
            1 => Event::Expected {
                node: "api".into(),
                what: "a pact".to_owned(),
            },
            2 if dice.roll(4) == 0 => Event::Down(Down::default()),
            3 => Event::Up(Self::plan()),
            4 => Event::Act(Act {
                verb: if dice.roll(2) == 0 { Verb::Stop } else { Verb::Restart },
                nodes: vec!["api".into()],
                grace: None,
                again: Vec::new(),
                alone: false,
            }),
            _ if self.pending.is_empty() => Event::Tick,
            _ => {
                let at = usize::try_from(dice.roll(self.pending.len() as u64)).expect("small");
                self.pending.swap_remove(at)
            }
        };
        self.step(event, dice);
    }

    fn step(&mut self, event: Event, dice: &mut Dice) {
        if let Event::Verified { node, check, outcome } = &event
            && *node == NodeId::from("api")
            && self.checks.last() == Some(check)
        {
            self.checks.pop();
            self.kept = outcome.broken == 0;
        }
        let let_through = self.state.node(&"web".into()).is_some_and(|web| web.let_through);
        for effect in self.state.step(event, self.now) {
            let answer = match effect {
                Effect::Verify { node, check } => {
                    assert!(self.checks.is_empty(), "two verifications of {node} at a time");
                    self.checks.push(check);
                    let outcome = if dice.roll(2) == 0 { kept(1) } else { broken() };
                    Event::Verified { node, check, outcome }
                }
                Effect::CancelCheck { check, .. } => {
                    self.checks.retain(|running| *running != check);
                    continue;
                }
                Effect::LetGo { node } => Event::LetGo { node },
                Effect::Build { node, build, .. } => Event::Built {
                    node,
                    build,
                    outcome: match dice.roll(4) {
                        0 => Err(Failure::new("no")),
                        artefact => Ok(Built {
                            artefact: Some(ContentHash(format!("x{artefact}"))),
                            ran: None,
                        }),
                    },
                },
                Effect::Start { node, run, .. } => {
                    assert!(
                        node == NodeId::from("api") || let_through || self.kept,
                        "started though the contracts of api are not kept"
                    );
                    self.runs.push((node.clone(), run));
                    Event::Started {
                        node,
                        run,
                        started: Started::default(),
                    }
                }
                Effect::Stop { node, run, .. } => Event::Exited {
                    node,
                    run,
                    exit: Exit::Code(0),
                },
                Effect::Remove { node, .. } => Event::Removed { node },
                _ => continue,
            };
            self.pending.push(answer);
        }
    }

    fn end(&mut self) {
        let mut dice = Dice(1);
        self.step(Event::Down(Down::default()), &mut dice);
        for _ in 0..500 {
            if self.pending.is_empty() {
                break;
            }
            let event = self.pending.remove(0);
            self.step(event, &mut dice);
        }
        assert!(self.state.is_quiet(), "something is left: {:?}", self.state);
        assert!(self.checks.is_empty(), "a verification goes on");
    }
}
