//! `GET /registry/discover/:id`, `GET /registry/:id/peers` and `POST /registry/check-access` (contract sections 6.2 to
//! 6.4; April 4.4 to 4.6).

use http::StatusCode;
use molecule_proto::{
    CheckAccessAnswer, Dialect, DiscoverAnswer, ErrorBody, Peer, Time, WorkspaceId, WorkspaceStatus, header,
};

use crate::json::{Fields, Malformed};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;
use crate::url_rules;
use crate::workspace::Workspace;

const NO_WORKSPACE: &str = "workspace not found";

impl Platform {
    pub(crate) fn discover(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        let caller = call.headers.get(header::WORKSPACE_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if caller.is_empty() {
            return Err(Refusal::bad_request("X-Workspace-ID header is required"));
        }
        self.discovery_auth(call.now.unix, call.headers, caller)?;
        if !self.may_talk(caller, id) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "not authorized to discover this workspace"));
        }
        let row = id.parse().ok().and_then(|id: WorkspaceId| self.workspaces.get(&id));
        let row = row.ok_or(Refusal::not_found(NO_WORKSPACE))?;
        Ok(match self.callable_at(call.now.mono, row)? {
            Some(url) => reply::ok(&DiscoverAnswer::new(row.id.clone(), url, row.name.clone())),
            None => {
                let mut body = ErrorBody::new("workspace not available");
                body.status = Some(row.status.clone());
                reply::json(StatusCode::SERVICE_UNAVAILABLE, &body)
            }
        })
    }

    /// The URL of a workspace in discovery's answer. For an external workspace it is the URL in its row, also after its
    /// removal; only a pause clears it. Otherwise it is the URL that was registered in the last 5 minutes, else an
    /// invented address in the platform's own network. `None` if the workspace has none of these.
    fn callable_at(&self, now: Time, row: &Workspace) -> Result<Option<String>, Refusal> {
        if row.runtime == "external" && !row.url.is_empty() {
            let unsafe_url = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "workspace URL failed safety check");
            return if url_rules::may_be_shown(&self.config, &row.url) {
                Ok(Some(row.url.clone()))
            } else {
                Err(unsafe_url)
            };
        }
        if let Some(url) = self.urls.get(now, &row.id) {
            return Ok(Some(url.to_owned()));
        }
        let alive = matches!(row.status, WorkspaceStatus::Online | WorkspaceStatus::Degraded);
        let id = row.id.as_str();
        let short = if self.config.dialect == Dialect::April { id.get(..12).unwrap_or(id) } else { id };
        Ok(alive.then(|| format!("http://ws-{short}:8000")))
    }

    pub(crate) fn peers(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.discovery_auth(call.now.unix, call.headers, id)?;
        let malformed = match self.config.dialect {
            Dialect::April => Refusal::internal("lookup failed"),
            Dialect::Current => Refusal::unavailable(),
        };
        let id: WorkspaceId = id.parse().map_err(|_| malformed)?;
        if self.database_down {
            return Err(Refusal::internal("lookup failed"));
        }
        let row = self.workspaces.get(&id).ok_or(Refusal::not_found(NO_WORKSPACE))?;
        let wanted = router::query_text(call.query, "q").unwrap_or_default().to_lowercase();
        // April's server crashes on a peer without a role, and its answer has no body.
        let falls = self.config.dialect == Dialect::April && self.peers_of(row).any(|peer| peer.role.is_none());
        if !wanted.is_empty() && falls {
            return Ok(reply::empty(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let names = |peer: &&Workspace| {
            let role = peer.role.as_deref().unwrap_or_default();
            peer.name.to_lowercase().contains(&wanted) || role.to_lowercase().contains(&wanted)
        };
        let peers: Vec<Peer> = self.peers_of(row).filter(names).map(listed).collect();
        Ok(reply::ok(&peers))
    }

    /// Needs no credential; an unknown id may talk to nobody.
    pub(crate) fn check_access(&mut self, body: &[u8]) -> Result<Response, Refusal> {
        let fields = Fields::read(body)?;
        let (caller, target) = (fields.text("caller_id")?, fields.text("target_id")?);
        if caller.is_empty() || target.is_empty() {
            return Err(Malformed.into());
        }
        Ok(reply::ok(&CheckAccessAnswer::new(self.may_talk(&caller, &target))))
    }
}

fn listed(row: &Workspace) -> Peer {
    let mut peer = Peer::new(row.id.clone(), row.name.clone(), row.status.clone());
    peer.role.clone_from(&row.role);
    peer.tier = row.tier;
    peer.agent_card.clone_from(&row.agent_card);
    peer.url.clone_from(&row.url);
    peer.parent_id.clone_from(&row.parent);
    peer.active_tasks = row.reported.active_tasks;
    peer
}
