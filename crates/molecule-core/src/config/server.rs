//! The options of the inbound A2A server.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use molecule_proto::{Token, WorkspaceId};

use crate::config::http_url::{HttpUrl, bare_host};
use crate::config::inbox::{within, within_time};
use crate::config::options::reported_url;
use crate::error::{Error, Result};
use crate::printable::ShownUrl;

/// What an inbound A2A server does: where it listens, what it registers, and how much it takes.
///
/// ```
/// use molecule_core::ServerOptions;
/// let own_machine = ServerOptions::new(); // 127.0.0.1, any free port
/// let behind_a_proxy = ServerOptions::new().bind("127.0.0.1:8080").url("https://agent.example.com/a2a");
/// let whole_network = ServerOptions::new().bind("0.0.0.0:8080");
/// assert!(own_machine.check().is_ok() && behind_a_proxy.check().is_ok());
/// assert!(whole_network.check().is_err()); // it needs the URL under which the platform reaches it
/// ```
///
/// `Debug` shows no token, and URLs without their query.
#[derive(Clone)]
#[must_use = "options do nothing until a server is started with them"]
pub struct ServerOptions {
    bind: String,
    url: Option<String>,
    pub(crate) allow_unauthenticated: bool,
    peer_tokens: Vec<(String, Token)>,
    bad_token: Option<String>,
    pub(crate) look_up_senders: bool,
    pub(crate) task_mode: bool,
    tls: Option<(PathBuf, PathBuf)>,
    pub(crate) limits: ServerLimits,
    pub(crate) drain: Duration,
}

/// The limits of an inbound A2A server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The most bytes of a request's head, 1 KiB to 1 MiB; 16 KiB by default.
    pub head_bytes: usize,
    /// The time in which a head must have come, counted from the connection or from the head's first byte, 0.1 s to 1 h;
    /// 5 s by default.
    pub head_time: Duration,
    /// The most bytes of a request's body, 1 KiB to 1 GiB; 16 MiB by default, as much as the platform passes on.
    pub body_bytes: usize,
    /// The longest wait for the next bytes of a body, and for the reader of an answer to take some, 0.1 s to 1 h; 10 s by default.
    pub body_gap: Duration,
    /// The time in which a body must have come, from [`body_gap`](Self::body_gap) to 1 h; 60 s by default.
    pub body_time: Duration,
    /// The most bytes of a form with files that the platform hands over, 1 KiB to 64 GiB; 100 MiB by default. A form has at
    /// most 64 files.
    pub upload_bytes: usize,
    /// The time in which such a form must have come, from [`body_gap`](Self::body_gap) to 24 h; 10 min by default.
    pub upload_time: Duration,
    /// The most bytes of an answer, 1 KiB to 1 GiB; 64 MiB by default, as much as the platform takes.
    pub answer_bytes: usize,
    /// The most connections, 1 to 1,000,000; 512 by default.
    pub connections: usize,
    /// The most connections of one address, 1 to [`connections`](Self::connections); 64 by default.
    pub connections_per_address: usize,
    /// How long a connection may be idle between two requests, 1 s to 24 h; 15 min by default. The platform keeps its
    /// idle connections for ever, and a close that crosses its next message delays or loses it.
    pub idle: Duration,
    /// The most handlers that run at the same time, 1 to 100,000; 64 by default.
    pub handlers: usize,
    /// The most messages that wait for a handler, 0 to 100,000; 256 by default.
    pub queue: usize,
    /// The most bytes of bodies that are in memory over all connections, those of messages that wait for a handler or are
    /// handled included, from [`body_bytes`](Self::body_bytes) on; 64 MiB
    /// by default.
    pub body_budget: usize,
    /// The most answers that are kept for resends, 1 to 1,000,000; 10,000 by default.
    pub kept_answers: usize,
    /// The most bytes of these answers, 1 KiB to 32 MiB; 16 MiB by default.
    pub kept_bytes: usize,
    /// The most tasks that are kept, 1 to 1,000,000; 1,000 by default.
    pub tasks: usize,
    /// How long a task is kept after its last change, 1 s to 30 days; 1 h by default.
    pub task_age: Duration,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
const HOUR: Duration = Duration::from_secs(3600);

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * KIB,
            head_time: Duration::from_secs(5),
            body_bytes: 16 * MIB,
            body_gap: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            upload_bytes: 100 * MIB,
            upload_time: Duration::from_secs(600),
            answer_bytes: 64 * MIB,
            connections: 512,
            connections_per_address: 64,
            idle: Duration::from_secs(15 * 60),
            handlers: 64,
            queue: 256,
            body_budget: 64 * MIB,
            kept_answers: 10_000,
            kept_bytes: 16 * MIB,
            tasks: 1_000,
            task_age: HOUR,
        }
    }
}

