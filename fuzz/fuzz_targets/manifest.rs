//! Parses arbitrary bytes as a `plugin.yaml`: no panic, and every refusal is short and names a rule of the manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_plugin::PluginManifest;

fuzz_target!(|bytes: &[u8]| {
    match PluginManifest::parse(bytes) {
        Ok(manifest) => {
            if let Some(version) = manifest.version {
                assert!(version.len() <= 256);
            }
        }
        Err(refusal) => {
            assert!(refusal.rule().name().starts_with("manifest-"));
            assert!(refusal.to_string().len() < 1_000, "{refusal}");
        }
    }
});
