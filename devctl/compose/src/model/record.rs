//! The table language of the model: one `record!` per mapping of the specification.
//!
//! A record lists each attribute once, with its Rust type; from the list come the struct, how it is read from a checked
//! tree ([`Decode`](crate::codec::Decode)) and how it is written ([`Encode`](crate::codec::Encode)). The order of the
//! attributes is the order in which Compose prints them.
//!
//! After a type may stand, in this order: `= "key"` where the attribute's name is no Rust name, `= "key" / "Json"` where
//! JSON has a name of its own, and one of
//! `always` (written even when empty), `inline` (a part that JSON writes always, YAML only when it says something),
//! `optout` (a switch that is on by default, written only when off), `command` and `test` (a text becomes words, as in a
//! shell or a health check; JSON writes a missing command as null), `derived` (not part of the file).

macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* }) => {
        crate::model::record::record_with!([$(#[$meta])*] $name {} $($body)*);
    };
}

macro_rules! record_with {
    ([$($meta:tt)*] $name:ident { $($more:tt)* } $(
        $(#[$fmeta:meta])*
        $field:ident : $ty:ty $(= $key:literal $(/ $json:literal)?)? $([$flag:ident])?
    ),* $(,)?) => {
        $($meta)*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $( $(#[$fmeta])* pub $field: $ty, )*
            /// The `x-` attributes that stand here.
            pub extensions: crate::model::Extensions,
        }

        impl crate::codec::Decode for $name {
            fn decode(node: &crate::tree::Node, cx: &mut crate::codec::Decoder) -> Option<Self> {
                if node.is_null() {
                    return Some(Self::default());
                }
                let map = cx.mapping(node)?;
                Some(Self {
                    $( $field: crate::model::record::field_read!(map, cx, $field, [$($key)?] $($flag)?), )*
                    extensions: crate::codec::extensions(map),
                })
            }
        }

        impl crate::codec::Encode for $name {
            fn encode(&self, format: crate::codec::Format) -> crate::codec::Document {
                let mut out = crate::codec::Fields::new(format);
                $( crate::model::record::field_write!(out, self.$field, $field, [$($key $(/ $json)?)?] $($flag)?); )*
                out.finish(&self.extensions)
            }

            fn is_blank(&self) -> bool {
                $( crate::model::record::field_blank!(self.$field, $($flag)?) && )* self.extensions.is_empty()
            }
        }
    };
}

macro_rules! field_name {
    ($field:ident, []) => {
        stringify!($field)
    };
    ($field:ident, [$key:literal]) => {
        $key
    };
    ($field:ident, [$key:literal / $json:literal]) => {
        $key
    };
}

macro_rules! field_read {
    ($map:ident, $cx:ident, $field:ident, [$($key:literal)?] derived) => { Default::default() };
    ($map:ident, $cx:ident, $field:ident, [$($key:literal)?] command) => {
        $cx.command($map, crate::model::record::field_name!($field, [$($key)?]))
    };
    ($map:ident, $cx:ident, $field:ident, [$($key:literal)?] test) => {
        $cx.health_test($map, crate::model::record::field_name!($field, [$($key)?]))
    };
    ($map:ident, $cx:ident, $field:ident, [$($key:literal)?] $($flag:ident)?) => {
        $cx.field($map, crate::model::record::field_name!($field, [$($key)?]))
    };
}

macro_rules! field_write {
    ($out:ident, $value:expr, $field:ident, [$($key:tt)*] derived) => {};
    ($out:ident, $value:expr, $field:ident, [$($key:tt)*] always) => {
        $out.always(crate::model::record::field_name!($field, [$($key)*]), &$value)
    };
    ($out:ident, $value:expr, $field:ident, [$($key:tt)*] optout) => {
        $out.optout(crate::model::record::field_name!($field, [$($key)*]), $value)
    };
    ($out:ident, $value:expr, $field:ident, [$($key:tt)*] inline) => {
        $out.inline(crate::model::record::field_name!($field, [$($key)*]), &$value)
    };
    ($out:ident, $value:expr, $field:ident, [$($key:tt)*] command) => {
        $out.command(crate::model::record::field_name!($field, [$($key)*]), &$value)
    };
    ($out:ident, $value:expr, $field:ident, [$key:literal / $json:literal]) => {
        $out.renamed($key, $json, &$value)
    };
    ($out:ident, $value:expr, $field:ident, [$($key:tt)*] $($flag:ident)?) => {
        $out.field(crate::model::record::field_name!($field, [$($key)*]), &$value)
    };
}

macro_rules! field_blank {
    ($value:expr, derived) => {
        true
    };
    ($value:expr, $($flag:ident)?) => {
        crate::codec::Encode::is_blank(&$value)
    };
}

pub(crate) use {field_blank, field_name, field_read, field_write, record, record_with};
