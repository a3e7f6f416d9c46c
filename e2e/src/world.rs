//! The world of a scenario: a platform on a loopback port, and a home for agents.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use http::Response;
use molecule_core::proto::{Token, WorkspaceId};
use molecule_host::Storage;
use molecule_platform::serve::{self, Action, RuleId, Seen};
use molecule_platform::{Config, Now, Platform, Server};

use crate::facade::{Agent, Facade, Setup};
use crate::home::Home;
use crate::log::PATIENCE;

/// The endings of the paths that scenarios look for.
pub mod route {
    /// `POST /registry/register`.
    pub const REGISTER: &str = "/registry/register";
    /// `POST /registry/heartbeat`.
    pub const HEARTBEAT: &str = "/registry/heartbeat";
    /// `GET /workspaces/:id/state`.
    pub const STATE: &str = "/state";
    /// `GET /workspaces/:id/secrets/values`.
    pub const SECRETS: &str = "/secrets/values";
    /// `GET /workspaces/:id/plugins/:name/download`.
    pub const DOWNLOAD: &str = "/download";
    /// `POST /workspaces/:id/a2a`.
    pub const A2A: &str = "/a2a";
    /// `POST /workspaces/:id/delegate`.
    pub const DELEGATE: &str = "/delegate";
    /// `GET /workspaces/:id/pending-uploads/:file_id/content`.
    pub const PENDING_UPLOAD: &str = "/content";
    /// `POST /workspaces/:id/pending-uploads/:file_id/ack`.
    pub const ACK_UPLOAD: &str = "/ack";
    /// `POST /workspaces/:id/chat/uploads`.
    pub const UPLOAD: &str = "/chat/uploads";
    /// `GET /workspaces/:id/events/stream`.
    pub const STREAM: &str = "/events/stream";
    /// `POST /workspaces/:id/notify`.
    pub const NOTIFY: &str = "/notify";
    /// `GET /workspaces/:id/activity`.
    pub const FEED: &str = "/activity";
}

/// One platform, and the home of its agents.
#[derive(Debug)]
pub struct World {
    facade: Facade,
    server: Server,
    home: Home,
}

impl World {
    /// Starts a platform with this configuration on a free port.
    ///
    /// # Panics
    /// If there is no free loopback port.
    pub fn new(facade: Facade, config: Config) -> Self {
        let server = serve::serve(config, "127.0.0.1:0").expect("a loopback port is free");
        Self { facade, server, home: Home::new() }
    }

    /// The home directory of the agents.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The platform's base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Reads the platform's model, or acts as the owner of a workspace.
    pub fn platform<T>(&self, act: impl FnOnce(&mut Platform, Now) -> T) -> T {
        self.server.with(act)
    }

    /// Creates a workspace without a URL: its token is shown to the owner, and nobody can mint another.
    pub fn workspace(&self) -> (WorkspaceId, Token) {
        self.platform(|platform, now| platform.create_workspace(now, "scenario"))
    }

    /// Creates a workspace with a URL: the first register mints its token.
    ///
    /// # Panics
    /// If the platform refuses the URL, which it does not do.
    pub fn open_workspace(&self) -> WorkspaceId {
        let created =
            self.platform(|platform, now| platform.create_workspace_at(now, "scenario", "https://agent.example/a2a"));
        created.expect("the URL is public")
    }

    /// The options of an agent of this workspace.
    pub fn setup(&self, id: &WorkspaceId) -> Setup {
        self.setup_for(id.as_str())
    }

    /// The options of an agent, with the workspace's id as an author wrote it.
    pub fn setup_for(&self, id: &str) -> Setup {
        Setup::new(self.facade, self.url(), id, Storage::Dir(self.home.path().to_owned()))
    }

    /// Builds an agent of this workspace.
    ///
    /// # Panics
    /// If it cannot be built.
    pub fn agent(&self, id: &WorkspaceId) -> Agent {
        self.setup(id).build().expect("the setup makes sense")
    }

    /// Registers two agents that may talk: one that sends, and one that is called at this URL.
    ///
    /// # Panics
    /// If they cannot register.
    pub fn pair(&self, url: &str) -> (Agent, Agent) {
        let [sender, receiver] =
            ["alpha", "beta"].map(|name| self.platform(|platform, now| platform.create_workspace(now, name)));
        let sender = self.setup(&sender.0).token(&sender.1).build().expect("the setup makes sense");
        let receiver =
            self.setup(&receiver.0).token(&receiver.1).reported_url(url).build().expect("the setup makes sense");
        for agent in [&sender, &receiver] {
            agent.register().expect("the platform takes both in");
        }
        (sender, receiver)
    }

