//! Plugins: what a server lists and why it refuses (contract section 15; April 9).

use serde::{Deserialize, Serialize};

use crate::lenient::or_default;

/// An entry of the registry (`GET /plugins`), of what a workspace may install (`GET /workspaces/:id/plugins/available`)
/// and of what is installed in its container (`GET /workspaces/:id/plugins`, `[]` for external workspaces).
///
/// Being listed does not mean being downloadable: broken manifests are listed with empty fields, and so are names that
/// the server refuses. Lists are `null`, not `[]`, where the manifest has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AvailablePlugin {
    /// The plugin's folder, whatever its manifest says; not every one is a [`PluginName`](crate::PluginName).
    pub name: String,
    /// As its manifest has it; `""` if that is no text or unreadable, as for the next two.
    #[serde(default, deserialize_with = "or_default")]
    pub version: String,
    /// What it does, in a sentence.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// Who wrote it.
    #[serde(default, deserialize_with = "or_default")]
    pub author: String,
    /// Words to find it by.
    #[serde(default, deserialize_with = "or_default")]
    pub tags: Option<Vec<String>>,
    /// The names of its skills.
    #[serde(default, deserialize_with = "or_default")]
    pub skills: Option<Vec<String>>,
    /// What to download it by, `local://<folder>`; not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub source: Option<String>,
    /// The runtimes that it is made for; `None` is for all.
    #[serde(default, deserialize_with = "or_default")]
    pub runtimes: Option<Vec<String>>,
    /// Whether it suits the workspace's runtime; in the list of installed plugins alone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub supported_on_runtime: Option<bool>,
}

impl AvailablePlugin {
    /// An entry without a manifest.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Answer of `GET /plugins/sources`: what may stand before `://` in a source.
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

/// Answer of `GET /workspaces/:id/plugins/compatibility?runtime=`: which installed plugins would suit another runtime.
/// External workspaces have none installed, and all of them would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginCompatibility {
    /// The runtime that was asked about.
    pub target_runtime: String,
    /// Installed plugins that suit it.
    #[serde(default, deserialize_with = "or_default")]
    pub compatible: Vec<AvailablePlugin>,
    /// Installed plugins that do not.
    #[serde(default, deserialize_with = "or_default")]
    pub incompatible: Vec<AvailablePlugin>,
    /// Whether there is none of the latter.
    pub all_compatible: bool,
}

impl PluginCompatibility {
    /// The answer for a workspace with nothing installed.
    pub fn nothing_installed(target_runtime: impl Into<String>) -> Self {
        let target_runtime = target_runtime.into();
        Self { target_runtime, compatible: Vec::new(), incompatible: Vec::new(), all_compatible: true }
    }
}

/// Body of `POST /workspaces/:id/plugins`: installs into the workspace's container. External workspaces have none, so
/// that the answer is 422 (April: 503).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstallPluginRequest {
    /// `<scheme>://<spec>`, or a name for `local://<name>`.
    pub source: String,
    /// SHA-256 of `plugin.yaml`, in hexadecimal; not the digest that stands in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl InstallPluginRequest {
    /// The plugin of a source.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), sha256: None }
    }

    /// Pins its `plugin.yaml`: SHA-256 in hexadecimal.
    #[must_use]
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }
}

/// Answer of `GET /workspaces/:id/plugins/:name/download` where it is no archive and no question of credentials.
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
    /// What went wrong, for people.
    pub error: String,
    /// The source, with its scheme.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub source: Option<String>,
    /// What is wrong with the manifest, for people.
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
    /// A refusal with its text alone.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// A refusal of what a source gave.
    pub fn of_source(error: impl Into<String>, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..Self::new(error) }
    }

    /// A scheme that the server does not know, or knows in another spelling.
    pub fn unknown_scheme(available: PluginSources) -> Self {
        Self { available_schemes: Some(available.schemes), ..Self::new("failed to resolve plugin source") }
    }

    /// A source that is another plugin than the path names.
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
