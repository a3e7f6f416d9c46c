//! Many installs at the same time, of one plugin and of several.

use std::thread;

use molecule_e2e::platform::PluginTree;
use molecule_e2e::{Agent, World, scenario};

use crate::plugin_refused::assert_nothing_left;

fn plugin(name: &str) -> PluginTree {
    let manifest = format!("name: {name}\nversion: 1.0.0\ndescription: Good.\n");
    (0..20).fold(PluginTree::new(name).file("plugin.yaml", manifest), |tree, number| {
        tree.file(&format!("{}/{number}.md", number % 3), format!("{name} {number}"))
    })
}

fn agents(world: &World, count: usize) -> Vec<Agent> {
    let (id, token) = world.workspace();
    (0..count).map(|_| world.setup(&id).token(&token).build().unwrap()).collect()
}

scenario!(ten_installers_of_one_plugin_take_turns, [Current], |stage| {
    let world = stage.world();
    world.platform(|platform, _| platform.add_plugin(plugin("mine")));
    let agents = agents(&world, 10);
    thread::scope(|scope| {
        for agent in &agents {
            scope.spawn(|| agent.install_plugin("mine").unwrap());
        }
    });
    assert!(agents[0].verify_plugin("mine").unwrap().unwrap().is_intact());
    assert_nothing_left(&world, &agents[0]);
});

scenario!(ten_plugins_are_installed_side_by_side, [Current], |stage| {
    let world = stage.world();
    let names: Vec<String> = (0..10).map(|number| format!("plugin-{number}")).collect();
    for name in &names {
        world.platform(|platform, _| platform.add_plugin(plugin(name)));
    }
    let agents = agents(&world, 10);
    thread::scope(|scope| {
        for (agent, name) in agents.iter().zip(&names) {
            scope.spawn(|| agent.install_plugin(name.as_str()).unwrap());
        }
    });
    let installed = agents[0].plugins().unwrap();
    assert_eq!(installed.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), names);
    assert_nothing_left(&world, &agents[0]);
});