    /// Posts a body with a bearer; returns the status and the answer.
    ///
    /// # Panics
    /// If the platform does not answer in time.
    pub fn post(&self, path: &str, token: &Token, content_type: &str, body: &[u8]) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(self.server.addr()).expect("the platform listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let (bearer, length) = (token.expose(), body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("the platform reads it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the platform answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// The requests on a route so far.
    pub fn requests(&self, route: &str) -> Vec<Seen> {
        let mut requests = self.server.requests();
        requests.retain(|seen| seen.path.ends_with(route));
        requests
    }

    /// The number of requests on a route so far.
    pub fn count(&self, route: &str) -> usize {
        self.requests(route).len()
    }

    /// Waits until there were `count` requests on a route.
    ///
    /// # Panics
    /// If they do not come within [`PATIENCE`].
    pub fn wait_for_count(&self, route: &str, count: usize) {
        self.wait_for_requests(&format!("{count} requests for {route}"), |requests| {
            requests.iter().filter(|seen| seen.path.ends_with(route)).count() >= count
        });
    }

    /// Waits until `more` further requests came on a route.
    ///
    /// # Panics
    /// If they do not come within [`PATIENCE`].
    pub fn wait_for_more(&self, route: &str, more: usize) {
        self.wait_for_count(route, self.count(route) + more);
    }

    /// Waits until `such` holds for the requests so far.
    ///
    /// # Panics
    /// If it does not hold within [`PATIENCE`].
    pub fn wait_for_requests(&self, what: &str, such: impl FnMut(&[Seen]) -> bool) {
        let came = self.server.wait_for(such, PATIENCE);
        assert!(came, "{what} did not come within {PATIENCE:?}; these did: {:#?}", self.told());
    }

    /// Waits until `such` holds for the platform.
    ///
    /// # Panics
    /// If it does not hold within [`PATIENCE`].
    pub fn wait_until(&self, what: &str, such: impl FnMut(&Platform) -> bool) {
        let came = self.server.wait_until(such, PATIENCE);
        assert!(came, "{what} was not so within {PATIENCE:?} after these requests: {:#?}", self.told());
    }

    /// Cuts all event streams in the middle of their bodies, and returns how many there were.
    pub fn cut_streams(&self) -> usize {
        self.server.cut_streams()
    }

    /// Waits until an event stream of the agent is open.
    ///
    /// # Panics
    /// If it does not come within [`PATIENCE`].
    pub fn wait_for_stream(&self, id: &WorkspaceId) {
        self.wait_until("an open event stream", |platform| platform.open_streams(id) > 0);
    }

    /// The texts of the notices in the chat, the oldest first, each as often as it stands there.
    pub fn notices(&self, id: &WorkspaceId) -> Vec<String> {
        self.platform(|platform, _| {
            let rows = platform.activity(id).into_iter().rev().filter(|row| row.is_notice());
            let text = |body: &serde_json::Value| body["result"].as_str().unwrap_or_default().to_owned();
            rows.filter_map(|row| row.response_body.as_ref().map(text)).collect()
        })
    }

    /// Delays requests on a route until the rule ends; the platform does not get them before that.
    pub fn stall(&self, route: &str) -> RuleGuard<'_> {
        self.rule(route, Action::Stall)
    }

    /// Applies an action to requests on a route.
    pub fn rule(&self, route: &str, action: Action) -> RuleGuard<'_> {
        self.inject(serve::Rule::path_suffix(route, action))
    }

    /// Applies a rule.
    pub fn inject(&self, rule: serve::Rule) -> RuleGuard<'_> {
        RuleGuard { server: &self.server, id: self.server.inject(rule) }
    }

    /// Closes the connection instead of sending an answer, for this many requests on a route.
    pub fn lose_answer(&self, times: u32, route: &str) -> RuleGuard<'_> {
        self.inject(serve::Rule::path_suffix(route, Action::CloseAfter).times(times))
    }

    /// Answers requests on a route instead of the platform.
    ///
    /// # Panics
    /// If a header or the status is invalid.
    pub fn answer(&self, route: &str, status: u16, headers: &[(&str, &str)], body: &'static str) -> RuleGuard<'_> {
        self.rule(route, Action::Answer(scripted(status, headers, body)))
    }

    /// The same for this many requests.
    ///
    /// # Panics
    /// If a header or the status is invalid.
    pub fn answer_times(
        &self,
        times: u32,
        route: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> RuleGuard<'_> {
        let answer = scripted(status, headers, body);
        self.inject(serve::Rule::path_suffix(route, Action::Answer(answer)).times(times))
    }

    /// The requests so far, as text for a failed assertion.
    fn told(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().map(|seen| format!("{} {} -> {:?}", seen.method, seen.path, seen.status)).collect()
    }
}

fn scripted(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<Bytes> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Bytes::from_static(body.as_bytes())).expect("status and headers are valid")
}

/// A rule for requests on a route; dropping it ends it, and releases the requests that it delayed.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct RuleGuard<'a> {
    server: &'a Server,
    id: RuleId,
}

impl RuleGuard<'_> {
    /// Ends the rule.
    pub fn end(self) {}
}

impl Drop for RuleGuard<'_> {
    fn drop(&mut self) {
        self.server.release(self.id);
    }
}
