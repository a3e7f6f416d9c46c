//! Messages to the user: what is sent, and when it is sent again.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::FaultKind;
use molecule_core::machines::Notify;
use molecule_core::{ErrorKind, Notice, OutgoingFile, Result};
use serde_json::{Value, json};
use support::calls::caller;
use support::platform::NOTIFY;
use support::*;

fn sent() -> Reply {
    Answer::json(200, json!({"status": "sent"})).into()
}

/// Sends a notice. Returns the result and the bodies that were sent.
fn notify(notice: impl Into<Notice>, mut answer: impl FnMut() -> Reply) -> (Result<()>, Vec<Value>) {
    let mut bodies = Vec::new();
    let end = run(&mut caller(), Notify::new(notice).unwrap(), |seen| {
        assert!(seen.is(NOTIFY) && seen.bearer.is_some(), "{seen}");
        bodies.push(seen.body.clone());
        answer()
    });
    (end, bodies)
}

#[test]
fn the_user_gets_the_text_and_the_files() {
    let (end, bodies) = notify("the nightly run is done", sent);
    end.unwrap();
    assert_eq!(bodies, [json!({"message": "the nightly run is done"})]);

    let plan = OutgoingFile::uri("https://files.example/plan.png").mime_type("image/png");
    let (end, bodies) = notify(Notice::new("").attach(plan), sent);
    end.unwrap();
    let files = json!([{"uri": "https://files.example/plan.png", "name": "plan.png", "mimeType": "image/png"}]);
    assert_eq!(bodies, [json!({"message": "plan.png", "attachments": files})], "the platform refuses an empty text");
}

#[test]
fn what_may_have_arrived_is_not_sent_again_and_what_was_not_sent_is() {
    for lost in
        [|| fault(FaultKind::Interrupted), || Answer::html(502).outcome(), || Answer::error(500, "no").outcome()]
    {
        let (end, bodies) = notify("hello", || lost().into());
        let error = end.unwrap_err();
        assert_eq!((bodies.len(), error.operation(), error.is_retryable()), (1, "notify", false), "{error}");
        assert!(error.to_string().contains("; the user may have it: look at the chat"), "{error}");
    }
    let mut answers = vec![
        sent(),
        Answer::json(429, json!({"error": "rate limit exceeded", "retry_after": 1})).into(),
        unsent(FaultKind::Connect).into(),
    ];
    let (end, bodies) = notify("hello", || answers.pop().unwrap());
    end.unwrap();
    assert_eq!(bodies.len(), 3);
}

#[test]
fn a_workspace_that_may_not_talk_to_its_user_is_told_so() {
    let (end, bodies) = notify("hello", || Answer::error(403, "talk_to_user_disabled").into());
    let error = end.unwrap_err();
    let told = (error.kind(), error.server_message(), bodies.len());
    assert_eq!(told, (ErrorKind::Refused, Some("talk_to_user_disabled"), 1));
    assert!(!error.to_string().contains("may have it"), "{error}");
}

#[test]
fn what_cannot_be_sent_is_refused_unsent() {
    for (notice, part) in [
        (Notice::new(""), "the notice is empty"),
        (Notice::new("a\0b"), "U+0000"),
        (Notice::new("x".repeat(1024 * 1024 + 1)), "the text takes 1048577 bytes, and people get at most 1048576"),
        (Notice::new("x").attach(OutgoingFile::uri("javascript:alert(1)")), "a scheme that nobody can open"),
        ((0..65).fold(Notice::new("x"), |notice, _| notice.attach(OutgoingFile::uri("https://h/f"))), "65 files"),
    ] {
        let error = Notify::new(notice).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "notify"));
        assert!(error.to_string().contains(part), "{error}");
    }
}
