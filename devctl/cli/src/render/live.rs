//! A few lines at the bottom of the terminal that are painted again and again, while other lines scroll away above them.
//!
//! The terminal stays in its normal mode: nothing is hidden, no key is taken, and whatever ends this process leaves a usable
//! terminal behind. A painting goes out as one write, inside a synchronised update where the terminal knows that.

use std::io::{self, Write};

use super::text::width;
use crate::terminal::Size;

/// Lines that are painted over.
#[derive(Debug, Default)]
pub(crate) struct Live {
    painted: Vec<usize>,
}

impl Live {
    /// Prints `above` for good, and paints `lines` below it in place of those that stand there.
    pub(crate) fn paint(
        &mut self,
        out: &mut dyn Write,
        size: Size,
        above: &[String],
        lines: &[String],
    ) -> io::Result<()> {
        if above.is_empty() && lines.is_empty() && self.painted.is_empty() {
            return Ok(());
        }
        let mut frame = String::from("\x1b[?2026h");
        frame.push_str(&self.erase(size));
        for line in above {
            frame.push_str(line);
            frame.push('\n');
        }
        // The last line has no newline: the cursor stays on it, and the terminal's last row is not wasted.
        frame.push_str(&lines.join("\n"));
        frame.push_str("\x1b[?2026l");
        self.painted = lines.iter().map(|line| width(line)).collect();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// Leaves the painted lines where they are and goes on below them.
    pub(crate) fn leave(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !std::mem::take(&mut self.painted).is_empty() {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// The escapes that take the painted lines away. A terminal that was made narrower has wrapped them by now.
    fn erase(&self, size: Size) -> String {
        if self.painted.is_empty() {
            // The terminal may have echoed a `^C` here.
            return "\r\x1b[K".into();
        }
        let rows: usize = self
            .painted
            .iter()
            .map(|line| line.div_ceil(size.width.max(1)).max(1))
            .sum();
        let up = rows.min(size.height) - 1;
        if up > 0 {
            format!("\r\x1b[{up}A\x1b[J")
        } else {
            "\r\x1b[J".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(rows: u16, columns: u16) -> vt100::Parser {
        vt100::Parser::new(rows, columns, 100)
    }

    fn paint(live: &mut Live, screen: &mut vt100::Parser, size: Size, above: &[&str], lines: &[&str]) {
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let mut bytes = Vec::new();
        live.paint(&mut bytes, size, &own(above), &own(lines)).unwrap();
        // What a terminal's line discipline does.
        let text = String::from_utf8(bytes).unwrap().replace('\n', "\r\n");
        screen.process(text.as_bytes());
    }

    const SIZE: Size = Size { width: 20, height: 6 };

    #[test]
    fn lines_are_painted_over_and_logs_scroll_above() {
        let mut screen = screen(6, 20);
        let mut live = Live::default();
        paint(&mut live, &mut screen, SIZE, &[], &["a waiting", "b starting"]);
        paint(&mut live, &mut screen, SIZE, &["a | hello"], &["a starting", "b ready"]);
        assert_eq!(screen.screen().contents(), "a | hello\na starting\nb ready");
        paint(&mut live, &mut screen, SIZE, &["1", "2", "3", "4", "5"], &["b ready"]);
        assert_eq!(screen.screen().contents(), "1\n2\n3\n4\n5\nb ready");
        paint(&mut live, &mut screen, SIZE, &["done"], &[]);
        assert_eq!(screen.screen().contents(), "2\n3\n4\n5\ndone");
    }

    #[test]
    fn a_narrower_terminal_leaves_no_trace_of_wrapped_lines() {
        let mut screen = screen(6, 10);
        let mut live = Live::default();
        // As a terminal of twenty columns would have wrapped it when it became one of ten.
        paint(&mut live, &mut screen, SIZE, &[], &["0123456789abcde"]);
        paint(&mut live, &mut screen, Size { width: 10, height: 6 }, &[], &["short"]);
        assert_eq!(screen.screen().contents(), "short");
    }
}
