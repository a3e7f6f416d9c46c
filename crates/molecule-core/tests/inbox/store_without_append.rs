//! A store that cannot append ends the loop with an error that says what to do.

use crate::support::*;
use molecule_core::ErrorKind;

#[test]
fn the_loop_ends_with_a_clear_error() {
    let mut run = Received::usual();
    run.agent.store.cannot("Append");
    run.user("hello");
    let error = run.end().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    let text = error.to_string();
    assert!(text.contains("Append") && text.contains("append") && text.contains("store"), "{text}");
    assert!(run.texts().is_empty());
    assert_eq!(run.agent.store.locked, None);
    assert_eq!(run.agent.session.health().handling, 0);
}
