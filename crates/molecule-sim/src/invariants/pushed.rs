//! What an agent's own server was asked and said, read without the code that is judged.

use http::StatusCode;
use serde_json::Value;

use crate::served::{Delivery, Reaction};

/// Returns whether an answer says that the agent has no room now.
pub(super) fn is_busy(reaction: &Reaction) -> bool {
    match reaction {
        Reaction::Answers(StatusCode::SERVICE_UNAVAILABLE, _) => true,
        Reaction::Answers(_, body) => body["error"]["code"] == -32000,
        Reaction::Cuts => false,
    }
}

/// What is said about a message: the result or the error of JSON-RPC, or an error that names a failed handler. `None`
/// if the message was turned away.
pub(super) fn said<'a>(delivery: &Delivery, reaction: &'a Reaction) -> Option<&'a Value> {
    let Reaction::Answers(status, body) = reaction else { return None };
    if delivery.message.is_empty() || is_busy(reaction) {
        return None;
    }
    match status.as_u16() {
        200 => body.get("result").or_else(|| body.get("error")),
        500 => body.get("error"),
        _ => None,
    }
}

/// The parts of a message in a result: of the message itself, or of a task.
pub(super) fn parts(result: &Value) -> Vec<&Value> {
    let own = result["parts"].as_array().into_iter().flatten();
    let artifacts = result["artifacts"].as_array().into_iter().flatten();
    own.chain(artifacts.flat_map(|artifact| artifact["parts"].as_array().into_iter().flatten())).collect()
}

/// Returns whether the body is a turn that the platform makes and whose answer nobody must see.
pub(super) fn is_platform_turn(delivery: &Delivery) -> bool {
    let params = &delivery.body["params"];
    if params["metadata"]["source"] == "canvas_user" {
        return false;
    }
    let kind = &params["message"]["metadata"];
    let turns = ["inbox-nudge-", "stall-probe-", "request-message:", "request-responded:", "cron-"];
    (kind["source"] == "platform" && kind["kind"] != "first_boot_greeting")
        || turns.iter().any(|turn| delivery.message.starts_with(turn))
}
