//! The caller of a message (contract section 9.2; April 7.1).

use http::{HeaderMap, StatusCode};
use molecule_proto::{Dialect, WorkspaceId, header};

use crate::auth::bearer;
use crate::platform::{Call, Platform};
use crate::reply::Refusal;

const MISSING: &str = "missing caller auth token";
const INVALID: &str = "invalid caller auth token";
pub(crate) const DENIED: &str = "access denied: workspaces cannot communicate per hierarchy rules";

/// The caller of a request.
pub(crate) enum Caller {
    /// A workspace.
    Agent(WorkspaceId),
    /// The web interface, an administrator, and on April's server any request that names no caller. The workspace is
    /// the one that a row names as its source.
    Person(Option<WorkspaceId>),
}

impl Platform {
    /// Returns the caller, if it may talk to the target.
    pub(crate) fn a2a_caller(&mut self, call: &Call<'_>, target: &str) -> Result<Caller, Refusal> {
        let claimed = claimed(call.headers)?;
        match self.config.dialect {
            Dialect::April => self.april_caller(call, claimed, target),
            Dialect::Current => {
                let caller = self.proven_caller(call, claimed)?;
                if let Caller::Agent(id) = &caller
                    && !self.may_talk(id.as_str(), target)
                {
                    return Err(Refusal::new(StatusCode::FORBIDDEN, DENIED));
                }
                Ok(caller)
            }
        }
    }

    /// Returns the owner of the bearer; the header may only repeat its id.
    pub(crate) fn current_caller(&mut self, call: &Call<'_>) -> Result<Caller, Refusal> {
        let claimed = claimed(call.headers)?;
        self.proven_caller(call, claimed)
    }

    fn proven_caller(&mut self, call: &Call<'_>, claimed: Option<&str>) -> Result<Caller, Refusal> {
        let bearer = bearer(call.headers).ok_or(Refusal::unauthorized(MISSING))?;
        if self.is_admin(Some(bearer)) || self.is_org_token(bearer) {
            return Ok(Caller::Person(claimed.and_then(|id| id.parse().ok())));
        }
        // A failed look-up counts as a wrong token.
        let owner = self.tokens.owner(bearer).filter(|_| !self.database_down).cloned();
        let owner = owner.filter(|owner| self.authenticates(call.now.unix, bearer, owner.as_str()));
        let owner = owner.ok_or(Refusal::unauthorized(INVALID))?;
        if claimed.is_some_and(|claimed| claimed != owner.as_str()) {
            return Err(Refusal::unauthorized("caller ID does not match workspace auth token"));
        }
        Ok(Caller::Agent(owner))
    }

    /// Returns the caller that the header names, if the bearer is its token or if it has no live token. A request
    /// without the header comes from a person. A caller that names itself as the target is not checked.
    fn april_caller(&mut self, call: &Call<'_>, claimed: Option<&str>, target: &str) -> Result<Caller, Refusal> {
        let Some(claimed) = claimed else { return Ok(Caller::Person(None)) };
        let id = claimed.parse::<WorkspaceId>().ok();
        if claimed == target {
            return Ok(id.map_or(Caller::Person(None), Caller::Agent));
        }
        if !self.database_down && id.as_ref().is_some_and(|id| self.tokens.live(id) > 0) {
            let bearer = bearer(call.headers).ok_or(Refusal::unauthorized(MISSING))?;
            if !self.authenticates(call.now.unix, bearer, claimed) {
                return Err(Refusal::unauthorized(INVALID));
            }
        }
        match id {
            Some(id) if self.may_talk(claimed, target) => Ok(Caller::Agent(id)),
            Some(_) | None => Err(Refusal::new(StatusCode::FORBIDDEN, DENIED)),
        }
    }
}

/// Returns the caller that the header names; a blank header names nobody. The platform's own names are refused first.
fn claimed(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let claimed = headers.get(header::WORKSPACE_ID).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if ["webhook:", "system:", "test:", "channel:"].iter().any(|prefix| claimed.starts_with(prefix)) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "invalid caller ID"));
    }
    Ok((!claimed.is_empty()).then_some(claimed))
}
