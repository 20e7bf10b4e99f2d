//! Services that wait for each other.

use std::collections::HashMap;

use crate::model::Project;

/// A way from a service to itself along `depends_on`, if there is one.
pub(super) fn cycle(project: &Project) -> Option<Vec<String>> {
    let mut names: Vec<&str> = project.services.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut walk = Walk {
        project,
        state: HashMap::new(),
        way: Vec::new(),
    };
    names.into_iter().find_map(|name| walk.visit(name))
}

struct Walk<'p> {
    project: &'p Project,
    /// Whether a service is on the way, or done with.
    state: HashMap<&'p str, bool>,
    way: Vec<&'p str>,
}

impl<'p> Walk<'p> {
    /// Goes depth first without recursion, so that a long chain needs no deep stack.
    fn visit(&mut self, start: &'p str) -> Option<Vec<String>> {
        if self.state.contains_key(start) {
            return None;
        }
        let mut open: Vec<(&'p str, Vec<&'p str>)> = vec![(start, self.next(start))];
        self.state.insert(start, true);
        self.way.push(start);
        while let Some((name, rest)) = open.last_mut() {
            let Some(dependency) = rest.pop() else {
                self.state.insert(name, false);
                self.way.pop();
                open.pop();
                continue;
            };
            match self.state.get(dependency) {
                Some(true) => {
                    let begin = self.way.iter().position(|step| *step == dependency).unwrap_or_default();
                    return Some(
                        self.way[begin..]
                            .iter()
                            .chain([&dependency])
                            .map(|step| (*step).to_owned())
                            .collect(),
                    );
                }
                Some(false) => {}
                None => {
                    self.state.insert(dependency, true);
                    self.way.push(dependency);
                    let next = self.next(dependency);
                    open.push((dependency, next));
                }
            }
        }
        None
    }

    fn next(&self, name: &str) -> Vec<&'p str> {
        let Some(service) = self.project.services.get(name) else {
            return Vec::new();
        };
        let mut names: Vec<&str> = service.depends_on.keys().map(String::as_str).collect();
        names.retain(|name| self.project.services.contains_key(*name));
        names.sort_unstable_by(|a, b| b.cmp(a));
        names
    }
}
