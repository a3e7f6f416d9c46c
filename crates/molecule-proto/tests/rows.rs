//! Lists of rows: both forms of delegations, and invalid rows.

#![allow(clippy::unwrap_used)]

use molecule_proto::{ActivityRow, DelegationRow, DelegationStatus, Direction, Peer, Rows};
use serde_json::{Value, json};

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
const OTHER: &str = "414bc5a3-02a7-47dc-b86f-71e2e5767123";
const AT: &str = "2026-11-22T21:39:47.237554Z";

fn read<T: serde::de::DeserializeOwned>(rows: Value) -> Rows<T> {
    serde_json::from_value(rows).unwrap()
}

#[test]
fn both_shapes_of_delegations_are_read_and_written() {
    let ledger = json!({"delegation_id": ID, "source_id": ID, "target_id": OTHER, "direction": "received",
                        "summary": "s", "status": "stuck", "created_at": AT, "updated_at": AT, "_ledger": true,
                        "response_preview": "p", "error": "e", "last_heartbeat": AT, "deadline": AT});
    let fold = json!({"id": ID, "type": "delegation", "source_id": ID, "target_id": "", "summary": "s", "status": "ok",
                      "created_at": AT});
    let rows: Rows<DelegationRow> = read(json!([ledger, fold]));
    assert!(rows.rows[0].is_ledger && !rows.rows[1].is_ledger);
    assert_eq!(rows.rows[0].status, DelegationStatus::Stuck);
    assert_eq!(rows.rows[0].direction, Some(Direction::Received));
    assert_eq!(rows.rows[1].status, DelegationStatus::Other("ok".to_owned()));
    assert_eq!(serde_json::to_value(&rows).unwrap(), json!([ledger, fold]));
}

#[test]
fn a_bad_row_hides_no_other() {
    let good = json!({"id": ID, "name": "beta", "role": null, "tier": "gold", "status": null, "url": 7,
                      "parent_id": "root", "agent_card": "any", "active_tasks": -1.5, "new": true});
    let peers: Rows<Peer> = read(json!([null, "row", {"name": "no id"}, {"id": "../x"}, good, [good]]));
    assert_eq!(peers.skipped, 5);
    let peer = &peers.rows[0];
    assert_eq!((peer.tier, peer.url.as_str(), &peer.parent_id, &peer.role), (0, "", &None, &None));
    assert_eq!((&peer.agent_card, &peer.extra["new"]), (&Some(json!("any")), &json!(true)));
    assert_eq!(read::<Peer>(json!(null)), Rows::default());
    assert!(serde_json::from_value::<Rows<Peer>>(json!({"error": "no list"})).is_err());
}

#[test]
fn a_sender_that_is_no_workspace_is_not_taken_for_a_person() {
    let row = |source: Value| json!({"id": ID, "workspace_id": ID, "activity_type": "a2a_receive", "source_id": source, "created_at": AT});
    let rows: Rows<ActivityRow> =
        read(json!([row(json!("../registry/update-card?x=")), row(json!(null)), row(json!(7))]));
    assert_eq!((rows.rows.len(), rows.skipped), (1, 2));
    assert_eq!(rows.rows[0].source_id, None);
}

#[test]
fn a_call_of_the_method_notify_is_no_notice() {
    let notice = json!({"id": ID, "workspace_id": ID, "activity_type": "a2a_receive", "method": "notify", "source_id": null,
                        "created_at": AT, "response_body": {"result": "done"}});
    let with = |key: &str, value: Value| {
        let mut row = notice.clone();
        row[key] = value;
        serde_json::from_value::<ActivityRow>(row).unwrap()
    };
    for (row, expected) in [
        (with("status", json!("ok")), true),
        (with("request_body", json!(null)), true),
        (with("request_body", json!({"jsonrpc": "2.0", "method": "notify"})), false),
        (with("request_body", json!("notify")), false),
        (with("source_id", json!(OTHER)), false),
        (with("method", json!("message/send")), false),
        (with("activity_type", json!("a2a_send")), false),
    ] {
        assert_eq!(row.is_notice(), expected, "{row:?}");
    }
}
