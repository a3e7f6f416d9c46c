//! Public types that may grow: a field or a variant more must break nobody, so each is `#[non_exhaustive]`.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Attribute, Fields, ItemEnum, ItemStruct};

use super::source::{Visible, paths};
use super::tree::Tree;
use super::{Finding, finding};

/// Where every public type may grow: what users and server authors build, match and read. What is left out in the core is
/// for drivers alone, outside semver, and is matched there without a wildcard so that nothing is forgotten.
const ROOMS: [&str; 13] = [
    "crates/molecule-proto/src/",
    "crates/molecule-platform/src/",
    "crates/molecule-plugin/src/",
    "crates/molecule-host/src/",
    "crates/molecule-core/src/config.rs",
    "crates/molecule-core/src/delegation",
    "crates/molecule-core/src/endpoint",
    "crates/molecule-core/src/event.rs",
    "crates/molecule-core/src/session/health.rs",
    "crates/molecule-core/src/config/options.rs",
    "crates/molecule-core/src/peer/outgoing.rs",
    "crates/molecule-core/src/life/register.rs",
    "crates/molecule-core/src/session/report.rs",
];

/// Types in those rooms that stay as they are, and why.
const CLOSED: [(&str, &str); 4] = [
    ("Line", "what a tree's text says of a file; with a word more it would have another digest"),
    ("Dialect", "the servers: whoever adds one wants to see each place that tells them apart"),
    ("Now", "two clocks, read together; a third is another protocol between a machine and its driver"),
    ("Wake", "when and why; a third is another protocol between a machine and its driver"),
];

/// Enums that are only ever read, so that a field more in a variant must break nobody either. Other enums are built as well: an
/// outcome in an application's own tests, an entry of a folder by whoever describes it.
const READ: [&str; 1] = ["Event"];

/// Looks at public structs with public fields, and at public enums.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rooms = tree.sources().filter(|(path, _)| ROOMS.iter().any(|room| path.starts_with(room)));
    let mut findings = Vec::new();
    for (path, source) in rooms {
        let mut types = Types { path, findings: Vec::new() };
        types.visit_file(&source.file);
        findings.extend(types.findings);
    }
    findings
}

struct Types<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Types<'_> {
    fn judge(&mut self, name: &Ident, attributes: &[Attribute]) {
        if !is_open(attributes) && !CLOSED.iter().any(|(closed, _)| name == closed) {
            let sentence =
                format!("`{name}` cannot grow; make it `#[non_exhaustive]`, with `new` and a method for each option");
            self.findings.push(finding(self.path, name.span().start().line, sentence));
        }
    }
}

fn is_open(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let mut names = paths(attribute.meta.to_token_stream()).into_iter().flat_map(|path| path.names);
        names.any(|name| name == "non_exhaustive")
    })
}

impl<'ast> Visit<'ast> for Types<'_> {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let Fields::Named(fields) = &item.fields else { return };
        let shows = fields.named.iter().any(|field| Visible::of(&field.vis) == Visible::Everywhere);
        if shows && Visible::of(&item.vis) == Visible::Everywhere {
            self.judge(&item.ident, &item.attrs);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        if Visible::of(&item.vis) != Visible::Everywhere {
            return;
        }
        self.judge(&item.ident, &item.attrs);
        if READ.iter().any(|read| item.ident == read) {
            let variants = item.variants.iter().filter(|variant| matches!(variant.fields, Fields::Named(_)));
            variants.for_each(|variant| self.judge(&variant.ident, &variant.attrs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        check(&Tree::of(&[("crates/molecule-proto/src/a.rs", text)])).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_type_that_cannot_grow_is_found() {
        assert_eq!(found("/// A.\n#[derive(Debug)]\npub struct A {\n    pub a: u8,\n}\n"), [3]);
        assert_eq!(found("pub enum A {\n    B,\n}\n"), [1]);
        assert_eq!(found("#[non_exhaustive]\npub enum A {\n    B,\n}\npub struct C {\n    pub d: u8,\n}\n"), [5]);
    }

    #[test]
    fn a_field_of_an_event_that_cannot_be_added_is_found() {
        let event = "#[non_exhaustive]\npub enum Event {\n    A { b: u8 },\n    #[non_exhaustive]\n    C { d: u8 },\n    E(u8),\n}\n";
        assert_eq!(found(event), [3]);
        assert!(found(&event.replace("Event", "Entry")).is_empty());
    }

    #[test]
    fn what_may_grow_or_shows_nothing_is_not() {
        assert!(found("#[derive(Debug)]\n#[non_exhaustive]\n/// A.\npub struct A {\n    pub a: u8,\n}\n").is_empty());
        assert!(found("pub struct A {\n    a: u8,\n}\npub struct B(pub u8);\nenum C {\n    D,\n}\n").is_empty());
        assert!(found("pub struct Now {\n    pub mono: u8,\n}\n").is_empty());
        let driver = Tree::of(&[("crates/molecule-core/src/effect.rs", "pub enum Effect {\n    Http,\n}\n")]);
        assert_eq!(check(&driver), []);
    }
}
