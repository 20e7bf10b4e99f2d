//! A project as Compose prints it, and the hash by which Compose knows that a service changed.

use sha2::{Digest, Sha256};

use crate::codec::{Document, Encode, Format, tree_entries};
use crate::model::{FileObject, Network, Project, Service, Volume};

impl Project {
    /// As `docker compose config --format json` prints it, without the doubling of `$`.
    pub fn to_json(&self) -> serde_json::Value {
        self.document(Format::Json).to_json_value()
    }

    /// As [`to_json`](Self::to_json), in Compose's own layout. Every `$` is doubled, so that the text can be loaded again.
    ///
    /// # Errors
    /// Where Docker Compose prints no JSON either: for a build with an SSH key that has a path.
    pub fn to_json_text(&self) -> Result<String, Unprintable> {
        let builds = self.services.values().map(|service| (&service.name, &service.build));
        let builds = builds.chain(self.jobs.values().map(|job| (&job.name, &job.build)));
        for (name, build) in builds {
            let keys = build.iter().flat_map(|build| &build.ssh.0);
            if keys
                .filter_map(|(_, path)| path.as_deref())
                .any(|path| !path.is_empty())
            {
                return Err(Unprintable { service: name.clone() });
            }
        }
        Ok(self.document(Format::Json).to_json_pretty().replace('$', "$$"))
    }

    /// As `docker compose config` prints it. Every `$` is doubled, so that the text can be loaded again.
    pub fn to_yaml(&self) -> String {
        self.document(Format::Yaml).to_yaml().replace('$', "$$")
    }

    fn document(&self, format: Format) -> Document {
        let mut entries: Vec<(std::borrow::Cow<'static, str>, Document)> =
            vec![("name".into(), self.name.encode(format))];
        let mut section = |key: &'static str, value: &dyn Section, always: bool| {
            if always || !value.is_empty() {
                entries.push((key.into(), value.write(format)));
            }
        };
        section("services", &self.services, true);
        section("jobs", &NamedJobs(&self.jobs), false);
        section("networks", &self.networks, false);
        section("volumes", &self.volumes, false);
        // What came from a variable is never printed.
        section("secrets", &without_content(&self.secrets, |_| true), false);
        section(
            "configs",
            &without_content(&self.configs, |config| config.environment.is_some()),
            false,
        );
        if format == Format::Yaml {
            section("models", &self.models, false);
        }
        let extensions = tree_entries(&self.extensions);
        match format {
            Format::Json => {
                entries.extend(extensions);
                Document::Map(entries).sorted(format)
            }
            Format::Yaml => {
                entries.extend(extensions);
                Document::Map(entries)
            }
        }
    }
}

/// A project that Docker Compose cannot print as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprintable {
    /// The service or job whose build has an SSH key with a path.
    pub service: String,
}

impl std::fmt::Display for Unprintable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let service = &self.service;
        write!(
            out,
            "`build.ssh` of `{service}` has a key with a path, which has no form in JSON; YAML has one"
        )
    }
}

impl std::error::Error for Unprintable {}

trait Section {
    fn is_empty(&self) -> bool;
    fn write(&self, format: Format) -> Document;
}

impl<T: Encode> Section for indexmap::IndexMap<String, T> {
    fn is_empty(&self) -> bool {
        indexmap::IndexMap::is_empty(self)
    }

    fn write(&self, format: Format) -> Document {
        self.encode(format)
    }
}

fn without_content(
    objects: &indexmap::IndexMap<String, FileObject>,
    hide: fn(&FileObject) -> bool,
) -> indexmap::IndexMap<String, FileObject> {
    let mut objects = objects.clone();
    objects
        .values_mut()
        .filter(|object| hide(object))
        .for_each(|object| object.content = None);
    objects
}

/// Jobs, which have their name among their attributes in YAML.
struct NamedJobs<'j>(&'j indexmap::IndexMap<String, crate::model::Job>);

impl Section for NamedJobs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn write(&self, format: Format) -> Document {
        let Document::Map(mut jobs) = self.0.encode(format) else {
            return Document::Null;
        };
        for (name, job) in jobs.iter_mut().filter(|_| format == Format::Yaml) {
            if let Document::Map(attributes) = job {
                attributes.insert(0, ("name".into(), Document::Text(name.clone().into_owned())));
            }
        }
        Document::Map(jobs)
    }
}

