//! The core's root names values alone: its machines, which may change in any release, are named in `machines.rs`.

use std::collections::BTreeSet;

use quote::ToTokens as _;
use syn::{Attribute, Item};

use super::source::{Visible, imports};
use super::tree::Tree;
use super::{Finding, finding};

const CORE: &str = "crates/molecule-core/src/";
const ROOT: &str = "crates/molecule-core/src/lib.rs";
const LIST: &str = "crates/molecule-core/src/machines.rs";

/// The `#[must_use]` text of every machine's type.
const MARK: &str = "a machine does nothing until it is driven";

/// Reports a public machine that the list lacks, or that the root re-exports.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let (root, list) = (exports(tree, ROOT), exports(tree, LIST));
    let sources = tree.sources().filter(|(path, _)| path.starts_with(CORE));
    let machines = sources.flat_map(|(path, source)| {
        let structs = source.file.items.iter().filter_map(|item| match item {
            Item::Struct(item) if Visible::of(&item.vis) == Visible::Everywhere && is_machine(&item.attrs) => {
                Some((path, item.ident.span().start().line, item.ident.to_string()))
            }
            _ => None,
        });
        structs.collect::<Vec<_>>()
    });
    let mut findings = Vec::new();
    for (path, line, name) in machines {
        if !list.contains(&name) {
            findings.push(finding(path, line, format!("`{name}` is a machine that `{LIST}` does not list")));
        }
        if root.contains(&name) {
            findings.push(finding(ROOT, 1, format!("`{name}` is a machine; the root names values alone")));
        }
    }
    findings
}

fn is_machine(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.meta.to_token_stream().to_string().contains(MARK))
}

/// The public re-exports of a file.
fn exports(tree: &Tree, path: &str) -> BTreeSet<String> {
    let items = tree.source(path).map(|source| source.file.items.as_slice()).unwrap_or_default();
    let uses = items.iter().filter_map(|item| if let Item::Use(item) = item { Some(item) } else { None });
    let public = uses.flat_map(imports).filter(|import| import.visible == Visible::Everywhere);
    public.filter_map(|import| import.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str =
        "#[derive(Debug)]\n#[must_use = \"a machine does nothing until it is driven\"]\npub struct Run {}\n";

    fn found(root: &str, list: &str, run: &str) -> Vec<(String, usize)> {
        let tree = Tree::of(&[(ROOT, root), (LIST, list), ("crates/molecule-core/src/run.rs", run)]);
        check(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect()
    }

    #[test]
    fn a_machine_that_is_not_listed_or_stands_at_the_root_is_found() {
        let run = ("crates/molecule-core/src/run.rs".to_owned(), 3);
        assert_eq!(found("mod run;\n", "pub use crate::call::Call;\n", RUN), [run]);
        let root = (ROOT.to_owned(), 1);
        assert_eq!(found("pub use run::{Ended, Run};\n", "pub use crate::run::Run;\n", RUN), [root]);
    }

    #[test]
    fn what_is_listed_inner_or_no_machine_is_not() {
        assert_eq!(found("pub use run::Ended;\n", "pub use crate::run::Run;\n", RUN), []);
        assert_eq!(found("", "", &RUN.replace("pub struct", "pub(crate) struct")), []);
        assert_eq!(found("pub use run::Run;\n", "", "#[must_use]\npub struct Run {}\n"), []);
    }
}
