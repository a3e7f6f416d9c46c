//! `plugin.yaml`: never a panic, and a digest only where the text has one.

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