impl ServerLimits {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<()> {
        let tenth = Duration::from_millis(100);
        within("the limit of a head", self.head_bytes, KIB, MIB)?;
        within_time("the time for a head", self.head_time, tenth, HOUR)?;
        within("the limit of a body", self.body_bytes, KIB, GIB)?;
        within_time("the wait for the next bytes of a body", self.body_gap, tenth, HOUR)?;
        within_time("the time for a body", self.body_time, self.body_gap, HOUR)?;
        within("the limit of a form with files", self.upload_bytes, KIB, 64 * GIB)?;
        within_time("the time for a form with files", self.upload_time, self.body_gap, 24 * HOUR)?;
        within("the limit of an answer", self.answer_bytes, KIB, GIB)?;
        within("the number of connections", self.connections, 1, 1_000_000)?;
        within("the number of connections of an address", self.connections_per_address, 1, self.connections)?;
        within_time("the time of an idle connection", self.idle, Duration::from_secs(1), 24 * HOUR)?;
        within("the number of handlers", self.handlers, 1, 100_000)?;
        within("the number of waiting messages", self.queue, 0, 100_000)?;
        within("the budget of bodies", self.body_budget, self.body_bytes, 64 * GIB)?;
        within("the number of kept answers", self.kept_answers, 1, 1_000_000)?;
        within("the bytes of kept answers", self.kept_bytes, KIB, 32 * MIB)?;
        within("the number of tasks", self.tasks, 1, 1_000_000)?;
        within_time("the age of a task", self.task_age, Duration::from_secs(1), 30 * 24 * HOUR)
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:0".to_owned(),
            url: None,
            allow_unauthenticated: false,
            peer_tokens: Vec::new(),
            bad_token: None,
            look_up_senders: true,
            task_mode: false,
            tls: None,
            limits: ServerLimits::default(),
            drain: Duration::from_secs(30),
        }
    }
}

impl ServerOptions {
    /// Returns the defaults: 127.0.0.1, any free port.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address and the port on which the server listens, such as `0.0.0.0:8080`, `127.0.0.1:0`, `[::1]:0` or
    /// `localhost:8080`. Port 0 takes any that is free.
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// Sets the URL that is registered, with any path: the server serves calls at exactly this path. By default it is
    /// `http://localhost:<port>/`, for a server that listens on this machine alone; any other needs a URL.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Serves calls without a credential, as long as the platform has announced no inbound secret: April's server has
    /// none. It is refused for a server that listens beyond this machine.
    pub fn allow_unauthenticated(mut self) -> Self {
        self.allow_unauthenticated = true;
        self
    }

    /// Adds the bearer with which a peer calls this agent directly, past the platform. Its messages are from that peer.
    /// The token has at least 16 visible ASCII characters; both agents' owners agree on it.
    pub fn peer_token(mut self, peer: impl AsRef<str>, token: impl Into<String>) -> Self {
        match Token::given(&token.into()) {
            Ok(token) => self.peer_tokens.push((peer.as_ref().trim().to_owned(), token)),
            Err(error) => self.bad_token = Some(error.to_string()),
        }
        self
    }

    /// Sets whether the sender of a pushed message is looked up in the agent's own feed; yes by default. Without it every
    /// sender is [`Unknown`](crate::Sender::Unknown) that is neither a direct peer nor told by a marker of the platform. Then
    /// a peer's message that the inbox handled before a restart is handled once more if it is pushed after that: the
    /// journal knows it by its sender.
    pub fn look_up_senders(mut self, look_up: bool) -> Self {
        self.look_up_senders = look_up;
        self
    }

    /// Answers with tasks, to which a caller can send further messages, in place of messages.
    pub fn task_mode(mut self) -> Self {
        self.task_mode = true;
        self
    }

