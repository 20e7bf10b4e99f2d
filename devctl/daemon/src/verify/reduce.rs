//! The part of a project that one provider is verified in: the provider, the servers that it needs, jobs that prepare these,
//! and a stand-in for every other service that it calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use devctl_compose::model::{Condition, Healthcheck, Project, Service, ServiceExtension};
use devctl_drivers::server::Server;

use crate::specify::{Addresses, references};

/// What a service is to a provider that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// PostgreSQL: each provider gets its own.
    Database,
    /// RabbitMQ: shared, with a virtual host for each provider.
    Broker,
    /// Any other server that is only an image: each provider gets its own.
    Server,
    /// A service of the system, or somebody else's: answered from contracts.
    Neighbour,
}

/// The role of `service`. `has_contracts`: some pact names it as a provider.
pub(super) fn role(service: &Service, has_contracts: bool) -> Role {
    let x = &service.x_devctl;
    let runs_code = x.native.as_ref().is_some_and(|native| native.command.is_some()) || service.build.is_some();
    if x.stub || runs_code || has_contracts {
        return Role::Neighbour;
    }
    match service.image.as_deref().and_then(Server::recognise) {
        Some(Server::Postgres { .. }) => Role::Database,
        Some(Server::RabbitMq { .. }) => Role::Broker,
        None => Role::Server,
    }
}

/// A provider's part, sorted by role.
#[derive(Debug, Clone, Default)]
pub(super) struct Needs {
    /// PostgreSQL services that the provider itself names, the first one named first.
    pub(super) databases: Vec<String>,
    pub(super) brokers: BTreeSet<String>,
    /// Databases, other servers and jobs: everything that is run beside the provider.
    pub(super) beside: BTreeSet<String>,
    pub(super) neighbours: BTreeSet<String>,
}

/// What `provider` needs, and what that needs.
pub(super) fn needs(project: &Project, provider: &str, has_contracts: &dyn Fn(&str) -> bool) -> Needs {
    let walk = Walk {
        project,
        addresses: &Addresses::new(project),
        has_contracts,
    };
    let mut needs = Needs::default();
    let Some(service) = project.services.get(provider) else {
        return needs;
    };
    for (name, condition) in walk.calls(service) {
        walk.add(&mut needs, provider, &name, condition);
    }
    let named: BTreeSet<String> = walk.calls(service).into_keys().collect();
    needs.databases = project
        .services
        .keys()
        .filter(|name| named.contains(*name) && walk.role(name) == Role::Database)
        .cloned()
        .collect();
    needs
}

struct Walk<'a> {
    project: &'a Project,
    addresses: &'a Addresses,
    has_contracts: &'a dyn Fn(&str) -> bool,
}

impl Walk<'_> {
    /// Whom a service depends on, or names.
    fn calls(&self, service: &Service) -> BTreeMap<String, Option<Condition>> {
        let in_container = service
            .x_devctl
            .native
            .as_ref()
            .is_none_or(|native| native.command.is_none());
        let named = references(self.addresses, service, in_container)
            .into_iter()
            .map(|(name, _)| (name, None));
        let mut calls: BTreeMap<String, Option<Condition>> = named.collect();
        let depends = service.depends_on.iter();
        calls.extend(depends.map(|(name, on)| (name.clone(), Some(on.condition))));
        calls.remove(&service.name);
        calls
    }

    fn role(&self, name: &str) -> Role {
        let service = self.project.services.get(name);
        service.map_or(Role::Neighbour, |service| role(service, (self.has_contracts)(name)))
    }

    fn add(&self, needs: &mut Needs, provider: &str, name: &str, condition: Option<Condition>) {
        let Some(service) = self.project.services.get(name) else {
            return;
        };
        if name == provider || needs.beside.contains(name) {
            return;
        }
        let is_job = condition == Some(Condition::CompletedSuccessfully);
        match self.role(name) {
            Role::Broker => drop(needs.brokers.insert(name.to_owned())),
            Role::Neighbour if is_job => {
                // A job that calls services would find stand-ins in their place: it prepares the system, not this provider.
                let calls = self.calls(service);
                if calls.keys().all(|called| self.role(called) != Role::Neighbour) {
                    needs.beside.insert(name.to_owned());
                    for (called, condition) in calls {
                        self.add(needs, provider, &called, condition);
                    }
                }
            }
            Role::Neighbour => drop(needs.neighbours.insert(name.to_owned())),
            Role::Database | Role::Server => {
                needs.beside.insert(name.to_owned());
                for (called, condition) in self.calls(service) {
                    self.add(needs, provider, &called, condition);
                }
            }
        }
    }
}

