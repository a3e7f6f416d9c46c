//! A plugin is installed, listed, verified, updated and removed.

use std::fs;

use molecule_e2e::core::plugin::{ContentSha256, Plugin, ReceiptState, Rule, Setup, SetupEnd, SetupOutcome};
use molecule_e2e::core::{ErrorKind, Event};
use molecule_e2e::platform::PluginTree;
use molecule_e2e::{Agent, World, route, scenario};

use crate::assert_told;

const MANIFEST: &str = "name: molecule-dev\nversion: 1.0.0\ndescription: Says hello.\n";

fn plugin() -> PluginTree {
    PluginTree::new("molecule-dev").file("plugin.yaml", MANIFEST).file("skills/hello/SKILL.md", "Say hello.\n")
}

/// Adds the plugin to the platform; returns an agent that may install it.
fn with_plugin(world: &World, plugin: PluginTree) -> Agent {
    world.platform(|platform, _| platform.add_plugin(plugin));
    let (id, token) = world.workspace();
    world.setup(&id).token(&token).build().unwrap()
}

scenario!(it_lies_where_the_python_sdk_has_it, [April, Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    let installed = agent.install_plugin("molecule-dev").unwrap();
    assert_eq!(installed.path, world.home().agent(&agent.workspace_id()).join("plugins/molecule-dev"));
    assert_eq!(fs::read_to_string(installed.path.join("skills/hello/SKILL.md")).unwrap(), "Say hello.\n");
    assert_eq!((installed.files, installed.replaced), (2, false));
    assert_eq!(installed.version.as_deref(), Some("1.0.0"));
    assert_eq!(installed.setup, SetupOutcome::NotRun);
    assert!(matches!(installed.manifest_sha256, ContentSha256::Computed(_)));

    let plugins = agent.plugins().unwrap();
    assert_eq!(plugins.len(), 1);
    assert_eq!(plugins[0].name, installed.name);
    assert_eq!(plugins[0].tree_sha256, Some(installed.tree_sha256));
    assert!(plugins[0].installed_at.is_some());
    assert!(agent.verify_plugin("molecule-dev").unwrap().unwrap().is_intact());
    assert_eq!(agent.available_plugins().unwrap()[0].name, "molecule-dev");
});

scenario!(an_update_replaces_it_as_a_whole, [April, Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin().file("old.md", "old"));
    let first = agent.install_plugin("molecule-dev").unwrap();
    world.platform(|platform, _| platform.add_plugin(plugin().file("new.md", "new")));
    let second = agent.install_plugin("molecule-dev").unwrap();
    assert!(second.replaced);
    assert_ne!(first.tree_sha256, second.tree_sha256);
    assert!(!second.path.join("old.md").exists() && second.path.join("new.md").exists());
    assert_eq!(agent.plugins().unwrap()[0].tree_sha256, Some(second.tree_sha256));
    crate::plugin_refused::assert_nothing_left(&world, &agent);
});

scenario!(how_far_it_has_come_is_told, [April, Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin().file("setup.sh", "true\n"));
    agent.install_plugin("molecule-dev").unwrap();
    let progressed = agent.events().all().into_iter().find_map(|event| match event {
        Event::PluginProgress { plugin, progress, .. } => Some((plugin, progress)),
        _ => None,
    });
    let (plugin, progress) = progressed.expect("an event for the first piece");
    assert_eq!(plugin.as_str(), "molecule-dev");
    assert!(progress.received > 0, "{progress:?}");
    agent.events().wait_for("that the script runs", |event| matches!(event, Event::PluginSetup(_)));
});

scenario!(what_changed_since_is_told, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin().file("kept.md", "kept"));
    let installed = agent.install_plugin("molecule-dev").unwrap();
    fs::write(installed.path.join("added.md"), "added").unwrap();
    assert!(agent.verify_plugin("molecule-dev").unwrap().unwrap().is_intact(), "files that came since do not count");
    fs::write(installed.path.join("kept.md"), "changed").unwrap();
    assert!(!agent.verify_plugin("molecule-dev").unwrap().unwrap().is_intact());
    assert_eq!(agent.verify_plugin("another").unwrap(), None);
});

scenario!(it_is_removed_with_its_receipt, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    let installed = agent.install_plugin("molecule-dev").unwrap();
    assert!(agent.uninstall_plugin("molecule-dev").unwrap());
    assert!(!installed.path.exists());
    assert_eq!(agent.plugins().unwrap(), []);
    assert!(!agent.uninstall_plugin("molecule-dev").unwrap());
    crate::plugin_refused::assert_nothing_left(&world, &agent);
});

scenario!(what_was_never_installed_is_looked_for_without_making_anything, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    let directory = world.home().agent(&agent.workspace_id());
    let before = fs::read_dir(&directory).map_or(0, Iterator::count);
    assert_eq!(agent.verify_plugin("molecule-dev").unwrap(), None);
    assert!(!agent.uninstall_plugin("molecule-dev").unwrap());
    assert_eq!(agent.plugins().unwrap(), []);
    assert_eq!(fs::read_dir(&directory).map_or(0, Iterator::count), before, "something was made");
    // The same holds beside another installed plugin.
    agent.install_plugin("molecule-dev").unwrap();
    assert_eq!(agent.verify_plugin("another").unwrap(), None);
    assert!(!agent.uninstall_plugin("another").unwrap());
    assert!(!directory.join("plugins/.lock-another").exists());
});

