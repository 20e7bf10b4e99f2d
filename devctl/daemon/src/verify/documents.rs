//! What a provider says of itself among the project's specs (`x-devctl.contracts.specs`): its GraphQL schema and its `.proto`
//! files. A file is a provider's where it, or a directory above it, is named as the provider is.

use std::path::{Path, PathBuf};

use devctl_compose::model::Project;
use devctl_pact::graphql::Schema;
use devctl_pact::grpc::Proto;

use crate::spec::SourceTree;
use crate::{sources, specify};

/// Every document of `service`, in the order of their paths, each with the directory of specs that it stands under.
pub(super) fn of(project: &Project, service: &str) -> Vec<(PathBuf, PathBuf)> {
    let name = crate::prepare::pacticipant(project, service, true);
    let is_own = |file: &Path, root: &Path| {
        let below = file.strip_prefix(root).unwrap_or(file).with_extension("");
        let mut parts = below.components().map(|part| part.as_os_str().to_string_lossy());
        parts.any(|part| part == service || part == name)
    };
    let mut found = Vec::new();
    for written in project.x_devctl.contracts.iter().flat_map(|contracts| &contracts.specs) {
        let root = specify::normal(&project.working_dir.join(written));
        let tree = SourceTree::all(&root);
        let files: Vec<PathBuf> = sources::files(&tree);
        let own = files.into_iter().filter(|file| is_own(file, &root));
        found.extend(own.map(|file| (file, root.clone())));
    }
    found.sort();
    found.dedup();
    found
}

/// The provider's GraphQL schema. An error is why it cannot be used.
pub(super) fn schema(documents: &[(PathBuf, PathBuf)]) -> Result<Option<Schema>, String> {
    let is_schema = |path: &Path| has_extension(path, &["graphql", "graphqls"]);
    let files: Vec<&PathBuf> = documents
        .iter()
        .map(|(file, _)| file)
        .filter(|file| is_schema(file))
        .collect();
    let Some(first) = files.first() else { return Ok(None) };
    let mut text = String::new();
    for file in &files {
        let part =
            std::fs::read_to_string(file).map_err(|error| format!("failed to read `{}`: {error}", file.display()))?;
        text.push_str(&part);
        text.push('\n');
    }
    Schema::parse(&first.display().to_string(), &text)
        .map(Some)
        .map_err(|error| crate::start::told(&error))
}

/// The provider's own `.proto` files. An error is why they cannot be used.
pub(super) fn proto(documents: &[(PathBuf, PathBuf)]) -> Result<Option<Proto>, String> {
    let own = documents.iter().filter(|(file, _)| has_extension(file, &["proto"]));
    let (files, mut roots): (Vec<&PathBuf>, Vec<&PathBuf>) = own.map(|(file, root)| (file, root)).unzip();
    if files.is_empty() {
        return Ok(None);
    }
    roots.dedup();
    Proto::compile(&roots, &files)
        .map(Some)
        .map_err(|error| crate::start::told(&error))
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.contains(&extension))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_providers_documents_are_named_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("specs/graphql/bff.graphql", "type Query { name: String! }\n");
        write("specs/graphql/other.graphql", "type Query { other: String! }\n");
        write(
            "specs/proto/bff/v1/a.proto",
            "syntax = \"proto3\"; package bff.v1; message A {}\n",
        );
        let mut project = Project {
            working_dir: dir.path().to_owned(),
            ..Project::default()
        };
        project.x_devctl.contracts = Some(devctl_compose::model::ProjectContracts {
            specs: vec!["specs/graphql".to_owned(), "specs/proto".to_owned()],
            ..Default::default()
        });
        let documents = of(&project, "bff");
        assert_eq!(documents.len(), 2, "{documents:?}");
        assert!(schema(&documents).unwrap().is_some());
        assert!(proto(&documents).unwrap().is_some());
        assert!(of(&project, "nobody").is_empty());

        write("specs/graphql/bff.graphql", "type Query { name: Strin! }\n");
        assert!(schema(&of(&project, "bff")).is_err_and(|why| why.contains("bff.graphql")));
    }
}
