//! The future of an async install is dropped.

use std::sync::mpsc;
use std::time::Instant;
use std::{fs, thread};

use molecule_conformance::ScriptedPeer;
use molecule_e2e::core::effect::LockId;
use molecule_e2e::core::effect::plugin::PluginOp;
use molecule_e2e::core::plugin::{Plugin, Setup};
use molecule_e2e::core::proto::UnixTime;
use molecule_e2e::host::{Cancel, ChosenBy, Plugins};
use molecule_e2e::platform::PluginTree;
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{Agent, PATIENCE, World, route, scenario};

use crate::plugin_refused::{archive, assert_nothing_left, at, good, head, with_earlier_version};

fn with_plugin(world: &World, plugin: PluginTree) -> Agent {
    world.platform(|platform, _| platform.add_plugin(plugin));
    let (id, token) = world.workspace();
    world.setup(&id).token(&token).build().unwrap()
}

fn mine() -> PluginTree {
    PluginTree::new("mine").file("plugin.yaml", "name: mine\nversion: 1.0.0\ndescription: Good.\n")
}

scenario!(an_install_that_was_dropped_before_its_answer_leaves_nothing, [April, Current], async only, |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, mine());
    let held = world.rule(route::DOWNLOAD, Action::StallAnswer);
    agent.drop_install("mine", || world.wait_for_count(route::DOWNLOAD, 1));
    held.end();
    // The next install gets the lock, which the first released.
    let installed = agent.install_plugin("mine").unwrap();
    assert!(!installed.replaced);
    assert_nothing_left(&world, &agent);
});

scenario!(an_install_that_was_dropped_while_it_arrives_leaves_nothing, [Current], async only, |stage| {
    let world = stage.world();
    let agent = with_earlier_version(&world, good());
    let (tell, told) = mpsc::channel();
    let downloads = ScriptedPeer::start(move |connection| {
        connection.request();
        let archive = archive();
        head(connection, archive.len());
        connection.send(&archive[..archive.len() / 2]);
        let _ = tell.send(());
        // Waits until the client has closed the connection.
        connection.is_left();
    });
    let plugins = world.home().agent(&agent.workspace_id()).join("plugins");
    let is_staged = || fs::read_dir(&plugins).unwrap().any(|entry| {
        entry.unwrap().file_name().to_str().unwrap().starts_with(".staging-")
    });
    at(&world, &agent, &downloads).drop_install("mine", || {
        told.recv_timeout(PATIENCE).unwrap();
        let started = Instant::now();
        while !is_staged() {
            assert!(started.elapsed() < PATIENCE, "nothing was staged");
            thread::yield_now();
        }
    });
    let started = Instant::now();
    while is_staged() {
        assert!(started.elapsed() < PATIENCE, "the stage was left");
        thread::yield_now();
    }
    // The lock is free again, and the earlier version is as it was.
    assert!(agent.verify_plugin("mine").unwrap().unwrap().is_intact());
    assert_nothing_left(&world, &agent);
});

// Removing a staging directory of this many files takes time; the lock is released after that, not before.
scenario!(an_install_that_was_dropped_keeps_its_lock_until_its_stage_is_gone, [Current], async only, |stage| {
    const FILES: usize = 1_000;
    let world = stage.world();
    let agent = with_earlier_version(&world, good());
    let many = (0..FILES).fold(mine(), |tree, number| tree.file(&format!("many/{number:05}.md"), "x"));
    let archive = many.archive(UnixTime::from_secs(1_795_383_587)).unwrap().to_vec();
    let downloads = ScriptedPeer::start(move |connection| {
        connection.request();
        head(connection, archive.len());
        connection.send(&archive[..archive.len() - 1]);
        // Waits until the client has closed the connection.
        connection.is_left();
    });
    let directory = world.home().agent(&agent.workspace_id()).join("plugins");
    let staged = || {
        let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap());
        entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(".staging-")).collect::<Vec<_>>()
    };
    let watched = thread::scope(|scope| {
        let (drop_it, watch) = mpsc::channel();
        let watcher = scope.spawn({
            let directory = directory.clone();
            move || {
                watch.recv().unwrap();
                let plugins = Plugins::new(directory.clone(), ChosenBy::PluginsDir);
                let started = Instant::now();
                loop {
                    let mut held = None;
                    let lock = PluginOp::Lock("mine".parse().unwrap());
                    let taken = plugins.perform(lock, &Cancel::new(), |lock| {
                        held = Some(lock);
                        LockId(1)
                    });
                    if taken.is_ok() {
                        let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
                        return names.filter(|name| name.to_str().unwrap().starts_with(".staging-")).count();
                    }
                    assert!(started.elapsed() < PATIENCE, "the lock was never given back");
                }
            }
        });
        at(&world, &agent, &downloads).drop_install("mine", || {
            let started = Instant::now();
            let count = || staged().first().and_then(|stage| fs::read_dir(stage.path().join("many")).ok()).map(Iterator::count);
            while count().unwrap_or(0) < FILES / 2 {
                assert!(started.elapsed() < PATIENCE, "nothing was staged");
                thread::yield_now();
            }
            drop_it.send(()).unwrap();
        });
        watcher.join().unwrap()
    });
    assert_eq!(watched, 0, "the lock was free while the stage was still there");
    assert!(agent.verify_plugin("mine").unwrap().unwrap().is_intact());
    assert_nothing_left(&world, &agent);
});

scenario!(an_install_that_was_dropped_during_setup_ends_the_script, [Current], async only, |stage| {
    let world = stage.world();
    let script = "echo $$ > pid; sleep 600 & wait\n";
    let agent = with_plugin(&world, mine().file("setup.sh", script));
    let pid = world.home().agent(&agent.workspace_id()).join("plugins/mine/pid");
    agent.drop_install("mine", || {
        let started = Instant::now();
        while fs::read_to_string(&pid).is_ok_and(|text| text.is_empty()) || !pid.exists() {
            assert!(started.elapsed() < PATIENCE, "the script did not start");
            thread::yield_now();
        }
    });
    // The lock is released once the script is killed, long before it would end by itself.
    let next = agent.install_plugin(Plugin::new("mine").setup(Setup::Skip));
    assert!(next.unwrap().replaced);
    assert_nothing_left(&world, &agent);
});
