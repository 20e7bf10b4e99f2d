//! Lines that services print: the prefix that says whose it is, aligned and coloured, then the line made safe.

use devctl_wire::v1::{LogLine, LogStream};
use indexmap::IndexSet;
use jiff::Timestamp;

use super::style::Style;
use super::text::{sanitize, width};

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogStyle {
    /// No `billing | ` before the line.
    pub(crate) no_prefix: bool,
    /// The time before the line.
    pub(crate) timestamps: bool,
    /// No colours, not even the service's own.
    pub(crate) no_color: bool,
}

/// Gives each node its colour, and all of them one column.
#[derive(Debug)]
pub(crate) struct Prefixes {
    how: LogStyle,
    style: Style,
    nodes: IndexSet<String>,
    column: usize,
}

impl Prefixes {
    /// Prefixes in this style.
    pub(crate) fn new(how: LogStyle, style: Style) -> Self {
        Self {
            how,
            style: if how.no_color { Style::new(false) } else { style },
            nodes: IndexSet::new(),
            column: 0,
        }
    }

    /// Makes room for a node before its first line, so that the column does not move later.
    pub(crate) fn expect(&mut self, node: &str) {
        self.nodes.insert(node.to_owned());
        self.column = self.column.max(width(node));
    }

    /// One line.
    pub(crate) fn line(&mut self, log: &LogLine) -> String {
        let mut line = String::new();
        if !self.how.no_prefix {
            self.expect(&log.node);
            let index = self.nodes.get_index_of(&log.node).unwrap_or(0);
            let pad = " ".repeat(self.column.saturating_sub(width(&log.node)));
            line.push_str(&self.style.prefix(index, &format!("{}{pad} |", log.node)));
            line.push(' ');
        }
        if self.how.timestamps
            && let Ok(time) = Timestamp::from_nanosecond(i128::from(log.time_unix_ns))
        {
            line.push_str(&self.style.dim(&format!("{time:.9}")));
            line.push(' ');
        }
        let text = sanitize(&String::from_utf8_lossy(&log.line), self.style.is_on());
        match log.stream() {
            LogStream::Devctl => line.push_str(&self.style.dim(&text)),
            LogStream::Stdout | LogStream::Stderr => line.push_str(&text),
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(node: &str, line: &str) -> LogLine {
        LogLine {
            node: node.into(),
            time_unix_ns: 1_764_000_000_123_456_789,
            line: line.into(),
            ..Default::default()
        }
    }

    #[test]
    fn prefixes_are_aligned_once_all_nodes_are_known() {
        let mut prefixes = Prefixes::new(LogStyle::default(), Style::new(false));
        prefixes.expect("api-gateway");
        assert_eq!(prefixes.line(&log("auth", "up")), "auth        | up");
        assert_eq!(prefixes.line(&log("api-gateway", "up")), "api-gateway | up");
    }

    #[test]
    fn a_time_stands_before_the_line_where_asked_for() {
        let how = LogStyle {
            timestamps: true,
            no_prefix: true,
            no_color: false,
        };
        let mut prefixes = Prefixes::new(how, Style::new(false));
        assert_eq!(prefixes.line(&log("auth", "up")), "2025-11-24T16:00:00.123456789Z up");
    }
}
