//! Every documented answer of `/a2a` (contract sections 9.2 and 9.4; April 7.2) is classified by its body.

#![allow(clippy::unwrap_used)]

use http::StatusCode;
use molecule_proto::{A2aAnswer, AcceptedMode, RefusalKind};
use serde_json::{Value, json};

fn read(body: &Value) -> A2aAnswer {
    A2aAnswer::read(body.to_string().as_bytes())
}

/// The kind of the refusal in a body.
fn refused(status: u16, body: &Value) -> RefusalKind {
    match read(body) {
        A2aAnswer::Refused(refusal) => refusal.kind(StatusCode::from_u16(status).unwrap()),
        other => panic!("{body} is {other:?}"),
    }
}

#[test]
fn what_was_taken_is_told_from_what_waits() {
    let accepted = |mode: &str| json!({"status": "queued", "delivery_mode": mode, "method": "message/send"});
    let mode = |body: &Value| match read(body) {
        A2aAnswer::Accepted(accepted) => accepted.delivery_mode,
        other => panic!("{body} is {other:?}"),
    };
    assert_eq!(mode(&accepted("poll")), Some(AcceptedMode::Poll));
    assert_eq!(mode(&accepted("push-async")), Some(AcceptedMode::PushAsync));
    assert_eq!(mode(&json!({"status": "queued"})), None);
    let booting = json!({"status": "queued", "method": "message/send", "queued": true,
                         "queue_id": "16fbce34-b9f3-4274-9310-2d6cf9256ac5", "queue_depth": 1});
    assert!(matches!(read(&booting), A2aAnswer::Queued(queued) if queued.queue_id.is_some()));
    let odd = json!({"queued": true, "queue_id": "../admin", "queue_depth": -1});
    assert!(
        matches!(read(&odd), A2aAnswer::Queued(queued) if queued.queue_id.is_none() && queued.queue_depth.is_none())
    );
}

#[test]
fn a_reply_is_told_by_its_result_or_its_error_object() {
    for body in [
        json!({"jsonrpc": "2.0", "id": 1, "result": null}),
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "boom"}}),
        json!({"status": "ok", "result": "text"}),
        json!({"error": {"message": "without a code"}}),
        json!({"jsonrpc": "2.0"}),
        json!({"jsonrpc": "2.0", "result": {}, "status": "queued", "queued": true}),
    ] {
        assert!(matches!(read(&body), A2aAnswer::Replied(_)), "{body}");
    }
}

#[test]
fn what_has_no_form_is_the_agents_fault() {
    assert_eq!(A2aAnswer::read(b""), A2aAnswer::Empty);
    assert_eq!(A2aAnswer::read(b" \r\n"), A2aAnswer::Empty);
    for text in ["plain words", "<html></html>", "{\"jsonrpc\":\"2.0\",\"result\":"] {
        assert_eq!(A2aAnswer::read(text.as_bytes()), A2aAnswer::NotJson, "{text}");
    }
    for body in [json!([]), json!("x"), json!(null), json!({"answer": 42}), json!({"error": 5})] {
        assert_eq!(read(&body), A2aAnswer::Other(body.clone()), "{body}");
    }
}

