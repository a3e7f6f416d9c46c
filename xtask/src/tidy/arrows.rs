//! Finds which file of a crate uses which: follows every `use`, and every path in code, through re-exports to the file
//! that defines the name.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens as _;
use syn::Item;

use super::source::{After, Import, Visible, imports, paths};
use super::tree::Tree;

/// Bounds the search where re-exports lead to each other.
const MOST_STEPS: usize = 16;

/// The files of a crate and the arrows between them.
pub(super) struct Arrows {
    /// Relative to the crate's `src/`.
    pub(super) files: Vec<String>,
    /// The using file and the used one, and the first line with such a use.
    pub(super) arrows: BTreeMap<(usize, usize), usize>,
}

impl Arrows {
    /// Reads the crate whose sources are below `src`, from its `lib.rs` along its modules, without tests.
    pub(super) fn read(tree: &Tree, src: &str) -> Self {
        let mut modules = Modules::default();
        modules.enter(tree, src, "lib.rs", Vec::new());
        let arrows = modules.arrows();
        Self { files: modules.files, arrows }
    }

    /// Groups of files in which each file uses every other, directly or through others.
    pub(super) fn knots(&self) -> Vec<Vec<usize>> {
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|file| self.reached_from(file)).collect();
        let mut knots = BTreeSet::new();
        for (file, all) in reached.iter().enumerate() {
            let knot: Vec<usize> = all.iter().copied().filter(|other| reached[*other].contains(&file)).collect();
            if knot.len() > 1 {
                knots.insert(knot);
            }
        }
        knots.into_iter().collect()
    }

    fn reached_from(&self, file: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next = vec![file];
        while let Some(file) = next.pop() {
            for &(_, to) in self.arrows.range((file, 0)..=(file, usize::MAX)).map(|(arrow, _)| arrow) {
                if reached.insert(to) {
                    next.push(to);
                }
            }
        }
        reached
    }
}

type ModulePath = Vec<String>;

/// The modules of a crate by their paths; the root's is empty.
#[derive(Default)]
struct Modules {
    files: Vec<String>,
    /// The module of each file.
    places: Vec<ModulePath>,
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Default)]
struct Module {
    file: usize,
    items: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths in its code with their lines.
    named: Vec<(usize, Vec<String>)>,
}

impl Module {
    fn knows(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.iter().any(|import| import.name.as_deref() == Some(name))
    }
}

impl Modules {
    fn enter(&mut self, tree: &Tree, src: &str, file: &str, place: ModulePath) {
        // Another check reports files that are no Rust.
        let Some(source) = tree.source(&format!("{src}/{file}")) else { return };
        self.files.push(file.to_owned());
        self.places.push(place.clone());
        let number = self.files.len() - 1;
        self.add(tree, src, number, place, &source.file.items);
    }

    fn add(&mut self, tree: &Tree, src: &str, file: usize, place: ModulePath, items: &[Item]) {
        let mut module = Module { file, ..Module::default() };
        for item in items {
            match item {
                Item::Use(item) => module.imports.extend(imports(item)),
                Item::Mod(inner) => {
                    let inside = [&place[..], &[inner.ident.to_string()]].concat();
                    match &inner.content {
                        Some((_, items)) => self.add(tree, src, file, inside, items),
                        None => {
                            let path = inside.join("/");
                            let names = [format!("{path}.rs"), format!("{path}/mod.rs")];
                            let there = names.iter().find(|name| tree.text(&format!("{src}/{name}")).is_some());
                            if let Some(there) = there {
                                self.enter(tree, src, there, inside);
                            }
                        }
                    }
                }
                item => {
                    module.items.extend(defined(item));
                    let here = paths(item.to_token_stream()).into_iter();
                    let here = here.filter(|path| path.after == After::Nothing);
                    module.named.extend(here.map(|path| (path.line, path.names)));
                }
            }
        }
        self.modules.insert(place, module);
    }

