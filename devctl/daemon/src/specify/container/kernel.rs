//! What a container shares with its host, and what it may do: namespaces, capabilities, kernel parameters, logging.

use std::collections::HashMap;

use devctl_compose::model::{Project, Service};
use devctl_drivers::docker::api;

/// Puts a service's isolation in.
pub(super) fn isolate(project: &Project, service: &Service, host: &mut api::HostConfig) {
    let list = |written: &[String]| (!written.is_empty()).then(|| written.to_vec());
    let map = |written: &indexmap::IndexMap<String, String>| -> Option<HashMap<String, String>> {
        (!written.is_empty()).then(|| written.clone().into_iter().collect())
    };
    host.privileged = service.privileged.then_some(true);
    host.cap_add = capabilities(&service.cap_add);
    host.cap_drop = capabilities(&service.cap_drop);
    host.group_add = list(&service.group_add);
    host.readonly_rootfs = service.read_only.then_some(true);
    host.init = service.init;
    host.runtime.clone_from(&service.runtime);
    host.sysctls = map(&service.sysctls);
    host.storage_opt = map(&service.storage_opt);
    host.annotations = map(&service.annotations);
    host.cgroupns_mode = match service.cgroup.as_deref() {
        Some("host") => Some(api::HostConfigCgroupnsModeEnum::HOST),
        Some("private") => Some(api::HostConfigCgroupnsModeEnum::PRIVATE),
        _ => None,
    };
    let namespace = |written: &Option<String>| written.as_ref().map(|mode| super::networks::namespace(project, mode));
    host.ipc_mode = namespace(&service.ipc);
    host.pid_mode = namespace(&service.pid);
    host.uts_mode.clone_from(&service.uts);
    host.userns_mode.clone_from(&service.userns_mode);
    security(project, service, host);
    let driver = service.logging.as_ref().and_then(|logging| logging.driver.clone());
    let options = service.logging.as_ref().map(|logging| &logging.options);
    let driver = driver.or_else(|| service.log_driver.clone());
    let options = options
        .filter(|options| !options.is_empty())
        .unwrap_or(&service.log_opt);
    if driver.is_some() || !options.is_empty() {
        host.log_config = Some(api::HostConfigLogConfig {
            typ: driver,
            config: map(options),
        });
    }
}

/// Under the kernel's own names, as Docker Compose hands them on.
fn capabilities(written: &[String]) -> Option<Vec<String>> {
    let name = |written: &String| match written.to_uppercase() {
        name if name == "ALL" || name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    (!written.is_empty()).then(|| written.iter().map(name).collect())
}

/// As `docker run --security-opt`: a seccomp profile is a file here, and its content there.
fn security(project: &Project, service: &Service, host: &mut api::HostConfig) {
    let mut options = Vec::new();
    for written in &service.security_opt {
        let (key, value) = written.split_once(['=', ':']).unwrap_or((written, ""));
        match (key, value) {
            ("systempaths", "unconfined") => {
                host.masked_paths = Some(Vec::new());
                host.readonly_paths = Some(Vec::new());
            }
            ("seccomp", value) if value != "unconfined" && value != "builtin" => {
                let path = project.working_dir.join(value);
                let profile = std::fs::read_to_string(&path).unwrap_or_else(|_| value.to_owned());
                options.push(format!("seccomp={profile}"));
            }
            _ => options.push(written.clone()),
        }
    }
    host.security_opt = (!options.is_empty()).then_some(options);
}
