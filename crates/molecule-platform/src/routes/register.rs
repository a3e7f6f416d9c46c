//! `POST /registry/register` (contract section 4; April 4.1).

use molecule_proto::{DeliveryMode, Dialect, Now, RegisterAnswer, WorkspaceId, WorkspaceStatus};
use serde_json::{Map, Value, json};

use crate::json::{Fields, Malformed, holds_nul};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::sweep::LIVENESS;
use crate::tokens::TokenKind;
use crate::url_rules;
use crate::workspace::Workspace;

const FAILED: &str = "registration failed";

/// The fields of a body, after the checks of its form.
struct Body {
    /// The id as it was sent, which may not be a UUID.
    id: String,
    url: String,
    card: Value,
    /// `workspace`, `platform` or `""`.
    kind: String,
    delivery_mode: Option<DeliveryMode>,
}

impl Platform {
    pub(crate) fn register(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        match self.config.dialect {
            Dialect::April => self.register_april(call, body),
            Dialect::Current => self.register_current(call, body),
        }
    }

    /// Checks the URL before the token. Every refusal has the same text.
    fn register_april(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        let body = read_april(body)?;
        url_rules::check_push(&self.config, &body.url).map_err(|_| Malformed)?;
        self.registry_auth(call.now.unix, call.headers, &body.id)?;
        let id = self.storable(&body)?;
        let minted = self.take_registration(call.now, &id, body, DeliveryMode::Push);
        Ok(reply::ok(&minted))
    }

    /// Checks the token before the URL, and a refusal contains the reason. A refused request of an authenticated agent
    /// degrades its workspace.
    fn register_current(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        let body = read_current(body)?;
        let proved = self.registry_auth(call.now.unix, call.headers, &body.id)?;
        let answer = self.register_known_caller(&body);
        if let (Err(_), true, Some(row)) = (&answer, proved, self.row(&body.id)) {
            row.register_failed = Some(call.now.mono);
        }
        let (id, url, delivery_mode) = answer?;
        let mut minted = self.take_registration(call.now, &id, Body { url, ..body }, delivery_mode.clone());
        minted.delivery_mode = Some(delivery_mode);
        minted.platform_inbound_secret = Some(self.inbound_secret_of(call.now.mono, &id));
        Ok(reply::ok(&minted))
    }

    /// The checks after the authentication: the kind, the mode and the URLs.
    fn register_known_caller(&mut self, body: &Body) -> Result<(WorkspaceId, String, DeliveryMode), Refusal> {
        let is_platform = self.row(&body.id).is_some_and(|row| row.kind.as_str() == "platform");
        if body.kind == "platform" && !is_platform {
            let error = "kind='platform' may only be assigned by the platform-agent install path";
            return Err(Refusal::new(http::StatusCode::FORBIDDEN, error));
        }
        let delivery_mode = self.delivery_mode_for(body);
        let card_url = body.card.get("url").and_then(Value::as_str).unwrap_or_default();
        if !card_url.is_empty() && !url_rules::is_safe(&self.config, card_url) {
            return Err(Refusal::bad_request("workspace agent_card URL not allowed"));
        }
        let mut url = body.url.clone();
        if delivery_mode == DeliveryMode::Push {
            if url.is_empty() {
                card_url.clone_into(&mut url);
            }
            if url.is_empty() {
                return Err(Refusal::bad_request("url is required for push-mode workspaces"));
            }
            url_rules::check_push(&self.config, &url).map_err(Refusal::bad_request)?;
        }
        let id = self.storable(body)?;
        Ok((id, url, delivery_mode))
    }

    /// The mode in the body, else the one in the row, else push. A row always has a mode, so that the server's rule for
    /// runtimes never applies (contract section 4.2).
    fn delivery_mode_for(&mut self, body: &Body) -> DeliveryMode {
        let stored = self.row(&body.id).map(|row| row.delivery_mode.clone());
        body.delivery_mode.clone().or(stored).unwrap_or(DeliveryMode::Push)
    }

    /// Returns the id, if the database can store this registration.
    fn storable(&self, body: &Body) -> Result<WorkspaceId, Refusal> {
        let failed = Refusal::internal(FAILED);
        if self.database_down || holds_nul(&body.card) || body.url.contains('\0') {
            return Err(failed);
        }
        body.id.parse().map_err(|_| failed)
    }

