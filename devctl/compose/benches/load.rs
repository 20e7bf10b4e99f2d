//! How long a load takes, from text in memory to the JSON that `config` prints: one service, and many, to see that it is linear.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use devctl_compose::{LoadOptions, MemoryFiles, load};

/// A file with services as people write them, each with most of what services usually have.
fn file(services: usize) -> String {
    let mut text = String::from(
        "x-common: &common\n  restart: unless-stopped\n  logging: {driver: json-file, options: {max-size: 10m}}\nservices:\n",
    );
    for index in 0..services {
        text += &format!(
            "  svc{index}:
    <<: *common
    image: registry.example.com/team/svc{index}:${{TAG:-1.2.3}}
    command: [serve, --port, '8080', --name, svc{index}]
    environment:
      DATABASE_URL: postgres://user:pass@db:5432/svc{index}
      LOG_LEVEL: ${{LOG_LEVEL:-info}}
      WORKERS: 4
    ports: ['{port}:8080']
    volumes: ['data:/var/lib/svc', './conf/svc{index}:/etc/svc:ro']
    networks: [back]
    healthcheck: {{test: [CMD, curl, -f, 'http://localhost:8080/health'], interval: 10s, retries: 5}}
",
            port = 10_000 + index
        );
        if let Some(before) = index.checked_sub(1) {
            text += &format!("    depends_on: {{svc{before}: {{condition: service_healthy}}}}\n");
        }
    }
    text + "networks: {back: {}}\nvolumes: {data: {}}\n"
}

fn loads(criterion: &mut Criterion) {
    let options = LoadOptions {
        working_dir: "/project".into(),
        ..LoadOptions::default()
    };
    let mut group = criterion.benchmark_group("load");
    for services in [1, 10, 100, 1000] {
        let files = MemoryFiles::new().with("/project/compose.yaml", file(services));
        group.throughput(Throughput::Elements(services as u64));
        group.sample_size(20);
        group.bench_with_input(BenchmarkId::new("services", services), &files, |bench, files| {
            bench.iter(|| load(files, &options).map(|loaded| loaded.project.to_json_text()));
        });
    }
    group.finish();
}

criterion_group!(benches, loads);
criterion_main!(benches);
