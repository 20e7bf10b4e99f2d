//! What a build says, as lines, and which step it was at: both of the engine's builders.

use std::collections::{HashMap, HashSet, VecDeque};

use bollard::moby::buildkit::v1::StatusResponse;
use bollard::models::{BuildInfo, BuildInfoAux};

use super::OnLine;

/// Lines of a failed step that are kept.
const KEPT: usize = 40;

/// The output of one build.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The first builder: the step that runs, and what it printed.
    step: Option<String>,
    lines: VecDeque<String>,
    pending: String,
    /// BuildKit: names of steps by digest, those that were told, what each printed.
    names: HashMap<String, String>,
    told: HashSet<String>,
    printed: HashMap<String, VecDeque<String>>,
    failed: Option<String>,
}

impl Output {
    /// Takes a word of the engine's.
    pub(super) fn add(&mut self, word: BuildInfo, on_line: OnLine<'_>) {
        if let Some(text) = &word.stream {
            self.pending.push_str(text);
            while let Some(end) = self.pending.find('\n') {
                let line: String = self.pending.drain(..=end).collect();
                self.line(line.trim_end(), on_line);
            }
        }
        // Base images that are pulled: each layer's end, not each of its bytes.
        if let Some(status) = word.status
            && word.progress_detail.is_none_or(|detail| detail.total.is_none())
        {
            match word.id {
                Some(id) => self.line(&format!("{id}: {status}"), on_line),
                None => self.line(&status, on_line),
            }
        }
        if let Some(BuildInfoAux::BuildKit(status)) = word.aux {
            self.add_status(status, on_line);
        }
    }

    /// Tells what has no end yet.
    pub(super) fn finish(&mut self, on_line: OnLine<'_>) {
        let rest = std::mem::take(&mut self.pending);
        self.line(rest.trim_end(), on_line);
    }

    /// The step that failed, and the last that it printed.
    pub(super) fn failed_step(mut self) -> (Option<String>, Vec<String>) {
        let Some(digest) = self.failed else {
            return (self.step, self.lines.into());
        };
        let lines = self.printed.remove(&digest).unwrap_or_default();
        (
            self.names.remove(&digest).map(|name| without_number(&name)),
            lines.into(),
        )
    }

    fn line(&mut self, line: &str, on_line: OnLine<'_>) {
        let line = without_colour(line);
        if line.trim().is_empty() {
            return;
        }
        // `Step 3/7 : RUN make`, then ` ---> Running in 5f3a...`.
        if let Some((_, step)) = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : ")) {
            self.step = Some(step.to_owned());
            self.lines.clear();
        } else if !line.starts_with(" ---> ") && !line.starts_with("Removing intermediate container") {
            keep(&mut self.lines, line.clone());
        }
        on_line(&line);
    }

    /// Takes what BuildKit tells of its steps.
    pub(super) fn add_status(&mut self, status: StatusResponse, on_line: OnLine<'_>) {
        for vertex in status.vertexes {
            let is_new = vertex.started.is_some() && self.told.insert(vertex.digest.clone());
            if is_new || vertex.cached && self.told.insert(format!("{}-cached", vertex.digest)) {
                let cached = if vertex.cached { " (cached)" } else { "" };
                on_line(&format!("{}{cached}", vertex.name));
            }
            if !vertex.error.is_empty() && !vertex.error.contains("context canceled") {
                self.failed = Some(vertex.digest.clone());
            }
            self.names.insert(vertex.digest, vertex.name);
        }
        for log in status.logs {
            let lines = self.printed.entry(log.vertex).or_default();
            for line in String::from_utf8_lossy(&log.msg).lines() {
                let line = without_colour(line);
                on_line(&line);
                keep(lines, line);
            }
        }
    }
}

fn keep(lines: &mut VecDeque<String>, line: String) {
    lines.push_back(line);
    if lines.len() > KEPT {
        lines.pop_front();
    }
}

/// `[build 3/7] RUN make` -> `RUN make`.
fn without_number(name: &str) -> String {
    match name.split_once("] ") {
        Some((number, step)) if number.starts_with('[') => step.to_owned(),
        _ => name.to_owned(),
    }
}

/// Without the sequences by which terminals are coloured.
fn without_colour(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            // `ESC [ ... letter`.
            for char in chars.by_ref() {
                if char.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            text.push(char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(text: &str) -> BuildInfo {
        BuildInfo {
            stream: Some(text.to_owned()),
            ..BuildInfo::default()
        }
    }

    #[test]
    fn lines_are_whole_and_the_failed_step_has_its_own() {
        let mut output = Output::default();
        let mut lines = Vec::new();
        let mut on_line = |line: &str| lines.push(line.to_owned());
        for text in [
            "Step 1/2 : FROM x\n",
            "hello\n",
            "Step 2/2 : RUN make\n",
            " ---> Running in 1\n",
            "\u{1b}[91mno ru",
            "le\u{1b}[0m\n",
            "end",
        ] {
            output.add(stream(text), &mut on_line);
        }
        output.finish(&mut on_line);
        assert_eq!(lines.last().unwrap(), "end");
        assert!(lines.contains(&"no rule".to_owned()));
        let (step, last) = output.failed_step();
        assert_eq!(step.as_deref(), Some("RUN make"));
        assert_eq!(last, ["no rule", "end"]);
    }

    #[test]
    fn a_steps_number_is_no_part_of_it() {
        assert_eq!(without_number("[build 3/7] RUN make"), "RUN make");
        assert_eq!(without_number("RUN make"), "RUN make");
    }
}
