//! The README's tables of defaults agree with the code: each figure is compared with its value in the code, so that
//! neither changes without the other.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::effect::Slot;
use molecule_core::effect::connection::{HEARD, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEPT, UNACKNOWLEDGED};
use molecule_core::endpoint::{self, Endpoint};
use molecule_core::machine::peer_cache::{CAPACITY, NEGATIVE_TTL, TTL};
use molecule_core::plugin::InstallLimits;
use molecule_core::{
    Backlog, Dialect, DownloadTo, InboxOptions, Intervals, RateBudget, ServerLimits, Timeouts, figures,
};

const README: &str = include_str!("../../README.md");

/// The rows of the table after `head`, which is a heading or the table's own head: the first cell and the last one.
fn rows(head: &str) -> BTreeMap<&'static str, &'static str> {
    let (_, behind) = README.split_once(&format!("\n{head}\n")).unwrap_or_else(|| panic!("no table {head:?}"));
    let rows = behind.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        (cells[0], *cells.last().unwrap())
    })
    .collect()
}

/// All figures of a text with their units: `30 s`, `50,000`, `1,024 bytes`. Numbers in names (`a2a`) and statuses do
/// not count.
fn figures_of(text: &str) -> Vec<String> {
    const UNITS: [&str; 11] =
        ["s", "ms", "h", "days", "KiB", "MiB", "bytes", "components", "minutes", "requests", "entries"];
    let words: Vec<&str> = text.split([' ', '(', ')', ';', ':']).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let number = word.trim_end_matches([',', '.']);
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'));
        let is_status =
            number.len() == 3 && number.starts_with(['4', '5']) && !word.contains(',') || is_listed_status(word);
        let unit =
            words.get(index + 1).map(|next| next.trim_end_matches([',', '.'])).filter(|next| UNITS.contains(next));
        match unit {
            Some(unit) if is_number && *word == number => found.push(format!("{number} {unit}")),
            _ if is_number && !is_status => found.push(number.to_owned()),
            _ => {}
        }
    }
    found
}

/// Whether the word is a status in a list, such as `502,`.
fn is_listed_status(word: &str) -> bool {
    word.len() == 4 && word.ends_with(',') && word.starts_with(['4', '5'])
}

fn seconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0, "{time:?} is told in seconds");
    format!("{} s", time.as_secs())
}

fn minutes(time: Duration) -> String {
    assert_eq!(time.as_secs() % 60, 0, "{time:?} is told in minutes");
    format!("{} minutes", time.as_secs() / 60)
}

fn hours(time: Duration) -> String {
    assert_eq!(time.as_secs() % 3600, 0, "{time:?} is told in hours");
    format!("{} h", time.as_secs() / 3600)
}

/// Writes a size as `64 KiB` or `1 MiB`.
fn size(bytes: u64) -> String {
    let units = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    let (unit, name) = units.into_iter().find(|(unit, _)| bytes >= *unit).unwrap();
    assert_eq!(bytes % unit, 0, "{bytes} bytes are told in {name}");
    format!("{} {name}", bytes / unit)
}

/// Writes a number as `50,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap());
    groups.collect::<Vec<_>>().join(",")
}

/// Compares the figures of all rows with the expected ones. A row with figures that is not expected is an error too.
fn compare(mut rows: BTreeMap<&str, &str>, expected: Vec<(&str, Vec<String>)>) {
    for (what, figures) in expected {
        let value = rows.remove(what).unwrap_or_else(|| panic!("README has no row {what:?}"));
        assert_eq!(figures_of(value), figures, "README, {what:?}: {value}");
    }
    for (what, value) in rows {
        assert_eq!(figures_of(value), [""; 0], "README, {what:?}: compare these figures with the code, in this test");
    }
}

