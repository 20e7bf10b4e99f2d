//! Which file a program's name means, and whether it can be run: found out before the fork, so that the error can say where
//! was looked.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{ProcessSpec, SpawnError};
use crate::user::UserId;

/// Where programs are looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file that a name means in a `PATH`, if there is one that can be executed.
pub fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file, None))
}

/// The file to execute for a spec.
pub(super) fn resolve(spec: &ProcessSpec) -> Result<PathBuf, SpawnError> {
    let program = &spec.program;
    if program.contains('/') {
        let file = spec.dir.join(program);
        return match fs::metadata(&file) {
            Ok(data) if data.is_dir() => Err(not_executable(&file, "it is a directory")),
            Ok(_) if is_executable(&file, spec.user.as_ref()) => Ok(file),
            Ok(_) => Err(not_executable(&file, "no permission to execute it")),
            Err(_) => Err(SpawnError::NotFound {
                program: program.clone(),
                looked_in: vec![file],
            }),
        };
    }
    let path = spec.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let looked_in: Vec<PathBuf> = std::env::split_paths(path).map(|dir| spec.dir.join(dir)).collect();
    let mut closed = None;
    for file in looked_in
        .iter()
        .map(|dir| dir.join(program))
        .filter(|file| file.is_file())
    {
        if is_executable(&file, spec.user.as_ref()) {
            return Ok(file);
        }
        closed.get_or_insert(file);
    }
    match closed {
        Some(file) => Err(not_executable(&file, "no permission to execute it")),
        None => Err(SpawnError::NotFound {
            program: program.clone(),
            looked_in,
        }),
    }
}

/// Why the kernel would not execute a file that is there and has the permission.
pub(super) fn explain(file: &Path, error: std::io::Error) -> SpawnError {
    use nix::errno::Errno;
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => match interpreter(file) {
            Some(program) => not_executable(file, &format!("its interpreter `{program}` is missing")),
            None => not_executable(file, "its dynamic loader is missing"),
        },
        Some(Errno::ENOEXEC) => not_executable(file, "it is no program for this machine"),
        Some(Errno::ETXTBSY) => not_executable(file, "it is being written"),
        Some(Errno::EACCES) => not_executable(file, "no permission to execute it"),
        _ => SpawnError::Kernel {
            program: file.display().to_string(),
            source: error,
        },
    }
}

fn interpreter(file: &Path) -> Option<String> {
    let mut head = [0; 128];
    let count = fs::File::open(file).ok()?.read(&mut head).ok()?;
    let line = String::from_utf8_lossy(&head[..count])
        .lines()
        .next()?
        .strip_prefix("#!")?
        .trim()
        .to_owned();
    line.split_whitespace().next().map(str::to_owned)
}

fn not_executable(path: &Path, reason: &str) -> SpawnError {
    SpawnError::NotExecutable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Whether `user` (`None`: this process's) may execute a file.
fn is_executable(file: &Path, user: Option<&UserId>) -> bool {
    let Ok(data) = fs::metadata(file) else { return false };
    if !data.is_file() {
        return false;
    }
    match user {
        Some(user) => crate::dirs::permits(user, &data, 0o1),
        None if crate::user::is_root() => data.mode() & 0o111 != 0,
        None => nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok(),
    }
}
