//! Which files, which environment, which name and which profiles: what Compose works out before it reads a service.

use indexmap::IndexMap;

use super::Stage;
use super::read::{Env, Session};
use crate::dotenv::Variables;
use crate::interpolate::{self, template};
use crate::paths;
use crate::problem::{Problem, Reported};
use crate::yaml;

/// The names of a Compose file, the preferred ones first. Without `-f`, it is looked for in the working directory and above.
pub const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// The names of the file that is merged over it.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What a project is made of.
pub(super) struct Found {
    /// Absolute paths; `-` is standard input.
    pub(super) files: Vec<String>,
    /// The directory that relative paths start from, absolute.
    pub(super) directory: String,
    pub(super) name: String,
    pub(super) environment: IndexMap<String, String>,
    pub(super) profiles: Vec<String>,
}

/// Works everything out.
pub(super) fn find(session: &mut Session) -> Stage<Found> {
    let options = session.options;
    let mut environment = options.environment.clone();
    let here = session.here();
    environment.entry("PWD".to_owned()).or_insert_with(|| here.clone());
    let asked: Vec<String> = options.files.iter().map(|file| paths::text(file)).collect();
    for file in &asked {
        refuse_remote(session, file)?;
    }
    let mut files: Vec<String> = asked
        .iter()
        .map(|file| {
            if file == "-" {
                file.clone()
            } else {
                session.absolute(file)
            }
        })
        .collect();
    let fixed = options
        .project_directory
        .as_ref()
        .map(|directory| session.absolute(&paths::text(directory)));

    let directory = |files: &[String]| {
        let first = files.iter().find(|file| *file != "-").map(|file| paths::parent(file));
        fixed.clone().or(first).unwrap_or_else(|| here.clone())
    };
    let mut env_files = asked_env_files(session, &environment);
    dot_env(session, &mut environment, &mut env_files, &directory(&files))?;
    if files.is_empty() {
        files = from_environment(session, &environment)?;
    }
    if files.is_empty() {
        files = search(session, &directory(&files));
    }
    if files.is_empty() {
        let names = NAMES.join("`, `");
        let problem = Problem::error(format!("there is no Compose file in `{here}` or above"));
        return Err(session.problem(problem.help(format!("name one with `-f`, or write one of `{names}`"))));
    }
    dot_env(session, &mut environment, &mut env_files, &directory(&files))?;

    let profiles = match options.profiles.is_empty() {
        false => options.profiles.clone(),
        true => environment
            .get("COMPOSE_PROFILES")
            .map_or("", String::as_str)
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect(),
    };
    let directory = directory(&files);
    let name = name(session, &files, &directory, &environment)?;
    environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    session.environments.push((environment.clone(), env_files));
    Ok(Found {
        files,
        directory,
        name,
        environment,
        profiles,
    })
}

fn refuse_remote(session: &mut Session, file: &str) -> Stage<()> {
    if !paths::is_remote(file) {
        return Ok(());
    }
    Err(session.problem(remote(file)))
}

/// Git repositories and OCI artifacts are not fetched.
pub(super) fn remote(path: &str) -> Problem {
    let kind = if path.starts_with("oci://") {
        "an OCI artifact"
    } else {
        "a Git repository"
    };
    Problem::error(format!(
        "`{path}` is {kind}, and nothing is fetched to read a Compose file"
    ))
    .help("fetch it first, and name the local copy")
}

/// `--env-file`, or `COMPOSE_ENV_FILES`.
fn asked_env_files(session: &Session, environment: &IndexMap<String, String>) -> Vec<String> {
    let asked: Vec<String> = match session.options.env_files.is_empty() {
        false => session.options.env_files.iter().map(|file| paths::text(file)).collect(),
        true => {
            let written = environment.get("COMPOSE_ENV_FILES").map_or("", String::as_str);
            written
                .split(',')
                .filter(|file| !file.is_empty())
                .map(str::to_owned)
                .collect()
        }
    };
    asked
        .iter()
        .map(|file| session.absolute(&paths::expand_home(file, session.home())))
        .collect()
}

/// Adds what environment files say and the environment does not.
fn dot_env(
    session: &mut Session,
    environment: &mut IndexMap<String, String>,
    files: &mut Vec<String>,
    directory: &str,
) -> Stage<()> {
    let asked = !session.options.env_files.is_empty() || !files.is_empty();
    if !asked || files.iter().all(|file| file.ends_with("/.env")) && session.options.env_files.is_empty() {
        let disabled = match session.options.environment.get("COMPOSE_DISABLE_ENV_FILE") {
            None => false,
            Some(value) => match value.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                _ => {
                    let problem = Problem::error(format!(
                        "`COMPOSE_DISABLE_ENV_FILE` must be true or false, but is `{value}`"
                    ));
                    return Err(session.problem(problem));
                }
            },
        };
        let default = paths::join(directory, ".env");
        if !disabled && session.files.is_file(default.as_ref()) {
            *files = vec![default];
        }
    }
    let mut variables = Variables::new();
    for file in files.iter() {
        let env = Env::new(environment);
        if session.variables(file, None, &mut variables, &env).is_err() {
            session.problems.variables_incomplete();
        }
        env.warn(&mut session.problems);
    }
    for (name, value) in variables {
        environment.entry(name).or_insert(value);
    }
    Ok(())
}

