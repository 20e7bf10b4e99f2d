//! Relative paths: what they are relative to, and which attributes hold one.

use std::path::{Path, PathBuf};

use crate::files::Files;
use crate::problem::{Problem, Problems};
use crate::tree::{Node, Value};

/// Removes `.`, `..` and doubled slashes, by the text alone.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// `path` as seen from `base`, cleaned.
pub(crate) fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("", "") => String::new(),
        ("", path) => clean(path),
        (base, path) => clean(&format!("{base}/{path}")),
    }
}

/// The directory that holds a file.
pub(crate) fn parent(path: &str) -> String {
    match path.rfind('/') {
        Some(at) => clean(&path[..=at]),
        None => ".".to_owned(),
    }
}

/// The way from one directory to another; both absolute, or both relative to the same.
pub(crate) fn relative(from: &str, to: &str) -> Option<String> {
    let (from, to) = (clean(from), clean(to));
    if from.starts_with('/') != to.starts_with('/') {
        return None;
    }
    let split = |path: &str| {
        path.split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (from, to) = (split(&from), split(&to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if from[common..].iter().any(|part| part == "..") {
        return None;
    }
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let way: Vec<String> = up.chain(to[common..].iter().cloned()).collect();
    Some(if way.is_empty() { ".".to_owned() } else { way.join("/") })
}

/// A path as text; one that is not UTF-8 is not found later, with a message.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether a text names something that is fetched rather than read: a Git repository or an OCI artifact.
pub(crate) fn is_remote(path: &str) -> bool {
    if path.starts_with("oci://")
        || path.starts_with("git://")
        || path.starts_with("ssh://")
        || path.starts_with("github.com/")
    {
        return true;
    }
    if let Some(rest) = path.strip_prefix("https://").or_else(|| path.strip_prefix("http://")) {
        let repository = rest.split(['#', '?']).next().unwrap_or_default();
        return repository.ends_with(".git") || rest.contains(".git#") || rest.starts_with("github.com/");
    }
    // user@host:path
    let Some((user, rest)) = path.split_once('@') else {
        return false;
    };
    !user.is_empty() && !user.contains(['/', '.']) && rest.split_once(':').is_some_and(|(host, _)| !host.contains('/'))
}

/// Makes the paths of a tree absolute, or relative to what `base` is relative to.
pub(crate) struct Resolver<'a> {
    pub(crate) base: &'a str,
    pub(crate) home: Option<&'a str>,
    /// The caller's directory, for looking at files.
    pub(crate) here: &'a str,
    pub(crate) files: &'a dyn Files,
}

impl Resolver<'_> {
    /// Changes every attribute that holds a path.
    pub(crate) fn resolve(&self, root: &mut Node, problems: &mut Problems) {
        let Some(root) = root.as_map_mut() else { return };
        for (key, entry) in root {
            let Some(named) = entry.node.as_map_mut() else { continue };
            for (name, entry) in named {
                let node = &mut entry.node;
                match key.as_str() {
                    "services" | "jobs" => self.workload(node, key == "services", &format!("{key}.{name}"), problems),
                    "configs" | "secrets" => node.get_mut("file").into_iter().for_each(|file| self.host_path(file)),
                    "volumes" => self.driver_options(node),
                    _ => {}
                }
            }
        }
    }

    fn workload(&self, node: &mut Node, service: bool, place: &str, problems: &mut Problems) {
        if let Some(build) = node.get_mut("build") {
            build
                .get_mut("context")
                .into_iter()
                .for_each(|context| self.context(context));
            let mut contexts = build.get_mut("additional_contexts");
            // A list is left where variables keep it from being read.
            let lines = contexts.as_mut().and_then(|contexts| contexts.as_list_mut());
            lines.into_iter().flatten().for_each(|line| self.context(line));
            let contexts = contexts.and_then(Node::as_map_mut);
            for (name, entry) in contexts.into_iter().flatten() {
                let context = &mut entry.node;
                if context.as_text().is_none() {
                    let key = format!("{place}.build.additional_contexts.{name}");
                    let message = format!("`{key}` must be a string, but is {}", context.kind());
                    problems.push(Problem::error(message).at(context.at));
                }
                self.context(context);
            }
            let mut keys = build.get_mut("ssh");
            let lines = keys.as_mut().and_then(|keys| keys.as_list_mut());
            lines.into_iter().flatten().for_each(|line| self.host_path(line));
            let keys = keys.and_then(Node::as_map_mut);
            keys.into_iter()
                .flatten()
                .for_each(|(_, entry)| self.host_path(&mut entry.node));
        }
        if let Some(file) = node.get_mut("extends").and_then(|extends| extends.get_mut("file"))
            && !file.as_text().is_some_and(is_remote)
        {
            self.path(file);
        }
        self.container(node, place, problems);
        if !service {
            return;
        }
        for rule in node
            .get_mut("develop")
            .and_then(|develop| develop.get_mut("watch"))
            .and_then(Node::as_list_mut)
            .into_iter()
            .flatten()
        {
            if let Some(path) = rule.get_mut("path") {
                self.path(path);
                if let Value::Text(text) = &mut path.value {
                    *text = self.follow_links(text);
                }
            }
        }
        for hook in node
            .get_mut("pre_start")
            .and_then(Node::as_list_mut)
            .into_iter()
            .flatten()
        {
            self.container(hook, place, problems);
        }
    }

    fn container(&self, node: &mut Node, place: &str, problems: &mut Problems) {
        for file in node
            .get_mut("env_file")
            .and_then(Node::as_list_mut)
            .into_iter()
            .flatten()
        {
            file.get_mut("path").into_iter().for_each(|path| self.path(path));
        }
        for file in node
            .get_mut("label_file")
            .and_then(Node::as_list_mut)
            .into_iter()
            .flatten()
        {
            self.path(file);
        }
        for (index, mount) in node
            .get_mut("volumes")
            .and_then(Node::as_list_mut)
            .into_iter()
            .flatten()
            .enumerate()
        {
            if mount.get("type").and_then(Node::as_text) != Some("bind") {
                continue;
            }
            let at = mount.at;
            match mount.get_mut("source") {
                Some(source) => self.host_path(source),
                None => {
                    let problem = Problem::error(format!("a bind mount of `{place}` has no `source`")).at(at);
                    problems.push(problem.lacks(&format!("{place}.volumes[{index}]"), ["source"]));
                }
            }
        }
    }

    /// A volume that is a bind mount by its options.
    fn driver_options(&self, volume: &mut Node) {
        if volume.get("driver").and_then(Node::as_text) != Some("local") {
            return;
        }
        if let Some(options) = volume
            .get_mut("driver_opts")
            .filter(|options| options.get("o").and_then(Node::as_text) == Some("bind"))
        {
            options
                .get_mut("device")
                .into_iter()
                .for_each(|device| self.host_path(device));
        }
    }

    fn context(&self, node: &mut Node) {
        let remote = ["https://", "http://", "git://", "ssh://", "github.com/", "git@"];
        let text = node.as_text().unwrap_or_default();
        if !(text.contains("://")
            || text.starts_with("service:")
            || remote.iter().any(|prefix| text.starts_with(prefix)))
        {
            self.path(node);
        }
    }

    fn path(&self, node: &mut Node) {
        if let Value::Text(text) = &mut node.value {
            *text = expand_home(text, self.home);
            if !text.is_empty() && !text.starts_with('/') {
                *text = join(self.base, text);
            }
        }
    }

    /// As `path`, where a Windows path is absolute as well, and an empty text is the directory itself.
    fn host_path(&self, node: &mut Node) {
        if let Value::Text(text) = &mut node.value {
            *text = expand_home(text, self.home);
            if !text.starts_with('/') && !is_windows_absolute(text) {
                *text = join(self.base, text);
            }
        }
    }

    /// Follows the first symbolic link on the way.
    fn follow_links(&self, path: &str) -> String {
        let mut at = String::from(if path.starts_with('/') { "/" } else { "" });
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = join(&at, part);
            let whole = if at.starts_with('/') {
                at.clone()
            } else {
                join(self.here, &at)
            };
            match self.files.real_path(&PathBuf::from(&whole)) {
                Ok(real) if text(&real) != whole => return path.replacen(&at, &text(&real), 1),
                _ => {}
            }
        }
        path.to_owned()
    }
}

