//! What a terminal of fixed size shows in the course of an `up`.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use devctl_wire::v1::{Hold, LogLine, NodeStatus, Notice, Outcome, Result as Ended};

/// A terminal in memory, with what the line discipline does to newlines.
#[derive(Clone)]
struct Screen(Rc<RefCell<vt100::Parser>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                self.0.borrow_mut().process(b"\r");
            }
            self.0.borrow_mut().process(&[*byte]);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fixture {
    screen: Screen,
    tty: Tty,
}

impl Fixture {
    fn new(height: u16, width: u16) -> Self {
        let screen = Screen(Rc::new(RefCell::new(vt100::Parser::new(height, width, 100))));
        let size = Size {
            width: width.into(),
            height: height.into(),
        };
        let tty = Tty::sized(
            Box::new(screen.clone()),
            Style::new(true),
            Show::default(),
            Box::new(move || size),
        );
        Self { screen, tty }
    }

    fn see(&mut self, now: i64, what: impl IntoIterator<Item = What>) -> String {
        for what in what {
            self.tty.update(&Update { what: Some(what) }, now).unwrap();
        }
        self.tty.tick(now).unwrap();
        self.contents()
    }

    fn contents(&self) -> String {
        self.screen.0.borrow().screen().contents()
    }
}

fn node(id: &str, state: State) -> What {
    What::Node(NodeStatus {
        id: id.into(),
        state: state.into(),
        started_unix_ms: (state != State::Waiting).then_some(0),
        ready_unix_ms: (state == State::Ready).then_some(700),
        ..Default::default()
    })
}

fn waiting(id: &str, on: &str) -> What {
    What::Node(NodeStatus {
        id: id.into(),
        state: State::Waiting.into(),
        holds: vec![Hold {
            kind: "dependency".into(),
            on: on.into(),
            text: String::new(),
            condition: String::new(),
        }],
        ..Default::default()
    })
}

fn log(node: &str, line: &str) -> What {
    What::Log(LogLine {
        node: node.into(),
        line: line.into(),
        ..Default::default()
    })
}

#[test]
fn from_the_first_start_to_logs_alone() {
    let mut fixture = Fixture::new(8, 50);
    let first = fixture.see(
        0,
        [node("billing-db", State::Starting), waiting("billing", "billing-db")],
    );
    assert_eq!(
        first,
        "⠋ billing-db  starting 0.0 s\n◌ billing     waiting for billing-db"
    );
    let second = fixture.see(
        700,
        [
            log("billing-db", "database system is ready"),
            node("billing-db", State::Ready),
            node("billing", State::Starting),
        ],
    );
    assert_eq!(
        second,
        "billing-db | database system is ready\n✓ billing-db  ready in 0.7 s\n⠧ billing     starting 0.7 s"
    );
    let outcome = Outcome {
        result: Ended::Ready.into(),
        seconds: 1.0,
        ready: 2,
        ..Default::default()
    };
    let third = fixture.see(1000, [node("billing", State::Ready), What::Outcome(outcome)]);
    assert_eq!(third, "billing-db | database system is ready\nready in 1.0 s · 2 ready");
    let fourth = fixture.see(2000, [log("billing", "hello")]);
    assert!(
        fourth.ends_with("ready in 1.0 s · 2 ready\nbilling    | hello"),
        "{fourth}"
    );
}

#[test]
fn going_down_has_lines_again() {
    let mut fixture = Fixture::new(8, 50);
    fixture.see(0, [node("billing", State::Ready)]);
    fixture.tty.remark("stopping; Ctrl-C again kills", 100).unwrap();
    let seen = fixture.see(200, [node("billing", State::Stopping)]);
    assert!(
        seen.contains("billing  stopping 0.0 s\nstopping; Ctrl-C again kills"),
        "{seen}"
    );
    let last = fixture.see(300, [node("api", State::Stopping), node("billing", State::Down)]);
    assert!(last.contains("· billing  stopped\n"), "{last}");
}

#[test]
fn fifty_nodes_never_scroll_the_terminal_away() {
    let mut fixture = Fixture::new(10, 40);
    let nodes = (0..50).map(|n| {
        if n < 20 {
            node(&format!("n{n}"), State::Starting)
        } else {
            waiting(&format!("n{n}"), "n0")
        }
    });
    let seen = fixture.see(0, nodes);
    assert_eq!(seen.lines().count(), 6, "{seen}");
    let again = fixture.see(100, [log("n0", "one line")]);
    assert_eq!(
        again.lines().filter(|line| line.contains("one line")).count(),
        1,
        "{again}"
    );
    assert_eq!(
        again.lines().filter(|line| line.contains("waiting")).count(),
        1,
        "{again}"
    );
}

#[test]
fn notices_of_weight_are_kept_and_others_are_the_lines_own() {
    let mut fixture = Fixture::new(8, 60);
    let notice = |level: Level, text: &str| {
        What::Notice(Notice {
            level: level.into(),
            node: "api".into(),
            text: text.into(),
            ..Default::default()
        })
    };
    let seen = fixture.see(
        0,
        [
            notice(Level::Info, "starting"),
            notice(Level::Warning, "port 80 is taken"),
        ],
    );
    assert_eq!(seen, "warning: api  port 80 is taken");
}

#[test]
fn a_reload_is_told_though_the_lines_are_gone() {
    let mut fixture = Fixture::new(8, 60);
    let notice = |kind: &str, text: &str| {
        What::Notice(Notice {
            level: Level::Info.into(),
            node: "api".into(),
            kind: kind.into(),
            text: text.into(),
            ..Default::default()
        })
    };
    let seen = fixture.see(
        0,
        [
            node("api", State::Ready),
            notice("starting", "starting: main.rs changed"),
            notice("ready", "ready after 20 ms"),
            notice("replaced", "reloaded in 0.9 s: main.rs changed"),
            notice("verified", "contracts: 3 kept"),
        ],
    );
    assert_eq!(seen, "api  reloaded in 0.9 s: main.rs changed\napi  contracts: 3 kept");
}
