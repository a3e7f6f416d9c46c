//! The checked options of a plugin to install.

use std::time::Duration;

use molecule_plugin::TreeDigest;
use molecule_plugin::unpack::UnpackPolicy;
use molecule_proto::{PluginName, refuse_nul};

use super::{Durability, Plugin, Setup};
use crate::effect::plugin::SetupPlan;
use crate::endpoint::DownloadPlugin;
use crate::error::{Error, Result};

/// The checked options of an install.
pub(super) struct Order {
    pub(super) name: PluginName,
    pub(super) source: Option<String>,
    pub(super) pin: Option<TreeDigest>,
    pub(super) policy: UnpackPolicy,
    pub(super) durability: Durability,
    pub(super) setup: Setup,
    pub(super) setup_plan: SetupPlan,
    pub(super) wait: Duration,
    download_limit: Duration,
}

impl Order {
    /// Checks a plugin's options.
    ///
    /// # Errors
    /// `Config` for the first option that is not valid, with its remedy.
    pub(super) fn check(plugin: Plugin) -> Result<Self> {
        let name = name(&plugin.name)?;
        let pin = plugin.tree_sha256.as_deref().map(str::parse).transpose().map_err(|_| {
            Error::config(
                "the pinned tree_sha256 is not 64 lower-case hexadecimal digits",
                "copy it from `Installed::tree_sha256` of an install that you trust",
            )
        })?;
        if let Some(source) = &plugin.source {
            check_source(source)?;
        }
        let hour = Duration::from_secs(3600);
        for (what, limit) in [("setup", plugin.limits.setup_timeout), ("download", plugin.download_timeout)] {
            if limit.is_zero() || limit > 24 * hour {
                return Err(Error::config(
                    format!("the {what} limit is {limit:?}"),
                    "give more than nothing and at most a day",
                ));
            }
        }
        if let Some(bad) = plugin.setup_env.iter().find(|name| !SetupPlan::may_show(name)) {
            return Err(Error::config(
                format!("{bad:?} is no variable that a setup.sh may see"),
                "name variables of letters, digits and `_` that neither hold the agent's credentials nor steer bash or the \
                 loader",
            ));
        }
        let timeout = plugin.limits.setup_timeout;
        let output_bytes = plugin.limits.setup_output_bytes;
        Ok(Self {
            name,
            source: plugin.source,
            pin,
            policy: UnpackPolicy::default().limits(plugin.limits).links(plugin.links),
            durability: plugin.durability,
            setup: plugin.setup,
            setup_plan: SetupPlan { timeout, output_bytes, env: plugin.setup_env },
            wait: plugin.wait,
            download_limit: plugin.download_timeout,
        })
    }

    pub(super) fn download(&self) -> DownloadPlugin {
        DownloadPlugin {
            name: self.name.clone(),
            source: self.source.clone(),
            policy: self.policy.clone(),
            limit: self.download_limit,
        }
    }
}

/// # Errors
/// `Config` if the text is not a valid name of a plugin.
pub(super) fn name(text: &str) -> Result<PluginName> {
    text.parse()
        .map_err(|error: molecule_proto::IdError| Error::config(error.to_string(), "give the plugin's own name"))
}

fn check_source(source: &str) -> Result<()> {
    let remedy = "give a source such as github://owner/repository#tag, or none for the platform's own plugin";
    refuse_nul("the plugin's source", source).map_err(|nul| Error::config(nul.to_string(), remedy))?;
    if source.is_empty() || source.len() > 2048 || source.chars().any(char::is_control) {
        return Err(Error::config("the plugin's source is empty, too long, or has control characters", remedy));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::plugin::InstallLimits;

    fn refused(plugin: Plugin, part: &str) {
        let Err(error) = Order::check(plugin) else { panic!("nothing is refused: {part}") };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("; "), "no remedy: {error}");
    }

    #[test]
    fn each_option_that_makes_no_sense_is_named() {
        refused(Plugin::new("../../victim"), "plugin name");
        refused(Plugin::new("a").tree_sha256("ABC"), "tree_sha256");
        refused(Plugin::new("a").tree_sha256("A".repeat(64)), "lower-case");
        refused(Plugin::new("a").source(""), "source");
        refused(Plugin::new("a").source("a\0b"), "source");
        refused(Plugin::new("a").source("a\nb"), "source");
        refused(Plugin::new("a").limits(InstallLimits::default().setup_timeout(Duration::ZERO)), "setup limit");
        refused(Plugin::new("a").download_timeout(Duration::MAX), "download limit");
    }

    #[test]
    fn no_credential_and_nothing_that_steers_bash_is_passed_to_a_script() {
        for name in
            ["MOLECULE_WORKSPACE_TOKEN", "BASH_ENV", "ENV", "LD_PRELOAD", "ld_preload", "DYLD_X", "a-b", "", "1A"]
        {
            refused(Plugin::new("a").setup_env(name), "no variable");
        }
        assert!(Order::check(Plugin::new("a").setup_env("NPM_CONFIG_CACHE")).is_ok());
    }
}
