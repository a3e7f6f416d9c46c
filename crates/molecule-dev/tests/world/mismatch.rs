//! A log that the model replays in another way: the line and what differs are named, and it goes on.

use crate::common::{Folder, beat, create};
use molecule_dev::{Dev, Options};
use molecule_proto::WorkspaceStatus;

#[test]
fn a_mismatch_names_its_line_and_what_differs_once_and_the_platform_goes_on() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    assert_eq!(beat(&dev, &id, &token, 1), 200);
    let line = dev.world().line();
    dev.stop().unwrap();

    // As if an earlier model had refused the heartbeat.
    let text = std::fs::read_to_string(folder.log()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let place = usize::try_from(line).unwrap() - 1;
    assert!(lines[place].contains("\"out\":\"200:"), "{}", lines[place]);
    lines[place] = lines[place].replace("\"out\":\"200:", "\"out\":\"401:");
    std::fs::write(folder.log(), lines.join("\n") + "\n").unwrap();

    let dev = Dev::start(Options::at(folder.log())).unwrap();
    let opened = dev.opened().unwrap();
    assert_eq!((opened.mismatched, opened.is_known, opened.mismatches.len()), (1, false, 1));
    let told = opened.mismatches[0].to_string();
    assert_eq!(opened.mismatches[0].line, line);
    assert_eq!(told, format!("line {line}, POST /registry/heartbeat: the answer was 401 and is 200"));
    let status = dev.world().read(None, |platform, _| platform.status(&id)).unwrap();
    assert_eq!(status, Some(WorkspaceStatus::Online), "the state is what the model makes of it now");
    assert_eq!(beat(&dev, &id, &token, 2), 200);
    dev.stop().unwrap();

    let dev = Dev::start(Options::at(folder.log())).unwrap();
    let opened = dev.opened().unwrap();
    assert_eq!((opened.mismatched, opened.is_known), (1, true), "it was told already");
}

#[test]
fn a_damaged_line_is_an_error_and_the_file_stays() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log())).unwrap();
    dev.stop().unwrap();
    let text = std::fs::read_to_string(folder.log()).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[2] = "{\"at\": nonsense";
    let damaged = lines.join("\n") + "\n";
    std::fs::write(folder.log(), &damaged).unwrap();
    let error = Dev::start(Options::at(folder.log())).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("line 3 ") && error.to_string().contains("--fresh"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.log()).unwrap(), damaged);
    // Set aside, it is kept, and a new one begins.
    let dev = Dev::start(Options::at(folder.log()).fresh(true)).unwrap();
    assert_eq!(std::fs::read_to_string(dev.set_aside().unwrap()).unwrap(), damaged);
}

#[test]
fn a_format_of_the_future_is_refused() {
    let folder = Folder::new();
    Dev::start(Options::at(folder.log())).unwrap().stop().unwrap();
    let text = std::fs::read_to_string(folder.log()).unwrap().replacen("\"molecule_dev\":1", "\"molecule_dev\":2", 1);
    std::fs::write(folder.log(), &text).unwrap();
    let error = Dev::start(Options::at(folder.log())).unwrap_err();
    assert!(error.to_string().contains("its format is 2"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.log()).unwrap(), text);
}
