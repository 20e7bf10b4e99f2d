//! `config` without the rest of devctl: prints what Compose files mean.
//!
//! `cargo run -p devctl-compose --example config -- -f compose.yaml config --format json`

#![expect(clippy::disallowed_methods, reason = "the loader does no IO: its caller, here, does")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use devctl_compose::{Files, LoadOptions, load, model_tree};

/// The disk and standard input.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        std::fs::read(path)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }
}

#[derive(Default)]
struct Wanted {
    options: LoadOptions,
    format: String,
    output: Option<PathBuf>,
    list: Option<String>,
    hash: Option<String>,
    quiet: bool,
}

fn arguments() -> Result<Wanted, Box<dyn Error>> {
    let mut wanted = Wanted {
        format: "yaml".to_owned(),
        ..Wanted::default()
    };
    let options = &mut wanted.options;
    options.working_dir = std::env::current_dir()?;
    options.environment = std::env::vars().collect();
    let mut verb = false;
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let (flag, inline) = match argument.split_once('=').filter(|_| argument.starts_with("--")) {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| rest.next())
                .ok_or_else(|| format!("{flag} needs a value"))
        };
        match flag.as_str() {
            "config" if !verb => verb = true,
            "-f" | "--file" => options.files.push(value()?.into()),
            "-p" | "--project-name" => options.project_name = Some(value()?),
            "--project-directory" => options.project_directory = Some(value()?.into()),
            "--profile" => options.profiles.push(value()?),
            "--env-file" => options.env_files.push(value()?.into()),
            "--all-resources" => options.all_resources = true,
            "--format" => wanted.format = value()?,
            "-o" | "--output" => wanted.output = Some(value()?.into()),
            "-q" | "--quiet" => wanted.quiet = true,
            "--no-interpolate" => options.no_interpolate = true,
            "--no-normalize" => options.no_normalize = true,
            "--no-path-resolution" => options.no_path_resolution = true,
            "--no-consistency" => options.no_consistency = true,
            "--no-env-resolution" => options.no_env_resolution = true,
            "--hash" => wanted.hash = Some(value()?),
            "--services" | "--volumes" | "--networks" | "--models" | "--profiles" | "--images" | "--variables"
            | "--environment" => {
                wanted.list = Some(flag[2..].to_owned());
            }
            other if other.starts_with('-') => return Err(format!("unknown flag {other}").into()),
            _ => options.services.push(flag),
        }
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut wanted = arguments()?;
    if wanted.options.no_interpolate {
        let tree = model_tree(&Disk, &wanted.options)?;
        let text = if wanted.format == "json" {
            tree.to_json_text()
        } else {
            tree.to_yaml()
        };
        return print(&wanted, &text);
    }
    if wanted.list.as_deref() == Some("variables") {
        wanted.options.no_interpolate = true;
        wanted.options.no_validation = true;
        let mut text = String::from("NAME\tREQUIRED\tDEFAULT VALUE\tALTERNATE VALUE\n");
        for variable in model_tree(&Disk, &wanted.options)?.variables() {
            text += &format!(
                "{}\t{}\t{}\t{}\n",
                variable.name, variable.required, variable.default, variable.presence
            );
        }
        return print(&wanted, &text);
    }
    let loaded = load(&Disk, &wanted.options)?;
    for warning in &loaded.warnings {
        writeln!(io::stderr(), "{warning}")?;
    }
    let project = loaded.project;
    let lines = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect::<String>();
    if let Some(names) = &wanted.hash {
        let chosen = project
            .services
            .values()
            .filter(|service| names == "*" || names.split(',').any(|name| name == service.name));
        let mut all: Vec<String> = chosen
            .map(|service| format!("{} {}", service.name, service.hash()))
            .collect();
        all.sort();
        return print(&wanted, &lines(all));
    }
    let text = match wanted.list.as_deref() {
        Some("services") => lines(project.services.keys().cloned().collect()),
        Some("volumes") => lines(project.volumes.keys().cloned().collect()),
        Some("networks") => lines(project.networks.keys().cloned().collect()),
        Some("models") => lines(
            project
                .models
                .values()
                .filter_map(|model| model.model.clone())
                .collect(),
        ),
        Some("profiles") => {
            let mut all: Vec<String> = project
                .all_services()
                .flat_map(|service| service.profiles.clone())
                .collect();
            all.sort();
            all.dedup();
            lines(all)
        }
        Some("images") => lines(project.images()),
        Some(_) => {
            let mut all: Vec<String> = project
                .environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            all.sort();
            lines(all)
        }
        None if wanted.format == "json" => project.to_json_text()?,
        None => project.to_yaml(),
    };
    print(&wanted, &text)
}

fn print(wanted: &Wanted, text: &str) -> Result<(), Box<dyn Error>> {
    if wanted.quiet {
        return Ok(());
    }
    match &wanted.output {
        Some(path) => std::fs::write(path, text)?,
        None => io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}
