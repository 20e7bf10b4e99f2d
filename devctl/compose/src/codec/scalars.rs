//! Reading and writing the model's small values.

use std::time::Duration;

use indexmap::IndexMap;

use super::decode::{Decode, Decoder, go_print};
use super::document::{Document, Format};
use super::encode::Encode;
use super::integers::integer;
use super::units::{format_duration, parse_byte_size, parse_duration, split_words};
use crate::model::{ByteSize, Condition, DeviceCount, ExtraHosts, FileMode, MountKind, SshKeys, Ulimit, WatchAction};
use crate::tree::{Node, Value};

impl Decode for String {
    const IS_TEXT: bool = true;

    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            // Go's conversion makes texts of integers, and of no other kind.
            Value::Int(value) => Some(value.to_string()),
            _ if cx.prints_scalars() => Self::decode_value(node, cx),
            _ => {
                cx.wrong(node, "a string");
                None
            }
        }
    }

    fn decode_value(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let text = node.scalar_text();
        if text.is_none() {
            cx.wrong(node, "a string");
        }
        text
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn from_word(word: Option<&str>) -> Option<Self> {
        Some(word.unwrap_or_default().to_owned())
    }
}

impl Encode for String {
    fn encode(&self, _: Format) -> Document {
        Document::Text(self.clone())
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "y" | "yes" | "on" => Some(true),
                "false" | "n" | "no" | "off" => Some(false),
                _ => {
                    cx.unreadable(node, &format!("must be `true` or `false`, but is `{text}`"));
                    None
                }
            },
            _ => {
                cx.wrong(node, "a boolean");
                None
            }
        }
    }
}

impl Encode for bool {
    fn encode(&self, _: Format) -> Document {
        Document::Bool(*self)
    }

    fn is_blank(&self) -> bool {
        !*self
    }
}

impl Decode for f32 {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let read = match &node.value {
            Value::Int(value) => Some(*value as f32),
            Value::Uint(value) => Some(*value as f32),
            Value::Float(value) => Some(*value as f32),
            Value::Single(value) => Some(*value),
            Value::Text(text) => super::units::parse_float(text).map(|value| value as f32),
            _ => None,
        };
        if read.is_none() {
            cx.unreadable(
                node,
                &format!("must be a number, but is `{}`", node.scalar_text().unwrap_or_default()),
            );
        }
        read
    }
}

impl Encode for f32 {
    fn encode(&self, _: Format) -> Document {
        Document::Single(*self)
    }

    fn is_blank(&self) -> bool {
        *self == 0.0
    }
}

impl Decode for Duration {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let text = node.scalar_text().unwrap_or_default();
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(why) => {
                cx.unreadable(node, &why);
                None
            }
        }
    }
}

impl Encode for Duration {
    fn encode(&self, _: Format) -> Document {
        Document::Text(format_duration(*self))
    }

    fn is_blank(&self) -> bool {
        self.is_zero()
    }
}

impl Decode for ByteSize {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Text(text) => match parse_byte_size(text) {
                Ok(size) => Some(ByteSize(size)),
                Err(why) => {
                    cx.unreadable(node, &why);
                    None
                }
            },
            Value::Int(size) => Some(ByteSize(*size)),
            // Go's conversion knows integers and texts only, and lets anything else pass as 0.
            _ => Some(ByteSize(0)),
        }
    }
}

impl Encode for ByteSize {
    fn encode(&self, _: Format) -> Document {
        Document::Text(self.0.to_string())
    }

    fn is_blank(&self) -> bool {
        self.0 == 0
    }
}

/// Reads a text that is one of a few.
fn one_of<T: Copy>(node: &Node, cx: &mut Decoder, words: &[(&str, T)]) -> Option<T> {
    let text = node.as_text().unwrap_or_default();
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        cx.unreadable(node, &format!("must be one of {}, but is `{text}`", all.join(", ")));
    }
    found
}

macro_rules! words {
    ($ty:ty: $($word:literal => $value:path),*) => {
        impl Decode for $ty {
            fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
                one_of(node, cx, &[$(($word, $value)),*])
            }
        }

        impl Encode for $ty {
            fn encode(&self, _: Format) -> Document {
                Document::Text(match self { $($value => $word),* }.to_owned())
            }
        }
    };
}
words!(Condition:
    "service_started" => Condition::Started,
    "service_healthy" => Condition::Healthy,
    "service_completed_successfully" => Condition::CompletedSuccessfully);
words!(WatchAction:
    "sync" => WatchAction::Sync,
    "rebuild" => WatchAction::Rebuild,
    "restart" => WatchAction::Restart,
    "sync+restart" => WatchAction::SyncRestart,
    "sync+exec" => WatchAction::SyncExec);
words!(MountKind:
    "bind" => MountKind::Bind,
    "volume" => MountKind::Volume,
    "tmpfs" => MountKind::Tmpfs,
    "cluster" => MountKind::Cluster,
    "npipe" => MountKind::Npipe,
    "image" => MountKind::Image);

impl Decode for FileMode {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Int(mode) => Some(FileMode(*mode)),
            Value::Text(text) => match i64::from_str_radix(text, 8) {
                Ok(mode) => Some(FileMode(mode)),
                Err(_) => {
                    cx.unreadable(node, &format!("must be a mode in octal, but is `{text}`"));
                    None
                }
            },
            _ => {
                cx.wrong(node, "a mode in octal");
                None
            }
        }
    }
}

