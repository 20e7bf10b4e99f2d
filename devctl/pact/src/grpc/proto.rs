//! Protobuf descriptors: from `.proto` files, or from what a pact carries. No `protoc` is needed for either.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pact_models::plugins::PluginData;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The name under which the Pact protobuf plugin keeps its data in a pact.
pub const PLUGIN: &str = "protobuf";

/// The messages and services of some `.proto` files. Cheap to clone.
#[derive(Clone)]
pub struct Proto {
    pub(crate) pool: DescriptorPool,
    /// The encoded `FileDescriptorSet`, imports included.
    pub(crate) encoded: Vec<u8>,
    /// The files' text, for people who read the pact.
    pub(crate) text: String,
}

impl fmt::Debug for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services: Vec<String> = self
            .pool
            .services()
            .map(|service| service.full_name().to_owned())
            .collect();
        f.debug_struct("Proto").field("services", &services).finish()
    }
}

/// Why descriptors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProtoError {
    /// A `.proto` file that is not there or does not compile; the cause names the place.
    #[error("compile `{file}`")]
    Compile {
        /// Which.
        file: PathBuf,
        /// Where and what.
        #[source]
        cause: Box<protox::Error>,
    },
    /// A `.proto` file that cannot be read.
    #[error("read `{file}`")]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A descriptor set that contradicts itself, or is none.
    #[error("read the descriptors{of}")]
    Descriptors {
        /// ` of the key ...`, or nothing.
        of: String,
        /// What is wrong.
        #[source]
        cause: prost_reflect::DescriptorError,
    },
    /// A pact whose plugin data is not what the interaction says.
    #[error("find the descriptors: {0}")]
    Missing(String),
    /// No such service or method.
    #[error("find the method `{wanted}`")]
    Method {
        /// As it was asked for.
        wanted: String,
        /// Every method there is.
        known: Vec<String>,
    },
}

impl ProtoError {
    /// What to do about it, where there is something.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Method { wanted, known } => {
                let nearest = known.iter().max_by(|one, other| {
                    let like = |name: &str| strsim::normalized_damerau_levenshtein(name, wanted);
                    like(one).total_cmp(&like(other))
                });
                let hint = nearest.map(|name| format!("did you mean `{name}`? "))?;
                Some(format!("{hint}known methods: {}", known.join(", ")))
            }
            Self::Missing(_) => {
                Some("run the consumer's tests again: they write the descriptors into the pact".to_owned())
            }
            Self::Compile { .. } | Self::Read { .. } | Self::Descriptors { .. } => None,
        }
    }
}

impl Proto {
    /// Compiles `files`, which lie below one of `includes`; imports are looked for there too, and the files that come
    /// with protobuf itself (`google/protobuf/...`) are always there.
    ///
    /// # Errors
    ///
    /// The first file that is missing or does not compile, with its place.
    pub fn compile<I, P>(includes: &[I], files: &[P]) -> Result<Self, ProtoError>
    where
        I: AsRef<Path>,
        P: AsRef<Path>,
    {
        let failed = |file: &Path| {
            let file = file.to_owned();
            move |cause| ProtoError::Compile {
                file,
                cause: Box::new(cause),
            }
        };
        let mut compiler = protox::Compiler::new(includes).map_err(failed(Path::new("")))?;
        compiler.include_imports(true).include_source_info(false);
        let mut text = String::new();
        for file in files {
            let file = file.as_ref();
            compiler.open_file(file).map_err(failed(file))?;
            text.push_str(&source(includes, file)?);
        }
        Self::decode(compiler.encode_file_descriptor_set(), text, String::new())
    }

    /// The descriptors that a pact's plugin data holds under `key`.
    ///
    /// # Errors
    ///
    /// Where there are none, or they are no descriptor set.
    pub fn from_pact(plugins: &[PluginData], key: &str) -> Result<Self, ProtoError> {
        let Some(plugin) = plugins.iter().find(|plugin| plugin.name == PLUGIN) else {
            return Err(ProtoError::Missing(format!(
                "the pact's metadata names no plugin `{PLUGIN}`"
            )));
        };
        let Some(entry) = plugin.configuration.get(key) else {
            let known: Vec<&str> = plugin.configuration.keys().map(String::as_str).collect();
            let what = format!("the interaction wants those of `{key}`, the pact has {known:?}");
            return Err(ProtoError::Missing(what));
        };
        let Some(encoded) = entry.get("protoDescriptors").and_then(Value::as_str) else {
            return Err(ProtoError::Missing(format!("`{key}` has no `protoDescriptors`")));
        };
        let encoded = STANDARD
            .decode(encoded)
            .map_err(|cause| ProtoError::Missing(format!("`{key}` is no base64: {cause}")))?;
        let text = entry.get("protoFile").and_then(Value::as_str).unwrap_or_default();
        Self::decode(encoded, text.to_owned(), format!(" of the key `{key}`"))
    }

    fn decode(encoded: Vec<u8>, text: String, of: String) -> Result<Self, ProtoError> {
        let pool = DescriptorPool::decode(encoded.as_slice()).map_err(|cause| ProtoError::Descriptors { of, cause })?;
        Ok(Self { pool, encoded, text })
    }

    /// Names these descriptors in a pact: the same for the same content.
    pub fn key(&self) -> String {
        let digest = Sha256::digest(&self.encoded);
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a pact says of these descriptors, in the plugin's shape.
    pub(crate) fn plugin_entry(&self) -> Value {
        serde_json::json!({
            "protoDescriptors": STANDARD.encode(&self.encoded),
            "protoFile": self.text,
        })
    }

    /// The method `package.Service/Method`. A leading dot (newer plugins write one) is passed over, and so is a missing
    /// package (older plugins leave it out) where only one service has the name.
    ///
    /// # Errors
    ///
    /// Where there is no such method; the help lists those there are.
    pub fn method(&self, wanted: &str) -> Result<MethodDescriptor, ProtoError> {
        let unknown = || ProtoError::Method {
            wanted: wanted.to_owned(),
            known: self.methods(),
        };
        let (service, method) = wanted
            .trim_start_matches(['.', '/'])
            .split_once('/')
            .ok_or_else(unknown)?;
        let services: Vec<_> = match self.pool.get_service_by_name(service) {
            Some(found) => vec![found],
            None => self.pool.services().filter(|one| one.name() == service).collect(),
        };
        let [found] = &services[..] else { return Err(unknown()) };
        found.methods().find(|one| one.name() == method).ok_or_else(unknown)
    }

    /// Every method, as `package.Service/Method`, sorted.
    pub fn methods(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .pool
            .services()
            .flat_map(|service| service.methods().map(|method| path(&method)).collect::<Vec<_>>())
            .collect();
        names.sort();
        names
    }
}

/// `package.Service/Method`.
pub fn path(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn source<I: AsRef<Path>>(includes: &[I], file: &Path) -> Result<String, ProtoError> {
    let places = includes.iter().map(|include| include.as_ref().join(file));
    let place = places
        .chain([file.to_owned()])
        .find(|place| place.is_file())
        .unwrap_or_else(|| file.to_owned());
    std::fs::read_to_string(&place).map_err(|cause| ProtoError::Read { file: place, cause })
}