scenario!(a_receipt_that_cannot_be_read_hides_no_plugin, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    let other = PluginTree::new("other").file("plugin.yaml", "name: other\nversion: 2.0.0\ndescription: Other.\n");
    world.platform(|platform, _| platform.add_plugin(other));
    let installed = agent.install_plugin("molecule-dev").unwrap();
    agent.install_plugin("other").unwrap();
    let receipt = installed.path.with_file_name(".receipts").join("molecule-dev.json");
    fs::remove_file(&receipt).unwrap();
    fs::create_dir(&receipt).unwrap();
    let plugins = agent.plugins().unwrap();
    let seen: Vec<_> = plugins.iter().map(|plugin| (plugin.name.as_str(), plugin.receipt)).collect();
    assert_eq!(seen, [("molecule-dev", ReceiptState::Unreadable), ("other", ReceiptState::Good)]);
    assert_eq!((&plugins[0].path, &plugins[0].version), (&installed.path, &None));
    assert_eq!(plugins[1].version.as_deref(), Some("2.0.0"));
    let is_told = |event: &Event| matches!(event, Event::Warning(why) if why.contains("molecule-dev.json"));
    agent.events().wait_for("the warning", is_told);
});

scenario!(a_pin_that_an_earlier_install_told_holds, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    let digest = agent.install_plugin("molecule-dev").unwrap().tree_sha256;
    let pinned = || Plugin::new("molecule-dev").tree_sha256(digest.to_string());
    agent.install_plugin(pinned()).unwrap();
    world.platform(|platform, _| platform.add_plugin(plugin().file("extra.md", "")));
    let error = agent.install_plugin(pinned()).unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::TreeMismatch), "{error}");
    assert!(agent.verify_plugin("molecule-dev").unwrap().unwrap().is_intact());
});

scenario!(setup_sh_runs_in_the_plugin_and_sees_no_credential, [April, Current], |stage| {
    let world = stage.world();
    let script = "pwd\nenv > seen\necho ready >&2\n";
    let agent = with_plugin(&world, plugin().file("setup.sh", script));
    let installed = agent.install_plugin("molecule-dev").unwrap();
    let SetupOutcome::Ran(run) = &installed.setup else { panic!("{:?}", installed.setup) };
    assert_eq!(run.end(), SetupEnd::Exited(0));
    assert_eq!(run.stdout().trim_end(), fs::canonicalize(&installed.path).unwrap().to_str().unwrap());
    assert_eq!(run.stderr(), "ready\n");
    let seen = fs::read_to_string(installed.path.join("seen")).unwrap();
    assert!(seen.contains("MOLECULE_PLUGIN_NAME=molecule-dev"), "{seen}");
    let token = world.home().token(&agent.workspace_id());
    assert!(token.is_none_or(|token| !seen.contains(&token)));
    for name in ["CARGO", "TOKEN", "SECRET"] {
        assert!(!seen.lines().any(|line| line.split('=').next().is_some_and(|key| key.contains(name))), "{seen}");
    }
    assert!(agent.verify_plugin("molecule-dev").unwrap().unwrap().is_intact(), "what it wrote was added");
});

scenario!(setup_sh_that_fails_leaves_the_plugin_and_says_so, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin().file("setup.sh", "echo wrong >&2; exit 3\n"));
    let installed = agent.install_plugin("molecule-dev").unwrap();
    let SetupOutcome::Ran(run) = &installed.setup else { panic!("{:?}", installed.setup) };
    assert_eq!((run.end(), run.stderr().as_str()), (SetupEnd::Exited(3), "wrong\n"));
    assert!(installed.path.join("plugin.yaml").exists());
    let skipped = agent.install_plugin(Plugin::new("molecule-dev").setup(Setup::Skip)).unwrap();
    assert_eq!(skipped.setup, SetupOutcome::NotRun);
});

scenario!(the_bearer_goes_with_the_download_and_no_encoding_is_asked_for, [April, Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    agent.install_plugin(Plugin::new("molecule-dev").source("local://molecule-dev")).unwrap();
    let requests = world.requests(route::DOWNLOAD);
    assert_eq!(requests.len(), 1);
    assert!(requests[0].headers["authorization"].to_str().unwrap().starts_with("Bearer "));
    assert_eq!(requests[0].headers["accept-encoding"], "identity");
});

scenario!(the_platforms_own_reason_is_told, [April, Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    let error = agent.install_plugin("no-such-plugin").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.status().unwrap(), 404);
    assert!(error.to_string().contains("failed to fetch plugin from local"), "{error}");
    assert!(error.to_string().contains("see available_plugins()"), "{error}");
    let error = agent.install_plugin(Plugin::new("other").source("ftp://other")).unwrap_err();
    assert!(error.to_string().contains("failed to resolve plugin source"), "{error}");
});

scenario!(a_name_that_is_a_path_is_refused_before_anything_happens, [Current], |stage| {
    let world = stage.world();
    let agent = with_plugin(&world, plugin());
    for name in ["../../victim", "", ".", "..", "a/b", ".auth_token"] {
        let error = agent.install_plugin(name).unwrap_err();
        assert_told(&error, ErrorKind::Config, "plugin name", "give the plugin's own name");
        assert_eq!(agent.uninstall_plugin(name).unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(world.count(route::DOWNLOAD), 0);
    assert!(!world.home().agent(&agent.workspace_id()).join("plugins").exists());
});

scenario!(an_agent_without_a_directory_names_the_remedy, [Current], |stage| {
    let world = stage.world();
    world.platform(|platform, _| platform.add_plugin(plugin()));
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).storage(molecule_e2e::host::Storage::Memory).build().unwrap();
    let error = agent.install_plugin("molecule-dev").unwrap_err();
    assert!(error.to_string().contains("plugins_dir"), "{error}");
    let directory = world.home().path().join("elsewhere");
    let agent = world.setup(&id).token(&token).plugins_dir(&directory).build().unwrap();
    assert_eq!(agent.install_plugin("molecule-dev").unwrap().path, directory.join("molecule-dev"));
});
