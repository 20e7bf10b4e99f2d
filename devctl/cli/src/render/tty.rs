//! A terminal: a line per node that changes in place while something is under way; logs and notices scroll above it.
//!
//! The lines are shown from the first thing that is under way until all is settled; then the terminal belongs to the logs alone, until
//! something starts or stops again.

use std::io::{self, Write};
use std::time::Duration;

use devctl_wire::v1::{Level, NodeStatus, State, Update, update::What};

use super::board::{Board, FRAME_MS};
use super::live::Live;
use super::logs::Prefixes;
use super::style::Style;
use super::told::Told;
use super::{Render, Show, notice, summary};
use crate::terminal::Size;

/// Live lines.
pub(crate) struct Tty {
    out: Box<dyn Write>,
    style: Style,
    show: Show,
    live: Live,
    board: Board,
    told: Told,
    prefixes: Prefixes,
    above: Vec<String>,
    size: Box<dyn Fn() -> Size>,
    footer: Option<String>,
    dirty: bool,
}

impl Tty {
    /// Paints on `out`, which is the terminal that [`Size::now`] measures.
    pub(crate) fn new(out: Box<dyn Write>, style: Style, show: Show) -> Self {
        Self::sized(out, style, show, Box::new(Size::now))
    }

    /// Paints on a terminal of that size.
    fn sized(out: Box<dyn Write>, style: Style, show: Show, size: Box<dyn Fn() -> Size>) -> Self {
        Self {
            out,
            style,
            show,
            live: Live::default(),
            board: Board::default(),
            told: Told::default(),
            prefixes: Prefixes::new(show.logs, style),
            above: Vec::new(),
            size,
            footer: None,
            dirty: false,
        }
    }

    /// Whether anything is under way that is worth lines of its own.
    fn is_busy(&self) -> bool {
        self.board.nodes().any(|node| {
            matches!(
                node.state(),
                State::Waiting | State::Building | State::Starting | State::Stopping | State::Backoff
            )
        })
    }

    fn paint(&mut self, now: i64, lines_wanted: bool) -> io::Result<()> {
        let size = (self.size)();
        // A third is left for what scrolls above; the last column is never filled, where a terminal may wrap.
        let columns = size.width.saturating_sub(1);
        let room = (size.height * 2 / 3).max(3);
        let mut lines = if lines_wanted && !self.show.quiet {
            self.board.lines(now, columns, room, self.style)
        } else {
            Vec::new()
        };
        if let Some(footer) = &self.footer
            && !lines.is_empty()
        {
            lines.push(super::text::truncate(&self.style.dim(footer), columns));
        }
        self.dirty = false;
        self.live
            .paint(&mut *self.out, size, &std::mem::take(&mut self.above), &lines)
    }
}

impl Render for Tty {
    fn update(&mut self, update: &Update, now: i64) -> io::Result<()> {
        match &update.what {
            Some(What::Node(status)) => {
                self.board.update(status, now);
                self.prefixes.expect(&status.id);
            }
            Some(What::Log(log)) => {
                let line = self.prefixes.line(log);
                self.above.push(line);
            }
            // What a node's own line shows needs no second telling, unless that line is not there.
            Some(What::Notice(heard)) => {
                let of_line = !heard.node.is_empty() && !outlasts_line(&heard.kind);
                let shown_by_line = heard.level() == Level::Info && of_line && heard.lines.is_empty();
                self.told.note(heard);
                if !(shown_by_line || self.show.quiet && heard.level() == Level::Info) {
                    self.above.extend(notice::notice(heard, self.style));
                }
            }
            Some(What::Plan(plan)) if self.show.plan => self.above.extend(notice::plan(plan, true, self.style)),
            Some(What::Plan(plan)) => {
                let changes: Vec<_> = plan
                    .changes
                    .iter()
                    .filter(|change| matters(&change.action))
                    .cloned()
                    .collect();
                let told = devctl_wire::v1::Plan {
                    changes,
                    warnings: plan.warnings.clone(),
                    ..devctl_wire::v1::Plan::default()
                };
                self.above.extend(notice::plan(&told, false, self.style));
            }
            Some(What::Outcome(outcome)) => {
                self.above
                    .extend(summary::lines(outcome, &self.told, self.board.nodes(), self.style));
                return self.paint(now, false);
            }
            None => {}
        }
        // Painted at the next frame: a burst of lines costs one painting.
        self.dirty = true;
        Ok(())
    }

    fn know(&mut self, node: &NodeStatus, now: i64) {
        self.board.update(node, now);
    }

    fn remark(&mut self, text: &str, now: i64) -> io::Result<()> {
        self.footer = Some(text.to_owned());
        if !self.is_busy() {
            self.above.push(self.style.dim(text));
        }
        self.paint(now, self.is_busy())
    }

    fn pace(&self) -> Option<Duration> {
        let frame = Duration::from_millis(FRAME_MS.unsigned_abs());
        if self.dirty {
            Some(Duration::from_millis(16))
        } else {
            self.is_busy().then_some(frame)
        }
    }

    fn tick(&mut self, now: i64) -> io::Result<()> {
        let busy = self.is_busy();
        self.paint(now, busy)
    }

    fn finish(&mut self, now: i64) -> io::Result<()> {
        let busy = self.is_busy();
        self.paint(now, busy)?;
        self.live.leave(&mut *self.out)
    }
}

/// What was saved has arrived, and what that means for its contracts: worth reading when the node's line is gone.
fn outlasts_line(kind: &str) -> bool {
    matches!(kind, "replaced" | "synced" | "verified" | "tested")
}

/// What is created and started shows itself; why something is recreated, removed or left over does not.
fn matters(action: &str) -> bool {
    !matches!(action, "keep" | "create" | "start" | "build")
}

#[cfg(test)]
mod tests;
