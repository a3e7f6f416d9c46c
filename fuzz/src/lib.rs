//! Drives a machine with arbitrary input from a fuzzer, and checks the invariants that hold for every input.

#![cfg(feature = "machines")]

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use molecule_core::effect::{
    Effect, EffectId, Fault, FaultKind, HostOp, HostResult, LockId, Outcome, Phase, Sent, Stored,
};
use molecule_core::machine::{Cx, MAX_STEPS, Machine, Now, Session, Step};
use molecule_core::{OnPause, Options};
use molecule_proto::{Time, UnixTime};
use zeroize::Zeroizing;

/// The only token and secret in the input, so that any text can be searched for a leaked credential.
pub const TOKEN: &str = "fuzz-token-that-must-never-be-seen";

/// The agent that is fuzzed.
#[derive(Debug, Arbitrary)]
pub struct Setup {
    seed: u64,
    given_token: bool,
    push: bool,
    wait_on_pause: bool,
}

/// One input of a machine.
#[derive(Debug, Arbitrary)]
pub enum Happening {
    /// A request gets an answer with this status. `which` chooses among the effects in flight.
    Answer { which: u8, status: u16, headers: Vec<(Header, String)>, body: Body },
    /// An effect fails.
    Fault { which: u8, sent: bool, kind: u8 },
    /// An operation on the store ends. A slot contains these bytes, if `there` is set.
    Stored { which: u8, bytes: Vec<u8>, there: bool },
    /// The outcome of an effect that was never started arrives.
    Stray { id: u64 },
    /// The clocks move; the calendar clock may move backwards.
    Time { nanos: u64, unix: i32 },
    /// The number modulo 8 decides: 0 requests a stop, 1 an immediate stop, any other value nothing.
    Stop(u8),
    /// The caller cancels the machine.
    Cancel,
}

/// Headers that decisions depend on.
#[derive(Debug, Arbitrary)]
pub enum Header {
    /// `Retry-After`.
    RetryAfter,
    /// `Location`.
    Location,
    /// `Content-Type`.
    ContentType,
    /// `X-RateLimit-Limit`.
    Limit,
    /// `X-RateLimit-Remaining`.
    Remaining,
    /// `X-RateLimit-Reset`.
    Reset,
}

/// Bodies that a server might send, or a proxy in its place.
#[derive(Debug, Arbitrary)]
pub enum Body {
    /// Any bytes.
    Raw(Vec<u8>),
    /// An error body with this text.
    Error(String),
    /// An answer with a status, in the form of register, heartbeat and state.
    Status { word: Word, paused: bool, deleted: bool, token: bool, secret: bool },
}

/// The words of statuses.
#[derive(Debug, Arbitrary)]
#[allow(missing_docs)]
pub enum Word {
    Online,
    Paused,
    Removed,
    Failed,
    Offline,
    Other(String),
}

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
const ORIGIN: &str = "https://platform.example";

impl Body {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Raw(bytes) => bytes.clone().into(),
            Self::Error(text) => serde_json::json!({ "error": text }).to_string().into(),
            Self::Status { word, paused, deleted, token, secret } => {
                let status = match word {
                    Word::Online => "online",
                    Word::Paused => "paused",
                    Word::Removed => "removed",
                    Word::Failed => "failed",
                    Word::Offline => "offline",
                    Word::Other(text) => text,
                };
                let mut body = serde_json::json!({
                    "workspace_id": ID, "id": ID, "status": status, "paused": paused, "deleted": deleted,
                    "kind": "workspace", "generation": 1,
                });
                if *token {
                    body["auth_token"] = TOKEN.into();
                }
                if *secret {
                    body["platform_inbound_secret"] = TOKEN.into();
                }
                body.to_string().into()
            }
        }
    }
}

