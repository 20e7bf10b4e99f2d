//! `.dockerignore`: which files of a context stay behind. The same patterns stand in `develop.watch`, as `ignore` and `include`.
//!
//! Not git's rules: patterns start at the context's root, the last one that matches wins, `!` lets back in what lies
//! below a directory that was left out, and `*` never crosses a `/` (Docker's build reference, `.dockerignore file`).

use std::path::Path;

use regex::Regex;

/// The patterns of one file (or list), in order.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// `!`: what matches comes along.
    keeps: bool,
    /// One per part of the path; `None` stands for `**`.
    parts: Vec<Option<Regex>>,
    whole: Regex,
}

/// A line that is no pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: `{text}` is no pattern")]
pub struct BadPattern {
    /// Its line, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl Ignore {
    /// Reads a file's text, or the patterns of a list, one a line.
    ///
    /// # Errors
    /// Where a bracket or an escape has no end, with the line's number.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            // A `#` further on is part of a name.
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (keeps, written) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let clean = clean(written);
            if line.is_empty() || clean.is_empty() && !keeps {
                continue;
            }
            let bad = || BadPattern {
                line: index + 1,
                text: line.to_owned(),
            };
            let expression = |glob: &str| expression(glob).and_then(|text| Regex::new(&text).ok());
            let parts: Option<Vec<_>> = clean
                .split('/')
                .map(|part| {
                    if part == "**" {
                        Some(None)
                    } else {
                        expression(part).map(Some)
                    }
                })
                .collect();
            patterns.push(Pattern {
                keeps,
                parts: parts.filter(|_| !clean.is_empty()).ok_or_else(bad)?,
                whole: expression(&clean).ok_or_else(bad)?,
            });
        }
        Ok(Self { patterns })
    }

    /// Whether there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether this path (relative, `/` between parts), or a directory above it, is what the patterns name: then it stays behind.
    #[must_use]
    pub fn leaves_out(&self, path: &str) -> bool {
        let mut out = false;
        for pattern in &self.patterns {
            if out == pattern.keeps && pattern.matches(path) {
                out = !pattern.keeps;
            }
        }
        out
    }

    /// Whether nothing below a directory that stays behind can be let back in: then nobody need look.
    #[must_use]
    pub fn leaves_out_all_below(&self, dir: &str) -> bool {
        let parts: Vec<&str> = dir.split('/').collect();
        !self
            .patterns
            .iter()
            .any(|pattern| pattern.keeps && pattern.may_match_below(&parts))
    }

    /// Whether the patterns may name something below this directory.
    #[must_use]
    pub fn may_name_below(&self, dir: &str) -> bool {
        let parts: Vec<&str> = dir.split('/').collect();
        let mut naming = self.patterns.iter().filter(|pattern| !pattern.keeps);
        naming.any(|pattern| pattern.may_match_below(&parts))
    }
}

impl Pattern {
    /// The path itself, or a directory that it lies in.
    fn matches(&self, path: &str) -> bool {
        let ancestors = path
            .char_indices()
            .filter(|(_, char)| *char == '/')
            .map(|(at, _)| &path[..at]);
        std::iter::once(path)
            .chain(ancestors)
            .any(|path| self.whole.is_match(path))
    }

    fn may_match_below(&self, dir: &[&str]) -> bool {
        for (part, name) in self.parts.iter().zip(dir) {
            match part {
                None => return true,
                Some(part) if !part.is_match(name) => return false,
                Some(_) => {}
            }
        }
        true
    }
}

/// Without `.`, `..`, doubled and outer slashes.
fn clean(written: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A glob as a regular expression; `None` where a bracket or an escape has no end.
fn expression(glob: &str) -> Option<String> {
    let mut text = String::from("^");
    let mut chars = glob.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                if chars.peek() == Some(&'/') {
                    chars.next();
                    // Any number of directories, none among them.
                    text.push_str("(?:.*/)?");
                } else {
                    text.push_str(".*");
                }
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '\\' => text.push_str(&regex::escape(&chars.next()?.to_string())),
            '[' => {
                let mut class = String::new();
                loop {
                    match chars.next()? {
                        ']' if !class.is_empty() => break,
                        '\\' => class.push_str(&regex::escape(&chars.next()?.to_string())),
                        '[' => class.push_str("\\["),
                        '&' => class.push_str("\\&"),
                        '~' => class.push_str("\\~"),
                        char => class.push(char),
                    }
                }
                text.push_str(&format!("[{class}]"));
            }
            char => text.push_str(&regex::escape(&char.to_string())),
        }
    }
    text.push('$');
    Some(text)
}

/// A path below a context's root, as patterns see it.
#[must_use]
pub fn as_pattern_path(relative: &Path) -> String {
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, out: &[&str], along: &[&str]) {
        let ignore = Ignore::parse(text).unwrap();
        for path in out {
            assert!(ignore.leaves_out(path), "{path} should stay behind of {text:?}");
        }
        for path in along {
            assert!(!ignore.leaves_out(path), "{path} should come along of {text:?}");
        }
    }

    #[test]
    fn patterns_start_at_the_root_and_stars_stay_within_a_directory() {
        check("*.md", &["README.md"], &["docs/README.md", "main.rs"]);
        check("*/temp*", &["a/temporary", "a/temp/x"], &["temp", "a/b/temp"]);
        check("**/*.md", &["README.md", "docs/a/b.md"], &["docs/x.txt"]);
        check("temp?", &["tempa", "tempb/x"], &["temp", "tempab"]);
        check("/foo/bar/", &["foo/bar", "foo/bar/x"], &["bar"]);
        check("./target", &["target/debug/x"], &["src/target"]);
        check("a/../b", &["b"], &["a"]);
    }

    #[test]
    fn the_last_match_wins() {
        check("*.md\n!README.md", &["x.md"], &["README.md"]);
        check(
            "*.md\n!README*.md\nREADME-secret.md",
            &["README-secret.md"],
            &["README.md"],
        );
        check("*\n!src\nsrc/gen", &["x", "src/gen/y"], &["src", "src/main.rs"]);
        check("!x\nx", &["x"], &[]);
    }

    #[test]
    fn what_lies_deep_can_be_let_back_in() {
        let ignore = Ignore::parse("*\n!target/debug/api\n!**/*.proto").unwrap();
        assert!(ignore.leaves_out("target") && !ignore.leaves_out("target/debug/api"));
        assert!(!ignore.leaves_out_all_below("target/release"));
        let ignore = Ignore::parse("*\n!target/debug/api").unwrap();
        assert!(ignore.leaves_out_all_below("target/release"));
        assert!(ignore.leaves_out_all_below("node_modules"));
        assert!(!ignore.leaves_out_all_below("target"));
    }

    #[test]
    fn what_is_named_may_lie_below_a_directory() {
        let named = Ignore::parse("src/*.rs\n**/*.proto\n!gen").unwrap();
        assert!(named.may_name_below("src") && named.may_name_below("docs/a"));
        let named = Ignore::parse("src/*.rs\n!docs").unwrap();
        assert!(named.may_name_below("src") && !named.may_name_below("docs") && !named.is_empty());
    }

    #[test]
    fn comments_spaces_and_classes() {
        check(
            "# note\n  spaced  \n[a-c].txt\n\\#odd",
            &["spaced", "b.txt", "#odd"],
            &["note", "d.txt"],
        );
        check("", &[], &["anything"]);
        check("[^a].txt", &["b.txt"], &["a.txt"]);
        assert_eq!(
            Ignore::parse("ok\n[a").unwrap_err().to_string(),
            "line 2: `[a` is no pattern"
        );
    }
}