impl Encode for FileMode {
    fn encode(&self, _: Format) -> Document {
        let sign = if self.0 < 0 { "-" } else { "" };
        Document::Text(format!("0{sign}{:o}", self.0.unsigned_abs()))
    }
}

impl Decode for DeviceCount {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.eq_ignore_ascii_case("all") => Some(DeviceCount(-1)),
            Value::Text(text) if text.parse::<i64>().is_err() => {
                cx.unreadable(node, &format!("must be `all` or a number, but is `{text}`"));
                None
            }
            Value::Int(_) | Value::Text(_) => integer(node, cx).map(DeviceCount),
            _ => {
                cx.wrong(node, "`all` or an integer");
                None
            }
        }
    }
}

impl Encode for DeviceCount {
    fn encode(&self, _: Format) -> Document {
        Document::Int(self.0)
    }

    fn is_blank(&self) -> bool {
        self.0 == 0
    }
}

impl Default for Ulimit {
    fn default() -> Self {
        Ulimit::Single(0)
    }
}

impl Decode for Ulimit {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let Some(map) = node.as_map() else {
            return integer(node, cx).map(Ulimit::Single);
        };
        let mut limit = |key: &str| {
            let node = map.get(key).map(|entry| &entry.node);
            match node.map(|node| (node, &node.value)) {
                Some((_, Value::Int(limit))) => *limit,
                Some((node, _)) => {
                    cx.within(key, |cx| cx.wrong(node, "an integer"));
                    0
                }
                None => 0,
            }
        };
        Some(Ulimit::Pair {
            soft: limit("soft"),
            hard: limit("hard"),
        })
    }
}

impl Encode for Ulimit {
    fn encode(&self, format: Format) -> Document {
        match (self, format) {
            (Ulimit::Single(limit), _) if *limit != 0 => Document::Int(*limit),
            (Ulimit::Single(_), Format::Json) => Document::Map(Vec::new()),
            (Ulimit::Single(_), Format::Yaml) => Ulimit::Pair { soft: 0, hard: 0 }.encode(format),
            (Ulimit::Pair { soft, hard }, _) => {
                let all = [("soft", soft), ("hard", hard)].into_iter();
                let kept = all.filter(|(_, limit)| **limit != 0 || format == Format::Yaml);
                Document::Map(kept.map(|(key, limit)| (key.into(), Document::Int(*limit))).collect())
            }
        }
    }
}

impl Decode for SshKeys {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        IndexMap::<String, Option<String>>::decode(node, cx).map(SshKeys)
    }
}

impl Encode for SshKeys {
    fn encode(&self, format: Format) -> Document {
        let mut keys: Vec<_> = self.0.iter().collect();
        keys.sort_by_key(|(name, _)| name.as_str());
        let line = |(name, path): (&String, &Option<String>)| match path.as_deref() {
            None | Some("") => name.clone(),
            Some(path) if format == Format::Json => format!("{name}={path}"),
            Some(path) => format!("{name}: {path}"),
        };
        Document::List(keys.into_iter().map(|key| Document::Text(line(key))).collect())
    }

    fn is_blank(&self) -> bool {
        self.0.is_empty()
    }
}

impl Decode for ExtraHosts {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut hosts: IndexMap<String, Vec<String>> = IndexMap::new();
        match &node.value {
            Value::Map(map) => {
                for (host, entry) in map {
                    let addresses = match &entry.node.value {
                        Value::List(list) => list.iter().map(go_print).collect(),
                        _ => cx.within(host, |cx| Vec::<String>::decode(&entry.node, cx))?,
                    };
                    hosts.insert(host.clone(), addresses);
                }
            }
            Value::List(list) => {
                for item in list {
                    let text = item.scalar_text().unwrap_or_default();
                    let Some((host, addresses)) = text.split_once('=').or_else(|| text.split_once(':')) else {
                        cx.unreadable(item, &format!("must be `HOST=ADDRESS`, but `{text}` has no address"));
                        return None;
                    };
                    hosts
                        .entry(host.to_owned())
                        .or_default()
                        .extend(addresses.split(',').map(str::to_owned));
                }
            }
            _ => {
                cx.wrong(node, "a list or a mapping");
                return None;
            }
        }
        for (host, addresses) in &mut hosts {
            if host.is_empty() || host.contains([':', '=']) {
                cx.unreadable(node, &format!("has a name that no host can have: `{host}`"));
                return None;
            }
            for address in addresses {
                let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                if let Some(bare) = bare.filter(|bare| !bare.is_empty()).map(str::to_owned) {
                    *address = bare;
                }
            }
        }
        Some(ExtraHosts(hosts))
    }
}

impl Encode for ExtraHosts {
    fn encode(&self, _: Format) -> Document {
        let pairs = self
            .0
            .iter()
            .flat_map(|(host, all)| all.iter().map(move |address| format!("{host}={address}")));
        let mut lines: Vec<_> = pairs.collect();
        lines.sort();
        Document::List(lines.into_iter().map(Document::Text).collect())
    }

    fn is_blank(&self) -> bool {
        self.0.is_empty()
    }
}

/// A command: a text is split into words as a shell would.
pub(crate) struct Words(pub(crate) Vec<String>);

impl Decode for Words {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            // Compose takes a date for no command.
            Value::Time(_) => None,
            Value::Text(text) => match split_words(text) {
                Ok(words) => Some(Words(words)),
                Err(why) => {
                    cx.unreadable(node, &why);
                    None
                }
            },
            _ => Vec::<String>::decode(node, cx).map(Words),
        }
    }
}