impl Setup {
    /// The agent's session.
    pub fn session(&self) -> Session {
        let mut options = Options::new(ORIGIN, ID);
        if self.given_token {
            options = options.token(TOKEN);
        }
        if self.push {
            options = options.reported_url("https://agent.example/a2a");
        }
        if self.wait_on_pause {
            options = options.on_pause(OnPause::Wait);
        }
        Session::new(options.build().expect("these options make sense"), self.seed)
    }
}

/// Drives a machine through these inputs.
pub fn drive<M>(mut machine: M, mut session: Session, happenings: Vec<Happening>)
where
    M: Machine,
    M::Output: std::fmt::Debug,
{
    let mut now = Now { mono: Time::from_nanos(1), unix: UnixTime::from_secs(1_795_383_587) };
    let mut under_way: Vec<(EffectId, Kind)> = Vec::new();
    if settle(&mut machine, &mut session, now, &mut under_way) {
        return;
    }
    for happening in happenings {
        let mut cx = Cx { now, session: &mut session };
        match happening {
            Happening::Answer { which, status, headers, body } => {
                let mut answer = Response::new(body.bytes());
                *answer.status_mut() = StatusCode::from_u16(status % 600).unwrap_or(StatusCode::OK);
                for (name, value) in headers {
                    if let Ok(value) = HeaderValue::from_str(&value) {
                        answer.headers_mut().insert(name.name(), value);
                    }
                }
                feed(&mut machine, &mut cx, &mut under_way, which, Outcome::Response(answer));
            }
            Happening::Fault { which, sent, kind } => {
                let sent = if sent { Sent::Maybe } else { Sent::No };
                feed(&mut machine, &mut cx, &mut under_way, which, Outcome::Failed(Fault::new(sent, fault(kind))));
            }
            Happening::Stored { which, bytes, there } => {
                let Some((_, kind)) = pick(&under_way, which) else { continue };
                let outcome = match kind {
                    Kind::Http => continue,
                    Kind::Prepare => HostResult::Prepared,
                    Kind::Load => HostResult::Loaded(there.then(|| Stored::new(Zeroizing::new(bytes), "a file"))),
                    Kind::Replace => HostResult::Replaced,
                    Kind::Append => HostResult::Appended,
                    Kind::SetAside => HostResult::SetAside("elsewhere".to_owned()),
                    Kind::Lock => HostResult::Locked(LockId(1)),
                    Kind::Unlock => HostResult::Unlocked,
                };
                feed(&mut machine, &mut cx, &mut under_way, which, Outcome::Host(outcome));
            }
            Happening::Stray { id } => {
                let id = EffectId(id.saturating_add(1 << 40));
                assert!(
                    machine.feed(&mut cx, id, Outcome::Host(HostResult::Prepared)).is_err(),
                    "it took a stray outcome"
                );
            }
            Happening::Time { nanos, unix } => {
                now.mono = Time::from_nanos(now.mono.as_nanos().saturating_add(nanos));
                now.unix = UnixTime::from_secs(i64::from(unix).saturating_mul(1_000));
            }
            Happening::Stop(number) => {
                if let 0 | 1 = number % 8 {
                    session.raise_stop(number % 8 == 1);
                }
            }
            Happening::Cancel => machine.cancel(&mut cx),
        }
        if settle(&mut machine, &mut session, now, &mut under_way) {
            return;
        }
    }
}

/// The kind of an effect in flight, which determines its outcome.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Http,
    Prepare,
    Load,
    Replace,
    Append,
    SetAside,
    Lock,
    Unlock,
}