/// `COMPOSE_FILE`.
fn from_environment(session: &mut Session, environment: &IndexMap<String, String>) -> Stage<Vec<String>> {
    let Some(written) = environment.get("COMPOSE_FILE") else {
        return Ok(Vec::new());
    };
    let separator = environment
        .get("COMPOSE_PATH_SEPARATOR")
        .filter(|separator| !separator.is_empty())
        .map_or(":", String::as_str);
    let mut files = Vec::new();
    for entry in written.split(separator) {
        refuse_remote(session, entry)?;
        let path = if entry == "-" {
            entry.to_owned()
        } else {
            session.absolute(entry)
        };
        if entry != "-" && !session.files.is_file(path.as_ref()) {
            let what = if session.files.is_dir(path.as_ref()) {
                "is a directory"
            } else {
                "is not there"
            };
            let problem =
                Problem::error(format!("the file `{entry}` {what}")).note("it is named by the variable `COMPOSE_FILE`");
            session.problem(problem);
            session.problems.incomplete();
            continue;
        }
        files.push(path);
    }
    if files.is_empty() && session.problems.any() {
        return Err(Reported);
    }
    Ok(files)
}

/// The nearest directory upwards that has a Compose file.
fn search(session: &mut Session, from: &str) -> Vec<String> {
    let mut directory = from.to_owned();
    loop {
        let present = |names: [&str; 4]| -> Vec<String> {
            let files = names.iter().map(|name| paths::join(&directory, name));
            files.filter(|file| session.files.exists(file.as_ref())).collect()
        };
        let (files, overrides) = (present(NAMES), present(OVERRIDES));
        if let [winner, losers @ ..] = files.as_slice() {
            let mut chosen = vec![winner.clone()];
            if !losers.is_empty() {
                let problem = Problem::warning(format!(
                    "there are several Compose files: `{winner}` is used, `{}` is not",
                    losers.join("`, `")
                ));
                session.problems.push(problem);
            }
            chosen.extend(overrides.into_iter().take(1));
            return chosen;
        }
        let parent = paths::parent(&directory);
        if parent == directory || directory == "/" || directory == "." {
            return Vec::new();
        }
        directory = parent;
    }
}

/// The project's name: as asked for, as the environment says, as the files say, as the directory is called.
fn name(
    session: &mut Session,
    files: &[String],
    directory: &str,
    environment: &IndexMap<String, String>,
) -> Stage<String> {
    let asked = session.options.project_name.clone().filter(|name| !name.is_empty());
    let asked = asked.or_else(|| {
        environment
            .get("COMPOSE_PROJECT_NAME")
            .filter(|name| !name.is_empty())
            .cloned()
    });
    let mut written = None;
    let mut counts = false;
    for file in files {
        // One that cannot be read was reported, and has no name to give.
        let Ok(documents) = session.documents(file, None) else {
            continue;
        };
        if !counts && session.options.project_name.as_ref().is_none_or(String::is_empty) {
            let first = documents.first().and_then(|document| document.name.as_ref());
            if let Some(node) = first.filter(|node| !yaml::is_name(node)) {
                let message = format!("`name` must be a string, but is {}", node.kind());
                session.problem(Problem::error(message).at(node.at).help("put it in quotes"));
            }
        }
        counts |= yaml::name(&documents, true).is_some();
        if let Some(node) = yaml::name(&documents, false) {
            written = Some((node.scalar_text().unwrap_or_default(), node.at));
        }
    }
    if let Some(name) = asked {
        if normal(&name) == name {
            return Ok(name);
        }
        let problem = Problem::error(format!("`{name}` cannot be a project's name"));
        let help = "a name has lower-case letters, digits, `-` and `_`, and begins with a letter or a digit";
        session.problem(problem.help(help));
        return Ok(normal(&name));
    }
    if let Some((name, at)) = written.filter(|_| !session.options.no_interpolate || counts) {
        let env = Env::new(environment);
        let name = match session.options.no_interpolate {
            true => Ok(name),
            false => template::substitute(&name, &env),
        };
        env.warn(&mut session.problems);
        let name = match name {
            Ok(name) => name,
            Err(error) => {
                interpolate::report(&error, at, &mut session.problems);
                return Ok("project".to_owned());
            }
        };
        let name = if session.options.no_normalize {
            name
        } else {
            normal(&name)
        };
        if !name.is_empty() {
            return Ok(name);
        }
        if counts {
            if !session.options.no_validation {
                session.problem(Problem::error("the project's name is empty").at(at));
            }
            return Ok("project".to_owned());
        }
    }
    let name = normal(directory.rsplit('/').next().unwrap_or_default());
    if name.is_empty() {
        let problem = Problem::error(format!(
            "the project has no name, and the directory `{directory}` gives none"
        ));
        session.problem(problem.help("give it one with `name:` in the file or with `--project-name`"));
    }
    Ok(name)
}

/// A text with what a project's name cannot have left out.
fn normal(name: &str) -> String {
    let kept = name.to_lowercase();
    let kept: String = kept
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}
