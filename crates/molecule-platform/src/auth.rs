//! The authentication rules of the routes (contract section 2.1; April 2).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use molecule_proto::{Dialect, UnixTime, WorkspaceId, WorkspaceStatus};

use crate::platform::Platform;
use crate::reply::Refusal;

const MISSING: &str = "missing workspace auth token";
const INVALID: &str = "invalid workspace auth token";

/// The bearer of a request. The header must start with `Bearer ` in exactly this spelling; blanks around the token are
/// ignored.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?.trim();
    (!token.is_empty()).then_some(token)
}

impl Platform {
    /// Returns whether a bearer is a live token of exactly this workspace. The id is compared as text, so that an
    /// upper-case spelling of the right id does not match. Tokens of removed workspaces authenticate nothing.
    pub(crate) fn authenticates(&mut self, now: UnixTime, bearer: &str, id: &str) -> bool {
        let owner = self.tokens.owner(bearer).filter(|owner| owner.as_str() == id);
        let lives = owner
            .and_then(|owner| self.workspaces.get(owner))
            .is_some_and(|row| row.status != WorkspaceStatus::Removed);
        if lives {
            self.tokens.mark_used(bearer, now);
        }
        lives
    }

    pub(crate) fn is_admin(&self, bearer: Option<&str>) -> bool {
        let admin = self.config.admin_token.as_ref();
        admin.is_some_and(|admin| bearer == Some(admin.expose()))
    }

    pub(crate) fn is_org_token(&self, bearer: &str) -> bool {
        self.org_tokens.iter().any(|token| token.expose() == bearer)
    }

    /// Checks register, heartbeat and update-card: they need a token of the workspace in the body, but none while that
    /// workspace has no live (current server: instance) token. Returns `Ok(true)` if a token was required and right.
    pub(crate) fn registry_auth(&mut self, now: UnixTime, headers: &HeaderMap, id: &str) -> Result<bool, Refusal> {
        if self.database_down {
            return Ok(false);
        }
        // The database cannot look up tokens of an invalid id, and the check then passes.
        let Ok(workspace) = id.parse::<WorkspaceId>() else { return Ok(false) };
        if !self.asks_for_bearer(&workspace) {
            return Ok(false);
        }
        let bearer = bearer(headers).ok_or(Refusal::unauthorized(MISSING))?;
        if self.authenticates(now, bearer, id) { Ok(true) } else { Err(Refusal::unauthorized(INVALID)) }
    }

    /// Checks discovery: it needs a token of the caller, but none while the caller has no live token of any kind. The
    /// current server also accepts an organisation's and the administrator's token, and answers 503 if it cannot look
    /// up the caller's.
    pub(crate) fn discovery_auth(&mut self, now: UnixTime, headers: &HeaderMap, caller: &str) -> Result<(), Refusal> {
        if self.database_down && self.config.dialect == Dialect::Current {
            return Err(Refusal::unavailable());
        }
        let live = caller.parse::<WorkspaceId>().is_ok_and(|caller| self.tokens.live(&caller) > 0);
        if !live || self.database_down || self.config.open_development() {
            return Ok(());
        }
        let bearer = bearer(headers).ok_or(Refusal::unauthorized(MISSING))?;
        let privileged = self.is_admin(Some(bearer)) || self.is_org_token(bearer);
        let passes = (privileged && self.config.dialect == Dialect::Current) || self.authenticates(now, bearer, caller);
        if passes { Ok(()) } else { Err(Refusal::unauthorized(INVALID)) }
    }

    /// Returns whether register and heartbeat require a bearer; register then mints none.
    pub(crate) fn asks_for_bearer(&self, workspace: &WorkspaceId) -> bool {
        match self.config.dialect {
            Dialect::April => self.tokens.live(workspace) > 0,
            Dialect::Current => self.tokens.any_instance(workspace),
        }
    }

    /// Checks most routes below `/workspaces/:id`: they need a token of that workspace, an organisation's token or the
    /// administrator's.
    pub(crate) fn workspace_auth(&mut self, now: UnixTime, headers: &HeaderMap, id: &str) -> Result<(), Refusal> {
        let bearer = bearer(headers);
        if self.is_admin(bearer) || (bearer.is_none() && self.config.open_development()) {
            return Ok(());
        }
        let bearer = bearer.ok_or(Refusal::unauthorized(MISSING))?;
        // Both servers treat a failed look-up like a wrong token.
        let passes = !self.database_down && (self.is_org_token(bearer) || self.authenticates(now, bearer, id));
        if passes { Ok(()) } else { Err(Refusal::unauthorized(INVALID)) }
    }

    /// The second check of state and secrets: while the workspace has a live token, only its own tokens pass.
    pub(crate) fn own_token(&mut self, now: UnixTime, headers: &HeaderMap, id: &str) -> Result<(), Refusal> {
        let workspace = id.parse::<WorkspaceId>();
        let (Ok(workspace), false) = (workspace, self.database_down) else {
            return Err(Refusal::internal("auth check failed"));
        };
        if self.tokens.live(&workspace) == 0 {
            return Ok(());
        }
        let bearer = bearer(headers).ok_or(Refusal::unauthorized(MISSING))?;
        if self.authenticates(now, bearer, id) { Ok(()) } else { Err(Refusal::unauthorized(INVALID)) }
    }

    /// Checks an administrator's routes. If no administrator's token is configured, any live workspace token passes.
    /// April's server accepts every request before the first token is minted, and in open development mode.
    pub(crate) fn admin_auth(&mut self, now: UnixTime, headers: &HeaderMap) -> Result<(), Refusal> {
        let configured = self.config.admin_token.is_some();
        if self.database_down {
            return Err(Refusal::unavailable());
        }
        let fresh = self.config.dialect == Dialect::April && self.tokens.is_empty() && !configured;
        if fresh || self.config.open_development() {
            return Ok(());
        }
        let bearer = bearer(headers).ok_or(Refusal::unauthorized("admin auth required"))?;
        let any_workspace = |platform: &mut Self| {
            let owner = platform.tokens.owner(bearer).cloned();
            owner.is_some_and(|owner| platform.authenticates(now, bearer, owner.as_str()))
        };
        let passes = self.is_admin(Some(bearer)) || self.is_org_token(bearer) || (!configured && any_workspace(self));
        if passes { Ok(()) } else { Err(Refusal::unauthorized("invalid admin auth token")) }
    }
}
