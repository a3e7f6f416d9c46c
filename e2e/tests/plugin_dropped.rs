//! The caller of an async install goes away.

use std::fs;

use molecule_e2e::platform::PluginTree;
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{Agent, World, route, scenario};

use crate::plugin_refused::assert_nothing_left;

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

scenario!(an_install_that_was_dropped_during_setup_ends_the_script, [Current], async only, |stage| {
    let world = stage.world();
    let script = "echo $$ > pid; sleep 600 & wait\n";
    let agent = with_plugin(&world, mine().file("setup.sh", script));
    let pid = world.home().agent(&agent.workspace_id()).join("plugins/mine/pid");
    agent.drop_install("mine", || {
        let started = std::time::Instant::now();
        while fs::read_to_string(&pid).is_ok_and(|text| text.is_empty()) || !pid.exists() {
            assert!(started.elapsed() < molecule_e2e::PATIENCE, "the script did not start");
            std::thread::yield_now();
        }
    });
    // The lock is given back once the script is gone, long before its time is over.
    let next = agent.install_plugin(molecule_e2e::core::plugin::Plugin::new("mine").setup(molecule_e2e::core::plugin::Setup::Skip));
    assert!(next.unwrap().replaced);
    assert_nothing_left(&world, &agent);
});
