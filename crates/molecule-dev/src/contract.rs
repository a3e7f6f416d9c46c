//! Where the contract says what a route does.

use molecule_platform::Dialect;

/// The section of the contract about a route, such as `5` or `9.4`: of `docs/contract/current.md`, or of `april.md`.
pub(crate) fn section(dialect: Dialect, route: &str) -> Option<&'static str> {
    let (_, current, april) = SECTIONS.iter().find(|(name, _, _)| *name == route)?;
    let section = match dialect {
        Dialect::Current => current,
        Dialect::April => april,
    };
    (!section.is_empty()).then_some(section)
}

/// Each route with its section in both contracts; empty where the server has no such route.
const SECTIONS: [(&str, &str, &str); 75] = [
    ("Health", "1.5", "1.1"),
    ("BuildInfo", "1.5", ""),
    ("OrgIdentity", "1.5", ""),
    ("UploadLimits", "17", ""),
    ("ListPlugins", "15", "9"),
    ("ListPluginSources", "15", "9"),
    ("Register", "4", "4.1"),
    ("Heartbeat", "5", "4.2"),
    ("UpdateCard", "6.1", "4.3"),
    ("SendMessage", "9", "7.1"),
    ("SendThroughDoor", "10.5", ""),
    ("ShowQueueItem", "11", ""),
    ("ListActivity", "12", "6.1"),
    ("PostActivity", "13.1", "6.2"),
    ("AckActivity", "12.4", ""),
    ("Notify", "13.2", "6.3"),
    ("ChatHistory", "13.3", ""),
    ("UploadFiles", "17", "11"),
    ("DownloadFile", "17", "11"),
    ("PendingUpload", "17", ""),
    ("AckUpload", "17", ""),
    ("ListSchedules", "18.4", ""),
    ("CreateSchedule", "18.4", ""),
    ("SchedulesHealth", "18.4", ""),
    ("EventStream", "18.6", "11"),
    ("RaiseRequest", "18.3", ""),
    ("ListRequests", "18.3", ""),
    ("RequestInbox", "18.3", ""),
    ("ShowRequest", "18.3", ""),
    ("AddRequestMessage", "18.3", ""),
    ("RespondToRequest", "18.3", ""),
    ("CancelRequest", "18.3", ""),
    ("Delegate", "14.1", "8.1"),
    ("ListDelegations", "14.2", "8.2"),
    ("RecordDelegation", "14.3", "8.3"),
    ("UpdateDelegation", "14.3", "8.3"),
    ("Abilities", "16.6", ""),
    ("Budget", "18.7", "11"),
    ("ListMemories", "18.1", "11"),
    ("CommitMemory", "18.1", "11"),
    ("ListMemory", "18.1", "11"),
    ("SetMemory", "18.1", "11"),
    ("ReadMemory", "18.1", "11"),
    ("DeleteMemory", "18.1", "11"),
    ("Broadcast", "18.5", ""),
    ("Discover", "6.2", "4.4"),
    ("Peers", "6.3", "4.5"),
    ("CheckAccess", "6.4", "4.6"),
    ("CreateWorkspace", "16.1", "10.1"),
    ("ListWorkspaces", "1.5", "10.2"),
    ("View", "7.2", "5.3"),
    ("Delete", "16.5", "10.2"),
    ("State", "7.1", "5.1"),
    ("SecretValues", "8", "5.2"),
    ("ListSecrets", "8", "5.2"),
    ("SaveSecret", "8", "10.2"),
    ("DeleteSecret", "8", "10.2"),
    ("Pause", "16.4", "10.2"),
    ("Resume", "16.4", "10.2"),
    ("Hibernate", "16.4", "10.2"),
    ("Rotate", "16.2", ""),
    ("Connection", "16.2", ""),
    ("ListTokens", "16.3", "12"),
    ("MintToken", "16.3", "12"),
    ("RevokeToken", "16.3", "12"),
    ("AdminMintToken", "16.3", ""),
    ("AdminRevokeTokens", "16.3", ""),
    ("TestToken", "", "12"),
    ("AvailablePlugins", "15", "9"),
    ("InstalledPlugins", "15", "9"),
    ("PluginCompatibility", "15", "9"),
    ("DownloadPlugin", "15", "9"),
    ("InstallPlugin", "15", "9"),
    ("UninstallPlugin", "15", "9"),
    ("OrgToken", "", "12"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(path: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
    }

    #[test]
    fn every_route_of_the_model_has_its_section() {
        let router = read("crates/molecule-platform/src/router.rs");
        let routes = router.split_once("pub(crate) enum Route {").unwrap().1.split_once('}').unwrap().0;
        let routes = routes.lines().map(|line| line.trim().trim_end_matches(',')).filter(|line| !line.is_empty());
        let names: Vec<&str> = routes.map(|route| route.split('(').next().unwrap()).collect();
        assert!(names.len() > 50, "{names:?}");
        for name in &names {
            let found = [Dialect::Current, Dialect::April].iter().any(|dialect| section(*dialect, name).is_some());
            assert!(found, "{name} has no section: add it to the table");
        }
        for (name, ..) in SECTIONS {
            assert!(names.contains(&name), "there is no route {name}");
        }
    }

    #[test]
    fn every_section_is_one_of_the_contract() {
        for (dialect, file) in [(Dialect::Current, "current.md"), (Dialect::April, "april.md")] {
            let contract = read(&format!("docs/contract/{file}"));
            let headings: Vec<&str> = contract.lines().filter(|line| line.starts_with('#')).collect();
            for (name, ..) in SECTIONS {
                let Some(section) = section(dialect, name) else { continue };
                let is_it = |heading: &&&str| {
                    let number = heading.trim_start_matches('#').trim_start().split(' ').next().unwrap_or_default();
                    number.trim_end_matches('.') == section
                };
                assert!(headings.iter().any(|heading| is_it(&heading)), "{file} has no section {section} of {name}");
            }
        }
    }
}
