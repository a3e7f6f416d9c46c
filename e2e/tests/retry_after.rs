//! `Retry-After` in every form that servers and proxies send.

use std::time::Duration;

use molecule_e2e::core::ErrorKind;
use molecule_e2e::{route, scenario};

use crate::assert_told;

/// Shorter than any requested wait, so that each error is returned at once.
const CALL_LIMIT: Duration = Duration::from_millis(40);

scenario!(each_form_is_read_clamped_or_ignored, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).call_limit(CALL_LIMIT).build().unwrap();
    for (text, seconds) in [
        ("7", Some(7)),
        ("  7  ", Some(7)),
        ("0", Some(1)),
        ("1.5", Some(2)),
        ("3600", Some(60)),
        ("99999999999999999999999999", Some(60)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", Some(1)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(60)),
        ("-5", None),
        ("inf", None),
        ("nan", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
    ] {
        for status in [429, 503] {
            let _limited = world.answer(route::SECRETS, status, &[("retry-after", text)], r#"{"error":"later"}"#);
            let before = world.count(route::SECRETS);
            let error = agent.pull_secrets().unwrap_err();
            let wait = seconds.map(Duration::from_secs);
            assert_eq!(error.retry_after(), wait, "{text:?}: {error}");
            assert!(error.is_retryable(), "{error}");
            assert_eq!(error.server_message(), Some("later"));
            match status {
                429 => assert_told(&error, ErrorKind::RateLimited, "rate limit", "call less often"),
                _ => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
            if wait.is_some() {
                assert_eq!(world.count(route::SECRETS), before + 1, "the wait would pass the call's deadline");
            }
        }
    }
});

scenario!(what_the_server_asks_for_is_waited_for, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let _limited = world.answer_times(1, route::SECRETS, 429, &[("retry-after", "1")], "{}");
    assert!(agent.pull_secrets().unwrap().is_empty());
    let requests = world.requests(route::SECRETS);
    assert_eq!(requests.len(), 2);
    let gap = requests[1].at.mono.since(requests[0].at.mono);
    assert!(gap >= Duration::from_secs(1) && gap < Duration::from_secs(5), "{gap:?}");
});
