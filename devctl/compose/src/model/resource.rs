//! Resources at the top of the file: volumes, secrets, configs, models.

use indexmap::IndexMap;

use super::record::record;

record! {
    /// A volume, `volumes.NAME`.
    pub struct Volume {
        /// Its name in the engine.
        name: Option<String>,
        /// Driver.
        driver: Option<String>,
        /// The driver's options.
        driver_opts: IndexMap<String, String>,
        /// Whether it exists already and is not managed.
        external: bool,
        /// Labels.
        labels: IndexMap<String, String>,
    }
}

record! {
    /// A secret or config, `secrets.NAME` and `configs.NAME`.
    pub struct FileObject {
        /// Its name in the engine.
        name: Option<String>,
        /// The file that has its content.
        file: Option<String>,
        /// The variable that has its content.
        environment: Option<String>,
        /// The content itself. For a secret or config with `environment` it is the variable's value, and never printed.
        content: Option<String>,
        /// Whether it exists already and is not managed.
        external: bool,
        /// Labels.
        labels: IndexMap<String, String>,
        /// Driver.
        driver: Option<String>,
        /// The driver's options.
        driver_opts: IndexMap<String, String>,
        /// Template driver.
        template_driver: Option<String>,
    }
}

record! {
    /// A language model, `models.NAME`.
    pub struct Model {
        /// Its name in the runner.
        name: Option<String>,
        /// The model.
        model: Option<String>,
        /// Size of the context.
        context_size: i64,
        /// Flags for the runtime.
        runtime_flags: Vec<String>,
    }
}
