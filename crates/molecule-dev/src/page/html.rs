//! Small parts of every view.

use std::time::Duration;

use maud::{Markup, html};
use molecule_proto::{Now, UnixTime, WorkspaceStatus, printable};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The most characters of a name that are shown.
const LONGEST_NAME: usize = 120;

/// A text of somebody else on one line: what controls or disguises it is escaped, and it is cut after `most` characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", printable::line(&text[..end])),
        None => printable::line(text),
    }
}

/// A name of somebody else; one that is empty is told as such.
pub(crate) fn name(text: &str) -> String {
    if text.trim().is_empty() { "(no name)".to_owned() } else { short(text, LONGEST_NAME) }
}

/// A name of somebody else as the value of a field or an id, which [`decoded`] reads: a browser would change some characters.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Reads what [`encoded`] wrote.
pub(crate) fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// The colour of a status: what is well, what waits, what failed, and what rests.
pub(crate) fn colour(status: &WorkspaceStatus) -> &'static str {
    match status {
        WorkspaceStatus::Online => "good",
        WorkspaceStatus::Provisioning | WorkspaceStatus::AwaitingAgent | WorkspaceStatus::Hibernating => "wait",
        WorkspaceStatus::Degraded | WorkspaceStatus::Offline | WorkspaceStatus::Failed => "bad",
        // Paused, hibernated, removed, or a status of a later server.
        _ => "rest",
    }
}

pub(crate) fn status(status: &WorkspaceStatus) -> Markup {
    html! { span class={ "chip " (colour(status)) } { (short(status.as_str(), 40).replace('_', " ")) } }
}

/// How long ago something was, which the page's script keeps up to date.
pub(crate) fn ago(now: Now, then: UnixTime) -> Markup {
    html! {
        time datetime=(then) title=(then) data-ago=(millis(then)) { (words(now.unix.since(then))) }
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: UnixTime) -> i64 {
    time.as_secs().saturating_mul(1000).saturating_add(i64::from(time.subsec_nanos() / 1_000_000))
}

/// A span of time in words, as the page's script writes it, too.
pub(crate) fn words(span: Duration) -> String {
    match span.as_secs() {
        0 => "now".to_owned(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// The time of day in UTC, with seconds: `12:34:56`.
pub(crate) fn time_of_day(time: UnixTime) -> String {
    let seconds = time.as_secs().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A count with its noun: `1 message`, `2 messages`, `3 entries`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

/// A part of a view that asks for itself again when the log has a newer line.
pub(crate) fn live(id: &str, href: &str, content: Markup) -> Markup {
    html! {
        div id=(id) data-live hx-get=(href) hx-trigger="refresh" hx-target="this" hx-swap="outerMorph"
            hx-sync="this:queue last" { (content) }
    }
}

/// The answer to an act that succeeded.
pub(crate) fn done(text: &str) -> Markup {
    html! { p class="good" { (text) } }
}

/// The answer to an act that was refused.
pub(crate) fn refused(text: &str) -> Markup {
    html! { p class="bad" { (text) } }
}

/// What a view says that has nothing to show.
pub(crate) fn empty(title: &str, remedy: &str) -> Markup {
    html! { p class="empty" { strong { (title) } (remedy) } }
}

/// A text to be copied, with its button.
pub(crate) fn copied(id: &str, text: &str) -> Markup {
    html! {
        div class="snippet" {
            div class="acts" { button type="button" data-copy={ "#" (id) } { "Copy" } }
            pre id=(id) tabindex="0" { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_disguises_a_name_is_escaped_and_a_long_one_is_cut() {
        assert_eq!(name("a\u{202e}b\0c"), "a\\u{202e}b\\u{0}c");
        assert_eq!(name(" "), "(no name)");
        let long = name(&"n".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST_NAME + 1);
        assert!(long.ends_with('…'));
        assert_eq!(short("ab", 2), "ab");
    }

    #[test]
    fn an_encoded_name_comes_back_and_has_nothing_that_a_browser_changes() {
        let name = "a\0\u{202e}\"<\r\n%";
        assert!(encoded(name).bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'));
        assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
        assert_eq!(decoded("%ff"), None);
    }

    #[test]
    fn spans_of_time_and_counts_in_words() {
        let words = |seconds| words(Duration::from_secs(seconds));
        assert_eq!(
            [words(0), words(59), words(60), words(7200), words(172_800)],
            ["now", "59 s ago", "1 min ago", "2 h ago", "2 days ago"]
        );
        assert_eq!([count(1, "entry"), count(2, "entry"), count(0, "row")], ["1 entry", "2 entries", "0 rows"]);
        assert_eq!(time_of_day(UnixTime::from_secs(86_400 + 3723)), "01:02:03");
    }
}
