//! The first start: a copy of the template, a password, a database, the init scripts; all beside the real place, which it is
//! moved to when it is complete. What a crash leaves half done is thrown away the next time.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Installation, PostgresError, PostgresSpec, STOP_SIGNAL, Settings, command, template};
use crate::copy;
use crate::exec::{self, Keep};
use crate::log::RunLog;
use crate::probe::{PostgresHost, PostgresLogin, Probe};
use crate::process::{self, Process, ProcessSpec};
use crate::user::UserId;

/// How long the server may take to come up without any data.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a first start works with.
pub(super) struct Work<'a> {
    pub(super) spec: &'a PostgresSpec,
    pub(super) installation: &'a Installation,
    pub(super) settings: &'a Settings,
    pub(super) user: Option<&'a UserId>,
    pub(super) log: &'a RunLog,
}

impl Work<'_> {
    pub(super) async fn run(&self) -> Result<(), PostgresError> {
        let data = &self.spec.data_dir;
        if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
            let output = format!("directory `{}` is not empty and holds no database", data.display());
            return Err(PostgresError::Initdb { output });
        }
        let settings = self.settings;
        let (cache, args) = (&self.spec.cache_dir, &settings.initdb_args);
        let template = template::ensure(cache, self.installation, args, &settings.user, self.user).await?;
        let new = data.with_extension("new");
        // What a crash left.
        let _ = fs::remove_dir_all(&new);
        let target = new.clone();
        tokio::task::spawn_blocking(move || copy::tree(&template, &target))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(PostgresError::io("fill", &new))?;
        self.write_access_rules(&new)?;
        let scripts = self.stage_scripts()?;
        let spec = command::temporary(self.spec, self.installation, self.user, &new);
        let server = process::spawn(&spec, self.log)?;
        let done = self.initialise(&server, &scripts).await;
        // In order, so that the data is whole before it is moved.
        let exit = server.stop(STOP_SIGNAL, START_LIMIT).await;
        let _ = fs::remove_dir_all(self.stage());
        done?;
        if !exit.success() {
            return Err(PostgresError::TemporaryServer {
                output: format!("it ended with {exit}"),
            });
        }
        fs::rename(&new, data).map_err(PostgresError::io("rename", &new))
    }

    /// The image lets in its own loopback without a password, where nobody but itself is; here everybody's is the same.
    fn write_access_rules(&self, data: &Path) -> Result<(), PostgresError> {
        let method = self.settings.host_auth_method.as_deref().unwrap_or("scram-sha-256");
        let rules = format!(
            "# TYPE DATABASE USER ADDRESS METHOD\n\
             local all all trust\n\
             local replication all trust\n\
             host all all all {method}\n\
             host replication all all {method}\n"
        );
        let path = data.join("pg_hba.conf");
        fs::write(&path, rules).map_err(PostgresError::io("write", &path))
    }

    async fn initialise(&self, server: &Process, scripts: &[PathBuf]) -> Result<(), PostgresError> {
        self.wait_until_up(server).await?;
        let settings = self.settings;
        let mut statements = Vec::new();
        if let Some(password) = &settings.password {
            statements.push(format!(
                "ALTER ROLE {} PASSWORD {}",
                identifier(&settings.user),
                literal(password)
            ));
        }
        if settings.database != "postgres" {
            statements.push(format!("CREATE DATABASE {}", identifier(&settings.database)));
        }
        for statement in statements {
            self.execute(&statement).await?;
        }
        for script in scripts {
            self.run_script(script).await?;
        }
        Ok(())
    }

    async fn wait_until_up(&self, server: &Process) -> Result<(), PostgresError> {
        let login = PostgresLogin {
            host: PostgresHost::Unix(self.spec.socket_dir.clone(), self.spec.listen.port()),
            user: self.settings.user.clone(),
            password: None,
            database: "postgres".into(),
        };
        let probe = Probe::Postgres(login);
        let began = tokio::time::Instant::now();
        loop {
            let tested = probe.test(START_LIMIT).await;
            if tested.ok {
                return Ok(());
            }
            if let Some(exit) = server.try_wait() {
                let output = format!("it ended with {exit}; its log says why");
                return Err(PostgresError::TemporaryServer { output });
            }
            if began.elapsed() > START_LIMIT {
                return Err(PostgresError::TemporaryServer { output: tested.output });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One statement, over the socket: a password has no place among the arguments of psql, which everybody can read.
    async fn execute(&self, statement: &str) -> Result<(), PostgresError> {
        let login = PostgresLogin {
            host: PostgresHost::Unix(self.spec.socket_dir.clone(), self.spec.listen.port()),
            user: self.settings.user.clone(),
            password: None,
            database: "postgres".into(),
        };
        crate::probe::execute(&login, statement)
            .await
            .map_err(|output| PostgresError::TemporaryServer { output })
    }

    async fn run_script(&self, script: &Path) -> Result<(), PostgresError> {
        let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = script.display().to_string();
        let psql = "psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc";
        let shell = |script: String| {
            (
                "/bin/sh".to_owned(),
                vec!["-c".into(), script, "sh".into(), path.clone()],
            )
        };
        let executable = fs::metadata(script).is_ok_and(|data| data.permissions().mode() & 0o111 != 0);
        let (program, args) = match () {
            () if name.ends_with(".sh") && executable => (path.clone(), Vec::new()),
            () if name.ends_with(".sh") => ("bash".into(), vec!["-e".into(), path.clone()]),
            () if name.ends_with(".sql") => shell(format!("exec {psql} -f \"$1\"")),
            () if name.ends_with(".sql.gz") => shell(format!("gunzip -c \"$1\" | {psql}")),
            () if name.ends_with(".sql.xz") => shell(format!("xzcat \"$1\" | {psql}")),
            () if name.ends_with(".sql.zst") => shell(format!("zstd -dc \"$1\" | {psql}")),
            () => return Ok(()),
        };
        let mut env = self.spec.env.clone();
        let settings = self.settings;
        let path = format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.installation.bin.display()
        );
        for (name, value) in [
            ("PATH", path),
            ("POSTGRES_USER", settings.user.clone()),
            ("POSTGRES_DB", settings.database.clone()),
            ("PGHOST", self.spec.socket_dir.display().to_string()),
            ("PGPORT", self.spec.listen.port().to_string()),
            ("PGUSER", settings.user.clone()),
            ("PGDATABASE", settings.database.clone()),
        ] {
            env.insert(name.into(), value);
        }
        let dir = self.stage();
        let spec = ProcessSpec {
            program,
            args,
            env,
            dir,
            user: self.user.cloned(),
            ..ProcessSpec::default()
        };
        let outcome = exec::stream(&spec, None, Keep::default(), Some(self.log), |_, _| {}).await?;
        match outcome.success() {
            true => Ok(()),
            false => Err(PostgresError::InitScript {
                script: self.origin(&name),
                output: outcome.output.trim().to_owned(),
            }),
        }
    }

    fn stage(&self) -> PathBuf {
        self.spec.socket_dir.join("init")
    }

    /// Copies of the init scripts that the server's user can read, wherever the originals lie, in order of their names.
    fn stage_scripts(&self) -> Result<Vec<PathBuf>, PostgresError> {
        let stage = self.stage();
        let _ = fs::remove_dir_all(&stage);
        fs::create_dir(&stage).map_err(PostgresError::io("make directory", &stage))?;
        let mut staged = Vec::new();
        for file in self.originals()? {
            let target = stage.join(file.file_name().unwrap_or_default());
            fs::copy(&file, &target).map_err(PostgresError::io("read init script", &file))?;
            staged.push(target);
        }
        if let Some(user) = self.user {
            copy::own(&stage, user.uid, user.gid).map_err(PostgresError::io("own", &stage))?;
            chown(&stage, Some(user.uid), Some(user.gid)).map_err(PostgresError::io("own", &stage))?;
        }
        staged.sort();
        Ok(staged)
    }

    fn originals(&self) -> Result<Vec<PathBuf>, PostgresError> {
        let mut files = Vec::new();
        for path in &self.spec.init {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let entries = fs::read_dir(path).map_err(PostgresError::io("read", path))?;
            files.extend(
                entries
                    .flatten()
                    .map(|entry| entry.path())
                    .filter(|path| path.is_file()),
            );
        }
        Ok(files)
    }

    /// The user's own file, for messages.
    fn origin(&self, name: &str) -> PathBuf {
        let files = self.originals().unwrap_or_default();
        files
            .into_iter()
            .find(|file| file.file_name().is_some_and(|own| own == name))
            .unwrap_or_else(|| name.into())
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `standard_conforming_strings` is on: only the quote itself is special.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
