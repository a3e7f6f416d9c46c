//! The environment variables of a `setup.sh`: those that it needs, and those that the caller adds.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use molecule_core::effect::plugin::SetupPlan;
use molecule_core::proto::PluginName;

/// The variables that every script gets. This is an allow-list, because a deny-list would miss the next secret.
const SEEN: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "TMPDIR",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    // No Windows program starts without these.
    "SystemRoot",
    "PATHEXT",
];

/// The variables that may contain a password.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/// The prefix of the variables for the language.
const LOCALE: &str = "LC_";

/// The environment of the plugin's script, selected from this process's.
pub(super) fn of(
    variables: impl Iterator<Item = (OsString, OsString)>,
    plan: &SetupPlan,
    plugin: &PluginName,
    directory: &Path,
) -> Vec<(OsString, OsString)> {
    let mut seen: Vec<(OsString, OsString)> = variables
        .filter_map(|(name, value)| shown(name.to_str()?, value, &plan.env).map(|value| (name, value)))
        .collect();
    seen.push(("TERM".into(), "dumb".into()));
    seen.push(("MOLECULE_PLUGIN_NAME".into(), plugin.as_str().into()));
    seen.push(("MOLECULE_PLUGIN_DIR".into(), OsStr::new(directory).into()));
    seen
}

/// The value of a variable for the script; `None` if the script does not get it. It gets a proxy's credentials only if
/// the caller added the variable by name.
fn shown(name: &str, value: OsString, added: &[String]) -> Option<OsString> {
    if !SetupPlan::may_show(name) {
        return None;
    }
    if added.iter().any(|added| added == name) {
        return Some(value);
    }
    if PROXIES.contains(&name) {
        return value.to_str().map(|proxy| without_user_info(proxy).into());
    }
    (SEEN.contains(&name) || name.starts_with(LOCALE)).then_some(value)
}

/// A proxy's URL, or its host and port, without user and password. A password may contain any character, also an `@`.
fn without_user_info(proxy: &str) -> String {
    let (scheme, rest) = proxy.split_once("://").map_or(("", proxy), |(scheme, rest)| (scheme, rest));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn seen(names: &[&str], added: &[&str]) -> BTreeMap<String, String> {
        let variables = names.iter().map(|name| (OsString::from(name), OsString::from("value")));
        let plan = SetupPlan {
            timeout: Duration::ZERO,
            output_bytes: 0,
            env: added.iter().map(|name| (*name).to_owned()).collect(),
        };
        let chosen = of(variables, &plan, &"dev".parse().unwrap(), Path::new("/plugins/dev"));
        chosen.into_iter().map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap())).collect()
    }

    #[test]
    fn every_script_sees_where_it_is_and_a_dumb_terminal() {
        let seen = seen(&["TERM", "MOLECULE_PLUGIN_DIR", "PWD"], &[]);
        let expected = [("MOLECULE_PLUGIN_DIR", "/plugins/dev"), ("MOLECULE_PLUGIN_NAME", "dev"), ("TERM", "dumb")];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn only_what_is_on_the_list_or_added_is_seen() {
        let all = ["PATH", "LC_ALL", "https_proxy", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "NVM_DIR", "LANGUAGE"];
        let names = |seen: BTreeMap<String, String>| {
            seen.into_keys().filter(|name| !name.starts_with("MOLECULE_") && name != "TERM").collect::<Vec<_>>()
        };
        assert_eq!(names(seen(&all, &[])), ["LC_ALL", "PATH", "https_proxy"]);
        assert_eq!(names(seen(&all, &["NVM_DIR", "ABSENT"])), ["LC_ALL", "NVM_DIR", "PATH", "https_proxy"]);
    }

    #[test]
    fn proxies_are_seen_without_their_credentials() {
        let seen = |name: &str, value: &str, added: &[&str]| {
            let plan = SetupPlan {
                timeout: Duration::ZERO,
                output_bytes: 0,
                env: added.iter().map(|name| (*name).to_owned()).collect(),
            };
            let variables = [(OsString::from(name), OsString::from(value))];
            let chosen = of(variables.into_iter(), &plan, &"dev".parse().unwrap(), Path::new("/plugins/dev"));
            chosen.into_iter().find(|(it, _)| it == name).map(|(_, value)| value.into_string().unwrap())
        };
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            for (value, expected) in [
                ("http://proxy.example:3128", "http://proxy.example:3128"),
                ("http://ada:s3cr3t@proxy.example:3128/", "http://proxy.example:3128/"),
                ("https://ada@proxy.example", "https://proxy.example"),
                ("ada:s3cr3t@proxy.example:3128", "proxy.example:3128"),
                ("http://ada:s3@cr/3#t@[::1]:3128", "http://[::1]:3128"),
                ("", ""),
            ] {
                assert_eq!(seen(name, value, &[]).as_deref(), Some(expected), "{name}={value}");
                assert_eq!(seen(name, value, &[name]).as_deref(), Some(value), "who asks for it gets it whole");
            }
        }
        assert_eq!(seen("NO_PROXY", "a.example,10.0.0.0/8", &[]).as_deref(), Some("a.example,10.0.0.0/8"));
        assert_eq!(seen("ALL_PROXY", "http://proxy.example", &[]), None);
    }

    #[test]
    fn some_are_never_seen_whoever_adds_them() {
        let never = [
            "BASH_ENV",
            "ENV",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "PYTHONSTARTUP",
            "SHELLOPTS",
            "BASH_FUNC_ls%%",
            "MOLECULE_WORKSPACE_TOKEN",
            "MOLECULE_ADMIN_TOKEN",
            "MOLECULE_INBOUND_SECRET",
            "molecule_workspace_token",
            "MOLECULE_ORG_ID",
            "ADMIN_TOKEN",
            "IFS",
        ];
        assert_eq!(seen(&never, &never).len(), 3);
    }
}