    /// Has the server speak TLS itself, with the certificate and the private key in these files, each in PEM; the certificates
    /// of its authorities stand behind its own. They are read again when they are renewed. By default the server speaks plain
    /// HTTP, and a proxy before it ends TLS.
    pub fn tls(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificates.into(), key.into()));
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long a stop waits for handlers that run; at most 1 h, 30 s by default.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Returns the files of the certificates and of the key, if the server speaks TLS.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls.as_ref().map(|(certificates, key)| (&**certificates, &**key))
    }

    /// Returns the limits.
    pub fn limits_in_force(&self) -> &ServerLimits {
        &self.limits
    }

    /// Returns how long a stop waits for handlers that run.
    pub fn drain_limit(&self) -> Duration {
        self.drain
    }

    /// Checks the options, and returns the address to listen on.
    ///
    /// # Errors
    /// `Config` with the cause and the remedy.
    pub fn check(&self) -> Result<SocketAddr> {
        let address = self.address()?;
        let is_loopback = address.ip().is_loopback();
        if let Some(why) = &self.bad_token {
            return Err(Error::config(format!("the token of a peer is refused: {why}"), TOKEN_REMEDY));
        }
        self.peers()?;
        self.limits.check()?;
        within_time("the limit of the drain", self.drain, Duration::ZERO, HOUR)?;
        if self.allow_unauthenticated && !is_loopback {
            return Err(Error::config(
                "allow_unauthenticated() was given for a server that other machines reach",
                "listen on 127.0.0.1, or leave allow_unauthenticated() out",
            ));
        }
        match &self.url {
            Some(url) => self.check_url(url)?,
            None if is_loopback => {}
            None => {
                return Err(Error::config(
                    "a server that listens beyond this machine has no URL to register",
                    "give url(…) with the URL under which the platform reaches it",
                ));
            }
        }
        Ok(address)
    }

    /// Returns the URL to register, for a server that listens on this address.
    pub fn url_at(&self, local: SocketAddr) -> String {
        match &self.url {
            Some(url) => reported_url(url).unwrap_or_else(|_| url.clone()),
            None => format!("http://localhost:{}/", local.port()),
        }
    }

    /// The tokens of direct peers.
    pub(crate) fn peers(&self) -> Result<Vec<(WorkspaceId, Token)>> {
        let mut peers: Vec<(WorkspaceId, Token)> = Vec::with_capacity(self.peer_tokens.len());
        for (id, token) in &self.peer_tokens {
            let id: WorkspaceId = id.parse().map_err(|_| {
                Error::config(
                    "a token was given for a peer whose id is no UUID",
                    "use the id that the list of peers shows",
                )
            })?;
            if token.expose().len() < SHORTEST_TOKEN {
                let cause = format!("the token of peer {id} is shorter than {SHORTEST_TOKEN} characters");
                return Err(Error::config(cause, TOKEN_REMEDY));
            }
            if peers.iter().any(|(_, other)| other == token) {
                return Err(Error::config(format!("the token of peer {id} is also another's"), TOKEN_REMEDY));
            }
            peers.push((id, token.clone()));
        }
        Ok(peers)
    }

    fn address(&self) -> Result<SocketAddr> {
        let text = self.bind.trim();
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        local.map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).or_else(|| text.parse().ok()).ok_or_else(
            || {
                Error::config(
                    "the address to listen on is no IP address with a port",
                    "write it as 127.0.0.1:0, 0.0.0.0:8080 or [::1]:8080",
                )
            },
        )
    }

    fn check_url(&self, url: &str) -> Result<()> {
        reported_url(url)?;
        let invalid = |cause: &str, remedy: &str| Err(Error::config(format!("the URL of the server {cause}"), remedy));
        let Ok(read) = HttpUrl::read(url) else { return invalid("is not a valid URL", "give an http(s) URL") };
        if read.has_fragment {
            return invalid("contains a fragment, which no request carries", "leave the part behind # out");
        }
        let is_local_address = match bare_host(&read.host).parse() {
            Ok(IpAddr::V4(address)) => address.is_loopback(),
            Ok(IpAddr::V6(address)) => address == Ipv6Addr::LOCALHOST,
            Err(_) => false,
        };
        if is_local_address && !self.allow_unauthenticated {
            return invalid(
                "names this machine by an address, to which the platform sends no credential",
                "write localhost in place of the address",
            );
        }
        Ok(())
    }
}

const SHORTEST_TOKEN: usize = 16;

const TOKEN_REMEDY: &str = "give each peer a random token of its own, such as 43 characters of base64";

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("bind", &self.bind)
            .field("url", &self.url.as_deref().map(ShownUrl))
            .field("allow_unauthenticated", &self.allow_unauthenticated)
            .field("peers", &self.peer_tokens.len())
            .field("look_up_senders", &self.look_up_senders)
            .field("task_mode", &self.task_mode)
            .field("limits", &self.limits)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
