//! Wire types: whatever decodes encodes, and decodes again to the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_proto::{
    AgentCard, ConnectionAnswer, CreateWorkspace, CreatedWorkspace, ErrorBody, HeartbeatAnswer, HeartbeatRequest,
    MintedToken, PluginName, RegisterAnswer, RegisterRequest, RemovedWorkspace, StateAnswer, TokenList, UnixTime,
    WorkspaceId, WorkspaceView,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let text = serde_json::to_vec(&value).expect("what was read can be written");
        let again: T = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(value, again);
    }
}

fuzz_target!(|bytes: &[u8]| {
    round_trip::<AgentCard>(bytes);
    round_trip::<ConnectionAnswer>(bytes);
    round_trip::<CreateWorkspace>(bytes);
    round_trip::<CreatedWorkspace>(bytes);
    round_trip::<ErrorBody>(bytes);
    round_trip::<HeartbeatAnswer>(bytes);
    round_trip::<HeartbeatRequest>(bytes);
    round_trip::<MintedToken>(bytes);
    round_trip::<RegisterAnswer>(bytes);
    round_trip::<RegisterRequest>(bytes);
    round_trip::<RemovedWorkspace>(bytes);
    round_trip::<StateAnswer>(bytes);
    round_trip::<TokenList>(bytes);
    round_trip::<WorkspaceView>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(id) = text.parse::<WorkspaceId>() {
            assert!(!molecule_proto::path::state(&id).contains(".."));
            assert_eq!(molecule_proto::path::state(&id).matches('/').count(), 3);
        }
        if let Ok(name) = text.parse::<PluginName>() {
            assert!(!name.as_str().contains(['/', '\\', '\0']) && name.as_str() != "." && name.as_str() != "..");
        }
        if let Ok(time) = text.parse::<UnixTime>() {
            assert_eq!(time.to_string().parse::<UnixTime>().expect("what was written can be read"), time);
        }
    }
});
