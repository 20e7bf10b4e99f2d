//! `build`: what services are made from: images by the engine, programs by the commands of `x-devctl.native.build`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use devctl_compose::model::Service;
use devctl_daemon::images;
use devctl_drivers::exec::{self, Keep};
use devctl_drivers::process::{ProcessSpec, Stdin};

use crate::args::{Runtime, Services};
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::standing;

/// Build services: their images, or what they are run from
#[derive(Args, Debug)]
pub(crate) struct Build {
    /// Set a build argument: NAME=VALUE, or NAME for this environment's own value
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,

    /// Run every step again
    #[arg(long)]
    no_cache: bool,

    /// Let steps use your SSH agent (`default`), or the key or agent's socket of a file: NAME=PATH
    #[arg(long, value_name = "default|NAME=PATH")]
    ssh: Vec<String>,

    /// Pull base images even if they are there
    #[arg(long)]
    pull: bool,

    /// Push what was built
    #[arg(long)]
    push: bool,

    /// No output but errors
    #[arg(short, long = "quiet", id = "build_quiet")]
    quiet: bool,

    /// Also what these services depend on
    #[arg(long)]
    with_dependencies: bool,

    #[command(flatten)]
    services: Services,

    #[command(flatten)]
    refused: Refused,
}

/// What Docker Compose's `build` can and this one cannot: said in words, instead of an unknown flag.
#[derive(Args, Debug, Default)]
struct Refused {
    #[arg(short, long, hide = true)]
    memory: Option<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    check: bool,
    #[arg(long, hide = true)]
    print: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "")]
    provenance: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "")]
    sbom: Option<String>,
}

impl Refused {
    fn refuse(&self) -> Result<(), Error> {
        let all = [
            (
                self.memory.is_some(),
                "--memory",
                "the engine's BuildKit knows no limit: leave it out",
            ),
            (
                self.builder.is_some(),
                "--builder",
                "the engine's own builder is used: leave it out",
            ),
            (
                self.check,
                "--check",
                "`docker buildx build --check` checks a Dockerfile",
            ),
            (
                self.print,
                "--print",
                "`docker compose build --print` prints a bake file",
            ),
            (
                self.provenance.is_some(),
                "--provenance",
                "attestations need buildx: leave it out",
            ),
            (self.sbom.is_some(), "--sbom", "attestations need buildx: leave it out"),
        ];
        match all.into_iter().find(|(given, ..)| *given) {
            Some((_, flag, help)) => Err(Error::usage(format!("`build {flag}` is not supported"), help)),
            None => Ok(()),
        }
    }
}

