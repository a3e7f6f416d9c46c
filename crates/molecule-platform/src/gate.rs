//! The checks before every route: they refuse foreign origins and other tenants.

use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, StatusCode};
use molecule_proto::{Dialect, ErrorBody, header};

use crate::config::Config;
use crate::reply::{self, Response};

/// The origins that a server accepts whatever its own host name is.
const KNOWN_ORIGINS: [&str; 2] = ["http://localhost:3000", "http://localhost:3001"];
/// The header that the edge sets when it sends a request again to the right machine.
const REPLAY: HeaderName = HeaderName::from_static("fly-replay-src");

/// Returns whether a request without `Origin`, or with this one, may pass (April contract section 1.2; the current
/// server has the same middleware, and nothing says that its rule changed). A refused request gets a 403 with an empty
/// body.
pub(crate) fn origin_passes(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = ["http://", "https://"].iter().filter_map(|scheme| origin.strip_prefix(scheme)).next();
    KNOWN_ORIGINS.contains(&origin) || (own.is_some() && own == host)
}

/// The tenant gate's refusal, if the server belongs to an organisation and the request does not name it (contract
/// section 1.2).
pub(crate) fn tenant_refusal(config: &Config, path: &str, headers: &HeaderMap) -> Option<Response> {
    let organisation = config.organisation.as_deref()?;
    if is_exempt(config.dialect, path) || is_replayed_for(organisation, headers) {
        return None;
    }
    match headers.get(header::ORG_ID).filter(|given| !given.is_empty()) {
        Some(given) if given.as_bytes() == organisation.as_bytes() => None,
        None if config.dialect == Dialect::Current => Some(header_required()),
        Some(_) | None => Some(reply::empty(StatusCode::NOT_FOUND)),
    }
}

fn is_exempt(dialect: Dialect, path: &str) -> bool {
    matches!(path, "/health" | "/metrics" | "/registry/register" | "/registry/heartbeat")
        || path.starts_with("/cp/")
        || (path == "/buildinfo" && dialect == Dialect::Current)
}

fn is_replayed_for(organisation: &str, headers: &HeaderMap) -> bool {
    let replay = headers.get(REPLAY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    replay.split(';').any(|segment| segment.trim().strip_prefix("state=") == Some(organisation))
}

fn header_required() -> Response {
    let mut body = ErrorBody::new("missing tenant routing header");
    body.code = Some("TENANT_ORG_HEADER_REQUIRED".to_owned());
    body.required_header = Some("X-Molecule-Org-Id".to_owned());
    let detail = "SaaS tenant API requests must include X-Molecule-Org-Id matching the organization UUID.";
    body.detail = Some(detail.into());
    reply::json(StatusCode::BAD_REQUEST, &body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_passes_if_it_is_the_host_and_nothing_more() {
        let passes = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            origin_passes(&headers)
        };
        assert!(passes("http://127.0.0.1:8080") && passes("https://127.0.0.1:8080") && passes("http://localhost:3000"));
        assert!(!passes("http://127.0.0.1:8080/") && !passes("http://127.0.0.1") && !passes("127.0.0.1:8080"));
        assert!(origin_passes(&HeaderMap::new()));
    }

    #[test]
    fn an_agent_without_the_header_registers_and_beats_and_sees_nothing_else() {
        for (dialect, refused) in [(Dialect::April, 404), (Dialect::Current, 400)] {
            let config = Config { organisation: Some("org".to_owned()), ..Config::new(dialect) };
            let status = |path| tenant_refusal(&config, path, &HeaderMap::new()).map(|answer| answer.status().as_u16());
            assert_eq!(status("/registry/register"), None);
            assert_eq!(status("/registry/heartbeat"), None);
            assert_eq!(status("/registry/update-card"), Some(refused));
            assert_eq!(status("/workspaces/x/state"), Some(refused));
        }
    }

    #[test]
    fn the_edge_may_name_the_organisation() {
        let config = Config { organisation: Some("org".to_owned()), ..Config::new(Dialect::Current) };
        let mut headers = HeaderMap::new();
        assert_eq!(tenant_refusal(&config, "/workspaces", &headers).unwrap().status(), 400);
        headers.insert(REPLAY, "instance=1;state=org".parse().unwrap());
        assert!(tenant_refusal(&config, "/workspaces", &headers).is_none());
    }
}
