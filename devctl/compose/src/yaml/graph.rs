//! A document as it is written: nodes in an arena, aliases as references.

use std::collections::HashMap;
use std::ops::Range;

use libyaml_safer::{EventData, Mark, Parser, ScalarStyle};

use super::MAX_DEPTH;
use super::anchors::Renamed;
use crate::problem::{Problem, Problems, Reported};
use crate::source::offset;
use crate::tree::Span;

/// A document.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Raw>,
    root: usize,
}

/// A node as written.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) kind: Kind,
    pub(crate) tag: Option<Box<str>>,
    pub(crate) at: Span,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    Scalar { text: String, plain: bool },
    List(Vec<usize>),
    Map(Vec<(usize, usize)>),
    Alias(usize),
}

impl Graph {
    pub(crate) fn root(&self) -> usize {
        self.root
    }

    pub(crate) fn node(&self, id: usize) -> &Raw {
        &self.nodes[id]
    }

    pub(crate) fn node_mut(&mut self, id: usize) -> &mut Raw {
        &mut self.nodes[id]
    }

    /// The node itself, or what an alias stands for.
    pub(crate) fn target(&self, id: usize) -> usize {
        match self.nodes[id].kind {
            Kind::Alias(target) => target,
            _ => id,
        }
    }

    /// A key's text; empty for a key that is no scalar.
    pub(crate) fn key_text(&self, id: usize) -> &str {
        match &self.nodes[id].kind {
            Kind::Scalar { text, .. } => text,
            _ => "",
        }
    }
}

impl Raw {
    /// The tag in its short form, such as `!!str`.
    pub(crate) fn short_tag(&self) -> Option<String> {
        let tag = self.tag.as_deref()?;
        Some(match tag.strip_prefix("tag:yaml.org,2002:") {
            Some(name) => format!("!!{name}"),
            None => tag.to_owned(),
        })
    }

    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tag.as_deref() == Some(tag)
    }
}

/// Parses every document of a text.
pub(crate) fn parse(text: &str, source: u32, problems: &mut Problems) -> Result<Vec<Graph>, Reported> {
    let mut body = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    let skipped = text.len() - body.len();
    // The parser wants every line to have an end; what that adds to the last block of text is taken away again.
    let unended = !body.is_empty() && !body.ends_with(['\n', '\r']);
    if unended {
        body.push('\n');
    }
    let commas = commas_after_tags(&body);
    if !commas.is_empty() {
        // With a space before each of them the parser finds out which are tags, and which are parts of texts and comments.
        let (mut parted, mut inserted) = (body.clone(), Vec::new());
        commas
            .iter()
            .rev()
            .for_each(|at| insert(&mut parted, &mut inserted, *at, ' '));
        let documents = repair(parted, unended, skipped, inserted, source, problems)?;
        let mut nodes = documents.iter().flat_map(|document| &document.nodes);
        if let Some(node) = nodes.find(|node| node.tag.is_some() && is_tag_with_comma(text, node.at.start)) {
            let problem = Problem::error("not YAML: a comma cannot follow a tag").at(node.at);
            return Err(problems.fail(problem.help("put a space between the two")));
        }
    }
    repair(body, unended, skipped, Vec::new(), source, problems)
}

/// Parses a text, with what the parser here does not take put in other words.
fn repair(
    mut body: String,
    unended: bool,
    skipped: usize,
    mut inserted: Vec<usize>,
    source: u32,
    problems: &mut Problems,
) -> Result<Vec<Graph>, Reported> {
    let mut renamed = Renamed::default();
    loop {
        match attempt(&body, unended, skipped, (&inserted, &renamed), source, problems) {
            Ok(documents) => return Ok(documents),
            Err(Stop::Reported) => return Err(Reported),
            // `{key:}` is a key without a value to go-yaml, as `{key: }` is to the parser here.
            Err(Stop::Colon(at)) => insert(&mut body, &mut inserted, at + 1, ' '),
            // `[::1]` is a list of one text to go-yaml; the parser here wants it in quotes.
            Err(Stop::Plain(start, end)) => {
                insert(&mut body, &mut inserted, end, '\'');
                insert(&mut body, &mut inserted, start, '\'');
            }
            Err(Stop::Anchor(place, given)) => renamed.rename(&mut body, place, given),
        }
    }
}

