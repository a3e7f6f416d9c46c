//! Request bodies are built with `new` and methods, so that a new key breaks no caller; each method sets its own key.

#![allow(clippy::unwrap_used)]

use molecule_proto::{
    ActivityAckRequest, Capabilities, CheckAccessRequest, CreateWorkspace, DelegateRequest, DeliveryMode,
    HeartbeatRequest, InstallPluginRequest, NotifyAttachment, NotifyRequest, RecordDelegationRequest, RegisterRequest,
    RuntimeMetadata, RuntimeState, SetSecret, UpdateCardRequest, UpdateDelegationRequest, WorkspaceId, WorkspaceKind,
};
use serde::Serialize;
use serde_json::{Value, json};

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
const OTHER: &str = "11111111-2222-4333-8444-555555555555";

fn id() -> WorkspaceId {
    ID.parse().unwrap()
}

fn other() -> WorkspaceId {
    OTHER.parse().unwrap()
}

fn says(body: impl Serialize, expected: Value) {
    assert_eq!(serde_json::to_value(body).unwrap(), expected);
}

#[test]
fn a_body_with_what_it_needs_says_nothing_else() {
    says(RegisterRequest::new(id(), json!({"name": "a"})), json!({"id": ID, "agent_card": {"name": "a"}}));
    says(UpdateCardRequest::new(id(), json!([1])), json!({"workspace_id": ID, "agent_card": [1]}));
    says(CheckAccessRequest::new(id(), other()), json!({"caller_id": ID, "target_id": OTHER}));
    says(DelegateRequest::new(other(), "sum up"), json!({"target_id": OTHER, "task": "sum up"}));
    says(
        RecordDelegationRequest::new(other(), "sum up", "mine-1"),
        json!({"target_id": OTHER, "task": "sum up", "delegation_id": "mine-1"}),
    );
    says(UpdateDelegationRequest::completed("42"), json!({"status": "completed", "response_preview": "42"}));
    says(UpdateDelegationRequest::failed("no route"), json!({"status": "failed", "error": "no route"}));
    says(NotifyRequest::new("done"), json!({"message": "done"}));
    says(ActivityAckRequest::new(7), json!({"acked_seq": 7}));
    says(InstallPluginRequest::new("local://a"), json!({"source": "local://a"}));
    says(SetSecret::new("KEY", "value"), json!({"key": "KEY", "value": "value"}));
    says(CreateWorkspace::external("mine"), json!({"name": "mine", "runtime": "external", "external": true}));
    says(RuntimeMetadata::new(), json!({}));
}

#[test]
fn each_method_says_its_own_key() {
    says(
        RegisterRequest::new(id(), Value::Null)
            .url("https://agent.example")
            .delivery_mode(DeliveryMode::Push)
            .kind(WorkspaceKind::Workspace),
        json!({"id": ID, "agent_card": null, "url": "https://agent.example", "delivery_mode": "push", "kind": "workspace"}),
    );
    says(
        CreateWorkspace::external("mine")
            .url("https://agent.example")
            .delivery_mode(DeliveryMode::Push)
            .parent_id(other())
            .role("writer")
            .tier(2),
        json!({
            "name": "mine", "runtime": "external", "external": true, "url": "https://agent.example",
            "delivery_mode": "push", "parent_id": OTHER, "role": "writer", "tier": 2,
        }),
    );
    says(
        DelegateRequest::new(other(), "sum up").idempotency_key("k"),
        json!({"target_id": OTHER, "task": "sum up", "idempotency_key": "k"}),
    );
    says(
        NotifyRequest::new("done").attachment(NotifyAttachment::new("file:///a", "a").mime_type("text/plain").size(3)),
        json!({
            "message": "done",
            "attachments": [{"uri": "file:///a", "name": "a", "mimeType": "text/plain", "size": 3}],
        }),
    );
    says(InstallPluginRequest::new("local://a").sha256("00"), json!({"source": "local://a", "sha256": "00"}));
    let capabilities = Capabilities::new()
        .heartbeat(true)
        .scheduler(false)
        .session(true)
        .status_mgmt(false)
        .retry(true)
        .activity_decoration(false)
        .channel_dispatch(true)
        .with("later", 1);
    says(
        HeartbeatRequest::new(id())
            .error_rate(0.5)
            .sample_error("no route")
            .active_tasks(2)
            .is_busy(true)
            .uptime_seconds(3)
            .current_task("reading")
            .monthly_spend(4)
            .observed_generation(5)
            .runtime_state(RuntimeState::Wedged)
            .runtime_metadata(RuntimeMetadata::new().capabilities(capabilities).idle_timeout_seconds(6))
            .agent_card(json!({"name": "a"})),
        json!({
            "workspace_id": ID, "error_rate": 0.5, "sample_error": "no route", "active_tasks": 2, "is_busy": true,
            "uptime_seconds": 3, "current_task": "reading", "monthly_spend": 4, "observed_generation": 5,
            "runtime_state": "wedged", "agent_card": {"name": "a"},
            "runtime_metadata": {"idle_timeout_seconds": 6, "capabilities": {
                "heartbeat": true, "scheduler": false, "session": true, "status_mgmt": false, "retry": true,
                "activity_decoration": false, "channel_dispatch": true, "later": 1,
            }},
        }),
    );
}
