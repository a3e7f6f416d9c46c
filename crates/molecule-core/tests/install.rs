//! The install of a plugin: the order of its steps, and what a failure or a cancel at each step leaves.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{FaultKind, HostOp};
use molecule_core::machines::{Install, ListPlugins, PluginTask};
use molecule_core::plugin::{
    Durability, EarlierVersion, InstallLimits, Plugin, Rule, Setup as SetupPolicy, SetupEnd, SetupOutcome,
};
use molecule_core::{ErrorKind, Event, Result};
use support::shelf::{archive, plugin};
use support::*;

const DOWNLOAD: &str = "GET /workspaces/:id/plugins/mine/download";

fn agent() -> Agent {
    Agent::stored(&secret("first"))
}

/// A server that serves one archive and nothing else.
fn server(body: bytes::Bytes) -> impl FnMut(&Seen) -> Reply {
    move |seen| {
        assert!(seen.is(DOWNLOAD), "{seen}");
        assert_eq!(seen.bearer, Some(secret("first")));
        Answer::bytes(body.clone()).header("x-plugin-source", "local://mine").into()
    }
}

fn install(agent: &mut Agent, body: bytes::Bytes) -> Result<molecule_core::plugin::Installed> {
    run(agent, Install::new("mine"), server(body))
}

/// Asserts that no lock is held and no staging directory is left.
fn assert_tidy(agent: &Agent) {
    let shelf = &agent.store.shelf;
    assert!(shelf.locks.is_empty() && shelf.stages.is_empty(), "{shelf:?}");
}

#[test]
fn everything_is_verified_before_anything_is_replaced() {
    let mut agent = agent();
    install(&mut agent, plugin("mine", "old")).unwrap();
    agent.take_trace();
    let installed = install(&mut agent, plugin("mine", "new")).unwrap();
    assert!(installed.replaced);
    assert_eq!((installed.version.as_deref(), installed.source.as_deref()), (Some("1.2.3"), Some("local://mine")));
    let acts: Vec<String> =
        agent.lines("start").iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    let acts: Vec<&str> = acts.iter().map(|act| act.split_once(' ').unwrap().1).collect();
    let stage = agent.store.shelf.installed.len();
    assert_eq!(stage, 1);
    assert_eq!(acts[..3], ["LockPlugin(mine)", "SweepPlugin(mine)", &*format!("{DOWNLOAD} (bearer)")]);
    assert!(acts[3].starts_with("CommitPlugin(") && acts[4].starts_with("WriteReceipt(mine, "), "{acts:?}");
    assert_eq!(acts[5], "SweepPlugin(mine)");
    assert!(acts[6].starts_with("Unlock("), "{acts:?}");
    assert!(agent.store.shelf.left.is_empty(), "the old version is cleared away");
    assert_tidy(&agent);
}

#[test]
fn what_is_to_survive_a_power_cut_is_said_with_the_commit_and_with_the_receipt() {
    for (durability, said) in [(Durability::None, ", None)"), (Durability::Sync, ", Sync)")] {
        let mut agent = agent();
        run(&mut agent, Install::new(Plugin::new("mine").durability(durability)), server(plugin("mine", "x"))).unwrap();
        let acts = agent.lines("start");
        for act in ["CommitPlugin(", "WriteReceipt("] {
            assert!(acts.iter().any(|line| line.contains(act) && line.ends_with(said)), "{acts:?}");
        }
    }
}

#[test]
fn a_refusal_discards_the_stage_and_keeps_the_earlier_version() {
    for (body, rule) in [
        (plugin("another", "x"), Rule::ManifestName),
        (archive(&[("skill.md", "x")]), Rule::ManifestMissing),
        (b"<!doctype html>".to_vec().into(), Rule::NotGzip),
    ] {
        let mut agent = agent();
        install(&mut agent, plugin("mine", "old")).unwrap();
        let before = agent.store.shelf.installed.clone();
        let error = install(&mut agent, body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginRefused, "{error}");
        assert_eq!(error.install().unwrap().rule(), Some(rule), "{error}");
        assert_eq!(error.install().unwrap().earlier(), EarlierVersion::Kept);
        assert_eq!(agent.store.shelf.installed, before);
        assert_tidy(&agent);
    }
}

#[test]
fn the_callers_pin_is_checked_before_the_swap() {
    let mut agent = agent();
    let digest = install(&mut agent, plugin("mine", "old")).unwrap().tree_sha256.to_string();
    let pinned = || Install::new(Plugin::new("mine").tree_sha256(&digest));
    run(&mut agent, pinned(), server(plugin("mine", "old"))).unwrap();
    let error = run(&mut agent, pinned(), server(plugin("mine", "new"))).unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::TreeMismatch), "{error}");
    assert_tidy(&agent);
}

