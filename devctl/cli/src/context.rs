//! What every verb is given: the global flags, the terminal, the project on demand, and a runtime where it needs one.

use std::future::Future;

use devctl_wire::v1;

use crate::args::{Format, Global};
use crate::error::Error;
use crate::project::Project;
use crate::render::{self, Render, Show};
use crate::terminal::Terminal;

/// The surroundings of a verb.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global flags.
    pub(crate) global: Global,
    /// How to talk.
    pub(crate) terminal: Terminal,
    /// Standard output is somebody else's: all that devctl says is talk.
    pub(crate) is_aside: bool,
}

impl Context {
    /// Looks at flags and terminal.
    pub(crate) fn new(mut global: Global, verb_format: Option<Format>) -> Self {
        global.project_name = global.project_name.take().or_else(|| global.project_name_short.take());
        global.color = global.color.or(global.compose.ansi);
        global.quiet |= global.compose.progress.as_deref() == Some("quiet");
        global.format = global.format.or(match global.compose.progress.as_deref() {
            Some("tty") => Some(Format::Tty),
            Some("plain") => Some(Format::Plain),
            Some("json" | "rawjson") => Some(Format::Json),
            _ => None,
        });
        let terminal = Terminal::detect(&global, verb_format);
        Self {
            global,
            terminal,
            is_aside: false,
        }
    }

    /// Reads the project's files.
    pub(crate) fn project(&self) -> Result<Project, Error> {
        Ok(Project::load(&self.global, Vec::new())?)
    }

    /// Reads the project's files, with the profiles of services that are named, each of which must be one.
    pub(crate) fn project_of<'a>(&self, named: impl IntoIterator<Item = &'a String>) -> Result<Project, Error> {
        let named: Vec<String> = named.into_iter().cloned().collect();
        let project = Project::load(&self.global, named)?;
        project.check_services(&project.named)?;
        Ok(project)
    }

    /// Runs a conversation on a runtime of one thread. Verbs without one make no runtime at all.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Io {
                doing: "start a runtime".into(),
                source,
                help: None,
            })?;
        let done = runtime.block_on(work);
        // A blocked read or lock on another thread must not hold up the end.
        runtime.shutdown_background();
        done
    }

    /// The renderer for a conversation.
    pub(crate) fn renderer(&self, show: Show) -> Box<dyn Render> {
        let quiet = self.global.quiet || show.quiet;
        render::renderer(self.terminal, Show { quiet, ..show }, self.is_aside)
    }

    /// Everything of this caller that a request depends on.
    pub(crate) fn source(&self, project: &Project) -> v1::Source {
        let text = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
        v1::Source {
            files: self.global.files.clone(),
            project_directory: self.global.project_directory.as_ref().map(text).unwrap_or_default(),
            project_name: project.name.clone(),
            profiles: self.global.profiles.clone(),
            env_files: self.global.env_files.iter().map(text).collect(),
            // Names and values that are no text cannot be in a Compose file either.
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            working_directory: std::env::current_dir().map(|path| text(&path)).unwrap_or_default(),
            runtime: self.global.runtime().to_wire().into(),
            strict_names: self.global.strict_names,
            runtimes: self.global.named_runtimes(),
            named_services: project.named.clone(),
        }
    }
}
