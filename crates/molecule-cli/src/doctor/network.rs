//! What can be wrong between this machine and the platform.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use molecule_async::core::proto::UnixTime;
use molecule_async::extend::http::{Method, Response, Uri};
use molecule_async::extend::{Auth, Bytes, Draft, Endpoint, Mismatch, Repeat};
use molecule_async::{Agent, ErrorKind, Result, WorkspaceId};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{Level, Report};
use crate::settings::{Settings, Workspace};

/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);

/// The difference of clocks, in seconds, above which certificates and times are misjudged.
const SKEW: i64 = 60;

/// `GET /health`, which needs no credential. What counts is that a server answers, and what its clock says.
#[derive(Clone)]
struct Probe;

/// What an answer tells.
struct Reached {
    /// The server's clock: the header `Date`.
    date: Option<UnixTime>,
}

impl Endpoint for Probe {
    type Answer = Reached;
    const OPERATION: &'static str = "reach the platform";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "any answer";

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, "/health", Auth::Open))
    }

    fn decode(&self, answer: &Response<Bytes>) -> std::result::Result<Reached, Mismatch> {
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let seconds = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
        Ok(Reached { date: seconds.and_then(|seconds| i64::try_from(seconds).ok()).map(UnixTime::from_secs) })
    }
}

/// Returns whether the platform answers.
pub(super) async fn check(agent: &Agent, settings: &Settings, workspace: &Workspace, report: &mut Report) -> bool {
    match settings.proxy_of(workspace) {
        Some(proxy) => report.add("proxy", Level::Note, format!("requests go through {proxy}")),
        None => {
            if !resolve(workspace.platform(), report).await {
                return false;
            }
        }
    }
    match agent.send(&Probe).await {
        Ok(reached) => {
            report.add("connection", Level::Ok, "the platform answers");
            clock(&reached, report);
            true
        }
        Err(error) => {
            let is_reached = !matches!(
                error.kind(),
                ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::Timeout | ErrorKind::Interrupted
            );
            report.fail(if error.kind() == ErrorKind::Tls { "tls" } else { "connection" }, error);
            is_reached
        }
    }
}

async fn resolve(platform: &str, report: &mut Report) -> bool {
    let uri: Option<Uri> = platform.parse().ok();
    let Some((host, port)) = uri.as_ref().and_then(|uri| Some((uri.host()?, port(uri)))) else { return true };
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = match timeout(RESOLVE, lookup_host((name, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            let message = format!("{name} has no address: {error}");
            report.advise("dns", Level::Fault, message, "check the URL, and this machine's resolver and network");
            report.code = crate::exit::TRY_AGAIN;
            return false;
        }
        Err(_) => {
            let message = format!("the resolver did not answer for {name} within {} s", RESOLVE.as_secs());
            report.advise("dns", Level::Fault, message, "check this machine's resolver and network");
            report.code = crate::exit::TRY_AGAIN;
            return false;
        }
    };
    let (four, six) = (found.iter().filter(|at| at.is_ipv4()).count(), found.iter().filter(|at| at.is_ipv6()).count());
    report.add("dns", Level::Ok, format!("{name} has {four} IPv4 and {six} IPv6 addresses"));
    true
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}

fn clock(reached: &Reached, report: &mut Report) {
    let Some(date) = reached.date else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ahead = i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(date.as_secs());
    if ahead.abs() <= SKEW {
        return report.add("clock", Level::Ok, format!("within {} s of the platform's", ahead.abs().max(1)));
    }
    let how = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!("this machine's clock is {} s {how} the platform's", ahead.abs());
    report.advise(
        "clock",
        Level::Warning,
        message,
        "set it, for example by NTP: certificates and times are judged by it",
    );
}
