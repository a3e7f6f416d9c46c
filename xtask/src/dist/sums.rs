//! Digests in the form that `sha256sum` and `md5sum` read.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Packages;

/// The SHA-256 of each package, a line each.
pub(super) fn write(packages: &Packages) -> String {
    packages.iter().map(|(name, content)| format!("{}  {name}\n", sha256(content))).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// For Debian packages, whose tools know no other one.
pub(super) fn md5(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard_tools() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(md5(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        let packages = Packages::from([("b".to_owned(), b"abc".to_vec()), ("a".to_owned(), Vec::new())]);
        let lines = write(&packages);
        assert!(lines.starts_with("e3b0c442") && lines.contains("  a\nba7816bf"), "{lines}");
        assert!(lines.ends_with("20015ad  b\n"), "{lines}");
    }
}
