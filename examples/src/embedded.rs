//! An embedded platform for the demo, with an owner who writes to the agent and then pauses its workspace.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molecule_core::proto::{ActivityRow, DeliveryMode, Token, WorkspaceId};
use molecule_platform::serve::Seen;
use molecule_platform::{Config, Dialect, Platform, PluginTree, Server, serve};

use crate::story::tell;

/// The plugin that the owner of the embedded platform offers.
pub const PLUGIN: &str = "greeter";

/// The token with which the colleague calls the agent past the platform. Two owners agree on a random one.
pub const PEER_TOKEN: &str = "the-demo-owners-agreed-on-this-one";

/// An embedded platform with two workspaces: the demo's and a colleague's. Dropping it stops it and removes its
/// directory.
#[derive(Debug)]
pub struct Embedded {
    server: Arc<Server>,
    workspace_id: WorkspaceId,
    token: Token,
    colleague: (WorkspaceId, Token),
    home: PathBuf,
    /// Whether dropping this value removes the directory.
    temporary: bool,
}

impl Embedded {
    /// Starts a platform on a free loopback port and creates a workspace with two secrets, as an owner does. The
    /// agent's files are in `home`, or in a temporary directory.
    ///
    /// # Errors The errors of binding the port and of making the directory.
    pub fn start(home: Option<PathBuf>) -> io::Result<Self> {
        let temporary = home.is_none();
        let home = home.unwrap_or_else(|| std::env::temp_dir().join(format!("molecule-demo-{}", std::process::id())));
        std::fs::create_dir_all(&home)?;
        let config = Config::new(Dialect::Current).seed(molecule_host::seed());
        let server = serve(Platform::new(config), "127.0.0.1:0")?;
        let (workspace_id, token) = server.with(|platform, now| {
            let (id, token) = platform.create_workspace(now, "demo");
            for (key, value) in [("OPENAI_API_KEY", "sk-demo"), ("GREETING", "hello")] {
                platform.set_secret(now, &id, key, value);
            }
            platform.add_plugin(plugin());
            (id, token)
        });
        let colleague = server.with(|platform, now| platform.create_workspace(now, "colleague"));
        tell("platform", format!("listens on {} (embedded, the current server's dialect)", server.url()));
        tell("owner", format!("created workspace {workspace_id} with 2 secrets, and offers the plugin {PLUGIN}"));
        tell("owner", "hands over the token, which the platform showed once");
        Ok(Self { server: Arc::new(server), workspace_id, token, colleague, home, temporary })
    }

    /// The platform's base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The workspace that the owner created.
    pub fn workspace_id(&self) -> &WorkspaceId {
        &self.workspace_id
    }

    /// The token, which the platform showed to the owner when the workspace was created.
    pub fn token(&self) -> &str {
        self.token.expose()
    }

    /// The colleague's workspace, and its token.
    pub fn colleague(&self) -> (&WorkspaceId, &str) {
        (&self.colleague.0, self.colleague.1.expose())
    }

    /// The directory of the agent's files.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Lets the owner write a message after some heartbeats, and pause the workspace once the agent has answered, in a
    /// thread of its own.
    pub fn write_and_pause(&self, message: &'static str) {
        let (server, id) = (Arc::clone(&self.server), self.workspace_id.clone());
        std::thread::spawn(move || {
            if !server.wait_for(|requests| beats(requests) >= BEATS, LONG) {
                return;
            }
            tell("platform", format!("received {BEATS} heartbeats"));
            tell("owner", format!("writes {message:?}"));
            server.with(|platform, now| platform.send_user_message(now, &id, message));
            let mut answer = None;
            let is_answered = |platform: &Platform| {
                answer = newest_notice(platform, &id);
                answer.is_some()
            };
            if !server.wait_until(is_answered, LONG) {
                return;
            }
            tell("owner", format!("reads {:?}", answer.unwrap_or_default()));
            pause(&server, &id);
        });
    }

    /// Lets the owner write a message once the agent is called by the platform, and waits until the owner reads its answer.
    pub fn push(&self, message: &str) {
        let (server, id) = (&self.server, &self.workspace_id);
        let is_called = |platform: &Platform| platform.delivery_mode(id) == Some(DeliveryMode::Push);
        if !server.wait_until(is_called, LONG) || !server.wait_for(|requests| beats(requests) >= 1, LONG) {
            return;
        }
        tell("owner", format!("writes {message:?}, which the platform pushes"));
        server.with(|platform, now| platform.send_user_message(now, id, message));
        let mut answer = None;
        let is_answered = |platform: &Platform| {
            answer = pushed_answer(platform, id);
            answer.is_some()
        };
        if server.wait_until(is_answered, LONG) {
            tell("owner", format!("reads {:?}", answer.unwrap_or_default()));
        }
    }

    /// Lets the owner pause the workspace.
    pub fn pause(&self) {
        pause(&self.server, &self.workspace_id);
    }
}

fn pause(server: &Server, id: &WorkspaceId) {
    tell("owner", "pauses the workspace");
    let _ = server.with(|platform, now| platform.pause(now, id, false));
}

/// The heartbeats after which the owner writes.
const BEATS: usize = 3;

/// How long the owner waits for the agent.
const LONG: Duration = Duration::from_secs(600);

fn beats(requests: &[Seen]) -> usize {
    requests.iter().filter(|request| request.path == "/registry/heartbeat").count()
}

/// The text of the newest message that the agent wrote to the user.
fn newest_notice(platform: &Platform, id: &WorkspaceId) -> Option<String> {
    let notice = platform.activity(id).into_iter().find(|row| row.is_notice())?;
    notice.response_body.as_ref()?.get("result")?.as_str().map(str::to_owned)
}

/// The text with which the agent answered a message that was pushed to it.
fn pushed_answer(platform: &Platform, id: &WorkspaceId) -> Option<String> {
    let answer =
        |row: &ActivityRow| Some(row.response_body.as_ref()?.pointer("/result/parts/0/text")?.as_str()?.to_owned());
    platform.activity(id).into_iter().find_map(answer)
}

/// A plugin that is large enough to arrive in pieces, with a setup script that prints a line.
fn plugin() -> PluginTree {
    let tree = PluginTree::new(PLUGIN)
        .file("plugin.yaml", format!("name: {PLUGIN}\nversion: 1.0.0\ndescription: Greets whoever asks.\n"))
        .file("setup.sh", "echo \"ready to greet from $MOLECULE_PLUGIN_NAME\"\n");
    (0..50).fold(tree, |tree, number| {
        tree.file(&format!("skills/greet/{number}.md"), format!("Greet visitor {number} by name.\n").repeat(200))
    })
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.home);
        }
    }
}