/// Puts a character in, and remembers where; what was put in further back moves on.
fn insert(body: &mut String, inserted: &mut Vec<usize>, at: usize, character: char) {
    body.insert(at, character);
    let before = inserted.partition_point(|known| *known < at);
    inserted[before..].iter_mut().for_each(|known| *known += 1);
    inserted.insert(before, at);
}

/// Where something that looks like a tag has a comma behind it, as in `[!reset, x]`: the parser here must not meet one.
fn commas_after_tags(body: &str) -> Vec<usize> {
    let mut commas = Vec::new();
    let mut at = 0;
    while let Some(begin) = body[at..].find('!') {
        let Some(end) = tag_end(&body[at + begin..]) else { break };
        at += begin + end;
        if body[at..].starts_with(',') {
            commas.push(at);
        }
    }
    commas
}

/// Where a tag that begins a text ends.
fn tag_end(text: &str) -> Option<usize> {
    if text.starts_with("!<") {
        return text.find(['>', '\n']).map(|end| end + 1);
    }
    text.find(|next: char| next.is_whitespace() || matches!(next, ',' | '[' | ']' | '{' | '}' | '"'))
}

/// Whether what stands at `at` in a text is a tag with a comma behind it; what stands before the tag may be an anchor.
fn is_tag_with_comma(text: &str, at: u32) -> bool {
    let rest = text.get(at as usize..).unwrap_or_default();
    let tag = rest.find('!').map(|begin| &rest[begin..]).unwrap_or_default();
    tag_end(tag).is_some_and(|end| tag[end..].starts_with(','))
}

/// Why an attempt ended.
enum Stop {
    Reported,
    /// A colon, at this offset, is followed by what ends a value.
    Colon(usize),
    /// A text within brackets begins with a colon; its offsets.
    Plain(usize, usize),
    /// An anchor or alias here must get this name.
    Anchor(Range<usize>, String),
}

impl From<Reported> for Stop {
    fn from(_: Reported) -> Self {
        Stop::Reported
    }
}

/// How many characters are inserted at most.
const MAX_INSERTED: usize = 200;

/// Where the text ends that begins at `start` with a colon, within brackets; `None` where it is no such text.
fn plain_end(body: &str, start: usize) -> Option<usize> {
    let rest = body.get(start..)?.strip_prefix(':')?;
    let end = rest.find([',', '[', ']', '{', '}', '\n', '\'']).unwrap_or(rest.len());
    let text = rest[..end].trim_end();
    let whole = !text.is_empty() && !text.starts_with([' ', '\t', '\r']) && !rest[end..].starts_with('\'');
    (whole && !text.ends_with(':') && !text.contains(": ") && !text.contains(" #")).then_some(start + 1 + text.len())
}

