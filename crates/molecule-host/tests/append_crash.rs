//! A process that is killed while it appends loses nothing that it had appended, and leaves at most a first part of the
//! append that it was at.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod scene;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use molecule_host::{Durability, Slot};
use scene::{Scene, text};

/// What every process appends, again and again: a number, and enough to make a torn one likely.
fn record(number: usize) -> String {
    format!("{number}:{}\n", "x".repeat(40_000))
}

#[test]
fn a_process_that_is_killed_at_any_moment_loses_nothing_that_it_appended() {
    let scene = Scene::new();
    let mut expected = String::new();
    for round in 0..8 {
        let mut command = scene.rerun("", &[], "child_appends_until_it_is_killed");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told = 0;
        // The harness prints before the first number, on the same line.
        while told < 3 + round {
            told += usize::from(lines.next().expect("it appends until it is killed").ends_with("appended"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too.
        told += lines.filter(|line| line.ends_with("appended")).count();

        let content = text(&*scene.store(), Slot::Inbox).unwrap();
        let new = content.strip_prefix(&expected).expect("earlier records stay as they were");
        let whole: String = (0..told + 2).fold(String::new(), |mut all, number| {
            write!(all, "{}", record(number)).unwrap();
            all
        });
        assert!(whole.starts_with(new), "round {round}: more than one record beyond the {told} that were told");
        let least: usize = (0..told).map(|number| record(number).len()).sum();
        assert!(new.len() >= least, "round {round}: {} of {least} bytes are there", new.len());
        // The next process goes on behind whatever is there.
        scene.store().append(Slot::Inbox, b"|", Durability::None).unwrap();
        expected = content + "|";
    }
    assert_eq!(scene.names(), [".inbox"]);
}

#[test]
#[ignore = "started by a_process_that_is_killed_at_any_moment_loses_nothing_that_it_appended"]
fn child_appends_until_it_is_killed() {
    let store = Scene::inherited().store();
    // It ends by itself if nobody kills it.
    for number in 0..500 {
        let durability = if number % 2 == 0 { Durability::None } else { Durability::Sync };
        store.append(Slot::Inbox, record(number).as_bytes(), durability).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{number} appended").unwrap();
        out.flush().unwrap();
    }
}
