//! A platform on a loopback port, a home for agents, and what happens between the two.

use bytes::Bytes;
use http::Response;
use molecule_core::proto::{Token, WorkspaceId};
use molecule_host::Storage;
use molecule_platform::serve::{self, Action, RuleId, Seen};
use molecule_platform::{Config, Now, Platform, Server};

use crate::facade::{Agent, Facade, Setup};
use crate::home::Home;
use crate::log::PATIENCE;

/// The ends of the routes that scenarios look at.
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
}

/// One platform and the agents that know it.
#[derive(Debug)]
pub struct World {
    facade: Facade,
    server: Server,
    home: Home,
}

impl World {
    /// A platform that is set up like this, on a port of its own.
    ///
    /// # Panics
    /// If there is no free loopback port.
    pub fn new(facade: Facade, config: Config) -> Self {
        let server = serve::serve(config, "127.0.0.1:0").expect("a loopback port is free");
        Self { facade, server, home: Home::new() }
    }

    /// Where the agents keep their files.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The platform's base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Looks at the platform, or acts as its owner.
    pub fn platform<T>(&self, act: impl FnOnce(&mut Platform, Now) -> T) -> T {
        self.server.with(act)
    }

    /// A workspace as its owner makes it: without a URL, so that its token is shown and nobody can mint another.
    pub fn workspace(&self) -> (WorkspaceId, Token) {
        self.platform(|platform, now| platform.create_workspace(now, "scenario"))
    }

    /// A workspace that was made with a URL: the first register mints its token.
    ///
    /// # Panics
    /// If the platform refuses the URL, which it does not.
    pub fn open_workspace(&self) -> WorkspaceId {
        let created =
            self.platform(|platform, now| platform.create_workspace_at(now, "scenario", "https://agent.example/a2a"));
        created.expect("the URL is public")
    }

    /// An agent of a workspace, to be set up.
    pub fn setup(&self, id: &WorkspaceId) -> Setup {
        self.setup_for(id.as_str())
    }

    /// An agent of a workspace with an id as an author wrote it.
    pub fn setup_for(&self, id: &str) -> Setup {
        Setup::new(self.facade, self.url(), id, Storage::Dir(self.home.path().to_owned()))
    }

    /// An agent of a workspace.
    ///
    /// # Panics
    /// If it cannot be built.
    pub fn agent(&self, id: &WorkspaceId) -> Agent {
        self.setup(id).build().expect("the setup makes sense")
    }

    /// Two registered agents that may talk: one that sends, and one that is called at this URL.
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

    /// The requests for a route so far.
    pub fn requests(&self, route: &str) -> Vec<Seen> {
        let mut requests = self.server.requests();
        requests.retain(|seen| seen.path.ends_with(route));
        requests
    }

    /// How many requests for a route there were so far.
    pub fn count(&self, route: &str) -> usize {
        self.requests(route).len()
    }

    /// Waits until there were so many requests for a route.
    ///
    /// # Panics
    /// If they do not come within [`PATIENCE`].
    pub fn wait_for_count(&self, route: &str, count: usize) {
        self.wait_for_requests(&format!("{count} requests for {route}"), |requests| {
            requests.iter().filter(|seen| seen.path.ends_with(route)).count() >= count
        });
    }

    /// Waits until so many more requests for a route came than there are now.
    ///
    /// # Panics
    /// If they do not come within [`PATIENCE`].
    pub fn wait_for_more(&self, route: &str, more: usize) {
        self.wait_for_count(route, self.count(route) + more);
    }

    /// Waits until the requests so far are such.
    ///
    /// # Panics
    /// If they are not within [`PATIENCE`].
    pub fn wait_for_requests(&self, what: &str, such: impl FnMut(&[Seen]) -> bool) {
        let came = self.server.wait_for(such, PATIENCE);
        assert!(came, "{what} did not come within {PATIENCE:?}; these did: {:#?}", self.told());
    }

    /// Waits until the platform is such.
    ///
    /// # Panics
    /// If it is not within [`PATIENCE`].
    pub fn wait_until(&self, what: &str, such: impl FnMut(&Platform) -> bool) {
        let came = self.server.wait_until(such, PATIENCE);
        assert!(came, "{what} was not so within {PATIENCE:?} after these requests: {:#?}", self.told());
    }

    /// Holds requests for a route back before the platform sees them.
    pub fn stall(&self, route: &str) -> Rule<'_> {
        self.rule(route, Action::Stall)
    }

    /// Lets something else happen to requests for a route.
    pub fn rule(&self, route: &str, action: Action) -> Rule<'_> {
        Rule { server: &self.server, id: self.server.inject(serve::Rule::path_suffix(route, action)) }
    }

    /// Closes the connection, so many times, where an answer of a route was due.
    pub fn lose_answer(&self, times: u32, route: &str) -> Rule<'_> {
        let rule = serve::Rule::path_suffix(route, Action::CloseAfter).times(times);
        Rule { server: &self.server, id: self.server.inject(rule) }
    }

    /// Answers requests for a route in the platform's stead.
    ///
    /// # Panics
    /// If a header or the status is none.
    pub fn answer(&self, route: &str, status: u16, headers: &[(&str, &str)], body: &'static str) -> Rule<'_> {
        self.rule(route, Action::Answer(scripted(status, headers, body)))
    }

    /// The same, so many times.
    ///
    /// # Panics
    /// As [`answer`](Self::answer).
    pub fn answer_times(
        &self,
        times: u32,
        route: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Rule<'_> {
        let answer = scripted(status, headers, body);
        let rule = serve::Rule::path_suffix(route, Action::Answer(answer)).times(times);
        Rule { server: &self.server, id: self.server.inject(rule) }
    }

    /// The requests so far, for people.
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

/// What happens to requests for a route until it is dropped; what it held back then goes on.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Rule<'a> {
    server: &'a Server,
    id: RuleId,
}

impl Rule<'_> {
    /// Ends it.
    pub fn end(self) {}
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        self.server.release(self.id);
    }
}
