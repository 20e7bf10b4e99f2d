//! What the steps of provider states are done with: the provider's own database, its broker, its neighbours' stand-ins.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use devctl_compose::model::{Project, Service};
use devctl_pact::ProviderState;
use devctl_pact::states::steps::{StepError, StubSteps};
use devctl_pact::stub::Stub;

use crate::live::Live;
use crate::start::POSTGRES_PORT;

/// How to connect to the provider's own database, as its server's superuser.
pub(super) fn database_url(server: &Live, database: &str) -> Option<String> {
    let at = server.ports.get(&POSTGRES_PORT)?;
    let set = |name: &str| variable(server, name);
    let user = set("POSTGRES_USER").unwrap_or_else(|| "postgres".to_owned());
    let mut config = format!(
        "host={} port={} user={} dbname={}",
        at.ip(),
        at.port(),
        quoted(&user),
        quoted(database)
    );
    if let Some(password) = set("POSTGRES_PASSWORD") {
        config.push_str(&format!(" password={}", quoted(&password)));
    }
    Some(config)
}

/// The database that `provider` uses at `server`: the one that a URL of its names, a variable that says so, the server's own.
pub(super) fn database_name(provider: &Service, server: &Service, named: &dyn Fn(&str) -> bool) -> String {
    let native = provider.x_devctl.native.iter().flat_map(|native| &native.env);
    let set = provider
        .environment
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let variables: Vec<(&String, &String)> = native.chain(set).collect();
    let of_url = variables.iter().find_map(|(_, value)| {
        let (_, rest) = value
            .split_once("://")
            .filter(|(scheme, _)| scheme.contains("postgres"))?;
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit('@').next()?.split(':').next()?;
        let name = path.split(['?', '#']).next()?;
        (named(host) && !name.is_empty()).then(|| name.to_owned())
    });
    const NAMES: [&str; 6] = [
        "PGDATABASE",
        "POSTGRES_DB",
        "DB_NAME",
        "DATABASE_NAME",
        "DB_DATABASE",
        "POSTGRES_DATABASE",
    ];
    let of_variable = || {
        let is_name = |key: &str| {
            NAMES
                .iter()
                .any(|name| key == *name || key.ends_with(&format!("_{name}")))
        };
        variables
            .iter()
            .find(|(key, _)| is_name(key))
            .map(|(_, value)| (*value).clone())
    };
    let of_server = |name: &str| {
        server
            .environment
            .get(name)
            .cloned()
            .flatten()
            .filter(|value| !value.is_empty())
    };
    of_url
        .or_else(of_variable)
        .or_else(|| of_server("POSTGRES_DB"))
        .or_else(|| of_server("POSTGRES_USER"))
        .unwrap_or_else(|| "postgres".to_owned())
}

/// A variable of a server, or the content of the file that `NAME_FILE` names.
fn variable(server: &Live, name: &str) -> Option<String> {
    let environment = &server.spec.environment;
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    set(name).or_else(|| {
        let text = std::fs::read_to_string(set(&format!("{name}_FILE"))?).ok()?;
        Some(text.trim_end_matches('\n').to_owned())
    })
}

/// A value of a connection string (libpq's form).
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The neighbours' stand-ins, by every name that a state may call them.
pub(super) struct Neighbours {
    stubs: BTreeMap<String, Arc<Stub>>,
}

impl Neighbours {
    pub(super) fn new(stubs: BTreeMap<String, Arc<Stub>>) -> Self {
        Self { stubs }
    }

    /// The names that a service has in steps: its own and its pacticipant's.
    pub(super) fn names(project: &Project, service: &str) -> Vec<String> {
        let pacticipant = crate::prepare::pacticipant(project, service, true);
        let mut names = vec![service.to_owned(), pacticipant];
        names.dedup();
        names
    }
}

#[async_trait]
impl StubSteps for Neighbours {
    async fn set(&self, states: BTreeMap<String, Vec<ProviderState>>) -> Result<(), StepError> {
        for (name, wanted) in &states {
            let Some(stub) = self.stubs.get(name) else {
                let known: Vec<&str> = self.stubs.keys().map(String::as_str).collect();
                return Err(StepError::Other(format!(
                    "find `{name}` among the neighbours: {}",
                    if known.is_empty() {
                        "there is none".to_owned()
                    } else {
                        format!("there is {}", known.join(", "))
                    }
                )));
            };
            let known = stub.known_states();
            if let Some(state) = wanted.iter().find(|state| !known.contains(&state.name.as_str())) {
                return Err(StepError::Other(format!(
                    "put `{name}` into the state `{}`: no contract with it knows that; known: {}",
                    state.name,
                    known.join(", ")
                )));
            }
        }
        for (name, stub) in &self.stubs {
            // One stub may be known by two names: the one that a step uses decides.
            match states.get(name) {
                Some(wanted) => stub.set_states(wanted.clone()),
                None if !self
                    .stubs
                    .iter()
                    .any(|(other, one)| Arc::ptr_eq(one, stub) && states.contains_key(other)) =>
                {
                    stub.set_states(Vec::new());
                }
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use devctl_compose::{LoadOptions, MemoryFiles, load};

    use super::*;

    #[test]
    fn the_database_is_the_one_that_the_provider_is_told() {
        let text = r#"
services:
  a: {image: a, environment: {DATABASE_URL: "postgres://u:p@db:5432/orders?sslmode=disable"}}
  b: {image: b, environment: {DB_HOST: db, DB_NAME: stock}}
  c: {image: c, environment: {DB_HOST: db}}
  db: {image: "postgres:15", environment: {POSTGRES_USER: boss}}
"#;
        let files = MemoryFiles::new().with("/p/compose.yaml", text);
        let options = LoadOptions {
            working_dir: "/p".into(),
            ..LoadOptions::default()
        };
        let project = load(&files, &options).unwrap().project;
        let name = |service: &str| {
            database_name(&project.services[service], &project.services["db"], &|host| {
                host == "db"
            })
        };
        assert_eq!(["a", "b", "c"].map(name), ["orders", "stock", "boss"]);
    }
}