#[test]
fn the_defaults_are_those_of_the_code() {
    let (intervals, limits, plugin) = (Intervals::default(), Timeouts::default(), InstallLimits::default());
    let (table, server) = (rows("| what | value |"), ServerLimits::default());
    // Figures that the table writes as words.
    let words = |what: &str, phrase: &str| {
        let value = table.get(what).unwrap_or_else(|| panic!("README has no row {what:?}"));
        assert!(value.contains(phrase), "README, {what:?} does not say {phrase:?}: {value}");
    };
    assert_eq!((figures::STRIKES, figures::WINDOWS_HELD), (3, 5), "the words for these are below");
    words("the loop ends", "after three refused registers");
    words("a rate limit", "at most five windows");
    assert_eq!(figures::PATIENCE, Duration::from_secs(1800));
    words("a wait for a delegation or a queued message", "half an hour");
    assert_eq!(DownloadTo::new("").timeout, Duration::from_secs(1800));
    words("a downloaded attachment", "half an hour");
    let (first_look, longest_look, last_look) = figures::LOOKS;
    assert_eq!(last_look, Duration::from_secs(1));
    words("a wait for a delegation or a queued message", "a last one of a second");
    assert_eq!(intervals.heartbeat, intervals.state, "both are told at once");

    let sizes = |most: &[u64]| {
        assert!(most.iter().all(|bytes| *bytes == most[0]), "told as one: {most:?}");
        size(most[0])
    };
    let small =
        sizes(&[endpoint::PollState::MAX_BODY, endpoint::Heartbeat::MAX_BODY, endpoint::RegisterOnce::MAX_BODY]);
    let middling = sizes(&[endpoint::View::MAX_BODY, endpoint::Secrets::MAX_BODY, endpoint::Rotate::MAX_BODY]);
    let lists = [endpoint::Peers::MAX_BODY, endpoint::AvailablePlugins::MAX_BODY, endpoint::DelegationRows::MAX_BODY];
    let large = sizes(&lists);
    let (least_asked, most_asked) = figures::RETRY_AFTER;
    let expected = vec![
        // Less than 1 s is allowed only for a platform on this machine.
        ("heartbeat, state", vec![seconds(intervals.heartbeat), (100 / figures::EARLY).to_string(), "1 s".to_owned()]),
        ("one request", [limits.connect, limits.answer, limits.read, limits.request].map(seconds).to_vec()),
        ("connections", [KEPT, HEARD, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, UNACKNOWLEDGED].map(seconds).to_vec()),
        (
            "one call",
            vec![
                format!("{} requests", figures::REQUESTS),
                seconds(limits.call),
                seconds(figures::BACKOFF.0),
                seconds(figures::BACKOFF.1),
                least_asked.to_string(),
                format!("{most_asked} s"),
            ],
        ),
        (
            "a server (`Plan::Auto`)",
            vec![seconds(figures::REACH_CHECKS.0), seconds(figures::REACH_CHECKS.1), minutes(figures::REACH_CHECKS.2)],
        ),
        ("an inbound secret that was replaced", vec![seconds(figures::SECRET_GOOD)]),
        (
            "the feed beside a server",
            vec![
                seconds(InboxOptions::new().trail),
                seconds(figures::LEFT_TO_PUSH.1),
                seconds(figures::LEFT_TO_PUSH.0),
            ],
        ),
        (
            "answers to pushed messages",
            vec![thousands(server.kept_answers.try_into().unwrap()), size(server.kept_bytes.try_into().unwrap())],
        ),
        ("one call of a peer", vec![seconds(limits.peer), size(figures::LONGEST_REPLY)]),
        ("a wait for a delegation or a queued message", vec![seconds(first_look), seconds(longest_look)]),
        (
            "a peer's URL",
            vec![seconds(TTL), seconds(NEGATIVE_TTL), seconds(TTL), thousands(CAPACITY.try_into().unwrap())],
        ),
        ("answers", vec![small, middling, large]),
        // Other tests check that stops take no longer.
        ("a stop", vec!["100 ms".to_owned()]),
        (
            "a rate limit",
            vec![
                format!("{:.0}", 100.0 * RateBudget::KEPT_FOR_HEARTBEATS),
                RateBudget::KEPT_FOR_HEARTBEATS.to_string(),
            ],
        ),
        (
            "a message that failed",
            vec![
                seconds(figures::HANDLER_BACKOFF.0),
                seconds(figures::HANDLER_BACKOFF.1),
                thousands(figures::DEAD_LETTERS.0.try_into().unwrap()),
                size(figures::DEAD_LETTERS.1.try_into().unwrap()),
            ],
        ),
        ("a message that its handler puts off", vec![hours(figures::PUT_OFF_AT_MOST)]),
        (
            "a reply",
            vec![
                size(figures::NOTICE.0.try_into().unwrap()),
                figures::NOTICE.1.to_string(),
                hours(figures::REPLY_GIVEN_UP),
                figures::HOPS.to_string(),
            ],
        ),
        ("waiting messages", vec![thousands(figures::WAITING.try_into().unwrap())]),
        ("journal of the inbox", vec![size(Slot::Inbox.max_content())]),
        (
            "an attached file",
            vec![
                figures::ATTACHED.0.to_string(),
                size(figures::ATTACHED.1),
                minutes(figures::ATTACHED.2),
                size(figures::INLINE),
            ],
        ),
        ("a downloaded attachment", vec![size(DownloadTo::new("").max_bytes), format!("{} bytes", figures::FILE_NAME)]),
        ("registers again", [Dialect::Current, Dialect::April].map(figures::absence).map(seconds).to_vec()),
        (
            "one plugin",
            vec![
                size(plugin.max_archive_bytes),
                size(plugin.max_unpacked_bytes),
                format!("{} entries", thousands(plugin.max_entries)),
                minutes(figures::DOWNLOAD),
                seconds(plugin.setup_timeout),
                size(plugin.setup_output_bytes.try_into().unwrap()),
            ],
        ),
    ];
    // The modes of files are figures too: `modes.rs` of molecule-host tests them.
    let token = table["token"];
    assert!(token.contains("directory 0700, file 0600"), "{token}");
    let rest = table.iter().filter(|(what, _)| **what != "token").map(|(what, value)| (*what, *value)).collect();
    compare(rest, expected);
}

