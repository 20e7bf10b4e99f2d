//! Files into a container and out of it, running or not, by the rules of `docker cp`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bollard::errors::Error as Api;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use super::Engine;
use super::error::{brief, short_ids};

/// Go's bit for a directory in a file's mode, which is how the engine tells it.
const GO_DIRECTORY: u32 = 1 << 31;
/// Go's bit for a symbolic link.
const GO_LINK: u32 = 1 << 27;

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// User and group come along by number.
    pub archive: bool,
    /// A symbolic link that is named as the source means what it leads to.
    pub follow: bool,
}

/// What is at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// A directory.
    pub is_dir: bool,
    /// Where it leads, for a symbolic link.
    pub link: Option<String>,
}

/// Why a copy did not come about.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing.
    #[error("copy `{path}` of `{container}`: there is no such file or directory")]
    Missing {
        /// Of which container.
        container: String,
        /// What was looked for.
        path: String,
    },
    /// A directory was to become a file.
    #[error("copy directory `{from}` to `{to}`: that is a file")]
    OntoFile {
        /// From where.
        from: String,
        /// To where.
        to: String,
    },
    /// The directory that is to hold the copy is not there.
    #[error("copy to `{path}`: there is no such directory")]
    NoDirectory {
        /// Which.
        path: String,
    },
    /// The engine.
    #[error("copy from or to `{container}`: {}", brief(source))]
    Engine {
        /// Which container.
        container: String,
        /// What it said.
        #[source]
        source: Box<Api>,
    },
    /// This machine's files.
    #[error("copy `{}`", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Where a copy goes, once it is known what is there.
struct Target<'a> {
    /// The directory that the archive is unpacked in.
    directory: String,
    /// What the archive's first name becomes; empty: its contents go into the directory.
    name: &'a str,
}

