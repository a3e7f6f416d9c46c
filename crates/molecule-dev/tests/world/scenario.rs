//! A first start with the acts of a file.

use crate::common::Folder;
use molecule_dev::{Dev, Options};
use molecule_proto::WorkspaceStatus;

fn start(folder: &Folder, text: &str) -> std::io::Result<Dev> {
    let path = folder.path().join("scenario.jsonl");
    std::fs::write(&path, text).unwrap();
    Dev::start(Options::at(folder.log()).scenario(path))
}

#[test]
fn the_acts_of_a_scenario_happen_once_in_place_of_the_examples() {
    let folder = Folder::new();
    let text = r#"
# Two agents, one of them paused.
{"act": "create_workspace", "name": "anna"}
{"act": "create_workspace", "name": "ben", "parent": "$anna"}
{"act": "pause", "id": "$ben"}
{"act": "send_user_message", "to": "$anna", "message": {"parts": [{"kind": "text", "text": "$anna, hello"}]}}
{"chaos": {"rules": [{"path": "/state", "fault": {"fault": "unavailable"}}]}}
{"forward_ms": 60000}
"#;
    let look = |dev: &Dev| {
        let found = dev.world().read(None, |platform, _| {
            let views = platform.workspaces().map(|id| platform.workspace(id).unwrap());
            views.map(|view| (view.name, view.status)).collect::<Vec<_>>()
        });
        found.unwrap()
    };
    let dev = start(&folder, text).unwrap();
    let found = look(&dev);
    assert!(found.contains(&("ben".to_owned(), WorkspaceStatus::Paused)), "{found:?}");
    assert!(!found.iter().any(|(name, _)| name == "alice"), "{found:?}");
    assert_eq!(dev.world().chaos().rules.len(), 1);
    dev.stop().unwrap();
    let dev = start(&folder, text).unwrap();
    assert_eq!(look(&dev).len(), found.len());
}

#[test]
fn a_scenario_that_cannot_be_performed_names_its_line_and_leaves_nothing() {
    for (text, line) in [
        ("{", 1),
        ("\n{\"act\": \"explode\"}", 2),
        ("{\"act\": \"pause\", \"id\": \"$nobody\"}", 1),
        ("{\"act\": \"create_workspace\", \"name\": \"a\"}\n{\"act\": \"resume\", \"id\": \"$a\"}", 2),
        ("{\"forward\": 1}", 1),
    ] {
        let folder = Folder::new();
        let error = start(&folder, text).unwrap_err();
        assert!(error.to_string().contains(&format!("scenario.jsonl, line {line}: ")), "{error}");
        assert!(!folder.log().exists(), "{text}");
    }
}