impl Build {
    /// Of these services, as their files say.
    pub(super) fn of(services: Vec<String>) -> Self {
        Self {
            build_args: Vec::new(),
            no_cache: false,
            ssh: Vec::new(),
            pull: false,
            push: false,
            quiet: false,
            with_dependencies: false,
            services: Services { services },
            refused: Refused::default(),
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        self.refused.refuse()?;
        let project = context.project_of(&self.services.services)?;
        let names = super::pull::reach(&project, &self.services.services, self.with_dependencies);
        let names = in_order(&project, names);
        if context.global.dry_run {
            return self.told(context, &project, &names);
        }
        let quiet = self.quiet || context.global.quiet;
        let mut built = 0;
        for service in names.iter().filter_map(|name| project.model.services.get(name)) {
            let native = service.x_devctl.native.as_ref();
            let as_process = native.is_some_and(|native| native.command.is_some())
                && context.global.runtime_of(&service.name) != Runtime::Docker;
            let began = Instant::now();
            let made = if as_process {
                context.block_on(program(&project, service, quiet))?
            } else {
                context.block_on(self.image(&project, service, quiet))?
            };
            if let Some(what) = made {
                built += 1;
                if !quiet {
                    writeln!(
                        io::stderr(),
                        "{}  built {what} in {:.1} s",
                        service.name,
                        began.elapsed().as_secs_f64()
                    )?;
                }
            }
        }
        if built == 0 && !quiet {
            writeln!(
                io::stderr(),
                "nothing to build: no service has `build` (or `x-devctl.native.build`)"
            )?;
        }
        if self.push {
            return super::push::Push::of(names, quiet).run(context);
        }
        Ok(Exit::Ok)
    }

    /// `--dry-run`.
    fn told(&self, context: &Context, project: &Project, names: &[String]) -> Result<Exit, Error> {
        let mut model = project.model.clone();
        model.name = project.docker_name();
        let mut steps = Vec::new();
        for service in names.iter().filter_map(|name| project.model.services.get(name)) {
            let native = service.x_devctl.native.as_ref();
            let command = native.and_then(|native| native.build.as_ref());
            let as_process = native.is_some_and(|native| native.command.is_some())
                && context.global.runtime_of(&service.name) != Runtime::Docker;
            if as_process {
                let words = command.map(|words| format!("by `{}`", words.join(" ")));
                steps.extend(words.map(|words| Step::new("build", &service.name).because(words)));
            } else if service.build.is_some() {
                let image = images::name(&model, service);
                steps.push(Step::new("build", &service.name).because(format!("image {image}")));
                if self.push && service.image.is_some() {
                    steps.push(Step::new("push", image).because(service.name.clone()));
                }
            }
        }
        dry::tell(context, &steps)
    }

    /// `--ssh`, its paths as the caller means them.
    fn agents(&self) -> impl Iterator<Item = (String, Option<PathBuf>)> {
        self.ssh.iter().map(|given| match given.split_once('=') {
            Some((id, path)) if !path.is_empty() => (id.to_owned(), std::path::absolute(path).ok()),
            Some((id, _)) => (id.to_owned(), None),
            None if given.is_empty() => ("default".to_owned(), None),
            None => (given.clone(), None),
        })
    }

    async fn image(&self, project: &Project, service: &Service, quiet: bool) -> Result<Option<String>, Error> {
        let mut model = project.model.clone();
        model.name = project.docker_name();
        let Some(mut build) = images::build(&model, service) else {
            return Ok(None);
        };
        build.args.extend(super::exec::variables(&self.build_args));
        build.no_cache |= self.no_cache;
        build.pull |= self.pull;
        build.ssh.extend(self.agents());
        let engine = standing::engine().await?;
        let mut on_line = |line: &str| show(&service.name, line, quiet);
        match build.run(&engine, &standing::environment(), &mut on_line).await {
            Ok(image) => Ok(Some(format!("{} ({})", build.image, super::pull::short(&image.id)))),
            Err(error) => {
                let output: Vec<String> = error.output().to_vec();
                Err(failed(
                    service,
                    &with_causes(&error),
                    error.help(),
                    quiet,
                    output.iter().map(String::as_str),
                ))
            }
        }
    }
}

/// Before each service those whose images its own build starts from.
fn in_order(project: &Project, names: Vec<String>) -> Vec<String> {
    fn add(project: &Project, name: String, all: &mut Vec<String>) {
        if all.contains(&name) {
            return;
        }
        for source in images::sources(&project.model, &name) {
            add(project, source, all);
        }
        all.push(name);
    }
    let mut all = Vec::new();
    for name in names {
        add(project, name, &mut all);
    }
    all
}

/// Builds a process by its own command, as the daemon would.
pub(super) async fn program(project: &Project, service: &Service, quiet: bool) -> Result<Option<String>, Error> {
    let Some(native) = &service.x_devctl.native else {
        return Ok(None);
    };
    let Some((program, args)) = native.build.as_ref().and_then(|build| build.split_first()) else {
        return Ok(None);
    };
    let words = format!("`{}`", [std::slice::from_ref(program), args].concat().join(" "));
    let dir = match &native.dir {
        Some(dir) => project.model.working_dir.join(dir),
        None => project.model.working_dir.clone(),
    };
    let spec = ProcessSpec {
        program: program.clone(),
        args: args.to_vec(),
        env: standing::environment(),
        dir,
        user: None,
        stdin: Stdin::Null,
        nofile: None,
    };
    let keep = Keep {
        head: 0,
        tail: 64 * 1024,
    };
    let name = service.name.clone();
    let show = move |_, line: &str| show(&name, line, quiet);
    let outcome = exec::stream(&spec, None, keep, None, show)
        .await
        .map_err(|error| Error::Unmet {
            what: format!("failed to build `{}`: {error}", service.name),
            help: error.help(),
        })?;
    if outcome.success() {
        return Ok(Some(words));
    }
    let how = match outcome.exit {
        Some(devctl_drivers::process::Exit::Code(code)) => format!("exited with {code}"),
        _ => "was ended".to_owned(),
    };
    Err(failed(
        service,
        &format!("{words} {how}"),
        None,
        quiet,
        outcome.output.lines(),
    ))
}

fn show(service: &str, line: &str, quiet: bool) {
    if !quiet {
        // A reader that is gone is noticed by whatever is written last.
        let _ = writeln!(io::stderr(), "{service}  {line}");
    }
}

/// In one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(&format!(": {below}"));
        cause = below.source();
    }
    text
}

/// What was not shown yet is shown with the error.
fn failed<'a>(
    service: &Service,
    why: &str,
    help: Option<String>,
    quiet: bool,
    output: impl Iterator<Item = &'a str>,
) -> Error {
    let mut what = format!(
        "failed to build `{}`: {}",
        service.name,
        why.trim_start_matches("build ")
    );
    if quiet {
        for line in output {
            what.push_str(&format!("\n  {line}"));
        }
    }
    Error::Unmet { what, help }
}