/// Polls until the machine is idle or done, and checks each step. Returns whether it is done.
fn settle<M>(machine: &mut M, session: &mut Session, now: Now, under_way: &mut Vec<(EffectId, Kind)>) -> bool
where
    M: Machine,
    M::Output: std::fmt::Debug,
{
    for _ in 0..MAX_STEPS {
        match machine.poll(&mut Cx { now, session }) {
            Step::Start(id, effect) => {
                check_no_credential(&format!("{effect:?}"));
                let kind = match &effect {
                    Effect::Http(request, _) => {
                        check_request(request);
                        Kind::Http
                    }
                    // No body in the input is long enough for this.
                    Effect::Decode(_) => unreachable!("no answer is large"),
                    Effect::Fetch(..) | Effect::Upload(..) | Effect::Host(HostOp::Plugin(_) | HostOp::ReadFile(..)) => {
                        unreachable!("no target installs plugins or sends files")
                    }
                    Effect::Watch(..) | Effect::Handle(_) => unreachable!("no target has an inbox"),
                    Effect::Host(HostOp::Prepare) => Kind::Prepare,
                    Effect::Host(HostOp::Load(_)) => Kind::Load,
                    Effect::Host(HostOp::Replace(..)) => Kind::Replace,
                    Effect::Host(HostOp::Append(..)) => Kind::Append,
                    Effect::Host(HostOp::SetAside(_)) => Kind::SetAside,
                    Effect::Host(HostOp::Lock) => Kind::Lock,
                    Effect::Host(HostOp::Unlock(_)) => Kind::Unlock,
                };
                under_way.push((id, kind));
            }
            Step::Cancel(_) => {}
            Step::Event(event) => check_no_credential(&format!("{event:?}")),
            Step::Idle(wake) => {
                assert!(wake.is_some() || !under_way.is_empty(), "idle for ever");
                assert!(
                    wake.is_none_or(|wake| wake.at > now.mono || now.mono.as_nanos() == u64::MAX),
                    "a wake that has passed"
                );
                return false;
            }
            Step::Done(output) => {
                check_no_credential(&format!("{output:?}"));
                return true;
            }
        }
    }
    panic!("more than {MAX_STEPS} steps without input");
}

fn feed<M: Machine>(
    machine: &mut M,
    cx: &mut Cx<'_>,
    under_way: &mut Vec<(EffectId, Kind)>,
    which: u8,
    outcome: Outcome,
) {
    let Some((id, _)) = pick(under_way, which) else { return };
    check_no_credential(&format!("{outcome:?}"));
    // The machine returns an outcome of the wrong kind, or of an effect that was cancelled; the effect then still needs
    // its outcome.
    if machine.feed(cx, id, outcome).is_ok() {
        under_way.retain(|(other, _)| *other != id);
    }
}

fn pick(under_way: &[(EffectId, Kind)], which: u8) -> Option<(EffectId, Kind)> {
    under_way.get(usize::from(which) % under_way.len().max(1)).copied()
}

/// Checks that the request goes to the platform, and that its bearer is marked sensitive.
fn check_request(request: &Request<Bytes>) {
    assert!(request.uri().to_string().starts_with(ORIGIN), "a request to {}", request.uri());
    if let Some(bearer) = request.headers().get(AUTHORIZATION) {
        assert!(bearer.is_sensitive());
    }
}

fn check_no_credential(text: &str) {
    assert!(!text.contains(TOKEN), "a credential is in {text}");
}

fn fault(number: u8) -> FaultKind {
    match number % 12 {
        0 => FaultKind::Resolve,
        1 => FaultKind::Connect,
        2 => FaultKind::Tls,
        3 => FaultKind::Proxy,
        4 => FaultKind::Timeout(Phase::Head),
        5 => FaultKind::Timeout(Phase::Connect),
        6 => FaultKind::Interrupted,
        7 => FaultKind::Protocol,
        8 => FaultKind::TooLarge,
        9 => FaultKind::Host(std::io::ErrorKind::StorageFull),
        10 => FaultKind::Locked,
        _ => FaultKind::Cancelled,
    }
}

impl Header {
    fn name(&self) -> HeaderName {
        match self {
            Self::RetryAfter => http::header::RETRY_AFTER,
            Self::Location => http::header::LOCATION,
            Self::ContentType => http::header::CONTENT_TYPE,
            Self::Limit => molecule_proto::header::RATE_LIMIT,
            Self::Remaining => molecule_proto::header::RATE_REMAINING,
            Self::Reset => molecule_proto::header::RATE_RESET,
        }
    }
}
