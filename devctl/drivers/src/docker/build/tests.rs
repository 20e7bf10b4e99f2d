use super::*;

#[test]
fn what_only_buildkit_understands_is_seen() {
    for text in [
        "# syntax=docker/dockerfile:1\nFROM x",
        "FROM x\nRUN --mount=type=cache,target=/t make",
        "RUN <<EOF\nmake\nEOF",
        "copy --link a b",
        "COPY <<FILE /etc/x",
    ] {
        assert!(needs_buildkit(text), "{text}");
    }
    for text in [
        "FROM x\nRUN make --mount",
        "# a syntax note? no\nFROM x\nCOPY --from=a b c",
        "RUN cat <<EOF",
        "",
    ] {
        assert!(!needs_buildkit(text), "{text}");
    }
}

#[test]
fn remote_contexts_are_known_by_their_names() {
    let build = |context: &str| Build {
        context: context.to_owned(),
        ..Build::default()
    };
    assert!(build("https://example.com/repo.git#main").is_remote());
    assert!(build("git@example.com:repo.git").is_remote());
    assert!(!build("/srv/repo").is_remote());
}

#[test]
fn the_stamp_covers_how_it_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let mut build = Build {
        context: dir.path().display().to_string(),
        dockerfile: Dockerfile::Inline("FROM scratch".to_owned()),
        ..Build::default()
    };
    let first = build.stamp().unwrap();
    assert!(first.is_some());
    build.args.insert("A".to_owned(), "1".to_owned());
    assert_ne!(build.stamp().unwrap(), first);
}
