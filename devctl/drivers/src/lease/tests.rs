//! Real ports, a book in a directory of the test's own.

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn key(node: &str) -> PortKey {
    PortKey {
        project: "shop-1".into(),
        node: node.into(),
        port: "5432/tcp".into(),
    }
}

#[test]
fn the_same_key_gets_the_same_port_and_another_another() {
    let dir = tempfile::tempdir().unwrap();
    let leases = Leases::at(&dir.path().join("deep/leases.json"));
    let first = leases.port(&key("a"), LOOPBACK, None, dir.path()).unwrap();
    let second = leases.port(&key("b"), LOOPBACK, None, dir.path()).unwrap();
    assert_ne!(first, second);
    assert!(port_range().contains(&first));
    let again = Leases::at(&dir.path().join("deep/leases.json"));
    assert_eq!(again.port(&key("a"), LOOPBACK, None, dir.path()).unwrap(), first);
}

#[test]
fn a_port_that_somebody_took_meanwhile_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let leases = Leases::at(&dir.path().join("leases.json"));
    let first = leases.port(&key("a"), LOOPBACK, None, dir.path()).unwrap();
    let _taken = TcpListener::bind((LOOPBACK, first)).unwrap();
    assert_ne!(leases.port(&key("a"), LOOPBACK, None, dir.path()).unwrap(), first);
}

#[test]
fn a_preferred_port_is_given_if_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let leases = Leases::at(&dir.path().join("leases.json"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_ne!(leases.port(&key("a"), LOOPBACK, Some(port), dir.path()).unwrap(), port);
    drop(taken);
    assert_eq!(leases.port(&key("b"), LOOPBACK, Some(port), dir.path()).unwrap(), port);
    assert_ne!(leases.port(&key("c"), LOOPBACK, Some(port), dir.path()).unwrap(), port);
}

#[test]
fn leases_end_with_their_project() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let leases = Leases::at(&dir.path().join("leases.json"));
    let other = PortKey {
        project: "other".into(),
        ..key("a")
    };
    let port = leases.port(&other, LOOPBACK, None, &state).unwrap();
    assert_ne!(leases.port(&key("a"), LOOPBACK, Some(port), dir.path()).unwrap(), port);
    fs::remove_dir(&state).unwrap();
    assert_eq!(leases.port(&key("b"), LOOPBACK, Some(port), dir.path()).unwrap(), port);
    leases.release("shop-1").unwrap();
    assert_eq!(leases.port(&key("c"), LOOPBACK, Some(port), dir.path()).unwrap(), port);
}

#[test]
fn many_at_once_never_get_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (file, state) = (dir.path().join("leases.json"), dir.path().to_owned());
            std::thread::spawn(move || {
                Leases::at(&file)
                    .port(&key(&number.to_string()), LOOPBACK, None, &state)
                    .unwrap()
            })
        })
        .collect();
    let ports: HashSet<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(ports.len(), 8);
}

#[test]
fn each_edge_has_a_loopback_address_of_its_own_that_can_be_bound() {
    let dir = tempfile::tempdir().unwrap();
    let leases = Leases::at(&dir.path().join("leases.json"));
    let edge = |consumer: &str| EdgeKey {
        project: "p".into(),
        consumer: consumer.into(),
        provider: "db".into(),
    };
    let first = leases.address(&edge("a"), dir.path()).unwrap();
    let second = leases.address(&edge("b"), dir.path()).unwrap();
    assert!(first != second && first.is_loopback() && second.is_loopback());
    assert_eq!(leases.address(&edge("a"), dir.path()).unwrap(), first);
    assert!(TcpListener::bind((first, 0)).is_ok());
}

#[test]
fn a_book_that_is_no_book_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leases.json");
    fs::write(&file, "{ half a bo").unwrap();
    Leases::at(&file).port(&key("a"), LOOPBACK, None, dir.path()).unwrap();
}
