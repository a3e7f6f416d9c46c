//! Answers that do not come from the platform, or not in the endpoint's form: each has its own error kind and remedy.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Fault, FaultKind, Outcome, Phase, Sent};
use molecule_core::endpoint::{Auth, CheckAccess, Endpoint, Existence, ListTokens, PollState, Secrets, View};
use molecule_core::machines::{Call, Register};
use molecule_core::proto::Token;
use molecule_core::{Error, ErrorKind};
use serde_json::json;
use std::error::Error as _;
use support::probe::Harmless;
use support::*;

fn once<E>(endpoint: E, answer: Answer) -> Result<E::Answer, Error>
where
    E: Endpoint + std::fmt::Debug,
    E::Answer: std::fmt::Debug,
{
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    run(&mut agent, Call::once(endpoint), |_| answer.clone().into())
}

#[test]
fn each_has_its_kind_and_one_sentence_with_a_remedy() {
    let sign_in = "https://user:pw@login.example/sso/start?ticket=s3cr3t&to=x#s3cr3t";
    let gate = json!({
        "error": "missing tenant routing header", "code": "TENANT_ORG_HEADER_REQUIRED",
        "required_header": "X-Molecule-Org-Id",
    });
    use ErrorKind::*;
    for (name, answer, kind, cause, remedy) in [
        ("page", Answer::html(200), Routing, "a web page", "MOLECULE_ORG_ID"),
        ("page without a type", Answer::text(200, " \n<html>"), Routing, "a web page", "MOLECULE_ORIGIN"),
        ("html 404", Answer::html(404), Routing, "a 404 that is not the platform's", "MOLECULE_ORG_ID"),
        ("bare 404", Answer::empty(404), Routing, "a 404 that is not the platform's", "MOLECULE_ORG_ID"),
        ("no route", Answer::text(404, "404 page not found"), Routing, "every platform has it", "platform URL"),
        (
            "json 404 of a framework",
            Answer::json(404, json!({"error": "Not Found", "statusCode": 404})),
            Routing,
            "something else than the platform answered 404 Not Found (Not Found)",
            "try again later",
        ),
        (
            "json 410 of a gateway",
            Answer::error(410, "Gone"),
            Routing,
            "something else than the platform answered 410 Gone",
            "try again later",
        ),
        (
            "401",
            Answer::error(401, "invalid workspace auth token"),
            Unauthorized,
            "refused the bearer",
            "register again",
        ),
        (
            "401 of a gateway",
            Answer::json(401, json!({"error": "Unauthorized", "statusCode": 401})),
            Unauthorized,
            "a 401 that is not the platform's (Unauthorized)",
            "something before the platform",
        ),
        ("empty 401", Answer::empty(401), Unauthorized, "a 401 that is not the platform's", "try again later"),
        ("json 404", Answer::error(404, "workspace not found"), Refused, "404 Not Found (workspace not found)", ""),
        ("gate", Answer::json(400, gate), Routing, "names no organisation", "MOLECULE_ORG_ID"),
        ("empty 403", Answer::empty(403), OriginRefused, "Origin header", "MOLECULE_ORIGIN=off"),
        ("json 403", Answer::error(403, "not yours"), Refused, "403 Forbidden (not yours)", ""),
        (
            "redirect",
            Answer::empty(302).header("location", sign_in),
            Redirected,
            "https://login.example/sso/start,",
            "URL",
        ),
        ("redirect 308", Answer::empty(308).header("location", "/workspaces/"), Redirected, "/workspaces/,", "URL"),
        ("no location", Answer::empty(307), Redirected, "nowhere", "platform URL"),
        ("not json", Answer::text(200, "ok"), Protocol, "not an object of texts (line 1, column", "platform URL"),
        ("other json", Answer::json(200, json!(["s3cr3t"])), Protocol, "not an object of texts", "platform URL"),
        ("values", Answer::json(200, json!({"K": {"s3cr3t": 1}})), Protocol, "not an object of texts", "platform URL"),
        ("nothing", Answer::empty(200), Protocol, "not an object of texts", "platform URL"),
        ("no content", Answer::empty(204), Protocol, "not an object of texts", "platform URL"),
        (
            "413",
            Answer::error(413, "request body exceeds 1"),
            Refused,
            "too long (request body exceeds 1)",
            "send less",
        ),
        ("500", Answer::error(500, "boom"), Unavailable, "500 Internal Server Error (boom)", "try again later"),
        ("429", Answer::error(429, "rate limit exceeded"), RateLimited, "rate limit is spent", "less often"),
    ] {
        let error = once(Secrets, answer).unwrap_err();
        let told = error.to_string();
        assert_eq!(error.kind(), kind, "{name}: {told}");
        assert!(told.starts_with("pull secrets failed: ") && told.contains(cause), "{name}: {told}");
        assert_eq!(told.split_once("; ").is_some_and(|(_, said)| said.contains(remedy)), !remedy.is_empty(), "{told}");
        assert!(!told.contains('\n') && !told.contains("pw@") && !told.contains(MARK), "{name}: {told}");
        assert!(error.status().is_some() && error.attempts() == 1, "{name}");
    }
}

