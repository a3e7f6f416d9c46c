//! Installed plugins are listed, verified and removed, each under its lock.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::ErrorKind;
use molecule_core::machines::{Install, ListPlugins, PluginTask};
use molecule_core::plugin::{Line, ReceiptState, Verification};
use support::shelf::plugin;
use support::*;

fn nobody(seen: &Seen) -> Reply {
    panic!("sent {seen}")
}

fn with(names: &[&str]) -> Agent {
    let mut agent = Agent::stored(&secret("first"));
    for name in names {
        run(&mut agent, Install::new(*name), |_| Answer::bytes(plugin(name, "hello")).into()).unwrap();
    }
    agent.take_trace();
    agent
}

#[test]
fn the_list_tells_what_the_receipts_do() {
    let mut agent = with(&["b", "a"]);
    let plugins = run(&mut agent, ListPlugins::new(), nobody).unwrap();
    assert_eq!(plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(plugins[0].version.as_deref(), Some("1.2.3"));
    assert_eq!(plugins[0].installed_at.unwrap().as_secs(), agent.now.unix.as_secs());
    assert!(plugins.iter().all(|plugin| plugin.receipt == ReceiptState::Good));
}

#[test]
fn a_receipt_that_tells_nothing_hides_no_plugin() {
    let mut agent = with(&["a", "b", "c", "d"]);
    agent.store.shelf.receipts.insert("b".to_owned(), b"{}".to_vec());
    agent.store.shelf.receipts.remove("c");
    agent.store.shelf.unreadable.insert("d".to_owned());
    let mut driven = Driven::new(ListPlugins::new());
    let plugins = driven.finish(&mut agent, &mut |seen: &Seen| nobody(seen)).unwrap();
    let states: Vec<_> = plugins.iter().map(|plugin| (plugin.name.as_str(), plugin.receipt)).collect();
    let [good, missing, unreadable] = [ReceiptState::Good, ReceiptState::Missing, ReceiptState::Unreadable];
    assert_eq!(states, [("a", good), ("b", unreadable), ("c", missing), ("d", unreadable)]);
    assert!(plugins[0].version.is_some());
    for plugin in &plugins[1..] {
        assert_eq!((&plugin.version, plugin.tree_sha256, plugin.installed_at), (&None, None, None));
        assert!(plugin.path.ends_with(plugin.name.as_str()));
    }
    // One event for each plugin says why, with the remedy.
    let said: Vec<String> = driven.events.iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("the plugin b ") && said[0].contains("install the plugin again"), "{said:?}");
    assert!(said[1].contains("the plugin d ") && said[1].contains("mend the disk"), "{said:?}");
}

#[test]
fn the_list_clears_away_what_was_left_unless_somebody_is_at_it() {
    let mut agent = with(&["a"]);
    agent.store.shelf.left.extend(["a".to_owned(), "gone".to_owned()]);
    run(&mut agent, ListPlugins::new(), nobody).unwrap();
    assert!(agent.store.shelf.left.is_empty() && agent.store.shelf.locks.is_empty());

    agent.store.shelf.left.insert("a".to_owned());
    agent.store.shelf.held_elsewhere = u32::MAX;
    assert_eq!(run(&mut agent, ListPlugins::new(), nobody).unwrap().len(), 1);
    assert_eq!(agent.store.shelf.left.len(), 1);
}

#[test]
fn a_plugin_is_compared_with_its_receipt() {
    let mut agent = with(&["a", "b"]);
    let verify = |agent: &mut Agent, name: &str| run(agent, PluginTask::verify(name), nobody).unwrap();
    assert!(verify(&mut agent, "a").unwrap().is_intact());
    assert_eq!(verify(&mut agent, "no-such-plugin"), None);

    let other = agent.store.shelf.installed["b"].clone();
    run(&mut agent, Install::new("b"), |_| Answer::bytes(plugin("b", "changed")).into()).unwrap();
    agent.store.shelf.installed.insert("b".to_owned(), other);
    let Some(Verification::Compared(changes)) = verify(&mut agent, "b") else { panic!("no receipt") };
    assert_eq!(changes.changed, ["skill.md"]);
    agent.store.shelf.receipts.clear();
    assert_eq!(verify(&mut agent, "b"), Some(Verification::NoReceipt));
    assert!(agent.store.shelf.locks.is_empty());
}