#[test]
fn an_act_that_fails_before_the_swap_leaves_the_earlier_version_and_one_after_it_the_new_one() {
    for (act, earlier, replaced) in [
        ("LockPlugin", EarlierVersion::Unseen, false),
        ("SweepPlugin", EarlierVersion::Unseen, false),
        ("CommitPlugin", EarlierVersion::Kept, false),
        ("WriteReceipt", EarlierVersion::Replaced, true),
    ] {
        let mut agent = agent();
        install(&mut agent, plugin("mine", "old")).unwrap();
        let before = agent.store.shelf.installed.clone();
        agent.store.fail(act);
        let error = install(&mut agent, plugin("mine", "new")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{act}: {error}");
        assert_eq!(error.install().unwrap().earlier(), earlier, "{act}: {error}");
        assert!(error.to_string().contains(&earlier.to_string()), "{act}: {error}");
        assert_eq!(agent.store.shelf.installed != before, replaced, "{act}");
        assert_tidy(&agent);
    }
}

#[test]
fn an_earlier_version_that_lost_its_place_is_put_back_or_is_told_where_it_is() {
    for (also, earlier) in [("", EarlierVersion::Kept), ("DiscardPlugin", EarlierVersion::Kept)] {
        let mut agent = agent();
        install(&mut agent, plugin("mine", "old")).unwrap();
        let before = agent.store.shelf.installed.clone();
        agent.store.shelf.displaces = true;
        agent.store.fail("CommitPlugin");
        if !also.is_empty() {
            agent.store.fail(also);
        }
        let error = install(&mut agent, plugin("mine", "new")).unwrap_err();
        let failure = error.install().unwrap();
        assert_eq!((failure.earlier(), failure.earlier_at()), (earlier, None), "{error}");
        assert!(error.to_string().contains("the earlier version is untouched"), "{error}");
        assert_eq!(agent.store.shelf.installed, before);
        assert!(agent.store.shelf.locks.is_empty());
    }

    // The sweep that would put it back fails too; the sweep before the download succeeded.
    let mut agent = agent();
    install(&mut agent, plugin("mine", "old")).unwrap();
    let before = agent.store.shelf.installed.clone();
    agent.store.shelf.displaces = true;
    agent.store.fail("CommitPlugin");
    let mut driven = Driven::new(Install::new("mine"));
    let mut server = server(plugin("mine", "new"));
    let until = agent.now.mono + secs(3600);
    loop {
        driven.settle(&mut agent);
        if agent.lines("start").last().is_some_and(|line| line.contains("DiscardPlugin")) {
            break;
        }
        let Next::Outcome(id, outcome) = driven.next(&mut agent, until, &mut server) else { panic!("no discard") };
        driven.feed(&mut agent, id, outcome);
    }
    agent.store.fail("SweepPlugin");
    let error = driven.finish(&mut agent, &mut server).unwrap_err();
    let failure = error.install().unwrap();
    assert_eq!(failure.earlier(), EarlierVersion::Displaced, "{error}");
    assert_eq!(failure.earlier_at(), Some(std::path::Path::new("/home/agent/plugins/.old-mine")));
    let said = error.to_string();
    assert!(
        said.contains("the earlier version is not in its place: it is whole in /home/agent/plugins/.old-mine"),
        "{said}"
    );
    assert!(agent.store.shelf.installed.is_empty());
    assert_tidy(&agent);

    // The next operation puts it back, as the error says.
    agent.store.mend();
    assert!(run(&mut agent, PluginTask::verify("mine"), |seen| panic!("sent {seen}")).unwrap().unwrap().is_intact());
    assert_eq!(agent.store.shelf.installed, before);
}

#[test]
fn a_stage_that_cannot_be_removed_is_told_with_the_first_cause() {
    let mut agent = agent();
    agent.store.fail("DiscardPlugin");
    let error = install(&mut agent, archive(&[("skill.md", "x")])).unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ManifestMissing));
    assert!(error.to_string().contains("and then: DiscardPlugin was refused"), "{error}");
    assert!(agent.store.shelf.locks.is_empty());
}

