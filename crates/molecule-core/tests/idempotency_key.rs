//! The idempotency key equals the Python SDK's, byte for byte.

#![allow(clippy::unwrap_used)]

use molecule_core::proto::UnixTime;
use molecule_core::python_idempotency_key;
use serde_json::Value;

/// A time from seconds since 1970 with a fraction, the form of Python's `time.time()`.
fn moment(seconds: f64) -> UnixTime {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let (whole, nanos) = (seconds.floor() as i64, ((seconds - seconds.floor()) * 1e9) as u32);
    UnixTime::new(whole, nanos)
}

fn task(vector: &Value) -> String {
    match vector.get("task_generator") {
        Some(generator) => {
            assert_eq!(generator["kind"], "repeat");
            let count = usize::try_from(generator["count"].as_u64().unwrap()).unwrap();
            generator["text"].as_str().unwrap().repeat(count)
        }
        None => vector["task"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn every_vector_gives_its_key() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../fixtures/vectors/idempotency-vectors.json")).unwrap();
    assert_eq!(vectors.len(), 24);
    for vector in vectors {
        let key = python_idempotency_key(&task(&vector), moment(vector["unix_time"].as_f64().unwrap()));
        assert_eq!(key, vector["key"].as_str().unwrap(), "{}", vector["name"]);
    }
}