#[test]
fn refusals_of_the_platform_are_told_by_status_text_and_flags() {
    use RefusalKind::*;
    let busy = "workspace agent busy — retry after a short backoff";
    let cases = [
        (401, json!({"error": "missing caller auth token"}), MissingToken),
        (401, json!({"error": "invalid caller auth token"}), InvalidToken),
        (401, json!({"error": "caller ID does not match workspace auth token"}), NotTheCaller),
        (403, json!({"error": "invalid caller ID"}), ReservedCaller),
        (403, json!({"error": "org token not authorized for this workspace's org"}), Denied),
        (403, json!({"error": "access denied: workspaces cannot communicate per hierarchy rules"}), Denied),
        (403, json!({"error": "access denied: target workspace is in a different org"}), Denied),
        (403, json!({"error": "access denied: org isolation check failed"}), Denied),
        (403, json!({"error": "tool call failed"}), NotAllowed),
        (402, json!({"error": "workspace budget limit exceeded", "exceeded_periods": ["daily"]}), OverBudget),
        (402, json!({"error": "workspace budget limit exceeded"}), OverBudget),
        (404, json!({"error": "workspace not found"}), NotFound),
        (400, json!({"error": "invalid JSON"}), BadRequest),
        (400, json!({"error": "params.message must contain either …", "hint": "v0.3 example: …"}), BadRequest),
        (400, json!({"error": "missing tenant routing header", "code": "TENANT_ORG_HEADER_REQUIRED"}), Tenant),
        (413, json!({"error": "request body exceeds …", "truncated": true, "max_bytes": 16_777_216}), TooLarge),
        (429, json!({"error": "rate limit exceeded", "retry_after": 7}), RateLimited),
        (500, json!({"error": "lookup failed"}), Unavailable),
        (500, json!({"error": "failed to create proxy request"}), UnsafeUrl),
        (502, json!({"error": "failed to reach workspace agent"}), Unreachable),
        (502, json!({"error": "workspace URL is not publicly routable"}), UnsafeUrl),
        (502, json!({"error": "…", "delivery_confirmed": true, "truncated": true, "max_bytes": 1}), ReplyLost),
        (502, json!({"error": "failed to read agent response", "delivery_confirmed": false}), ReplyLost),
        (503, json!({"error": "workspace has no URL", "status": "paused"}), NoUrl),
        (503, json!({"error": busy, "busy": true, "retry_after": 30}), Busy),
        (503, json!({"error": busy, "busy": true, "retry_after": 30, "native_session": true}), Busy),
        (503, json!({"error": "…", "restarting": true}), Restarting),
        (503, json!({"error": "…", "waking": true, "retry_after": 15}), Waking),
        (503, json!({"error": "…", "warming": true, "retry_after": 5}), Warming),
        (503, json!({"error": "workspace not yet enrolled in inbound auth (RFC #2312)"}), NotEnrolled),
        (503, json!({"error": "workspace re-registering…", "retry_after_seconds": 30}), NotEnrolled),
        (503, json!({"error": "delivery-mode lookup failed; retry"}), Unavailable),
        (503, json!({"error": "platform datastore unavailable", "code": "platform_unavailable"}), Unavailable),
        (200, json!({"error": "agent returned empty response body"}), EmptyReply),
        (202, json!({"error": "agent returned empty response body"}), EmptyReply),
    ];
    for (status, body, kind) in cases {
        assert_eq!(refused(status, &body), kind, "{status} {body}");
    }
}

#[test]
fn an_agents_own_error_is_nobody_elses() {
    for (status, body) in [
        (200, json!({"error": "sorry"})),
        (200, json!({"error": "missing caller auth token", "busy": true, "delivery_confirmed": true})),
        (302, json!({"error": "Found"})),
        (401, json!({"error": "Unauthorized"})),
        (401, json!({"error": "invalid workspace auth token"})),
        (404, json!({"error": "missing caller auth token"})),
        (429, json!({"error": "slow down"})),
        (429, json!({"error": "rate limit exceeded"})),
        (500, json!({"error": "Internal Server Error"})),
        (503, json!({"error": "busy"})),
    ] {
        assert_eq!(refused(status, &body), RefusalKind::Agent, "{status} {body}");
    }
}

#[test]
fn an_odd_flag_hides_no_refusal() {
    let body = json!({"error": "workspace has no URL", "status": 7, "retry_after": "soon", "busy": "yes", "new": [1]});
    assert_eq!(refused(503, &body), RefusalKind::NoUrl);
    match read(&body) {
        A2aAnswer::Refused(refusal) => assert_eq!((refusal.status, refusal.retry_after), (None, None)),
        other => panic!("{other:?}"),
    }
}
