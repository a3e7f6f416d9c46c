//! Checks the dependencies of the blocking facade: no async runtime, and few crates.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, finding};
use crate::{Failure, cargo_says};

const MANIFEST: &str = "crates/molecule-blocking/Cargo.toml";
const MOST: usize = 41;
const ASYNC: [&str; 3] = ["tokio", "hyper", "hyper-util"];

/// The crates in the dependency tree of `molecule-blocking` on Linux, as `cargo tree` lists them.
pub(super) struct Blocking {
    without_tls: BTreeSet<String>,
    with_all_features: BTreeSet<String>,
}

impl Blocking {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let tree = ["tree", "-p", "molecule-blocking", "-e", "normal", "--prefix", "none", "--format", "{p}"];
        let linux = ["--target", "x86_64-unknown-linux-gnu"];
        let listed =
            |features| Ok::<_, Failure>(third_party(&cargo_says(root, &[&tree[..], &linux, &[features]].concat())?));
        Ok(Self { without_tls: listed("--no-default-features")?, with_all_features: listed("--all-features")? })
    }

    pub(super) fn figure(&self) -> String {
        format!("{MANIFEST}: {} third-party crates on Linux without TLS, at most {MOST}", self.without_tls.len())
    }

    pub(super) fn check(&self) -> Vec<Finding> {
        let many = (self.without_tls.len() > MOST).then(|| {
            finding(
                MANIFEST,
                1,
                format!("{} third-party crates without TLS are more than {MOST}; drop some", self.without_tls.len()),
            )
        });
        let with_runtime = self
            .with_all_features
            .iter()
            .filter(|listed| listed.split(' ').next().is_some_and(|name| ASYNC.contains(&name)));
        let with_runtime = with_runtime.map(|listed| {
            finding(MANIFEST, 1, format!("`{listed}` is in the tree; `cargo tree -p molecule-blocking --all-features -i` with its name shows who brings it; drop that"))
        });
        many.into_iter().chain(with_runtime).collect()
    }
}

/// `name version` of each crate from outside this workspace, without duplicates.
fn third_party(listing: &str) -> BTreeSet<String> {
    let lines = listing.lines().filter(|line| !line.is_empty() && !line.starts_with("molecule-"));
    lines.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_counts_once() {
        let listing = "molecule-blocking v0.1.0 (/a)\nserde v1.0.1\nserde_derive v1.0.1 (proc-macro)\nserde v1.0.1 (*)\nmolecule-core v0.1.0 (/b)\n";
        assert_eq!(third_party(listing), BTreeSet::from(["serde v1.0.1".to_owned(), "serde_derive v1.0.1".to_owned()]));
    }

    #[test]
    fn a_runtime_and_a_crowd_are_findings() {
        let crowd = |count: usize| (0..count).map(|n| format!("crate{n} v1.0.0")).collect::<BTreeSet<_>>();
        let good = Blocking { without_tls: crowd(MOST), with_all_features: crowd(MOST + 20) };
        assert_eq!(good.check(), []);
        assert_eq!(Blocking { without_tls: crowd(MOST + 1), ..good }.check().len(), 1);
        let runtime = Blocking {
            without_tls: crowd(1),
            with_all_features: third_party("tokio v1.0.0\nhyper-util v0.1.0\nhyperlocal v1.0.0"),
        };
        let findings: Vec<_> = runtime.check().into_iter().map(|finding| finding.sentence).collect();
        assert_eq!(findings.len(), 2);
        assert!(findings[1].starts_with("`tokio v1.0.0` is in the tree"), "{findings:?}");
    }
}
