//! Variables in a tree: every text is interpolated, keys are not, and some attributes become numbers and booleans.

mod cast;
pub(crate) mod template;

use template::{Lookup, TemplateError};

use crate::problem::{Problem, Problems};
use crate::tree::{Node, Span, Value};

/// Replaces the variables of every text of a tree. Problems are reported; the walk goes on.
pub(crate) fn interpolate(root: &mut Node, lookup: &dyn Lookup, problems: &mut Problems) {
    let mut walk = Walk {
        lookup,
        problems,
        path: Vec::new(),
    };
    walk.node(root);
}

/// Reports a text that cannot be interpolated.
pub(crate) fn report(error: &TemplateError, at: Span, problems: &mut Problems) {
    match error {
        // It may be set in the environment file that could not be read.
        TemplateError::Required { .. } if problems.may_lack_variables() => problems.wrong(at),
        _ => problems.push(problem(error).at(at)),
    }
}

fn problem(error: &TemplateError) -> Problem {
    let problem = Problem::error(error.to_string());
    match error {
        TemplateError::Invalid { .. } => problem.help("a `$` that stands for itself is written `$$`"),
        TemplateError::Required { name, .. } => problem.help(format!(
            "set `{name}` in the environment, in `.env` or in a file given with `--env-file`"
        )),
        TemplateError::Deep => problem,
    }
}

struct Walk<'a, 'k> {
    lookup: &'a dyn Lookup,
    problems: &'a mut Problems,
    path: Vec<std::borrow::Cow<'k, str>>,
}

impl Walk<'_, '_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Text(text) => {
                if text.contains('$') {
                    match template::substitute(text, self.lookup) {
                        Ok(value) => *text = value,
                        Err(error) => {
                            report(&error, node.at, self.problems);
                            return;
                        }
                    }
                }
                let path: Vec<&str> = self.path.iter().map(AsRef::as_ref).collect();
                if let Some(cast) = cast::of(&path) {
                    match cast.apply(text) {
                        Ok(value) => node.value = value,
                        Err(why) => {
                            let place = path.join(".").replace(".[]", "[]");
                            self.problems
                                .push(Problem::error(format!("`{place}` {why}")).at(node.at));
                        }
                    }
                }
            }
            Value::List(list) => {
                self.path.push("[]".into());
                list.iter_mut().for_each(|item| self.node(item));
                self.path.pop();
            }
            Value::Map(map) => {
                for (key, entry) in map {
                    self.path.push(key.clone().into());
                    self.node(&mut entry.node);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }
}