#[test]
fn a_system_without_modes_does_not_take_executables_for_changed() {
    let mut agent = with(&["a"]);
    let install = |agent: &mut Agent, executable| {
        let mut tree = agent.store.shelf.installed["a"].clone();
        let line = tree.get("skill.md").unwrap();
        tree.insert("skill.md", Line { executable, ..line });
        agent.store.shelf.installed.insert("a".to_owned(), tree);
    };
    let verify = |agent: &mut Agent| run(agent, PluginTask::verify("a"), nobody).unwrap().unwrap().is_intact();
    install(&mut agent, true);
    assert!(!verify(&mut agent), "the mode changed");

    // The archive marked the file as executable; the disk does not show it.
    let receipt = String::from_utf8(agent.store.shelf.receipts["a"].clone()).unwrap();
    let digest = agent.store.shelf.installed["a"].digest().to_string();
    let old = run(&mut agent, ListPlugins::new(), nobody).unwrap()[0].tree_sha256.unwrap().to_string();
    let receipt = receipt.replace(" - skill.md", " x skill.md").replace(&old, &digest);
    agent.store.shelf.receipts.insert("a".to_owned(), receipt.into_bytes());
    install(&mut agent, false);
    assert!(!verify(&mut agent), "the mode changed");
    agent.store.shelf.without_modes = true;
    assert!(verify(&mut agent));
}

#[test]
fn a_removal_tells_whether_there_was_one() {
    let mut agent = with(&["a"]);
    assert!(run(&mut agent, PluginTask::uninstall("a"), nobody).unwrap());
    assert!(!run(&mut agent, PluginTask::uninstall("a"), nobody).unwrap());
    assert!(agent.store.shelf.receipts.is_empty() && agent.store.shelf.locks.is_empty());
    let error = run(&mut agent, PluginTask::uninstall("../a"), nobody).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "uninstall plugin"));
}

#[test]
fn what_is_not_there_is_not_locked_either() {
    let mut agent = with(&["a"]);
    agent.take_trace();
    assert!(!run(&mut agent, PluginTask::uninstall("b"), nobody).unwrap());
    assert_eq!(run(&mut agent, PluginTask::verify("b"), nobody).unwrap(), None);
    let acts = agent.lines("start");
    assert!(acts.len() == 2 && acts.iter().all(|line| line.ends_with("LookForPlugin(b)")), "{acts:?}");

    // An incomplete plugin, or a receipt without one, is removed under the lock.
    agent.store.shelf.left.insert("b".to_owned());
    assert_eq!(run(&mut agent, PluginTask::verify("b"), nobody).unwrap(), None);
    assert!(agent.store.shelf.left.is_empty() && agent.store.shelf.locks.is_empty());
    agent.store.shelf.receipts.insert("c".to_owned(), Vec::new());
    assert!(!run(&mut agent, PluginTask::uninstall("c"), nobody).unwrap());
    assert!(!agent.store.shelf.receipts.contains_key("c"));
}

/// On a read-only disk there is no lock, and nothing is removed. Installed plugins are still compared.
#[test]
fn a_plugin_on_a_disk_that_can_only_be_read_is_verified_without_its_lock() {
    for act in ["LockPlugin", "SweepPlugin"] {
        let mut agent = with(&["a"]);
        agent.store.shelf.read_only = true;
        agent.store.fail(act);
        assert!(run(&mut agent, PluginTask::verify("a"), nobody).unwrap().unwrap().is_intact(), "{act}");
        assert!(agent.store.shelf.locks.is_empty());
        // An operation that writes does not go on without the lock.
        let error = run(&mut agent, PluginTask::uninstall("a"), nobody).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{act}");
        assert_eq!(agent.store.shelf.installed.len(), 1);
    }
    // A lock that another holder has is waited for as usual.
    let mut agent = with(&["a"]);
    agent.store.shelf.held_elsewhere = u32::MAX;
    let error = run(&mut agent, PluginTask::verify("a"), nobody).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
}

#[test]
fn a_look_that_is_cancelled_locks_nothing() {
    for started in [false, true] {
        let mut agent = with(&["a"]);
        let mut driven = Driven::new(PluginTask::uninstall("a"));
        if started {
            driven.settle(&mut agent);
        }
        molecule_core::machine::Machine::cancel(&mut driven.machine, &mut agent.cx());
        let error = driven.finish(&mut agent, &mut |seen: &Seen| nobody(seen)).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Cancelled, "uninstall plugin"));
        assert_eq!(agent.lines("start").len(), usize::from(started));
        assert_eq!(agent.store.shelf.installed.len(), 1);
    }
}

#[test]
fn an_act_that_fails_gives_the_lock_back() {
    let mut agent = with(&["a"]);
    for act in ["LookForPlugin", "SweepPlugin", "RemovePlugin"] {
        agent.store.fail(act);
        let error = run(&mut agent, PluginTask::uninstall("a"), nobody).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains(act), "{error}");
        assert!(agent.store.shelf.locks.is_empty());
        agent.store.mend();
    }
}