impl Engine {
    /// What is at a path of a container; `None` where nothing is.
    ///
    /// # Errors
    /// Where there is no such container, or the engine does not answer.
    pub async fn find_in_container(&self, container: &str, path: &str) -> Result<Option<Found>, CopyError> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        match self.docker().get_container_archive_info(container, Some(options)).await {
            Ok(found) => {
                let mode = found.file_mode;
                Ok(Some(Found {
                    is_dir: mode & GO_DIRECTORY != 0,
                    link: (mode & GO_LINK != 0).then_some(found.link_target),
                }))
            }
            Err(Api::DockerResponseServerError {
                status_code: 404,
                message,
            }) if !message.contains("No such container: ") => Ok(None),
            Err(source) => Err(engine_error(container, source)),
        }
    }

    /// Copies a file or directory of this machine into a container. `source` ending in `/.` means a directory's contents.
    ///
    /// # Errors
    /// Where one of the two ends is not what it should be; nothing is copied then.
    pub async fn copy_in(
        &self,
        container: &str,
        source: &str,
        target: &str,
        options: CopyOptions,
    ) -> Result<(), CopyError> {
        let contents = source.ends_with("/.") || source == ".";
        let path = PathBuf::from(source);
        let failed = |source| CopyError::Io {
            path: path.clone(),
            source,
        };
        let metadata = match options.follow {
            true => std::fs::metadata(&path),
            false => std::fs::symlink_metadata(&path),
        }
        .map_err(failed)?;
        let mut found = self.find_in_container(container, target).await?;
        // A link to a directory is a directory here.
        if let Some(Found { link: Some(_), .. }) = &found {
            found = self
                .find_in_container(container, &format!("{target}/."))
                .await?
                .or(found);
        }
        let base = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let place = place(found.as_ref(), metadata.is_dir(), contents, (source, &base), target)?;
        let parent = self
            .find_in_container(container, &format!("{}/.", place.directory))
            .await?;
        if parent.is_none_or(|parent| !parent.is_dir) {
            return Err(CopyError::NoDirectory { path: place.directory });
        }
        let (name, from) = (place.name.to_owned(), path.clone());
        let archive = written(move |out| write_archive(out, &from, &name, options.follow));
        self.unpack(container, &place.directory, archive, options).await
    }

    /// Unpacks an archive in a directory of a container.
    ///
    /// # Errors
    /// Where the directory is not there, or the archive is none.
    pub async fn copy_archive_in(
        &self,
        container: &str,
        archive: impl Read + Send + 'static,
        target: &str,
        options: CopyOptions,
    ) -> Result<(), CopyError> {
        let mut archive = archive;
        let bytes = written(move |out| io::copy(&mut archive, out).map(|_| ()));
        self.unpack(container, target, bytes, options).await
    }

    async fn unpack(
        &self,
        container: &str,
        directory: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        options: CopyOptions,
    ) -> Result<(), CopyError> {
        let mut query = UploadToContainerOptionsBuilder::new()
            .path(directory)
            .no_overwrite_dir_non_dir("true");
        if options.archive {
            query = query.copy_uidgid("true");
        }
        self.docker()
            .upload_to_container(container, Some(query.build()), bollard::body_try_stream(archive))
            .await
            .map_err(|source| engine_error(container, source))
    }

    /// Copies a file or directory of a container to this machine. `source` ending in `/.` means a directory's contents.
    ///
    /// # Errors
    /// Where one of the two ends is not what it should be.
    pub async fn copy_out(
        &self,
        container: &str,
        source: &str,
        target: &Path,
        options: CopyOptions,
    ) -> Result<(), CopyError> {
        let (source, found) = self.resolve(container, source, options).await?;
        let contents = source.ends_with("/.");
        let there = std::fs::metadata(target).ok().map(|data| Found {
            is_dir: data.is_dir(),
            link: None,
        });
        let written_target = target.display().to_string();
        let base = source
            .trim_end_matches("/.")
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let place = place(
            there.as_ref(),
            found.is_dir,
            contents,
            (&source, &base),
            &written_target,
        )?;
        let directory = PathBuf::from(&place.directory);
        if !directory.is_dir() {
            return Err(CopyError::NoDirectory { path: place.directory });
        }
        let name = place.name.to_owned();
        let owner = options.archive;
        self.download(container, &source, move |archive| {
            unpack_here(archive, &directory, &name, owner)
        })
        .await
    }

    /// Writes a file or directory of a container as an archive.
    ///
    /// # Errors
    /// Where it is not there, or nobody reads.
    pub async fn copy_archive_out(
        &self,
        container: &str,
        source: &str,
        mut out: impl io::Write + Send + 'static,
        options: CopyOptions,
    ) -> Result<(), CopyError> {
        let (source, _) = self.resolve(container, source, options).await?;
        self.download(container, &source, move |mut archive| {
            io::copy(&mut archive, &mut out).map(|_| ())
        })
        .await
    }

    async fn resolve(&self, container: &str, source: &str, options: CopyOptions) -> Result<(String, Found), CopyError> {
        let missing = || CopyError::Missing {
            container: short_ids(container),
            path: source.to_owned(),
        };
        let found = self.find_in_container(container, source).await?.ok_or_else(missing)?;
        match &found.link {
            Some(link) if options.follow => {
                let followed = self.find_in_container(container, link).await?.ok_or_else(missing)?;
                Ok((link.clone(), followed))
            }
            _ => Ok((source.to_owned(), found)),
        }
    }

    /// Hands the archive of a container's path to a blocking reader.
    async fn download(
        &self,
        container: &str,
        source: &str,
        read: impl FnOnce(Received) -> io::Result<()> + Send + 'static,
    ) -> Result<(), CopyError> {
        let options = DownloadFromContainerOptionsBuilder::new().path(source).build();
        let (send, receive) = mpsc::channel(4);
        let reader = tokio::task::spawn_blocking(move || {
            read(Received {
                receive,
                rest: Bytes::new(),
            })
        });
        let mut pieces = std::pin::pin!(self.docker().download_from_container(container, Some(options)));
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| engine_error(container, source))?;
            if send.send(piece).await.is_err() {
                break;
            }
        }
        drop(send);
        reader
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| CopyError::Io {
                path: PathBuf::from(source),
                source: error,
            })
    }
}

