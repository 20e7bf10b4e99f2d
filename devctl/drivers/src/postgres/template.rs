//! `initdb` takes longer than everything else of a first start, so it is run once per version, arguments, superuser and locale, into
//! a directory that all services of a user are copied from.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Installation, PostgresError};
use crate::exec::{self, Keep};
use crate::process::ProcessSpec;
use crate::user::UserId;

/// No machine is that slow.
const LIMIT: Duration = Duration::from_secs(120);

/// The directory to copy. Made under a lock if it is not there.
pub(super) async fn ensure(
    cache: &Path,
    installation: &Installation,
    args: &[String],
    superuser: &str,
    user: Option<&UserId>,
) -> Result<PathBuf, PostgresError> {
    let locale = locale(args);
    let owner = user.map_or("", |user| &user.name);
    let key = [
        &installation.version.to_string(),
        &installation.bin.display().to_string(),
        &args.join("\0"),
        superuser,
        locale.unwrap_or(""),
        owner,
    ]
    .join("\0");
    let hash: String = Sha256::digest(key.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let template = cache.join(format!("postgres-{}-{hash}", installation.version.major()));
    if template.exists() {
        return Ok(template);
    }
    let _lock = lock(template.with_extension("lock")).await?;
    if template.exists() {
        return Ok(template);
    }
    let new = template.with_extension("new");
    // What a crash left.
    let _ = fs::remove_dir_all(&new);
    fs::create_dir(&new).map_err(PostgresError::io("make directory", &new))?;
    if let Some(user) = user {
        chown(&new, Some(user.uid), Some(user.gid)).map_err(PostgresError::io("own", &new))?;
    }
    let mut all: Vec<String> = ["-D", &new.display().to_string(), "-U", superuser]
        .map(str::to_owned)
        .to_vec();
    all.extend(["--auth=trust", "--no-sync", "--no-instructions"].map(str::to_owned));
    if let Some(locale) = locale {
        all.extend([format!("--locale={locale}"), "--encoding=UTF8".into()]);
    }
    all.extend_from_slice(args);
    let spec = ProcessSpec {
        program: installation.bin.join("initdb").display().to_string(),
        args: all,
        env: [
            (
                "PATH".to_owned(),
                installation.bin.display().to_string() + ":/usr/bin:/bin",
            ),
            ("LANG".into(), "C.UTF-8".into()),
        ]
        .into(),
        dir: "/".into(),
        user: user.cloned(),
        ..ProcessSpec::default()
    };
    let outcome = exec::run(&spec, Some(LIMIT), Keep::default()).await?;
    if !outcome.success() {
        let _ = fs::remove_dir_all(&new);
        return Err(PostgresError::Initdb {
            output: outcome.output.trim().to_owned(),
        });
    }
    fs::rename(&new, &template).map_err(PostgresError::io("rename", &new))?;
    Ok(template)
}

/// The image's locale if the machine has it, or the one that every machine has. `None`: the arguments say their own.
fn locale(args: &[String]) -> Option<&'static str> {
    if args
        .iter()
        .any(|arg| arg.starts_with("--locale") || arg.starts_with("--lc-") || arg == "--no-locale")
    {
        return None;
    }
    let known = ["/usr/lib/locale/en_US.utf8", "/usr/share/locale/en_US.UTF-8"]
        .iter()
        .any(|path| Path::new(path).exists());
    Some(if known { "en_US.UTF-8" } else { "C.UTF-8" })
}

async fn lock(path: PathBuf) -> Result<File, PostgresError> {
    let failed = path.clone();
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    });
    locked
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(PostgresError::io("lock", &failed))
}
