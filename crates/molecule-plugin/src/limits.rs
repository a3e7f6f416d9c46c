//! Limits of a plugin's archive and of its `setup.sh`.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// How much a plugin's archive may hold, and how long its `setup.sh` may take. Each limit is a number; none can be turned off.
///
/// ```
/// use molecule_plugin::InstallLimits;
///
/// let limits = InstallLimits::default().max_entries(500).max_unpacked_bytes(16 << 20);
/// assert_eq!(limits.max_entries, 500);
/// assert_eq!(limits.max_archive_bytes, 100 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstallLimits {
    /// Bytes of the download, compressed: 100 MiB.
    pub max_archive_bytes: u64,
    /// Bytes that come out of decompression, headers and padding among them: 512 MiB.
    pub max_unpacked_bytes: u64,
    /// Entries of every type, with skipped ones and with directories for which the archive has no entry: 50,000.
    pub max_entries: u64,
    /// Bytes of all names together: 4 MiB. Only names make memory grow with the archive.
    pub max_names_bytes: u64,
    /// Bytes of the extension headers before one entry, together: 256 KiB.
    pub max_metadata_bytes: u64,
    /// Extension headers before one entry: 8.
    pub max_metadata_headers: u32,
    /// Bytes of one path: 1,024. A component has at most 255 bytes, also under a higher limit.
    pub max_path_bytes: usize,
    /// Components of one path: 64.
    pub max_depth: usize,
    /// Bytes of `plugin.yaml`: 1 MiB.
    pub max_manifest_bytes: u64,
    /// How long `setup.sh` may take: 120 s.
    pub setup_timeout: Duration,
    /// Bytes of the end of each of `setup.sh`'s outputs that are kept: 64 KiB.
    pub setup_output_bytes: usize,
}

impl Default for InstallLimits {
    fn default() -> Self {
        Self {
            max_archive_bytes: 100 * MIB,
            max_unpacked_bytes: 512 * MIB,
            max_entries: 50_000,
            max_names_bytes: 4 * MIB,
            max_metadata_bytes: MIB / 4,
            max_metadata_headers: 8,
            max_path_bytes: 1_024,
            max_depth: 64,
            max_manifest_bytes: MIB,
            setup_timeout: Duration::from_secs(120),
            setup_output_bytes: 64 << 10,
        }
    }
}

/// The error for a variable of a limit whose value is not a whole number, or too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a whole number that fits")]
pub struct LimitError(&'static str);

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        impl InstallLimits {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    /// Sets the most bytes of the download.
    max_archive_bytes: u64,
    /// Sets the most bytes that may come out of decompression.
    max_unpacked_bytes: u64,
    /// Sets the most entries.
    max_entries: u64,
    /// Sets the most bytes of all names together.
    max_names_bytes: u64,
    /// Sets the most bytes of extension headers before one entry.
    max_metadata_bytes: u64,
    /// Sets the most extension headers before one entry.
    max_metadata_headers: u32,
    /// Sets the most bytes of one path.
    max_path_bytes: usize,
    /// Sets the most components of one path.
    max_depth: usize,
    /// Sets the most bytes of `plugin.yaml`.
    max_manifest_bytes: u64,
    /// Sets how long `setup.sh` may take.
    setup_timeout: Duration,
    /// Sets how many bytes of the end of each of `setup.sh`'s outputs are kept.
    setup_output_bytes: usize,
}

impl InstallLimits {
    /// The defaults, replaced by variables where they are set: `MOLECULE_PLUGIN_` and the field's name in upper case, such as
    /// `MOLECULE_PLUGIN_MAX_ARCHIVE_BYTES`; `MOLECULE_PLUGIN_SETUP_TIMEOUT` is in seconds. An empty variable counts as absent.
    ///
    /// # Errors
    /// The first variable that is no whole number.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, LimitError> {
        let mut limits = Self::default();
        let mut seconds = limits.setup_timeout.as_secs();
        read(&var, "MOLECULE_PLUGIN_MAX_ARCHIVE_BYTES", &mut limits.max_archive_bytes)?;
        read(&var, "MOLECULE_PLUGIN_MAX_UNPACKED_BYTES", &mut limits.max_unpacked_bytes)?;
        read(&var, "MOLECULE_PLUGIN_MAX_ENTRIES", &mut limits.max_entries)?;
        read(&var, "MOLECULE_PLUGIN_MAX_NAMES_BYTES", &mut limits.max_names_bytes)?;
        read(&var, "MOLECULE_PLUGIN_MAX_METADATA_BYTES", &mut limits.max_metadata_bytes)?;
        read(&var, "MOLECULE_PLUGIN_MAX_METADATA_HEADERS", &mut limits.max_metadata_headers)?;
        read(&var, "MOLECULE_PLUGIN_MAX_PATH_BYTES", &mut limits.max_path_bytes)?;
        read(&var, "MOLECULE_PLUGIN_MAX_DEPTH", &mut limits.max_depth)?;
        read(&var, "MOLECULE_PLUGIN_MAX_MANIFEST_BYTES", &mut limits.max_manifest_bytes)?;
        read(&var, "MOLECULE_PLUGIN_SETUP_TIMEOUT", &mut seconds)?;
        read(&var, "MOLECULE_PLUGIN_SETUP_OUTPUT_BYTES", &mut limits.setup_output_bytes)?;
        limits.setup_timeout = Duration::from_secs(seconds);
        Ok(limits)
    }
}