/// `docker cp`'s rules: into a directory that is there, beside a name that is not, onto a file that is.
fn place<'a>(
    there: Option<&Found>,
    is_dir: bool,
    contents: bool,
    (source, base): (&str, &'a str),
    target: &'a str,
) -> Result<Target<'a>, CopyError> {
    let trimmed = target.trim_end_matches('/');
    let split = || match trimmed.rsplit_once('/') {
        Some(("", name)) => ("/".to_owned(), name),
        Some((directory, name)) => (directory.to_owned(), name),
        None => (".".to_owned(), trimmed),
    };
    match there {
        Some(found) if found.is_dir => Ok(Target {
            directory: if trimmed.is_empty() {
                "/".to_owned()
            } else {
                trimmed.to_owned()
            },
            name: if contents { "" } else { base },
        }),
        Some(_) if is_dir => Err(CopyError::OntoFile {
            from: source.to_owned(),
            to: target.to_owned(),
        }),
        None if !is_dir && target.ends_with('/') => Err(CopyError::NoDirectory {
            path: target.to_owned(),
        }),
        _ => {
            let (directory, name) = split();
            Ok(Target { directory, name })
        }
    }
}

fn write_archive(out: &mut dyn io::Write, source: &Path, name: &str, follow: bool) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    archive.follow_symlinks(false);
    let metadata = if follow {
        source.metadata()?
    } else {
        source.symlink_metadata()?
    };
    if metadata.is_dir() {
        archive.append_dir_all(name, source)?;
    } else if follow {
        archive.append_file(name, &mut std::fs::File::open(source)?)?;
    } else {
        archive.append_path_with_name(source, name)?;
    }
    archive.into_inner()?.flush()
}

/// The archive's first name becomes `name`; nothing is written outside of `directory`, whatever the archive says.
fn unpack_here(received: Received, directory: &Path, name: &str, owner: bool) -> io::Result<()> {
    let mut archive = tar::Archive::new(received);
    archive.set_preserve_ownerships(owner);
    archive.set_preserve_permissions(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let below: PathBuf = path.components().skip(1).collect();
        // Joined part by part: an empty one would end the path with a slash, which asks for a directory.
        let target: PathBuf = Path::new(name).components().chain(below.components()).collect();
        let safe = target
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if target.as_os_str().is_empty() {
            continue;
        }
        if !safe {
            return Err(io::Error::other(format!(
                "`{}` leads out of the directory",
                path.display()
            )));
        }
        entry.set_preserve_permissions(true);
        let target = directory.join(target);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        entry.unpack(target)?;
    }
    Ok(())
}

/// A stream of what a blocking writer writes.
fn written(
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(64 * 1024, super::pieces::Pieces(send.clone()));
        if let Err(error) = write(&mut out).and_then(|()| io::Write::flush(&mut out)) {
            let _gone = send.blocking_send(Err(error));
        }
    });
    super::pieces::stream(receive)
}

/// What arrives, for a blocking reader.
struct Received {
    receive: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receive.blocking_recv() {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

fn engine_error(container: &str, source: Api) -> CopyError {
    CopyError::Engine {
        container: container.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(there: Option<bool>, is_dir: bool, contents: bool, target: &str) -> Result<(String, String), CopyError> {
        let found = there.map(|is_dir| Found { is_dir, link: None });
        let place = place(found.as_ref(), is_dir, contents, ("a/src", "src"), target)?;
        Ok((place.directory, place.name.to_owned()))
    }

    #[test]
    fn where_a_copy_goes_depends_on_what_is_there() {
        let at = |directory: &str, name: &str| (directory.to_owned(), name.to_owned());
        assert_eq!(placed(Some(true), true, false, "/opt/").unwrap(), at("/opt", "src"));
        assert_eq!(placed(Some(true), true, true, "/opt").unwrap(), at("/opt", ""));
        assert_eq!(placed(None, true, false, "/opt/new").unwrap(), at("/opt", "new"));
        assert_eq!(placed(None, false, false, "/x").unwrap(), at("/", "x"));
        assert_eq!(placed(None, false, false, "x").unwrap(), at(".", "x"));
        assert_eq!(placed(Some(true), false, false, "/").unwrap(), at("/", "src"));
        assert_eq!(
            placed(Some(false), false, false, "/etc/hosts").unwrap(),
            at("/etc", "hosts")
        );
        assert!(matches!(
            placed(Some(false), true, false, "/etc/hosts"),
            Err(CopyError::OntoFile { .. })
        ));
        assert!(matches!(
            placed(None, false, false, "/opt/new/"),
            Err(CopyError::NoDirectory { .. })
        ));
    }
}
