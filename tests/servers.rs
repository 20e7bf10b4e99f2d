//! PostgreSQL and RabbitMQ from the machine's own binaries mean what their images mean.

use crate::support::Project;

const POSTGRES: &str = r#"
services:
  db:
    image: ${POSTGRES_IMAGE:-postgres:15}
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: secret-of-the-shop, POSTGRES_DB: goods}
    volumes: [data:/var/lib/postgresql/data, ./init:/docker-entrypoint-initdb.d:ro]
  count:
    image: app
    depends_on: {db: {condition: service_healthy}}
    environment: {DATABASE_URL: "postgres://shop:secret-of-the-shop@db:5432/goods"}
    x-devctl:
      native: {command: [sh, -c, "psql \"$$DATABASE_URL\" -Atc 'insert into visits default values; select count(*) from visits' && exec sleep 1000"]}
volumes: {data: {}}
"#;

fn visits(project: &Project) -> Vec<String> {
    let out = project.ok(&["logs", "--no-log-prefix", "count"]).out;
    out.lines()
        .filter(|line| line.chars().all(|c| c.is_ascii_digit()) && !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn postgres_runs_its_init_scripts_keeps_its_data_and_loses_it_when_asked() {
    let project = Project::new(POSTGRES);
    project.write(
        "init/10-schema.sql",
        "create table visits (at timestamptz default now());",
    );
    project.write(
        "init/20-first.sh",
        "psql -v ON_ERROR_STOP=1 -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\" -c 'insert into visits default values'\n",
    );
    project.ok(&["up", "-d", "--wait", "db"]);
    for expected in ["2", "3"] {
        project.ok(&["up", "-d", "--wait"]);
        crate::support::wait_for("the count", std::time::Duration::from_secs(10), || {
            visits(&project)
                .last()
                .is_some_and(|last| last == expected)
                .then_some(())
        });
        project.ok(&["down"]);
    }
    project.ok(&["down", "-v"]);
    project.ok(&["up", "-d", "--wait"]);
    crate::support::wait_for("the count", std::time::Duration::from_secs(10), || {
        visits(&project).last().is_some_and(|last| last == "2").then_some(())
    });
    let logs = project.ok(&["logs"]).out;
    assert!(!logs.contains("secret-of-the-shop"), "{logs}");
}

#[test]
fn a_version_that_is_not_there_is_refused_with_what_is() {
    let project = Project::new("services:\n  db:\n    image: postgres:9.1\n    environment: {POSTGRES_PASSWORD: x}\n");
    let said = project.run(&["up", "-d", "--wait"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("9.1") && said.err.contains("native"), "{}", said.err);
}

#[test]
fn rabbitmq_has_the_user_and_the_vhost_that_the_file_names() {
    let project = Project::new(
        r#"
services:
  mq:
    image: rabbitmq:3-management
    environment: {RABBITMQ_DEFAULT_USER: shop, RABBITMQ_DEFAULT_PASS: shop-pass, RABBITMQ_DEFAULT_VHOST: orders}
    ports: ["15672"]
"#,
    );
    project.ok(&["up", "-d", "--wait"]);
    let at = project.ok(&["port", "mq", "15672"]).out.trim().to_owned();
    let said = std::process::Command::new("curl")
        .args([
            "-sf",
            "--retry",
            "20",
            "--retry-connrefused",
            "--retry-delay",
            "1",
            "-u",
            "shop:shop-pass",
        ])
        .arg(format!("http://{at}/api/vhosts"))
        .output()
        .expect("curl");
    let vhosts = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(vhosts.contains("\"orders\""), "{vhosts}");
    let logs = project.ok(&["logs"]).out;
    assert!(!logs.contains("shop-pass"), "{logs}");
}
