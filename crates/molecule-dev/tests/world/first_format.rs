//! A log of the first format opens. Its fixture is kept from now on, and never written again.

use crate::common::Folder;
use molecule_dev::{Dev, ExchangeKind, Filter, Options};
use molecule_platform::Dialect;

const FIRST: &str = include_str!("../fixtures/format-1.jsonl");

#[test]
fn a_log_of_the_first_format_opens() {
    let folder = Folder::new();
    std::fs::write(folder.log(), FIRST).unwrap();
    let dev = Dev::start(Options::at(folder.log())).unwrap();
    let opened = dev.opened().unwrap();
    assert_eq!((opened.lines, opened.cut), (FIRST.lines().count() as u64 - 1, 0));
    let (dialect, names) = dev
        .world()
        .read(None, |platform, _| {
            let names = platform.workspaces().map(|id| platform.workspace(id).unwrap().name);
            (platform.dialect(), names.collect::<Vec<String>>())
        })
        .unwrap();
    assert_eq!(dialect, Dialect::Current);
    // The model may answer otherwise by now; what the owner did is done all the same.
    for name in ["alice", "bob"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    // It has every form of line.
    let exchanges = dev.world().exchanges(&Filter::new().limit(1000)).unwrap();
    let has = |is: fn(&ExchangeKind) -> bool| exchanges.iter().any(|exchange| is(&exchange.kind));
    assert!(has(|kind| matches!(kind, ExchangeKind::Request { .. })));
    assert!(has(|kind| matches!(kind, ExchangeKind::Act { .. })));
    assert!(has(|kind| matches!(kind, ExchangeKind::Call { .. })));
    assert!(has(|kind| matches!(kind, ExchangeKind::Forward(200_000))));
    assert!(has(|kind| matches!(kind, ExchangeKind::Chaos(_))));
    assert!(has(|kind| matches!(kind, ExchangeKind::Started)));
    assert!(exchanges.iter().any(|exchange| exchange.chaos.is_some()));
    assert!(FIRST.contains("\"like\":") && FIRST.contains("\"base64\":"));
}
