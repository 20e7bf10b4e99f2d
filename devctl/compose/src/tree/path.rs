//! Where in the tree a value stands.

use std::fmt;

/// A place in the tree. List positions are steps of the form `[3]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    steps: Vec<String>,
}

impl Path {
    pub(crate) fn steps(&self) -> &[String] {
        &self.steps
    }

    pub(crate) fn push(&mut self, step: &str) {
        self.steps.push(step.to_owned());
    }

    pub(crate) fn pop(&mut self) {
        self.steps.pop();
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 && !step.starts_with('[') {
                f.write_str(".")?;
            }
            f.write_str(step)?;
        }
        Ok(())
    }
}
