//! The options that an author gives an agent.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use molecule_proto::{AgentCard, Token, TokenError, WorkspaceId, refuse_nul, refuse_nul_in_json};

use crate::config::base_url::{BaseUrl, is_loopback, origin_value};
use crate::config::http_url::HttpUrl;
use crate::config::inbox::InboxOptions;
use crate::config::peer_token::peer_tokens;
use crate::config::proxy::ProxyRule;
use crate::config::route::Route;
use crate::config::{Config, Intervals, Timeouts};
use crate::error::{Error, Result};
use crate::printable::ShownUrl;
use crate::text::remedy::{give_org_id, give_token};

/// The default `User-Agent`. Peers always see this one, whatever name the author gives.
pub(crate) const SDK: &str = concat!("molecule-rust/", env!("CARGO_PKG_VERSION"));

/// The options that an agent is built from. Nothing is checked before [`build`](Self::build), so that the methods can
/// be chained.
///
/// `Debug` shows no credential, and URLs without user info and query.
#[derive(Clone)]
#[must_use = "options change nothing until an agent is built from them"]
pub struct Options {
    platform: String,
    workspace_id: String,
    card: Option<AgentCard>,
    reported_url: Option<String>,
    org_id: Option<String>,
    origin: Option<OriginHeader>,
    token: Option<Result<Token, TokenError>>,
    store_given_token: bool,
    is_store_in_memory: bool,
    intervals: Intervals,
    timeouts: Timeouts,
    on_pause: OnPause,
    stagger: Duration,
    allow_insecure_http: bool,
    user_agent: Option<String>,
    route: Route,
    inbox: InboxOptions,
    peer_tokens: Vec<(String, Result<Token, TokenError>)>,
    transport: Transport,
    ca_file: Option<PathBuf>,
    /// Two options that were given and contradict each other.
    contradiction: Option<[&'static str; 2]>,
}

/// The value of the `Origin` header.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginHeader {
    /// The platform's own origin, which hosted platforms require.
    #[default]
    Derived,
    /// No header.
    Off,
    /// This origin: scheme, host and port, without a path.
    Explicit(String),
}

/// How the loop reacts to a pause of the workspace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnPause {
    /// The loop ends with `Ended::Paused`.
    #[default]
    End,
    /// The loop goes on polling the state, and registers again after a resume.
    Wait,
}

/// How an HTTP client connects. Every agent that uses the same client shares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transport {
    /// Certificate authorities to trust in addition to the built-in ones, each in PEM.
    pub extra_ca: Vec<Vec<u8>>,
    /// The proxy to use.
    pub proxy: Proxy,
}

impl Transport {
    /// Returns the defaults: the built-in certificate authorities, and the proxy of the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts a certificate authority in PEM, in addition to the built-in ones.
    #[must_use]
    pub fn extra_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_ca.push(pem.into());
        self
    }

    /// Sets the proxy to use.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }
}

/// The proxy of `https` requests. Requests to this machine and plain `http` never go through a proxy.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// The one that `HTTPS_PROXY` names, with the exceptions of `NO_PROXY`.
    #[default]
    Environment,
    /// No proxy.
    Off,
    /// The proxy at this URL: `http://[user:password@]host:port`.
    Explicit(String),
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("platform", &ShownUrl(&self.platform))
            .field("workspace_id", &self.workspace_id)
            .field("card", &self.card)
            .field("reported_url", &self.reported_url.as_deref().map(ShownUrl))
            .field("org_id", &self.org_id)
            .field("origin", &self.origin)
            .field("token", &self.token)
            .field("intervals", &self.intervals)
            .field("timeouts", &self.timeouts)
            .field("on_pause", &self.on_pause)
            .field("stagger", &self.stagger)
            .field("allow_insecure_http", &self.allow_insecure_http)
            .field("user_agent", &self.user_agent)
            .field("route", &self.route)
            .field("proxy", &self.transport.proxy)
            .field("extra_ca", &self.transport.extra_ca.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OriginHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Derived => f.write_str("Derived"),
            Self::Off => f.write_str("Off"),
            Self::Explicit(origin) => write!(f, "Explicit({:?})", ShownUrl(origin)),
        }
    }
}

