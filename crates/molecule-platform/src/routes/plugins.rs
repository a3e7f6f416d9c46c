//! `/plugins` and `/workspaces/:id/plugins` (contract section 15; April 9).

use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use molecule_proto::{AvailablePlugin, Dialect, ErrorBody, PluginCompatibility, PluginRefusal, header};

use super::create::EXTERNAL_LIKE;
use crate::json::{Fields, Malformed};
use crate::platform::{Call, Platform};
use crate::plugin::{self, Fetched};
use crate::reply::{self, Refusal, Response};
use crate::router;

/// The longest body of an install request, in bytes.
const MOST_BODY: usize = 64 << 10;

impl Platform {
    /// `GET /plugins`, which needs no credential.
    pub(crate) fn list_plugins(&self, call: &Call<'_>) -> Response {
        let runtime = router::query_text(call.query, "runtime").filter(|runtime| !runtime.is_empty());
        reply::ok(&self.plugins.listed(self.config.dialect, runtime.as_deref()))
    }

    /// `GET /plugins/sources`, which needs no credential.
    pub(crate) fn list_plugin_sources(&self) -> Response {
        reply::ok(&plugin::schemes(self.config.dialect))
    }

    /// `GET /workspaces/:id/plugins/available`. For a workspace that does not exist, the list has the plugins of all
    /// runtimes.
    pub(crate) fn available_plugins(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let runtime = self.row(id).map(|row| row.runtime.clone());
        Ok(reply::ok(&self.plugins.listed(self.config.dialect, runtime.as_deref())))
    }

    /// `GET /workspaces/:id/plugins`: the plugins in the workspace's container. This platform runs no containers.
    pub(crate) fn installed_plugins(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        Ok(reply::ok(&Vec::<AvailablePlugin>::new()))
    }

    /// `GET /workspaces/:id/plugins/compatibility`. The text of its refusal was never recorded.
    pub(crate) fn plugin_compatibility(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        match router::query_text(call.query, "runtime").filter(|runtime| !runtime.is_empty()) {
            Some(runtime) => Ok(reply::ok(&PluginCompatibility::nothing_installed(runtime))),
            None => Err(Refusal::bad_request("runtime query parameter is required")),
        }
    }

    /// `GET /workspaces/:id/plugins/:name/download`.
    pub(crate) fn download_plugin(&mut self, call: &Call<'_>, id: &str, name: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        if !plugin::is_plugin_name(name) {
            return Err(Refusal::bad_request("invalid plugin name"));
        }
        self.own_token(call.now.unix, call.headers, id)?;
        let source = router::query_text(call.query, "source").filter(|source| !source.is_empty());
        let source = source.unwrap_or_else(|| format!("local://{name}"));
        match self.plugins.fetch(self.config.dialect, &source, None) {
            Ok(fetched) if fetched.name == name => archive(call, &fetched),
            Ok(fetched) => Ok(reply::json(StatusCode::BAD_REQUEST, &PluginRefusal::another_name(fetched.name, name))),
            Err((status, refusal)) => Ok(reply::json(status, &refusal)),
        }
    }

    /// `POST /workspaces/:id/plugins`: installs a plugin into the workspace's container. External workspaces have no
    /// container, and on this platform no other workspace has one.
    pub(crate) fn install_plugin(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        if self.manages_its_plugins(id) {
            return Ok(not_supported(
                "plugin install via push is not supported for external runtimes",
                "external workspaces pull plugins via GET /workspaces/:id/plugins/:name/download",
            ));
        }
        if body.len() > MOST_BODY {
            return Err(Malformed.into());
        }
        let fields = Fields::read(body)?;
        let (source, pinned) = (fields.text("source")?, fields.text("sha256")?);
        if source.is_empty() {
            return Err(Malformed.into());
        }
        let pinned = (!pinned.is_empty()).then_some(pinned.as_str());
        match self.plugins.fetch(self.config.dialect, &source, pinned) {
            Ok(_) => Err(no_container()),
            Err((status, refusal)) => Ok(reply::json(status, &refusal)),
        }
    }

    /// `DELETE /workspaces/:id/plugins/:name`: removes a plugin from the workspace's container.
    pub(crate) fn uninstall_plugin(&mut self, call: &Call<'_>, id: &str, name: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        if self.manages_its_plugins(id) {
            return Ok(not_supported(
                "plugin uninstall via docker exec is not supported for external runtimes",
                "external workspaces manage their own plugin directory; remove it locally",
            ));
        }
        if !plugin::is_plugin_name(name) {
            return Err(Refusal::bad_request("invalid plugin name"));
        }
        Err(no_container())
    }

    /// Returns whether a workspace's agent runs outside the platform, and so has no container. April's server does not
    /// check this.
    fn manages_its_plugins(&mut self, id: &str) -> bool {
        let is_external = |runtime: &str| EXTERNAL_LIKE.contains(&runtime);
        self.config.dialect == Dialect::Current && self.row(id).is_some_and(|row| is_external(&row.runtime))
    }
}

fn archive(call: &Call<'_>, fetched: &Fetched) -> Result<Response, Refusal> {
    let packed = plugin::pack(&fetched.tree, call.now.unix).map_err(|_| Refusal::internal("failed to pack plugin"))?;
    let value = |text: &str| HeaderValue::from_str(text).expect("names and sources that are fetched are ASCII");
    let length = HeaderValue::from(packed.len());
    let mut response = Response::new(packed);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    headers.insert(CONTENT_DISPOSITION, value(&format!("attachment; filename=\"{}.tar.gz\"", fetched.name)));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(header::PLUGIN_NAME, value(&fetched.name));
    headers.insert(header::PLUGIN_SOURCE, value(&fetched.source));
    Ok(response)
}

fn not_supported(error: &str, hint: &str) -> Response {
    let mut body = ErrorBody::new(error);
    body.hint = Some(hint.to_owned());
    reply::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

fn no_container() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "workspace container not running")
}
