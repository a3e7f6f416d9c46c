//! Checks that public types are `#[non_exhaustive]`, so that a new field or variant breaks no user.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Attribute, Fields, ItemEnum, ItemStruct};

use super::source::{Visible, paths};
use super::tree::Tree;
use super::{Finding, finding};

/// The directories whose public types may grow: users, authors of servers and of stores build, match and read them.
const ROOMS: [&str; 7] = [
    "crates/molecule-proto/src/",
    "crates/molecule-plugin/src/",
    "crates/molecule-core/src/",
    "crates/molecule-host/src/",
    "crates/molecule-blocking/src/",
    "crates/molecule-async/src/",
    "crates/molecule-platform/src/",
];

/// Files there that only drivers use, outside semver: drivers match these types without a wildcard, so that the
/// compiler finds every place to change.
const DRIVERS: [&str; 7] = [
    "crates/molecule-core/src/effect",
    "crates/molecule-core/src/error/fault.rs",
    "crates/molecule-core/src/fleet",
    "crates/molecule-core/src/inbound",
    "crates/molecule-core/src/machine.rs",
    "crates/molecule-core/src/session/peer_cache.rs",
    "crates/molecule-proto/src/form.rs",
];

/// Types in those files that an author's own endpoint or store gets.
const GIVEN: [&str; 4] = ["Limits", "Reach", "Slot", "Stored"];

/// Types in those directories that stay exhaustive, each with its reason.
const CLOSED: [(&str, &str); 6] = [
    ("Line", "what a tree's text says of a file; with a word more it would have another digest"),
    ("Dialect", "the servers: whoever adds one wants to see each place that tells them apart"),
    ("Now", "two clocks, read together; a third is another protocol between a machine and its driver"),
    ("Reach", "whom a request may reach; where a driver does not know one, it must not compile"),
    ("StopLevel", "how urgent a stop is; whoever adds a level wants to see each place that waits"),
    ("Wake", "when and why; a third is another protocol between a machine and its driver"),
];

/// Enums that users only read, so that a new field in a variant must break nobody either. Users also build other enums:
/// an outcome in an application's own tests, an entry of a folder by whoever describes it.
const READ: [&str; 1] = ["Event"];

/// Checks public structs with public fields, and public enums.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_in = |path: &str, rooms: &[&str]| rooms.iter().any(|room| path.starts_with(room));
    let rooms = tree.sources().filter(|(path, _)| is_in(path, &ROOMS));
    let mut findings = Vec::new();
    for (path, source) in rooms {
        let mut types = Types { path, is_for_drivers: is_in(path, &DRIVERS), findings: Vec::new() };
        types.visit_file(&source.file);
        findings.extend(types.findings);
    }
    findings
}

struct Types<'a> {
    path: &'a str,
    is_for_drivers: bool,
    findings: Vec<Finding>,
}

impl Types<'_> {
    fn judge(&mut self, name: &Ident, attributes: &[Attribute]) {
        let grows = !self.is_for_drivers || GIVEN.iter().any(|given| name == given);
        if grows && !is_open(attributes) && !CLOSED.iter().any(|(closed, _)| name == closed) {
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
        let store = Tree::of(&[("crates/molecule-core/src/effect.rs", "pub enum Slot {\n    Token,\n}\n")]);
        assert_eq!(check(&store).len(), 1);
    }
}
