//! The files of an unpacked archive: their content and their modes. No other attribute in the archive is used.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use molecule_core::effect::FaultKind;
use molecule_core::plugin::{Refusal, Rule};
use molecule_core::unpack::UnpackPolicy;
use plugin::{Entry, archive, as_user, commit, install, name, path, place, read_tree, stage};
use scene::{Scene, assert_passes, names_in};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn files_and_directories_are_made_as_the_archive_has_them() {
    let scene = Scene::new();
    let long = vec![b'x'; 1_000_000];
    let committed = install(
        &scene.plugins(),
        &archive(&[
            ("plugin.yaml", b"name: demo-plugin\n", 0o644),
            ("skills/", b"", 0o755),
            ("skills/one.md", b"one", 0o644),
            ("empty", b"", 0o644),
            ("long", &long, 0o644),
            ("left/out/deep.md", b"its directories are not entries", 0o644),
            ("bare/", b"", 0o755),
        ]),
    );
    assert_eq!((committed.replaced, &committed.path), (false, &path(&scene)));
    let tree = read_tree(&committed.path);
    assert_eq!(tree.len(), 5);
    assert_eq!((tree["skills/one.md"].as_str(), tree["empty"].as_str()), ("one", ""));
    assert_eq!(tree["long"].as_bytes(), long);
    assert_eq!(tree["left/out/deep.md"], "its directories are not entries");
    assert!(committed.path.join("bare").is_dir());
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}

