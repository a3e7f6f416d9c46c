//! Plugins: the options and the results of an install. The module follows semantic versioning.

mod acts;
pub(crate) mod install;
pub(crate) mod list;
mod lock;
mod order;
pub(crate) mod task;

use std::fmt;
use std::time::Duration;

use molecule_proto::PluginName;

pub use crate::effect::durability::Durability;
pub use crate::effect::setup::{SetupEnd, SetupOutcome, SetupRun};
pub use crate::error::{EarlierVersion, InstallFailure};
use crate::printable::ShownUrl;
pub use install::Installed;
pub use list::{InstalledPlugin, ReceiptState};
pub use molecule_plugin::unpack::LinkPolicy;
pub use molecule_plugin::{
    ContentSha256, DigestError, EntryRef, InstallLimits, LimitError, Line, PluginManifest, Refusal, Rule, Tree,
    TreeDiff, TreeDigest, TreeError, Verified,
};
pub use task::Verification;

/// A plugin to install: its name and options.
///
/// Nothing is checked before the install begins. A plain name installs the plugin that the platform itself holds under
/// that name:
///
/// ```
/// use molecule_core::plugin::{Plugin, Setup};
///
/// let plain = Plugin::from("molecule-dev");
/// let pinned = Plugin::new("my-plugin")
///     .source("github://acme/my-plugin#v1")
///     .tree_sha256("0f5bd0a2f1f3b3a5c1a7d1fd3ed32c1cd7b1a5e0a0a3b2e0ddba3e1f0c2b4d6e")
///     .setup(Setup::Skip);
/// # let _ = (plain, pinned);
/// ```
///
/// `Debug` shows the source without user info and query.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a plugin does nothing until it is installed"]
pub struct Plugin {
    pub(crate) name: String,
    pub(crate) source: Option<String>,
    pub(crate) tree_sha256: Option<String>,
    pub(crate) setup: Setup,
    pub(crate) setup_env: Vec<String>,
    pub(crate) links: LinkPolicy,
    pub(crate) limits: InstallLimits,
    pub(crate) durability: Durability,
    pub(crate) download_timeout: Duration,
    pub(crate) wait: Duration,
}

/// Whether a plugin's `setup.sh` is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setup {
    /// The script is run once the plugin is in its place. It runs as the user and may do what the user may.
    #[default]
    Run,
    /// The script is not run.
    Skip,
}

/// The default time limit of a download with its retries.
pub(crate) const DOWNLOAD: Duration = Duration::from_secs(1800);

impl Plugin {
    /// Makes the plugin of this name: 1 to 128 letters, digits, `.`, `_` and `-`, of which the first is a letter or a
    /// digit.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: None,
            tree_sha256: None,
            setup: Setup::default(),
            setup_env: Vec::new(),
            links: LinkPolicy::default(),
            limits: InstallLimits::default(),
            durability: Durability::default(),
            download_timeout: DOWNLOAD,
            wait: Duration::from_secs(300),
        }
    }
}

impl Plugin {
    /// Sets the source from which the platform fetches the plugin: `github://owner/repo#tag`, `gitea://…`,
    /// `local://name`. Without one, the platform uses the plugin that it holds itself.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Pins the content to the SHA-256 of the plugin's tree: 64 lower-case hexadecimal digits, as an earlier install
    /// returned it. No other option protects from whoever sends the archive.
    pub fn tree_sha256(mut self, digest: impl Into<String>) -> Self {
        self.tree_sha256 = Some(digest.into());
        self
    }

    /// Sets whether `setup.sh` is run; it is by default.
    pub fn setup(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self
    }

    /// Lets `setup.sh` see a variable of this process. Without this it sees only a few: `PATH`, `HOME`, the language,
    /// certificates, and proxies without their user info. A proxy's variable that is named here keeps its user info.
    /// Variables that hold the agent's own credentials are never passed on.
    pub fn setup_env(mut self, name: impl Into<String>) -> Self {
        self.setup_env.push(name.into());
        self
    }

    /// Sets how links in the archive are treated; by default they are left out and counted. No link is ever made.
    pub fn links(mut self, links: LinkPolicy) -> Self {
        self.links = links;
        self
    }

    /// Sets the limits of the archive and the time limit of `setup.sh`.
    pub fn limits(mut self, limits: InstallLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the time limit of the download, with its retries and the up to five minutes that the platform needs to pack
    /// before the first byte; 30 minutes by default.
    ///
    /// It bounds the network. In the async facade it also bounds a disk that is stuck. The blocking facade writes on
    /// its caller's thread, which a stuck disk holds until it answers; the limit is checked after each write.
    pub fn download_timeout(mut self, timeout: Duration) -> Self {
        self.download_timeout = timeout;
        self
    }

    /// Sets how much of the plugin survives a power cut; by default the install waits for no flush.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long to wait while another install of the same plugin runs; 300 s by default.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, source, tree_sha256, setup, setup_env, links, limits, durability, download_timeout, wait } =
            self;
        f.debug_struct("Plugin")
            .field("name", name)
            .field("source", &source.as_deref().map(ShownUrl))
            .field("tree_sha256", tree_sha256)
            .field("setup", setup)
            .field("setup_env", setup_env)
            .field("links", links)
            .field("limits", limits)
            .field("durability", durability)
            .field("download_timeout", download_timeout)
            .field("wait", wait)
            .finish()
    }
}

impl From<&str> for Plugin {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Plugin {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<PluginName> for Plugin {
    fn from(name: PluginName) -> Self {
        Self::new(name.as_str())
    }
}