#[test]
fn a_script_runs_once_the_plugin_is_in_its_place_and_its_failure_is_no_error() {
    let files = [("plugin.yaml", "name: mine\n"), ("setup.sh", "exit 3\n")];
    let mut agent = agent();
    agent.store.shelf.setup = Some(SetupEnd::Exited(3));
    let mut driven = Driven::new(Install::new("mine"));
    let installed = driven.finish(&mut agent, &mut server(archive(&files))).unwrap();
    assert!(matches!(&installed.setup, SetupOutcome::Ran(run) if run.end() == SetupEnd::Exited(3)));
    assert!(matches!(&driven.events[..], [Event::PluginSetup(_), Event::Warning(said)] if said.contains("status 3")));
    let trace = agent.take_trace();
    assert!(trace.find("WriteReceipt").unwrap() < trace.find("SetUpPlugin").unwrap(), "{trace}");

    let skip = Install::new(Plugin::new("mine").setup(SetupPolicy::Skip));
    let installed = run(&mut agent, skip, server(archive(&files))).unwrap();
    assert_eq!(installed.setup, SetupOutcome::NotRun);
    assert_eq!(agent.store.shelf.setups, 1);
    assert_tidy(&agent);
}

/// A script that could not be run is not a skipped one.
#[test]
fn a_script_that_could_not_run_is_a_bad_outcome_of_its_own() {
    let files = [("plugin.yaml", "name: mine\n"), ("setup.sh", "exit 3\n")];
    let mut agent = agent();
    agent.store.fail("SetUpPlugin");
    let mut driven = Driven::new(Install::new("mine"));
    let installed = driven.finish(&mut agent, &mut server(archive(&files))).unwrap();
    let SetupOutcome::CouldNotRun(why) = &installed.setup else { panic!("{:?}", installed.setup) };
    assert!(why.contains("SetUpPlugin was refused") && !installed.setup.is_good(), "{why}");
    assert!(matches!(&driven.events[..], [Event::PluginSetup(_), Event::Warning(said)] if said.contains(why)));
    assert_tidy(&agent);

    agent.store.mend();
    agent.store.shelf.setup = Some(SetupEnd::Unknown);
    let installed = install(&mut agent, archive(&files)).unwrap();
    assert!(!installed.setup.is_good() && installed.setup.to_string().contains("SIGCHLD"), "{}", installed.setup);
}

/// A plugin whose receipt could not be read later is refused before anything is replaced.
#[test]
fn a_receipt_that_nobody_could_read_is_not_written() {
    let mut agent = agent();
    install(&mut agent, plugin("mine", "old")).unwrap();
    let before = agent.store.shelf.installed.clone();
    // Each byte of these names takes two bytes in a receipt.
    let long = vec!["\"".repeat(250); 4].join("/");
    let names: Vec<String> = (0..8_200).map(|number| format!("{number}/{long}")).collect();
    let files = [("plugin.yaml", "name: mine\n")].into_iter().chain(names.iter().map(|name| (name.as_str(), "")));
    let large = archive(&files.collect::<Vec<_>>());
    let limits = InstallLimits::default().max_names_bytes(64 << 20);
    let error = run(&mut agent, Install::new(Plugin::new("mine").limits(limits)), server(large)).unwrap_err();
    let failure = error.install().unwrap();
    assert_eq!((failure.rule(), failure.earlier()), (Some(Rule::ReceiptBytes), EarlierVersion::Kept), "{error}");
    assert_eq!(agent.store.shelf.installed, before);
    assert_tidy(&agent);
}

