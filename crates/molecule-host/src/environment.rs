//! The inputs from the process's environment: variables, proxies and randomness.

use std::env;
use std::process;
use std::time::SystemTime;

use molecule_core::plugin::InstallLimits;
use molecule_core::{Proxy, ProxyRule, Result};

/// Returns a seed from the operating system. Two agents, or two runs of one agent, never share a seed: the server drops
/// ids that repeat after a restart as duplicates.
pub fn seed() -> u64 {
    random().unwrap_or_else(|| {
        // A system without randomness still has a calendar and process ids. That is enough, because the seed keeps
        // nothing secret.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.as_secs().rotate_left(32) ^ u64::from(since.subsec_nanos()) ^ u64::from(process::id()).rotate_left(48)
    })
}

#[cfg(target_os = "linux")]
fn random() -> Option<u64> {
    let mut seed = [0; 8];
    let filled = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()).ok()?;
    (filled == seed.len()).then(|| u64::from_ne_bytes(seed))
}

#[cfg(not(target_os = "linux"))]
fn random() -> Option<u64> {
    getrandom::u64().ok()
}

/// The value of an environment variable; `None` if it is absent or not Unicode.
pub fn var(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// The install limits from the environment: `MOLECULE_PLUGIN_MAX_ARCHIVE_BYTES` and the like, one variable for each
/// field of [`InstallLimits`]. Nothing else reads these variables; pass the limits to the plugin that they are meant
/// for.
///
/// # Errors
/// `Config` if a variable is not a whole number.
pub fn install_limits_from_env() -> Result<InstallLimits> {
    Ok(InstallLimits::from_vars(var)?)
}

/// Returns the rule that decides which requests go through a proxy. [`Proxy::Environment`] reads `HTTPS_PROXY` and
/// `NO_PROXY`, each in upper case, or else in lower case. An empty variable counts as absent. An unusable one is an
/// error only for requests that need the proxy ([`ProxyRule::check`]).
///
/// # Errors
/// `Config` if the URL of [`Proxy::Explicit`] is invalid.
pub fn proxy_rule(proxy: &Proxy) -> Result<ProxyRule> {
    proxy.rule(var)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_core::BaseUrl;

    use super::*;

    fn from(proxy: &Proxy, vars: &[(&str, &str)]) -> Result<ProxyRule> {
        proxy.rule(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn upper_case_wins_and_lower_case_counts() {
        let upper = ("HTTPS_PROXY", "http://upper:1");
        let lower = ("https_proxy", "http://lower:2");
        let rule = |vars: &[(&str, &str)]| from(&Proxy::Environment, vars).unwrap();
        let expected = |url, except| ProxyRule::new(Some(url), except).unwrap();
        assert_eq!(rule(&[upper, lower]), expected("http://upper:1", None));
        assert_eq!(rule(&[lower]), expected("http://lower:2", None));
        assert_eq!(rule(&[("HTTPS_PROXY", " "), lower]), expected("http://lower:2", None));
        assert_eq!(rule(&[upper, ("no_proxy", "a.example")]), expected("http://upper:1", Some("a.example")));
        assert_eq!(
            rule(&[upper, ("no_proxy", "a.example"), ("NO_PROXY", "b.example")]),
            expected("http://upper:1", Some("b.example"))
        );
        assert_eq!(rule(&[("HTTP_PROXY", "http://plain:3"), ("ALL_PROXY", "http://all:4")]), ProxyRule::direct());
        let unusable = rule(&[("HTTPS_PROXY", "socks5://p:1"), ("no_proxy", "inside.example")]);
        let check = |url: &str| unusable.check(&BaseUrl::parse(url, false).unwrap());
        assert!(check("http://127.0.0.1:8080").is_ok() && check("https://inside.example").is_ok());
        assert!(check("https://platform.example").is_err());
    }

    #[test]
    fn a_choice_of_the_authors_ignores_the_environment() {
        let vars = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")];
        assert_eq!(from(&Proxy::Off, &vars).unwrap(), ProxyRule::direct());
        let own = Proxy::Explicit("http://own:2".to_owned());
        assert_eq!(from(&own, &vars).unwrap(), ProxyRule::new(Some("http://own:2"), None).unwrap());
        assert!(from(&Proxy::Explicit("not a url".to_owned()), &[]).is_err());
    }

    #[test]
    fn seeds_differ() {
        let seeds: std::collections::BTreeSet<u64> = (0..64).map(|_| seed()).collect();
        assert_eq!(seeds.len(), 64);
    }
}
