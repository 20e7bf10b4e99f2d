//! `down`, `start`, `stop`, `restart`, `kill`: what they ask for, and how they end.

use devctl_wire::v1::{Level, Result as Ended, State, Verb};
use insta::assert_snapshot;

use crate::fake::{Asked, Script};
use crate::sandbox::Sandbox;
use crate::stories::{ended, failed, is, notice};

#[test]
fn down_without_a_daemon_is_done_already() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["down"]), @r#"
    status: 0
    --- stderr
    project `shop` is not up: nothing to take down
    "#);
}

#[test]
fn down_tells_what_stops() {
    let sandbox = Sandbox::shop();
    let daemon = sandbox.daemon(Script {
        down: vec![
            is("api", State::Stopping),
            notice("api", Level::Info, "stopped", "stopped after 0.2 s"),
            ended(Ended::Stopped),
        ],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["down", "-v", "-t", "3"]), @r#"
    status: 0
    --- stdout
    stopped in 1.5 s
    --- stderr
    api  stopped after 0.2 s
    "#);
    let Asked::Down(down) = daemon.asked().remove(0) else {
        panic!("{:?}", daemon.asked())
    };
    assert!(down.volumes);
    assert_eq!(down.timeout_s, Some(3));
}

#[test]
fn rm_tells_what_it_has_removed() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        status: crate::stories::status(),
        down: vec![
            notice("api", Level::Info, "removed", "removed"),
            notice("db", Level::Info, "removed", "removed"),
            ended(Ended::Removed),
        ],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["rm", "--stop", "--force"]), @r#"
    status: 0
    --- stdout
    removed api, db in 1.5 s
    --- stderr
    api  removed
    db  removed
    "#);
}

#[test]
fn each_verb_asks_for_itself() {
    let cases: [(&[&str], Verb); 4] = [
        (&["start", "--wait", "api"], Verb::Start),
        (&["stop", "-t", "5", "api"], Verb::Stop),
        (&["restart", "--no-deps", "api"], Verb::Restart),
        (&["kill", "-s", "hup", "api"], Verb::Kill),
    ];
    for (args, verb) in cases {
        let sandbox = Sandbox::shop();
        let daemon = sandbox.daemon(Script {
            act: vec![ended(Ended::Ready)],
            ..Default::default()
        });
        let shown = sandbox.devctl(args);
        assert!(shown.starts_with("status: 0\n"), "{args:?}: {shown}");
        let Asked::Act(act) = daemon.asked().remove(0) else {
            panic!("{:?}", daemon.asked())
        };
        assert_eq!((act.verb(), act.services.as_slice()), (verb, &["api".to_owned()][..]));
        match verb {
            Verb::Kill => assert_eq!(act.signal, "SIGHUP"),
            Verb::Stop => assert_eq!(act.timeout_s, Some(5)),
            Verb::Restart => assert!(act.no_deps),
            _ => assert!(act.wait),
        }
    }
}

#[test]
fn a_verb_that_fails_ends_with_one() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        act: vec![failed()],
        ..Default::default()
    });
    assert!(sandbox.devctl(&["restart", "api"]).starts_with("status: 1\n"));
}

#[test]
fn a_verb_on_a_project_that_is_not_up_says_what_to_do() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["stop"]), @r#"
    status: 2
    --- stderr
    error: project `shop` is not up
     help: `devctl up` starts it
    "#);
}
