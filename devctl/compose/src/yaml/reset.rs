//! `!reset` and `!override`: tagged nodes are taken out, and their paths are later cleared in what came before.

use std::collections::{HashMap, HashSet};

use super::graph::{Graph, Kind};
use crate::problem::{Problem, Problems, Reported};
use crate::tree::{Map, Node, Value};

/// How many nodes of a document may be visited, as Compose limits it.
const MAX_VISITS: usize = 100_000;

/// The paths that a document resets or overrides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resets {
    paths: Vec<Vec<String>>,
}

/// Extensions that became attributes: parent, old name, name.
pub(crate) const ALIASES: [(&[&str], &str, &str); 2] = [
    (&["services", "*"], "x-develop", "develop"),
    (
        &["services", "*", "develop", "watch", "[]"],
        "x-initialSync",
        "initial_sync",
    ),
];

impl Resets {
    /// Clears every remembered path in a tree.
    pub(crate) fn apply(&self, target: &mut Node) {
        if !self.paths.is_empty() {
            self.clear(target, &mut Vec::new());
        }
    }

    /// Clears them in a tree that stands at `place` in the whole.
    pub(crate) fn apply_at(&self, target: &mut Node, place: &[&str]) {
        if !self.paths.is_empty() {
            self.clear(target, &mut place.iter().map(|step| (*step).to_owned()).collect());
        }
    }

    fn clear(&self, target: &mut Node, place: &mut Vec<String>) {
        // Positions of lists are remembered as numbers and looked up as `[number]`: nothing inside a list is cleared.
        if let Some(map) = target.as_map_mut() {
            map.retain(|key, entry| {
                place.push(key.clone());
                let found = self.paths.iter().any(|path| matches(path, place));
                if !found {
                    self.clear(&mut entry.node, place);
                }
                place.pop();
                !found
            });
        }
    }
}

fn matches(pattern: &[String], place: &[String]) -> bool {
    pattern.len() == place.len()
        && pattern
            .iter()
            .zip(place)
            .all(|(want, step)| want == "*" || want == step)
}

/// Takes out what is tagged, and refuses what cannot be walked: cycles, keys that stand twice, too many nodes.
pub(crate) fn resolve(graph: &mut Graph, problems: &mut Problems) -> Result<Resets, Reported> {
    let mut resolver = Resolver {
        graph,
        problems,
        paths: Vec::new(),
        place: Vec::new(),
        visited: HashMap::new(),
        done: HashMap::new(),
        visits: 0,
        open: HashSet::new(),
    };
    let root = resolver.graph.root();
    if !resolver.resolve(root)? {
        let at = resolver.graph.node(root).at;
        return Err(resolver
            .problems
            .fail(Problem::error("a whole file cannot be reset").at(at)));
    }
    let mut paths = resolver.paths;
    let promoted: Vec<_> = paths.iter().filter_map(|path| promote(path)).collect();
    paths.extend(promoted);
    Ok(Resets { paths })
}

/// The project's name where it is to be reset: its text counts all the same.
pub(crate) fn name(graph: &Graph) -> Option<Node> {
    let Kind::Map(entries) = &graph.node(graph.root()).kind else {
        return None;
    };
    let named = entries.iter().find(|(key, _)| graph.key_text(*key) == "name");
    let raw = named.map(|(_, value)| graph.node(graph.target(*value)))?;
    let value = match &raw.kind {
        Kind::Scalar { text, .. } => Value::Text(text.clone()),
        Kind::List(_) => Value::List(Vec::new()),
        Kind::Map(_) | Kind::Alias(_) => Value::Map(Map::default()),
    };
    raw.has_tag("!reset").then(|| Node::new(value, raw.at))
}

/// The path with the name of the attribute that an extension stands for.
fn promote(path: &[String]) -> Option<Vec<String>> {
    let mut promoted = path.to_vec();
    for (parent, from, to) in ALIASES {
        let fits = |(want, step): (&&str, &String)| match *want {
            "*" => true,
            "[]" => step.parse::<usize>().is_ok(),
            want => want == step,
        };
        if promoted.len() > parent.len() && promoted[parent.len()] == from && parent.iter().zip(&promoted).all(fits) {
            to.clone_into(&mut promoted[parent.len()]);
        }
    }
    (promoted != path).then_some(promoted)
}

/// Where a node was met, and every place above: an alias may stand a thousand times in a file.
#[derive(Default)]
struct Met {
    at: HashSet<Vec<String>>,
    above: HashSet<Vec<String>>,
}

struct Resolver<'a> {
    graph: &'a mut Graph,
    problems: &'a mut Problems,
    paths: Vec<Vec<String>>,
    place: Vec<String>,
    /// Where each anchor's node was met.
    visited: HashMap<usize, Met>,
    /// The tagged paths below each collection that was walked.
    done: HashMap<usize, Vec<Vec<String>>>,
    visits: usize,
    /// The collections that are being walked.
    open: HashSet<usize>,
}

