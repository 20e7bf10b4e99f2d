//! How what happens is shown: live lines on a terminal, plain lines elsewhere, or JSON.
//!
//! Data goes to stdout (what services print, what was asked for, the summary with its addresses), talk to stderr (progress, remarks).
//! Live lines are the exception: they share the terminal with the data, and so they share its stream. With JSON every update is data.

pub(crate) mod board;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod logs;
pub(crate) mod notice;
pub(crate) mod plain;
pub(crate) mod size;
pub(crate) mod style;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod told;
pub(crate) mod tty;
pub(crate) mod verdicts;

use std::io;
use std::time::Duration;

use devctl_wire::v1::{NodeStatus, Update};

use crate::args::Format;
use crate::render::logs::LogStyle;
use crate::terminal::Terminal;

/// Shows updates as they come.
pub(crate) trait Render {
    /// Shows one update; `now` is Unix time in ms.
    fn update(&mut self, update: &Update, now: i64) -> io::Result<()>;

    /// Takes in a node's state without showing it: what a summary needs to know.
    fn know(&mut self, node: &NodeStatus, now: i64);

    /// A remark of the client's own, such as `stopping`.
    fn remark(&mut self, text: &str, now: i64) -> io::Result<()>;

    /// After how long [`Render::tick`] wants to be called; `None`: not at all.
    fn pace(&self) -> Option<Duration>;

    /// Time passed, or the terminal changed its size.
    fn tick(&mut self, now: i64) -> io::Result<()>;

    /// Nothing more will come.
    fn finish(&mut self, now: i64) -> io::Result<()>;
}

/// What is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Show {
    /// The nodes' lines.
    pub(crate) logs: LogStyle,
    /// The plan is what was asked for (`--dry-run`), not a remark: all of it, as data.
    pub(crate) plan: bool,
    /// Nothing but errors and what was asked for.
    pub(crate) quiet: bool,
}

/// The renderer for the format that was decided on. Aside: everything is talk.
pub(crate) fn renderer(terminal: Terminal, show: Show, aside: bool) -> Box<dyn Render> {
    let err = || Box::new(io::stderr());
    match terminal.format {
        Format::Json if aside => Box::new(json::Json::new(err())),
        _ if aside => {
            let out = terminal.err;
            Box::new(plain::Plain::new(err(), err(), Terminal { out, ..terminal }, show))
        }
        Format::Tty => Box::new(tty::Tty::new(Box::new(io::stdout()), terminal.out, show)),
        Format::Plain => Box::new(plain::Plain::new(
            Box::new(io::stdout()),
            Box::new(io::stderr()),
            terminal,
            show,
        )),
        Format::Json => Box::new(json::Json::new(Box::new(io::stdout()))),
    }
}

/// Unix time in ms.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
