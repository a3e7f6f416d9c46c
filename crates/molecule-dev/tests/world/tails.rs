//! Long tails of reads are folded into one line, and nothing of them is lost over a restart.

use crate::common::{Folder, beat, create, get, register};
use molecule_dev::{Act, Dev, ExchangeKind, Filter, Options};
use molecule_proto::path;

#[test]
fn reads_that_bring_nothing_new_are_one_line() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    register(&dev, &id, &token);
    let read =
        |dev: &Dev| get(dev, &path::state(&id), token.expose()).1["status"].as_str().unwrap_or("none").to_owned();
    (0..3).for_each(|_| drop(read(&dev)));
    let written = dev.world().line();
    (0..40).for_each(|_| assert_eq!(read(&dev), "online"));
    assert_eq!(dev.world().line(), written, "nothing is written while nothing is new");
    assert_eq!(beat(&dev, &id, &token, 1), 200);
    assert_eq!(dev.world().line(), written + 1, "a heartbeat does not show what was read");
    assert_eq!(read(&dev), "online");
    dev.world().act(Act::Pause { id: id.clone(), cascade: false });
    let folded = dev.world().exchange(written + 2).unwrap();
    let ExchangeKind::Reads { line, count, ref call, .. } = folded.kind else { panic!("{folded:?}") };
    assert_eq!((line, count, call.as_str()), (written, 41, format!("GET {}", path::state(&id)).as_str()));
    assert_eq!((folded.workspace.as_ref(), folded.status), (Some(&id), Some(200)));
    assert_eq!(read(&dev), "paused", "another answer is written again");
    assert!(dev.world().exchanges(&Filter::new()).unwrap()[0].title().contains("State"));
    (0..5).for_each(|_| drop(read(&dev)));
    let used = |dev: &Dev| {
        let bearer = token.expose().to_owned();
        dev.world().read(None, move |platform, _| platform.token_row(&bearer).unwrap().1).unwrap().unwrap()
    };
    let before = used(&dev);
    dev.stop().unwrap();

    let dev = Dev::start(Options::at(folder.log())).unwrap();
    assert_eq!(dev.opened().unwrap().mismatched, 0, "{:?}", dev.opened());
    assert_eq!(used(&dev), before, "the last use of the token is that of the last read");
}
