//! The context of a build: which files it is made of, and the archive that the engine is sent.

use std::fs;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ignore::{Ignore, as_pattern_path};
use super::{BuildError, Dockerfile};

/// One file (or directory, or link) of a context.
#[derive(Debug)]
struct Entry {
    /// Its path in the archive.
    name: String,
    path: PathBuf,
    metadata: fs::Metadata,
}

/// What a build is made of, found on disk.
#[derive(Debug)]
pub(super) struct Context {
    entries: Vec<Entry>,
    /// A Dockerfile that lies outside of the context or in the Compose file: its name in the archive and its text.
    extra: Option<(String, Vec<u8>)>,
    /// The Dockerfile's name in the archive.
    pub(super) dockerfile: String,
    /// Its text.
    pub(super) text: String,
}

impl Context {
    /// Looks at every file that comes along.
    pub(super) fn gather(root: &Path, dockerfile: &Dockerfile) -> Result<Self, BuildError> {
        if !root.is_dir() {
            return Err(BuildError::NoContext { path: root.to_owned() });
        }
        let root = &root.canonicalize().map_err(failed("read", root))?;
        let mut extra = None;
        let mut beside = None;
        let (name, text) = match dockerfile {
            Dockerfile::Inline(text) => {
                extra = Some((hidden_name(text.as_bytes()), text.clone().into_bytes()));
                (String::new(), text.clone())
            }
            Dockerfile::File(written) => {
                let path = root.join(written);
                let bytes = fs::read(&path).map_err(|source| BuildError::NoDockerfile {
                    path: path.clone(),
                    source,
                })?;
                beside = Some(PathBuf::from(format!("{}.dockerignore", path.display())));
                let text = String::from_utf8_lossy(&bytes).into_owned();
                match path
                    .canonicalize()
                    .ok()
                    .and_then(|path| path.strip_prefix(root).ok().map(as_pattern_path))
                {
                    Some(inside) => (inside, text),
                    None => {
                        extra = Some((hidden_name(&bytes), bytes));
                        (String::new(), text)
                    }
                }
            }
        };
        let dockerfile = extra.as_ref().map_or(name, |(name, _)| name.clone());
        let ignore = read_ignore(root, beside)?;
        let mut entries = Vec::new();
        walk(root, root, &ignore, &dockerfile, &mut entries)?;
        Ok(Self {
            entries,
            extra,
            dockerfile,
            text,
        })
    }

    /// A digest of the state of everything that is sent: names, modes, lengths, times.
    pub(super) fn stamp(&self, hasher: &mut Sha256) {
        for entry in &self.entries {
            let metadata = &entry.metadata;
            hasher.update(entry.name.as_bytes());
            hasher.update([0]);
            hasher.update(metadata.mode().to_le_bytes());
            // A directory's own time changes with what is left out.
            if !metadata.is_dir() {
                hasher.update(metadata.len().to_le_bytes());
                hasher.update(metadata.mtime().to_le_bytes());
                hasher.update(metadata.mtime_nsec().to_le_bytes());
            }
        }
        if let Some((_, text)) = &self.extra {
            hasher.update(text);
        }
    }

    /// Writes the archive. Owners are left out, as other builders do: the cache must not depend on who builds.
    pub(super) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        if let Some((name, text)) = &self.extra {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            header.set_entry_type(tar::EntryType::Regular);
            archive.append_data(&mut header, name, text.as_slice())?;
        }
        for entry in &self.entries {
            let kind = entry.metadata.file_type();
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.metadata.mode() & 0o7777);
            header.set_mtime(u64::try_from(entry.metadata.mtime()).unwrap_or_default());
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            if kind.is_symlink() {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, &entry.name, fs::read_link(&entry.path)?)?;
            } else if kind.is_dir() {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, format!("{}/", entry.name), io::empty())?;
            } else {
                let size = entry.metadata.len();
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(size);
                let file = match fs::File::open(&entry.path) {
                    // Gone since the look: an editor's, or another program's that keeps its things in the context.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    file => file?,
                };
                // A file that grows or shrinks meanwhile must not break the archive.
                let content = file.take(size).chain(io::repeat(0)).take(size);
                archive.append_data(&mut header, &entry.name, content)?;
            }
        }
        archive.into_inner()?.flush()
    }
}

