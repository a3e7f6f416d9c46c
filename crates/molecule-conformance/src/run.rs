//! Performs cases on a driver, and judges the outcomes.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::effect::watch::MAX_PART;
use molecule_core::effect::{Fault, FaultKind, Limits, Phase, Sent};
use molecule_core::{Proxy as ProxyChoice, Transport};

use super::case::{Case, CaseOutcome, CaseRequest, Names};
use super::certificate::{idle_authority, trusted};
use super::peer::{ClosedPort, Log, Received, ScriptedPeer};
use super::wire::{SECRETS, judge_request, judge_tunnel, proxy_url};

/// The tolerance for the end of a request after its limits, because the machine may be busy.
const SLACK: Duration = Duration::from_secs(4);

/// The tolerance for the fault of an expired timeout. Each case has one timeout that is short.
const PROMPT: Duration = Duration::from_secs(1);

/// The HTTP client of a facade, as a driver uses it.
pub trait Driver: Sync {
    /// The client with its connection pool.
    type Client;

    /// Builds a client with this transport, and with its own lookup of names if one is given.
    fn client(&self, transport: &Transport, names: Option<Lookup>) -> Self::Client;

    /// Performs one request.
    ///
    /// # Errors
    /// A fault, if there is no answer.
    fn send(&self, client: &Self::Client, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault>;

    /// Watches a stream to its end, and hands out each piece as it arrives.
    ///
    /// # Errors
    /// A fault, unless the answer is no stream. The end of a stream is a fault too.
    fn watch(
        &self,
        client: &Self::Client,
        request: Request<Bytes>,
        limits: Limits,
        part: &mut dyn FnMut(Bytes),
    ) -> Result<Response<Bytes>, Fault>;
}

/// Resolves a host and a port, instead of the operating system.
pub type Lookup = Box<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The result of a case on one driver.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The outcome of each request.
    pub seen: Vec<CaseOutcome>,
    /// Differences from the case; empty if the driver passes.
    pub complaints: Vec<String>,
    /// Faults with `Sent::No` of requests of which the peer got some bytes. Even a busy machine is no excuse for these.
    pub lies: Vec<String>,
}

/// Performs a case.
///
/// # Panics
/// If the machine has no ports or threads left.
pub fn run<D: Driver>(case: &Case, driver: &D) -> Sighting {
    let peer = ScriptedPeer::scripted(case.connections.clone(), case.https);
    let closed = ClosedPort::new();
    let places = Places { peer: peer.address(), closed: closed.address() };
    let client = driver.client(&places.transport(case), places.lookup(case.names));
    let url = case.url(if case.connections.is_empty() { places.closed } else { places.peer });
    let mut sighting = Sighting { seen: Vec::new(), complaints: Vec::new(), lies: Vec::new() };
    let mut asked = Vec::new();
    let mut bytes = Vec::new();
    for (ask, number) in case.asks.iter().zip(1..) {
        if !peer.watch().wait(|log| log.closed >= ask.once_closed) {
            sighting
                .complaints
                .push(format!("request {number}: {} connections were due to be closed", ask.once_closed));
        }
        bytes.push(peer.watch().look(|log| log.bytes));
        let request = ask.request(&url, number);
        asked.push(request.clone());
        let started = Instant::now();
        let mut parts = Vec::new();
        let outcome = if ask.is_stream {
            driver.watch(&client, request, ask.limits, &mut |part| parts.push(part))
        } else {
            driver.send(&client, request, ask.limits)
        };
        let took = started.elapsed();
        let complaints = judge_time(ask, CaseOutcome::from(&outcome), took).into_iter().chain(judge(ask, &outcome));
        let complaints = complaints.chain(judge_parts(ask, &parts));
        sighting.complaints.extend(complaints.map(|what| format!("request {number}: {what}")));
        sighting.seen.push(CaseOutcome::from(&outcome));
    }
    // When the client is gone, the peer reads whatever was still on its way.
    drop(client);
    let log = peer.finish();
    bytes.push(log.bytes);
    sighting.complaints.extend(judge_requests(&asked, &log.requests));
    sighting.complaints.extend(judge_log(case, &log));
    sighting.lies = lies(&sighting.seen, &bytes);
    sighting
}

/// The addresses to which requests of a case may go.
#[derive(Clone, Copy)]
struct Places {
    peer: SocketAddr,
    closed: SocketAddr,
}

impl Places {
    fn transport(self, case: &Case) -> Transport {
        let proxy = case.proxy.map(|proxy| ProxyChoice::Explicit(proxy_url(proxy, self.peer, self.closed)));
        // The second authority must not replace the first.
        let trusting = Transport::new().extra_ca(idle_authority()).extra_ca(trusted());
        trusting.proxy(proxy.unwrap_or(ProxyChoice::Off))
    }