#[test]
fn the_options_of_the_inbox_are_those_of_the_code() {
    let options = InboxOptions::default();
    let Backlog::Since(backlog) = options.backlog else { panic!("{:?}", options.backlog) };
    let word = |is_on: bool| if is_on { "yes" } else { "no" };
    let table = rows("| `InboxOptions` | what it sets | default |");
    let expected = [
        ("`backlog`", format!("the last {}", hours(backlog))),
        ("`concurrency`", options.concurrency.to_string()),
        ("`attempts`", options.attempts.to_string()),
        ("`drain`", seconds(options.drain)),
        ("`poll`", seconds(options.poll)),
        ("`idle_poll`", seconds(options.idle_poll)),
        ("`watch`", word(options.watch).to_owned()),
        ("`trail`", seconds(options.trail)),
        ("`durable`", word(options.durable).to_owned()),
        ("`hand_over`", word(options.hand_over).to_owned()),
    ];
    assert_eq!(table.len(), expected.len(), "a row for each option");
    for (option, default) in expected {
        assert_eq!(table.get(option), Some(&default.as_str()), "README, {option}");
        let name = option.trim_matches('`');
        let source = include_str!("../../crates/molecule-core/src/config/inbox.rs");
        assert!(source.contains(&format!("pub fn {name}(")), "README tells an option {name} that is not there");
    }
    // Figures in the text around the tables.
    for figure in [
        format!("within the trail ({} after its time", seconds(options.trail)),
        format!("among the last {}", thousands(figures::KNOWN_MESSAGES.try_into().unwrap())),
        format!("tried for {} and then given up", hours(figures::REPLY_GIVEN_UP)),
        format!("any reply after {} in a row", figures::HOPS),
        format!("`Since(…)` of up to {} days", figures::OLDEST.as_secs() / (24 * 3600)),
        format!("a message waits for up to {}", seconds(options.poll)),
        format!("reads the feed {} times a minute", 60 / options.poll.as_secs()),
        format!("{} read of the feed", 60 / options.idle_poll.as_secs()),
    ] {
        assert!(README.contains(&figure), "README does not say {figure:?}");
    }
}

