//! Lines for a pipe, a file or a CI log: no control characters, nothing that is painted over, each line whole.
//!
//! Notices say what happens; a node's status updates only feed the summary, since every one that matters has its notice.

use std::io::{self, Write};
use std::time::Duration;

use devctl_wire::v1::{Level, NodeStatus, Result as Ended, Update, update::What};

use super::board::Board;
use super::logs::Prefixes;
use super::style::Style;
use super::told::Told;
use super::{Render, Show, notice, summary};
use crate::terminal::Terminal;

/// Plain lines.
pub(crate) struct Plain {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    out_style: Style,
    err_style: Style,
    show: Show,
    prefixes: Prefixes,
    board: Board,
    told: Told,
}

impl Plain {
    /// Data to `out`, talk to `err`.
    pub(crate) fn new(out: Box<dyn Write>, err: Box<dyn Write>, terminal: Terminal, show: Show) -> Self {
        Self {
            out,
            err,
            out_style: terminal.out,
            err_style: terminal.err,
            show,
            prefixes: Prefixes::new(show.logs, terminal.out),
            board: Board::default(),
            told: Told::default(),
        }
    }

    fn say(&mut self, lines: &[String]) -> io::Result<()> {
        lines.iter().try_for_each(|line| writeln!(self.err, "{line}"))
    }
}

impl Render for Plain {
    fn update(&mut self, update: &Update, now: i64) -> io::Result<()> {
        match &update.what {
            Some(What::Notice(heard)) => {
                self.told.note(heard);
                if self.show.quiet && heard.level() == Level::Info {
                    return Ok(());
                }
                self.say(&notice::notice(heard, self.err_style))
            }
            Some(What::Plan(plan)) if self.show.plan => {
                let lines = notice::plan(plan, true, self.out_style);
                lines.iter().try_for_each(|line| writeln!(self.out, "{line}"))
            }
            // Each change has its notice as well.
            Some(What::Plan(plan)) => {
                let lines: Vec<String> = plan.warnings.iter().flat_map(notice::diagnostic).collect();
                self.say(&lines)
            }
            Some(What::Node(status)) => {
                self.board.update(status, now);
                self.prefixes.expect(&status.id);
                Ok(())
            }
            Some(What::Log(log)) => {
                let line = self.prefixes.line(log);
                writeln!(self.out, "{line}")?;
                self.out.flush()
            }
            Some(What::Outcome(outcome)) => match outcome.result() {
                Ended::Failed | Ended::TimedOut | Ended::Invalid => {
                    self.say(&summary::lines(outcome, &self.told, self.board.nodes(), self.err_style))
                }
                _ if self.show.quiet => Ok(()),
                _ => {
                    let lines = summary::lines(outcome, &self.told, self.board.nodes(), self.out_style);
                    lines.iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
                    self.out.flush()
                }
            },
            None => Ok(()),
        }
    }

    fn know(&mut self, node: &NodeStatus, now: i64) {
        self.board.update(node, now);
    }

    fn remark(&mut self, text: &str, _now: i64) -> io::Result<()> {
        if self.show.quiet {
            Ok(())
        } else {
            self.say(&[text.to_owned()])
        }
    }

    fn pace(&self) -> Option<Duration> {
        None
    }

    fn tick(&mut self, _now: i64) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _now: i64) -> io::Result<()> {
        self.out.flush()?;
        self.err.flush()
    }
}
