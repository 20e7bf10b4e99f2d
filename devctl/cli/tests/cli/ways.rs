//! `edges`, `fault`, `traffic`, `stub`: the ways between services.

use devctl_wire::v1::{
    EdgeStatus, FaultReply, PlacedFault, StatusReply, StubReply, TrafficRecord, fault_request::What,
};
use insta::assert_snapshot;

use crate::fake::{Asked, Script};
use crate::sandbox::Sandbox;

#[test]
fn edges_are_listed_with_what_went_over_them() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        status: StatusReply {
            edges: vec![
                EdgeStatus {
                    consumer: "api".into(),
                    provider: "db".into(),
                    port: 5432,
                    protocol: "postgres".into(),
                    listen: "127.77.0.2:5432".into(),
                    target: "real 127.0.0.1:20001".into(),
                    requests: 12,
                    p50_ms: 0.4,
                    bytes_in: 2048,
                    ..Default::default()
                },
                EdgeStatus {
                    consumer: "host".into(),
                    provider: "api".into(),
                    port: 80,
                    problem: "port 8080 is taken".into(),
                    ..Default::default()
                },
            ],
            ..crate::stories::status()
        },
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["edges"]), @r#"
    status: 0
    --- stdout
    EDGE           PROTOCOL   LISTENS           LEADS TO                      REQUESTS   ERRORS   P50      P99   IN        OUT
    api->db:5432   postgres   127.77.0.2:5432   real 127.0.0.1:20001          12         0        0.4 ms         2.0 KiB   0 B
    host->api:80                                nowhere: port 8080 is taken   0          0                       0 B       0 B
    "#);
    assert_snapshot!(sandbox.devctl(&["graph"]), @r#"
    status: 0
    --- stdout
    flowchart LR
        n0[("db")]:::ready
        n1(["seed"]):::ready
        n2["api"]:::busy
        n1 -->|healthy| n0
        n2 -->|healthy| n0
        n2 -->|completed| n1
        host(("host"))
        n2 ==>|5432 postgres| n0
        host ==>|80 · cannot be made| n2
        classDef ready stroke:#2da44e,stroke-width:2px
        classDef busy stroke:#bf8700,stroke-width:2px
    "#);
}

#[test]
fn a_fault_is_asked_for_in_its_own_words() {
    let sandbox = Sandbox::shop();
    let daemon = sandbox.daemon(Script {
        fault: FaultReply {
            faults: vec![PlacedFault {
                edge: "api->db:5432".into(),
                name: "latency_downstream".into(),
                text: "latency 200 ms".into(),
            }],
            edges: vec!["api->db:5432".into()],
        },
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["fault", "add", "api->db", "--latency", "200ms", "--jitter", "50ms"]), @r#"
    status: 0
    --- stdout
    api->db:5432  latency 200 ms  (latency_downstream)
    "#);
    let Asked::Fault(asked) = daemon.asked().remove(0) else {
        panic!("{:?}", daemon.asked())
    };
    let Some(What::Add(fault)) = asked.what else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (fault.kind.as_str(), fault.latency_ms, fault.jitter_ms),
        ("latency", 200, 50)
    );
    assert_snapshot!(sandbox.devctl(&["fault", "add", "api->db"]), @r#"
    status: 2
    --- stderr
    error: the following required arguments were not provided:
      <--latency <TIME>|--error <STATUS>|--reset [<TIME>]|--timeout [<TIME>]|--bandwidth <RATE>|--slice [<BYTES>]|--limit-data <BYTES>|--slow-close <TIME>>

    Usage: devctl fault add --runtime <[SERVICE=]RUNTIME> <--latency <TIME>|--error <STATUS>|--reset [<TIME>]|--timeout [<TIME>]|--bandwidth <RATE>|--slice [<BYTES>]|--limit-data <BYTES>|--slow-close <TIME>> <EDGE>

    For more information, try '--help'.
    "#);
}

#[test]
fn traffic_is_lines_for_people_and_objects_for_programs() {
    let sandbox = Sandbox::shop();
    let daemon = sandbox.daemon(Script {
        traffic: vec![TrafficRecord {
            number: 1,
            edge: "host->api:80".into(),
            kind: "exchange".into(),
            text: "GET /orders 200 3.1 ms".into(),
            json: r#"{"status":200}"#.into(),
            ..Default::default()
        }],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["traffic"]), @r#"
    status: 0
    --- stdout
    host->api:80  GET /orders 200 3.1 ms
    "#);
    assert_snapshot!(sandbox.devctl(&["traffic", "--format", "json"]), @r#"
    status: 0
    --- stdout
    {"status":200}
    "#);
    sandbox.devctl(&["traffic", "--edge", "host->", "-n", "3"]);
    let asked = daemon.asked();
    let Some(Asked::Traffic(last)) = asked.last() else {
        panic!("{asked:?}")
    };
    assert_eq!((last.edge.as_str(), last.tail), ("host->", 3));
}

#[test]
fn stubs_are_put_in_and_taken_out() {
    let sandbox = Sandbox::shop();
    let daemon = sandbox.daemon(Script {
        stub: StubReply {
            stubbed: vec!["api".into()],
            problems: Vec::new(),
        },
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["stub", "api"]), @r#"
    status: 0
    --- stderr
    answered from contracts: api
    "#);
    sandbox.devctl(&["unstub", "api"]);
    let off: Vec<bool> = daemon
        .asked()
        .into_iter()
        .filter_map(|asked| {
            if let Asked::Stub(stub) = asked {
                Some(stub.off)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(off, [false, true]);
}
