//! The disk, as the Compose loader asks for it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use devctl_compose::Files;

/// Larger files are no Compose files; a device or a pipe that never ends is refused instead of read forever.
const LIMIT: u64 = 64 << 20;

/// Files of this machine; `-` is standard input.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let source: Box<dyn Read> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin()),
            false => {
                let file = std::fs::File::open(path)?;
                // One read is then enough, and one more that finds the end.
                let size = file.metadata().map_or(0, |found| found.len()).min(LIMIT);
                content.reserve(usize::try_from(size).unwrap_or_default() + 1);
                Box::new(file)
            }
        };
        source.take(LIMIT + 1).read_to_end(&mut content)?;
        match content.len() as u64 > LIMIT {
            true => Err(io::Error::other(format!("it is larger than {} MiB", LIMIT >> 20))),
            false => Ok(content),
        }
    }

    fn is_file(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|found| !found.is_dir())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }
}
