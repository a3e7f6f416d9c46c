//! What the body of a request has that the contract does not know, or lacks that it asks for.
//!
//! The contract is the wire types of `molecule-proto`. A server ignores what it does not know, so that a misspelled key has no other
//! symptom than that nothing happens.

use molecule_proto::{
    ActivityAckRequest, CheckAccessRequest, CommitMemoryRequest, DelegateRequest, HeartbeatRequest,
    InstallPluginRequest, NotifyRequest, RecordDelegationRequest, RegisterRequest, RpcRequest, SetMemoryRequest,
    UpdateCardRequest, UpdateDelegationRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The differences of a body, each as a sentence; `None` for a route whose body has no form.
pub(crate) fn of(route: &str, body: &[u8]) -> Option<Vec<String>> {
    let compare = match route {
        "Register" => compare::<RegisterRequest>,
        "Heartbeat" => compare::<HeartbeatRequest>,
        "UpdateCard" => compare::<UpdateCardRequest>,
        "CheckAccess" => compare::<CheckAccessRequest>,
        "SendMessage" => compare::<RpcRequest>,
        "AckActivity" => compare::<ActivityAckRequest>,
        "Notify" => compare::<NotifyRequest>,
        "Delegate" => compare::<DelegateRequest>,
        "RecordDelegation" => compare::<RecordDelegationRequest>,
        "UpdateDelegation" => compare::<UpdateDelegationRequest>,
        "CommitMemory" => compare::<CommitMemoryRequest>,
        "SetMemory" => compare::<SetMemoryRequest>,
        "InstallPlugin" => compare::<InstallPluginRequest>,
        _ => return None,
    };
    Some(match serde_json::from_slice(body) {
        Ok(sent) => compare(&sent),
        Err(error) => vec![format!("The body is no JSON: {error}.")],
    })
}

fn compare<T: DeserializeOwned + Serialize>(sent: &Value) -> Vec<String> {
    match serde_json::from_value::<T>(sent.clone()).and_then(|read| serde_json::to_value(&read)) {
        Ok(known) => {
            let mut found = Vec::new();
            unknown("", sent, &known, &mut found);
            found
        }
        Err(error) => vec![format!("It is none of the contract's form: {error}.")],
    }
}

/// The keys that were not read. What is empty says nothing, and is not written again.
fn unknown(above: &str, sent: &Value, known: &Value, found: &mut Vec<String>) {
    match (sent, known) {
        (Value::Object(sent), Value::Object(known)) => {
            for (key, value) in sent.iter().filter(|(_, value)| !is_empty(value)) {
                let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
                match known.get(key) {
                    Some(known) => unknown(&path, value, known, found),
                    None => found.push(format!("`{path}` is no key of the contract, or has no value that it allows.")),
                }
            }
        }
        (Value::Array(sent), Value::Array(known)) => {
            let pairs = sent.iter().zip(known).enumerate();
            pairs.for_each(|(index, (sent, known))| unknown(&format!("{above}[{index}]"), sent, known, found));
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(bool) => !bool,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

    fn found(route: &str, body: &str) -> String {
        of(route, body.replace("ID", ID).as_bytes()).unwrap().join(" ")
    }

    #[test]
    fn a_body_of_the_contract_has_no_differences() {
        for (route, body) in [
            ("Register", r#"{"id":"ID","agent_card":{"anything":1},"delivery_mode":"poll","url":""}"#),
            (
                "Heartbeat",
                r#"{"workspace_id":"ID","active_tasks":0,"error_rate":0.0,"current_task":"reading","uptime_seconds":5}"#,
            ),
            ("Notify", r#"{"message":"hi","attachments":[]}"#),
            ("AckActivity", r#"{"acked_seq":7}"#),
            (
                "SendMessage",
                r#"{"jsonrpc":"2.0","id":"1","method":"message/send","params":{"message":{"role":"user","parts":[]}}}"#,
            ),
        ] {
            assert_eq!(found(route, body), "", "{route}");
        }
        assert_eq!(of("View", b""), None);
    }

    #[test]
    fn what_is_misspelled_missing_or_no_json_is_named() {
        assert!(
            found("Register", r#"{"id":"ID","agent_card":{},"delivery_moed":"poll"}"#).starts_with("`delivery_moed`")
        );
        assert!(found("Register", r#"{"agent_card":{}}"#).contains("missing field `id`"));
        assert!(found("AckActivity", r#"{"seq":7}"#).contains("acked_seq"));
        assert!(
            found("Notify", r#"{"message":"hi","attachments":[{"uri":"u","name":"n","mime":"text/plain"}]}"#)
                .starts_with("`attachments[0].mime`")
        );
        assert!(found("Heartbeat", "nonsense").contains("no JSON"));
    }
}