    /// Writes the row, unless its status forbids it, and mints a token if none is live.
    fn take_registration(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        body: Body,
        delivery_mode: DeliveryMode,
    ) -> RegisterAnswer {
        let dialect = self.config.dialect;
        let mint = !self.asks_for_bearer(id);
        let stored = self.workspaces.get(id).map(|row| row.url.as_str());
        if !stored.is_some_and(|url| url_rules::is_sticky(dialect, url)) {
            self.urls.keep(now.mono, id, &body.url);
        }
        match self.workspaces.get_mut(id) {
            Some(row) if row.ignores_register(dialect) => row.updated = now.unix,
            Some(row) => {
                if !url_rules::is_sticky(dialect, &row.url) {
                    row.url = body.url;
                }
                row.agent_card = Some(match dialect {
                    Dialect::April => body.card,
                    Dialect::Current => filled_in(body.card, row),
                });
                row.delivery_mode = delivery_mode;
                row.status = WorkspaceStatus::Online;
                row.register_failed = None;
                row.fails_at = None;
                row.liveness_key = Some(now.mono + LIVENESS);
                row.last_heartbeat = Some(now);
                row.last_event = now.mono;
                row.updated = now.unix;
            }
            None => {
                let mut row = Workspace::new(id.clone(), id.to_string(), WorkspaceStatus::Online, now);
                row.runtime = if dialect == Dialect::April { "langgraph" } else { "hermes" }.to_owned();
                row.tier = 1;
                row.url = body.url;
                row.agent_card = Some(body.card);
                row.delivery_mode = delivery_mode;
                row.liveness_key = Some(now.mono + LIVENESS);
                row.last_heartbeat = Some(now);
                self.workspaces.insert(id.clone(), row);
            }
        }
        self.tell_of_registration(now, id);
        let mut answer = RegisterAnswer::registered();
        answer.auth_token = mint.then(|| self.tokens.mint(&mut self.random, now.unix, id, TokenKind::Instance));
        answer
    }
}

impl Platform {
    /// Tells the event streams about a register that put the workspace online.
    fn tell_of_registration(&mut self, now: Now, id: &WorkspaceId) {
        let Some(row) = self.workspaces.get(id).filter(|_| self.has_streams(id)) else { return };
        if row.status != WorkspaceStatus::Online {
            return;
        }
        let mut told = json!({"agent_card": row.agent_card, "url": row.url});
        if self.config.dialect == Dialect::Current {
            told["delivery_mode"] = json!(row.delivery_mode);
        }
        self.emit(now, id, "WORKSPACE_ONLINE", || told);
    }
}

/// Reads the body by April's rules, which ignore the mode, the kind and a card's URL.
fn read_april(body: &[u8]) -> Result<Body, Malformed> {
    let fields = Fields::read(body)?;
    let (id, url) = (fields.text("id")?, fields.text("url")?);
    let card = fields.raw("agent_card").ok_or(Malformed)?.clone();
    if id.is_empty() || url.is_empty() {
        return Err(Malformed);
    }
    Ok(Body { id, url, card, kind: String::new(), delivery_mode: None })
}

fn read_current(body: &[u8]) -> Result<Body, Refusal> {
    let fields = Fields::read(body)?;
    let (id, url, kind) = (fields.text("id")?, fields.text("url")?, fields.text("kind")?);
    let mode = fields.text("delivery_mode")?;
    fields.truth("mcp_server_present")?;
    let card = fields.raw("agent_card").ok_or(Malformed)?.clone();
    if id.is_empty() {
        return Err(Malformed.into());
    }
    let delivery_mode = known_mode(&mode)?;
    if !matches!(kind.as_str(), "" | "workspace" | "platform") {
        return Err(Refusal::bad_request("kind must be 'workspace' or 'platform'"));
    }
    Ok(Body { id, url, card, kind, delivery_mode })
}

/// Parses `push` or `poll`; returns `None` for `""`.
pub(super) fn known_mode(mode: &str) -> Result<Option<DeliveryMode>, Refusal> {
    match DeliveryMode::from(mode) {
        known @ (DeliveryMode::Push | DeliveryMode::Poll) => Ok(Some(known)),
        _ if mode.is_empty() => Ok(None),
        _ => Err(Refusal::bad_request("delivery_mode must be 'push' or 'poll'")),
    }
}

/// Adds missing fields to a card that is an object, as the current server does.
fn filled_in(card: Value, row: &Workspace) -> Value {
    let Value::Object(mut card) = card else { return card };
    fill(&mut card, "name", Some(&row.name));
    fill(&mut card, "role", row.role.as_ref());
    fill(&mut card, "description", Some(&row.name));
    Value::Object(card)
}

fn fill(card: &mut Map<String, Value>, key: &str, text: Option<&String>) {
    let is_missing = card.get(key).is_none_or(|value| value.is_null() || value.as_str() == Some(""));
    if let (true, Some(text)) = (is_missing, text) {
        card.insert(key.to_owned(), Value::String(text.clone()));
    }
}