#[test]
fn a_redirects_location_is_named() {
    let error = once(Secrets, Answer::empty(301).header("location", "https://x.example/y?token=s3cr3t")).unwrap_err();
    assert_eq!(error.location(), Some("https://x.example/y"));
}

#[test]
fn what_the_server_says_is_bounded_and_escaped() {
    let error = once(Secrets, Answer::error(400, &format!("a\u{1b}[31m\nb{}", "x".repeat(5000)))).unwrap_err();
    let said = error.server_message().unwrap();
    assert!(said.starts_with("a\\u{1b}[31m\\nbx") && said.len() < 400, "{said}");
    assert!(error.to_string().len() < 500);
    let error = once(Secrets, Answer::json(503, json!({"error": "down", "code": "platform_unavailable"}))).unwrap_err();
    assert_eq!((error.code(), error.server_message()), (Some("platform_unavailable"), Some("down")));
}

/// A router answers an unknown route with this 404. It means an older platform, or, if every platform has the route, a
/// wrong base URL.
#[test]
fn a_wrong_base_path_is_no_older_platform() {
    let no_route = || Answer::text(404, "404 page not found");
    let error = once(Harmless, no_route()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("use a newer platform"), "{error}");
    for error in [
        once(View, no_route()).unwrap_err(),
        run(&mut Agent::with(Agent::options(), 7), Register::new(), |_| no_route().into()).unwrap_err(),
        once(PollState, no_route()).unwrap_err(),
        once(CheckAccess::new(ID).unwrap(), no_route()).unwrap_err(),
    ] {
        let told = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Routing, "{told}");
        assert!(told.contains("check the platform URL, its path and its port") && !told.contains("newer"), "{told}");
    }
}

#[test]
fn a_server_that_echoes_the_credential_is_not_quoted() {
    let echo = json!({"error": format!("bad header: Bearer {}", secret("first")), "code": secret("first")});
    let error = once(Secrets, Answer::json(400, echo)).unwrap_err();
    assert_eq!(error.server_message(), Some("bad header: Bearer [redacted]"));
    assert_eq!(error.code(), Some("[redacted]"));
    let admin = Token::new(&secret("admin")).unwrap();
    let echo = Answer::error(403, &format!("{} may not", secret("admin")));
    let error = once(ListTokens(Auth::Admin(admin)), echo).unwrap_err();
    assert_eq!(error.server_message(), Some("[redacted] may not"));
}

#[test]
fn faults_name_what_failed_and_tell_the_reason_once() {
    use ErrorKind::*;
    for (kind, expected, cause) in [
        (FaultKind::Resolve, Unreachable, "no address: the reason"),
        (FaultKind::Connect, Unreachable, "no connection to the platform: the reason"),
        (FaultKind::Proxy, Unreachable, "proxy refused or failed: the reason"),
        (
            FaultKind::ProxyAuth,
            Unreachable,
            "other ones than its URL holds: the reason; check user and password in HTTPS_PROXY",
        ),
        (
            FaultKind::Tls,
            Tls,
            "TLS connection was refused: the reason; check the host name, or add the certificate authority",
        ),
        (FaultKind::CertificateTime, Tls, "not valid at this machine's time: the reason; check this machine's clock"),
        (FaultKind::NotTls, Tls, "speaks no TLS: the reason; check the platform URL's scheme and port"),
        (FaultKind::Timeout(Phase::Connect), Timeout, "connect limit"),
        (FaultKind::Timeout(Phase::Head), Timeout, "no answer within the limit"),
        (FaultKind::Timeout(Phase::Read), Timeout, "stalled"),
        (FaultKind::Timeout(Phase::Total), Timeout, "total limit"),
        (FaultKind::Interrupted, Interrupted, "broke before the answer was complete: the reason"),
        (FaultKind::Protocol, Protocol, "no HTTP: the reason"),
        (FaultKind::TooLarge, TooLarge, "larger than this endpoint's cap"),
    ] {
        let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
        let fault = || Outcome::Failed(Fault::with_source(Sent::Maybe, kind, "the reason"));
        let error = run(&mut agent, Call::once(Secrets), |_| fault().into()).unwrap_err();
        let told = error.to_string();
        assert!(error.kind() == expected && told.contains(cause) && told.contains("; "), "{kind:?}: {told}");
        assert!(error.source().is_none_or(|source| !told.contains(&source.to_string())), "{kind:?}: {told}");
        assert_eq!(error.status(), None);
    }
}

