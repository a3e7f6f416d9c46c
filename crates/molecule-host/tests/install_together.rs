//! Concurrent installs: those of one plugin run one after the other, those of different plugins in parallel, and
//! readers never wait.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

#[cfg(target_os = "linux")]
use std::fs;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use molecule_core::effect::LockId;
use molecule_core::effect::plugin::{PluginOp, PluginResult};
use molecule_core::plugin::Durability;
use molecule_core::proto::PluginName;
use molecule_core::unpack::UnpackPolicy;
use molecule_host::{Cancel, Plugins};
use plugin::{name, path, place, version, whole_version};
use scene::{Scene, assert_passes, names_in};

const FILES: usize = 15;

/// A timeout far above the duration of any step.
const LONG: Duration = Duration::from_secs(120);

/// A complete install in the machine's order, which retries the lock until it is free.
fn install(plugins: &Plugins, name: &PluginName, archive: &[u8]) {
    let until = Instant::now() + LONG;
    let mut held = None;
    let act = |op| plugins.perform(op, &Cancel::new(), |_| LockId(0)).unwrap();
    loop {
        let keep = |lock| {
            held = Some(lock);
            LockId(1)
        };
        match plugins.perform(PluginOp::Lock(name.clone()), &Cancel::new(), keep) {
            Ok(_) => break,
            Err(error) => assert!(error.is_locked() && Instant::now() < until, "{error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
    act(PluginOp::Sweep(name.clone()));
    let mut unpacking = plugins.stage(name, &UnpackPolicy::default()).unwrap();
    unpacking.push(archive).unwrap();
    let (id, _) = unpacking.finish().unwrap();
    act(PluginOp::Commit(id, Durability::None));
    act(PluginOp::WriteReceipt(name.clone(), b"{}".to_vec(), Durability::None));
    act(PluginOp::Sweep(name.clone()));
    drop(held);
}

#[test]
fn ten_installers_of_one_plugin_all_succeed_and_one_version_is_left() {
    let scene = Scene::new();
    thread::scope(|scope| {
        for installer in 0..10 {
            let plugins = scene.plugins();
            scope.spawn(move || {
                for _ in 0..5 {
                    install(&plugins, &name(), &version(&format!("of {installer}"), FILES));
                }
            });
        }
    });
    assert!(whole_version(&path(&scene), FILES).unwrap().starts_with("of "));
    assert_eq!(names_in(&place(&scene)), [".lock-demo-plugin", ".receipts", "demo-plugin"]);
}

#[test]
fn ten_installers_of_ten_plugins_do_not_meet() {
    let scene = Scene::new();
    let names: Vec<PluginName> = (0..10).map(|number| format!("plugin-{number}").parse().unwrap()).collect();
    thread::scope(|scope| {
        for name in &names {
            // The plugins handle of one process, as in a program with many installs.
            let plugins = scene.plugins();
            scope.spawn(move || {
                for round in 0..5 {
                    install(&plugins, name, &version(&format!("{name} {round}"), FILES));
                }
            });
        }
    });
    for name in &names {
        let found = whole_version(&place(&scene).join(name.as_str()), FILES);
        assert_eq!(found.as_deref(), Some(format!("{name} 4").as_str()));
    }
    assert_eq!(names_in(&place(&scene)).len(), 10 + 10 + 1);
}

#[test]
fn installers_in_two_processes_take_turns() {
    let scene = Scene::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_passes(scene.rerun("", &[], "child_installs")));
        }
        let plugins = scene.plugins();
        for _ in 0..20 {
            install(&plugins, &name(), &version("parent", FILES));
        }
    });
    assert!(whole_version(&path(&scene), FILES).is_some());
    assert_eq!(names_in(&place(&scene)), [".lock-demo-plugin", ".receipts", "demo-plugin"]);
}

#[test]
#[ignore = "started by installers_in_two_processes_take_turns"]
fn child_installs() {
    let plugins = Scene::inherited().plugins();
    for _ in 0..20 {
        install(&plugins, &name(), &version("child", FILES));
    }
}

/// A thousand updates while a reader continuously reads one file.
#[test]
#[cfg(target_os = "linux")]
fn a_reader_never_finds_the_plugin_missing() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let archives = [version("even", 3), version("odd", 3)];
    install(&plugins, &name(), &archives[0]);
    let done = AtomicBool::new(false);
    let file = path(&scene).join("plugin.yaml");
    let looks = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let content = fs::read_to_string(&file);
                assert!(matches!(content.as_deref(), Ok("even" | "odd")), "look {looks}: {content:?}");
                looks += 1;
            }
            looks
        });
        for round in 0..1000 {
            install(&plugins, &name(), &archives[(round + 1) % 2]);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(looks > 1000, "it looked {looks} times");
}

/// The lock is held while an archive arrives, so that no other install sweeps the stage away.
#[test]
fn a_stage_that_is_filled_is_not_swept_by_another_installer() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let _held = plugin::lock(&plugins).unwrap();
    let archive = version("new", FILES);
    let mut unpacking = plugins.stage(&name(), &UnpackPolicy::default()).unwrap();
    unpacking.push(&archive[..archive.len() / 2]).unwrap();
    let other = PluginOp::Lock(name());
    assert!(scene.plugins().perform(other, &Cancel::new(), |_| LockId(0)).unwrap_err().is_locked());
    // A sweep for another plugin does not touch the stage.
    let sweep = PluginOp::Sweep("demo".parse().unwrap());
    let PluginResult::Swept(swept) = scene.plugins().perform(sweep, &Cancel::new(), |_| LockId(0)).unwrap() else {
        panic!()
    };
    assert_eq!(swept.removed, 0);
    unpacking.push(&archive[archive.len() / 2..]).unwrap();
    plugin::commit(&plugins, unpacking.finish().unwrap().0).unwrap();
    assert_eq!(whole_version(&path(&scene), FILES).as_deref(), Some("new"));
}
