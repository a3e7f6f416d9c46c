//! The connection block: rotation of a workspace's tokens, and a second look at the block (contract section 16.2).

use http::header::HOST;
use molecule_proto::{Connection, ConnectionAnswer, Dialect, ROTATE_MARKER, Token, WorkspaceId};

use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::routes::create::EXTERNAL_LIKE;

/// The keys of the programs that each server shows to people.
const APRIL_SNIPPETS: [&str; 2] = ["curl_register_template", "python_snippet"];
const CURRENT_SNIPPETS: [&str; 8] = [
    "curl_register_template",
    "python_snippet",
    "claude_code_channel_snippet",
    "universal_mcp_snippet",
    "hermes_channel_snippet",
    "codex_snippet",
    "openclaw_snippet",
    "kimi_snippet",
];

impl Platform {
    /// Revokes all tokens and mints one. A removed workspace gets one too, but it authenticates nothing.
    pub(crate) fn post_rotate(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        let id = self.external_row(call, id)?;
        let token = self.rotate(call.now, &id);
        Ok(reply::ok(&ConnectionAnswer::new(self.connection(call, &id, token))))
    }

    /// Returns the block again, with a placeholder for the token.
    pub(crate) fn show_connection(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        let id = self.external_row(call, id)?;
        Ok(reply::ok(&ConnectionAnswer::new(self.connection(call, &id, None))))
    }

    fn external_row(&mut self, call: &Call<'_>, id: &str) -> Result<WorkspaceId, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let row = self.row(id).ok_or(Refusal::not_found("workspace not found"))?;
        if !EXTERNAL_LIKE.contains(&row.runtime.as_str()) {
            // The text was never recorded.
            return Err(Refusal::bad_request("workspace runtime is not external"));
        }
        Ok(row.id.clone())
    }

    /// The base URL of the server for clients: the configured one, else the one of the request's `Host`.
    pub(crate) fn public_url(&self, call: &Call<'_>) -> String {
        let host = || call.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        self.config.public_url.clone().unwrap_or_else(|| format!("http://{}", host()))
    }

    /// The connection block of a workspace; `None` means a token that is not shown again.
    pub(crate) fn connection(&self, call: &Call<'_>, id: &WorkspaceId, token: Option<Token>) -> Connection {
        let url = self.public_url(call);
        let shown = token.as_ref().map_or_else(|| format!("<{ROTATE_MARKER}>"), |token| token.expose().to_owned());
        let mut connection = Connection::new(id.clone(), &url, token);
        let keys = match self.config.dialect {
            Dialect::April => APRIL_SNIPPETS.as_slice(),
            Dialect::Current => CURRENT_SNIPPETS.as_slice(),
        };
        for key in keys {
            let lines = format!("PLATFORM_URL={url}\nWORKSPACE_ID={id}\nMOLECULE_WORKSPACE_TOKEN={shown}\n");
            connection.snippets.insert((*key).to_owned(), lines);
        }
        connection
    }
}
