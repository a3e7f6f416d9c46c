//! Counts the lines of each crate and of the longest functions, without tests.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::Item;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::source::Source;
use super::tree::Tree;

/// The crate whose longest functions are shown, and their number.
const CORE: &str = "molecule-core";
const SHOWN: usize = 3;

/// One line for each crate, and one for each of the core's longest functions.
pub(super) fn figures(tree: &Tree) -> Vec<String> {
    let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
    let mut functions = Vec::new();
    for (path, text) in tree.files() {
        let Some((name, file)) = path.strip_prefix("crates/").and_then(|path| path.split_once("/src/")) else {
            continue;
        };
        if !file.ends_with(".rs") || is_for_tests(tree, path) {
            continue;
        }
        let Ok(source) = Source::parse(text) else { continue };
        let lines = crates.entry(name).or_default();
        *lines += Lines::of(text, &source);
        if name == CORE {
            functions.extend(Functions::of(path, &source));
        }
    }
    functions.sort_by(|one, other| other.cmp(one));
    let crates = crates.iter().map(|(name, lines)| {
        format!("crates/{name}/src: {} lines without tests, {} of them code", lines.all, lines.code)
    });
    let functions = functions.iter().take(SHOWN);
    let functions = functions.map(|(lines, name, path)| format!("{path}: `{name}` has {lines} lines"));
    crates.chain(functions).collect()
}

/// Returns whether a file is a test module: named `tests.rs`, and declared by its parent only for tests.
fn is_for_tests(tree: &Tree, path: &str) -> bool {
    let Some((above, "tests.rs")) = path.rsplit_once('/') else { return false };
    let above = [format!("{above}.rs"), format!("{above}/mod.rs"), format!("{above}/lib.rs")];
    let mut above = above.iter().filter_map(|above| tree.source(above));
    let declares =
        |source: &Source| source.file.items.iter().any(|item| matches!(item, Item::Mod(item) if item.ident == "tests"));
    above.next().is_some_and(|source| !declares(source))
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Lines {
    all: usize,
    /// Lines that are neither empty nor only a comment.
    code: usize,
}

impl std::ops::AddAssign for Lines {
    fn add_assign(&mut self, more: Self) {
        self.all += more.all;
        self.code += more.code;
    }
}

impl Lines {
    fn of(text: &str, source: &Source) -> Self {
        let all = (1..=text.lines().count()).filter(|line| !source.is_for_tests(*line)).count();
        let mut code = BTreeSet::new();
        mark(source.file.to_token_stream(), &mut code);
        Self { all, code: code.len() }
    }
}

/// Marks every line with a token, except `///` lines, which `syn` reads as attributes.
fn mark(tokens: TokenStream, lines: &mut BTreeSet<usize>) {
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match &tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let bang = trees.next_if(|next| matches!(next, TokenTree::Punct(mark) if mark.as_char() == '!'));
                if trees.next_if(is_doc).is_none() {
                    lines.insert(punct.span().start().line);
                }
                drop(bang);
            }
            TokenTree::Group(group) => {
                lines.extend([group.span_open().start().line, group.span_close().end().line]);
                mark(group.stream(), lines);
            }
            tree => lines.extend(tree.span().start().line..=tree.span().end().line),
        }
    }
}

fn is_doc(tree: &TokenTree) -> bool {
    let TokenTree::Group(group) = tree else { return false };
    let mut inside = group.stream().into_iter();
    matches!(inside.next(), Some(TokenTree::Ident(name)) if name == "doc")
        && matches!(inside.next(), Some(TokenTree::Punct(mark)) if mark.as_char() == '=')
}

/// The functions with a body in a file: number of lines from `fn` or what precedes it on its line to the closing brace,
/// name, path.
#[derive(Default)]
struct Functions {
    owner: Option<String>,
    found: Vec<(usize, String)>,
}

impl Functions {
    fn of<'a>(path: &'a str, source: &Source) -> impl Iterator<Item = (usize, String, &'a str)> {
        let mut functions = Self::default();
        functions.visit_file(&source.file);
        functions.found.into_iter().map(move |(lines, name)| (lines, name, path))
    }

    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let lines = body.span().end().line + 1 - signature.span().start().line;
        let owner = self.owner.iter().map(|owner| format!("{owner}::"));
        self.found.push((lines, owner.chain([signature.ident.to_string()]).collect()));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let owner = match &*block.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let before = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, block);
        self.owner = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! Doc.\n\n/// More.\n#[derive(Debug)]\npub struct A; // why\n\nimpl A {\n    fn f(&self) {\n        \"a\n        b\";\n    }\n}\n\
        #[cfg(test)]\nmod tests {\n    fn long() {\n\n\n\n\n\n    }\n}\n";

    #[test]
    fn tests_and_comments_do_not_count() {
        let source = Source::parse(TEXT).unwrap();
        assert_eq!(Lines::of(TEXT, &source), Lines { all: 12, code: 8 });
    }

    #[test]
    fn the_longest_function_of_the_core_is_shown_first() {
        let other = "mod tests;\nfn g() {}\n";
        let tree = Tree::of(&[
            ("crates/molecule-core/src/a.rs", TEXT),
            ("crates/molecule-core/src/b.rs", other),
            ("crates/molecule-core/src/b/tests.rs", "fn long() {\n\n\n\n\n\n}\n"),
        ]);
        let shown = figures(&tree);
        assert_eq!(
            shown[1], "crates/molecule-core/src/b/tests.rs: `long` has 7 lines",
            "it is declared for every build"
        );
        let other = "#[cfg(all(test, unix))]\nmod tests;\nfn g() {}\n";
        let tree = Tree::of(&[
            ("crates/molecule-core/src/a.rs", TEXT),
            ("crates/molecule-core/src/b.rs", other),
            ("crates/molecule-core/src/b/tests.rs", "fn long() {\n\n\n\n\n\n}\n"),
        ]);
        assert_eq!(
            figures(&tree),
            [
                "crates/molecule-core/src: 13 lines without tests, 9 of them code",
                "crates/molecule-core/src/a.rs: `A::f` has 4 lines",
                "crates/molecule-core/src/b.rs: `g` has 1 lines"
            ]
        );
    }
}
