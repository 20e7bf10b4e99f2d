//! `cp`: files into a service and out of it. Of a process, paths are relative to its directory.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use devctl_drivers::docker::copy::{CopyError, CopyOptions};

use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::standing::{self, Standing};

/// Copy files between a service and this machine
#[derive(Args, Debug)]
pub(crate) struct Cp {
    /// User and group come along by number (in a container)
    #[arg(short, long)]
    archive: bool,

    /// A symbolic link that is the source means what it leads to
    #[arg(short = 'L', long)]
    follow_link: bool,

    /// Which replica [default: into a service, all of them; out of it, the first]
    #[arg(long)]
    index: Option<u32>,

    /// Also the containers that `run` has made
    #[arg(long)]
    all: bool,

    /// `SERVICE:PATH`, a path here, or `-` for an archive at stdin
    #[arg(value_name = "SOURCE")]
    source: String,

    /// `SERVICE:PATH`, a path here, or `-` for an archive at stdout
    #[arg(value_name = "TARGET")]
    target: String,
}

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum End<'a> {
    Service(&'a str, &'a str),
    Here(&'a str),
}

impl Cp {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let (source, target) = (end(&self.source), end(&self.target));
        let service = match (&source, &target) {
            (End::Service(service, _), End::Here(_)) | (End::Here(_), End::Service(service, _)) => *service,
            (End::Service(..), End::Service(..)) => {
                return Err(Error::usage(
                    "copying from service to service is not supported",
                    "copy to this machine first",
                ));
            }
            (End::Here(_), End::Here(_)) => {
                return Err(Error::usage(
                    "neither end names a service",
                    "write one of them as `SERVICE:PATH`",
                ));
            }
        };
        project.check_services([&service.to_owned()])?;
        let options = CopyOptions {
            archive: self.archive,
            follow: self.follow_link,
        };
        if context.global.dry_run {
            let step = Step::new("copy", &self.source).because(format!("to {}", self.target));
            return dry::tell(context, &[step]);
        }
        context.block_on(async {
            let standings = self
                .standings(&project, service, matches!(target, End::Service(..)))
                .await?;
            let many = standings.len() > 1 && matches!(source, End::Here("-"));
            if many {
                return Err(Error::usage(
                    format!("an archive at stdin can be read only once, and `{service}` has several replicas"),
                    "`--index NUM` names one",
                ));
            }
            for standing in &standings {
                copy(standing, service, (&source, &target), options).await?;
            }
            Ok(Exit::Ok)
        })
    }

    /// Into a service: every replica of it, unless one is named; out of it: one.
    async fn standings(&self, project: &Project, service: &str, into: bool) -> Result<Vec<Standing>, Error> {
        let mut found = Vec::new();
        if let (None, true) = (self.index, into) {
            let running = standing::everything(project, &[service.to_owned()]).await?;
            for one in running {
                found.push(standing::running(project, service, one.index).await?);
            }
        }
        if found.is_empty() && (!self.all || self.index.is_some()) {
            found.push(standing::running(project, service, self.index.unwrap_or(1)).await?);
        }
        if self.all && self.index.is_none() && (into || found.is_empty()) {
            found.extend(standing::one_offs(project, service).await?);
        }
        if found.is_empty() {
            // Told why there is none.
            found.push(standing::running(project, service, 1).await?);
        }
        if !into {
            found.truncate(1);
        }
        Ok(found)
    }
}

async fn copy(
    standing: &Standing,
    service: &str,
    (source, target): (&End<'_>, &End<'_>),
    options: CopyOptions,
) -> Result<(), Error> {
    match standing {
        Standing::Container(container) => {
            let (engine, id) = (&container.engine, container.id.as_str());
            let done = match (source, target) {
                (End::Here("-"), End::Service(_, to)) => engine.copy_archive_in(id, io::stdin(), to, options).await,
                (End::Here(from), End::Service(_, to)) => engine.copy_in(id, from, to, options).await,
                (End::Service(_, from), End::Here("-")) => {
                    engine.copy_archive_out(id, from, io::stdout(), options).await
                }
                (End::Service(_, from), End::Here(to)) => engine.copy_out(id, from, Path::new(to), options).await,
                _ => Ok(()),
            };
            done.map_err(|error| refused(&error))
        }
        Standing::Process(inside) if inside.directory.is_empty() => Err(Error::Unmet {
            what: format!("`{service}` is no process with a directory of its own"),
            help: Some("copy on this machine: its files are here".into()),
        }),
        Standing::Process(inside) => {
            let there = |path: &str| Path::new(&inside.directory).join(path);
            let (from, to) = match (source, target) {
                (End::Here("-"), _) | (_, End::Here("-")) => {
                    return Err(Error::usage(
                        format!("`{service}` runs as a process: there is no archive to read or write"),
                        "name a path",
                    ));
                }
                (End::Here(from), End::Service(_, to)) => (PathBuf::from(from), there(to)),
                (End::Service(_, from), End::Here(to)) => (there(from), PathBuf::from(to)),
                _ => return Ok(()),
            };
            copy_here(&from, &to, options.follow)
        }
        Standing::Idle(_) | Standing::Nowhere => Ok(()),
    }
}

