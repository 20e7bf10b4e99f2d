use super::*;
use crate::server::Requirement;

fn spec(env: &[(&str, &str)], mounts: &[(&str, &Path)]) -> RabbitSpec {
    RabbitSpec {
        version: Requirement::Any,
        env: env
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        mounts: mounts
            .iter()
            .map(|(at, path)| ((*at).into(), path.to_path_buf()))
            .collect(),
        name: "shop".into(),
        data_dir: "/data".into(),
        cache_dir: "/cache".into(),
        listen: ([127, 0, 0, 1], 5001).into(),
        management: None,
        dist_port: 5002,
        epmd_port: 5003,
    }
}

#[test]
fn defaults_and_variables_are_the_images() {
    let mut notes = Vec::new();
    let settings = Settings::of(&spec(&[], &[]), &mut notes).unwrap();
    assert_eq!(
        (
            settings.user.as_str(),
            settings.password.as_str(),
            settings.vhost.as_str()
        ),
        ("guest", "guest", "/")
    );
    assert!(notes.is_empty());
    let env = [
        ("RABBITMQ_DEFAULT_USER", "u"),
        ("RABBITMQ_DEFAULT_VHOST", "v"),
        ("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "1"),
    ];
    let settings = Settings::of(&spec(&env, &[]), &mut notes).unwrap();
    assert_eq!((settings.user.as_str(), settings.vhost.as_str()), ("u", "v"));
    assert_eq!(notes.len(), 1);
}

#[test]
fn mounted_files_are_merged_and_addresses_stay_ours() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let conf = write(
        "r.conf",
        "# mine\nlisteners.tcp.default = 5672\nheartbeat = 30\nload_definitions = /etc/rabbitmq/d.json\n",
    );
    let more = write("more.conf", "channel_max = 10\n");
    let definitions = write("d.json", "{}");
    let plugins = write("enabled", "[rabbitmq_shovel,rabbitmq_management].\n");
    let mounts = [
        ("/etc/rabbitmq/rabbitmq.conf", conf.as_path()),
        ("/etc/rabbitmq/conf.d/10-more.conf", &more),
        ("/etc/rabbitmq/d.json", &definitions),
        ("/etc/rabbitmq/enabled_plugins", &plugins),
    ];
    let mut notes = Vec::new();
    let mut wanted = spec(&[], &mounts);
    let settings = Settings::of(&wanted, &mut notes).unwrap();
    for line in [
        "heartbeat = 30",
        "channel_max = 10",
        "listeners.tcp.1 = 127.0.0.1:5001",
        "load_definitions = @ETC@/definitions-0.json",
    ] {
        assert!(
            settings.conf.lines().any(|found| found == line),
            "{line} in\n{}",
            settings.conf
        );
    }
    assert!(!settings.conf.contains("5672"));
    assert!(settings.has_definitions);
    assert_eq!(settings.files, [("definitions-0.json".to_owned(), definitions.clone())]);
    assert_eq!(settings.plugins, ["rabbitmq_shovel"]);
    assert_eq!(notes.len(), 2, "{notes:?}");
    wanted.management = Some(([127, 0, 0, 1], 5004).into());
    let settings = Settings::of(&wanted, &mut notes).unwrap();
    assert_eq!(settings.plugins, ["rabbitmq_shovel", "rabbitmq_management"]);
    assert!(settings.conf.contains("management.tcp.port = 5004"));
}

#[test]
fn a_definitions_file_that_is_not_mounted_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("r.conf");
    fs::write(&conf, "load_definitions = /etc/rabbitmq/none.json").unwrap();
    let error = Settings::of(&spec(&[], &[("/etc/rabbitmq/rabbitmq.conf", &conf)]), &mut Vec::new())
        .err()
        .unwrap();
    assert!(
        error.to_string().starts_with("read `/etc/rabbitmq/none.json`"),
        "{error}"
    );
}

#[test]
fn a_path_becomes_an_erlang_string() {
    assert_eq!(erlang_string(r#"/a "b"\c"#), r#""/a \"b\"\\c""#);
}
