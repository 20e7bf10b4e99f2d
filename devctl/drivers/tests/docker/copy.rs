//! Files in and out, processes, use.

use std::fs;

use devctl_drivers::docker::copy::{CopyError, CopyOptions};

use crate::support::{Sleeper, engine};

#[tokio::test]
async fn files_and_directories_go_in_and_come_out() {
    let Some(engine) = engine().await else { return };
    let sleeper = Sleeper::start().await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir_all(dir.path().join("tree/deep")).unwrap();
    fs::write(dir.path().join("tree/deep/x"), "deep").unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let plain = CopyOptions::default();
    engine.copy_in(&sleeper.id, &at("file"), "/tmp", plain).await.unwrap();
    engine
        .copy_in(&sleeper.id, &at("file"), "/tmp/other", plain)
        .await
        .unwrap();
    engine.copy_in(&sleeper.id, &at("tree"), "/srv", plain).await.unwrap();
    engine
        .copy_in(&sleeper.id, &format!("{}/.", at("tree")), "/tmp", plain)
        .await
        .unwrap();
    for (path, is_dir) in [
        ("/tmp/file", false),
        ("/tmp/other", false),
        ("/srv/deep", true),
        ("/tmp/deep/x", false),
    ] {
        let found = engine.find_in_container(&sleeper.id, path).await.unwrap();
        assert_eq!(found.map(|found| found.is_dir), Some(is_dir), "{path}");
    }
    engine
        .copy_out(&sleeper.id, "/tmp/file", &dir.path().join("back"), plain)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("back")).unwrap(), "text");
    fs::create_dir(dir.path().join("into")).unwrap();
    engine
        .copy_out(&sleeper.id, "/srv", &dir.path().join("into"), plain)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("into/srv/deep/x")).unwrap(), "deep");
    engine
        .copy_out(&sleeper.id, "/srv/.", &dir.path().join("new"), plain)
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("new/deep/x")).unwrap(), "deep");
    let missing = engine
        .copy_out(&sleeper.id, "/nope", dir.path(), plain)
        .await
        .unwrap_err();
    assert!(matches!(missing, CopyError::Missing { .. }), "{missing}");
    let nowhere = engine
        .copy_in(&sleeper.id, &at("file"), "/no/such/x", plain)
        .await
        .unwrap_err();
    assert!(matches!(nowhere, CopyError::NoDirectory { .. }), "{nowhere}");
}

#[tokio::test]
async fn processes_and_use_are_the_containers_own() {
    let Some(engine) = engine().await else { return };
    let sleeper = Sleeper::start().await;
    let processes = engine.processes(&sleeper.id).await.unwrap();
    assert_eq!(processes.rows.len(), 1);
    assert!(
        processes.rows[0].iter().any(|cell| cell.contains("sleep 600")),
        "{processes:?}"
    );
    let used = engine.usage(&sleeper.id).await.unwrap().unwrap();
    assert!(used.memory < used.memory_limit && used.tasks == 1, "{used:?}");
    engine.kill(&sleeper.id, "SIGKILL").await.unwrap();
}