    fn arrows(&self) -> BTreeMap<(usize, usize), usize> {
        let mut arrows = BTreeMap::new();
        for (place, module) in &self.modules {
            let mut draw = |line: usize, to: usize| {
                if to != module.file {
                    let first = arrows.entry((module.file, to)).or_insert(line);
                    *first = line.min(*first);
                }
            };
            for import in &module.imports {
                let to = match import.name {
                    Some(_) => self.file_of(place, &import.path, 0),
                    None => self.module_of(place, &import.path, 0).map(|module| module.file),
                };
                // A module that re-exports from its own files does not use them.
                let is_sign = |to: usize| import.visible != Visible::Here && self.places[to].starts_with(place);
                if let Some(to) = to.filter(|to| !is_sign(*to)) {
                    draw(import.line, to);
                }
            }
            for (line, names) in &module.named {
                if let Some(to) = self.file_of(place, names, 0) {
                    draw(*line, to);
                }
            }
        }
        arrows
    }

    /// The file that defines the item of a path, as written in this module. `None` for an item of another crate and for
    /// a module itself.
    fn file_of(&self, place: &[String], path: &[String], steps: usize) -> Option<usize> {
        if steps > MOST_STEPS {
            return None;
        }
        // Resolves the longest part of the path that is a module, then the next name inside that module.
        let (inside, rest) = self.enter_modules(place, path);
        let module = self.modules.get(&inside)?;
        let next = rest.first()?;
        if module.items.contains(next) {
            return Some(module.file);
        }
        if let Some(import) = module.imports.iter().find(|import| import.name.as_ref() == Some(next)) {
            let whole = [&import.path[..], &rest[1..]].concat();
            return self.file_of(&inside, &whole, steps + 1);
        }
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        let mut by_glob = globs.filter_map(|glob| {
            let at = self.place_of(&inside, &glob.path, steps + 1)?;
            if self.modules.get(&at)?.knows(next) { self.file_of(&at, rest, steps + 1) } else { None }
        });
        // An item that a macro defines is unknown by name; a path with a module is trusted.
        by_glob.next().or_else(|| (rest.len() < path.len()).then_some(module.file))
    }

    fn module_of(&self, place: &[String], path: &[String], steps: usize) -> Option<&Module> {
        self.modules.get(&self.place_of(place, path, steps)?)
    }

    /// The module of a path that names nothing but modules.
    fn place_of(&self, place: &[String], path: &[String], steps: usize) -> Option<ModulePath> {
        if steps > MOST_STEPS {
            return None;
        }
        let (inside, rest) = self.enter_modules(place, path);
        let Some(next) = rest.first() else { return Some(inside) };
        let imports = &self.modules.get(&inside)?.imports;
        let import = imports.iter().find(|import| import.name.as_ref() == Some(next))?;
        self.place_of(&inside, &[&import.path[..], &rest[1..]].concat(), steps + 1)
    }

    /// Follows a path for as long as it names modules. A last name that is both a module and an item counts as the
    /// item.
    fn enter_modules<'a>(&self, place: &[String], path: &'a [String]) -> (ModulePath, &'a [String]) {
        let mut inside = place.to_vec();
        let mut rest = path;
        while let Some((name, behind)) = rest.split_first() {
            match name.as_str() {
                "crate" => inside.clear(),
                "self" => {}
                "super" => {
                    inside.pop();
                }
                _ => {
                    let child = [&inside[..], std::slice::from_ref(name)].concat();
                    let is_item = || self.modules.get(&inside).is_some_and(|module| module.items.contains(name));
                    if !self.modules.contains_key(&child) || behind.is_empty() && is_item() {
                        break;
                    }
                    inside = child;
                }
            }
            rest = behind;
        }
        (inside, rest)
    }
}