impl Proxy {
    /// Returns the rule for which requests go through a proxy. `var` reads an environment variable.
    ///
    /// # Errors
    /// `Config` if the URL of [`Proxy::Explicit`] is not valid.
    pub fn rule(&self, var: impl Fn(&str) -> Option<String>) -> Result<ProxyRule> {
        let either = |upper: &str| {
            let set = |name: &str| var(name).filter(|value| !value.trim().is_empty());
            set(upper).or_else(|| set(&upper.to_ascii_lowercase()))
        };
        match self {
            Self::Environment => {
                Ok(ProxyRule::from_environment(either("HTTPS_PROXY").as_deref(), either("NO_PROXY").as_deref()))
            }
            Self::Off => Ok(ProxyRule::direct()),
            Self::Explicit(url) => ProxyRule::new(Some(url), None),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Off => "Off",
            Self::Explicit(_) => "Explicit([redacted])",
        })
    }
}

impl Options {
    /// Returns the options of the agent of a workspace. `platform` is the platform's base URL.
    pub fn new(platform: impl Into<String>, workspace_id: impl AsRef<str>) -> Self {
        Self {
            platform: platform.into(),
            workspace_id: workspace_id.as_ref().to_owned(),
            card: None,
            reported_url: None,
            org_id: None,
            origin: None,
            token: None,
            store_given_token: true,
            is_store_in_memory: false,
            intervals: Intervals::default(),
            timeouts: Timeouts::default(),
            on_pause: OnPause::End,
            stagger: Duration::ZERO,
            allow_insecure_http: false,
            user_agent: None,
            route: Route::Auto,
            inbox: InboxOptions::default(),
            peer_tokens: Vec::new(),
            transport: Transport::default(),
            ca_file: None,
            contradiction: None,
        }
    }

