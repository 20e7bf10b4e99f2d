//! From the graph to a tree: aliases are expanded, merge keys merged, scalars resolved.

use super::graph::{Graph, Kind};
use super::scalar;
use crate::problem::{Problem, Problems, Reported};
use crate::tree::{Entry, Map, Node, Span, Value};

/// Builds the tree of a document.
pub(crate) fn build(graph: &Graph, problems: &mut Problems) -> Result<Node, Reported> {
    let mut builder = Builder {
        graph,
        problems,
        built: 0,
        open: Vec::new(),
    };
    builder.node(graph.root())
}

/// How many nodes a document may have once its aliases are expanded.
const MAX_NODES: usize = 1_000_000;

struct Builder<'a> {
    graph: &'a Graph,
    problems: &'a mut Problems,
    built: usize,
    /// The collections that are being built: one that is met again refers to itself.
    open: Vec<usize>,
}

impl Builder<'_> {
    fn node(&mut self, id: usize) -> Result<Node, Reported> {
        let raw = self.graph.node(id);
        self.count(raw.at)?;
        match &raw.kind {
            Kind::Alias(target) => self.node(*target),
            Kind::Scalar { text, plain } => match scalar::resolve(raw.short_tag().as_deref(), text, *plain) {
                Ok(value) => Ok(Node::new(value, raw.at)),
                Err(message) => {
                    self.problems.push(Problem::error(message).at(raw.at));
                    Ok(Node::null(raw.at))
                }
            },
            Kind::List(items) => {
                self.enter(id)?;
                let values: Vec<usize> = items.iter().copied().filter(|item| !self.is_merge_key(*item)).collect();
                let list = values
                    .into_iter()
                    .map(|item| self.node(item))
                    .collect::<Result<_, _>>()?;
                self.open.pop();
                Ok(Node::new(Value::List(list), raw.at))
            }
            Kind::Map(entries) => {
                self.enter(id)?;
                let mut map = Map::with_capacity_and_hasher(entries.len(), Default::default());
                self.entries(entries, &mut map)?;
                self.open.pop();
                Ok(Node::new(Value::Map(map), raw.at))
            }
        }
    }

    fn entries(&mut self, entries: &[(usize, usize)], map: &mut Map) -> Result<(), Reported> {
        let mut merge = None;
        for (key, value) in entries {
            let raw = self.graph.node(*key);
            match self.key(*key)? {
                Key::None => {}
                Key::Merge => merge = Some(*value),
                Key::Name(name) => {
                    let key = raw.at;
                    if !map.contains_key(&name) && !self.is_merge_key(*value) {
                        let node = self.node(*value)?;
                        map.insert(name, Entry { key, node });
                    }
                }
            }
        }
        match merge {
            Some(value) => self.merge(value, map),
            None => Ok(()),
        }
    }

    /// Adds what a merge key brings: what stands in the mapping itself, or came earlier, wins.
    fn merge(&mut self, value: usize, map: &mut Map) -> Result<(), Reported> {
        let target = self.graph.target(value);
        let sources = match &self.graph.node(target).kind {
            Kind::Map(_) => std::slice::from_ref(&value),
            Kind::List(items) => items.as_slice(),
            _ => &[],
        };
        if sources.is_empty() && !matches!(self.graph.node(target).kind, Kind::List(_)) {
            self.not_mergeable(value);
        }
        for source in sources {
            let id = self.graph.target(*source);
            let Kind::Map(entries) = &self.graph.node(id).kind else {
                self.not_mergeable(*source);
                continue;
            };
            self.count(self.graph.node(id).at)?;
            self.enter(id)?;
            self.entries(entries, map)?;
            self.open.pop();
        }
        Ok(())
    }

    /// `<<` as a value is nothing: go-yaml leaves it out.
    fn is_merge_key(&self, id: usize) -> bool {
        let node = self.graph.node(self.graph.target(id));
        node.tag.is_none() && matches!(&node.kind, Kind::Scalar { text, plain: true } if text == "<<")
    }

    fn not_mergeable(&mut self, id: usize) {
        let at = self.graph.node(id).at;
        self.problems
            .push(Problem::error("`<<` must be a mapping or a list of mappings").at(at));
    }

    fn key(&mut self, id: usize) -> Result<Key, Reported> {
        let raw = self.graph.node(id);
        self.count(raw.at)?;
        let target = self.graph.node(self.graph.target(id));
        let value = match &target.kind {
            Kind::Scalar { text, plain } if *plain && text == "<<" && target.tag.is_none() => return Ok(Key::Merge),
            Kind::Scalar { text, .. } if target.short_tag().as_deref() == Some("!!merge") && text == "<<" => {
                return Ok(Key::Merge);
            }
            Kind::Scalar { text, plain } => match scalar::resolve(target.short_tag().as_deref(), text, *plain) {
                Ok(Value::Text(name)) => return Ok(Key::Name(name)),
                Ok(value) => Node::new(value, raw.at).kind(),
                Err(message) => {
                    self.problems.push(Problem::error(message).at(raw.at));
                    return Ok(Key::None);
                }
            },
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
            Kind::Alias(_) => "an alias",
        };
        let problem = Problem::error(format!("a key must be a string, but this one is {value}")).at(raw.at);
        self.problems.push(problem.help("put it in quotes"));
        Ok(Key::None)
    }

    fn enter(&mut self, id: usize) -> Result<(), Reported> {
        let at = self.graph.node(id).at;
        if self.open.contains(&id) {
            return Err(self.problems.fail(Problem::error("this value contains itself").at(at)));
        }
        if self.open.len() >= super::MAX_DEPTH {
            let message = format!("values are nested more than {} deep", super::MAX_DEPTH);
            return Err(self.problems.fail(Problem::error(message).at(at)));
        }
        self.open.push(id);
        Ok(())
    }

    /// Keeps a small file from becoming a huge tree.
    fn count(&mut self, at: Span) -> Result<(), Reported> {
        self.built += 1;
        if self.built <= MAX_NODES {
            return Ok(());
        }
        let message = format!("the file has more than {MAX_NODES} nodes once its aliases are expanded");
        Err(self.problems.fail(Problem::error(message).at(at)))
    }
}

enum Key {
    /// Refused.
    None,
    Merge,
    Name(String),
}
