//! `test`: a copy of the project for one command, such as a suite of integration tests: with a name, data, ports and ways of its own,
//! up when the command starts and gone with all it left behind when it has ended.
//!
//! The copy is the same Compose files with one more on top ([`overlay`]), under another project name. What is not said there is as it
//! is under `up`; the command runs as one more process of the copy, so that it has edges like any service, and every verb inside of
//! it (`devctl db`, `devctl fault`, `devctl traffic`) means the copy.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use devctl_drivers::dirs::{Dirs, Places};

use super::down::Down;
use super::run::Run;
use super::up::Up;
use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;

mod overlay;

/// Run a command, such as a test suite, beside a copy of the project that is made for it and removed with its data when it ends
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Services of the copy, with what they depend on [default: all; with --as: what that one depends on]
    #[arg(value_name = "SERVICE", add = complete::services())]
    services: Vec<String>,

    /// The command gets this service's environment, and stands in its place: the service itself is not started
    #[arg(long = "as", value_name = "SERVICE", add = complete::services())]
    in_place_of: Option<String>,

    /// Answer this service from its contracts instead of running it; may be given several times
    #[arg(long, value_name = "SERVICE", add = complete::services())]
    stub: Vec<String>,

    /// Build before starting, even what looks built
    #[arg(long, conflicts_with = "no_build")]
    build: bool,

    /// Never build
    #[arg(long)]
    no_build: bool,

    /// How long to wait for the services to be ready, seconds [default: as long as it takes]
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u32>,

    /// Leave the copy up when the command has ended, and say how it is called
    #[arg(long)]
    keep: bool,

    /// Command and arguments
    #[arg(value_name = "COMMAND", last = true, required = true)]
    command: Vec<String>,
}

/// What of `up` a copy is brought up with.
pub(super) struct Start {
    pub(super) services: Vec<String>,
    pub(super) stub: Vec<String>,
    pub(super) build: bool,
    pub(super) no_build: bool,
    pub(super) wait_timeout: Option<u32>,
}

impl Test {
    /// Runs it. The status is the command's; 2 where the copy did not come up.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(self.services.iter().chain(&self.stub).chain(&self.in_place_of))?;
        let services = self.started(&project);
        if context.global.dry_run {
            let mut steps: Vec<Step> = services.iter().map(|name| Step::new("start a copy of", name)).collect();
            steps.push(Step::new("run", format!("`{}`", shell_words::join(&self.command))));
            steps.push(Step::new("remove", "the copy, with its data"));
            return dry::tell(context, &steps);
        }
        let copy = Copy::of(context, &project, self.in_place_of.as_deref())?;
        let ended = self.inside(&copy, services);
        if self.keep {
            copy.kept()?;
            return ended;
        }
        match (copy.removed(), ended) {
            (Err(error), Ok(_)) => Err(error),
            (_, ended) => ended,
        }
    }

    /// What is brought up; none: nothing is needed.
    fn started(&self, project: &Project) -> Vec<String> {
        let of_service = self
            .in_place_of
            .as_ref()
            .and_then(|name| project.model.services.get(name));
        match (self.services.as_slice(), of_service) {
            ([], None) => project.services(),
            ([], Some(service)) => service.depends_on.keys().cloned().collect(),
            (named, _) => named.to_vec(),
        }
    }

    fn inside(&self, copy: &Copy, services: Vec<String>) -> Result<Exit, Error> {
        if !services.is_empty() {
            let start = Start {
                services,
                stub: self.stub.clone(),
                build: self.build,
                no_build: self.no_build,
                wait_timeout: self.wait_timeout,
            };
            match Up::copied(start).run(&copy.context)? {
                Exit::Ok => {}
                signal @ Exit::Signal(_) => return Ok(signal),
                // What was to be tested is not there: nothing is known of it.
                _ => return Ok(Exit::CouldNotRun),
            }
        }
        Run::beside(overlay::SERVICE, self.command.clone(), copy.variables()).run(&copy.context)
    }
}

/// The copy of a project.
struct Copy {
    context: Context,
    name: String,
    dirs: Dirs,
    files: Vec<PathBuf>,
}

impl Copy {
    /// Nothing of it is there yet but the file that makes it one.
    fn of(context: &Context, project: &Project, in_place_of: Option<&str>) -> Result<Self, Error> {
        let (name, dirs) = free_name(project);
        let file = dirs.state.join("copy.yaml");
        let failed = |source| Error::Io {
            doing: format!("write `{}`", file.display()),
            source,
            help: None,
        };
        let here = std::env::current_dir().unwrap_or_default();
        dirs.create().map_err(|error| Error::Refused {
            what: format!("failed to {error}"),
            help: error.help(),
        })?;
        std::fs::write(&file, overlay::text(&project.model, &name, in_place_of, &here)).map_err(failed)?;
        let mut files = project.model.compose_files.clone();
        files.push(file);
        let mut global = context.global.clone();
        global.files = files.iter().map(|file| file.display().to_string()).collect();
        global.project_directory = Some(project.model.working_dir.clone());
        global.project_name = Some(name.clone());
        let mut context = Context::new(global, None);
        // What is printed is the command's.
        context.is_aside = true;
        Ok(Self {
            context,
            name,
            dirs,
            files,
        })
    }

    /// For whatever asks for the project inside of the command.
    fn variables(&self) -> Vec<String> {
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        vec![
            format!("COMPOSE_PROJECT_NAME={}", self.name),
            format!("COMPOSE_FILE={}", files.join(":")),
            "COMPOSE_PATH_SEPARATOR=:".to_owned(),
        ]
    }

    fn kept(&self) -> Result<(), Error> {
        writeln!(
            io::stderr(),
            "the copy stays up: `devctl -p {name} ps` shows it, `devctl -p {name} down -v` ends it",
            name = self.name
        )?;
        Ok(())
    }

    /// Everything of it goes: what runs, its data, and what devctl keeps of it.
    fn removed(&self) -> Result<(), Error> {
        match Down::everything().run(&self.context)? {
            Exit::Ok => {}
            _ => {
                return Err(Error::Unmet {
                    what: format!("something of the copy `{}` is left", self.name),
                    help: Some(format!("`devctl -p {} down -v` tries again", self.name)),
                });
            }
        }
        for dir in [&self.dirs.data, &self.dirs.runtime, &self.dirs.state] {
            // The daemon has removed some of it itself.
            let _gone = std::fs::remove_dir_all(dir);
        }
        Ok(())
    }
}

/// A name that no other copy has, of this process or of one that was killed.
fn free_name(project: &Project) -> (String, Dirs) {
    let directory: &Path = &project.directory;
    let mut number = std::process::id();
    loop {
        let name = format!("{}-test-{number}", project.name);
        let dirs = Dirs::of_project(directory, &name, &Places::from_env());
        if !dirs.state.exists() {
            return (name, dirs);
        }
        number = number.wrapping_add(1);
    }
}
