//! The remains of a removed workspace.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ADMIN, Bench};
use molecule_platform::Dialect;
use molecule_proto::path;
use serde_json::json;

#[test]
fn a_beat_changes_nothing_and_a_register_moves_the_time_of_removal() {
    let mut bench = Bench::new(Dialect::Current);
    let (id, token) = bench.create("a");
    bench.register(&id, Some(&token));
    bench.platform.delete(bench.now, &id, false).unwrap();
    let removed_at = |bench: &mut Bench| bench.get(&path::workspace(&id), None).1["removed_at"].clone();
    let first = removed_at(&mut bench);

    bench.wait(5);
    let beat = json!({"workspace_id": id, "current_task": "haunt"});
    assert_eq!(bench.post(path::HEARTBEAT, None, &beat).0, 200);
    assert_eq!(bench.platform.reported_work(&id), Some((String::new(), 0)));
    assert_eq!(removed_at(&mut bench), first);

    assert_eq!(bench.register(&id, None).0, 200);
    let second = removed_at(&mut bench);
    assert_ne!(second, first);
    let shown = bench.get(&format!("{}?include_removed=true", path::workspace(&id)), None);
    assert_eq!((shown.0, &shown.1["status"]), (200, &json!("removed")));
}

#[test]
fn a_purged_one_is_unknown() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.platform.delete(bench.now, &id, true).unwrap();
        assert_eq!(bench.get(&path::workspace(&id), None).0, 404);
        assert_eq!(bench.state(&id, &token).0, 401);
        let gone = json!({"workspace_id": id, "deleted": true});
        assert_eq!(bench.get(&path::state(&id), Some(ADMIN)), (404, gone));
    }
}
