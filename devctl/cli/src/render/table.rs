//! Columns that line up. By hand, because a table for a pipe must never wrap, whatever the terminal's width.

use std::io::{self, Write};

use super::text::width;

/// The lines of a table; the first row is its head. Columns are as wide as their widest cell, three spaces apart.
pub(crate) fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| width(cell))
                .max()
                .unwrap_or(0)
        })
        .collect();
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, wide) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 3));
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// Writes it, below a head.
pub(crate) fn write(out: &mut dyn Write, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
    let head = head.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    lines(&rows).into_iter().try_for_each(|line| writeln!(out, "{line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_shift_columns() {
        let rows = [["NAME", "STATUS"], ["\x1b[32ma\x1b[0m", "up"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(lines(&rows), ["NAME   STATUS", "\x1b[32ma\x1b[0m      up"]);
    }
}