    /// Reads the options from environment variables: `MOLECULE_PLATFORM_URL` and `MOLECULE_WORKSPACE_ID` (both
    /// required), and `MOLECULE_WORKSPACE_TOKEN`, `MOLECULE_AGENT_NAME`, `MOLECULE_REPORTED_URL`, `MOLECULE_ORG_ID`,
    /// `MOLECULE_ORIGIN` (`off` sends no `Origin` header) and `MOLECULE_CA_FILE`. An empty variable counts as absent.
    ///
    /// # Errors
    /// `Config` if one of the two required variables is missing.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| set(&var, name);
        let need = |name: &'static str, what: &str| {
            get(name).ok_or_else(|| Error::config(format!("{name} is not set"), format!("set it to {what}")))
        };
        let platform =
            need("MOLECULE_PLATFORM_URL", "the platform's base URL, such as https://your-platform.example.com")?;
        let id = need("MOLECULE_WORKSPACE_ID", "the workspace's id, as the platform shows it")?;
        Ok(Self::new(platform, id).or_vars(var))
    }

    /// Fills the options that were not given from the variables that [`from_vars`](Self::from_vars) reads. Options that
    /// were given stay as they are.
    pub fn or_vars(mut self, var: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| set(&var, name);
        self.token = self.token.or_else(|| get("MOLECULE_WORKSPACE_TOKEN").map(|token| Token::new(&token)));
        self.card = self.card.or_else(|| get("MOLECULE_AGENT_NAME").map(AgentCard::new));
        self.reported_url = self.reported_url.or_else(|| get("MOLECULE_REPORTED_URL"));
        self.org_id = self.org_id.or_else(|| get("MOLECULE_ORG_ID"));
        self.origin = self.origin.or_else(|| {
            get("MOLECULE_ORIGIN").map(|origin| match origin.as_str() {
                "off" => OriginHeader::Off,
                _ => OriginHeader::Explicit(origin),
            })
        });
        if self.transport.extra_ca.is_empty() {
            self.ca_file = get("MOLECULE_CA_FILE").map(PathBuf::from);
        }
        self
    }

    /// Sets the agent's card. Without one, the platform shows the workspace's own name.
    pub fn card(mut self, card: AgentCard) -> Self {
        self.card = Some(card);
        self
    }

    /// Sets the URL at which the platform reaches the agent (push mode). Without one, the agent polls.
    pub fn reported_url(mut self, url: impl Into<String>) -> Self {
        self.reported_url = Some(url.into());
        self
    }

    /// Sets the organisation's id, by which hosted platforms route requests.
    pub fn org_id(mut self, id: impl Into<String>) -> Self {
        self.org_id = Some(id.into());
        self
    }

    /// Sets the value of the `Origin` header.
    pub fn origin(mut self, origin: OriginHeader) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Sets the agent's first token. A register stores it once the platform has accepted it, so that the next start
    /// needs no token. After a 401 the agent tries the stored token instead. A token that is minted or rotated later is
    /// stored and replaces this one.
    pub fn token(mut self, token: impl AsRef<str>) -> Self {
        self.token = Some(Token::given(token.as_ref()));
        self
    }

    /// Sets whether a register stores the [given](Self::token) token once the platform has accepted it; `true` by
    /// default. A token that is minted or rotated is always stored.
    pub fn store_given_token(mut self, store: bool) -> Self {
        self.store_given_token = store;
        self
    }

    /// Says that the agent's store ends with the process, which a loop that receives messages warns of.
    #[doc(hidden)]
    pub fn store_in_memory(mut self, is_in_memory: bool) -> Self {
        self.is_store_in_memory = is_in_memory;
        self
    }

    /// Sets the time between heartbeats: at most 60 s, and at least 1 s unless the platform is on this machine.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.intervals.heartbeat = interval;
        self
    }

    /// Sets the time between polls of the state: at most an hour, and at least 1 s unless the platform is on this
    /// machine.
    pub fn state_interval(mut self, interval: Duration) -> Self {
        self.intervals.state = interval;
        self
    }

    /// Sets the time limits of requests and calls.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how the loop reacts to a pause of the workspace.
    pub fn on_pause(mut self, on_pause: OnPause) -> Self {
        self.on_pause = on_pause;
        self
    }

    /// Makes the loop begin after a random delay of at most this time, so that the agents of one process do not all
    /// register at once. At most an hour; zero by default.
    pub fn stagger(mut self, within: Duration) -> Self {
        self.stagger = within;
        self
    }

    /// Allows plain `http://` to another machine: the token and the secrets then travel in clear.
    pub fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure_http = true;
        self
    }

    /// Sets the `User-Agent` that the platform sees. Peers that are called directly see only the SDK's own name.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = Some(name.into());
        self
    }

    /// Sets the route of calls to peers. A call may name another one for itself.
    pub fn route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// Sets the token that a peer made for this agent, for direct calls of it. It is sent to the URL that the platform shows for that
    /// peer, and to nobody else: not to the platform, not to another peer, and never in clear to another machine. A peer that
    /// refuses it with 401 is called through the platform.
    pub fn peer_token(mut self, peer: impl AsRef<str>, token: impl AsRef<str>) -> Self {
        self.peer_tokens.push((peer.as_ref().to_owned(), Token::new(token.as_ref())));
        self
    }

    /// Sets how messages are received, for a loop with a handler.
    pub fn inbox(mut self, inbox: InboxOptions) -> Self {
        self.inbox = inbox;
        self
    }

    /// Trusts a certificate authority in PEM, in addition to the built-in ones.
    pub fn extra_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.transport.extra_ca.push(pem.into());
        self
    }

    /// Sends `https` requests through this proxy and ignores the environment's.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        if self.transport.proxy == Proxy::Off {
            self.contradiction = Some(["proxy(…)", "no_proxy()"]);
        }
        self.transport.proxy = Proxy::Explicit(url.into());
        self
    }

    /// Sends every request directly and ignores the environment's proxy.
    pub fn no_proxy(mut self) -> Self {
        if matches!(self.transport.proxy, Proxy::Explicit(_)) {
            self.contradiction = Some(["proxy(…)", "no_proxy()"]);
        }
        self.transport.proxy = Proxy::Off;
        self
    }

    /// Checks that these options fit a given client, which was configured when it was made.
    ///
    /// # Errors
    /// `Config` if an option says how the agent's own client connects: it would have no effect.
    pub fn check_given_client(&self) -> Result<()> {
        let Transport { extra_ca, proxy } = &self.transport;
        let option = match proxy {
            _ if !extra_ca.is_empty() => "extra_ca(…)",
            Proxy::Explicit(_) => "proxy(…)",
            Proxy::Off => "no_proxy()",
            Proxy::Environment => return Ok(()),
        };
        Err(Error::config(
            format!("client(…) is given and {option} too, which a client that exists already cannot follow"),
            "leave one of them out, or make the client with this Transport",
        ))
    }

    /// Returns the PEM file that `MOLECULE_CA_FILE` names; the facade reads it. `None` if certificate authorities were
    /// given, or if the variable is not set.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Returns how the agent's own client connects. It has no effect where a client is given.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Checks all options and makes the configuration.
    ///
    /// # Errors
    /// `Config` for the first option that is not valid, with its remedy.
    pub fn build(self) -> Result<Config> {
        let workspace_id: WorkspaceId =
            self.workspace_id.trim().parse().map_err(|error: molecule_proto::IdError| {
                Error::config(error.to_string(), "copy the id from the platform")
            })?;
        if let Some([one, other]) = self.contradiction {
            return Err(Error::config(format!("{one} and {other} contradict each other"), "leave one of them out"));
        }
        let base_url = BaseUrl::parse(&self.platform, self.allow_insecure_http)?;
        check_intervals(self.intervals, &base_url)?;
        check_timeouts(self.timeouts)?;
        self.inbox.check()?;
        if self.stagger > Duration::from_secs(3600) {
            return Err(Error::config("the loop would begin an hour and more late", "stagger over a minute or two"));
        }
        let card = self.card.unwrap_or_default();
        check_card(&card)?;
        let reported_url = self.reported_url.as_deref().map(reported_url).transpose()?;
        let given_token = self.token.transpose().map_err(|error| {
            let shown = "take the token shown when the workspace was created";
            Error::config(error.to_string(), format!("{shown}: {}", give_token()))
        })?;
        let origin = match self.origin.unwrap_or_default() {
            OriginHeader::Derived => Some(origin_value(&base_url.origin())?),
            OriginHeader::Off => None,
            OriginHeader::Explicit(origin) => Some(origin_value(&BaseUrl::parse(&origin, true)?.origin())?),
        };
        let org_id = self.org_id.as_deref().map(org_id_value).transpose()?;
        let user_agent = match &self.user_agent {
            Some(name) => HeaderValue::from_str(name)
                .map_err(|_| Error::config("the user agent is no header value", "use visible ASCII alone"))?,
            None => HeaderValue::from_static(SDK),
        };
        Ok(Config {
            base_url,
            workspace_id,
            card,
            reported_url,
            org_id,
            origin,
            user_agent,
            given_token,
            store_given_token: self.store_given_token,
            is_store_in_memory: self.is_store_in_memory,
            intervals: self.intervals,
            timeouts: self.timeouts,
            on_pause: self.on_pause,
            stagger: self.stagger,
            route: self.route,
            inbox: self.inbox,
            peer_tokens: peer_tokens(self.peer_tokens)?,
        })
    }
}

