//! The source of a plugin: `<scheme>://<spec>`.

use std::fmt;

use http::StatusCode;
use molecule_proto::{Dialect, PluginRefusal, PluginSources};

/// Why a plugin was not added under a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceRefused {
    /// The server does not fetch this scheme from a repository. It fetches `github`, and the current server `gitea`
    /// too. A plugin of the scheme `local` is added by its name.
    Scheme,
    /// The source has no `#` with a tag or a commit after it, and the server refuses to fetch such a source.
    Unpinned,
    /// The source names no repository: `<owner>/<repository>#<reference>`, and with `gitea` optionally a path in the
    /// repository.
    Repository,
}

/// The parts of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(super) scheme: Scheme,
    pub(super) spec: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    Gitea,
    Github,
    Local,
}

/// A refusal and its status.
pub(crate) type Refused = (StatusCode, PluginRefusal);

impl Source {
    /// Parses a source, and checks it as far as possible without fetching it.
    pub(super) fn read(dialect: Dialect, text: &str) -> Result<Self, Refused> {
        let bad_request = |refusal| (StatusCode::BAD_REQUEST, refusal);
        let (scheme, spec) = text.split_once("://").unwrap_or(("local", text));
        if spec.is_empty() {
            return Err(bad_request(PluginRefusal::new("invalid plugin source")));
        }
        let unknown = || bad_request(PluginRefusal::unknown_scheme(schemes(dialect)));
        let scheme = Scheme::known(dialect).find(|known| known.as_str() == scheme).ok_or_else(unknown)?;
        let source = Self { scheme, spec: spec.to_owned() };
        match scheme {
            Scheme::Local if !is_plugin_name(spec) => Err(bad_request(PluginRefusal::new("invalid plugin name"))),
            Scheme::Gitea | Scheme::Github if !spec.contains('#') => Err(source.unpinned(dialect)),
            Scheme::Local | Scheme::Gitea | Scheme::Github => Ok(source),
        }
    }

    fn unpinned(&self, dialect: Dialect) -> Refused {
        let scheme = self.scheme.as_str();
        let subject = match dialect {
            Dialect::April => scheme,
            Dialect::Current => "plugin",
        };
        let error = format!(
            "unpinned {subject} source: append a tag or commit SHA (e.g. \"{scheme}://owner/repo#v1.2.0\"). \
             Set PLUGIN_ALLOW_UNPINNED=true to override"
        );
        (StatusCode::UNPROCESSABLE_ENTITY, PluginRefusal::of_source(error, self.to_string()))
    }

    /// The plugin's name in a well-formed source: the folder's, or the last component of the path in the repository, or
    /// the repository's.
    pub(super) fn plugin_name(&self) -> Option<&str> {
        let segment = |text: &str, most: usize| {
            text.len() <= most
                && text.starts_with(|first: char| first.is_ascii_alphanumeric())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        if self.scheme == Scheme::Local {
            return is_local_name(&self.spec).then_some(self.spec.as_str());
        }
        let (repository, reference) = self.spec.split_once('#')?;
        let is_reference = reference.starts_with(|first: char| first.is_ascii_alphanumeric() || "_.".contains(first))
            && (1..=255).contains(&reference.len())
            && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-:".contains(&byte));
        let segments: Vec<&str> = repository.split('/').collect();
        let well_formed = match (self.scheme, segments.as_slice()) {
            (Scheme::Github, [owner, name]) => segment(owner, 100) && segment(name, 100),
            (Scheme::Gitea, [owner, name, below @ ..]) => {
                segment(owner, 100) && segment(name, 100) && below.iter().all(|part| segment(part, 128))
            }
            (Scheme::Github | Scheme::Gitea | Scheme::Local, _) => false,
        };
        (is_reference && well_formed).then_some(segments.last().copied()).flatten()
    }

    /// Returns whether the source names a repository without a path in it.
    pub(super) fn is_whole_repository(&self) -> bool {
        self.scheme != Scheme::Local && self.spec.split('#').next().is_some_and(|path| path.matches('/').count() == 1)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.spec)
    }
}

impl Scheme {
    /// The schemes that a server knows, sorted.
    fn known(dialect: Dialect) -> impl Iterator<Item = Self> {
        let from = match dialect {
            Dialect::April => 1,
            Dialect::Current => 0,
        };
        [Self::Gitea, Self::Github, Self::Local].into_iter().skip(from)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gitea => "gitea",
            Self::Github => "github",
            Self::Local => "local",
        }
    }
}

/// The schemes that a server knows, in the order of its list.
pub(crate) fn schemes(dialect: Dialect) -> PluginSources {
    PluginSources::new(Scheme::known(dialect).map(Scheme::as_str))
}

/// Returns whether a name passes the first check, which only prevents path traversal.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\']) && !name.contains("..")
}

/// Returns whether the server fetches a folder of this name.
fn is_local_name(name: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 128
        && name.bytes().next().is_some_and(lower)
        && name.bytes().all(|byte| lower(byte) || matches!(byte, b'.' | b'_' | b'-'))
}