#[test]
fn the_limits_of_the_server_are_those_of_the_code() {
    let limits = ServerLimits::default();
    let bytes = |bytes: usize| size(bytes.try_into().unwrap());
    let count = |number: usize| thousands(number.try_into().unwrap());
    let table = rows("| `ServerLimits` | what it bounds | default |");
    let expected = vec![
        ("`head_bytes`, `head_time`", vec![bytes(limits.head_bytes), seconds(limits.head_time)]),
        ("`body_bytes`", vec![bytes(limits.body_bytes)]),
        ("`body_gap`, `body_time`", vec![seconds(limits.body_gap), seconds(limits.body_time)]),
        ("`upload_bytes`, `upload_time`", vec![bytes(limits.upload_bytes), minutes(limits.upload_time)]),
        ("`answer_bytes`", vec![bytes(limits.answer_bytes)]),
        // A number such as 512 reads as a status.
        ("`connections`, `connections_per_address`", vec![count(limits.connections_per_address)]),
        ("`idle`", vec![minutes(limits.idle)]),
        ("`handlers`, `queue`", vec![count(limits.handlers), count(limits.queue)]),
        ("`body_budget`", vec![bytes(limits.body_budget)]),
        ("`kept_answers`, `kept_bytes`", vec![count(limits.kept_answers), bytes(limits.kept_bytes)]),
        ("`tasks`, `task_age`", vec![count(limits.tasks), hours(limits.task_age)]),
    ];
    assert_eq!(table.len(), expected.len(), "a row for each limit");
    let connections = table["`connections`, `connections_per_address`"];
    assert!(connections.starts_with(&format!("{}, ", limits.connections)), "{connections}");
    let source = include_str!("../../crates/molecule-core/src/config/server.rs");
    let fields = source
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("fn "));
    let told: Vec<&str> = table.keys().flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect();
    for field in fields {
        assert!(told.contains(&field), "README has no limit {field}");
    }
    compare(table, expected);
}

