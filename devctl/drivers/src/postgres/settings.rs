//! The official image's environment variables, read as its entrypoint reads them.

use std::fs;

use indexmap::IndexMap;

use super::{PostgresError, Settings};

impl Settings {
    /// Reads them. `made`: the data directory exists already, and then no password is asked for.
    ///
    /// # Errors
    /// [`PostgresError::NoPassword`], [`PostgresError::BadVariable`].
    pub fn from_env(env: &IndexMap<String, String>, made: bool) -> Result<Self, PostgresError> {
        let user = value(env, "POSTGRES_USER")?.unwrap_or_else(|| "postgres".into());
        let database = value(env, "POSTGRES_DB")?.unwrap_or_else(|| user.clone());
        let password = value(env, "POSTGRES_PASSWORD")?;
        let host_auth_method = value(env, "POSTGRES_HOST_AUTH_METHOD")?;
        if password.is_none() && host_auth_method.as_deref() != Some("trust") && !made {
            return Err(PostgresError::NoPassword);
        }
        let initdb_args = shell_words::split(&value(env, "POSTGRES_INITDB_ARGS")?.unwrap_or_default())
            .map_err(|error| bad("POSTGRES_INITDB_ARGS", &error.to_string()))?;
        let mut notes = Vec::new();
        for name in ["PGDATA", "POSTGRES_INITDB_WALDIR"] {
            if env.contains_key(name) {
                notes.push(format!("{name} is ignored: devctl chooses where the data lives"));
            }
        }
        Ok(Self {
            user,
            password,
            database,
            initdb_args,
            host_auth_method,
            notes,
        })
    }
}

/// A variable, or the contents of the file that `NAME_FILE` names. Empty counts as not set.
fn value(env: &IndexMap<String, String>, name: &str) -> Result<Option<String>, PostgresError> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let file_name = format!("{name}_FILE");
    match (set(name), set(&file_name)) {
        (Some(_), Some(_)) => Err(bad(name, &format!("`{file_name}` is set too; only one of them may be"))),
        (Some(value), None) => Ok(Some(value.clone())),
        (None, Some(path)) => match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
            Err(error) => Err(bad(&file_name, &format!("cannot read `{path}`: {error}"))),
        },
        (None, None) => Ok(None),
    }
}

fn bad(variable: &str, reason: &str) -> PostgresError {
    PostgresError::BadVariable {
        variable: variable.into(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Settings, PostgresError> {
        Settings::from_env(
            &entries.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            false,
        )
    }

    #[test]
    fn defaults_are_the_images() {
        let settings = read(&[("POSTGRES_PASSWORD", "x"), ("POSTGRES_USER", "billing")]).unwrap();
        assert_eq!(
            (settings.user.as_str(), settings.database.as_str()),
            ("billing", "billing")
        );
        let settings = read(&[
            ("POSTGRES_HOST_AUTH_METHOD", "trust"),
            ("POSTGRES_DB", "db"),
            ("PGDATA", "/x"),
        ])
        .unwrap();
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("postgres", "db"));
        assert_eq!(settings.notes.len(), 1);
        assert!(matches!(
            read(&[("POSTGRES_PASSWORD", "")]),
            Err(PostgresError::NoPassword)
        ));
    }

    #[test]
    fn files_stand_in_for_values() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "from file\n").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(
            read(&[("POSTGRES_PASSWORD_FILE", path)]).unwrap().password.as_deref(),
            Some("from file")
        );
        for wrong in [
            [("POSTGRES_PASSWORD_FILE", "/no/such"), ("X", "")],
            [("POSTGRES_PASSWORD_FILE", path), ("POSTGRES_PASSWORD", "b")],
        ] {
            assert!(matches!(read(&wrong), Err(PostgresError::BadVariable { .. })));
        }
    }

    #[test]
    fn initdb_arguments_are_split_as_a_shell_would() {
        let settings = read(&[
            ("POSTGRES_PASSWORD", "x"),
            ("POSTGRES_INITDB_ARGS", "--locale='de_DE.utf8' -k"),
        ])
        .unwrap();
        assert_eq!(settings.initdb_args, ["--locale=de_DE.utf8", "-k"]);
    }
}
