//! What is known of every node, and the lines that show it. Pure: told the time and the room that there is.
//!
//! With room for all, every node has a line in the order of the plan. With less, those that are done fold into one line first, then
//! those that wait; what failed and what is under way is never folded while anything else can be.

use devctl_wire::v1::{NodeStatus, State};
use indexmap::IndexMap;

use super::style::Style;
use super::text::{seconds, truncate, width};

/// Frames of the sign for what is under way.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// How long one frame is shown, ms.
pub(crate) const FRAME_MS: i64 = 100;

/// The widest that the column of names gets.
const NAME_LIMIT: usize = 28;

/// Every node as last heard of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    nodes: IndexMap<String, Seen>,
}

/// A node and since when it has been in its state, Unix time in ms.
#[derive(Clone, Debug)]
struct Seen {
    status: NodeStatus,
    since: i64,
    /// It was up before: then being down is worth a line.
    was_up: bool,
}

impl Board {
    /// Takes in what is said about a node.
    pub(crate) fn update(&mut self, status: &NodeStatus, now: i64) {
        match self.nodes.get_mut(&status.id) {
            Some(seen) => {
                if seen.status.state != status.state || seen.status.run != status.run {
                    seen.since = now;
                }
                seen.was_up |= seen.status.state() != State::Down;
                seen.status = status.clone();
            }
            None => {
                let seen = Seen {
                    status: status.clone(),
                    since: now,
                    was_up: false,
                };
                self.nodes.insert(status.id.clone(), seen);
            }
        }
    }

    /// All nodes, as they were first heard of.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeStatus> {
        self.nodes.values().map(|seen| &seen.status)
    }

    /// The lines, none wider than `columns`, no more than `rows`.
    pub(crate) fn lines(&self, now: i64, columns: usize, rows: usize, style: Style) -> Vec<String> {
        let shown: Vec<&Seen> = self.nodes.values().filter(|seen| seen.is_shown()).collect();
        let name_width = shown
            .iter()
            .map(|seen| width(&seen.status.id))
            .max()
            .unwrap_or(0)
            .min(NAME_LIMIT);
        let folds = Folds::for_room(&shown, rows);
        let mut lines: Vec<String> = shown
            .iter()
            .filter(|seen| !folds.hides(seen.status.state()))
            .map(|seen| truncate(&seen.line(now, name_width, style), columns))
            .collect();
        if let Some(line) = folds.line(&shown, style) {
            let room = rows.saturating_sub(1);
            let kept = lines.len().min(room);
            let left_out = lines.len() - kept;
            lines.truncate(kept);
            let more = if left_out > 0 {
                format!(", {left_out} more under way")
            } else {
                String::new()
            };
            lines.push(truncate(&format!("{line}{more}"), columns));
        }
        lines.truncate(rows);
        lines
    }
}

/// What is folded into one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folds {
    /// Nothing.
    None,
    /// What is ready or completed.
    Done,
    /// That, and what waits.
    DoneAndWaiting,
}

impl Folds {
    fn for_room(shown: &[&Seen], rows: usize) -> Self {
        let count = |folds: Folds| shown.iter().filter(|seen| !folds.hides(seen.status.state())).count();
        if count(Folds::None) <= rows {
            Folds::None
        } else if count(Folds::Done) < rows {
            Folds::Done
        } else {
            Folds::DoneAndWaiting
        }
    }

    fn hides(self, state: State) -> bool {
        match self {
            Folds::None => false,
            Folds::Done => is_done(state),
            Folds::DoneAndWaiting => is_done(state) || state == State::Waiting,
        }
    }

    fn line(self, shown: &[&Seen], style: Style) -> Option<String> {
        if self == Folds::None {
            return None;
        }
        let count = |wanted: State| shown.iter().filter(|seen| seen.status.state() == wanted).count();
        let mut folded = vec![
            (State::Ready, "ready"),
            (State::Completed, "completed"),
            (State::Down, "stopped"),
        ];
        if self == Folds::DoneAndWaiting {
            folded.push((State::Waiting, "waiting"));
        }
        let counted = folded
            .into_iter()
            .map(|(state, word)| (count(state), word))
            .filter(|(count, _)| *count > 0);
        let parts: Vec<String> = counted.map(|(count, word)| format!("{count} {word}")).collect();
        Some(format!("{} {}", style.good("✓"), style.dim(&parts.join(", "))))
    }
}

fn is_done(state: State) -> bool {
    matches!(state, State::Ready | State::Completed | State::Down)
}

impl Seen {
    fn is_shown(&self) -> bool {
        self.status.state() != State::Down || self.was_up
    }