/// A service's path has a name and a colon before it; `./a:b` and `/a:b` are paths here.
fn end(written: &str) -> End<'_> {
    match written.split_once(':') {
        Some((service, path)) if !service.is_empty() && !service.contains('/') && !service.starts_with('.') => {
            End::Service(service, if path.is_empty() { "/" } else { path })
        }
        _ => End::Here(written),
    }
}

fn refused(error: &CopyError) -> Error {
    Error::Unmet {
        what: format!("failed to {}", with_cause(error)),
        help: None,
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) if !error.to_string().contains(&cause.to_string()) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

/// `cp -r`'s rules, and those of `docker cp`: into a directory that is there, under the name that is given otherwise.
fn copy_here(from: &Path, to: &Path, follow: bool) -> Result<(), Error> {
    let failed = |doing: String| {
        move |source| Error::Io {
            doing,
            source,
            help: None,
        }
    };
    let metadata = if follow {
        from.metadata()
    } else {
        from.symlink_metadata()
    };
    let metadata = metadata.map_err(failed(format!("copy `{}`", from.display())))?;
    let contents = from.as_os_str().to_string_lossy().ends_with("/.");
    let target = match (to.is_dir(), contents, from.file_name()) {
        (true, false, Some(name)) => to.join(name),
        _ => to.to_owned(),
    };
    if metadata.is_dir() && target.is_file() {
        return Err(Error::Unmet {
            what: format!(
                "failed to copy directory `{}` to `{}`: that is a file",
                from.display(),
                target.display()
            ),
            help: None,
        });
    }
    if is_same(from, &target) {
        return Err(Error::Unmet {
            what: format!("`{}` and `{}` are the same file", from.display(), target.display()),
            help: None,
        });
    }
    if metadata.is_dir() && lies_in(&target, from) {
        return Err(Error::Unmet {
            what: format!("directory `{}` cannot be copied into itself", from.display()),
            help: None,
        });
    }
    copy_tree(from, &target, follow).map_err(failed(format!("copy `{}` to `{}`", from.display(), target.display())))
}

/// Under whatever names: a file that is copied onto itself would be emptied.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    place(one).is_some_and(|at| place(other) == Some(at))
}

/// Whether a path, which need not be there, is below a directory.
fn lies_in(path: &Path, directory: &Path) -> bool {
    let there = path.ancestors().find_map(|path| path.canonicalize().ok());
    let whole = std::path::absolute(path).ok().filter(|path| !path.exists());
    let start = whole
        .as_deref()
        .and_then(Path::parent)
        .and_then(|parent| parent.canonicalize().ok());
    let within = |path: &Path| {
        directory
            .canonicalize()
            .is_ok_and(|directory| path.starts_with(directory))
    };
    start.or(there).is_some_and(|start| within(&start))
}

fn copy_tree(from: &Path, to: &Path, follow: bool) -> io::Result<()> {
    let metadata = if follow {
        from.metadata()?
    } else {
        from.symlink_metadata()?
    };
    if metadata.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()), false)?;
        }
        std::fs::set_permissions(to, metadata.permissions())
    } else if metadata.is_symlink() {
        if to.symlink_metadata().is_ok() {
            std::fs::remove_file(to)?;
        }
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)
    } else {
        std::fs::copy(from, to).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_from_a_path() {
        assert_eq!(end("api:/etc/x"), End::Service("api", "/etc/x"));
        assert_eq!(end("api:"), End::Service("api", "/"));
        assert_eq!(end("./a:b"), End::Here("./a:b"));
        assert_eq!(end("/a:b"), End::Here("/a:b"));
        assert_eq!(end("-"), End::Here("-"));
    }

    #[test]
    fn trees_go_into_directories_and_under_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/x"), "1").unwrap();
        std::os::unix::fs::symlink("b/x", at("a/link")).unwrap();
        std::fs::create_dir(at("into")).unwrap();
        copy_here(&at("a"), &at("into"), false).unwrap();
        assert_eq!(std::fs::read_to_string(at("into/a/b/x")).unwrap(), "1");
        assert_eq!(std::fs::read_link(at("into/a/link")).unwrap(), Path::new("b/x"));
        copy_here(&at("a"), &at("new"), false).unwrap();
        assert!(at("new/b/x").is_file());
        copy_here(&at("a/link"), &at("file"), true).unwrap();
        assert!(!at("file").is_symlink());
        assert!(copy_here(&at("a"), &at("file"), false).is_err());
    }

    #[test]
    fn nothing_is_copied_onto_or_into_itself() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/x"), "1").unwrap();
        std::fs::hard_link(at("a/x"), at("other")).unwrap();
        std::os::unix::fs::symlink("a/x", at("link")).unwrap();
        for (from, to) in [
            ("a/x", "a"),
            ("a/x", "a/x"),
            ("a/x", "other"),
            ("link", "a/x"),
            ("a", "a"),
            ("a", "a/b"),
            ("a", "a/b/c"),
        ] {
            let said = copy_here(&at(from), &at(to), true);
            assert!(said.is_err(), "{from} -> {to}");
        }
        assert_eq!(std::fs::read_to_string(at("a/x")).unwrap(), "1");
        assert_eq!(std::fs::read_dir(at("a/b")).unwrap().count(), 0);
        std::fs::create_dir(at("ab")).unwrap();
        copy_here(&at("a"), &at("ab/new"), false).unwrap();
        assert!(at("ab/new/x").is_file());
    }
}