fn walk(
    root: &Path,
    dir: &Path,
    ignore: &Ignore,
    dockerfile: &str,
    entries: &mut Vec<Entry>,
) -> Result<(), BuildError> {
    let mut found: Vec<fs::DirEntry> = fs::read_dir(dir)
        .and_then(Iterator::collect)
        .map_err(failed("read", dir))?;
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        let path = entry.path();
        let name = as_pattern_path(path.strip_prefix(root).unwrap_or(&path));
        let out = ignore.leaves_out(&name);
        let Ok(metadata) = entry.metadata() else {
            // Gone between the listing and the look.
            continue;
        };
        if metadata.is_dir() {
            if !out {
                entries.push(Entry {
                    name: name.clone(),
                    path: path.clone(),
                    metadata,
                });
            }
            // The engine needs the Dockerfile, wherever it lies.
            let leads_to_dockerfile = dockerfile.strip_prefix(&name).is_some_and(|rest| rest.starts_with('/'));
            if !out || leads_to_dockerfile || !ignore.leaves_out_all_below(&name) {
                walk(root, &path, ignore, dockerfile, entries)?;
            }
            continue;
        }
        let kind = metadata.file_type();
        let readable = kind.is_file() || kind.is_symlink();
        if (kind.is_socket() || !readable) || out && name != dockerfile && name != ".dockerignore" {
            continue;
        }
        entries.push(Entry { name, path, metadata });
    }
    Ok(())
}

/// `Dockerfile.dockerignore` where there is one, else the context's `.dockerignore`.
pub(super) fn read_ignore(root: &Path, beside: Option<PathBuf>) -> Result<Ignore, BuildError> {
    for path in beside.into_iter().chain([root.join(".dockerignore")]) {
        match fs::read(&path) {
            Ok(bytes) => {
                return Ignore::parse(&String::from_utf8_lossy(&bytes)).map_err(|source| BuildError::Ignore {
                    path,
                    why: source.to_string(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("read", &path)(source)),
        }
    }
    Ok(Ignore::default())
}

fn hidden_name(text: &[u8]) -> String {
    let digest: String = Sha256::digest(text)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(".dockerfile.{digest}")
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> BuildError + 'a {
    move |source| BuildError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(context: &Context) -> Vec<String> {
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    fn stamp(context: &Context) -> Vec<u8> {
        let mut hasher = Sha256::new();
        context.stamp(&mut hasher);
        hasher.finalize().to_vec()
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn what_is_ignored_stays_behind_and_the_dockerfile_comes_along() {
        let dir = tree(&[
            (".dockerignore", "*\n!src\n**/*.log"),
            ("Dockerfile", "FROM scratch"),
            ("secret", "x"),
            ("src/main.rs", "fn main() {}"),
            ("src/x.log", "noise"),
        ]);
        std::os::unix::fs::symlink("main.rs", dir.path().join("src/link")).unwrap();
        let context = Context::gather(dir.path(), &Dockerfile::File("Dockerfile".into())).unwrap();
        assert_eq!(
            names(&context),
            [".dockerignore", "Dockerfile", "src/", "src/link", "src/main.rs"]
        );
    }

    #[test]
    fn a_dockerfile_from_elsewhere_travels_under_a_name_of_its_own() {
        let dir = tree(&[("context/a", "1"), ("Other", "FROM scratch")]);
        let context = Context::gather(&dir.path().join("context"), &Dockerfile::File("../Other".into())).unwrap();
        assert_eq!(names(&context), [context.dockerfile.as_str(), "a"]);
        assert_eq!(context.text, "FROM scratch");
        let inline = Dockerfile::Inline("FROM debian".into());
        let context = Context::gather(&dir.path().join("context"), &inline).unwrap();
        assert_eq!(names(&context)[0], context.dockerfile);
    }

    #[test]
    fn a_dockerfiles_own_ignore_file_is_preferred() {
        let dir = tree(&[
            (".dockerignore", "a"),
            ("b/Dockerfile", "FROM scratch"),
            ("b/Dockerfile.dockerignore", "c"),
            ("a", ""),
            ("c", ""),
        ]);
        let context = Context::gather(dir.path(), &Dockerfile::File("b/Dockerfile".into())).unwrap();
        assert!(names(&context).contains(&"a".to_owned()) && !names(&context).contains(&"c".to_owned()));
    }

    #[test]
    fn the_stamp_changes_with_what_is_sent_alone() {
        let dir = tree(&[
            (".dockerignore", "out"),
            ("Dockerfile", "FROM scratch"),
            ("a", "1"),
            ("out/x", "1"),
        ]);
        let file = Dockerfile::File("Dockerfile".into());
        let before = stamp(&Context::gather(dir.path(), &file).unwrap());
        fs::write(dir.path().join("out/y"), "2").unwrap();
        assert_eq!(stamp(&Context::gather(dir.path(), &file).unwrap()), before);
        fs::write(dir.path().join("a"), "22").unwrap();
        assert_ne!(stamp(&Context::gather(dir.path(), &file).unwrap()), before);
    }

    #[test]
    fn a_missing_dockerfile_or_context_is_named() {
        let dir = tree(&[("a", "1")]);
        let error = Context::gather(dir.path(), &Dockerfile::File("Dockerfile".into())).unwrap_err();
        assert!(matches!(error, BuildError::NoDockerfile { .. }), "{error}");
        let error = Context::gather(&dir.path().join("nope"), &Dockerfile::Inline(String::new())).unwrap_err();
        assert!(matches!(error, BuildError::NoContext { .. }), "{error}");
    }
}