/// Returns a variable's value, trimmed. An empty one counts as absent.
fn set(var: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn org_id_value(id: &str) -> Result<HeaderValue> {
    let id = id.trim();
    if id.is_empty() || id.len() > 128 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config(
            "the organisation id is not valid",
            format!("copy it from the platform, a UUID: {}", give_org_id()),
        ));
    }
    HeaderValue::from_str(id)
        .map_err(|_| Error::config("the organisation id is no header value", "copy it from the platform"))
}

fn check_intervals(intervals: Intervals, base_url: &BaseUrl) -> Result<()> {
    let floor = if base_url.is_loopback() { Duration::from_millis(1) } else { Duration::from_secs(1) };
    for (name, interval, most) in [
        ("heartbeat", intervals.heartbeat, Duration::from_secs(60)),
        ("state", intervals.state, Duration::from_secs(3600)),
    ] {
        if interval < floor {
            return Err(Error::config(
                format!("the {name} interval is shorter than {floor:?}"),
                "use 30 s; less than 1 s is for tests against this machine",
            ));
        }
        if interval > most {
            return Err(Error::config(
                format!("the {name} interval is longer than {most:?}"),
                "use 30 s: the platform takes an agent for lost after 90 s (April) or 180 s without a beat",
            ));
        }
    }
    Ok(())
}

fn check_timeouts(timeouts: Timeouts) -> Result<()> {
    let Timeouts { connect, answer, read, request, call, peer } = timeouts;
    [("connect", connect), ("answer", answer), ("read", read), ("request", request), ("call", call), ("peer", peer)]
        .into_iter()
        .try_for_each(|(name, limit)| check_limit(name, limit))
}

/// Checks a time limit: more than zero, and at most an hour.
pub(crate) fn check_limit(name: &str, limit: Duration) -> Result<()> {
    if limit.is_zero() || limit > Duration::from_secs(3600) {
        return Err(Error::config(
            format!("the {name} limit is {limit:?}"),
            "give more than nothing and at most an hour",
        ));
    }
    Ok(())
}

