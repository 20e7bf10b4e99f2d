//! A load from beginning to end.
//!
//! 1. [`find`]: which files, which environment, which profiles;
//! 2. [`model`]: each file is read, interpolated, completed by what it includes and extends, merged, checked, made canonical;
//! 3. [`project`]: what is implied is added, the tree is read into the model, references are checked, environment files read.

mod extends;
pub(crate) mod find;
mod include;
mod model;
mod project;
mod read;
mod variables;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostics;
use crate::files::Files;
use crate::interpolate::template::Variable;
use crate::options::{LoadOptions, Loaded};
use crate::problem::{Problems, Reported};
use crate::tree::Node;
use read::Session;

/// Loads a project.
///
/// # Errors
/// Everything that is wrong with the files, not just the first thing.
pub fn load(files: &dyn Files, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let mut session = Session::new(files, options);
    let project = find::find(&mut session).and_then(|found| {
        let tree = model::load(&mut session, &found)?;
        Ok(project::build(&mut session, &found, tree))
    });
    let (errors, warnings, files_read) = session.finish();
    match project {
        Ok(project) if errors.is_empty() => Ok(Loaded {
            project,
            warnings,
            files_read,
        }),
        _ => Err(errors.with_warnings(warnings)),
    }
}

/// A file's meaning as a tree, before it is read into the model: what `config --no-interpolate` prints.
#[derive(Debug, Clone)]
pub struct ModelTree {
    pub(crate) root: Node,
    /// What is probably not as meant.
    pub warnings: Vec<crate::Diagnostic>,
    /// The project's name.
    pub name: String,
    /// The environment that interpolation would use.
    pub environment: IndexMap<String, String>,
}

/// Loads the merged files as a tree, which may still hold variables.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn model_tree(files: &dyn Files, options: &LoadOptions) -> Result<ModelTree, Diagnostics> {
    let mut session = Session::new(files, options);
    let tree = find::find(&mut session).and_then(|mut found| {
        let environment = found.environment.clone();
        if options.no_interpolate {
            // A file that keeps its variables is not yet anyone's: no secret and no value of the caller gets into it.
            found.environment.retain(|name, _| name == "COMPOSE_PROJECT_NAME");
        }
        let mut tree = model::load(&mut session, &found)?;
        project::imply(&mut session, &found, &mut tree);
        Ok((tree, found.name, environment))
    });
    let (errors, warnings, _) = session.finish();
    match tree {
        Ok((root, name, environment)) if errors.is_empty() => Ok(ModelTree {
            root,
            warnings,
            name,
            environment,
        }),
        _ => Err(errors.with_warnings(warnings)),
    }
}

impl ModelTree {
    /// The variables that the files use, by name.
    pub fn variables(&self) -> Vec<Variable> {
        variables::of(&self.root)
    }

    /// The variables as `config --variables --format yaml` prints them.
    pub fn variables_to_yaml(&self) -> String {
        crate::codec::variables_as_yaml(&self.variables())
    }

    /// The names below a key of the top, such as `services`, in their order.
    pub fn names(&self, kind: &str) -> Vec<String> {
        self.root
            .get(kind)
            .and_then(Node::as_map)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// As `config --no-interpolate --format json` prints it.
    pub fn to_json_text(&self) -> String {
        crate::codec::tree_as_json(&self.root)
    }

    /// As `config --no-interpolate` prints it.
    pub fn to_yaml(&self) -> String {
        crate::codec::tree_as_yaml(&self.root)
    }
}

/// What a step gives that cannot go on without some part of the files.
pub(crate) type Stage<T> = Result<T, Reported>;

/// Runs a stage that reports into `problems`. What it finds wrong does not keep the next one from looking at the rest.
pub(crate) fn stage<T>(problems: &mut Problems, run: impl FnOnce(&mut Problems) -> T) -> T {
    problems.begin();
    run(problems)
}
