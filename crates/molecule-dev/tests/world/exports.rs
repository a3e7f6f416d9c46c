//! A log elsewhere: without its credentials, and as a test that compiles and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Folder, beat, create, get, post, register, send};
use molecule_dev::{Act, Acted, Dev, Options};
use molecule_proto::{Message, Token, path};
use serde_json::json;

/// A platform on which credentials were used in every way, and all of them.
fn used(folder: &Folder) -> (Dev, Vec<String>) {
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let world = dev.world();
    let (id, old) = create(world, "mine");
    register(&dev, &id, &old);
    assert_eq!(beat(&dev, &id, &old, 1), 200);
    let Acted::Token { token } = world.act(Act::Rotate { id: id.clone() }) else { panic!("it is rotated") };
    assert_eq!(beat(&dev, &id, &old, 2), 401, "the old token is worth nothing");
    for uptime in 3..6 {
        assert_eq!(beat(&dev, &id, &token, uptime), 200);
    }
    let value = "p\u{e4}ss \"word\" of mine";
    world.act(Act::SetSecret { id: id.clone(), key: "KEY".to_owned(), value: value.to_owned() });
    world.act(Act::SetSecret { id: id.clone(), key: "PIN".to_owned(), value: "4711".to_owned() });
    let posted = json!({"key": "OTHER", "value": "another-secret"});
    let admin = dev.admin_token();
    assert!(post(&dev, &format!("/workspaces/{id}/secrets"), &admin, &posted).0 < 300);
    assert_eq!(get(&dev, &path::secret_values(&id), token.expose()).0, 200);
    // An agent that says too much.
    let text = format!("my token is {}, the secret {value}; the bidi \u{202e}", token.expose());
    world.act(Act::SendUserMessage { to: id.clone(), message: Message::text(&text) });
    assert_eq!(send(&dev, "GET", &path::state(&id), Some("a-bearer-from-another-server"), "").0, 401);
    let secret = world.read(None, |platform, _| platform.inbound_secret(&id)).unwrap().unwrap();
    let mut credentials = vec![old.expose().to_owned(), token.expose().to_owned(), secret.expose().to_owned(), admin];
    credentials
        .extend(["word\\\" of mine", "another-secret", "4711", "a-bearer-from-another-server"].map(str::to_owned));
    (dev, credentials)
}

#[test]
fn a_copy_without_credentials_has_none_and_replays() {
    let folder = Folder::new();
    let (dev, credentials) = used(&folder);
    let original = std::fs::read_to_string(folder.log()).unwrap();
    for credential in &credentials {
        // The inbound secret is minted by the platform, and nobody sent it.
        let is_sent = original.contains(credential);
        assert!(is_sent || credential == &credentials[2] || credential == &credentials[1], "{credential} was used");
    }
    let mut copy = Vec::new();
    dev.world().export(&mut copy, true).unwrap();
    let text = String::from_utf8(copy.clone()).unwrap();
    for credential in &credentials {
        assert!(!text.contains(credential), "{credential} is in the copy");
    }
    assert_eq!(text.lines().count(), original.lines().count());
    // Nor does the copy's seed give them away.
    let path = folder.path().join("copy.jsonl");
    std::fs::write(&path, &copy).unwrap();
    let again = Dev::start(Options::at(&path)).unwrap();
    let opened = again.opened().unwrap();
    assert_eq!(opened.mismatched, 0, "{:?}", opened.mismatches);
    let (names, live) = again
        .world()
        .read(None, |platform, _| {
            let names: Vec<String> = platform.workspaces().map(|id| platform.workspace(id).unwrap().name).collect();
            let live = platform.workspaces().any(|id| {
                credentials.iter().any(|text| Token::new(text).is_ok_and(|token| platform.is_live(id, &token)))
            });
            (names, live)
        })
        .unwrap();
    assert!(names.contains(&"mine".to_owned()), "{names:?}");
    assert!(!live, "a credential of the original opens the copy");
}

#[test]
fn a_whole_copy_is_the_log() {
    let folder = Folder::new();
    let (dev, _) = used(&folder);
    let mut copy = Vec::new();
    dev.world().export(&mut copy, false).unwrap();
    assert_eq!(copy, std::fs::read(folder.log()).unwrap());
}

#[test]
fn an_exported_test_compiles_and_passes_and_fails_if_something_else_happens() {
    let folder = Folder::new();
    let (dev, credentials) = used(&folder);
    let test = dev.world().export_test(None).unwrap();
    for credential in &credentials {
        assert!(!test.contains(credential), "{credential} is in the test");
    }
    assert!(test.is_ascii());
    let program = compiled(&folder, &test);
    let output = Command::new(program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");

    let changed = test.replacen("\"out\":\"200:", "\"out\":\"500:", 1);
    assert_ne!(changed, test);
    let output = Command::new(compiled(&folder, &changed)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("the answer was 500 and is 200"), "{said}");
}

/// Compiles a test with the libraries that this test was built with.
fn compiled(folder: &Folder, test: &str) -> PathBuf {
    let source = folder.path().join("exported.rs");
    let program = folder.path().join("exported");
    std::fs::write(&source, test).unwrap();
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut last = String::new();
    // Several builds may lie there: the right ones fit together, and the newest are tried first.
    for platform in newest(&deps, "libmolecule_platform-") {
        for json in newest(&deps, "libserde_json-") {
            let mut rustc = Command::new(&rustc);
            rustc
                .args(["--test", "--edition", "2024", "--crate-name", "exported"])
                .arg(&source)
                .arg("-o")
                .arg(&program);
            rustc.arg("-L").arg(format!("dependency={}", deps.display()));
            rustc.arg("--extern").arg(format!("molecule_platform={}", platform.display()));
            rustc.arg("--extern").arg(format!("serde_json={}", json.display()));
            let output = rustc.output().unwrap();
            if output.status.success() {
                return program;
            }
            last = String::from_utf8_lossy(&output.stderr).into_owned();
        }
    }
    panic!("the exported test does not compile: {last}");
}

fn newest(deps: &Path, start: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(start) && name.ends_with(".rlib")
    };
    let mut found: Vec<PathBuf> = files.filter(is_library).collect();
    found.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).and_then(|file| file.modified()).ok()));
    found
}
