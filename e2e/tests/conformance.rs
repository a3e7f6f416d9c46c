//! The suite of requests, on both drivers: they agree on what came of each, and on whether it may have been sent.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::thread;

use bytes::Bytes;
use http::{Request, Response};
use molecule_conformance::{Case, Driver, Lookup, SEEN, Seen, Sighting, all, run, table};
use molecule_core::Transport;
use molecule_core::effect::{Fault, Limits};
use tokio::runtime::{Builder, Runtime};

/// Cases that run side by side: most of them wait.
const LANES: usize = 8;

struct Blocking;

impl Driver for Blocking {
    type Client = molecule_blocking::Client;

    fn client(&self, transport: &Transport, names: Option<Lookup>) -> Self::Client {
        match names {
            Some(names) => molecule_blocking::Client::with_names(transport, names).unwrap(),
            None => molecule_blocking::Client::new(transport).unwrap(),
        }
    }

    fn send(&self, client: &Self::Client, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault> {
        client.send(request, limits)
    }
}

struct Async;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());

impl Driver for Async {
    type Client = molecule_async::Client;

    fn client(&self, transport: &Transport, names: Option<Lookup>) -> Self::Client {
        match names {
            Some(names) => molecule_async::Client::with_names(transport, names).unwrap(),
            None => molecule_async::Client::new(transport).unwrap(),
        }
    }

    fn send(&self, client: &Self::Client, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault> {
        RUNTIME.block_on(client.send(request, limits))
    }
}

#[test]
fn both_drivers_agree() {
    let cases = all();
    let rows = run_all(&cases);
    println!("{}", table(&DRIVERS, &rows));
    for case in &cases {
        if let Some(because) = case.because {
            println!("{}: more than one outcome is allowed, because {because}.", case.name);
        }
    }
    let mut complaints = Vec::new();
    for (case, sightings) in &rows {
        for (driver, sighting) in DRIVERS.iter().zip(sightings) {
            let all = sighting.complaints.iter().chain(&sighting.lies);
            complaints.extend(all.map(|what| format!("{}, {driver}: {what}", case.name)));
            for came in &sighting.seen {
                if let Seen::Fault(kind, sent) = came {
                    assert!(SEEN.contains(&(*kind, *sent)), "{came} is missing in SEEN");
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

const DRIVERS: [&str; 2] = ["blocking", "async"];

fn run_both(case: &Case) -> Vec<Sighting> {
    vec![run(case, &Blocking), run(case, &Async)]
}

/// Each case on both drivers, in the order of the cases.
fn run_all(cases: &[Case]) -> Vec<(&Case, Vec<Sighting>)> {
    let queue = Mutex::new(cases.iter().enumerate());
    let next = || queue.lock().unwrap().next();
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((at, case)) = next() {
                    let sightings = run_both(case);
                    done.lock().unwrap().insert(at, sightings);
                }
            });
        }
    });
    let rows = cases.iter().zip(done.into_inner().unwrap().into_values());
    rows.map(|(case, sightings)| (case, if is_doubtful(&sightings) { run_both(case) } else { sightings })).collect()
}

/// Side by side, cases keep the machine busy: a task may hear of a close, or of an answer's end, only a tenth of a
/// second later, and then another connection is used. What is so by itself is so when the case runs alone. A lie is one
/// at any time.
fn is_doubtful(sightings: &[Sighting]) -> bool {
    sightings.iter().any(|sighting| !sighting.complaints.is_empty())
        && sightings.iter().all(|sighting| sighting.lies.is_empty())
}
