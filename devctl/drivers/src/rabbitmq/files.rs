//! The broker's own directory: data, home with the cookie, configuration, links to plugins.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::RabbitError;
use super::config::Settings;
use crate::dirs;
use crate::user::UserId;

/// Where what is.
pub(super) struct Layout {
    root: PathBuf,
    pub(super) mnesia: PathBuf,
    pub(super) log: PathBuf,
    pub(super) home: PathBuf,
    pub(super) etc: PathBuf,
    pub(super) plugins: PathBuf,
}

impl Layout {
    pub(super) fn of(data_dir: &Path) -> Self {
        let below = |name| data_dir.join(name);
        let (mnesia, log, home, etc, plugins) = (
            below("mnesia"),
            below("log"),
            below("home"),
            below("etc"),
            below("plugins"),
        );
        Self {
            root: data_dir.to_owned(),
            mnesia,
            log,
            home,
            etc,
            plugins,
        }
    }

    /// Makes them. What is written anew at each start is emptied.
    pub(super) fn make(&self, user: Option<&UserId>) -> Result<(), RabbitError> {
        for dir in [&self.etc, &self.plugins] {
            if dir.exists() {
                fs::remove_dir_all(dir).map_err(RabbitError::io("empty", dir))?;
            }
        }
        if let Some(parent) = self.root.parent() {
            fs::create_dir_all(parent).map_err(RabbitError::io("make directory", parent))?;
            if let Some(user) = user
                && let Some(dir) = dirs::closed_to(user, parent)
            {
                return Err(RabbitError::Unreachable {
                    dir,
                    user: user.name.clone(),
                });
            }
        }
        for dir in [
            &self.root,
            &self.mnesia,
            &self.log,
            &self.home,
            &self.etc,
            &self.plugins,
        ] {
            fs::create_dir_all(dir).map_err(RabbitError::io("make directory", dir))?;
            give(dir, user, 0o700)?;
        }
        Ok(())
    }

    /// Writes cookie and configuration, readable by the broker's user alone.
    pub(super) fn write(
        &self,
        settings: &Settings,
        modules: &[String],
        user: Option<&UserId>,
    ) -> Result<(), RabbitError> {
        let cookie = self.home.join(".erlang.cookie");
        match &settings.cookie {
            Some(text) => put(&cookie, text, user, 0o400)?,
            None if cookie.exists() => {}
            None => put(&cookie, &random()?, user, 0o400)?,
        }
        for (name, original) in &settings.files {
            let text = fs::read_to_string(original).map_err(RabbitError::io("read", original))?;
            put(&self.etc.join(name), &text, user, 0o400)?;
        }
        let etc = self.etc.display().to_string();
        put(
            &self.etc.join("rabbitmq.conf"),
            &settings.conf.replace("@ETC@", &etc),
            user,
            0o400,
        )?;
        put(&self.etc.join("advanced.config"), &settings.advanced, user, 0o400)?;
        put(
            &self.etc.join("enabled_plugins"),
            &format!("[{}].\n", settings.plugins.join(",")),
            user,
            0o600,
        )?;
        let quoted: Vec<String> = modules.iter().map(|module| format!("'{module}'")).collect();
        put(
            &self.etc.join("modules"),
            &format!("[{}].\n", quoted.join(",")),
            user,
            0o400,
        )
    }
}

fn put(path: &Path, text: &str, user: Option<&UserId>, mode: u32) -> Result<(), RabbitError> {
    // Read-only for its owner: made anew instead of written over.
    let _ = fs::remove_file(path);
    fs::write(path, text).map_err(RabbitError::io("write", path))?;
    give(path, user, mode)
}

fn give(path: &Path, user: Option<&UserId>, mode: u32) -> Result<(), RabbitError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(RabbitError::io("close", path))?;
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)).map_err(RabbitError::io("own", path)),
        None => Ok(()),
    }
}

fn random() -> Result<String, RabbitError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(RabbitError::io("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}