/// The test runs in a separate process with umask 0.
#[test]
fn modes_are_fixed_whatever_the_archive_says() {
    let scene = Scene::new();
    assert_passes(scene.rerun("sh", &["-c", r#"umask 0; exec "$@""#, "sh"], "child_has_no_umask"));
}

#[test]
#[ignore = "started by modes_are_fixed_whatever_the_archive_says"]
fn child_has_no_umask() {
    let scene = Scene::inherited();
    let entries: [Entry<'_>; 7] = [
        ("plugin.yaml", b"", 0o600),
        ("closed/", b"", 0o000),
        ("closed/read-only.md", b"", 0o444),
        ("closed/run", b"", 0o100),
        ("others-run", b"", 0o011),
        ("set", b"", 0o6777),
        ("open/", b"", 0o1777),
    ];
    let root = install(&scene.plugins(), &archive(&entries)).path;
    let modes = [
        ("plugin.yaml", 0o644),
        ("closed", 0o755),
        ("closed/read-only.md", 0o644),
        ("closed/run", 0o755),
        ("others-run", 0o644),
        ("set", 0o755),
        ("open", 0o755),
    ];
    for (name, expected) in modes {
        assert_eq!(mode(root.join(name)), expected, "{name}");
    }
    assert_eq!((mode(&root), mode(place(&scene)), mode(scene.directory())), (0o700, 0o700, 0o700));
    let now = fs::metadata(root.join("set")).unwrap().modified().unwrap();
    assert!(now.elapsed().unwrap().as_secs() < 3600, "the archive's times are nobody's");
}

#[test]
fn the_umask_takes_its_part() {
    let scene = Scene::new();
    assert_passes(scene.rerun("sh", &["-c", r#"umask 077; exec "$@""#, "sh"], "child_has_a_umask"));
}

#[test]
#[ignore = "started by the_umask_takes_its_part"]
fn child_has_a_umask() {
    let scene = Scene::inherited();
    let root =
        install(&scene.plugins(), &archive(&[("a/", b"", 0o755), ("a/run", b"", 0o755), ("b", b"", 0o644)])).path;
    assert_eq!((mode(root.join("a")), mode(root.join("a/run")), mode(root.join("b"))), (0o700, 0o700, 0o600));
}

#[test]
fn a_stage_is_private_while_it_is_filled() {
    let scene = Scene::new();
    let mut unpacking = scene.plugins().stage(&name(), &UnpackPolicy::default()).unwrap();
    unpacking.push(&archive(&[("a", b"content", 0o644)])).unwrap();
    let names = names_in(&place(&scene));
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with(".staging-demo-plugin-"));
    assert_eq!(mode(place(&scene).join(&names[0])), 0o700);
}

#[test]
fn sixty_four_levels_in_an_order_that_no_cache_likes() {
    let scene = Scene::new();
    // Each level comes from ten branches in turn, so that no directory is used twice in a row.
    let name = |branch: usize, depth: usize| format!("branch-{branch}/{}file", "d/".repeat(depth));
    let mut names: Vec<String> = (0..30).flat_map(|depth| (0..10).map(move |branch| name(branch, depth))).collect();
    names.push(name(3, 62));
    let content: Vec<Vec<u8>> = names.iter().map(|name| name.clone().into_bytes()).collect();
    let entries: Vec<Entry<'_>> =
        names.iter().zip(&content).map(|(name, content)| (name.as_str(), &content[..], 0o644)).collect();
    let root = install(&scene.plugins(), &archive(&entries)).path;
    let tree = read_tree(&root);
    assert_eq!(tree.len(), names.len());
    assert!(tree.iter().all(|(name, content)| name == content));
}

#[test]
fn what_is_no_archive_leaves_nothing() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let whole = archive(&[("plugin.yaml", b"name: demo-plugin", 0o644), ("long", &[7; 300_000], 0o644)]);
    let mut corrupt = whole.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0x55;
    let hostile = archive(&[("plugin.yaml", b"", 0o644), ("aux", b"", 0o644)]);
    for (archive, rule) in [
        (&b"<!doctype html><title>Sign in</title>"[..], Some(Rule::NotGzip)),
        (&whole[..whole.len() - 9], Some(Rule::GzipTruncated)),
        (&corrupt, None),
        (&hostile, Some(Rule::NameDevice)),
        (b"", Some(Rule::NotGzip)),
    ] {
        let fault = stage(&plugins, archive).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Archive);
        let refusal = fault.source.unwrap().downcast::<Refusal>().unwrap();
        assert!(rule.is_none_or(|rule| rule == refusal.rule()), "{refusal}");
        assert!(names_in(&place(&scene)).is_empty());
    }
}

#[test]
fn after_an_error_every_call_says_the_same() {
    let scene = Scene::new();
    let mut unpacking = scene.plugins().stage(&name(), &UnpackPolicy::default()).unwrap();
    // The archive is so long that the error comes before its end.
    let hostile = archive(&[("a/b", b"", 0o644), ("a", b"", 0o644), ("c", &[7; 300_000], 0o644)]);
    let says = |fault: molecule_core::effect::Fault| fault.source.unwrap().to_string();
    let first = says(unpacking.push(&hostile).unwrap_err());
    assert!(first.contains("entry 2 (`a`)"), "{first}");
    assert!(names_in(&place(&scene)).is_empty(), "it is removed at once");
    assert_eq!(says(unpacking.push(b"more").unwrap_err()), first);
    let progress = unpacking.progress();
    assert_eq!((progress.entries, progress.received), (2, hostile.len() as u64));
    assert_eq!(says(unpacking.finish().unwrap_err()), first);
}

/// The test runs as a user who is not root, because modes do not restrict root.
#[test]
fn a_stage_that_cannot_be_removed_is_told_with_the_refusal() {
    as_user("child_may_not_remove", |_| {});
}

#[test]
#[ignore = "started by a_stage_that_cannot_be_removed_is_told_with_the_refusal"]
fn child_may_not_remove() {
    let scene = Scene::inherited();
    let mut unpacking = scene.plugins().stage(&name(), &UnpackPolicy::default()).unwrap();
    fs::set_permissions(place(&scene), PermissionsExt::from_mode(0o500)).unwrap();
    let fault = unpacking.push(b"<!doctype html><title>Sign in</title>").unwrap_err();
    fs::set_permissions(place(&scene), PermissionsExt::from_mode(0o700)).unwrap();
    let left = names_in(&place(&scene));
    let refusal = fault.source.unwrap().downcast::<Refusal>().unwrap().to_string();
    let told = format!("and then {} cannot be removed", place(&scene).join(&left[0]).display());
    assert!(refusal.contains("not a gzip archive") && refusal.contains(&told), "{refusal}");
    drop(unpacking);
    assert_eq!(names_in(&place(&scene)), left, "the next sweep tries again");
}

#[test]
fn an_archive_that_is_not_finished_leaves_nothing() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let whole = archive(&[("plugin.yaml", b"name: demo-plugin", 0o644), ("long", &[7; 300_000], 0o644)]);
    for cut in [0, 1, whole.len() / 2, whole.len()] {
        let mut unpacking = plugins.stage(&name(), &UnpackPolicy::default()).unwrap();
        unpacking.push(&whole[..cut]).unwrap();
        drop(unpacking);
        assert!(names_in(&place(&scene)).is_empty());
    }
}

#[test]
fn a_stage_that_is_neither_committed_nor_discarded_goes_with_the_last_clone() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let (first, _) = stage(&plugins, &archive(&[("a", b"", 0o644)])).unwrap();
    let (second, _) = stage(&plugins, &archive(&[("a", b"", 0o644)])).unwrap();
    assert_ne!(first, second);
    assert_eq!(names_in(&place(&scene)).len(), 2);
    plugins.discard(first);
    plugins.discard(first);
    assert_eq!(names_in(&place(&scene)).len(), 1);
    let clone = plugins.clone();
    drop(plugins);
    assert_eq!(names_in(&place(&scene)).len(), 1);
    drop(clone);
    assert!(names_in(&place(&scene)).is_empty());
}

#[test]
fn a_stage_is_committed_once() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let (id, unpacked) = stage(&plugins, &archive(&[("a", b"content", 0o644), ("setup.sh", b"", 0o644)])).unwrap();
    assert_eq!((unpacked.files, unpacked.bytes, unpacked.has_setup), (2, 7, true));
    commit(&plugins, id).unwrap();
    let error = commit(&plugins, id).unwrap_err();
    scene::assert_says(&error, &place(&scene), &["no such stage", "install the plugin again"]);
    plugins.discard(id);
    assert_eq!(read_tree(&path(&scene))["a"], "content");
}

#[test]
fn names_that_the_file_system_takes_for_one_are_refused() {
    // This applies only to file systems that fold case; others create both files.
    let scene = Scene::new();
    let staged = stage(&scene.plugins(), &archive(&[("README", b"1", 0o644), ("readme", b"2", 0o644)]));
    match staged {
        Ok((_, unpacked)) => assert_eq!(unpacked.files, 2),
        Err(fault) => {
            let refusal = fault.source.unwrap().downcast::<Refusal>().unwrap();
            assert_eq!(refusal.rule(), Rule::Collision);
            assert!(refusal.to_string().contains("README"), "{refusal}");
        }
    }
}

#[test]
fn a_directory_that_lost_its_mode_is_still_a_plugin_that_installs() {
    // The modes of the earlier version do not affect the next one.
    let scene = Scene::new();
    let plugins = scene.plugins();
    let root = install(&plugins, &archive(&[("a/b", b"1", 0o644)])).path;
    fs::set_permissions(root.join("a"), PermissionsExt::from_mode(0o555)).unwrap();
    fs::set_permissions(&root, PermissionsExt::from_mode(0o555)).unwrap();
    assert!(install(&plugins, &archive(&[("a/b", b"2", 0o644)])).replaced);
    assert_eq!(read_tree(&root)["a/b"], "2");
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}
