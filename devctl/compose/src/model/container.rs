//! What everything that runs a container has: services, jobs and `pre_start` hooks share these attributes.
//!
//! Go has struct embedding for this; here a macro appends the same lines to each record, so that a user of the model
//! writes `service.image` and not `service.container.image`.

/// Declares a record of `head` attributes, then the container's, then (for services and jobs) the workload's.
macro_rules! container_record {
    ($(#[$meta:meta])* pub struct $name:ident { $($head:tt)* } container { $($tail:tt)* }) => {
        crate::model::record::record_with!([$(#[$meta])*] $name {}
            $($head)*

            /// Metadata for the container, as key and value.
            annotations: IndexMap<String, String>,
            /// Block IO limits.
            blkio_config: Option<BlkioConfig>,
            /// Capabilities to add.
            cap_add: Vec<String>,
            /// Capabilities to drop.
            cap_drop: Vec<String>,
            /// Parent control group.
            cgroup_parent: Option<String>,
            /// Control group namespace: `host` or `private`.
            cgroup: Option<String>,
            /// Number of usable CPUs (Windows).
            cpu_count: i64,
            /// Usable share of the CPUs, in percent (Windows).
            cpu_percent: f32,
            /// Length of a scheduler period in microseconds.
            cpu_period: i64,
            /// Time within a period that may be used, in microseconds.
            cpu_quota: i64,
            /// Real-time period in microseconds.
            cpu_rt_period: i64,
            /// Real-time run time in microseconds.
            cpu_rt_runtime: i64,
            /// CPUs that may be used; 0 means no limit.
            cpus: f32,
            /// CPUs in which to run, such as `0-3`.
            cpuset: Option<String>,
            /// Relative weight.
            cpu_shares: i64,
            /// The command; `Some([])` clears the image's, `None` keeps it.
            command: Option<Vec<String>> [command],
            /// Configs made available as files.
            configs: Vec<FileReference>,
            /// Credentials for a managed service account (Windows).
            credential_spec: Option<CredentialSpec>,
            /// Rules for the device control group.
            device_cgroup_rules: Vec<String>,
            /// Devices of the host.
            devices: Vec<DeviceMapping>,
            /// DNS servers.
            dns: Vec<String>,
            /// DNS options.
            dns_opt: Vec<String>,
            /// DNS search domains.
            dns_search: Vec<String>,
            /// NIS domain name.
            domainname: Option<String>,
            /// The entry point; `Some([])` clears the image's, `None` keeps it.
            entrypoint: Option<Vec<String>> [command],
            /// Variables, `env_file` included once the environment is resolved. `None` is a name without a value.
            environment: IndexMap<String, Option<String>>,
            /// Files with variables; empty once they went into `environment`.
            env_file: Vec<EnvFile>,
            /// Extra names in `/etc/hosts`.
            extra_hosts: ExtraHosts,
            /// Additional groups.
            group_add: Vec<String>,
            /// GPUs.
            gpus: Vec<DeviceRequest>,
            /// Host name inside the container.
            hostname: Option<String>,
            /// The image.
            image: Option<String>,
            /// Whether an init process forwards signals and reaps.
            init: Option<bool>,
            /// IPC namespace.
            ipc: Option<String>,
            /// Isolation technology (Windows).
            isolation: Option<String>,
            /// Labels, `label_file` included.
            labels: IndexMap<String, String>,
            /// Files with labels.
            label_file: Vec<String>,
            /// Logging driver and its options.
            logging: Option<Logging>,
            /// Logging driver, in the old form.
            log_driver: Option<String>,
            /// Logging options, in the old form.
            log_opt: IndexMap<String, String>,
            /// Memory limit.
            mem_limit: ByteSize,
            /// Memory reservation.
            mem_reservation: ByteSize,
            /// Memory and swap together; -1 is without limit.
            memswap_limit: ByteSize,
            /// Swappiness, 0 to 100.
            mem_swappiness: ByteSize,
            /// MAC address.
            mac_address: Option<String>,
            /// Language models that the container uses.
            models: IndexMap<String, Option<ServiceModel>>,
            /// Network mode: `none`, `host`, `service:NAME`, `container:NAME` or a driver's own.
            network_mode: Option<String>,
            /// Networks to join. `None` joins with nothing further to say.
            networks: IndexMap<String, Option<ServiceNetwork>>,
            /// Whether the kernel may not kill the container when memory runs out.
            oom_kill_disable: bool,
            /// Preference for being killed when memory runs out, -1000 to 1000.
            oom_score_adj: i64,
            /// Process namespace.
            pid: Option<String>,
            /// Number of processes.
            pids_limit: i64,
            /// Platform such as `linux/amd64`.
            platform: Option<String>,
            /// Whether the container gets every capability and device.
            privileged: bool,
            /// When the image is pulled, see [`PullPolicy`](crate::model::PullPolicy).
            pull_policy: Option<String>,
            /// How old an image may be before it is pulled again.
            pull_refresh_after: Option<String>,
            /// Whether the root file system is read-only.
            read_only: bool,
            /// OCI runtime.
            runtime: Option<String>,
            /// Secrets made available as files.
            secrets: Vec<FileReference>,
            /// Security options.
            security_opt: Vec<String>,
            /// Size of `/dev/shm`.
            shm_size: ByteSize,
            /// How long the container may take to stop before it is killed; Compose's default is 10 s.
            stop_grace_period: Option<Duration>,
            /// The signal that asks the container to stop.
            stop_signal: Option<String>,
            /// Storage driver options.
            storage_opt: IndexMap<String, String>,
            /// Kernel parameters.
            sysctls: IndexMap<String, String>,
            /// Temporary file systems, as `path` or `path:options`.
            tmpfs: Vec<String>,
            /// Resource limits of the processes.
            ulimits: IndexMap<String, Ulimit>,
            /// Whether the engine's socket is made available inside.
            use_api_socket: bool,
            /// User, optionally with a group.
            user: Option<String>,
            /// User namespace.
            userns_mode: Option<String>,
            /// UTS namespace.
            uts: Option<String>,
            /// Driver for volumes without one.
            volume_driver: Option<String>,
            /// Mounts.
            volumes: Vec<Mount>,
            /// Services or containers whose mounts are taken over.
            volumes_from: Vec<String>,
            /// Working directory.
            working_dir: Option<String>,

            $($tail)*
        );
    };
}

/// As `container_record`, with what services and jobs have and hooks have not.
macro_rules! workload_record {
    ($(#[$meta:meta])* pub struct $name:ident { $($head:tt)* }) => {
        crate::model::container::container_record! {
            $(#[$meta])*
            pub struct $name { $($head)* } container {
                /// How the image is built.
                build: Option<Build>,
                /// What must have happened to other services before this one starts.
                depends_on: IndexMap<String, DependsOn>,
                /// Dockerfile, in the old form.
                dockerfile: Option<String>,
                /// Ports open to the networks only, such as `3000` or `8000-8010/udp`.
                expose: Vec<String>,
                /// How the container's health is found out.
                healthcheck: Option<Healthcheck>,
                /// Ports published on the host.
                ports: Vec<Port>,
                /// Whether standard input stays open.
                stdin_open: bool,
                /// Whether a terminal is allocated.
                tty: bool,
            }
        }
    };
}

pub(crate) use {container_record, workload_record};
