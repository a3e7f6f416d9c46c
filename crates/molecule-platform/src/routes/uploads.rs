//! `POST /workspaces/:id/chat/uploads`, `GET …/chat/download`, and the files that wait (contract section 17; April 11).

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use molecule_proto::{DeliveryMode, Dialect, ErrorBody, WorkspaceId};
use serde_json::json;

use crate::multipart::{self, Part};
use crate::platform::{Call, Platform};
use crate::reply::{self, Handled, Refusal, Response};
use crate::router;
use crate::uploads::{NewFile, Upload};

/// The most files in one request.
const MOST_FILES: usize = 64;
/// The most attachments of a message, as the limits state it. The server does not check it.
const MOST_ATTACHMENTS: u32 = 10;
/// The room in a request beside the files.
const FORM: usize = 1 << 20;
/// The longest request body of any other route, in bytes.
const MOST_BODY: usize = 16 << 20;
/// The folders from which files can be read.
const READABLE: [&str; 4] = ["/configs", "/workspace", "/home", "/plugins"];
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
const EXPIRED: &str = "pending upload not found or expired";
const NOT_ACKED: &str = "pending upload not found, expired, or already acked";

impl Platform {
    /// The limits for clients that upload files (contract section 1.5).
    pub(crate) fn upload_limits(&self) -> Response {
        let most = self.config.upload_limit;
        reply::ok(
            &json!({"per_file_bytes": most, "per_request_bytes": most, "max_attachments_per_message": MOST_ATTACHMENTS}),
        )
    }

    /// The longest body that a driver reads for a request, in bytes.
    pub(crate) fn most_body(&self, path: &str) -> usize {
        if path.ends_with("/chat/uploads") { self.config.upload_limit.saturating_add(FORM) } else { MOST_BODY }
    }