#[test]
fn what_only_some_platforms_offer_is_unsupported() {
    let error = once(ListTokens(Auth::Bearer), Answer::text(404, "404 page not found")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let told = error.to_string();
    assert!(told.contains("does not offer it; use a newer platform"), "{told}");
}

/// Only the platform's own words count as a deletion (contract section 7.3).
#[test]
fn the_view_tells_removed_from_not_found_from_misrouted() {
    let view = |answer| once(View, answer).map_err(|error| error.kind());
    let gone = json!({"error": "workspace removed", "id": ID, "hint": "create another", "removed_at": null});
    assert_eq!(view(Answer::json(410, gone)), Ok(Existence::Removed));
    let routing = Err(ErrorKind::Routing);
    let another = "00000000-0000-4000-8000-000000000001";
    for body in [
        json!({"error": "workspace removed", "id": another}),
        json!({"error": "workspace removed", "id": "all"}),
        json!({"error": "workspace removed"}),
        json!({"error": "Gone"}),
        json!({"error": {"message": "workspace removed"}, "id": ID}),
        json!("workspace removed"),
    ] {
        assert_eq!(view(Answer::json(410, body.clone())), routing, "{body}");
    }
    for body in [
        json!({"error": "Not Found", "statusCode": 404}),
        json!({"message": "Cannot GET /workspaces", "error": "Not Found", "statusCode": 404}),
        json!({"error": "not found"}),
        json!({"detail": "Not Found"}),
        json!({"error": "workspace removed", "id": ID}),
    ] {
        assert_eq!(view(Answer::json(404, body.clone())), routing, "{body}");
        let error = once(View, Answer::json(404, body)).unwrap_err();
        assert!(error.is_retryable() || error.server_message().is_none(), "{error}");
    }
    assert_eq!(view(Answer::json(200, json!({"id": another, "status": "removed"}))), routing);
    assert_eq!(view(Answer::json(200, json!({"id": another, "status": "online"}))), routing);
    assert_eq!(view(Answer::json(200, json!({"id": ID, "status": "removed"}))), Ok(Existence::Removed));
    assert_eq!(view(Answer::error(404, "workspace not found")), Ok(Existence::NotFound));
    assert!(matches!(view(Answer::json(200, json!({"id": ID, "status": "new word"}))), Ok(Existence::Present(_))));
    assert_eq!(view(Answer::empty(404)), Err(ErrorKind::Routing));
    assert_eq!(view(Answer::html(404)), Err(ErrorKind::Routing));
    assert_eq!(view(Answer::text(404, "{}")), Err(ErrorKind::Routing));
    assert_eq!(view(Answer::empty(410)), Err(ErrorKind::Routing));
    assert_eq!(view(Answer::html(200)), Err(ErrorKind::Routing));
    assert_eq!(view(Answer::error(500, "db")), Err(ErrorKind::Unavailable));
}

#[test]
fn the_state_believes_a_404_only_with_the_word_deleted() {
    let state = |answer| once(PollState, answer).map(|state| state.deleted).map_err(|error| error.kind());
    assert_eq!(state(Answer::json(404, json!({"workspace_id": ID, "deleted": true}))), Ok(true));
    assert_eq!(state(Answer::json(404, json!({"workspace_id": ID, "deleted": false}))), Err(ErrorKind::Routing));
    assert_eq!(state(Answer::empty(404)), Err(ErrorKind::Routing));
    assert_eq!(state(Answer::error(404, "no")), Err(ErrorKind::Routing));
    let another = json!({"workspace_id": "00000000-0000-4000-8000-000000000001", "status": "removed", "deleted": true});
    assert_eq!(state(Answer::json(404, another)), Err(ErrorKind::Routing));
    let odd = json!({"workspace_id": ID, "status": "online", "paused": "false", "deleted": false});
    assert_eq!(state(Answer::json(200, odd)), Err(ErrorKind::Protocol));
    assert_eq!(state(Answer::json(200, json!([1]))), Err(ErrorKind::Protocol));
}