#[test]
fn the_limits_of_a_plugin_are_those_of_the_code() {
    let limits = InstallLimits::default();
    let bytes = |bytes: usize| format!("{} bytes", thousands(bytes.try_into().unwrap()));
    let table = rows("| variable | what it bounds | default |");
    let expected = vec![
        ("`MOLECULE_PLUGIN_MAX_ARCHIVE_BYTES`", vec![size(limits.max_archive_bytes)]),
        ("`MOLECULE_PLUGIN_MAX_UNPACKED_BYTES`", vec![size(limits.max_unpacked_bytes)]),
        ("`MOLECULE_PLUGIN_MAX_ENTRIES`", vec![thousands(limits.max_entries)]),
        ("`MOLECULE_PLUGIN_MAX_NAMES_BYTES`", vec![size(limits.max_names_bytes)]),
        (
            "`MOLECULE_PLUGIN_MAX_METADATA_BYTES`, `MOLECULE_PLUGIN_MAX_METADATA_HEADERS`",
            vec![size(limits.max_metadata_bytes), limits.max_metadata_headers.to_string()],
        ),
        (
            "`MOLECULE_PLUGIN_MAX_PATH_BYTES`, `MOLECULE_PLUGIN_MAX_DEPTH`",
            vec![bytes(limits.max_path_bytes), format!("{} components", limits.max_depth)],
        ),
        ("`MOLECULE_PLUGIN_MAX_MANIFEST_BYTES`", vec![size(limits.max_manifest_bytes)]),
        ("`MOLECULE_PLUGIN_SETUP_TIMEOUT`", vec![limits.setup_timeout.as_secs().to_string()]),
        ("`MOLECULE_PLUGIN_SETUP_OUTPUT_BYTES`", vec![size(limits.setup_output_bytes.try_into().unwrap())]),
    ];
    assert_eq!(table.len(), expected.len(), "a row for each variable");
    // The SDK reads each variable: its value changes the limits.
    let variables = table.keys().flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`'));
    for name in variables {
        let limits = InstallLimits::from_vars(|asked| (asked == name).then(|| "7".to_owned())).unwrap();
        assert_ne!(limits, InstallLimits::default(), "nobody reads {name}");
    }
    compare(table, expected);
}

#[test]
fn each_method_is_there_on_both_facades_and_names_its_endpoint() {
    use molecule_core::proto::path;

    let table = rows("| method | endpoint |");
    // Each name in the first column is a method of both facades.
    let sources = [
        include_str!("../../crates/molecule-blocking/src/agent.rs"),
        include_str!("../../crates/molecule-async/src/agent.rs"),
    ];
    for name in table.keys().flat_map(|cell| cell.split("`, `")).map(|cell| cell.trim_matches('`')) {
        let name = name.split('(').next().unwrap();
        for (source, word) in sources.iter().zip(["pub fn ", "pub async fn "]) {
            let is_there = [word, "pub fn "].iter().any(|word| {
                [format!("{word}{name}("), format!("{word}{name}<")].iter().any(|start| source.contains(start.as_str()))
            });
            assert!(is_there, "README tells a method {name} that a facade does not have");
        }
    }
    // The endpoints are the paths that the methods call.
    let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
    let plugin = "name".parse().unwrap();
    let told = |path: String| path.replace("7fda77bf-a467-441c-9fab-7d8aba8e6040", ":id").replace("/name/", "/:name/");
    let expected = [
        ("`register()`", vec![told(path::workspace(&id)), path::REGISTER.to_owned()]),
        ("`pull_secrets()`", vec![told(path::secret_values(&id))]),
        ("`poll_state()`", vec![told(path::state(&id))]),
        ("`heartbeat()`", vec![path::HEARTBEAT.to_owned()]),
        ("`update_card(card)`", vec![path::UPDATE_CARD.to_owned()]),
        ("`recover(recovery)`", vec![told(path::external_rotate(&id)), told(path::tokens(&id))]),
        ("`peers()`, `peers_matching(text)`", vec![told(path::peers(&id))]),
        ("`discover_peer(id)`", vec![told(path::discover(&id))]),
        ("`check_access(id)`", vec![path::CHECK_ACCESS.to_owned()]),
        ("`call_peer(id, message)`", vec![told(path::a2a(&id))]),
        ("`delegate(id, task)`", vec![told(path::delegate(&id)).replace(":id", ":self")]),
        ("`install_plugin(plugin)`", vec![told(path::plugin_download(&id, &plugin, None))]),
        ("`available_plugins()`", vec![told(path::available_plugins(&id))]),
    ];
    for (method, paths) in expected {
        let endpoint = table.get(method).unwrap_or_else(|| panic!("README has no row {method}"));
        for path in paths {
            assert!(endpoint.contains(&path), "README, {method}: {endpoint} does not name {path}");
        }
    }
    assert!(table["`discover_peer(id)`"].contains(&seconds(TTL)));
}

#[test]
fn figures_are_read_as_people_read_them() {
    assert_eq!(
        figures_of("connect 10 s, 1,024 peers; at most 64 KiB (state), 1 MiB"),
        ["10 s", "1,024", "64 KiB", "1 MiB"]
    );
    assert_eq!(figures_of("`/a2a`: 429, and a 503 that says when; other 502, 503, 504"), [""; 0]);
    assert_eq!(figures_of("within 1 to 60 s, 300 s for all"), ["1", "60 s", "300 s"]);
}
