//! Turning the model into a document.

use indexmap::IndexMap;

use super::document::{Document, Format};

/// A type that can be written.
pub(crate) trait Encode {
    /// What is written.
    fn encode(&self, format: Format) -> Document;

    /// Whether it is left out where it says nothing.
    fn is_blank(&self) -> bool {
        false
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, format: Format) -> Document {
        self.as_ref().map_or(Document::Null, |value| value.encode(format))
    }

    fn is_blank(&self) -> bool {
        self.is_none()
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, format: Format) -> Document {
        Document::List(self.iter().map(|item| item.encode(format)).collect())
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Encode> Encode for IndexMap<String, T> {
    fn encode(&self, format: Format) -> Document {
        let entries = self
            .iter()
            .map(|(key, value)| (key.clone().into(), value.encode(format)))
            .collect();
        Document::Map(entries).sorted(format)
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}
