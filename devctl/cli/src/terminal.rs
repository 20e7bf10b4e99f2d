//! What the terminal is, if there is one, and what the environment says about colour.

use std::io::{self, IsTerminal};

use crate::args::{ColorChoice, Format, Global};
use crate::render::style::Style;

/// How to talk, decided once from flags, environment and what stdout and stderr are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Live lines, plain lines or JSON.
    pub(crate) format: Format,
    /// Colours of what goes to stdout.
    pub(crate) out: Style,
    /// Colours of what goes to stderr.
    pub(crate) err: Style,
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
}

impl Terminal {
    /// Looks at flags, environment and file descriptors.
    pub(crate) fn detect(global: &Global, verb_format: Option<Format>) -> Self {
        let format = verb_format.or(global.format).unwrap_or_else(|| {
            let live = io::stdout().is_terminal() && !is_dumb() && std::env::var_os("CI").is_none() && in_foreground();
            if live { Format::Tty } else { Format::Plain }
        });
        let color = |is_terminal: bool| {
            let choice = global.color.unwrap_or(ColorChoice::Auto);
            Style::new(format != Format::Json && wants_color(choice, is_terminal, &|name| std::env::var(name).ok()))
        };
        Self {
            format,
            out: color(io::stdout().is_terminal()),
            err: color(io::stderr().is_terminal()),
        }
    }

    /// Whether data is to be JSON, for a verb that has a `--format` of its own.
    pub(crate) fn is_json(&self, written: Option<&str>) -> bool {
        written.map_or(self.format == Format::Json, |format| format == "json")
    }
}

impl Size {
    /// The size of the terminal at stdout; 80 by 24 where it does not say.
    pub(crate) fn now() -> Self {
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        Self {
            width: usize::from(if width == 0 { 80 } else { width }),
            height: usize::from(if height == 0 { 24 } else { height }),
        }
    }
}

fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

/// A job in the background may write, but redrawing lines under the shell's prompt would take the terminal from its user.
fn in_foreground() -> bool {
    match nix::unistd::tcgetpgrp(io::stdout()) {
        Ok(group) => group == nix::unistd::getpgrp(),
        Err(_) => true,
    }
}

/// A flag wins; then NO_COLOR, CLICOLOR_FORCE, CLICOLOR; then whether anybody can see it.
fn wants_color(choice: ColorChoice, is_terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> bool {
    match choice {
        ColorChoice::Always => return true,
        ColorChoice::Never => return false,
        ColorChoice::Auto => {}
    }
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    if set("CLICOLOR").is_some_and(|value| value == "0") {
        return false;
    }
    is_terminal && env("TERM").as_deref() != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(choice: ColorChoice, is_terminal: bool, env: &[(&str, &str)]) -> bool {
        wants_color(choice, is_terminal, &|name| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_follows_flag_then_environment_then_terminal() {
        assert!(decide(ColorChoice::Auto, true, &[]));
        assert!(!decide(ColorChoice::Auto, false, &[]));
        assert!(!decide(ColorChoice::Auto, true, &[("NO_COLOR", "1")]));
        assert!(
            decide(ColorChoice::Auto, true, &[("NO_COLOR", "")]),
            "an empty NO_COLOR says nothing"
        );
        assert!(!decide(ColorChoice::Auto, true, &[("CLICOLOR", "0")]));
        assert!(decide(ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(
            ColorChoice::Auto,
            false,
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
        ));
        assert!(
            decide(ColorChoice::Always, false, &[("NO_COLOR", "1")]),
            "a flag is more deliberate than a variable"
        );
        assert!(!decide(ColorChoice::Never, true, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(ColorChoice::Auto, true, &[("TERM", "dumb")]));
    }
}