#[test]
fn a_version_is_told_without_what_a_terminal_would_obey() {
    let files = [("plugin.yaml", "name: mine\nversion: \"1.0\\e[2J\\u202e\"\n")];
    let mut agent = agent();
    let installed = install(&mut agent, archive(&files)).unwrap();
    assert_eq!(installed.version.as_deref(), Some("1.0\\u{1b}[2J\\u{202e}"));
    let list = |agent: &mut Agent| run(agent, ListPlugins::new(), |seen| panic!("sent {seen}")).unwrap();
    assert_eq!(list(&mut agent)[0].version, installed.version);
    // An earlier release stored the version unescaped.
    let receipt = String::from_utf8(agent.store.shelf.receipts["mine"].clone()).unwrap();
    let receipt = receipt.replace("\\\\u{1b}", "\\u001b").replace("\\\\u{202e}", "\u{202e}");
    agent.store.shelf.receipts.insert("mine".to_owned(), receipt.into_bytes());
    assert_eq!(list(&mut agent)[0].version, installed.version);
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_not_for_ever() {
    let mut agent = agent();
    agent.store.shelf.held_elsewhere = 10;
    let began = agent.now.mono;
    install(&mut agent, plugin("mine", "x")).unwrap();
    assert_eq!(agent.since(began), secs(2), "it asks every fifth of a second");

    agent.store.shelf.held_elsewhere = u32::MAX;
    let began = agent.now.mono;
    let hasty = Install::new(Plugin::new("mine").wait(secs(3)));
    let error = run(&mut agent, hasty, |seen| panic!("sent {seen}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains(".lock-x"), "{error}");
    assert_eq!(agent.since(began), secs(3));
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_happens() {
    let mut agent = agent();
    for name in ["", "..", "../../victim", ".auth_token", "con"] {
        let error = run(&mut agent, Install::new(name), |seen| panic!("sent {seen}")).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "install plugin"), "{error}");
    }
    assert_eq!(agent.lines("start"), [""; 0]);
}

/// The platform answers like a gateway if a name is not one of its own or a source cannot be reached (contract section
/// 15).
#[test]
fn what_the_platform_cannot_fetch_is_refused_for_good() {
    for (status, error, kind, requests) in [
        (502, "failed to fetch plugin from local", ErrorKind::Refused, 1),
        (502, "failed to fetch plugin from github", ErrorKind::Refused, 1),
        (502, "bad gateway", ErrorKind::Unavailable, 4),
    ] {
        let mut downloads = 0;
        let told = run(&mut agent(), Install::new("mine"), |_| {
            downloads += 1;
            Answer::error(status, error).into()
        })
        .unwrap_err();
        assert_eq!((told.kind(), downloads, told.is_retryable()), (kind, requests, requests > 1), "{told}");
        assert_eq!(told.to_string().contains("try again later"), requests > 1, "{told}");
    }
}

#[test]
fn a_cut_download_is_tried_again_and_a_refused_archive_is_not() {
    let mut agent = agent();
    let mut downloads = 0;
    run(&mut agent, Install::new("mine"), |_| {
        downloads += 1;
        if downloads < 3 { fault(FaultKind::Interrupted).into() } else { Answer::bytes(plugin("mine", "x")).into() }
    })
    .unwrap();
    assert_eq!(downloads, 3);
    let mut downloads = 0;
    let error = run(&mut agent, Install::new("mine"), |_| {
        downloads += 1;
        Answer::bytes(plugin("another", "x")).into()
    })
    .unwrap_err();
    assert_eq!((downloads, error.kind()), (1, ErrorKind::PluginRefused));
}

#[test]
fn progress_is_told_four_times_a_second_at_most() {
    let mut agent = agent();
    let mut driven = Driven::new(Install::new("mine"));
    driven.drive_for(&mut agent, secs(0), &mut |_: &Seen| Reply::Never);
    let fetch = *driven.in_flight.first_key_value().expect("a download is under way").0;
    // A piece every 10 ms, for 2 s.
    for piece in 1..=200_u64 {
        let mut progress = molecule_core::unpack::Progress::default();
        progress.received = piece;
        let outcome = molecule_core::effect::Outcome::Progress(progress);
        let took = molecule_core::machine::Machine::feed(&mut driven.machine, &mut agent.cx(), fetch, outcome);
        assert!(took.is_ok());
        driven.settle(&mut agent);
        agent.advance_to(agent.now.mono + std::time::Duration::from_millis(10));
    }
    let told: Vec<u64> = driven
        .events
        .iter()
        .map(|event| match event {
            Event::PluginProgress { plugin, progress, .. } if plugin.as_str() == "mine" => progress.received,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [1, 26, 51, 76, 101, 126, 151, 176], "the first at once, then each quarter of a second");
}

#[test]
fn the_platforms_refusal_is_told() {
    let mut agent = agent();
    let error =
        run(&mut agent, Install::new("mine"), |_| Answer::error(404, "failed to fetch plugin from local").into())
            .unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::NotFound, 404));
    assert!(error.to_string().contains("failed to fetch plugin from local"), "{error}");
    assert!(error.to_string().contains("nothing is installed"), "{error}");
    assert!(error.to_string().contains("see available_plugins()"), "{error}");
    assert_tidy(&agent);
}

/// Cancels the install once an operation was started, before or after its outcome.
fn cancelled_at(act: &str, after: bool) -> (Agent, Result<molecule_core::plugin::Installed>) {
    let files = [("plugin.yaml", "name: mine\n"), ("setup.sh", "sleep 600\n")];
    let mut agent = agent();
    let mut driven = Driven::new(Install::new("mine"));
    let mut server = server(archive(&files));
    let until = agent.now.mono + secs(3600);
    loop {
        driven.settle(&mut agent);
        let started = agent.lines("start").last().is_some_and(|line| line.contains(act));
        if started && !after {
            break;
        }
        let next = driven.next(&mut agent, until, &mut server);
        let Next::Outcome(id, outcome) = next else { panic!("{act} never came: {next:?}") };
        driven.feed(&mut agent, id, outcome);
        if started {
            break;
        }
    }
    let cx = &mut agent.cx();
    molecule_core::machine::Machine::cancel(&mut driven.machine, cx);
    let result = driven.finish(&mut agent, &mut server);
    (agent, result)
}

#[test]
fn a_cancel_at_any_act_leaves_a_whole_plugin_or_none_and_no_lock() {
    for act in ["LockPlugin", "SweepPlugin", "/download", "CommitPlugin", "WriteReceipt", "SetUpPlugin", "Unlock"] {
        for after in [false, true] {
            let (agent, result) = cancelled_at(act, after);
            assert_tidy(&agent);
            let shelf = &agent.store.shelf;
            assert_eq!(shelf.installed.len(), shelf.receipts.len(), "{act}: a plugin without its receipt");
            let installed = !shelf.installed.is_empty();
            assert_eq!(result.is_ok(), installed, "{act}, {after}: {result:?}");
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{act}: {error}");
            }
            let ran = matches!(act, "SetUpPlugin" | "Unlock");
            assert_eq!(shelf.setups, u32::from(ran), "{act}, {after}: a script that nobody waits for");
        }
    }
}

