//! `POST /workspaces/:id/notify`: a message to the user (contract section 13.2; April 6.3).

use http::StatusCode;
use molecule_proto::{ActivityType, Dialect, ErrorBody, PostedAnswer, WorkspaceId};
use serde_json::{Map, Value, json};

use crate::feed::beginning;
use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

/// The longest text in a summary, in bytes.
const SUMMARY: usize = 80;

impl Platform {
    pub(crate) fn notify(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let required = || Refusal::bad_request("message is required");
        let fields = Fields::read(body).map_err(|_| required())?;
        let message = fields.text("message").ok().filter(|message| !message.is_empty()).ok_or_else(required)?;
        let files = files(fields.raw("attachments"))?;
        let row = self.row(id).ok_or(Refusal::not_found("workspace not found"))?;
        let id: WorkspaceId = row.id.clone();
        if !row.abilities.talk_to_user {
            return Ok(silenced());
        }
        if let Some(summary) = self.summary(&message) {
            let mut row = self.new_activity(call.now, &id, ActivityType::A2aReceive);
            row.method = Some("notify".to_owned());
            row.summary = Some(summary);
            let mut said = json!({"result": message});
            if !files.is_empty() {
                said["parts"] = files.into_iter().map(|file| json!({"kind": "file", "file": file})).collect();
            }
            row.response_body = Some(said);
            self.log(call.now, row);
        }
        Ok(reply::ok(&PostedAnswer::sent()))
    }

    /// The summary of a message. April's server cuts it after 80 bytes, and a cut within a character leaves no row. How
    /// the current server cuts is known from delegations only.
    fn summary(&self, message: &str) -> Option<String> {
        let short = match self.config.dialect {
            _ if message.len() <= SUMMARY => message.to_owned(),
            Dialect::April if !message.is_char_boundary(SUMMARY) => return None,
            Dialect::April => format!("{}...", beginning(message, SUMMARY)),
            Dialect::Current => format!("{}…", beginning(message, SUMMARY - '…'.len_utf8())),
        };
        Some(format!("Agent message: {short}"))
    }
}

/// The attached files, with the fields that the server stores.
fn files(attachments: Option<&Value>) -> Result<Vec<Map<String, Value>>, Refusal> {
    let attachments = match attachments {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(attachments)) => attachments,
        Some(_) => return Err(Refusal::bad_request("message is required")),
    };
    let file = |(index, attachment): (usize, &Value)| {
        let text = |key: &str| attachment[key].as_str().filter(|text| !text.is_empty());
        if text("uri").is_none() || text("name").is_none() {
            return Err(Refusal::bad_request(format!("attachment[{index}]: uri and name are required")));
        }
        let mut file = Map::new();
        for key in ["uri", "name", "mimeType"] {
            file.extend(text(key).map(|text| (key.to_owned(), text.into())));
        }
        file.extend(attachment["size"].as_i64().filter(|size| *size > 0).map(|size| ("size".to_owned(), size.into())));
        Ok(file)
    };
    attachments.iter().enumerate().map(file).collect()
}

fn silenced() -> Response {
    let mut body = ErrorBody::new("talk_to_user_disabled");
    let hint = "This workspace is not allowed to send messages directly to the user. Forward your update to a parent \
                workspace using delegate_task — they may be able to reach the user.";
    body.hint = Some(hint.to_owned());
    reply::json(StatusCode::FORBIDDEN, &body)
}
