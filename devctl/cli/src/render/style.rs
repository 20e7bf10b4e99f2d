//! Colours by meaning. A [`Style`] knows whether to colour at all; nothing else in the crate writes an escape for colour.

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    on: bool,
}

/// Colours of log prefixes, in the order in which nodes get them; none is red or close to it, which means failure.
const PREFIXES: [&str; 8] = ["36", "33", "32", "35", "34", "96", "93", "92"];

impl Style {
    /// Colours, or none.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether colours are on.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// Ready, done.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Under way.
    pub(crate) fn busy(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// A warning.
    pub(crate) fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// A failure.
    pub(crate) fn error(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What to do next.
    pub(crate) fn help(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// Of less importance.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Of more importance.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// The prefix of the node that came as number `index`.
    pub(crate) fn prefix(self, index: usize, text: &str) -> String {
        self.wrap(PREFIXES[index % PREFIXES.len()], text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
