//! What goes wrong: what, why, and what to do; and the status.

use insta::assert_snapshot;

use crate::fake::{Script, Step};
use crate::sandbox::Sandbox;

#[test]
fn an_unknown_service_suggests_the_nearest() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["up", "-d", "aip"]), @r#"
    status: 2
    --- stderr
    error: project `shop` has no service `aip`
     help: did you mean `api`?
    "#);
    assert_snapshot!(sandbox.devctl(&["restart", "zookeeper"]), @r#"
    status: 2
    --- stderr
    error: project `shop` has no service `zookeeper`
     help: there are db, seed, api
    "#);
}

#[test]
fn no_compose_file() {
    let sandbox = Sandbox::shop();
    std::fs::remove_file(sandbox.dir().join("compose.yaml")).unwrap();
    assert_snapshot!(sandbox.devctl(&["ps"]), @r#"
    status: 2
    --- stderr
    error: there is no Compose file in `[DIR]` or above
    help: name one with `-f`, or write one of `compose.yaml`, `compose.yml`, `docker-compose.yml`, `docker-compose.yaml`
    "#);
    assert_snapshot!(sandbox.devctl(&["-f", "nope.yaml", "ps"]), @r#"
    status: 2
    --- stderr
    error: there is no file `[DIR]/nope.yaml`
    "#);
}

#[test]
fn a_broken_compose_file() {
    let sandbox = Sandbox::new("services:\n  api:\n    image: x\n    prots: ['80']\n");
    assert_snapshot!(sandbox.devctl(&["ps"]), @r#"
    status: 2
    --- stderr
    error: `services.api` has no attribute `prots`
     --> compose.yaml:4:5
      |
    4 |     prots: ['80']
      |     ^^^^^
    help: did you mean `ports`?
    "#);
}

#[test]
fn what_only_lists_does_not_mind_a_container_name_that_is_used_twice() {
    let sandbox =
        Sandbox::new("services:\n  a: {image: x, container_name: one}\n  b: {image: y, container_name: one}\n");
    assert_snapshot!(sandbox.devctl(&["config", "--services"]), @r#"
    status: 0
    --- stdout
    a
    b
    "#);
    assert_snapshot!(sandbox.devctl(&["config", "-q"]), @r#"
    status: 2
    --- stderr
    error: the container name `one` is that of `a` already
     --> compose.yaml:3:17
      |
    3 |   b: {image: y, container_name: one}
      |                 ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_daemon_of_another_version_is_left_alone() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        version: "9.9.9".into(),
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["up"]), @r#"
    status: 2
    --- stderr
    error: project `shop` is served by devctl 9.9.9, and this is devctl [VERSION]
     help: use devctl 9.9.9 for it, or end its daemon, and with it everything of the project that runs: `kill 4711`
    "#);
}

#[test]
fn a_refusal_of_the_daemon_keeps_its_help() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        up: vec![Step::Fail(
            tonic::Code::FailedPrecondition,
            "port 8080 is taken by `nginx` (pid 812)\nhelp: stop it, or publish another port",
        )],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["up", "-d"]), @r#"
    status: 2
    --- stderr
    error: port 8080 is taken by `nginx` (pid 812)
     help: stop it, or publish another port
    "#);
}

#[test]
fn a_daemon_that_dies_is_no_success() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        up: vec![Step::Fail(tonic::Code::Unavailable, "")],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["up", "-d"]), @r#"
    status: 2
    --- stderr
    error: the daemon went away while it was asked
     help: `daemon.log` below `.devctl` says why; the same command starts another
    "#);
}
