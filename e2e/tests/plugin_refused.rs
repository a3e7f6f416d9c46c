//! A plugin that breaks a rule, or does not arrive completely, changes nothing.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use molecule_conformance::{Connection, ScriptedPeer};
use molecule_e2e::core::plugin::{EarlierVersion, InstallLimits, Plugin, Rule};
use molecule_e2e::core::proto::{Token, UnixTime};
use molecule_e2e::core::{Error, ErrorKind};
use molecule_e2e::platform::PluginTree;
use molecule_e2e::{Agent, World, scenario};

/// Checks that an agent's plugins directory holds only complete plugins, receipts and locks.
pub(crate) fn assert_nothing_left(world: &World, agent: &Agent) {
    let directory = world.home().agent(&agent.workspace_id()).join("plugins");
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_left = [".staging-", ".old-", ".keep-"].iter().any(|prefix| name.starts_with(prefix));
        assert!(!is_left, "{name} was left");
    }
}

pub(crate) fn good() -> PluginTree {
    PluginTree::new("mine").file("plugin.yaml", "name: mine\nversion: 1.0.0\ndescription: Good.\n").file("a.md", "a")
}

/// An agent that has the good version installed, at a platform that offers `next` now.
pub(crate) fn with_earlier_version(world: &World, next: PluginTree) -> Agent {
    world.platform(|platform, _| platform.add_plugin(good()));
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.install_plugin("mine").unwrap();
    world.platform(|platform, _| platform.add_plugin(next));
    agent
}

fn assert_kept(world: &World, agent: &Agent, error: &Error) {
    assert_eq!(error.install().unwrap().earlier(), EarlierVersion::Kept, "{error}");
    assert!(error.to_string().contains("the earlier version is untouched"), "{error}");
    assert!(agent.verify_plugin("mine").unwrap().unwrap().is_intact());
    assert_nothing_left(world, agent);
}

scenario!(a_plugin_without_a_manifest_is_refused, [April, Current], |stage| {
    let world = stage.world();
    let agent = with_earlier_version(&world, PluginTree::new("mine").file("a.md", "a"));
    let error = agent.install_plugin("mine").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginRefused);
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ManifestMissing), "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_manifest_with_another_name_is_refused, [April], |stage| {
    let world = stage.world();
    let other = PluginTree::new("mine").file("plugin.yaml", "name: yours\nversion: 1.0.0\ndescription: Bad.\n");
    let agent = with_earlier_version(&world, other);
    let error = agent.install_plugin("mine").unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ManifestName), "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_declared_digest_that_does_not_match_is_refused, [April], |stage| {
    let world = stage.world();
    let manifest = format!("name: mine\nversion: 1.0.0\ndescription: Bad.\nsha256: \"{}\"\n", "0".repeat(64));
    let agent = with_earlier_version(&world, good().file("plugin.yaml", manifest));
    let error = agent.install_plugin("mine").unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ContentMismatch), "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(limits_of_the_callers_own_hold, [Current], |stage| {
    let world = stage.world();
    let agent = with_earlier_version(&world, good().file("large.bin", vec![7; 100_000]));
    let limits = InstallLimits::default().max_unpacked_bytes(50_000);
    let error = agent.install_plugin(Plugin::new("mine").limits(limits)).unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::UnpackedBytes), "{error}");
    assert_kept(&world, &agent, &error);
});

/// The same agent, configured with a scripted server as its platform.
pub(crate) fn at(world: &World, agent: &Agent, downloads: &ScriptedPeer) -> Agent {
    let (id, token) = (agent.workspace_id(), Token::new("a-token-that-nobody-checks").unwrap());
    world.setup(&id).token(&token).platform(&downloads.url()).call_limit(Duration::from_secs(5)).build().unwrap()
}

fn refused_from(world: &World, answer: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Agent, Error) {
    let agent = with_earlier_version(world, good());
    let downloads = ScriptedPeer::start(move |connection| {
        connection.request();
        answer(connection);
    });
    let plugin = Plugin::new("mine").download_timeout(Duration::from_secs(3));
    let error = at(world, &agent, &downloads).install_plugin(plugin).unwrap_err();
    (agent, error)
}

