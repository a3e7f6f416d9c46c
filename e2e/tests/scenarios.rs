//! The scenarios of a remote agent's life, one in each file, each on both facades against both dialects of the
//! platform.
#![allow(clippy::unwrap_used)]

mod active_tasks;
mod all_tokens_revoked;
mod answered;
mod answered_later;
mod attachment_downloaded;
mod attachment_memory;
mod attachment_uploaded;
mod backlog_drained;
mod bad_options;
mod callback_panics;
mod check_reachable;
mod cursor_gone;
mod custom_store;
mod database_outage;
mod dead_letter_retried;
mod delegated;
mod deleted;
mod direct_call_over_tls;
mod direct_call_to_odd_peers;
mod every_form;
mod first_start;
mod from_env;
mod handler_answers_much;
mod handler_blocks_a_thread;
mod handler_hangs;
mod handler_panics;
mod heartbeat_keeps_pace;
mod inbox_in_trouble;
mod killed_while_answering;
mod large_answers;
mod loop_dropped_and_started_again;
mod not_the_platform;
mod notified;
mod odd_rows;
mod paused;
mod paused_wait_resumed;
mod peer_is_busy;
mod peer_token;
mod plugin_dropped;
mod plugin_installed;
mod plugin_memory;
mod plugin_refused;
mod plugins_side_by_side;
mod poison_message;
mod push_answered;
mod push_both_ways;
mod push_busy;
mod push_files;
mod push_platform_turns;
mod push_two_agents;
mod push_waited_in_feed;
mod read_only_root;
mod register_dropped_after_mint;
mod removed_push_agent;
mod reply_memory;
mod reported;
mod reported_url_changed;
mod request_raised;
mod restart_with_stored_token;
mod retry_after;
mod rows_late;
mod server_out_of_reach;
mod started_after_deletion;
mod started_while_paused;
mod stop_before_start;
mod stop_drains;
mod stop_during_a_write;
mod stop_while_the_server_stalls;
mod stream_wakes;
mod token_given;
mod token_not_held;
mod token_rotated;
mod two_agents_of_one_workspace;
mod two_agents_talk;
mod unauthorized;
mod unwritable_store;

use std::time::Duration;

use molecule_e2e::core::{Error, ErrorKind, InboxOptions};

/// Checks that an error has this kind, and one sentence with its cause and, after a semicolon, its remedy.
fn assert_told(error: &Error, kind: ErrorKind, cause: &str, remedy: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    let told = error.to_string();
    let (before, after) = told.split_once("; ").unwrap_or_else(|| panic!("no remedy: {told}"));
    assert!(before.starts_with(error.operation()) && before.contains(cause), "{told}");
    assert!(after.contains(remedy), "{told}");
    assert!(!told.contains('\n') && !told.contains(". "), "more than one sentence: {told}");
}

/// The feed is read so seldom that a test fails if its agent waits for the next read.
fn seldom(inbox: InboxOptions) -> InboxOptions {
    let hour = Duration::from_secs(3600);
    inbox.poll(hour).idle_poll(hour)
}
