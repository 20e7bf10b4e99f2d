//! What a container is not given though the file says it: told by `up` and by `doctor`, never passed over in silence.

use devctl_compose::model::{FileObject, FileReference, Project, Service};
use devctl_drivers::docker::EngineFacts;
use indexmap::IndexMap;

/// Each line names the attribute and what is done in its place.
pub(crate) fn unhonoured(project: &Project, service: &Service, facts: &EngineFacts) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |present: bool, text: &str| {
        if present {
            lines.push(text.to_owned());
        }
    };
    let old = |wanted: &str| is_older(&facts.api_version, wanted);
    line(
        service.isolation.is_some(),
        "`isolation` is for Windows containers, and is left out",
    );
    line(
        service.credential_spec.is_some(),
        "`credential_spec` is for Windows containers, and is left out",
    );
    line(
        service.cpu_count != 0,
        "`cpu_count` is for Windows containers, and is left out",
    );
    line(
        service.cpu_percent != 0.0,
        "`cpu_percent` is for Windows containers, and is left out",
    );
    line(
        service.use_api_socket,
        "`use_api_socket` is left out: mount the engine's socket in `volumes`",
    );
    line(
        !service.models.is_empty(),
        "`models` are not run: set the variables that name them yourself",
    );
    line(
        !service.pre_start.is_empty(),
        "`pre_start` is left out: write a service and `depends_on: {condition: service_completed_successfully}`",
    );
    let mac = service.mac_address.is_some()
        || service
            .networks
            .values()
            .flatten()
            .any(|network| network.mac_address.is_some());
    line(
        mac && old("1.44"),
        "`mac_address` needs Docker 25 or newer, and is left out",
    );
    line(
        !service.annotations.is_empty() && old("1.43"),
        "`annotations` need Docker 24 or newer, and are left out",
    );
    let networks = || service.networks.values().flatten();
    line(
        networks().any(|network| network.gw_priority != 0) && old("1.48"),
        "`gw_priority` needs Docker 28 or newer, and is left out",
    );
    line(
        networks().any(|network| network.interface_name.is_some()),
        "`interface_name` is left out: the engine names interfaces itself",
    );
    let subpath = service
        .volumes
        .iter()
        .any(|mount| mount.volume.as_ref().is_some_and(|volume| volume.subpath.is_some()));
    line(
        subpath && old("1.45"),
        "a volume's `subpath` needs Docker 26 or newer: all of the volume is mounted",
    );
    let start_interval = service
        .healthcheck
        .as_ref()
        .is_some_and(|check| check.start_interval.is_some());
    line(
        start_interval && old("1.44"),
        "`healthcheck.start_interval` is not told to this engine; devctl's own tests come sooner anyway",
    );
    let keeps = |references: &[FileReference], objects: &IndexMap<String, FileObject>| {
        references.iter().any(|written| {
            let object = written.source.as_ref().and_then(|key| objects.get(key));
            let owned = written.uid.is_some() || written.gid.is_some() || written.mode.is_some();
            owned && object.is_some_and(|object| object.file.is_some())
        })
    };
    line(
        !facts.remote && keeps(&service.configs, &project.configs),
        "`configs.uid`, `gid` and `mode` are left out: a file of this machine is mounted as it is",
    );
    line(
        !facts.remote && keeps(&service.secrets, &project.secrets),
        "`secrets.uid`, `gid` and `mode` are left out: a file of this machine is mounted as it is",
    );
    if let Some(build) = &service.build {
        line(
            !build.cache_to.is_empty(),
            "`build.cache_to` is left out: the engine keeps its own cache",
        );
        line(
            build.isolation.is_some(),
            "`build.isolation` is for Windows containers, and is left out",
        );
        line(
            build.provenance.is_some() || build.sbom.is_some(),
            "`build.provenance` and `build.sbom` are left out: attestations need buildx",
        );
        line(
            build.platforms.len() > 1,
            "of `build.platforms` one is built, the service's own or the first: an image for more needs buildx",
        );
    }
    if let Some(deploy) = &service.deploy {
        line(
            deploy.placement != Default::default(),
            "`deploy.placement` is for swarms: there is one machine here",
        );
        line(deploy.endpoint_mode.is_some(), "`deploy.endpoint_mode` is for swarms");
        line(
            deploy.update_config.is_some() || deploy.rollback_config.is_some(),
            "`deploy.update_config` is for swarms: `x-devctl.swap` says how a run is replaced",
        );
        line(
            deploy.mode.as_deref().is_some_and(|mode| mode != "replicated"),
            "`deploy.mode` is for swarms: `scale` says how many run",
        );
    }
    lines
}

fn is_older(there: &str, wanted: &str) -> bool {
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    number(there) < number(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_old_engine_cannot_do_is_told_and_what_a_new_one_can_is_not() {
        let service = Service {
            mac_address: Some("02:42:ac:11:00:02".to_owned()),
            isolation: Some("hyperv".to_owned()),
            ..Service::default()
        };
        let facts = |version: &str| EngineFacts {
            api_version: version.to_owned(),
            ..EngineFacts::default()
        };
        assert_eq!(unhonoured(&Project::default(), &service, &facts("1.41")).len(), 2);
        assert_eq!(unhonoured(&Project::default(), &service, &facts("1.51")).len(), 1);
        let reference = |key: &str| FileReference {
            source: Some(key.to_owned()),
            uid: Some("103".to_owned()),
            ..FileReference::default()
        };
        let (mut project, mut service) = (Project::default(), Service::default());
        let object = |file: Option<&str>| FileObject {
            file: file.map(str::to_owned),
            ..FileObject::default()
        };
        project.configs.insert("mounted".to_owned(), object(Some("a.txt")));
        project.configs.insert("put-in".to_owned(), object(None));
        service.configs = vec![reference("put-in")];
        assert!(unhonoured(&project, &service, &facts("1.41")).is_empty());
        service.configs = vec![reference("mounted")];
        assert_eq!(unhonoured(&project, &service, &facts("1.41")).len(), 1);
        assert!(unhonoured(&Project::default(), &Service::default(), &facts("1.41")).is_empty());
    }
}
