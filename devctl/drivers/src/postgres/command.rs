//! What is run: PostgreSQL in the foreground, with the service's own options, and without the guarantees that only data worth
//! keeping needs.

use std::fs;
use std::path::Path;

use super::{Installation, PostgresSpec};
use crate::proc;
use crate::process::{ProcessSpec, RUN_VARIABLE};
use crate::user::UserId;

/// A development database: what a crash of the machine loses is made again.
const FAST: [&str; 3] = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
/// What devctl decides: data, addresses and sockets.
const OURS: [&str; 4] = ["port", "listen_addresses", "unix_socket_directories", "data_directory"];

/// The server, as it runs.
pub(super) fn process(
    spec: &PostgresSpec,
    installation: &Installation,
    user: Option<&UserId>,
    notes: &mut Vec<String>,
) -> ProcessSpec {
    let mut args = base(spec, &spec.data_dir);
    args.extend(["-c".into(), format!("listen_addresses={}", spec.listen.ip())]);
    // Last, so that what the service asks for wins over what is said here.
    args.extend(own_options(&spec.command, notes));
    server(spec, installation, user, args)
}

/// The server while its database is initialised: reached through its socket alone.
pub(super) fn temporary(
    spec: &PostgresSpec,
    installation: &Installation,
    user: Option<&UserId>,
    data: &Path,
) -> ProcessSpec {
    let mut args = base(spec, data);
    args.extend(["-c".into(), "listen_addresses=".into()]);
    args.extend(own_options(&spec.command, &mut Vec::new()));
    server(spec, installation, user, args)
}

fn base(spec: &PostgresSpec, data: &Path) -> Vec<String> {
    let mut args = vec![
        "-D".into(),
        data.display().to_string(),
        "-p".into(),
        spec.listen.port().to_string(),
    ];
    args.extend(["-k".into(), spec.socket_dir.display().to_string()]);
    args.extend(FAST.iter().flat_map(|option| ["-c".to_owned(), (*option).to_owned()]));
    args
}

fn server(spec: &PostgresSpec, installation: &Installation, user: Option<&UserId>, args: Vec<String>) -> ProcessSpec {
    let mut env = indexmap::IndexMap::from([
        (
            "PATH".to_owned(),
            format!("{}:/usr/local/bin:/usr/bin:/bin", installation.bin.display()),
        ),
        ("LANG".into(), "C.UTF-8".into()),
    ]);
    for name in ["TZ", "LANG", RUN_VARIABLE] {
        if let Some(value) = spec.env.get(name) {
            env.insert(name.into(), value.clone());
        }
    }
    ProcessSpec {
        program: installation.bin.join("postgres").display().to_string(),
        args,
        env,
        dir: "/".into(),
        user: user.cloned(),
        ..ProcessSpec::default()
    }
}

/// The options of the service's command that can be kept.
fn own_options(command: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut words = command
        .iter()
        .skip(usize::from(command.first().is_some_and(|word| !word.starts_with('-'))));
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let (option, value) = match word.as_str() {
            "-c" | "-D" | "-k" | "-p" | "-h" | "-N" | "-B" | "-S" | "-W" | "-s" | "-d" => {
                (word.as_str(), words.next().cloned())
            }
            _ => (word.as_str(), None),
        };
        let setting = match (option, &value) {
            ("-c", Some(value)) => value.as_str(),
            ("-D", _) => "data_directory",
            ("-k", _) => "unix_socket_directories",
            ("-p", _) => "port",
            ("-h", _) => "listen_addresses",
            (long, _) if long.starts_with("--") => &long[2..],
            (short, _) if short.starts_with("-c") => &short[2..],
            _ => "",
        };
        let name = setting.split('=').next().unwrap_or_default().replace('-', "_");
        if OURS.contains(&name.as_str()) {
            notes.push(format!("`{setting}` of the command is ignored: devctl chooses it"));
            continue;
        }
        kept.push(word.clone());
        kept.extend(value);
    }
    kept
}

/// A server that was killed leaves its lock; if its pid is another program's by now, PostgreSQL would refuse to start.
pub(super) fn remove_stale_lock(data: &Path) {
    let path = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else { return };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    let runs = pid
        .and_then(proc::stat)
        .is_some_and(|stat| stat.name == "postgres" && !stat.zombie);
    if !runs {
        // PostgreSQL says so itself if it stays.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_own_options_are_kept_save_for_addresses() {
        let words = |text: &str| shell_words::split(text).unwrap();
        let mut notes = Vec::new();
        let command =
            words("postgres -c max_connections=200 -p 5433 --shared-buffers=1GB -c listen_addresses='*' -N 50");
        let kept = own_options(&command, &mut notes);
        assert_eq!(kept, words("-c max_connections=200 --shared-buffers=1GB -N 50"));
        assert_eq!(notes.len(), 2);
        assert_eq!(
            own_options(&words("-c log_statement=all"), &mut notes),
            words("-c log_statement=all")
        );
    }
}
