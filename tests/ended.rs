//! `up` in the foreground, where what was started ends by itself: the command ends as well, as under Docker Compose.

use crate::support::containers::project;

#[test]
fn what_prints_and_ends_is_printed_each_time_and_ends_up() {
    let Some(project) = project("services: {hello: {image: busybox:latest, command: echo hello world}}") else {
        return;
    };
    for _ in 0..2 {
        let said = project.ok(&["up"]);
        assert!(said.out.contains("hello world"), "{}{}", said.out, said.err);
        assert!(said.out.contains("all has ended"), "{}{}", said.out, said.err);
    }
}

#[test]
fn all_that_ends_badly_is_told_by_the_exit_status() {
    let compose = r#"
services:
  good: {image: busybox:latest, command: "true"}
  bad: {image: busybox:latest, command: sh -c 'sleep 1; exit 4'}
"#;
    let Some(project) = project(compose) else { return };
    let said = project.run(&["up"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("bad  exited with 4"), "{}{}", said.out, said.err);
}

/// A suite that waits for a job, as many projects have it for their CI.
const SUITE: &str = r#"
services:
  migrate: {image: busybox:latest, command: echo migrated}
  suite:
    image: busybox:latest
    command: sh -c 'echo tested; exit 3'
    depends_on: {migrate: {condition: service_completed_successfully}}
  side: {image: busybox:latest, command: sh -c 'echo noise; sleep 600', attach: false, stop_grace_period: 0s}
"#;

#[test]
fn a_suite_is_run_each_time_and_the_job_that_it_waits_for_ends_nothing() {
    let Some(project) = project(SUITE) else { return };
    for flags in [&["--exit-code-from", "suite"][..], &["--abort-on-container-exit"]] {
        for _ in 0..2 {
            let said = project.run(&[&["up"], flags].concat());
            assert_eq!(said.code, 3, "{flags:?}: {}{}", said.out, said.err);
            assert!(said.out.contains("tested"), "{flags:?}: {}{}", said.out, said.err);
            assert!(!said.out.contains("noise"), "`attach: false`: {}", said.out);
        }
    }
}

#[test]
fn a_job_that_is_named_runs_again() {
    let Some(project) = project(SUITE) else { return };
    project.ok(&["up", "-d", "--wait", "migrate"]);
    let said = project.ok(&["up", "migrate"]);
    assert!(said.out.contains("migrated"), "{}{}", said.out, said.err);
    let said = project.ok(&["up", "--exit-code-from", "migrate", "migrate"]);
    assert!(said.out.contains("migrated"), "{}{}", said.out, said.err);
}
