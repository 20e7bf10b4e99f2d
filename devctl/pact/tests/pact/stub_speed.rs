//! An answer costs the same with many interactions as with few.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{ask, http, stub};

fn orders(count: usize) -> Value {
    let one = |number: usize| {
        http(
            &format!("order {number}"),
            &json!({"method": "POST", "path": "/orders", "headers": {"content-type": ["application/json"]},
                    "body": {"content": {"number": number}, "contentType": "application/json"}}),
            &json!({"status": 200, "body": {"content": {"is": number}, "contentType": "application/json"}}),
        )
    };
    (0..count).map(one).collect::<Vec<_>>().into()
}

async fn best(count: usize) -> Duration {
    let stub = stub(&orders(count));
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let began = Instant::now();
        let answer = ask(&stub, "POST", "/orders", Some(&json!({"number": count - 1}))).await;
        best = best.min(began.elapsed());
        assert_eq!(answer.status(), 200);
    }
    best
}

#[tokio::test]
async fn two_thousand_interactions_at_one_path_are_not_tried_one_by_one() {
    let (few, many) = (best(20).await, best(2_000).await);
    // Matching each in turn would be a hundred times; comparing two thousand numbers is far below a match or two.
    assert!(
        many < few * 20 + Duration::from_millis(2),
        "20: {few:?}, 2000: {many:?}"
    );
}
