//! The Compose file that makes a copy of a project: laid over its own files, it gives what a machine has only once (published ports,
//! names of containers, volumes and networks) back to the copy, and adds the service that the command runs as.

use std::path::Path;

use devctl_compose::model::{Project, Service};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// The service that the command runs as: a process, started by nobody else.
pub(super) const SERVICE: &str = "devctl-test";

/// The file's text.
pub(super) fn text(project: &Project, copy: &str, in_place_of: Option<&str>, dir: &Path) -> String {
    let mut text = String::from("services:\n");
    for name in project.services.keys() {
        // A test is of the sources as they were when it began: nothing is watched.
        text += &format!(
            "  {}: {{ports: !reset [], container_name: !reset null, develop: !reset null}}\n",
            Value::from(name.as_str())
        );
    }
    text += &format!("  {SERVICE}: {}\n", service(project, in_place_of, dir));
    let volumes = project.volumes.iter().filter(|(_, volume)| !volume.external);
    text += &names("volumes", copy, volumes.map(|(key, _)| key));
    let networks = project.networks.iter().filter(|(_, network)| !network.external);
    text += &names("networks", copy, networks.map(|(key, _)| key));
    text
}

/// A volume that the file names would be the project's own.
fn names<'a>(section: &str, copy: &str, keys: impl Iterator<Item = &'a String>) -> String {
    let named = |key: &String| (key.clone(), json!({"name": format!("{copy}_{key}")}));
    let named: serde_json::Map<String, Value> = keys.map(named).collect();
    match named.is_empty() {
        true => String::new(),
        false => format!("{section}: {}\n", Value::Object(named)),
    }
}

fn service(project: &Project, in_place_of: Option<&str>, dir: &Path) -> Value {
    let of = in_place_of.and_then(|name| project.services.get(name));
    let mut environment = addresses(project);
    for (name, value) in of.into_iter().flat_map(|service| &service.environment) {
        environment.insert(name.clone(), value.clone().unwrap_or_default());
    }
    let environment: serde_json::Map<String, Value> = environment
        .into_iter()
        .map(|(name, value)| (name, Value::from(value.replace('$', "$$"))))
        .collect();
    let mut extension = json!({"native": {"command": ["true"], "dir": dir.display().to_string().replace('$', "$$")}});
    if let Some(service) = of {
        let contracts = service.x_devctl.contracts.as_ref();
        let consumer = contracts.and_then(|contracts| contracts.consumer.clone());
        // What answers from contracts answers it what it answers the service.
        extension["contracts"] = json!({"consumer": consumer.unwrap_or_else(|| service.name.clone())});
    }
    json!({
        "image": SERVICE,
        "profiles": [SERVICE],
        "environment": environment,
        "x-devctl": extension,
    })
}

/// Where each service is: `BILLING_ADDR` for its first port, `BILLING_9090_ADDR` for each. Edges take the addresses' places.
fn addresses(project: &Project) -> IndexMap<String, String> {
    let mut addresses = IndexMap::new();
    for service in project.services.values() {
        let upper = |char: char| match char.is_ascii_alphanumeric() {
            true => char.to_ascii_uppercase(),
            false => '_',
        };
        let name: String = service.name.chars().map(upper).collect();
        for port in ports(service) {
            let address = format!("{}:{port}", service.name);
            addresses
                .entry(format!("{name}_ADDR"))
                .or_insert_with(|| address.clone());
            addresses.insert(format!("{name}_{port}_ADDR"), address);
        }
    }
    addresses
}

/// The ports that others may call a service at.
fn ports(service: &Service) -> Vec<u16> {
    let mut ports: Vec<u16> = match &service.x_devctl.native {
        Some(native) if !native.ports.is_empty() => native.ports.keys().copied().collect(),
        _ => {
            let exposed = service
                .expose
                .iter()
                .filter_map(|port| port.split('/').next()?.parse().ok());
            let published = service
                .ports
                .iter()
                .filter(|port| port.protocol.as_deref() != Some("udp"));
            published.map(|port| port.target).chain(exposed).collect()
        }
    };
    let image = service.image.as_deref().unwrap_or_default();
    let image = image.rsplit('/').next().and_then(|name| name.split([':', '@']).next());
    match image {
        Some("postgres") => ports.push(5432),
        Some("rabbitmq") => ports.push(5672),
        _ => {}
    }
    let mut seen = std::collections::HashSet::new();
    ports.retain(|port| seen.insert(*port));
    ports
}

#[cfg(test)]
mod tests {
    use devctl_compose::{LoadOptions, MemoryFiles, load};

    use super::*;

    #[test]
    fn the_copy_has_nothing_that_the_project_has_only_once() {
        let text = "name: shop
services:
  api:
    image: api
    container_name: the-api
    ports: ['8080:8080', '9090:9090']
    environment: {KEY: a$$b, DATABASE_URL: 'postgres://u:p@db:5432/x'}
    develop: {watch: [{action: rebuild, path: .}]}
  db: {image: 'postgres:15', volumes: ['data:/var/lib/postgresql/data', 'own:/own']}
volumes:
  data: {name: shop-data}
  own: {external: true}
";
        let files = MemoryFiles::new().with("/shop/compose.yaml", text);
        let options = |files: &[&str], name: Option<&str>| LoadOptions {
            files: files.iter().map(Into::into).collect(),
            working_dir: "/shop".into(),
            project_name: name.map(str::to_owned),
            ..LoadOptions::default()
        };
        let project = load(&files, &options(&["compose.yaml"], None)).unwrap().project;
        let overlay = super::text(&project, "shop-test-1", Some("api"), Path::new("/here"));
        let files = files.with("/shop/copy.yaml", overlay);
        let mut options = options(&["compose.yaml", "copy.yaml"], Some("shop-test-1"));
        options.profiles = vec![SERVICE.to_owned()];
        let copy = load(&files, &options).unwrap().project;
        let api = &copy.services["api"];
        assert!(api.ports.is_empty() && api.container_name.is_none() && api.develop.is_none());
        assert_eq!(copy.volumes["data"].name.as_deref(), Some("shop-test-1_data"));
        assert_eq!(copy.volumes["own"].name.as_deref(), Some("own"));
        assert_eq!(copy.networks["default"].name.as_deref(), Some("shop-test-1_default"));
        let environment = &copy.services[SERVICE].environment;
        let of = |name: &str| environment[name].as_deref();
        assert_eq!(of("API_ADDR"), Some("api:8080"));
        assert_eq!(of("API_9090_ADDR"), Some("api:9090"));
        assert_eq!(of("DB_ADDR"), Some("db:5432"));
        assert_eq!(of("KEY"), Some("a$b"));
        assert_eq!(of("DATABASE_URL"), Some("postgres://u:p@db:5432/x"));
    }
}
