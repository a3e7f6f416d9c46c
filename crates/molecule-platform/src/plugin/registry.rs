//! The plugins that a platform can serve.

use std::collections::BTreeMap;

use http::StatusCode;
use molecule_proto::{AvailablePlugin, Dialect, PluginRefusal};

use super::source::{Refused, Scheme, Source, SourceRefused};
use super::tree::PluginTree;
use super::{integrity, manifest};
use crate::platform::Platform;

/// The most bytes that all files of a plugin may have together.
const MOST_BYTES: u64 = 100 << 20;

/// The server's own folders by name, and the repositories that it can reach.
#[derive(Clone, Default)]
pub(crate) struct Plugins {
    local: BTreeMap<String, PluginTree>,
    elsewhere: BTreeMap<Source, PluginTree>,
}

/// A plugin that was fetched and passed every check.
pub(crate) struct Fetched {
    pub(crate) name: String,
    /// The source, with its scheme.
    pub(crate) source: String,
    /// The files and directories, without links.
    pub(crate) tree: PluginTree,
}

impl Platform {
    /// Adds a plugin to the registry, and replaces an earlier one of the same name. Nothing is checked here: like the
    /// server, the platform lists every folder, and answers a download with the folder's errors.
    ///
    /// ```
    /// use molecule_platform::{Config, Dialect, Platform, PluginTree};
    ///
    /// let mut platform = Platform::new(Config::new(Dialect::Current));
    /// platform.add_plugin(
    ///     PluginTree::new("molecule-dev")
    ///         .file("plugin.yaml", "name: molecule-dev\nversion: 1.0.0\ndescription: Says hello.\n")
    ///         .executable("setup.sh", "#!/bin/bash\necho ready\n"),
    /// );
    /// ```
    pub fn add_plugin(&mut self, plugin: PluginTree) {
        self.plugins.local.insert(plugin.name().to_owned(), plugin);
    }

    /// Adds a plugin under the source of a repository, and replaces an earlier one of the same source:
    /// `github://acme/my-plugin#v1`, or on the current server also `gitea://acme/plugins/my-plugin#v1`, where a path in
    /// the repository follows its name. A source that was not added does not exist.
    ///
    /// The plugin's name is the last component before `#`, whatever the tree's own name is. A download of a whole
    /// repository omits `.git`.
    ///
    /// # Errors
    /// [`SourceRefused`] for a source that the server would not try to fetch.
    pub fn add_plugin_at(&mut self, source: &str, plugin: PluginTree) -> Result<(), SourceRefused> {
        let source = Source::read(self.config.dialect, source).map_err(|(status, _)| match status {
            StatusCode::UNPROCESSABLE_ENTITY => SourceRefused::Unpinned,
            _ => SourceRefused::Scheme,
        })?;
        if source.scheme == Scheme::Local {
            return Err(SourceRefused::Scheme);
        }
        source.plugin_name().ok_or(SourceRefused::Repository)?;
        self.plugins.elsewhere.insert(source, plugin);
        Ok(())
    }

    /// Removes a plugin from the registry; returns `false` if there is none of this name.
    pub fn remove_plugin(&mut self, name: &str) -> bool {
        self.plugins.local.remove(name).is_some()
    }

    /// The plugins of the registry, by folder name.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginTree> {
        self.plugins.local.values()
    }
}

impl Plugins {
    /// The list of plugins, either all or those for a runtime.
    pub(crate) fn listed(&self, dialect: Dialect, runtime: Option<&str>) -> Vec<AvailablePlugin> {
        let listed = self.local.iter().map(|(name, tree)| {
            let mut listed = manifest::listed(name, tree.root_file(manifest::FILE).map(AsRef::as_ref));
            listed.source = (dialect == Dialect::Current).then(|| format!("local://{name}"));
            listed
        });
        listed.filter(|listed| runtime.is_none_or(|runtime| manifest::suits(listed, runtime))).collect()
    }

    /// Fetches the plugin of a source and checks it, in the server's order. `pinned` is the digest of its
    /// `plugin.yaml`, if the caller sent one.
    pub(crate) fn fetch(&self, dialect: Dialect, source: &str, pinned: Option<&str>) -> Result<Fetched, Refused> {
        let source = Source::read(dialect, source)?;
        let refuse = |status, error: String| (status, PluginRefusal::of_source(error, source.to_string()));
        let unfetched = |status| refuse(status, format!("failed to fetch plugin from {}", source.scheme.as_str()));
        let unprocessable = |error| refuse(StatusCode::UNPROCESSABLE_ENTITY, error);

        let name = source.plugin_name().ok_or_else(|| unfetched(StatusCode::BAD_GATEWAY))?.to_owned();
        let tree = match source.scheme {
            Scheme::Local => self.local.get(&name),
            Scheme::Gitea | Scheme::Github => self.elsewhere.get(&source),
        };
        let tree = tree.ok_or_else(|| unfetched(StatusCode::NOT_FOUND))?.clone();
        let tree = if source.is_whole_repository() { tree.without(".git") } else { tree };
        let tree = match dialect {
            Dialect::April => tree.links_followed().ok_or_else(|| unfetched(StatusCode::BAD_GATEWAY))?,
            Dialect::Current => tree.links_left_out(),
        };
        if tree.size() > MOST_BYTES {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "staged plugin exceeds size limit".to_owned()));
        }
        if !integrity::holds(&tree) {
            return Err(unprocessable("plugin manifest integrity check failed".to_owned()));
        }
        let manifest = tree.root_file(manifest::FILE);
        if let Some(pinned) = pinned {
            let missing = || unprocessable("sha256 check failed: plugin.yaml not found in staged plugin".to_owned());
            let found = integrity::sha256(manifest.ok_or_else(missing)?);
            if !found.eq_ignore_ascii_case(pinned) {
                return Err(unprocessable(format!("sha256 mismatch: expected {pinned}, got {found}")));
            }
        }
        // A plugin without a manifest has no violations.
        let violations = match (dialect, manifest) {
            (Dialect::Current, Some(manifest)) => manifest::violations(manifest),
            (Dialect::April, _) | (_, None) => Vec::new(),
        };
        if !violations.is_empty() {
            let error = "plugin manifest violates the plugin-manifest SSOT schema (core#3383)";
            let (status, mut refusal) = unprocessable(error.to_owned());
            refusal.violations = Some(violations);
            return Err((status, refusal));
        }
        Ok(Fetched { name, source: source.to_string(), tree })
    }
}
