//! A resume, on a server that can start containers and on one that cannot.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ADMIN, Bench, error};
use molecule_platform::Dialect;
use molecule_proto::WorkspaceStatus::{Failed, Online, Paused, Provisioning};
use molecule_proto::path;
use serde_json::json;

#[test]
fn without_a_provisioner_nothing_but_aprils_register_ends_a_pause() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.register(&id, Some(&token));
        let paused = json!({"status": "paused", "paused_count": 1});
        assert_eq!(bench.post(&path::pause(&id), Some(token.expose()), &json!({})), (200, paused));
        let refused = (503, error("provisioner not available"));
        assert_eq!(bench.post(&path::resume(&id), Some(ADMIN), &json!({})), refused);
        bench.beat(&id, Some(&token));
        assert_eq!(bench.status(&id), Paused);
        let state = json!({"workspace_id": id, "status": "paused", "paused": true, "deleted": false});
        assert_eq!(bench.state(&id, &token), (200, state));
        assert_eq!(bench.register(&id, Some(&token)).0, 200);
        let after = if dialect == Dialect::April { Online } else { Paused };
        assert_eq!(bench.status(&id), after);
    }
}

#[test]
fn with_a_provisioner_the_start_fails_and_a_beat_brings_the_agent_back_without_its_url() {
    let mut bench = Bench::with(common::config(Dialect::Current).provisioner(true));
    let (id, token) = bench.create("a");
    bench.register(&id, Some(&token));
    bench.platform.pause(bench.now, &id, false).unwrap();
    let resumed = json!({"status": "provisioning", "resumed_count": 1});
    assert_eq!(bench.post(&path::resume(&id), Some(ADMIN), &json!({})), (200, resumed));
    assert_eq!(bench.status(&id), Provisioning);
    bench.wait(1);
    assert_eq!(bench.status(&id), Failed);
    bench.beat(&id, Some(&token));
    assert_eq!(bench.status(&id), Online);
    assert_eq!(bench.platform.workspace(&id).unwrap().url, "");
    bench.register(&id, Some(&token));
    assert_eq!(bench.platform.workspace(&id).unwrap().url, "http://localhost:9/a2a");
}

#[test]
fn a_child_waits_for_its_parent_and_a_parent_asks_for_its_children() {
    let mut bench = Bench::with(common::config(Dialect::Current).provisioner(true));
    let (parent, _) = bench.create("parent");
    let (child, _) = bench.platform.create_workspace_below(bench.now, "child", &parent).unwrap();
    let (status, body) = bench.post(&path::pause(&parent), Some(ADMIN), &json!({}));
    assert_eq!((status, &body["descendants"]), (409, &json!([{"id": child, "name": "child"}])));
    assert_eq!(bench.platform.pause(bench.now, &parent, true), Ok(2));
    assert_eq!(bench.post(&path::resume(&child), Some(ADMIN), &json!({})).0, 409);
    assert_eq!(bench.post(&path::resume(&parent), Some(ADMIN), &json!({})).0, 409);
    let cascade = format!("{}?cascade=true", path::resume(&parent));
    let resumed = json!({"status": "provisioning", "resumed_count": 2});
    assert_eq!(bench.post(&cascade, Some(ADMIN), &json!({})), (200, resumed));
}

#[test]
fn april_pauses_the_children_unasked() {
    let mut bench = Bench::new(Dialect::April);
    let (parent, _) = bench.create("parent");
    let (child, _) = bench.platform.create_workspace_below(bench.now, "child", &parent).unwrap();
    let paused = json!({"status": "paused", "paused_count": 2});
    assert_eq!(bench.post(&path::pause(&parent), Some(ADMIN), &json!({})), (200, paused));
    assert_eq!(bench.status(&child), Paused);
}