/// Refuses a card that the platform cannot store: it would answer 500.
pub(crate) fn check_card(card: &AgentCard) -> Result<()> {
    let text = serde_json::to_string(card)
        .map_err(|_| Error::config("the card is not JSON", "use text keys and finite numbers"))?;
    Ok(refuse_nul_in_json("the card", &text)?)
}

/// Checks the syntax of a URL for push mode. The platform itself refuses more, and its answer says why. Returns the URL;
/// one of this machine gets the path `/` if it has none, since the current server never replaces a stored
/// `http://localhost:<port>` (contract section 4.6).
pub(crate) fn reported_url(text: &str) -> Result<String> {
    let invalid = |cause: &str| {
        Error::config(
            format!("the reported URL {cause}"),
            "give the http(s) URL under which the platform reaches this agent, or none to poll",
        )
    };
    refuse_nul("the reported URL", text)?;
    let url = HttpUrl::read(text).map_err(|error| invalid(&error.to_string()))?;
    if url.has_user_info {
        return Err(invalid("contains user info, which every peer would see"));
    }
    let is_bare = text.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']));
    Ok(if is_bare && is_loopback(&url.host) { format!("{text}/") } else { text.to_owned() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

    fn options() -> Options {
        Options::new("https://your-platform.example.com", ID)
    }

    fn refused(options: Options, part: &str) {
        let error = options.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("; "), "no remedy: {error}");
    }

    #[test]
    fn options_print_no_user_info_no_query_and_no_token() {
        let options = Options::new("https://ada:s3cr3t@host.example/base?key=s3cr3t", ID)
            .reported_url("https://ada:s3cr3t@agent.example/a2a?key=s3cr3t#s3cr3t")
            .origin(OriginHeader::Explicit("https://s3cr3t@ui.example".to_owned()))
            .proxy("http://ada:s3cr3t@proxy.example:3128")
            .token("s3cr3t");
        let printed = format!("{options:?}");
        assert!(!printed.contains("s3cr3t") && !printed.contains("ada"), "{printed}");
        for shown in ["https://host.example/base", "https://agent.example/a2a", "https://ui.example", ID] {
            assert!(printed.contains(shown), "{printed}");
        }
        let config = Options::new("https://host.example", ID).reported_url("https://agent.example/a2a?key=s3cr3t");
        let printed = format!("{:?}", config.build().unwrap());
        assert!(!printed.contains("s3cr3t") && printed.contains("https://agent.example/a2a"), "{printed}");
    }

    #[test]
    fn each_option_that_makes_no_sense_is_named() {
        refused(Options::new("https://host.example", "../../etc"), "workspace id");
        refused(Options::new("remote://host.example", ID), "scheme");
        refused(options().reported_url("remote://no-inbound"), "reported URL");
        refused(options().reported_url("https://u:p@agent.example"), "user info");
        refused(options().reported_url("https://agent.example/\0"), "reported URL");
        refused(options().reported_url("https://agent.example:80800/a2a"), "port from 1 to 65535");
        refused(options().reported_url("https://u:p#x@agent.example"), "%23");
        refused(
            options().origin(OriginHeader::Explicit("https://ui.example:8080x".to_owned())),
            "port from 1 to 65535",
        );
        refused(options().token("ROTATE_TO_REVEAL_TOKEN"), "placeholder");
        refused(options().token(" "), "empty");
        refused(options().token("Bearer abc"), "`Bearer ` around it");
        refused(options().token("\"abc\""), "quotes around it");
        refused(options().token("MOLECULE_WORKSPACE_TOKEN=abc"), "`KEY=` around it");
        refused(options().org_id("two words"), "organisation");
        refused(options().origin(OriginHeader::Explicit("nonsense".to_owned())), "platform URL");
        refused(options().user_agent("a\nb"), "user agent");
        refused(options().heartbeat_interval(Duration::from_millis(999)), "heartbeat interval");
        refused(options().heartbeat_interval(Duration::from_secs(61)), "heartbeat interval");
        refused(options().state_interval(Duration::ZERO), "state interval");
        refused(options().timeouts(Timeouts::default().call(Duration::ZERO)), "call limit");
        refused(options().stagger(Duration::from_secs(3601)), "an hour");
        refused(options().card(AgentCard::new("nul \0 inside")), "U+0000");
    }

    #[test]
    fn short_intervals_are_for_this_machine() {
        let options = Options::new("http://127.0.0.1:9", ID).heartbeat_interval(Duration::from_millis(50));
        assert!(options.build().is_ok());
    }

    #[test]
    fn the_origin_is_derived_off_or_explicit() {
        let origin = |options: Options| options.build().unwrap().origin.map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(origin(options()).as_deref(), Some("https://your-platform.example.com"));
        assert_eq!(origin(options().origin(OriginHeader::Off)), None);
        let explicit = OriginHeader::Explicit("https://UI.example.com:443/path/".to_owned());
        assert_eq!(origin(options().origin(explicit)).as_deref(), Some("https://ui.example.com"));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        refused(options().proxy("http://proxy.example:3128").no_proxy(), "proxy(…) and no_proxy() contradict");
        refused(options().no_proxy().proxy("http://proxy.example:3128"), "proxy(…) and no_proxy() contradict");
        for (options, option) in [
            (options().proxy("http://proxy.example:3128"), "proxy(…)"),
            (options().no_proxy(), "no_proxy()"),
            (options().extra_ca("PEM"), "extra_ca(…)"),
        ] {
            let error = options.check_given_client().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&format!("client(…) is given and {option} too")), "{error}");
        }
        assert!(options().check_given_client().is_ok());
    }

    #[test]
    fn variables_fill_what_was_not_said() {
        let vars = |name: &str| Some(format!("https://{}.example", name.to_lowercase().replace('_', "-")));
        let said = options().card(AgentCard::new("said")).reported_url("https://said.example").org_id("said");
        let said = said.token("said").origin(OriginHeader::Off).or_vars(vars).build().unwrap();
        assert_eq!(said.card.name.as_deref(), Some("said"));
        assert_eq!(said.reported_url.as_deref(), Some("https://said.example"));
        assert_eq!((said.org_id.unwrap(), said.given_token.unwrap().expose()), ("said".parse().unwrap(), "said"));
        assert_eq!(said.origin, None);
        let filled = options().or_vars(vars).build().unwrap();
        assert_eq!(filled.card.name.as_deref(), Some("https://molecule-agent-name.example"));
        assert_eq!(filled.reported_url.as_deref(), Some("https://molecule-reported-url.example"));
        assert_eq!(filled.org_id.unwrap(), "https://molecule-org-id.example");
        assert_eq!(filled.given_token.unwrap().expose(), "https://molecule-workspace-token.example");
        assert_eq!(filled.origin.unwrap(), "https://molecule-origin.example");
        assert_eq!(filled.workspace_id.as_str(), ID, "what the builder is given is said");
    }

    #[test]
    fn a_file_of_authorities_is_named_by_a_variable_unless_authorities_are_given() {
        let vars = |name: &str| (name == "MOLECULE_CA_FILE").then(|| " /etc/ssl/inside.pem ".to_owned());
        assert_eq!(options().or_vars(vars).ca_file(), Some(Path::new("/etc/ssl/inside.pem")));
        assert_eq!(options().extra_ca("PEM").or_vars(vars).ca_file(), None);
        assert_eq!(options().or_vars(|_| Some(" ".to_owned())).ca_file(), None);
        assert_eq!(options().ca_file(), None);
    }

    #[test]
    fn variables_make_the_same_options() {
        let vars = |name: &str| {
            let value = match name {
                "MOLECULE_PLATFORM_URL" => "https://your-platform.example.com",
                "MOLECULE_WORKSPACE_ID" => ID,
                "MOLECULE_WORKSPACE_TOKEN" => "tok",
                "MOLECULE_AGENT_NAME" => "named",
                "MOLECULE_REPORTED_URL" => "https://agent.example/a2a",
                "MOLECULE_ORG_ID" => "11111111-2222-4333-8444-555555555555",
                "MOLECULE_ORIGIN" => "off",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = Options::from_vars(vars).unwrap().build().unwrap();
        assert_eq!(config.card.name.as_deref(), Some("named"));
        assert_eq!(config.reported_url.as_deref(), Some("https://agent.example/a2a"));
        assert_eq!(config.given_token.unwrap().expose(), "tok");
        assert_eq!(config.org_id.unwrap(), "11111111-2222-4333-8444-555555555555");
        assert_eq!(config.origin, None);
        let error = Options::from_vars(|_| None).unwrap_err();
        assert!(error.to_string().contains("MOLECULE_PLATFORM_URL is not set"), "{error}");
    }
}
