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

const LINKED: &str = r#"
services:
  db: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s, container_name: "${NAME}"}
  app: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s, links: ["db:base"]}
"#;

/// The names that Docker Compose gives, its `service-1` and `project-service-1` also where the file names the container otherwise.
#[test]
fn a_link_has_the_alias_and_the_names_of_the_container() {
    let Some(project) = project(LINKED) else { return };
    let named = format!("{}-own", project.name);
    project.project.write(".env", &format!("NAME={named}\n"));
    project.ok(&["up", "-d", "--wait"]);
    let links = project.inspect("app-1", "{{range .NetworkSettings.Networks}}{{json .Links}}{{end}}");
    let mut links: Vec<String> = serde_json::from_str(&links).expect("a list of links");
    links.sort();
    let expected = ["base", "db-1", &format!("{}-db-1", project.name)].map(|alias| format!("{named}:{alias}"));
    assert_eq!(links, expected);
    docker(&["exec", &format!("{}-app-1", project.name), "ping", "-c1", "base"]).expect("the link's name is known");
}
