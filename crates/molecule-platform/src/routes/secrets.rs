//! `/workspaces/:id/secrets` and its values (contract section 8; April 5.2).

use molecule_proto::{SavedSecret, Secrets, WorkspaceId};
use serde::Serialize;
use serde_json::json;

use crate::json::{Fields, Malformed};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

/// The only type that serializes secret values.
#[derive(Serialize)]
#[serde(transparent)]
struct Values(#[serde(serialize_with = "Secrets::serialize")] Secrets);

impl Platform {
    pub(crate) fn secret_values(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let is_lower_case_uuid = id.parse::<WorkspaceId>().is_ok_and(|parsed| parsed.as_str() == id);
        if !is_lower_case_uuid {
            return Err(Refusal::bad_request("invalid workspace ID"));
        }
        self.own_token(call.now.unix, call.headers, id)?;
        let mut values = Secrets::new();
        if let Some(row) = self.row(id) {
            for (key, stored) in &row.secrets {
                values.insert(key.as_str(), stored.value.as_str());
            }
        }
        Ok(reply::ok(&Values(values)))
    }

    pub(crate) fn list_secrets(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let listed: Vec<_> = match self.row(id) {
            Some(row) => row
                .secrets
                .iter()
                .map(|(key, stored)| {
                    json!({"key": key, "has_value": true, "scope": "workspace",
                       "created_at": stored.created, "updated_at": stored.updated})
                })
                .collect(),
            None => Vec::new(),
        };
        Ok(reply::ok(&listed))
    }

    pub(crate) fn save_secret(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let fields = Fields::read(body)?;
        let (key, value) = (fields.text("key")?, fields.text("value")?);
        if key.is_empty() || value.is_empty() {
            return Err(Malformed.into());
        }
        self.database()?;
        let storable = !key.contains('\0') && !value.contains('\0');
        if !(storable && id.parse().is_ok_and(|id| self.set_secret(call.now, &id, &key, &value))) {
            return Err(Refusal::internal("failed to save secret"));
        }
        Ok(reply::ok(&SavedSecret::new(key)))
    }

    pub(crate) fn delete_secret(&mut self, call: &Call<'_>, id: &str, key: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        if !id.parse().is_ok_and(|id| self.remove_secret(&id, key)) {
            return Err(Refusal::not_found("secret not found"));
        }
        Ok(reply::ok(&json!({"status": "deleted", "key": key})))
    }

    /// Returns an error while the database is down. It is for requests with a privileged bearer, which passes without a
    /// look-up.
    pub(crate) fn database(&self) -> Result<(), Refusal> {
        if self.database_down { Err(Refusal::internal("query failed")) } else { Ok(()) }
    }
}