#[test]
fn the_lock_is_kept_until_whoever_unpacks_a_cancelled_download_has_ended() {
    for staged in [false, true] {
        let mut agent = agent();
        let mut driven = Driven::new(Install::new("mine"));
        driven.drive_for(&mut agent, secs(0), &mut |_: &Seen| Reply::Never);
        let (fetch, _) = driven.in_flight.first_key_value().expect("a download is under way");
        let fetch = *fetch;
        molecule_core::machine::Machine::cancel(&mut driven.machine, &mut agent.cx());
        driven.settle(&mut agent);
        assert_eq!(agent.lines("cancel").len(), 1);
        assert!(!agent.lines("start").iter().any(|line| line.contains("Unlock")), "its stage is still written to");
        // A late progress comes first, then a final outcome of any kind.
        let progress = molecule_core::effect::Outcome::Progress(molecule_core::unpack::Progress::default());
        let took = molecule_core::machine::Machine::feed(&mut driven.machine, &mut agent.cx(), fetch, progress);
        assert!(took.is_ok());
        driven.settle(&mut agent);
        assert!(!agent.lines("start").iter().any(|line| line.contains("Unlock")));
        let error = if staged {
            let dest = molecule_core::effect::Dest::Unpack("mine".parse().unwrap(), Default::default());
            let answer = http::Response::new(plugin("mine", "x"));
            let outcome = agent.store.shelf.fetched(&dest, answer);
            assert!(driven.feed(&mut agent, fetch, outcome).is_none());
            driven.finish(&mut agent, &mut |seen: &Seen| panic!("sent {seen}")).unwrap_err()
        } else {
            driven.finish(&mut agent, &mut |seen: &Seen| panic!("sent {seen}")).unwrap_err()
        };
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(agent.store.shelf.installed.is_empty());
        assert_tidy(&agent);
    }
}

#[test]
fn the_script_is_told_to_end_when_the_install_is_cancelled() {
    let (agent, _) = cancelled_at("SetUpPlugin", false);
    assert_eq!(agent.lines("cancel").len(), 1);
}

#[test]
fn a_download_asks_for_no_encoding_and_leaves_the_platform_its_time_to_pack() {
    let mut agent = agent();
    let mut driven = Driven::new(Install::new("mine"));
    driven.drive_for(&mut agent, secs(0), &mut |seen: &Seen| {
        assert_eq!(seen.headers["accept-encoding"], "identity");
        Reply::Never
    });
    let fetch = driven.in_flight.values().find_map(|effect| match effect {
        molecule_core::effect::Effect::Fetch(_, limits, _) => Some(*limits),
        _ => None,
    });
    let limits = fetch.expect("a download is under way");
    assert_eq!((limits.head, limits.total), (secs(330), secs(1800)));
    let is_lock = |effect: &molecule_core::effect::Effect| {
        matches!(
            effect,
            molecule_core::effect::Effect::Host(HostOp::Plugin(molecule_core::effect::plugin::PluginOp::Lock(_)))
        )
    };
    assert!(!driven.in_flight.values().any(is_lock));
}