/// The project reduced to `provider` and its `needs`. `brokers`: where each broker is reached, by container port.
pub(super) fn reduce(
    project: &Project,
    provider: &str,
    needs: &Needs,
    brokers: &BTreeMap<String, BTreeMap<u16, SocketAddr>>,
) -> Project {
    let mut reduced = bare(project, provider);
    for (name, service) in &project.services {
        let mut service = alone(service);
        if name == provider {
            service.restart = Some("no".to_owned());
        } else if let Some(ports) = brokers.get(name).filter(|_| needs.brokers.contains(name)) {
            stand_in(&mut service);
            let addresses = ports.iter().map(|(port, at)| (*port, at.to_string()));
            service.x_devctl.external = addresses.collect();
        } else if needs.neighbours.contains(name) {
            stand_in(&mut service);
            service.x_devctl.stub = true;
        } else if !needs.beside.contains(name) {
            continue;
        }
        reduced.services.insert(name.clone(), service);
    }
    drop_dangling(&mut reduced);
    reduced
}

/// The project reduced to its brokers.
pub(super) fn brokers(project: &Project, names: &BTreeSet<String>, is_native: &dyn Fn(&String) -> bool) -> Project {
    let mut reduced = bare(project, "broker");
    for (name, service) in project.services.iter().filter(|(name, _)| names.contains(*name)) {
        let mut service = alone(service);
        if is_native(name)
            && let Some(image) = &service.image
        {
            service.image = Some(with_management(image));
        }
        reduced.services.insert(name.clone(), service);
    }
    drop_dangling(&mut reduced);
    reduced
}

/// Everything but the services; contracts are looked after by the verification itself. Containers, networks and volumes have
/// names of their own, external ones too: those of a running `devctl up`, or of others, are not touched.
fn bare(project: &Project, part: &str) -> Project {
    let name = format!("{}-verify-{part}", project.name);
    let mut bare = Project {
        services: Default::default(),
        disabled_services: Default::default(),
        jobs: Default::default(),
        disabled_jobs: Default::default(),
        ..project.clone()
    };
    bare.x_devctl.contracts = None;
    for (key, network) in &mut bare.networks {
        network.name = Some(format!("{name}_{key}"));
        network.external = false;
    }
    for (key, volume) in &mut bare.volumes {
        volume.name = Some(format!("{name}_{key}"));
        volume.external = false;
    }
    bare.name = name;
    bare
}

/// A service that publishes nothing and has no name of its own, once.
fn alone(service: &Service) -> Service {
    let mut alone = service.clone();
    let ports = alone.ports.drain(..).map(|port| port.target.to_string());
    let ports: Vec<String> = ports.collect();
    alone.expose.extend(ports);
    alone.container_name = None;
    alone.scale = None;
    alone.deploy = None;
    alone.develop = None;
    alone.x_devctl.depends_on.clear();
    alone
}

/// Keeps the name and the ports alone: whoever answers for it needs nothing.
fn stand_in(service: &mut Service) {
    let native = service.x_devctl.native.iter().flat_map(|native| native.ports.keys());
    let ports: Vec<String> = native.map(ToString::to_string).collect();
    service.expose.extend(ports);
    service.x_devctl = ServiceExtension::default();
    service.depends_on.clear();
    service.build = None;
    service.healthcheck = Some(Healthcheck {
        disable: true,
        ..Healthcheck::default()
    });
    service.restart = None;
}

fn drop_dangling(project: &mut Project) {
    let names: BTreeSet<String> = project.services.keys().cloned().collect();
    for service in project.services.values_mut() {
        service.depends_on.retain(|name, _| names.contains(name));
        service
            .links
            .retain(|link| names.contains(link.split(':').next().unwrap_or(link)));
        service.volumes_from.clear();
    }
}

