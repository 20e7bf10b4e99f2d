//! A fast copy of a directory: blocks are shared where the file system can (`copy_file_range`), modes and owners are kept.
//! Used for templates of server data and for resets of a database.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};
use std::path::Path;

use crate::user;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Copies `from` to `to`, which must not exist. Files, directories and symbolic links; owner (as root) and mode are kept.
/// Blocks: call it from a blocking task.
///
/// # Errors
/// The first that the kernel gives; what was copied until then stays.
pub fn tree(from: &Path, to: &Path) -> io::Result<Copied> {
    let mut copied = Copied::default();
    copy_dir(from, to, user::is_root(), &mut copied)?;
    Ok(copied)
}

fn copy_dir(from: &Path, to: &Path, as_root: bool, copied: &mut Copied) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_dir(&source, &target, as_root, copied)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            // `copy_file_range` underneath, and the mode is kept.
            copied.bytes += fs::copy(&source, &target)?;
            copied.files += 1;
            if as_root {
                let data = entry.metadata()?;
                chown(&target, Some(data.uid()), Some(data.gid()))?;
            }
        }
        // Sockets and pipes belong to a running server and mean nothing in a copy.
    }
    // Last: a directory without the permission to write is made as well.
    let data = fs::metadata(from)?;
    if as_root {
        chown(to, Some(data.uid()), Some(data.gid()))?;
    }
    fs::set_permissions(to, data.permissions())
}

/// Gives a directory and all in it to a user. Links are not followed.
///
/// # Errors
/// The first that the kernel gives.
pub fn own(dir: &Path, uid: u32, gid: u32) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            own(&entry.path(), uid, gid)?;
        } else {
            lchown(entry.path(), Some(uid), Some(gid))?;
        }
    }
    lchown(dir, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn contents_modes_links_and_owners_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("inner/file"), vec![7; 100_000]).unwrap();
        fs::set_permissions(from.join("inner/file"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("inner"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("inner/file", from.join("link")).unwrap();
        if user::is_root() {
            own(&from, 4242, 4343).unwrap();
        }
        assert_eq!(
            tree(&from, &to).unwrap(),
            Copied {
                files: 1,
                bytes: 100_000
            }
        );
        for path in ["", "inner", "inner/file"] {
            let (a, b) = (
                fs::metadata(from.join(path)).unwrap(),
                fs::metadata(to.join(path)).unwrap(),
            );
            assert_eq!((a.mode(), a.uid(), a.gid()), (b.mode(), b.uid(), b.gid()), "{path}");
        }
        assert_eq!(fs::read(to.join("link")).unwrap(), vec![7; 100_000]);
        assert_eq!(tree(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