/// The name that an item defines in its module.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| (format!("a/{path}"), *text)).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let found = Arrows::read(&Tree::of(&files), "a");
        let named = found.arrows.iter().map(|(&(from, to), line)| {
            format!("{}:{line} {}", found.files[from].trim_end_matches(".rs"), found.files[to].trim_end_matches(".rs"))
        });
        let mut named: Vec<_> = named.collect();
        named.sort();
        named
    }

    const LIB: (&str, &str) = ("lib.rs", "mod one;\nmod two;\n");
    const TWO: (&str, &str) = ("two.rs", "pub struct Two;\npub fn two() {}\nid!(Made);\n");

    #[test]
    fn every_way_to_name_a_thing_is_an_arrow() {
        for one in [
            "use crate::two::Two;",
            "use super::two::{self, Two};",
            "use crate::two;\nfn f() { two::two() }",
            "use crate::two::*;",
            "use crate::two as other;\nfn f(_: other::Two) {}",
            "fn f(_: crate::two::Two) {}",
            "fn f(x: u8) { g::<super::two::Two>(x) }",
            "fn f() { vec![crate::two::Two] }",
            "fn f() { use crate::two::Two; }",
            "fn f() { crate::two::Made::new() }",
            "mod inner {\n    use super::super::two::Two;\n}",
            "macro_rules! m { () => { $crate::two::two() } }",
        ] {
            let found = arrows(&[LIB, ("one.rs", one), TWO]);
            assert_eq!(found.len(), 1, "{one}: {found:?}");
            assert!(found[0].starts_with("one:") && found[0].ends_with(" two"), "{one}: {found:?}");
        }
    }

    #[test]
    fn what_names_nothing_of_another_file_is_none() {
        for one in [
            "",
            "use crate::two;",
            "use std::two::Two;",
            "// crate::two::Two",
            "/// See [`crate::two::Two`].\nfn f() { \"crate::two::Two\" }",
            "#[cfg(test)]\nuse crate::two::Two;",
            "#[cfg(all(test, unix))]\nmod tests {\n    use crate::two::Two;\n}",
            "fn f(x: T) { x.two() }",
            "pub(in crate::two) fn f() {}",
            "struct Two;\nfn f(_: Two) {}",
        ] {
            assert_eq!(arrows(&[LIB, ("one.rs", one), TWO]), [""; 0], "{one}");
        }
    }

    #[test]
    fn a_reexport_leads_to_the_file_that_defines() {
        let lib = ("lib.rs", "mod one;\nmod two;\npub use two::Shown;\n");
        let two = ("two/mod.rs", "mod deep;\npub use deep::Deep as Shown;\n");
        let deep = ("two/deep.rs", "pub enum Deep { A }\n");
        assert_eq!(arrows(&[lib, two, deep, ("one.rs", "\nuse crate::Shown;\n")]), ["one:2 two/deep"]);
        assert_eq!(arrows(&[lib, two, deep, ("one.rs", "fn f() { crate::two::Shown::A }")]), ["one:1 two/deep"]);
    }

    #[test]
    fn a_room_that_shows_its_own_does_not_use_it_but_one_that_shows_anothers_does() {
        let lib = ("lib.rs", "mod one;\nmod two;\n");
        assert_eq!(
            arrows(&[lib, ("one.rs", "mod deep;\npub use deep::Deep;\n"), ("one/deep.rs", "pub struct Deep;"), TWO]),
            [""; 0]
        );
        assert_eq!(arrows(&[lib, ("one.rs", "pub(crate) use crate::two::Two;\n"), TWO]), ["one:1 two"]);
        let used = "mod deep;\npub use deep::Deep;\nfn f(_: Deep) {}\n";
        assert_eq!(arrows(&[lib, ("one.rs", used), ("one/deep.rs", "pub struct Deep;"), TWO]), ["one:3 one/deep"]);
    }

    #[test]
    fn a_circle_is_a_knot_and_a_way_is_not() {
        let files = |last: &str| {
            let lib = "mod a;\nmod b;\nmod c;\n";
            let [a, b] = ["use crate::b::B;\npub struct A;", "use crate::c::C;\npub struct B;"];
            let tree = Tree::of(&[("x/lib.rs", lib), ("x/a.rs", a), ("x/b.rs", b), ("x/c.rs", last)]);
            Arrows::read(&tree, "x").knots()
        };
        assert_eq!(files("pub struct C;"), Vec::<Vec<usize>>::new());
        assert_eq!(files("use crate::a::A;\npub struct C;"), [[1, 2, 3]]);
        assert_eq!(files("use crate::b::B;\npub struct C;"), [[2, 3]]);
    }
}