/// `rabbitmq:3.10` -> `rabbitmq:3.10-management`: the same server, with the plugin that makes virtual hosts.
fn with_management(image: &str) -> String {
    match image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((_, tag)) if tag.contains("management") => image.to_owned(),
        Some((name, "latest")) => format!("{name}:management"),
        Some((name, tag)) => format!("{name}:{}-management", tag.split('-').next().unwrap_or(tag)),
        None => format!("{image}:management"),
    }
}

#[cfg(test)]
mod tests {
    use devctl_compose::{LoadOptions, MemoryFiles, load};

    use super::*;

    fn project(text: &str) -> Project {
        let files = MemoryFiles::new().with("/p/compose.yaml", text);
        let options = LoadOptions {
            working_dir: "/p".into(),
            ..LoadOptions::default()
        };
        load(&files, &options).unwrap().project
    }

    const SYSTEM: &str = r#"
services:
  api:
    image: api
    environment: {BILLING_URL: "http://billing:8080", DATABASE_URL: "postgres://a:a@db:5432/a", AMQP_URL: "amqp://u:p@rabbit:5672/v"}
    depends_on:
      migrate: {condition: service_completed_successfully}
      seed: {condition: service_completed_successfully}
      cache: {condition: service_started}
    ports: ["80:8080"]
    x-devctl: {native: {command: api, ports: {"8080": PORT}}}
  billing: {image: b, x-devctl: {native: {command: b, ports: {"8080": PORT}}}, depends_on: [other]}
  other: {image: o, build: .}
  db: {image: "postgres:15"}
  rabbit: {image: "rabbitmq:3.10"}
  cache: {image: "redis:7"}
  migrate: {image: m, environment: {DB_HOST: db}, x-devctl: {native: {command: m}}}
  seed: {image: s, environment: {API_URL: "http://billing:8080"}, x-devctl: {native: {command: s}}}
"#;

    #[test]
    fn servers_and_the_jobs_that_prepare_them_are_run_and_services_are_stood_in_for() {
        let project = project(SYSTEM);
        let needs = needs(&project, "api", &|_| false);
        assert_eq!(needs.databases, ["db"]);
        assert_eq!(needs.brokers.iter().collect::<Vec<_>>(), ["rabbit"]);
        assert_eq!(needs.beside.iter().collect::<Vec<_>>(), ["cache", "db", "migrate"]);
        assert_eq!(needs.neighbours.iter().collect::<Vec<_>>(), ["billing"]);

        let at: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let brokers = BTreeMap::from([("rabbit".to_owned(), BTreeMap::from([(5672, at)]))]);
        let reduced = reduce(&project, "api", &needs, &brokers);
        let names: Vec<&str> = reduced.services.keys().map(String::as_str).collect();
        assert_eq!(names, ["api", "billing", "db", "rabbit", "cache", "migrate"]);
        let api = &reduced.services["api"];
        assert!(api.ports.is_empty() && !api.depends_on.contains_key("seed"));
        assert!(reduced.services["billing"].x_devctl.stub);
        assert_eq!(reduced.services["rabbit"].x_devctl.external[&5672], "127.0.0.1:4000");
        assert_eq!(reduced.name, "p-verify-api");
        assert_eq!(
            reduced.networks["default"].name.as_deref(),
            Some("p-verify-api_default")
        );
    }

    #[test]
    fn an_image_that_contracts_name_is_a_neighbour() {
        let project = project(SYSTEM);
        let needs = needs(&project, "api", &|name| name == "cache");
        assert!(needs.neighbours.contains("cache"));
    }

    #[test]
    fn a_broker_gets_the_plugin_that_makes_virtual_hosts() {
        assert_eq!(with_management("rabbitmq:3.10"), "rabbitmq:3.10-management");
        assert_eq!(
            with_management("rabbitmq:3.10-management-alpine"),
            "rabbitmq:3.10-management-alpine"
        );
        assert_eq!(with_management("rabbitmq"), "rabbitmq:management");
        assert_eq!(with_management("reg:5000/rabbitmq"), "reg:5000/rabbitmq:management");
    }
}
