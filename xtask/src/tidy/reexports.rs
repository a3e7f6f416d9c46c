//! Whatever a facade's signatures name can be named through the facade: no program has to depend on the crates below it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, paths};
use super::tree::Tree;
use super::{Finding, finding};

const FACADES: [&str; 2] = ["molecule-blocking", "molecule-async"];
/// Whose types a facade may name.
const BELOW: [&str; 3] = ["molecule-proto", "molecule-core", "molecule-host"];

/// What methods for drivers and the host take or give: `Storage::host`, `Proxy::rule`, `PeerUrl::is_direct`, `Reach::fault`,
/// `ContentDigest::of`. Agents are written without them.
const FOR_DRIVERS: [&str; 5] = ["Fault", "Host", "ProxyRule", "Target", "Tree"];

/// A type that a re-exported one names in its fields, variants or methods, and that the facade does not re-export itself.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = Sources::read(tree);
    FACADES.iter().flat_map(|facade| check_facade(tree, &sources, facade)).collect()
}

fn check_facade(tree: &Tree, sources: &Sources, facade: &str) -> Vec<Finding> {
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

/// What a facade re-exports, and the crate that it comes from, with the module where that matters.
fn exports(tree: &Tree, facade: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for file in ["lib.rs", "extend.rs"] {
        let code = code(tree.text(&format!("crates/{facade}/src/{file}")).unwrap_or_default());
        for (_, path) in paths(&code, &["molecule_core", "molecule_host"]) {
            let Some((home, name)) = path.rsplit_once("::").filter(|(_, name)| is_type(name)) else { continue };
            let home = home.replace("molecule_core::proto", "molecule_proto").replace("molecule_", "molecule-");
            exports.insert(name.to_owned(), home);
        }
        for own in code.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';')) {
            if let Some((_, name)) =
                own.rsplit_once("::").filter(|(module, name)| !module.contains("molecule_") && is_type(name))
            {
                exports.insert(name.to_owned(), facade.to_owned());
            }
        }
    }
    exports
}

/// The code of the crates, and which of their types are public.
struct Sources {
    files: Vec<(String, String)>,
    public: BTreeSet<String>,
}

impl Sources {
    fn read(tree: &Tree) -> Self {
        let crates = BELOW.iter().chain(&FACADES);
        let roots: Vec<_> = crates.map(|name| format!("crates/{name}/src/")).collect();
        let ours =
            tree.files().filter(|(path, _)| path.ends_with(".rs") && roots.iter().any(|root| path.starts_with(root)));
        let files: Vec<_> = ours.map(|(path, text)| (path.to_owned(), code(text))).collect();
        let mut public = BTreeSet::new();
        for (path, code) in &files {
            let defined = code.lines().filter_map(|line| defined(line).map(|(_, name)| name.to_owned()));
            public.extend(defined);
            // Types that macros make are public by their names here.
            if path.ends_with("molecule-proto/src/lib.rs") {
                public.extend(words(code).map(|(_, word)| word.to_owned()));
            }
        }
        Self { files, public }
    }

    /// The types that a type names where its users see them, each with where.
    fn named_by(&self, name: &str, home: &str) -> Vec<(String, String)> {
        let (home, module) = home.split_once("::").unwrap_or((home, ""));
        let root = format!("crates/{home}/src/");
        let files = self.files.iter().filter(|(path, _)| {
            // The core has endpoints of the same names as values.
            path.starts_with(&root) && (module == "endpoint" || !path.starts_with(&format!("{root}endpoint")))
        });
        let mut named = Vec::new();
        for (path, code) in files {
            let lines: Vec<_> = code.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let Some(kind) = begins(line, name) else { continue };
                let length = lines[number..].iter().take_while(|line| !line.starts_with('}')).count();
                let body = if line.ends_with(';') { &lines[number..=number] } else { &lines[number..number + length] };
                let shown = shown(kind, body);
                let types = words(&shown).filter(|(before, _)| !before.ends_with("::") || before.ends_with("core::"));
                named.extend(types.map(|(_, word)| (format!("{path}:{}", number + 1), word.to_owned())));
            }
        }
        named
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Struct,
    Enum,
    Trait,
    Impl,
}

/// A public type that a line defines.
fn defined(line: &str) -> Option<(Kind, &str)> {
    let item = line.strip_prefix("pub ")?;
    let kinds = [("struct ", Kind::Struct), ("enum ", Kind::Enum), ("trait ", Kind::Trait)];
    let (kind, rest) = kinds.iter().find_map(|(word, kind)| Some((*kind, item.strip_prefix(word)?)))?;
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    Some((kind, &rest[..end]))
}

/// Whether a line begins the definition of a type, or its own methods.
fn begins(line: &str, name: &str) -> Option<Kind> {
    if let Some((kind, defined)) = defined(line) {
        return (defined == name).then_some(kind);
    }
    let rest = line.strip_prefix("impl")?;
    let of = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.strip_prefix(' ')? };
    let is_its = of.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '<'])) && !of.contains(" for ");
    is_its.then_some(Kind::Impl)
}

/// What users see of a definition: public fields, variants' fields, heads of public methods.
fn shown(kind: Kind, body: &[&str]) -> String {
    let mut shown = String::new();
    let mut in_head = false;
    let mut is_hidden = false;
    for (number, line) in body.iter().enumerate() {
        let head = match kind {
            Kind::Trait => line.starts_with("    fn "),
            _ => ["    pub fn ", "    pub async fn ", "    pub const fn "].iter().any(|head| line.starts_with(head)),
        };
        match kind {
            Kind::Struct if number == 0 => shown.extend(line.split("pub ").skip(2)),
            Kind::Struct if line.starts_with("    pub ") => shown += line.split_once(": ").map_or("", |(_, of)| of),
            Kind::Enum if number > 0 && line.starts_with("        ") => {
                shown += line.split_once(": ").map_or("", |(_, of)| of);
            }
            Kind::Enum if number > 0 => shown += line.split_once('(').map_or("", |(_, of)| of),
            Kind::Struct | Kind::Enum => {}
            Kind::Trait | Kind::Impl => {
                in_head |= head && !is_hidden;
                if in_head {
                    shown += line;
                    in_head = !line.ends_with(['{', '}', ';']);
                }
                is_hidden = line.contains("#[doc(hidden)]");
            }
        }
        shown.push('\n');
    }
    shown
}

/// The words that could be types, each with what stands before it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts = text.char_indices().filter(move |(at, c)| c.is_uppercase() && !text[..*at].ends_with(is_word));
    starts.filter_map(move |(at, _)| {
        let word = text[at..].split(|c| !is_word(c)).next()?;
        is_type(word).then_some((&text[..at], word))
    })
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
    }

    #[test]
    fn both_facades_of_this_project_re_export_what_they_name() {
        assert_eq!(check(&Tree::read(&crate::root()).unwrap()), []);
    }
}
