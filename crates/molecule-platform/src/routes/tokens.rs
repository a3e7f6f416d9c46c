//! The routes for tokens (contract section 16.3; April 10.2, 11 and 12).

use http::StatusCode;
use molecule_proto::{MintedToken, RevokedToken, TokenId, TokenList, WorkspaceId};
use serde_json::json;

use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;
use crate::tokens::TokenKind;

const MESSAGE: &str = "Save this token now — it cannot be retrieved again.";
/// The number of live tokens of a workspace at which the owner's route mints no more.
const MOST_LIVE: usize = 50;

impl Platform {
    pub(crate) fn list_tokens(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let number = |key| router::query(call.query, key).and_then(|value| value.parse::<usize>().ok());
        let limit = number("limit").filter(|limit| (1..=200).contains(limit)).unwrap_or(50);
        let id = id.parse::<WorkspaceId>().map_err(|_| Refusal::internal("failed to list tokens"))?;
        Ok(reply::ok(&TokenList::new(self.tokens.page(&id, number("offset").unwrap_or(0), limit))))
    }

    pub(crate) fn post_token(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let failed = || Refusal::internal("failed to create token");
        let id = id.parse::<WorkspaceId>().map_err(|_| failed())?;
        if self.tokens.live(&id) >= MOST_LIVE {
            let error = format!("maximum {MOST_LIVE} active tokens per workspace");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, error));
        }
        self.minted(call, &id, true).ok_or_else(failed)
    }

    pub(crate) fn delete_token(&mut self, call: &Call<'_>, id: &str, row: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let failed = || Refusal::internal("failed to revoke token");
        let row = row.parse::<TokenId>().map_err(|_| failed())?;
        let id = id.parse::<WorkspaceId>().map_err(|_| failed())?;
        if !self.tokens.revoke(&id, &row) {
            return Err(Refusal::not_found("token not found or already revoked"));
        }
        Ok(reply::ok(&RevokedToken::revoked(None)))
    }

    /// `POST /admin/workspaces/:id/tokens`.
    pub(crate) fn admin_post_token(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let id = id.parse::<WorkspaceId>().map_err(|_| Refusal::bad_request("invalid workspace id"))?;
        let lives = self.workspaces.get(&id).is_some_and(|row| !row.is_removed());
        let minted = if lives { self.minted(call, &id, true) } else { None };
        minted.ok_or(Refusal::not_found("workspace not found"))
    }

    /// `POST /admin/workspaces/:id/revoke-auth-tokens`, which accepts any id.
    pub(crate) fn admin_revoke_tokens(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let parsed = id.parse::<WorkspaceId>().map_err(|_| Refusal::bad_request("invalid workspace id"))?;
        self.tokens.revoke_all(&parsed);
        Ok(reply::ok(&RevokedToken::revoked(Some(id.to_owned()))))
    }

    /// `GET /admin/workspaces/:id/test-token`: mints a token on April's server. It needs no credential if no
    /// administrator is configured.
    pub(crate) fn test_token(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        if self.config.admin_token.is_some() {
            self.admin_auth(call.now.unix, call.headers)?;
        }
        self.database()?;
        let not_found = || Refusal::not_found("workspace not found");
        let id = id.parse::<WorkspaceId>().map_err(|_| not_found())?;
        let mut minted = self.minted(call, &id, false).ok_or_else(not_found)?;
        *minted.status_mut() = StatusCode::OK;
        Ok(minted)
    }

    fn minted(&mut self, call: &Call<'_>, id: &WorkspaceId, with_advice: bool) -> Option<Response> {
        let token = self.mint_token(call.now, id, TokenKind::Api)?;
        let advice = with_advice.then(|| MESSAGE.to_owned());
        Some(reply::json(StatusCode::CREATED, &MintedToken::new(token, id.clone(), advice)))
    }

    /// `POST /org/tokens`: mints a token for every workspace of the organisation. On the current server it needs an
    /// approval, which is not modelled.
    pub(crate) fn post_org_token(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        let counted = self.org_token_limiter.count(call.now.mono, call.peer, call.headers);
        let mut response = match counted.refusal() {
            Some(refusal) => refusal,
            None => self.minted_for_org(call, body).unwrap_or_else(Response::from),
        };
        counted.limit.write_to(response.headers_mut());
        Ok(response)
    }

    fn minted_for_org(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let name = Fields::read(body)?.text("name")?;
        let (id, token) = (self.random.token_id(), self.random.token());
        let prefix: String = token.expose().chars().take(8).collect();
        let warning = "copy this token now; it will not be shown again";
        let answer =
            json!({"id": id, "prefix": prefix, "name": name, "auth_token": token.expose(), "warning": warning});
        self.org_tokens.push(token);
        Ok(reply::ok(&answer))
    }
}
