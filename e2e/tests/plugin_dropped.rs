//! The caller of an async install goes away.

use std::fs;
use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use molecule_e2e::core::plugin::{Plugin, Setup};
use molecule_e2e::platform::PluginTree;
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{Agent, Downloads, PATIENCE, World, route, scenario};

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
    // The next one gets the lock, which the first gave back.
    let installed = agent.install_plugin("mine").unwrap();
    assert!(!installed.replaced);
    assert_nothing_left(&world, &agent);
});

scenario!(an_install_that_was_dropped_while_it_arrives_leaves_nothing, [Current], async only, |stage| {
    let world = stage.world();
    let agent = with_earlier_version(&world, good());
    let (tell, told) = mpsc::channel();
    let downloads = Downloads::start(move |stream| {
        let archive = archive();
        head(stream, archive.len());
        let _ = stream.write_all(&archive[..archive.len() / 2]);
        let _ = tell.send(());
        // Until the other side has gone.
        let _ = stream.read(&mut [0; 1]);
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
    // The lock is given back once the script is gone, long before its time is over.
    let next = agent.install_plugin(Plugin::new("mine").setup(Setup::Skip));
    assert!(next.unwrap().replaced);
    assert_nothing_left(&world, &agent);
});
