//! What notices have told already: what stands at the end does not tell a failure again, and sums up what was removed.

use std::collections::{HashMap, HashSet};

use devctl_wire::v1::{Failure, Level, Notice};

/// Each node's notices of what went wrong, line by line.
#[derive(Debug, Default)]
pub(crate) struct Told {
    lines: HashMap<String, HashSet<String>>,
    removed: Vec<String>,
}

impl Told {
    /// A notice is shown.
    pub(crate) fn note(&mut self, notice: &Notice) {
        if notice.kind == "removed" {
            self.removed.push(notice.node.clone());
        }
        if notice.level() == Level::Info || notice.node.is_empty() {
            return;
        }
        let lines = self.lines.entry(notice.node.clone()).or_default();
        lines.insert(notice.text.clone());
        lines.extend(notice.lines.iter().map(|line| line.trim_end().to_owned()));
    }

    /// The nodes that are gone, in the order of their going.
    pub(crate) fn removed(&self) -> &[String] {
        &self.removed
    }

    /// What of a failure is still to be told; None where nothing is.
    pub(crate) fn rest(&self, failure: &Failure) -> Option<Failure> {
        let nothing = HashSet::new();
        let told = self.lines.get(&failure.node).unwrap_or(&nothing);
        // What could not start has its reason in its log as well.
        let is_part = |text: &str, line: &str| {
            text.strip_suffix(line)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(": "))
        };
        let is_new = |line: &&String| {
            let line = line.trim_end();
            !told.contains(line) && !told.iter().any(|text| is_part(text, line)) && !is_part(&failure.what, line)
        };
        let rest = Failure {
            log_tail: failure.log_tail.iter().filter(is_new).cloned().collect(),
            ..failure.clone()
        };
        let what_is_told = told.iter().any(|line| line.contains(&failure.what));
        let nothing_else = rest.log_tail.is_empty() && rest.why.is_empty() && rest.probe_output.trim().is_empty();
        (!(what_is_told && nothing_else)).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut told = Told::default();
        told.note(&Notice {
            level: Level::Error.into(),
            node: "web".into(),
            text: "build failed: `make` exited with 2".into(),
            lines: vec!["main.c:1: no".into()],
            ..Notice::default()
        });
        let failure = |node: &str, tail: &[&str]| Failure {
            node: node.into(),
            what: "build failed: `make` exited with 2".into(),
            log_tail: tail.iter().map(|&line| line.to_owned()).collect(),
            ..Failure::default()
        };
        assert_eq!(told.rest(&failure("web", &["main.c:1: no"])), None);
        assert_eq!(
            told.rest(&failure("web", &["main.c:1: no", "more"])).unwrap().log_tail,
            ["more"]
        );
        assert!(told.rest(&failure("api", &["main.c:1: no"])).is_some());
        assert_eq!(
            told.rest(&failure("api", &["`make` exited with 2", "no"]))
                .unwrap()
                .log_tail,
            ["no"]
        );
    }
}
