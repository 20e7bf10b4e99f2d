//! Integers of the model's widths, made of other numbers as Go's conversions on a 64-bit PC make them: a fraction is dropped, and
//! what 64 bits do not hold keeps its lower ones.

use super::decode::{Decode, Decoder};
use super::document::{Document, Format};
use super::encode::Encode;
use super::units::go_int;
use crate::tree::{Node, Value};

/// An integer of one width.
pub(super) trait Integer: Sized {
    /// Whether it may be written as a text, as signed ones may.
    const OF_TEXT: bool;

    fn of_signed(value: i64) -> Option<Self>;
    fn of_unsigned(value: u64) -> Option<Self>;
    fn of_number(value: f64) -> Option<Self>;
}

impl Integer for i64 {
    const OF_TEXT: bool = true;

    fn of_signed(value: i64) -> Option<Self> {
        Some(value)
    }

    fn of_unsigned(value: u64) -> Option<Self> {
        Some(value.cast_signed())
    }

    fn of_number(value: f64) -> Option<Self> {
        let fits = value >= i64::MIN as f64 && value < i64::MAX as f64;
        Some(if fits { value as i64 } else { i64::MIN })
    }
}

macro_rules! unsigned {
    ($($ty:ty),*) => { $(
        impl Integer for $ty {
            const OF_TEXT: bool = false;

            fn of_signed(value: i64) -> Option<Self> {
                Self::try_from(value).ok()
            }

            fn of_unsigned(value: u64) -> Option<Self> {
                Self::try_from(value).ok()
            }

            fn of_number(value: f64) -> Option<Self> {
                let whole = if value < u64::MAX as f64 { value as u64 } else { 1 << 63 };
                Self::of_unsigned(whole).filter(|_| value >= 0.0)
            }
        }
    )* };
}
unsigned!(u64, u32, u16);

/// Reads one. The specification says number, here and there, where it means integer.
pub(super) fn integer<T: Integer>(node: &Node, cx: &mut Decoder) -> Option<T> {
    let read = match &node.value {
        Value::Int(value) => T::of_signed(*value),
        Value::Uint(value) => T::of_unsigned(*value),
        Value::Float(value) => T::of_number(*value),
        Value::Single(value) => T::of_number(f64::from(*value)),
        Value::Text(text) if T::OF_TEXT => go_int(text).and_then(T::of_signed),
        _ => {
            cx.wrong(node, "an integer");
            return None;
        }
    };
    if read.is_none() {
        let text = node.scalar_text().unwrap_or_default();
        cx.unreadable(node, &format!("must be an integer within range, but is `{text}`"));
    }
    read
}

macro_rules! integers {
    ($($ty:ty => $variant:ident as $wide:ty);*) => { $(
        impl Decode for $ty {
            fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
                integer(node, cx)
            }
        }

        impl Encode for $ty {
            fn encode(&self, _: Format) -> Document {
                Document::$variant(<$wide>::from(*self))
            }

            fn is_blank(&self) -> bool {
                *self == 0
            }
        }
    )* };
}
integers!(i64 => Int as i64; u64 => Uint as u64; u32 => Uint as u64; u16 => Uint as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_integers_as_go_makes_them() {
        assert_eq!(i64::of_number(1e20), Some(i64::MIN));
        assert_eq!(i64::of_unsigned(1 << 63), Some(i64::MIN));
        assert_eq!(i64::of_number(-1.9), Some(-1));
        assert_eq!(u64::of_number(1e20), Some(1 << 63));
        assert_eq!(u64::of_number(1.8e19), Some(18_000_000_000_000_000_000));
        assert_eq!(u64::of_number(-0.5), None);
        assert_eq!(u16::of_unsigned(65_537), None);
        assert_eq!(u16::of_signed(-1), None);
    }
}
