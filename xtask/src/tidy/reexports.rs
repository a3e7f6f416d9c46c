//! Checks that each facade re-exports all types in its signatures, so that no program has to depend on the crates below
//! it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::{Attribute, ImplItem, Item, TraitItem, Type};

use super::source::{Path, Source, Visible, imports, paths};
use super::tree::Tree;
use super::{Finding, finding};

const FACADES: [&str; 2] = ["molecule-blocking", "molecule-async"];
/// The crates whose types a facade may use.
const BELOW: [&str; 4] = ["molecule-proto", "molecule-plugin", "molecule-core", "molecule-host"];

/// Types that only methods for drivers and the host use: `Storage::host`, `Proxy::rule`, `PeerUrl::is_direct`,
/// `Reach::fault`, `ContentDigest::of`. An agent is written without them.
const FOR_DRIVERS: [&str; 5] = ["Fault", "Host", "ProxyRule", "BaseUrl", "Tree"];

/// Reports a type in the fields, variants or methods of a re-exported type that the facade does not re-export itself.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = Sources::read(tree);
    FACADES.iter().flat_map(|facade| check_facade(tree, &sources, facade)).collect()
}

fn check_facade(tree: &Tree, sources: &Sources<'_>, facade: &str) -> Vec<Finding> {
    let exports = exports(tree, facade);
    let mut missing = BTreeMap::new();
    for (name, home) in &exports {
        for (at, named) in sources.named_by(name, home) {
            let is_public = sources.public.contains(&named) && !FOR_DRIVERS.contains(&&*named);
            if is_public && !exports.contains_key(&named) {
                missing.entry(named).or_insert((name, at));
            }
        }
    }
    let lib = format!("crates/{facade}/src/lib.rs");
    let told = missing.into_iter().map(|(named, (name, at))| {
        finding(&lib, 1, format!("`{name}` names `{named}` ({at}), which the facade does not re-export"))
    });
    told.collect()
}

/// The re-exports of a facade, each with its crate, and with its module where that matters.
fn exports(tree: &Tree, facade: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for file in ["lib.rs", "extend.rs"] {
        let Some(source) = tree.source(&format!("crates/{facade}/src/{file}")) else { continue };
        let uses =
            source.file.items.iter().filter_map(|item| if let Item::Use(item) = item { Some(item) } else { None });
        for import in uses.flat_map(imports).filter(|import| import.visible == Visible::Everywhere) {
            let Some(name) = import.name.filter(|name| is_type(name)) else { continue };
            let path = import.path[..import.path.len() - 1].join("::");
            let home = if path.starts_with("molecule_") {
                path.replace("molecule_core::proto", "molecule_proto").replace("molecule_", "molecule-")
            } else {
                aliased(tree, facade, &name).unwrap_or_else(|| facade.to_owned())
            };
            exports.insert(name, home);
        }
    }
    exports
}

/// The crate of the type for which a facade's own type of the same name is an alias.
fn aliased(tree: &Tree, facade: &str, name: &str) -> Option<String> {
    let root = format!("crates/{facade}/src/");
    let own = tree.sources().filter(|(path, _)| path.starts_with(&root));
    own.flat_map(|(_, source)| &source.file.items).find_map(|item| match item {
        Item::Type(alias) if alias.ident == name => {
            let Type::Path(of) = &*alias.ty else { return None };
            let (first, last) = (of.path.segments.first()?, of.path.segments.last()?);
            let below = first.ident.to_string().replace('_', "-");
            (last.ident == name && BELOW.contains(&&*below)).then_some(below)
        }
        _ => None,
    })
}

/// The definitions in the facades and in the crates below them.
struct Sources<'a> {
    files: Vec<(&'a str, &'a Source)>,
    public: BTreeSet<String>,
}

impl<'a> Sources<'a> {
    fn read(tree: &'a Tree) -> Self {
        let roots: Vec<_> = BELOW.iter().chain(&FACADES).map(|name| format!("crates/{name}/src/")).collect();
        let ours = tree.sources().filter(|(path, _)| roots.iter().any(|root| path.starts_with(root)));
        let files: Vec<_> = ours.collect();
        let mut public = BTreeSet::new();
        for (path, source) in &files {
            let defined = source.file.items.iter().filter_map(|item| match item {
                Item::Struct(item) => Some((&item.ident, &item.vis)),
                Item::Enum(item) => Some((&item.ident, &item.vis)),
                Item::Trait(item) => Some((&item.ident, &item.vis)),
                _ => None,
            });
            let defined = defined.filter(|(_, visibility)| Visible::of(visibility) == Visible::Everywhere);
            public.extend(defined.map(|(name, _)| name.to_string()));
            // Types that a macro defines are public by the re-exports here.
            if path.ends_with("molecule-proto/src/lib.rs") {
                public.extend(source.paths().into_iter().flat_map(|path| path.names).filter(|name| is_type(name)));
            }
        }
        Self { files, public }
    }

    /// The types in the public part of a type, each with its place.
    fn named_by(&self, name: &str, home: &str) -> Vec<(String, String)> {
        let (home, module) = home.split_once("::").unwrap_or((home, ""));
        let root = format!("crates/{home}/src/");
        let files = self.files.iter().filter(|(path, _)| {
            // The core has endpoints with the same names as types of proto.
            let is_home =
                path.starts_with(&root) && (module == "endpoint" || !path.starts_with(&format!("{root}endpoint")));
            // The core re-exports the plugin types, which molecule-plugin defines.
            is_home || home == "molecule-core" && path.starts_with("crates/molecule-plugin/src/")
        });
        let mut named = Vec::new();
        for (path, source) in files {
            for (line, shown) in source.file.items.iter().filter_map(|item| shown(item, name)) {
                let types = paths(shown).into_iter().filter_map(|path| type_of(&path));
                named.extend(types.map(|named| (format!("{path}:{line}"), named)));
            }
        }
        named
    }
}

