//! The server's lists of plugins, and its refusals (contract section 15; April 9).

use serde::{Deserialize, Serialize};

use crate::lenient::or_default;

/// An entry of one of three lists: the registry (`GET /plugins`), the plugins that a workspace may install (`GET
/// /workspaces/:id/plugins/available`), and the plugins that are installed in its container (`GET
/// /workspaces/:id/plugins`, `[]` for external workspaces).
///
/// Not every listed plugin can be downloaded: the server also lists broken manifests (with empty fields) and names that
/// it refuses. A list is `null`, not `[]`, if the manifest has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AvailablePlugin {
    /// The plugin's folder, also if the manifest has another name. Not every folder is a valid
    /// [`PluginName`](crate::PluginName).
    pub name: String,
    /// The version as in the manifest. It is `""` if it is not a string or the manifest is unreadable; the same holds
    /// for `description` and `author`.
    #[serde(default, deserialize_with = "or_default")]
    pub version: String,
    /// What it does, in a sentence.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// The author.
    #[serde(default, deserialize_with = "or_default")]
    pub author: String,
    /// Search words.
    #[serde(default, deserialize_with = "or_default")]
    pub tags: Option<Vec<String>>,
    /// The names of its skills.
    #[serde(default, deserialize_with = "or_default")]
    pub skills: Option<Vec<String>>,
    /// The source to download it with, `local://<folder>`. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub source: Option<String>,
    /// The runtimes that it supports; `None` means all.
    #[serde(default, deserialize_with = "or_default")]
    pub runtimes: Option<Vec<String>>,
    /// Whether it supports the workspace's runtime; only in the list of installed plugins.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub supported_on_runtime: Option<bool>,
}

impl AvailablePlugin {
    /// An entry without a manifest.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Answer of `GET /plugins/sources`: the schemes that a source may have before `://`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginSources {
    /// `github`, `local`, and on the current server `gitea`; sorted.
    pub schemes: Vec<String>,
}

impl PluginSources {
    /// The answer with these schemes.
    pub fn new(schemes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { schemes: schemes.into_iter().map(Into::into).collect() }
    }
}

/// Answer of `GET /workspaces/:id/plugins/compatibility?runtime=`: which installed plugins support another runtime.
/// External workspaces have no installed plugins, so that `all_compatible` is `true`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginCompatibility {
    /// The runtime of the query.
    pub target_runtime: String,
    /// Installed plugins that support it.
    #[serde(default, deserialize_with = "or_default")]
    pub compatible: Vec<AvailablePlugin>,
    /// Installed plugins that do not.
    #[serde(default, deserialize_with = "or_default")]
    pub incompatible: Vec<AvailablePlugin>,
    /// Whether `incompatible` is empty.
    pub all_compatible: bool,
}

impl PluginCompatibility {
    /// The answer for a workspace with nothing installed.
    pub fn nothing_installed(target_runtime: impl Into<String>) -> Self {
        let target_runtime = target_runtime.into();
        Self { target_runtime, compatible: Vec::new(), incompatible: Vec::new(), all_compatible: true }
    }
}

/// Body of `POST /workspaces/:id/plugins`, which installs into the workspace's container. External workspaces have no
/// container: the answer is 422 (April: 503).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstallPluginRequest {
    /// `<scheme>://<spec>`, or a name for `local://<name>`.
    pub source: String,
    /// SHA-256 of the file `plugin.yaml`, in hexadecimal; not the digest that the file contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl InstallPluginRequest {
    /// A request for the plugin of a source.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), sha256: None }
    }

    /// Pins the `plugin.yaml` by its SHA-256, in hexadecimal.
    #[must_use]
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }
}

/// The errors of `GET /workspaces/:id/plugins/:name/download`, other than those about credentials.
///
/// | status | `error` | with |
/// |---|---|---|
/// | 400 | `invalid plugin name`, `invalid plugin source` | |
/// | 400 | `failed to resolve plugin source` | `available_schemes` |
/// | 400 | the source is another plugin | `resolved_name`, `requested_name` |
/// | 404, 502, 504 | `failed to fetch plugin from <scheme>` | `source` |
/// | 413 | more than 100 MiB | `source` |
/// | 422 | not pinned, or a wrong digest in `manifest.json` | `source` |
/// | 422 | a `plugin.yaml` that breaks its schema (not on April's server) | `source`, `violations` |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginRefusal {
    /// The error, for people.
    pub error: String,
    /// The source, with its scheme.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub source: Option<String>,
    /// The violations of the manifest's schema, for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub violations: Option<Vec<String>>,
    /// The schemes that the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub available_schemes: Option<Vec<String>>,
    /// The plugin that the source names.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub resolved_name: Option<String>,
    /// The plugin that the path names.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub requested_name: Option<String>,
}

impl PluginRefusal {
    /// A refusal with a text only.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// A refusal that names the source.
    pub fn of_source(error: impl Into<String>, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..Self::new(error) }
    }

    /// A refusal of a scheme that the server does not know, or knows in another spelling.
    pub fn unknown_scheme(available: PluginSources) -> Self {
        Self { available_schemes: Some(available.schemes), ..Self::new("failed to resolve plugin source") }
    }

    /// A refusal of a source whose plugin is not the one in the path.
    pub fn another_name(resolved: impl Into<String>, requested: impl Into<String>) -> Self {
        let (resolved, requested) = (resolved.into(), requested.into());
        let error = format!("source resolved to plugin {resolved:?} but URL requested {requested:?}");
        Self { resolved_name: Some(resolved), requested_name: Some(requested), ..Self::new(error) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_odd_entry_reads_as_one_without_a_manifest() {
        let odd = json!({"name": "a", "version": 1.0, "author": null, "tags": "x", "skills": [1], "runtimes": {},
                         "source": 3, "later": true});
        assert_eq!(serde_json::from_value::<AvailablePlugin>(odd).unwrap(), AvailablePlugin::new("a"));
        assert!(serde_json::from_value::<AvailablePlugin>(json!({"version": "1"})).is_err());
    }

    #[test]
    fn an_entry_without_lists_says_null() {
        let text = serde_json::to_string(&AvailablePlugin::new("a")).unwrap();
        let expected =
            r#"{"name":"a","version":"","description":"","author":"","tags":null,"skills":null,"runtimes":null}"#;
        assert_eq!(text, expected);
    }
}