fn attempt(
    body: &str,
    unended: bool,
    skipped: usize,
    (inserted, renamed): (&[usize], &Renamed),
    source: u32,
    problems: &mut Problems,
) -> Result<Vec<Graph>, Stop> {
    let mut parser = Parser::<&[u8]>::new();
    parser.set_input(body.as_bytes());
    let mut reader = Reader {
        source,
        skipped,
        inserted,
        renamed,
        problems,
        graph: Graph::default(),
        anchors: HashMap::new(),
        open: Vec::new(),
    };
    let mut documents = Vec::new();
    loop {
        let event = match parser.parse() {
            Ok(event) => event,
            Err(error) => {
                let at = error
                    .problem_mark()
                    .and_then(|mark| usize::try_from(mark.index).ok())
                    .unwrap_or_default();
                let ends = |next: &u8| matches!(next, b',' | b']' | b'}');
                let colon = body.as_bytes().get(at) == Some(&b':') && body.as_bytes().get(at + 1).is_some_and(ends);
                if colon && error.problem() == "found unexpected ':'" && inserted.len() < MAX_INSERTED {
                    return Err(Stop::Colon(at));
                }
                let in_list = reader.in_list() && error.problem() == "did not find expected node content";
                if let Some(end) = plain_end(body, at).filter(|_| in_list && inserted.len() < MAX_INSERTED) {
                    return Err(Stop::Plain(at, end));
                }
                if error.problem() == "did not find expected alphabetic or numeric character"
                    && let Some((place, given)) = renamed.other(body, at)
                {
                    return Err(Stop::Anchor(place, given));
                }
                return Err(reader.syntax(&error).into());
            }
        };
        let at = reader.span(event.start_mark.index, event.end_mark.index);
        match event.data {
            EventData::StreamStart { .. } => {}
            EventData::StreamEnd => return Ok(documents),
            EventData::DocumentStart { .. } => {
                reader.graph = Graph::default();
                reader.anchors.clear();
            }
            EventData::DocumentEnd { .. } => documents.push(std::mem::take(&mut reader.graph)),
            EventData::Alias { anchor } => reader.alias(&anchor, at),
            EventData::Scalar {
                anchor,
                tag,
                value,
                style,
                ..
            } => {
                let plain = style == ScalarStyle::Plain;
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let last = block && usize::try_from(event.end_mark.index).is_ok_and(|end| end >= body.len());
                let value = if unended && last {
                    without_added_end(body, &event.start_mark, value)
                } else {
                    value
                };
                if style == ScalarStyle::DoubleQuoted {
                    let whole = usize::try_from(event.start_mark.index)
                        .ok()
                        .zip(usize::try_from(event.end_mark.index).ok());
                    let raw = whole.and_then(|(start, end)| body.get(start..end)).unwrap_or_default();
                    reader.check_escapes(raw, at);
                }
                let id = reader.add(Kind::Scalar { text: value, plain }, tag, at);
                reader.anchor(anchor, id);
                reader.attach(id);
            }
            EventData::SequenceStart { anchor, tag, .. } => reader.open(Kind::List(Vec::new()), anchor, tag, at)?,
            EventData::MappingStart { anchor, tag, .. } => reader.open(Kind::Map(Vec::new()), anchor, tag, at)?,
            EventData::SequenceEnd | EventData::MappingEnd => reader.close(at),
        }
    }
}

/// The value of a block of text that ends with the file, in which the last line had no end.
fn without_added_end(body: &str, start: &Mark, mut value: String) -> String {
    let line = body.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
    let head = usize::try_from(start.index)
        .ok()
        .and_then(|at| body.get(at..)?.lines().next());
    let keeps = head.is_some_and(|head| head.split('#').next().is_some_and(|head| head.contains('+')));
    let shown = value
        .strip_suffix('\n')
        .unwrap_or_default()
        .rsplit('\n')
        .next()
        .unwrap_or_default();
    // A last line of nothing but its indentation is no line of the text, save where every line is kept.
    let is_line = !line.trim_matches(' ').is_empty() || (!shown.is_empty() && shown.trim_matches(' ').is_empty());
    if (is_line || keeps) && value.ends_with('\n') {
        value.pop();
    }
    value
}

/// A document in the making.
struct Reader<'a> {
    source: u32,
    /// Bytes of the text before what the parser sees.
    skipped: usize,
    /// Where the parser sees a space that the text has not.
    inserted: &'a [usize],
    /// Names of anchors that the parser sees otherwise.
    renamed: &'a Renamed,
    problems: &'a mut Problems,
    graph: Graph,
    anchors: HashMap<String, usize>,
    /// The collections that are not closed yet; for a mapping with the key that has no value yet.
    open: Vec<(usize, Option<usize>)>,
}

