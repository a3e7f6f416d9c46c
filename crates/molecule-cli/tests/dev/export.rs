//! A log is handed on, and goes on from a line of it.

use crate::server::Desk;

#[test]
fn an_export_goes_on_elsewhere_and_a_blanked_one_has_no_credential() {
    let desk = Desk::new("export");
    let server = desk.serve(&[]);
    let token = server.workspace("alice")["token"].as_str().unwrap().to_owned();
    let (admin, alice) = (server.text("admin_token").to_owned(), server.workspace("alice")["id"].clone());
    // While a server runs on it as well as afterwards.
    let (code, running, err) = desk.run(&["dev", "export"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(server.ends_by("TERM").0, 0);
    let (_, whole, _) = desk.run(&["dev", "export"]);
    assert_eq!(running, whole, "a server that does nothing adds nothing");
    let (code, blank, err) = desk.run(&["dev", "export", "--blank"]);
    assert_eq!(code, 0, "{err}");
    assert!(whole.contains(&admin) && !blank.contains(&admin) && !blank.contains(&token));
    assert!(!blank.contains("hello from molecule dev"), "the value of a secret is a credential");
    for (name, text) in [("whole.jsonl", whole), ("blank.jsonl", blank)] {
        std::fs::write(desk.0.join(name), text).unwrap();
        let elsewhere = desk.serve(&["--file", name]);
        assert_eq!(elsewhere.workspace("alice")["id"], alice);
        let (_, err) = elsewhere.ends_by("TERM");
        assert_eq!(err, "", "{name} replays as it was recorded");
    }
}

#[test]
fn a_fork_ends_with_its_line_and_replaces_no_file() {
    let desk = Desk::new("fork");
    let server = desk.serve(&[]);
    desk.json(&["trigger", "create", "late"]);
    drop(server);
    let forked = desk.json(&["dev", "fork", "3", "before.jsonl"]);
    assert_eq!(forked, serde_json::json!({ "file": "before.jsonl", "line": 3 }));
    let before = desk.serve(&["--file", "before.jsonl"]);
    assert_eq!(before.shown["workspaces"].as_array().unwrap().len(), 1, "{}", before.shown);
    drop(before);
    for (args, part) in [
        (["dev", "fork", "3", "before.jsonl"], "before.jsonl"),
        (["dev", "fork", "999", "other.jsonl"], "the log has lines 1 to"),
    ] {
        let (code, _, err) = desk.run(&args);
        assert!(code == 1 && err.contains(part), "{args:?}: {err}");
    }
    assert!(!desk.0.join("other.jsonl").exists());
}

#[test]
fn an_exported_test_is_a_program_in_rust() {
    let desk = Desk::new("export-test");
    drop(desk.serve(&[]));
    let (code, test, err) = desk.run(&["dev", "export", "--test", "--to", "4"]);
    assert_eq!(code, 0, "{err}");
    assert!(test.contains("#[test]\nfn ") && test.contains("create_workspace"), "{test}");
    let (code, out, err) = desk.run(&["dev", "export", "--test", "--to", "999"]);
    assert!(code == 1 && out.is_empty() && err.contains("the log has lines 1 to"), "{err}");
    let (code, _, err) = desk.run(&["dev", "export", "--file", "none.jsonl"]);
    assert!(code == 1 && err.contains("none.jsonl"), "{err}");
}
