//! Containers that live in others' namespaces: a sidecar's network, a neighbour's processes.

use crate::support::containers::{docker, project};

const SIDECAR: &str = r#"
services:
  vpn: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s, environment: {V: "${V:-1}"}}
  app: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s, network_mode: "service:vpn"}
  watcher: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s, pid: "service:vpn"}
"#;

#[test]
fn whoever_lives_in_a_container_that_is_replaced_moves_into_its_successor() {
    let Some(project) = project(SIDECAR) else { return };
    project.ok(&["up", "-d"]);
    let id = |container: &str| project.inspect(container, "{{.Id}}").trim().to_owned();
    let (vpn, app) = (id("vpn-1"), id("app-1"));
    project.ok(&["up", "-d"]);
    assert_eq!(id("app-1"), app, "nothing has changed");
    project.project.write(".env", "V=2\n");
    let said = project.ok(&["up", "-d", "--wait"]);
    assert_ne!(id("vpn-1"), vpn, "{}{}", said.out, said.err);
    for (container, space) in [("app-1", "NetworkMode"), ("watcher-1", "PidMode")] {
        let shared = project.inspect(
            container,
            &format!("{{{{.HostConfig.{space}}}}} {{{{.State.Running}}}}"),
        );
        assert_eq!(
            shared.trim(),
            format!("container:{} true", id("vpn-1")),
            "{}{}",
            said.out,
            said.err
        );
    }
    let addresses = docker(&["exec", &format!("{}-app-1", project.name), "ip", "-o", "addr"]).unwrap_or_default();
    assert!(addresses.contains("eth0"), "{addresses}");
}