fn read<T: std::str::FromStr>(
    var: impl Fn(&str) -> Option<String>,
    name: &'static str,
    into: &mut T,
) -> Result<(), LimitError> {
    let Some(value) = var(name) else { return Ok(()) };
    let value = value.trim();
    if value.is_empty() {
        return Ok(());
    }
    *into = value.parse().map_err(|_| LimitError(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation states each of these defaults.
    #[test]
    fn the_defaults_are_the_documented_ones() {
        let (kib, mib) = (1 << 10, 1 << 20);
        let documented = InstallLimits {
            max_archive_bytes: 100 * mib,
            max_unpacked_bytes: 512 * mib,
            max_entries: 50_000,
            max_names_bytes: 4 * mib,
            max_metadata_bytes: 256 * kib,
            max_metadata_headers: 8,
            max_path_bytes: 1_024,
            max_depth: 64,
            max_manifest_bytes: mib,
            setup_timeout: Duration::from_secs(120),
            setup_output_bytes: 65_536,
        };
        assert_eq!(InstallLimits::default(), documented);
    }

    #[test]
    fn variables_replace_defaults() {
        let vars = |name: &str| match name {
            "MOLECULE_PLUGIN_MAX_ENTRIES" => Some(" 7 ".to_owned()),
            "MOLECULE_PLUGIN_SETUP_TIMEOUT" => Some("5".to_owned()),
            "MOLECULE_PLUGIN_MAX_DEPTH" => Some(String::new()),
            _ => None,
        };
        let limits = InstallLimits::from_vars(vars).unwrap();
        assert_eq!(limits, InstallLimits::default().max_entries(7).setup_timeout(Duration::from_secs(5)));
    }

    #[test]
    fn a_variable_that_is_no_number_names_itself() {
        for value in ["-1", "0x10", "many", "99999999999999999999"] {
            let error =
                InstallLimits::from_vars(|name| (name == "MOLECULE_PLUGIN_MAX_ENTRIES").then(|| value.to_owned()));
            assert!(error.unwrap_err().to_string().contains("MOLECULE_PLUGIN_MAX_ENTRIES"), "{value}");
        }
    }

    /// Every field has its variable: a value other than the default reaches each field.
    #[test]
    fn every_limit_has_a_variable() {
        let limits = InstallLimits::from_vars(|_| Some("3".to_owned())).unwrap();
        let three = InstallLimits {
            max_archive_bytes: 3,
            max_unpacked_bytes: 3,
            max_entries: 3,
            max_names_bytes: 3,
            max_metadata_bytes: 3,
            max_metadata_headers: 3,
            max_path_bytes: 3,
            max_depth: 3,
            max_manifest_bytes: 3,
            setup_timeout: Duration::from_secs(3),
            setup_output_bytes: 3,
        };
        assert_eq!(limits, three);
    }
}
