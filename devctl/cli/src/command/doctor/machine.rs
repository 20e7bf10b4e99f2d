//! What this machine has: servers, an engine, limits of the kernel, room on the disk.

use std::path::Path;

use devctl_drivers::{postgres, rabbitmq};

use super::docker;
use super::{Finding, Grade};

/// Below this many watches, a large repository cannot be watched whole.
const FEW_WATCHES: u64 = 65_536;

/// Below this, bytes, a database and a broker will soon fill the disk.
const LITTLE_ROOM: u64 = 1 << 30;

/// What was found.
pub(crate) struct Machine {
    /// All of it, to be told.
    pub(crate) findings: Vec<Finding>,
}

impl Machine {
    /// Looks at everything.
    pub(crate) fn look(state: &Path) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let path = env("PATH").unwrap_or_default();
        let postgres = postgres::discover(&path);
        let rabbitmq = rabbitmq::discover(&path);
        let docker = docker::engine(&env).map_or_else(|finding| finding, |engine| engine.finding());
        let mut findings = servers(&postgres, &rabbitmq);
        findings.push(docker);
        findings.extend(inotify(Path::new("/proc/sys/fs/inotify")));
        findings.extend(room(state));
        Self { findings }
    }
}

fn servers(postgres: &[postgres::Installation], rabbitmq: &[rabbitmq::Installation]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = postgres
        .iter()
        .map(|found| {
            Finding::new(
                Grade::Good,
                "PostgreSQL",
                format!("{} in `{}`", found.version, found.bin.display()),
            )
        })
        .chain(rabbitmq.iter().map(|found| {
            Finding::new(
                Grade::Good,
                "RabbitMQ",
                format!("{} in `{}`", found.version, found.home.display()),
            )
        }))
        .collect();
    let absent = |subject: &str, package: &str| {
        Finding::new(Grade::Note, subject, "not installed").help(format!("`apt-get install {package}` has it"))
    };
    if postgres.is_empty() {
        findings.push(absent("PostgreSQL", "postgresql"));
    }
    if rabbitmq.is_empty() {
        findings.push(absent("RabbitMQ", "rabbitmq-server"));
    }
    findings
}

/// The kernel's limits on watching files (Linux).
fn inotify(directory: &Path) -> Option<Finding> {
    let read = |name: &str| {
        std::fs::read_to_string(directory.join(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let (watches, instances) = (read("max_user_watches")?, read("max_user_instances")?);
    let text = format!("{watches} watches, {instances} instances");
    Some(if watches < FEW_WATCHES {
        Finding::new(
            Grade::Lack,
            "inotify",
            format!("{text}: too few for a large repository"),
        )
        .help("`sudo sysctl fs.inotify.max_user_watches=524288`; a file in /etc/sysctl.d keeps it")
    } else {
        Finding::new(Grade::Good, "inotify", text)
    })
}

fn room(state: &Path) -> Option<Finding> {
    let there = state.ancestors().find(|path| path.exists())?;
    let stat = nix::sys::statvfs::statvfs(there).ok()?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let text = format!("{} MiB free under `{}`", free >> 20, there.display());
    Some(if free < LITTLE_ROOM {
        Finding::new(Grade::Lack, "disk", text).help("`devctl down -v` removes this project's data")
    } else {
        Finding::new(Grade::Good, "disk", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_watches_are_named_with_the_sysctl() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("max_user_watches"), "8192\n").unwrap();
        std::fs::write(dir.path().join("max_user_instances"), "128\n").unwrap();
        let finding = inotify(dir.path()).unwrap();
        assert_eq!(finding.grade, Grade::Lack);
        assert!(finding.help.unwrap().contains("fs.inotify.max_user_watches"));
        std::fs::write(dir.path().join("max_user_watches"), "524288\n").unwrap();
        assert_eq!(inotify(dir.path()).unwrap().grade, Grade::Good);
    }
}