/// `~` becomes the home directory.
pub(crate) fn expand_home(path: &str, home: Option<&str>) -> String {
    match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) => join(home, rest),
        _ => path.to_owned(),
    }
}

/// `C:\x`, `C:/x`, `\\server\share` and devices such as `\\.\pipe\x`.
pub(crate) fn is_windows_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let slash = |at: usize| matches!(bytes.get(at), Some(b'\\' | b'/'));
    if bytes.get(1) == Some(&b':') {
        return slash(2);
    }
    // A device by its root, `\??\C:\x`, is absolute with something behind it; all other names of servers and devices are anyway.
    let device = slash(0) && bytes[1..].starts_with(b"??") && slash(3);
    slash(0) && slash(1) || device && bytes[4..].iter().any(|byte| matches!(byte, b'\\' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_joined() {
        assert_eq!(clean("/a/./b/../c//"), "/a/c");
        assert_eq!(clean("../a/../.."), "../..");
        assert_eq!(clean(""), ".");
        assert_eq!(clean("/.."), "/");
        assert_eq!(join("/a/b", "../c"), "/a/c");
        assert_eq!(join("", "./c"), "c");
        assert_eq!(parent("/a/b.yaml"), "/a");
        assert_eq!(parent("b.yaml"), ".");
        assert_eq!(relative("/a/b", "/a/c/d").as_deref(), Some("../c/d"));
        assert_eq!(relative("/a", "/a").as_deref(), Some("."));
        assert_eq!(expand_home("~/x", Some("/root")), "/root/x");
    }

    #[test]
    fn remote_references_are_known() {
        for remote in [
            "oci://x/y",
            "https://github.com/a/b.git",
            "git@github.com:a/b.git",
            "github.com/a/b",
        ] {
            assert!(is_remote(remote), "{remote}");
        }
        for local in ["./a.yaml", "a/b@c.yaml", "/x/y", "https.yaml"] {
            assert!(!is_remote(local), "{local}");
        }
    }

    #[test]
    fn windows_paths_are_known() {
        for absolute in [
            "C:\\x",
            "c:/x",
            "\\\\server\\share",
            "\\\\.\\pipe\\x",
            "\\\\",
            "\\??\\C:\\x",
        ] {
            assert!(is_windows_absolute(absolute), "{absolute}");
        }
        for relative in ["x", ".\\x", "C:x", "\\", "\\x", "\\??\\x"] {
            assert!(!is_windows_absolute(relative), "{relative}");
        }
    }
}