impl Service {
    /// As it stands in [`Project::to_json`].
    pub fn to_json(&self) -> serde_json::Value {
        self.encode(Format::Json).to_json_value()
    }

    /// The hash that `docker compose config --hash` prints: of everything but build, scale, dependencies and profiles.
    pub fn hash(&self) -> String {
        let mut service = self.clone();
        service.build = None;
        service.pull_policy = None;
        service.scale = None;
        if let Some(deploy) = &mut service.deploy {
            deploy.replicas = None;
        }
        service.depends_on.clear();
        service.profiles.clear();
        hash_in_order(service.encode(Format::Json), HASH_ORDER)
    }
}

impl Network {
    /// The hash that Docker Compose labels the network with.
    pub fn hash(&self) -> String {
        const ORDER: &[&str] = &[
            "name",
            "driver",
            "driver_opts",
            "ipam",
            "external",
            "internal",
            "attachable",
            "labels",
            "enable_ipv4",
            "enable_ipv6",
        ];
        hash_in_order(self.encode(Format::Json), ORDER)
    }
}

impl Volume {
    /// The hash that Docker Compose labels the volume with.
    pub fn hash(&self) -> String {
        let mut volume = self.clone();
        volume.driver.get_or_insert_with(|| "local".to_owned());
        hash_in_order(
            volume.encode(Format::Json),
            &["name", "driver", "driver_opts", "external", "labels"],
        )
    }
}

fn hash_in_order(document: Document, order: &[&str]) -> String {
    let Document::Map(mut entries) = document else {
        return String::new();
    };
    entries.sort_by(|a, b| {
        let rank = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
        rank(&a.0).cmp(&rank(&b.0)).then_with(|| a.0.cmp(&b.0))
    });
    let digest = Sha256::digest(Document::Map(entries).to_json_compact());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The order in which Compose hashes the attributes: that of an earlier version's types, so that hashes stay what they were.
const HASH_ORDER: &[&str] = &[
    "profiles",
    "annotations",
    "attach",
    "build",
    "develop",
    "blkio_config",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "cgroup",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpus",
    "cpuset",
    "cpu_shares",
    "command",
    "configs",
    "container_name",
    "credential_spec",
    "depends_on",
    "deploy",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "dockerfile",
    "domainname",
    "entrypoint",
    "provider",
    "environment",
    "env_file",
    "expose",
    "extends",
    "external_links",
    "extra_hosts",
    "group_add",
    "gpus",
    "hostname",
    "healthcheck",
    "image",
    "init",
    "ipc",
    "isolation",
    "labels",
    "label_file",
    "links",
    "logging",
    "log_driver",
    "log_opt",
    "mem_limit",
    "mem_reservation",
    "memswap_limit",
    "mem_swappiness",
    "mac_address",
    "models",
    "net",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "privileged",
    "pull_policy",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "use_api_socket",
    "user",
    "userns_mode",
    "uts",
    "volume_driver",
    "volumes",
    "volumes_from",
    "working_dir",
    "pre_start",
    "post_start",
    "pre_stop",
    "pull_refresh_after",
];

impl Project {
    /// Every image that is needed, by service: its own, or the one that its build gives.
    pub fn images(&self) -> Vec<String> {
        let mut images = Vec::new();
        for service in self.services.values() {
            images.push(
                service
                    .image
                    .clone()
                    .unwrap_or_else(|| format!("{}-{}", self.name, service.name)),
            );
            images.extend(service.pre_start.iter().filter_map(|hook| hook.image.clone()));
            let mounts = service
                .volumes
                .iter()
                .filter(|mount| mount.kind == crate::model::MountKind::Image);
            images.extend(mounts.filter_map(|mount| mount.source.clone()));
        }
        images
    }
}

#[cfg(test)]
mod hash_tests {
    use super::*;

    #[test]
    fn networks_and_volumes_are_hashed_as_docker_compose_5_labels_them() {
        let network = Network {
            name: Some("dklab_default".to_owned()),
            ..Network::default()
        };
        assert_eq!(
            network.hash(),
            "b55cc22f8f038b9f0b5d7d2d60161d3bfd9ad74e567287f38ca7f2210e137628"
        );
        let volume = Volume {
            name: Some("dklab_data".to_owned()),
            ..Volume::default()
        };
        assert_eq!(
            volume.hash(),
            "3147ba0da80c4003f37f508253518402e0bd7bac5c92c119e3d4ed39fbd856b0"
        );
    }
}
