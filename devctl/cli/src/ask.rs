//! Questions that are asked before something is removed.

use std::io::{self, BufRead as _, IsTerminal as _, Write};

use crate::error::Error;

/// Asks; no, unless yes is typed. Where nobody is there to be asked that is an error, and `help` says what to type instead.
pub(crate) fn agreed(question: &str, help: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::usage("nobody is there to be asked", help));
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|source| Error::Io {
        doing: "read the answer".into(),
        source,
        help: None,
    })?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