    /// Stores files for a poll agent, and hands those for a push agent on.
    pub(crate) fn upload_files(&mut self, call: &Call<'_>, id: &str, body: &Bytes) -> Result<Handled, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        if self.config.dialect == Dialect::April {
            return Err(refused_by_april(call, body));
        }
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("lookup failed"))?;
        let row = self.workspaces.get(&id).ok_or(Refusal::not_found("workspace not found"))?;
        if row.delivery_mode != DeliveryMode::Poll {
            // The refusal without a URL is recorded for downloads only.
            if row.url.is_empty() {
                return Ok(no_callback("upload").into());
            }
            let content_type = call.headers.get(CONTENT_TYPE).cloned().unwrap_or(BINARY);
            return self.forward(call.now, &id, "/internal/chat/uploads/ingest", Some((content_type, body.clone())));
        }
        let parts = multipart::read(call.headers, body).ok_or(Refusal::bad_request("malformed multipart body"))?;
        let files: Vec<Part> = parts.into_iter().filter(|part| part.head.name == "files").collect();
        if files.is_empty() {
            return Err(Refusal::bad_request("no files field in request"));
        }
        // The text was never recorded.
        if files.len() > MOST_FILES {
            return Err(Refusal::bad_request(format!("too many files (max {MOST_FILES})")));
        }
        let most = self.config.upload_limit;
        if let Some(large) = files.iter().find(|file| file.content.len() > most) {
            let refusal = json!({"error": "file exceeds size limit", "filename": large.head.file_name.clone().unwrap_or_default(),
                                 "size": large.content.len(), "max": most});
            return Ok(reply::json(StatusCode::PAYLOAD_TOO_LARGE, &refusal).into());
        }
        if files.iter().any(|file| file.content.is_empty()) {
            return Err(Refusal::internal("could not stage files"));
        }
        let files = files.into_iter().map(|file| NewFile {
            name: file.head.file_name.unwrap_or_default(),
            mime_type: file.head.content_type,
            content: file.content,
        });
        let staged = self.stage(call.now, &id, files.collect());
        Ok(reply::ok(&json!({"files": staged})).into())
    }

    /// Reads a file of a push agent. April's server reads it from a container, which an external agent does not have.
    pub(crate) fn download_file(&mut self, call: &Call<'_>, id: &str) -> Result<Handled, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let path = router::query_text(call.query, "path").unwrap_or_default();
        if !READABLE
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        {
            return Err(Refusal::bad_request("path must be under /configs, /workspace, /home, or /plugins"));
        }
        if self.config.dialect == Dialect::April {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "docker unavailable"));
        }
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("lookup failed"))?;
        let row = self.workspaces.get(&id).ok_or(Refusal::not_found("workspace not found"))?;
        if row.delivery_mode == DeliveryMode::Poll || row.url.is_empty() {
            return Ok(no_callback("download").into());
        }
        self.forward(call.now, &id, &format!("/internal/file/read?path={}", encoded(&path)), None)
    }

    /// Sends the content of a file that waits. The server ignores `Range`.
    pub(crate) fn pending_upload(&mut self, call: &Call<'_>, id: &str, file: &str) -> Result<Response, Refusal> {
        let upload = self.own_upload(call, id, file, EXPIRED)?;
        let mut response = Response::new(upload.content.clone());
        let headers = response.headers_mut();
        let stated = Some(&upload.mime_type).filter(|mime_type| !mime_type.is_empty());
        let content_type = stated.and_then(|mime_type| HeaderValue::from_str(mime_type).ok()).unwrap_or(BINARY);
        headers.insert(CONTENT_TYPE, content_type);
        let name = &upload.name;
        let disposition = format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}");
        let disposition = HeaderValue::from_str(&disposition).expect("a cleaned name is visible ASCII without quotes");
        headers.insert(CONTENT_DISPOSITION, disposition);
        Ok(response)
    }

    /// Notes that the agent has a file, any number of times.
    pub(crate) fn ack_upload(&mut self, call: &Call<'_>, id: &str, file: &str) -> Result<Response, Refusal> {
        self.own_upload(call, id, file, NOT_ACKED)?;
        self.uploads.ack(call.now.mono, &file.to_ascii_lowercase());
        Ok(reply::ok(&json!({"acked": true})))
    }

    fn own_upload(&mut self, call: &Call<'_>, id: &str, file: &str, missing: &'static str) -> Result<&Upload, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        // Ids of files are UUIDs, as those of workspaces are.
        let file = file.parse::<WorkspaceId>().map_err(|_| Refusal::bad_request("invalid file_id"))?;
        let upload = self.uploads.get(file.as_str()).ok_or(Refusal::not_found(missing))?;
        if upload.owner.as_str() == id { Ok(upload) } else { Err(Refusal::not_found("pending upload not found")) }
    }
}

/// The answer for an agent to which nothing can be handed on.
pub(super) fn no_callback(what: &str) -> Response {
    let error = format!("workspace has no callback URL — {what} requires push-mode + a public URL");
    let mut body = ErrorBody::new(error);
    let detail = format!(
        "This workspace registered without a publicly-reachable URL (delivery_mode is not 'push'). The platform cannot \
         HTTP-forward to it. Re-register the workspace with a public URL in push mode (e.g. via ngrok / Cloudflare \
         tunnel) to enable {what}."
    );
    body.detail = Some(detail.into());
    reply::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

/// A path as the value of a query: a blank is `+`, and everything but letters, digits, `-`, `.`, `_` and `~` is `%xx`.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b' ' => text.push('+'),
            b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// April's server forwards files to a container, which an external agent does not have.
fn refused_by_april(call: &Call<'_>, body: &Bytes) -> Refusal {
    match multipart::read(call.headers, body) {
        None => Refusal::bad_request("failed to parse multipart form"),
        Some(parts) if !parts.iter().any(|part| part.head.name == "files") => {
            Refusal::bad_request("expected at least one 'files' field")
        }
        Some(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "workspace container not running"),
    }
}
