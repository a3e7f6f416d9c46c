//! The names of the entries in the plugins directory. A name alone says what a crash left, so that no journal is
//! needed:
//!
//! | name | what it is | what a sweep does with it |
//! |---|---|---|
//! | `.staging-<plugin>-<id>` | an incomplete version, which is being filled or removed | removes it |
//! | `.old-<plugin>-<id>` | a complete earlier version, moved away for a new one | moves it back if the plugin's place is empty, else removes it |
//! | `.keep-<plugin>-<id>` | a complete earlier version, while the plugin's place has an incomplete one | moves it back in any case |
//! | `.lock-<plugin>` | the plugin's lock | nothing |
//! | `.receipts/<plugin>.json` | the plugin's receipt | nothing |
//! | `.receipts/<plugin>.json.<id>.tmp` | an incomplete receipt | removes it |
//! | `.receipts/<plugin>.json.<mark>.old` | the receipt of the version with this mark, while that version is being replaced | restores it if that version is installed, else removes it |

use std::ffi::{OsStr, OsString};

use molecule_core::proto::PluginName;

use crate::environment::seed;

/// The directory of receipts; no plugin's name begins with a dot.
pub(super) const RECEIPTS: &str = ".receipts";

/// The number of hexadecimal digits of an id.
const ID: usize = 16;

/// The kind of a directory with the name `.<kind>-<plugin>-<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Staging,
    Old,
    Keep,
}

const PREFIXES: [(Left, &str); 3] = [(Left::Staging, ".staging-"), (Left::Old, ".old-"), (Left::Keep, ".keep-")];

impl Left {
    /// Makes a new name of this kind.
    pub(super) fn name(self, plugin: &PluginName) -> OsString {
        let prefix = PREFIXES.iter().find(|(left, _)| *left == self).map_or("", |(_, prefix)| prefix);
        format!("{prefix}{plugin}-{:016x}", seed()).into()
    }

    /// Parses a name into its kind and plugin; `None` for any name that [`Left::name`] does not make.
    pub(super) fn parse(name: &OsStr) -> Option<(Self, PluginName)> {
        let name = name.to_str()?;
        let (left, rest) = PREFIXES.iter().find_map(|(left, prefix)| Some((*left, name.strip_prefix(prefix)?)))?;
        let (plugin, id) = rest.split_at_checked(rest.len().checked_sub(ID + 1)?)?;
        is_id(id.strip_prefix('-')?).then(|| plugin.parse().ok().map(|plugin| (left, plugin)))?
    }
}

/// The file on which a plugin's lock is taken.
pub(super) fn lock(plugin: &PluginName) -> OsString {
    format!(".lock-{plugin}").into()
}

/// The file of a plugin's receipt, in the directory [`RECEIPTS`].
pub(super) fn receipt(plugin: &PluginName) -> OsString {
    format!("{plugin}.json").into()
}

/// The name of a plugin's receipt while it is being written.
pub(super) fn temporary_receipt(plugin: &PluginName) -> OsString {
    format!("{plugin}.json.{:016x}.tmp", seed()).into()
}

/// Returns whether the name is a [`temporary_receipt`] of this plugin.
pub(super) fn is_temporary_receipt(name: &OsStr, plugin: &PluginName) -> bool {
    receipt_id(name, plugin, ".tmp").is_some()
}

/// The name of the receipt of the version with this mark, while that version is being replaced.
pub(super) fn receipt_backup(plugin: &PluginName, mark: u64) -> OsString {
    format!("{plugin}.json.{mark:016x}.old").into()
}

/// The mark in a name of [`receipt_backup`] of this plugin.
pub(super) fn mark_of_receipt(name: &OsStr, plugin: &PluginName) -> Option<u64> {
    receipt_id(name, plugin, ".old").and_then(|id| u64::from_str_radix(id, 16).ok())
}

fn receipt_id<'a>(name: &'a OsStr, plugin: &PluginName, end: &str) -> Option<&'a str> {
    let id = name.to_str()?.strip_prefix(plugin.as_str())?.strip_prefix(".json.")?.strip_suffix(end)?;
    is_id(id).then_some(id)
}

/// The id at the end of a name that [`Left::name`] makes.
pub(super) fn id(name: &OsStr) -> Option<u64> {
    let (_, id) = name.to_str()?.rsplit_once('-')?;
    is_id(id).then(|| u64::from_str_radix(id, 16).ok())?
}

fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_is_and_whose() {
        for plugin in ["a", "a-b", "a-0123456789abcdef", "A.b_c", &"x".repeat(128)] {
            let plugin: PluginName = plugin.parse().unwrap();
            for left in [Left::Staging, Left::Old, Left::Keep] {
                let name = left.name(&plugin);
                assert_eq!(Left::parse(&name), Some((left, plugin.clone())), "{name:?}");
                assert!(name.len() < 255);
            }
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in [
            ".staging-",
            ".staging-a",
            ".staging--0123456789abcdef",
            ".staging-a-0123456789abcde",
            ".staging-a-0123456789abcdeF",
            ".staging-a-0123456789abcdef0",
            ".staging-a-0123456789abcdef.bak",
            ".staging-a.-0123456789abcdef",
            ".staging-.a-0123456789abcdef",
            ".staging-con-0123456789abcdef",
            ".staging-a/b-0123456789abcdef",
            ".stage-a-0123456789abcdef",
            "staging-a-0123456789abcdef",
            ".lock-a-0123456789abcdef",
            ".staging-ä-0123456789abcdef",
            ".staging-a-0123456789abcdeä",
            ".old-äööööööööööööööööööö",
        ] {
            assert_eq!(Left::parse(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn half_of_a_receipt_is_told_from_a_whole_one() {
        let (a, b): (PluginName, PluginName) = ("a".parse().unwrap(), "a.json".parse().unwrap());
        assert!(is_temporary_receipt(&temporary_receipt(&a), &a));
        assert!(!is_temporary_receipt(&temporary_receipt(&a), &b));
        assert!(!is_temporary_receipt(&temporary_receipt(&b), &a));
        assert!(!is_temporary_receipt(&receipt(&a), &a));
        assert!(!is_temporary_receipt(OsStr::new("a.json.0123456789abcdef.tmp.json"), &a));
        assert!(!is_temporary_receipt(&receipt_backup(&a, 1), &a));
    }

    #[test]
    fn a_receipt_that_stepped_aside_says_of_which_version_it_is() {
        let (a, b): (PluginName, PluginName) = ("a".parse().unwrap(), "a.json".parse().unwrap());
        for mark in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(mark_of_receipt(&receipt_backup(&a, mark), &a), Some(mark));
            assert_eq!(mark_of_receipt(&receipt_backup(&a, mark), &b), None);
            assert_eq!(mark_of_receipt(&receipt_backup(&b, mark), &a), None);
        }
        assert_eq!(mark_of_receipt(&temporary_receipt(&a), &a), None);
        assert_eq!(mark_of_receipt(&receipt(&a), &a), None);
        assert_eq!(id(OsStr::new(".staging-a-b-00000000000000ff")), Some(0xff));
        assert_eq!(id(OsStr::new(".staging-a-b")), None);
    }
}