impl Reader<'_> {
    fn span(&self, start: u64, end: u64) -> Span {
        let place = |index: u64| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let more = self.inserted.partition_point(|at| *at < index);
            offset((index - more).saturating_add(self.skipped))
        };
        Span {
            source: self.source,
            start: place(start),
            end: place(end),
        }
    }

    /// Whether what comes next is an item of a list.
    fn in_list(&self) -> bool {
        let innermost = self.open.last().map(|(id, _)| &self.graph.nodes[*id].kind);
        matches!(innermost, Some(Kind::List(_)))
    }

    fn add(&mut self, kind: Kind, tag: Option<String>, at: Span) -> usize {
        self.graph.nodes.push(Raw {
            kind,
            tag: tag.map(String::into_boxed_str),
            at,
        });
        self.graph.nodes.len() - 1
    }

    fn anchor(&mut self, anchor: Option<String>, id: usize) {
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
    }

    fn attach(&mut self, id: usize) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.graph.root = id;
            return;
        };
        match &mut self.graph.nodes[*parent].kind {
            Kind::List(items) => items.push(id),
            Kind::Map(entries) => match key.take() {
                None => *key = Some(id),
                Some(key) => entries.push((key, id)),
            },
            Kind::Scalar { .. } | Kind::Alias(_) => {}
        }
    }

    fn open(&mut self, kind: Kind, anchor: Option<String>, tag: Option<String>, at: Span) -> Result<(), Reported> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(self.problems.fail(Problem::error(message).at(at)));
        }
        let id = self.add(kind, tag, at);
        self.anchor(anchor, id);
        self.attach(id);
        self.open.push((id, None));
        Ok(())
    }

    fn close(&mut self, at: Span) {
        if let Some((id, _)) = self.open.pop() {
            self.graph.nodes[id].at.end = at.end;
        }
    }

    /// go-yaml knows every escape but `\/`.
    fn check_escapes(&mut self, raw: &str, at: Span) {
        let mut bytes = raw.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'\\' && bytes.next() == Some(b'/') {
                let problem = Problem::error("`\\/` is no escape that Docker Compose knows").at(at);
                return self.problems.push(problem.help("write `/`"));
            }
        }
    }

    fn alias(&mut self, anchor: &str, at: Span) {
        let kind = match self.anchors.get(anchor) {
            Some(target) => Kind::Alias(*target),
            None => {
                let anchor = self.renamed.written(anchor);
                let known = self.anchors.keys().map(|name| self.renamed.written(name));
                let help = crate::problem::did_you_mean(anchor, known);
                let problem = Problem::error(format!("there is no anchor `&{anchor}` before this alias")).at(at);
                self.problems.push(problem.maybe_help(help));
                Kind::Map(Vec::new())
            }
        };
        let id = self.add(kind, None, at);
        self.attach(id);
    }

    fn syntax(&mut self, error: &libyaml_safer::Error) -> Reported {
        let at = error.problem_mark().map_or(0, |mark| mark.index);
        let mut problem = Problem::error(format!("not YAML: {}", error.problem())).at(self.span(at, at + 1));
        if let Some(context) = error.context() {
            let line = error.context_mark().map_or(0, |mark| mark.line + 1);
            problem = problem.note(format!("{context} that begins in line {line}"));
        }
        self.problems.fail(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_a_bracket_ends_a_key() {
        let mut problems = Problems::default();
        let text = "{a:, b: {c:}, d: [e:], f: \"g\"}";
        let graph = parse(text, 0, &mut problems).unwrap().remove(0);
        let Kind::Map(entries) = &graph.node(graph.root()).kind else {
            panic!("no mapping")
        };
        let keys: Vec<_> = entries.iter().map(|(key, _)| graph.key_text(*key)).collect();
        assert_eq!(keys, ["a", "b", "d", "f"]);
        let last = graph.node(entries[3].1).at;
        assert_eq!(&text[last.start as usize..last.end as usize], "\"g\"");
    }

    #[test]
    fn what_is_too_deep_is_named() {
        let mut problems = Problems::default();
        assert!(parse(&"[".repeat(10_000), 0, &mut problems).is_err());
        assert_eq!(problems.errors(), 1);
    }
}
