//! Performs cases on a driver, and judges them.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::effect::{Fault, Limits, Sent};
use molecule_core::{Proxy as ProxyChoice, Transport};

use super::case::{Ask, Case, Names, Seen};
use super::certificate::trusted;
use super::peer::{Log, Peer};
use super::wire::{judge_request, judge_tunnel, proxy_url};

/// How much later than its limits say a request may end: the machine may be busy.
const SLACK: Duration = Duration::from_secs(4);

/// What performs requests.
pub trait Driver: Sync {
    /// Its pool of connections.
    type Client;

    /// A client that connects in this way, with its own lookup of names if one is given.
    fn client(&self, transport: &Transport, names: Option<Lookup>) -> Self::Client;

    /// Performs one request.
    ///
    /// # Errors
    /// A fault, if there is no answer.
    fn send(&self, client: &Self::Client, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault>;
}

/// The addresses of a host and port, instead of the operating system's.
pub type Lookup = Box<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// What came of a case on one driver.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What came of each request.
    pub seen: Vec<Seen>,
    /// What should not be so; empty if all is well.
    pub complaints: Vec<String>,
    /// What must never be so, on the busiest machine: a request was called unsent, and the peer saw some of it.
    pub lies: Vec<String>,
}

/// Performs a case.
///
/// # Panics
/// If the machine has no ports or threads left.
pub fn run<D: Driver>(case: &Case, driver: &D) -> Sighting {
    let peer = Peer::start(case.connections.clone(), case.https).expect("a peer can listen on the loopback interface");
    let client = driver.client(&transport(case, &peer), lookup(case.names, &peer));
    let url = case.url(if case.connections.is_empty() { peer.closed() } else { peer.address() });
    let mut sighting = Sighting { seen: Vec::new(), complaints: Vec::new(), lies: Vec::new() };
    let mut asked = Vec::new();
    let mut bytes = Vec::new();
    for (ask, number) in case.asks.iter().zip(1..) {
        peer.wait_closed(ask.once_closed);
        bytes.push(peer.log().bytes);
        let request = ask.request(&url, number);
        asked.push(request.clone());
        let started = Instant::now();
        let outcome = driver.send(&client, request, ask.limits);
        let late = started.elapsed() > ask.limits.total + SLACK;
        sighting.complaints.extend(late.then(|| format!("request {number}: it took {:?}", started.elapsed())));
        sighting.complaints.extend(judge(ask, &outcome).into_iter().map(|what| format!("request {number}: {what}")));
        sighting.seen.push(Seen::from(&outcome));
    }
    // Without its client the peer reads whatever was still on its way.
    drop(client);
    let log = peer.finish();
    bytes.push(log.bytes);
    sighting.complaints.extend(judge_requests(&asked, &log.requests));
    sighting.complaints.extend(judge_log(case, &log));
    sighting.lies = lies(&sighting.seen, &bytes);
    sighting
}

fn transport(case: &Case, peer: &Peer) -> Transport {
    let proxy = case.proxy.map(|proxy| ProxyChoice::Explicit(proxy_url(proxy, peer.address(), peer.closed())));
    Transport::new().extra_ca(trusted()).proxy(proxy.unwrap_or(ProxyChoice::Off))
}

fn lookup(names: Names, peer: &Peer) -> Option<Lookup> {
    let (open, closed) = (peer.address(), peer.closed());
    let addresses = match names {
        Names::System => return None,
        Names::Peer => vec![open],
        Names::ClosedThenPeer => vec![closed, open],
        Names::Closed => vec![closed, closed],
        Names::Nothing => Vec::new(),
        Names::Fails => return Some(Box::new(|_, _| Err(io::Error::other("the resolver is ill")))),
    };
    Some(Box::new(move |_, _| Ok(addresses.clone())))
}

fn judge(ask: &Ask, outcome: &Result<Response<Bytes>, Fault>) -> Vec<String> {
    let mut complaints = Vec::new();
    let came = Seen::from(outcome);
    if !ask.allowed.contains(&came) {
        let cause = outcome.as_ref().err().and_then(|fault| fault.source.as_ref().map(ToString::to_string));
        complaints.push(format!("{came} ({})", cause.unwrap_or_default()));
    }
    if let Ok(answer) = outcome
        && ask.body_back.as_ref().is_some_and(|body| body != answer.body())
    {
        complaints.push(format!("another body: {:?}", answer.body().slice(..answer.body().len().min(80))));
    }
    let headers = match outcome {
        Ok(answer) => Some(answer.headers()),
        Err(fault) => fault.head.as_ref().map(|head| head.headers()),
    };
    let Some(headers) = headers else { return complaints };
    for (name, value) in &ask.headers_back {
        let found: Vec<_> = headers.get_all(*name).iter().collect();
        if !found.iter().any(|found| found == value) {
            complaints.push(format!("{name}: {found:?} instead of {value:?}"));
        }
    }
    complaints
}

/// Whether what arrived is what was asked, each request at most once.
fn judge_requests(asked: &[Request<Bytes>], arrived: &[Vec<u8>]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut last = 0;
    for bytes in arrived {
        let text = String::from_utf8_lossy(bytes);
        let number = text.lines().find_map(|line| line.strip_prefix("x-ask: ")?.parse::<usize>().ok()).unwrap_or(0);
        match number.checked_sub(1).and_then(|at| asked.get(at)) {
            Some(_) if number <= last => complaints.push(format!("request {number} arrived twice, or late")),
            Some(request) => complaints.extend(judge_request(request, bytes)),
            None => complaints.push(format!("nobody asked for {text:?}")),
        }
        last = number;
    }
    complaints
}

fn judge_log(case: &Case, log: &Log) -> Vec<String> {
    let mut complaints: Vec<String> = log.tunnels.iter().filter_map(|tunnel| judge_tunnel(case, tunnel)).collect();
    if log.opened != case.connections.len() {
        complaints.push(format!("{} connections instead of {}", log.opened, case.connections.len()));
    }
    if case.most_written.is_some_and(|most| log.written > most) {
        complaints.push(format!("the client took {} bytes", log.written));
    }
    complaints
}

/// `bytes`: how many of requests the peer had seen before each request, and at the end.
fn lies(seen: &[Seen], bytes: &[usize]) -> Vec<String> {
    let arrived = bytes.windows(2).map(|pair| pair[1] - pair[0]);
    let unsent = seen.iter().zip(arrived).zip(1..).filter(|((came, _), _)| matches!(came, Seen::Fault(_, Sent::No)));
    unsent
        .filter(|((_, arrived), _)| *arrived > 0)
        .map(|((came, arrived), number)| format!("request {number}: {came}, and the peer saw {arrived} bytes of it"))
        .collect()
}

/// What was seen of each case, a column for each driver, in Markdown.
pub fn table(drivers: &[&str], rows: &[(&Case, Vec<Sighting>)]) -> String {
    let mut table = format!("| case | {} |\n|---{}|\n", drivers.join(" | "), "|---".repeat(drivers.len()));
    for (case, sightings) in rows {
        let cells: Vec<String> = sightings.iter().map(|sighting| cell(&sighting.seen)).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {} | {} |", case.name, cells.join(" | "));
    }
    table
}

fn cell(seen: &[Seen]) -> String {
    seen.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
