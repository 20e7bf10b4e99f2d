//! Limits: CPU, memory, processes, devices.

use devctl_compose::model::{ByteSize, DeviceRequest, Service, ThrottleDevice, Ulimit};
use devctl_drivers::docker::api;

/// Puts a service's limits in. What `deploy.resources` says wins over the older attributes, as in Docker Compose.
pub(super) fn limit(service: &Service, host: &mut api::HostConfig) {
    let bytes = |size: ByteSize| (size.0 != 0).then_some(size.0);
    let number = |number: i64| (number != 0).then_some(number);
    host.cpu_shares = number(service.cpu_shares);
    host.cpu_period = number(service.cpu_period);
    host.cpu_quota = number(service.cpu_quota);
    host.cpu_realtime_period = number(service.cpu_rt_period);
    host.cpu_realtime_runtime = number(service.cpu_rt_runtime);
    host.cpuset_cpus.clone_from(&service.cpuset);
    host.nano_cpus = nano(service.cpus);
    host.memory = bytes(service.mem_limit);
    host.memory_reservation = bytes(service.mem_reservation);
    host.memory_swap = bytes(service.memswap_limit);
    host.memory_swappiness = bytes(service.mem_swappiness);
    host.pids_limit = number(service.pids_limit);
    host.oom_kill_disable = service.oom_kill_disable.then_some(true);
    host.oom_score_adj = number(service.oom_score_adj);
    host.shm_size = bytes(service.shm_size);
    host.cgroup_parent.clone_from(&service.cgroup_parent);
    let resources = service.deploy.as_ref().map(|deploy| &deploy.resources);
    if let Some(limits) = resources.and_then(|resources| resources.limits.as_ref()) {
        host.nano_cpus = nano(limits.cpus).or(host.nano_cpus);
        host.memory = bytes(limits.memory).or(host.memory);
        host.pids_limit = number(limits.pids).or(host.pids_limit);
    }
    let mut requests: Vec<api::DeviceRequest> = service.gpus.iter().map(|gpu| request(gpu, "gpu")).collect();
    if let Some(reserved) = resources.and_then(|resources| resources.reservations.as_ref()) {
        host.memory_reservation = bytes(reserved.memory).or(host.memory_reservation);
        requests.extend(reserved.devices.iter().map(|device| request(device, "")));
    }
    // `vendor.com/class=name` names a device of the Container Device Interface, not a path.
    let (by_name, by_path): (Vec<_>, Vec<_>) = service.devices.iter().partition(|device| {
        let source = device.source.as_deref().unwrap_or_default();
        !source.starts_with('/') && source.contains('=')
    });
    requests.extend(by_name.iter().map(|device| api::DeviceRequest {
        driver: Some("cdi".to_owned()),
        device_ids: Some(device.source.iter().cloned().collect()),
        ..api::DeviceRequest::default()
    }));
    host.device_requests = (!requests.is_empty()).then_some(requests);
    let devices = by_path.iter().map(|device| api::DeviceMapping {
        path_on_host: device.source.clone(),
        path_in_container: device.target.clone().or_else(|| device.source.clone()),
        cgroup_permissions: device.permissions.clone().or_else(|| Some("rwm".to_owned())),
    });
    host.devices = Some(devices.collect());
    host.device_cgroup_rules = (!service.device_cgroup_rules.is_empty()).then(|| service.device_cgroup_rules.clone());
    let ulimits = service.ulimits.iter().map(|(name, limit)| {
        let (soft, hard) = match limit {
            Ulimit::Single(both) => (*both, *both),
            Ulimit::Pair { soft, hard } => (*soft, *hard),
        };
        api::ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(soft),
            hard: Some(hard),
        }
    });
    host.ulimits = (!service.ulimits.is_empty()).then(|| ulimits.collect());
    block_io(service, host);
}

fn block_io(service: &Service, host: &mut api::HostConfig) {
    let Some(io) = &service.blkio_config else { return };
    let throttles = |devices: &[ThrottleDevice]| -> Option<Vec<api::ThrottleDevice>> {
        let all = devices.iter().map(|device| api::ThrottleDevice {
            path: Some(device.path.clone()),
            rate: Some(device.rate.0),
        });
        (!devices.is_empty()).then(|| all.collect())
    };
    host.blkio_weight = (io.weight != 0).then_some(io.weight);
    let weights = io.weight_device.iter().map(|device| api::ResourcesBlkioWeightDevice {
        path: Some(device.path.clone()),
        weight: Some(device.weight.into()),
    });
    host.blkio_weight_device = (!io.weight_device.is_empty()).then(|| weights.collect());
    host.blkio_device_read_bps = throttles(&io.device_read_bps);
    host.blkio_device_write_bps = throttles(&io.device_write_bps);
    host.blkio_device_read_iops = throttles(&io.device_read_iops);
    host.blkio_device_write_iops = throttles(&io.device_write_iops);
}

fn nano(cpus: f32) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a number of CPUs, in billionths")]
    let nano = (f64::from(cpus) * 1000.0).round() as i64 * 1_000_000;
    (nano != 0).then_some(nano)
}

fn request(written: &DeviceRequest, always: &str) -> api::DeviceRequest {
    let mut capabilities = written.capabilities.clone();
    if !always.is_empty() && !capabilities.iter().any(|one| one == always) {
        capabilities.push(always.to_owned());
    }
    let count = match (written.count.0, written.device_ids.is_empty()) {
        // Neither a number nor names: all there are.
        (0, true) => Some(-1),
        (0, false) => None,
        (count, _) => Some(count),
    };
    api::DeviceRequest {
        driver: written.driver.clone(),
        count,
        device_ids: (!written.device_ids.is_empty()).then(|| written.device_ids.clone()),
        capabilities: Some(vec![capabilities]),
        options: (!written.options.is_empty()).then(|| written.options.clone().into_iter().collect()),
    }
}
