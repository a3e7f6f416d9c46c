//! Sending again what was sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use molecule_platform::Act;
use molecule_proto::WorkspaceId;
use serde_json::Value;

use super::World;
use crate::exchange::ExchangeKind;

impl World {
    /// Sends a line's request or message again, on the way that it came: the agent gets it as it got the first one.
    /// With `keep_id` it has the same message id, and the platform may take it for one that it has; otherwise a new one.
    /// Returns the line of the repetition.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the line is neither a request nor a message of the owner,
    /// [`io::ErrorKind::NotConnected`] after the stop, and the errors of reading the log.
    pub fn send_again(&self, line: u64, keep_id: bool) -> io::Result<u64> {
        let handle = self.handle()?;
        match self.plain_exchange(line)?.kind {
            ExchangeKind::Request { mut request, .. } => {
                if !keep_id && let Some(body) = with_new_id(request.body())? {
                    *request.body_mut() = body;
                    let length = request.body().len();
                    if let Some(value) = request.headers_mut().get_mut(CONTENT_LENGTH) {
                        *value = length.into();
                    }
                }
                // The answer is in the log.
                let _ = handle.send(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), request);
            }
            ExchangeKind::Act { act, .. } => drop(handle.act(message_again(line, act, keep_id)?)),
            _ => return Err(not_sent(line)),
        }
        Ok(self.line())
    }
}

fn not_sent(line: u64) -> io::Error {
    let text = format!("line {line} is neither a request nor a message, so that it cannot be sent again");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn message_again(line: u64, act: Act, keep_id: bool) -> io::Result<Act> {
    match act {
        Act::SendUserMessage { to, mut message } => {
            if !keep_id {
                message.message_id = None;
            }
            Ok(Act::SendUserMessage { to, message })
        }
        Act::SendAgentMessage { from, to, mut message } => {
            if !keep_id {
                message.message_id = None;
            }
            Ok(Act::SendAgentMessage { from, to, message })
        }
        act @ (Act::SendChannelMessage { .. }
        | Act::SendWebhook { .. }
        | Act::SendBroadcast { .. }
        | Act::Upload { .. }
        | Act::RaiseRequest { .. }
        | Act::Nudge { .. }) => Ok(act),
        _ => Err(not_sent(line)),
    }
}

/// A body of a message with another id; `None` if it has none.
fn with_new_id(body: &Bytes) -> io::Result<Option<Bytes>> {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Ok(None) };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    let id = WorkspaceId::from_random(id).to_string();
    let mut is_changed = false;
    for path in ["/params/message/messageId", "/params/message/message_id", "/message/messageId", "/id"] {
        if let Some(found) = value.pointer_mut(path).filter(|found| found.is_string()) {
            *found = Value::from(id.clone());
            is_changed = true;
        }
    }
    // Without a message it is no request that has an id of its own.
    let is_message = value.pointer("/params/message").is_some() || value.get("message").is_some();
    Ok((is_changed && is_message).then(|| Bytes::from(value.to_string())))
}
