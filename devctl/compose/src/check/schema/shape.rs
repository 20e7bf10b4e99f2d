//! The language of the specification's table: what kinds of value an attribute may have.

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// A scalar of one of these kinds.
    Kind(Kinds),
    /// One of these texts.
    Word(&'static [&'static str]),
    /// A text of a form.
    Form(fn(&str) -> bool, &'static str),
    /// An integer within bounds, both included.
    Within(i64, i64),
    /// A list; `true` where no two items may be equal.
    List(&'static Shape, bool),
    /// A mapping.
    Map(&'static Mapping),
    /// One of several shapes, which differ in kind.
    Either(&'static [&'static Shape]),
}

/// A mapping with known keys.
#[derive(Debug)]
pub(super) struct Mapping {
    /// The attributes, in groups that several mappings share.
    pub(super) keys: &'static [&'static [(&'static str, &'static Shape)]],
    /// What must be there.
    pub(super) required: &'static [&'static str],
    /// What must be there at least one of.
    pub(super) one_of: &'static [&'static str],
    /// Which other keys there may be, and their shape.
    pub(super) others: Option<(Names, &'static Shape)>,
    /// Whether `x-` attributes may stand there.
    pub(super) extensions: bool,
    /// Whether any further key may.
    pub(super) open: bool,
}

/// Which keys a person may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Letters, digits, `.`, `_` and `-`.
    Resource,
    /// Lower-case letters.
    Lower,
    /// Anything that is not empty.
    Any,
}

impl Names {
    pub(super) fn allow(self, key: &str) -> bool {
        match self {
            Names::Resource => {
                !key.is_empty()
                    && key
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            }
            Names::Lower => !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase()),
            Names::Any => key.chars().any(|character| character != '\n'),
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Names::Resource => "letters, digits, `.`, `_` and `-`",
            Names::Lower => "lower-case letters",
            Names::Any => "at least one character",
        }
    }
}

/// A set of kinds of scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const TEXT: Self = Self(1);
    pub(super) const INTEGER: Self = Self(2);
    pub(super) const NUMBER: Self = Self(4);
    pub(super) const BOOL: Self = Self(8);
    pub(super) const NULL: Self = Self(16);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Mapping {
    /// One that has no keys of its own yet.
    pub(super) const NEW: Self = Self {
        keys: &[],
        required: &[],
        one_of: &[],
        others: None,
        extensions: false,
        open: false,
    };
}

/// Declares a mapping with `x-` attributes.
macro_rules! attributes {
    ($($key:literal: $shape:expr),* $(,)?) => {
        Mapping { keys: &[&[$(($key, &$shape)),*]], extensions: true, ..Mapping::NEW }
    };
}

pub(super) use attributes;

pub(super) const TEXT: Shape = Shape::Kind(Kinds::TEXT);
pub(super) const BOOL: Shape = Shape::Kind(Kinds::BOOL);
pub(super) const INTEGER: Shape = Shape::Kind(Kinds::INTEGER);
pub(super) const NUMBER: Shape = Shape::Kind(Kinds::NUMBER);
pub(super) const NULL: Shape = Shape::Kind(Kinds::NULL);
pub(super) const TEXT_OR_NULL: Shape = Shape::Kind(Kinds::TEXT.or(Kinds::NULL));
pub(super) const BOOL_OR_TEXT: Shape = Shape::Kind(Kinds::BOOL.or(Kinds::TEXT));
pub(super) const INTEGER_OR_TEXT: Shape = Shape::Kind(Kinds::INTEGER.or(Kinds::TEXT));
pub(super) const NUMBER_OR_TEXT: Shape = Shape::Kind(Kinds::NUMBER.or(Kinds::TEXT));
pub(super) const NUMBER_TEXT_OR_NULL: Shape = Shape::Kind(Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::NULL));
pub(super) const NUMBER_TEXT_OR_BOOL: Shape = Shape::Kind(Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::BOOL));
pub(super) const SCALAR: Shape = Shape::Kind(Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::BOOL).or(Kinds::NULL));

pub(super) const TEXTS: Shape = Shape::List(&TEXT, false);
pub(super) const NAMES: Shape = Shape::List(&TEXT, true);
pub(super) const TEXT_OR_NAMES: Shape = Shape::Either(&[&TEXT, &NAMES]);
pub(super) const TEXT_OR_TEXTS: Shape = Shape::Either(&[&TEXT, &TEXTS]);
pub(super) const COMMAND: Shape = Shape::Either(&[&NULL, &TEXT, &TEXTS]);

pub(super) const fn any_key(shape: &'static Shape) -> Mapping {
    Mapping {
        others: Some((Names::Any, shape)),
        ..Mapping::NEW
    }
}

pub(super) const KEY_VALUES: Shape = Shape::Either(&[&Shape::Map(&any_key(&SCALAR)), &NAMES]);
pub(super) const DRIVER_OPTIONS: Shape = Shape::Map(&Mapping {
    open: true,
    ..any_key(&NUMBER_OR_TEXT)
});
pub(super) const EXTRA_HOSTS: Shape = Shape::Either(&[&Shape::Map(&any_key(&TEXT_OR_TEXTS)), &NAMES]);
