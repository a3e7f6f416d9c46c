//! `--health ADDRESS`: `/livez`, `/readyz` and `/metrics`, for those who run the program.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use molecule_async::extend::Bytes;
use molecule_async::{Agent, Health, RateLimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::alive::Alive;
use crate::exit::Failure;
use crate::output::Output;

/// How long a client may take for a request, and for its next one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most connections at once.
const MOST: usize = 32;

/// How old the last good heartbeat of an agent may be that is ready, in seconds: two intervals.
const FRESH: i64 = 60;

/// The agents that run in this process, by their workspaces' names.
#[derive(Clone, Default)]
pub(super) struct Agents(Arc<Mutex<Vec<(String, Alive)>>>);

impl Agents {
    pub(super) fn add(&self, workspace: &str, agent: Agent) {
        self.all().push((workspace.to_owned(), Alive::new(agent)));
    }

    pub(super) fn remove(&self, workspace: &str) {
        self.all().retain(|(name, _)| name != workspace);
    }

    fn all(&self) -> MutexGuard<'_, Vec<(String, Alive)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the process ends.
pub(super) async fn serve(address: &str, agents: Agents, output: &Output) -> Result<(), Failure> {
    let fault = |error| Failure::usage(format!("--health {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let local: SocketAddr = listener.local_addr().map_err(fault)?;
    output.note(&format!("health at http://{local}/readyz"));
    let room = Arc::new(Semaphore::new(MOST));
    tokio::spawn(async move {
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let agents = agents.clone();
                    tokio::spawn(async move {
                        talk(stream, agents).await;
                        drop(permit);
                    });
                }
                // No file descriptor is left, or the client is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(())
}

async fn talk(stream: TcpStream, agents: Agents) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &agents);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(8 * 1024);
    // A client that goes away, or talks no HTTP, is no concern of the agent's.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

fn answer(method: &Method, path: &str, agents: &Agents) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n".to_owned());
    }
    let verdict = |reasons: String| match reasons.is_empty() {
        true => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
        false => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, reasons),
    };
    match path {
        "/livez" => verdict(dead(agents)),
        "/readyz" => verdict(dead(agents) + &unready(agents)),
        "/metrics" => response(StatusCode::OK, METRICS, metrics(agents)),
        _ => response(StatusCode::NOT_FOUND, TEXT, "/livez, /readyz or /metrics\n".to_owned()),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn response(status: StatusCode, content_type: &str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", content_type);
    let response = response.header("cache-control", "no-store").body(Full::new(Bytes::from(body)));
    response.unwrap_or_else(|_| Response::new(Full::default()))
}

fn dead(agents: &Agents) -> String {
    let agents = agents.all();
    let hanging = agents.iter().filter(|(_, alive)| !alive.is_alive());
    hanging.map(|(workspace, _)| format!("{workspace}: the loop does not turn\n")).collect()
}

fn unready(agents: &Agents) -> String {
    agents.all().iter().flat_map(|(workspace, alive)| reasons(workspace, &alive.agent().health(), now())).collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Why an agent is not ready.
fn reasons(workspace: &str, health: &Health, now: i64) -> Vec<String> {
    let mut reasons = Vec::new();
    match health.last_beat {
        None => reasons.push(format!("{workspace}: no good heartbeat yet\n")),
        Some(at) if now - at.as_secs() > FRESH => {
            reasons.push(format!("{workspace}: the last good heartbeat is {} s old\n", now - at.as_secs()));
        }
        Some(_) => {}
    }
    for (what, failures) in [("register", health.register_failures), ("inbox", health.inbox_failures)] {
        if failures > 0 {
            reasons.push(format!("{workspace}: the {what} has failed {failures} times in a row\n"));
        }
    }
    reasons
}

/// A metric: its name, its help, its type, and its value of an agent.
type Metric = (&'static str, &'static str, &'static str, fn(&Health) -> Option<f64>);

const OF_AGENTS: [Metric; 9] = [
    ("molecule_heartbeats_total", "Good heartbeats.", "counter", |health| Some(number(health.counters.beats))),
    ("molecule_requests_total", "Requests that were sent.", "counter", |health| Some(number(health.counters.requests))),
    ("molecule_request_retries_total", "Requests that repeat a failed one.", "counter", |health| {
        Some(number(health.counters.retries))
    }),
    ("molecule_request_failures_total", "Requests without a good answer.", "counter", |health| {
        Some(number(health.counters.failures))
    }),
    ("molecule_sent_bytes_total", "Bytes of request bodies.", "counter", |health| {
        Some(number(health.counters.bytes_sent))
    }),
    ("molecule_received_bytes_total", "Bytes of answer bodies.", "counter", |health| {
        Some(number(health.counters.bytes_received))
    }),
    (
        "molecule_last_good_heartbeat_timestamp_seconds",
        "When the last good heartbeat was answered.",
        "gauge",
        |health| {
            #[allow(clippy::cast_precision_loss)] // Until the year 285 million.
            health.last_beat.map(|at| at.as_secs() as f64)
        },
    ),
    ("molecule_messages_in_handlers", "Messages that are being handled.", "gauge", |health| {
        Some(f64::from(health.handling))
    }),
    ("molecule_rate_limit_remaining", "Requests left in the platform's window.", "gauge", |health| match health.rate {
        Some(RateLimit::Window { remaining: Some(remaining), .. }) => Some(f64::from(remaining.requests)),
        _ => None,
    }),
];

#[allow(clippy::cast_precision_loss)] // What counts so far has other worries.
fn number(count: u64) -> f64 {
    count as f64
}

fn metrics(agents: &Agents) -> String {
    let agents = agents.all();
    let health: Vec<_> = agents.iter().map(|(name, alive)| (name.as_str(), alive.agent().health())).collect();
    let build = format!("molecule_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
    let head = "# HELP molecule_build_info The program's version.\n# TYPE molecule_build_info gauge\n";
    format!("{head}{build}{}", samples(&health))
}

fn samples(agents: &[(&str, Health)]) -> String {
    let mut text = String::new();
    for (name, help, kind, value) in OF_AGENTS {
        let values = agents.iter().filter_map(|(workspace, health)| Some((workspace, value(health)?)));
        let samples = values.fold(String::new(), |mut samples, (workspace, value)| {
            // A text takes whatever is written to it.
            let _ = writeln!(samples, "{name}{{workspace=\"{}\"}} {value}", escaped(workspace));
            samples
        });
        if !samples.is_empty() {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
        }
    }
    text
}

/// Escapes the value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Tells a service manager again and again that all loops turn, if it wants to know (`WATCHDOG_USEC`).
pub(super) fn watch(agents: Agents) {
    let Some(interval) = super::systemd::watchdog() else { return };
    tokio::spawn(async move {
        loop {
            if dead(&agents).is_empty() {
                super::systemd::say("WATCHDOG=1");
            }
            tokio::time::sleep(interval / 2).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_label_is_escaped() {
        assert_eq!(escaped("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
    }
}
