//! Loads Compose files into a typed project, with the meaning that Docker Compose gives them.
//!
//! The whole Compose specification: interpolation, `.env` and `env_file`, several files merged by the rules of each
//! attribute, `!reset` and `!override`, anchors, `extends`, `include`, profiles, short and long forms, everything that is
//! implied. What Docker Compose 5 accepts is accepted and means the same, down to the JSON that `docker compose config`
//! prints; what it refuses is refused. Every problem of a project is reported at once, with file, line and column.
//!
//! The crate is pure: files come from a [`Files`], everything else from [`LoadOptions`]. It reads no disk, no environment
//! and no clock, so a daemon can load a project on behalf of any client, and an editor can load one that was never saved.
//!
//! # Example
//!
//! ```
//! use devctl_compose::{LoadOptions, MemoryFiles, load};
//!
//! let files = MemoryFiles::new()
//!     .with("/shop/compose.yaml", "services: {web: {image: 'shop:${TAG:-latest}', ports: ['8080:80']}}")
//!     .with("/shop/.env", "TAG=v2");
//! let options = LoadOptions { working_dir: "/shop".into(), ..LoadOptions::default() };
//! let project = load(&files, &options)?.project;
//!
//! let web = &project.services["web"];
//! assert_eq!(web.image.as_deref(), Some("shop:v2"));
//! assert_eq!(web.ports[0].target, 80);
//! assert_eq!(project.networks["default"].name.as_deref(), Some("shop_default"));
//! # Ok::<(), devctl_compose::Diagnostics>(())
//! ```
//!
//! What is wrong is shown as a person finds it:
//!
//! ```
//! # use devctl_compose::{LoadOptions, MemoryFiles, load};
//! let files = MemoryFiles::new().with("/shop/compose.yaml", "services:\n  web:\n    imgae: shop\n");
//! let options = LoadOptions { working_dir: "/shop".into(), ..LoadOptions::default() };
//! let problems = load(&files, &options).unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "error: `services.web` has no attribute `imgae`
//!  --> compose.yaml:3:5
//!   |
//! 3 |     imgae: shop
//!   |     ^^^^^
//! help: did you mean `image`?"
//! );
//! ```
//!
//! # The way of a file
//!
//! text → graph of nodes → `!reset` and `!override` taken out → tree with spans → interpolation → `include` →
//! `extends` → merge over the files before → check against the table of the specification → long forms → defaults →
//! rules between attributes → paths → what is implied → [`model::Project`] → profiles → references → environment files.
//!
//! # Bounds
//!
//! A file has at most 64 MiB, 100,000 nodes (Compose's own limit), 1,000,000 nodes once aliases are expanded, and 256
//! levels of nesting; files include each other at most 64 deep; variables are nested at most 64 deep. What goes beyond is
//! an error that names the bound.
//!
//! # Known divergences from Docker Compose 5.6
//!
//! * `include`, `extends` and `-f` from Git repositories and OCI artifacts are refused: nothing is fetched.
//! * A target port or a block weight above 65535 is refused; Compose accepts any integer and fails later.
//! * Two `pre_start` hooks of two files that differ only in the quotes around a number are one; Compose keeps both.
//! * A file that includes itself as a further file of an entry is refused; Compose never ends.
//! * A key that begins with `<<` and goes on, such as `<<x`, may be reset; Compose reports an internal error.
//! * A negative duration is refused; Compose prints it.
//! * Nesting deeper than 256 levels is refused; Compose goes to 10,000.
//! * In YAML output, a timestamp below an `x-` attribute stands in quotes, and an empty list that normalisation leaves
//!   behind under `--no-interpolate` is `null`. JSON is the same.
//! * Within brackets and braces, a text that begins with `?` must stand in quotes; go-yaml takes `[?a]` as a text.
//! * There, a text with `?` and a space in it may do without quotes; go-yaml refuses it.
//! * An anchor's name has none of ``? @ % ` ``, which go-yaml takes.
//! * The control characters U+007F to U+009F are refused; go-yaml takes them.
//! * A document that begins with the end marker `...` is refused; go-yaml skips it.
//! * Lists that Compose prints in random order (`--services`, `--images`, SSH keys) have a fixed one.

mod canonical;
mod check;
mod codec;
mod defaults;
mod diagnostic;
mod dotenv;
mod extension;
mod files;
mod interpolate;
mod load;
mod merge;
pub mod model;
mod normalize;
mod options;
mod paths;
mod problem;
mod render;
mod select;
mod source;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use dotenv::parse_env_file;
pub use extension::extension_schema;
pub use files::{Files, MemoryFiles};
pub use interpolate::template::Variable;
pub use load::find::NAMES as FILE_NAMES;
pub use load::{ModelTree, load, model_tree};
pub use options::{LoadOptions, Loaded};
pub use render::Unprintable;