/// The public part of the type of this name in its definition or in an `impl` block, and the line of that item: public
/// fields, fields of variants, signatures of public methods.
fn shown(item: &Item, name: &str) -> Option<(usize, TokenStream)> {
    let mut shown = TokenStream::new();
    let ident = match item {
        Item::Struct(item) if item.ident == name => {
            let fields = item.fields.iter().filter(|field| Visible::of(&field.vis) == Visible::Everywhere);
            fields.for_each(|field| field.ty.to_tokens(&mut shown));
            &item.ident
        }
        Item::Enum(item) if item.ident == name => {
            let fields = item.variants.iter().flat_map(|variant| &variant.fields);
            fields.for_each(|field| field.ty.to_tokens(&mut shown));
            &item.ident
        }
        Item::Trait(item) if item.ident == name => {
            for item in &item.items {
                if let TraitItem::Fn(method) = item
                    && !method.attrs.iter().any(is_hidden)
                {
                    method.sig.to_tokens(&mut shown);
                }
            }
            &item.ident
        }
        Item::Impl(block) if block.trait_.is_none() => {
            let Type::Path(of) = &*block.self_ty else { return None };
            let last = of.path.segments.last().filter(|last| last.ident == name)?;
            for item in &block.items {
                if let ImplItem::Fn(method) = item
                    && Visible::of(&method.vis) == Visible::Everywhere
                    && !method.attrs.iter().any(is_hidden)
                {
                    method.sig.to_tokens(&mut shown);
                }
            }
            &last.ident
        }
        _ => return None,
    };
    Some((ident.span().start().line, shown))
}

/// Returns whether an attribute is `#[doc(hidden)]`.
fn is_hidden(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc") && attribute.parse_args::<Ident>().is_ok_and(|word| word == "hidden")
}

/// The type of this workspace that a path could name; `None` if the path names another crate.
fn type_of(path: &Path) -> Option<String> {
    let first = path.names.first()?;
    let is_ours =
        is_type(first) || matches!(first.as_str(), "crate" | "self" | "super") || first.starts_with("molecule_");
    path.names.iter().find(|name| is_type(name)).filter(|_| is_ours).cloned()
}

fn is_type(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = "pub struct Health {\n    /// When.\n    pub last: Option<UnixTime>,\n    secret: Hidden,\n}\n\
        impl Health {\n    pub fn rate(&self, of: impl Into<Budget>) -> Vec<Rate> {\n        Inside::new()\n    }\n\
        \n    #[doc(hidden)]\n    pub fn raw(&self) -> Raw {}\n    fn own(&self) -> Own {}\n}\n\
        impl fmt::Display for Health {\n    pub fn not(&self) -> Not {}\n}\n\
        pub trait Keep {\n    fn keep(&self, of: crate::Rate) -> other::Told;\n    #[doc(hidden)]\n    fn raw(&self) -> Raw;\n}\n\
        pub enum End {\n    Told(Told),\n    Rate,\n    Said {\n        by: Sayer,\n    },\n}\n\
        pub struct UnixTime;\npub struct Hidden;\npub struct Budget;\npub struct Rate;\npub struct Inside;\npub struct Raw;\n\
        pub struct Own;\npub struct Not;\npub struct Told;\npub struct Sayer;\n";

    fn missing(lib: &str) -> Vec<String> {
        let tree = Tree::of(&[("crates/molecule-core/src/a.rs", CORE), ("crates/molecule-async/src/lib.rs", lib)]);
        let findings = check(&tree);
        findings.iter().filter_map(|finding| finding.sentence.split('`').nth(3).map(str::to_owned)).collect()
    }

    #[test]
    fn fields_methods_and_variants_are_looked_at_and_nothing_private() {
        assert_eq!(missing("pub use molecule_core::Health;\n"), ["Budget", "Rate", "UnixTime"]);
        assert_eq!(missing("pub use molecule_core::{Budget, Health, Rate, UnixTime};\n"), [""; 0]);
        assert_eq!(missing("pub use molecule_core::End;\n"), ["Sayer", "Told"]);
        assert_eq!(missing("pub use molecule_core::Keep;\n"), ["Rate"]);
        assert_eq!(
            missing("use molecule_core::Rate;\npub use molecule_core::Keep;\n"),
            ["Rate"],
            "an import shows nothing"
        );
    }

    #[test]
    fn what_the_core_re_exports_is_looked_at_where_it_is_defined() {
        let plugin = "pub struct Limits;\nimpl Limits {\n    pub fn read(&self) -> Result<Self, Wrong> {\n    }\n}\npub struct Wrong;\n";
        let lib = "pub use molecule_core::plugin::Limits;\n";
        let tree = Tree::of(&[("crates/molecule-plugin/src/a.rs", plugin), ("crates/molecule-async/src/lib.rs", lib)]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn an_alias_is_looked_at_where_its_type_is_defined() {
        let host = "pub struct Builder<C>(C);\nimpl<C> Builder<C> {\n    pub fn keep(self, of: Place) -> Self {\n    }\n}\npub struct Place;\n";
        let files = [
            ("crates/molecule-host/src/a.rs", host),
            ("crates/molecule-async/src/lib.rs", "pub use b::Builder;\n"),
            ("crates/molecule-async/src/b.rs", "pub type Builder = molecule_host::Builder<Client>;\n"),
        ];
        let findings = check(&Tree::of(&files));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].sentence.contains("names `Place`"), "{}", findings[0]);
    }

    #[test]
    fn both_facades_of_this_project_re_export_what_they_name() {
        assert_eq!(check(&Tree::read(&crate::root()).unwrap()), []);
    }
}