/// An archive of the good version.
pub(crate) fn archive() -> Vec<u8> {
    good().archive(UnixTime::from_secs(1_795_383_587)).unwrap().to_vec()
}

pub(crate) fn head(connection: &mut Connection, length: usize) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {length}\r\n\r\n");
    connection.send(head);
}

scenario!(a_web_page_is_no_archive, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| {
        head(connection, 15);
        connection.send(b"<!doctype html>");
    });
    assert_eq!(error.install().unwrap().rule(), Some(Rule::NotGzip), "{error}");
    assert!(error.to_string().contains("<!doctype html>"), "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_download_that_is_cut_is_told_as_such, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| {
        let archive = archive();
        head(connection, archive.len());
        connection.send(&archive[..archive.len() / 2]);
    });
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    assert_eq!(error.install().unwrap().rule(), None);
    assert_kept(&world, &agent, &error);
});

scenario!(a_download_that_is_corrupt_is_refused, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| {
        let mut archive = archive();
        let last = archive.len() - 5;
        archive[last] ^= 0xff;
        head(connection, archive.len());
        connection.send(&archive);
    });
    assert_eq!(error.kind(), ErrorKind::PluginRefused, "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_download_that_stalls_ends, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| {
        let archive = archive();
        head(connection, archive.len());
        connection.send(&archive[..archive.len() / 2]);
        // Waits until the client has closed the connection.
        connection.is_left();
    });
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_download_without_an_end_is_cut_off, [Current], |stage| {
    let world = stage.world();
    let agent = with_earlier_version(&world, good());
    let downloads = ScriptedPeer::start(|connection| {
        connection.request();
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut archive = archive();
        archive.truncate(archive.len() - 8);
        let chunk = [format!("{:x}\r\n", archive.len()).as_bytes(), &archive, b"\r\n"].concat();
        while connection.send(&chunk) {}
    });
    let limits = InstallLimits::default().max_archive_bytes(1 << 20);
    let plugin = Plugin::new("mine").limits(limits);
    let error = at(&world, &agent, &downloads).install_plugin(plugin).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginRefused, "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_download_that_says_it_is_too_large_is_not_read, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| head(connection, 101 << 20));
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ArchiveBytes), "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_download_that_its_head_refuses_is_not_waited_for, [Current], |stage| {
    let world = stage.world();
    let agent = with_earlier_version(&world, good());
    let (tell, told) = mpsc::channel();
    let downloads = ScriptedPeer::start(move |connection| {
        connection.request();
        head(connection, 101 << 20);
        let _ = tell.send(connection.is_left());
    });
    let error = at(&world, &agent, &downloads).install_plugin("mine").unwrap_err();
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ArchiveBytes), "{error}");
    assert!(told.recv().unwrap(), "the connection is kept");
    assert_kept(&world, &agent, &error);
});

scenario!(an_encoding_that_nobody_asked_for_is_refused, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| {
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\0\0");
    });
    assert_eq!(error.install().unwrap().rule(), Some(Rule::ContentEncoding), "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_redirect_is_not_followed, [Current], |stage| {
    let world = stage.world();
    let (agent, error) = refused_from(&world, |connection| {
        connection.send(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/x\r\nContent-Length: 0\r\n\r\n");
    });
    assert_eq!(error.kind(), ErrorKind::Redirected, "{error}");
    assert_kept(&world, &agent, &error);
});

scenario!(a_first_install_that_fails_leaves_nothing, [April, Current], |stage| {
    let world = stage.world();
    world.platform(|platform, _| platform.add_plugin(PluginTree::new("mine").file("a.md", "a")));
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let error = agent.install_plugin("mine").unwrap_err();
    assert_eq!(error.install().unwrap().earlier(), EarlierVersion::None, "{error}");
    assert_eq!(agent.plugins().unwrap(), []);
    assert_nothing_left(&world, &agent);
    assert!(!Path::new(&world.home().agent(&id)).join("plugins/mine").exists());
});
