//! `POST /workspaces/:id/notify`: a message to the user (contract section 13.2; April 6.3).

use http::StatusCode;
use molecule_proto::{ActivityType, Dialect, ErrorBody, Now, PostedAnswer, WorkspaceId};
use serde_json::{Map, Value, json};

use crate::feed::beginning;
use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

/// The longest text in a summary: bytes on April's server, characters on the current one.
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
        self.say_to_user(call.now, &id, &message, files);
        Ok(reply::ok(&PostedAnswer::sent()))
    }

    /// Shows a workspace's message to its user: writes the row, and tells the event streams.
    pub(crate) fn say_to_user(&mut self, now: Now, id: &WorkspaceId, message: &str, files: Vec<Map<String, Value>>) {
        let april = self.config.dialect == Dialect::April;
        let name = self.workspaces.get(id).map(|row| row.name.clone()).unwrap_or_default();
        self.emit(now, id, "AGENT_MESSAGE", || {
            let mut told = json!({"message": message, "name": name});
            if april {
                told["workspace_id"] = json!(id);
            }
            if !files.is_empty() {
                told["attachments"] = json!(files);
            }
            told
        });
        let Some(summary) = self.summary(message) else { return };
        let mut row = self.new_activity(now, id, ActivityType::A2aReceive);
        row.method = Some("notify".to_owned());
        row.summary = Some(summary);
        let mut said = json!({"result": message});
        if !files.is_empty() {
            said["parts"] = files.into_iter().map(|file| json!({"kind": "file", "file": file})).collect();
        }
        row.response_body = Some(said);
        self.log(now, row);
    }

    /// The summary of a message. April's server cuts it after 80 bytes, and a cut within a character leaves no row; the
    /// current server cuts after 80 characters.
    fn summary(&self, message: &str) -> Option<String> {
        let short = match self.config.dialect {
            Dialect::April if message.len() <= SUMMARY => message.to_owned(),
            Dialect::April if !message.is_char_boundary(SUMMARY) => return None,
            Dialect::April => format!("{}...", beginning(message, SUMMARY)),
            Dialect::Current => message.chars().take(SUMMARY).collect(),
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