    fn lookup(self, names: Names) -> Option<Lookup> {
        let Self { peer, closed } = self;
        let addresses = match names {
            Names::System => return None,
            Names::Peer => vec![peer],
            Names::ClosedThenPeer => vec![closed, peer],
            Names::ManyClosedThenPeer => [vec![closed; 20], vec![peer]].concat(),
            Names::PrivateThenPeer => vec![([10, 0, 0, 7], 80).into(), peer],
            Names::Closed => vec![closed, closed],
            Names::Nothing => Vec::new(),
            Names::Fails => return Some(Box::new(|_, _| Err(io::Error::other("the resolver is ill")))),
        };
        Some(Box::new(move |_, _| Ok(addresses.clone())))
    }
}

/// Checks that a timeout expires at its time, neither earlier nor much later.
fn judge_time(ask: &CaseRequest, came: CaseOutcome, took: Duration) -> Option<String> {
    let limits = &ask.limits;
    let (least, most) = match came {
        CaseOutcome::Fault(FaultKind::Timeout(phase), _) => {
            let limit = match phase {
                Phase::Connect => limits.connect,
                Phase::Head => limits.head,
                Phase::Read => limits.read,
                Phase::Total => limits.total,
            };
            (limit, limit + PROMPT)
        }
        CaseOutcome::Fault(..) | CaseOutcome::Answer(_) | CaseOutcome::TooLarge(_) => {
            (Duration::ZERO, limits.total + SLACK)
        }
    };
    (took < least || took > most).then(|| format!("{came} after {took:?}"))
}

fn judge(ask: &CaseRequest, outcome: &Result<Response<Bytes>, Fault>) -> Vec<String> {
    let mut complaints = Vec::new();
    let came = CaseOutcome::from(outcome);
    if !ask.allowed.contains(&came) {
        complaints.push(format!("{came} ({})", cause(outcome)));
    }
    if let (Err(fault), Some(due)) = (outcome, ask.cause)
        && !cause(outcome).contains(due)
    {
        complaints.push(format!("the cause {:?} does not name {due:?}", fault.source));
    }
    if let Err(fault) = outcome
        && SECRETS.iter().any(|secret| format!("{fault:?} {}", cause(outcome)).contains(secret))
    {
        complaints.push("the fault shows the proxy's credentials".to_owned());
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

/// Checks the pieces of a stream.
fn judge_parts(ask: &CaseRequest, parts: &[Bytes]) -> Option<String> {
    if parts.iter().any(|part| part.is_empty() || part.len() > MAX_PART) {
        let sizes: Vec<usize> = parts.iter().map(Bytes::len).collect();
        return Some(format!("pieces of {sizes:?} bytes"));
    }
    let whole = parts.concat();
    let due = ask.streamed.as_ref().filter(|due| **due != whole)?;
    Some(format!("{} bytes of a stream instead of {}: {:?}", whole.len(), due.len(), &whole[..whole.len().min(80)]))
}

fn cause(outcome: &Result<Response<Bytes>, Fault>) -> String {
    outcome.as_ref().err().and_then(|fault| fault.source.as_ref().map(ToString::to_string)).unwrap_or_default()
}

/// Compares the requests that arrived with those that were sent; each may arrive at most once.
fn judge_requests(asked: &[Request<Bytes>], arrived: &[Received]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut last = 0;
    for received in arrived {
        let number = received.header("x-ask").and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        match number.checked_sub(1).and_then(|at| asked.get(at)) {
            Some(_) if number <= last => complaints.push(format!("request {number} arrived twice, or late")),
            Some(request) => complaints.extend(judge_request(request, received)),
            None => complaints.push(format!("nobody asked for {:?}", received.head)),
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
    if let Some(due) = &case.handshakes
        && *due != log.handshakes
    {
        complaints.push(format!("handshakes {:?} instead of {due:?}", log.handshakes));
    }
    if case.most_written.is_some_and(|most| log.written > most) {
        complaints.push(format!("the client took {} bytes", log.written));
    }
    complaints
}

/// Faults with `Sent::No` of requests of which the peer got some bytes. `bytes`: the number of request bytes that the
/// peer had received before each request, and at the end.
fn lies(seen: &[CaseOutcome], bytes: &[usize]) -> Vec<String> {
    let arrived = bytes.windows(2).map(|pair| pair[1] - pair[0]);
    let unsent =
        seen.iter().zip(arrived).zip(1..).filter(|((came, _), _)| matches!(came, CaseOutcome::Fault(_, Sent::No)));
    unsent
        .filter(|((_, arrived), _)| *arrived > 0)
        .map(|((came, arrived), number)| format!("request {number}: {came}, and the peer saw {arrived} bytes of it"))
        .collect()
}