    fn line(&self, now: i64, name_width: usize, style: Style) -> String {
        let status = &self.status;
        let since = elapsed(self.since, now);
        let started = status.started_unix_ms.map_or(since, |at| elapsed(at, now));
        let spinner = style.busy(SPINNER[usize::try_from(now / FRAME_MS).unwrap_or(0) % SPINNER.len()]);
        let came_up = || match (status.started_unix_ms, status.ready_unix_ms) {
            (Some(started), Some(ready)) => format!(" in {}", seconds(elapsed(started, ready))),
            _ => String::new(),
        };
        let (sign, word, rest) = match status.state() {
            State::Down => (style.dim("·"), style.dim("stopped"), String::new()),
            State::Waiting => (style.dim("◌"), style.dim("waiting"), style.dim(&waits_for(status))),
            State::Building => (spinner, "building".to_owned(), format!(" {}", seconds(since))),
            State::Starting => (spinner, "starting".to_owned(), format!(" {}", seconds(started))),
            State::Ready => (style.good("✓"), style.good("ready"), came_up()),
            State::Completed => (style.good("✓"), style.good("completed"), came_up()),
            State::Unhealthy => (style.error("✗"), style.error("unhealthy"), detail(&status.probe_output)),
            State::Failed => (style.error("✗"), style.error("failed"), detail(&why_failed(status))),
            State::Stopping => (spinner, "stopping".to_owned(), format!(" {}", seconds(since))),
            State::Paused => (style.warn("‖"), style.warn("paused"), String::new()),
            State::Backoff => {
                let left = i64::try_from(status.restart_in_ms).unwrap_or(0) - (now - self.since);
                let text = format!(" restarts in {}{}", seconds(millis(left)), detail(&why_failed(status)));
                (style.warn("↻"), style.warn("down"), text)
            }
        };
        let name = truncate(&status.id, name_width);
        let pad = " ".repeat(name_width.saturating_sub(width(&name)));
        format!("{sign} {}{pad}  {word}{rest}", style.bold(&name))
    }
}

/// Why a node waits, in as many words as fit in a line.
pub(crate) fn waits_for(status: &NodeStatus) -> String {
    let names: Vec<&str> = status
        .holds
        .iter()
        .map(|hold| hold.on.as_str())
        .filter(|on| !on.is_empty())
        .collect();
    if !names.is_empty() {
        return format!(" for {}", names.join(", "));
    }
    match status.holds.first() {
        Some(hold) => format!(": {}", hold.text),
        None => String::new(),
    }
}

/// `exited with 101`, `killed by SIGSEGV`.
pub(crate) fn why_failed(status: &NodeStatus) -> String {
    if !status.signal.is_empty() {
        return format!("killed by {}", status.signal);
    }
    match status.exit_code {
        Some(code) => format!("exited with {code}"),
        None => status.holds.first().map(|hold| hold.text.clone()).unwrap_or_default(),
    }
}

fn detail(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    first.map_or_else(String::new, |line| format!(": {line}"))
}

fn elapsed(from: i64, to: i64) -> u64 {
    millis(to - from)
}

fn millis(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use devctl_wire::v1::Hold;

    fn node(id: &str, state: State) -> NodeStatus {
        NodeStatus {
            id: id.into(),
            service: id.into(),
            state: state.into(),
            ..Default::default()
        }
    }

    fn board(nodes: &[NodeStatus]) -> Board {
        let mut board = Board::default();
        for status in nodes {
            board.update(status, 1000);
        }
        board
    }

    #[test]
    fn each_line_says_what_and_why() {
        let board = board(&[
            NodeStatus {
                started_unix_ms: Some(1000),
                ready_unix_ms: Some(1712),
                ..node("billing-db", State::Ready)
            },
            NodeStatus {
                started_unix_ms: Some(1000),
                ..node("rabbitmq", State::Starting)
            },
            NodeStatus {
                holds: ["rabbitmq", "auth"]
                    .map(|on| Hold {
                        kind: "dependency".into(),
                        on: on.into(),
                        text: format!("{on} (starting)"),
                        condition: String::new(),
                    })
                    .into(),
                ..node("billing", State::Waiting)
            },
            NodeStatus {
                exit_code: Some(101),
                ..node("auth", State::Failed)
            },
        ]);
        let lines = board.lines(3400, 60, 10, Style::new(false));
        assert_eq!(
            lines,
            [
                "✓ billing-db  ready in 0.7 s",
                "⠼ rabbitmq    starting 2.4 s",
                "◌ billing     waiting for rabbitmq, auth",
                "✗ auth        failed: exited with 101",
            ]
        );
    }

    #[test]
    fn fifty_nodes_fold_into_the_rows_there_are() {
        let mut nodes: Vec<NodeStatus> = (0..40).map(|n| node(&format!("ready-{n}"), State::Ready)).collect();
        nodes.extend((0..4).map(|n| node(&format!("starting-{n}"), State::Starting)));
        nodes.extend((0..6).map(|n| node(&format!("waiting-{n}"), State::Waiting)));
        let board = board(&nodes);
        let roomy = board.lines(1000, 80, 20, Style::new(false));
        assert_eq!(roomy.len(), 11);
        assert_eq!(roomy[10], "✓ 40 ready");
        let tight = board.lines(1000, 80, 8, Style::new(false));
        assert_eq!(tight.len(), 5);
        assert_eq!(tight[4], "✓ 40 ready, 6 waiting");
        let tiny = board.lines(1000, 80, 3, Style::new(false));
        assert_eq!(tiny.len(), 3);
        assert_eq!(tiny[2], "✓ 40 ready, 6 waiting, 2 more under way");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let board = board(&[NodeStatus {
            probe_output: "x".repeat(300),
            ..node("a-service-with-a-name-that-goes-on-and-on", State::Unhealthy)
        }]);
        for columns in [1, 10, 40] {
            let lines = board.lines(1000, columns, 5, Style::new(true));
            assert!(width(&lines[0]) <= columns, "{} columns: {:?}", columns, lines[0]);
        }
    }
}