impl Resolver<'_> {
    /// Walks a node; `false` when it is to be taken out.
    fn resolve(&mut self, id: usize) -> Result<bool, Reported> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            let at = self.graph.node(id).at;
            let message = format!("the file has more than {MAX_VISITS} nodes");
            return Err(self.problems.fail(
                Problem::error(message)
                    .at(at)
                    .help("Docker Compose has the same limit; split the file"),
            ));
        }
        let target = self.graph.target(id);
        if target != id {
            self.check_cycle(id, target)?;
        }
        let node = self.graph.node(target);
        if node.has_tag("!reset") {
            self.remember();
            return Ok(false);
        }
        if node.has_tag("!override") {
            self.remember();
            self.check_below(target, 0);
            return Ok(true);
        }
        if !matches!(node.kind, Kind::Scalar { .. }) {
            self.collection(target)?;
        }
        Ok(true)
    }

    /// The place without merge keys: what is merged stands where it is merged into.
    fn remember(&mut self) {
        let mut place = self.place.clone();
        if let Some(at) = place.iter().skip(1).position(|step| step == "<<") {
            place.remove(at + 1);
        }
        self.paths.push(place);
    }

    fn collection(&mut self, id: usize) -> Result<(), Reported> {
        if let Some(below) = self.done.get(&id) {
            for rest in below {
                let mut path = self.place.clone();
                path.extend(rest.iter().cloned());
                self.paths.push(path);
            }
            return Ok(());
        }
        if !self.open.insert(id) {
            let at = self.graph.node(id).at;
            return Err(self.problems.fail(Problem::error("this value contains itself").at(at)));
        }
        let before = self.paths.len();
        match std::mem::replace(&mut self.graph.node_mut(id).kind, Kind::List(Vec::new())) {
            Kind::List(items) => {
                let mut kept = Vec::with_capacity(items.len());
                let restore = items.clone();
                self.graph.node_mut(id).kind = Kind::List(restore);
                for (index, item) in items.into_iter().enumerate() {
                    self.place.push(index.to_string());
                    let keep = self.resolve(item)?;
                    self.place.pop();
                    if keep {
                        kept.push(item);
                    }
                }
                self.graph.node_mut(id).kind = Kind::List(kept);
            }
            Kind::Map(entries) => {
                self.graph.node_mut(id).kind = Kind::Map(entries.clone());
                self.check_keys(&entries);
                let mut kept = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let name = self.graph.key_text(key).to_owned();
                    let merged = name == "<<" && !self.place.is_empty();
                    if !merged {
                        self.place.push(name.clone());
                    }
                    let keep = self.resolve(value)?;
                    if !merged {
                        self.place.pop();
                    }
                    if keep {
                        // A merge key takes a list by alias as well.
                        let value = if name == "<<" { self.graph.target(value) } else { value };
                        kept.push((key, value));
                    }
                }
                self.graph.node_mut(id).kind = Kind::Map(kept);
            }
            other => self.graph.node_mut(id).kind = other,
        }
        self.open.remove(&id);
        let depth = self.place.len();
        let below = self.paths[before..]
            .iter()
            .map(|path| path.get(depth..).unwrap_or_default().to_vec())
            .collect();
        self.done.insert(id, below);
        Ok(())
    }

    /// Looks for keys that stand twice where nothing else is looked for. What is nested too deep is refused later.
    fn check_below(&mut self, id: usize, depth: usize) {
        if depth > super::MAX_DEPTH {
            return;
        }
        match &self.graph.node(id).kind {
            Kind::List(items) => {
                let items = items.clone();
                items.into_iter().for_each(|item| self.check_below(item, depth + 1));
            }
            Kind::Map(entries) => {
                let entries = entries.clone();
                self.check_keys(&entries);
                entries
                    .into_iter()
                    .for_each(|(_, value)| self.check_below(value, depth + 1));
            }
            Kind::Scalar { .. } | Kind::Alias(_) => {}
        }
    }

    fn check_keys(&mut self, entries: &[(usize, usize)]) {
        let mut first: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
        for (key, _) in entries {
            let name = self.graph.key_text(*key);
            if first.insert(name, *key).is_some() {
                let problem = Problem::error(format!("the key `{name}` stands twice in this mapping"));
                self.problems.push(problem.at(self.graph.node(*key).at));
            }
        }
    }

    /// A node that is referred to from within itself, other than by merge keys, is refused.
    fn check_cycle(&mut self, alias: usize, target: usize) -> Result<(), Reported> {
        if self.place.iter().any(|step| step.contains("<<")) {
            return Ok(());
        }
        let known = self.visited.entry(target).or_default();
        let above = (0..self.place.len()).map(|length| &self.place[..length]);
        if known.above.contains(&self.place) || above.clone().any(|place| known.at.contains(place)) {
            let problem = Problem::error("this alias stands inside of what it refers to");
            return Err(self.problems.fail(problem.at(self.graph.node(alias).at)));
        }
        known.above.extend(above.map(<[String]>::to_vec));
        known.at.insert(self.place.clone());
        Ok(())
    }
}
