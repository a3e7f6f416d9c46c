//! Who may do what (contract section 2.1; April 2).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use molecule_proto::{Dialect, UnixTime, WorkspaceId, WorkspaceStatus};

use crate::platform::Platform;
use crate::reply::Refusal;

const MISSING: &str = "missing workspace auth token";
const INVALID: &str = "invalid workspace auth token";

/// The bearer of a request. The word is `Bearer ` in exactly this spelling, or there is none; blanks around the token do
/// not count.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?.trim();
    (!token.is_empty()).then_some(token)
}

impl Platform {
    /// Whether a bearer is a live token of this very workspace. The id is compared as text, so an upper-case spelling of
    /// the right one is wrong; tokens of removed workspaces authenticate nothing.
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

    /// Register, heartbeat and update-card: a token of the workspace in the body, or none at all while that workspace has
    /// no live (current server: instance) token. `Ok(true)` if a token was asked for and was right.
    pub(crate) fn registry_auth(&mut self, now: UnixTime, headers: &HeaderMap, id: &str) -> Result<bool, Refusal> {
        if self.database_down {
            return Ok(false);
        }
        // The database cannot look for the tokens of an id that is none, and the check lets the call through.
        let Ok(workspace) = id.parse::<WorkspaceId>() else { return Ok(false) };
        if !self.asks_for_bearer(&workspace) {
            return Ok(false);
        }
        let bearer = bearer(headers).ok_or(Refusal::unauthorized(MISSING))?;
        if self.authenticates(now, bearer, id) { Ok(true) } else { Err(Refusal::unauthorized(INVALID)) }
    }

    /// Discovery: a token of the caller, or none at all while the caller has no live token of any kind. The current server
    /// takes an organisation's and the administrator's token too, and says so where it cannot look for the caller's.
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

    /// Whether register and heartbeat ask for a bearer, and register therefore mints none.
    pub(crate) fn asks_for_bearer(&self, workspace: &WorkspaceId) -> bool {
        match self.config.dialect {
            Dialect::April => self.tokens.live(workspace) > 0,
            Dialect::Current => self.tokens.any_instance(workspace),
        }
    }

    /// Most routes below `/workspaces/:id`: a token of that workspace, an organisation's token or the administrator's.
    pub(crate) fn workspace_auth(&mut self, now: UnixTime, headers: &HeaderMap, id: &str) -> Result<(), Refusal> {
        let bearer = bearer(headers);
        if self.is_admin(bearer) || (bearer.is_none() && self.config.open_development()) {
            return Ok(());
        }
        let bearer = bearer.ok_or(Refusal::unauthorized(MISSING))?;
        // Both servers take a failing look-up for a wrong token.
        let passes = !self.database_down && (self.is_org_token(bearer) || self.authenticates(now, bearer, id));
        if passes { Ok(()) } else { Err(Refusal::unauthorized(INVALID)) }
    }

    /// The second check of state and secrets: while the workspace has a live token, only its own pass.
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

    /// An administrator's routes. Without an administrator's token configured, any live workspace token passes; April's
    /// server is open before the first token is minted and in open development mode.
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
