//! Rust source, parsed by `syn`: items without tests, and the paths that they name.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Meta, Token, UseTree, Visibility};

use super::tree::Tree;
use super::{Finding, finding};

/// Files that the checks could not read.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let unread = tree.unread().into_iter();
    unread.map(|(path, line, why)| finding(path, line, format!("this is no Rust that `syn` reads ({why})"))).collect()
}

/// A parsed file without test code.
pub(super) struct Source {
    pub(super) file: syn::File,
    /// The first and the last line of each item that was left out.
    tests: Vec<(usize, usize)>,
}

impl Source {
    /// # Errors
    ///
    /// The line of the syntax error, and its reason.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let file = syn::parse_file(text);
        let mut file = file.map_err(|error| (error.span().start().line, error.to_string()))?;
        let mut without = WithoutTests::default();
        if is_for_tests(&file.attrs) {
            without.lines.push((1, text.lines().count()));
            file.items.clear();
        }
        without.visit_file_mut(&mut file);
        Ok(Self { file, tests: without.lines })
    }

    /// Returns whether a line is part of test code.
    pub(super) fn is_for_tests(&self, line: usize) -> bool {
        self.tests.iter().any(|&(first, last)| (first..=last).contains(&line))
    }

    /// Every path in the file, including those in arguments of macros.
    pub(super) fn paths(&self) -> Vec<Path> {
        paths(self.file.to_token_stream())
    }
}

/// One name that a `use` imports.
pub(super) struct Import {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) visible: Visible,
}

/// The visibility of a name outside its own module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Visible {
    Here,
    InCrate,
    Everywhere,
}

impl Visible {
    pub(super) fn of(visibility: &Visibility) -> Self {
        match visibility {
            Visibility::Public(_) => Self::Everywhere,
            Visibility::Restricted(_) => Self::InCrate,
            Visibility::Inherited => Self::Here,
        }
    }
}

/// The names that a `use` imports, one by one.
pub(super) fn imports(item: &syn::ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    split(&item.tree, Vec::new(), Visible::of(&item.vis), &mut found);
    found
}

fn split(tree: &UseTree, mut path: Vec<String>, visible: Visible, found: &mut Vec<Import>) {
    let (ident, name) = match tree {
        UseTree::Path(one) => {
            path.push(one.ident.to_string());
            return split(&one.tree, path, visible, found);
        }
        UseTree::Group(group) => return group.items.iter().for_each(|item| split(item, path.clone(), visible, found)),
        UseTree::Glob(glob) => {
            return found.push(Import { line: glob.star_token.span().start().line, path, name: None, visible });
        }
        UseTree::Name(name) => (&name.ident, &name.ident),
        UseTree::Rename(rename) => (&rename.ident, &rename.rename),
    };
    let mut name = name.to_string();
    if ident != "self" {
        path.push(ident.to_string());
    } else if name == "self" {
        // `use a::b::{self}` imports `b`.
        name = path.last().cloned().unwrap_or(name);
    }
    found.push(Import { line: ident.span().start().line, path, name: Some(name), visible });
}

/// Returns whether these attributes restrict an item to test builds.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| match &attribute.meta {
        Meta::List(list) => list.parse_args().is_ok_and(|condition| needs_test(&condition)),
        _ => false,
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(needs_test)),
        _ => false,
    }
}

/// Removes test items, statements, fields, variants and arms from a file.
#[derive(Default)]
struct WithoutTests {
    lines: Vec<(usize, usize)>,
}

impl WithoutTests {
    fn keeps(&mut self, attributes: &[Attribute], whole: &impl Spanned) -> bool {
        let is_for_tests = is_for_tests(attributes);
        if is_for_tests {
            let span = whole.span();
            self.lines.push((span.start().line, span.end().line));
        }
        !is_for_tests
    }

    fn without<T: Spanned, P: Default>(
        &mut self,
        list: &mut Punctuated<T, P>,
        attributes: impl Fn(&T) -> &[Attribute],
    ) {
        let all = std::mem::take(list);
        list.extend(all.into_iter().filter(|one| self.keeps(attributes(one), one)));
    }
}

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| self.keeps(item_attributes(item), item));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| self.keeps(item_attributes(item), item));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| {
            let attributes: &[Attribute] = match item {
                syn::ImplItem::Const(item) => &item.attrs,
                syn::ImplItem::Fn(item) => &item.attrs,
                syn::ImplItem::Type(item) => &item.attrs,
                syn::ImplItem::Macro(item) => &item.attrs,
                _ => &[],
            };
            self.keeps(attributes, item)
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_item_trait_mut(&mut self, definition: &mut syn::ItemTrait) {
        definition.items.retain(|item| {
            let attributes: &[Attribute] = match item {
                syn::TraitItem::Const(item) => &item.attrs,
                syn::TraitItem::Fn(item) => &item.attrs,
                syn::TraitItem::Type(item) => &item.attrs,
                syn::TraitItem::Macro(item) => &item.attrs,
                _ => &[],
            };
            self.keeps(attributes, item)
        });
        visit_mut::visit_item_trait_mut(self, definition);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| {
            let attributes: &[Attribute] = match statement {
                syn::Stmt::Local(local) => &local.attrs,
                syn::Stmt::Item(item) => item_attributes(item),
                syn::Stmt::Macro(call) => &call.attrs,
                syn::Stmt::Expr(expression, _) => expression_attributes(expression),
            };
            self.keeps(attributes, statement)
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_fields_named_mut(&mut self, fields: &mut syn::FieldsNamed) {
        self.without(&mut fields.named, |field| &field.attrs);
        visit_mut::visit_fields_named_mut(self, fields);
    }

    fn visit_item_enum_mut(&mut self, definition: &mut syn::ItemEnum) {
        self.without(&mut definition.variants, |variant| &variant.attrs);
        visit_mut::visit_item_enum_mut(self, definition);
    }

    fn visit_expr_match_mut(&mut self, choice: &mut syn::ExprMatch) {
        choice.arms.retain(|arm| self.keeps(&arm.attrs, arm));
        visit_mut::visit_expr_match_mut(self, choice);
    }
}

fn item_attributes(item: &syn::Item) -> &[Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The attributes of an expression statement: `cfg` is written on blocks and calls.
fn expression_attributes(expression: &syn::Expr) -> &[Attribute] {
    use syn::Expr;
    match expression {
        Expr::Assign(expression) => &expression.attrs,
        Expr::Block(expression) => &expression.attrs,
        Expr::Call(expression) => &expression.attrs,
        Expr::ForLoop(expression) => &expression.attrs,
        Expr::If(expression) => &expression.attrs,
        Expr::Loop(expression) => &expression.attrs,
        Expr::Macro(expression) => &expression.attrs,
        Expr::Match(expression) => &expression.attrs,
        Expr::MethodCall(expression) => &expression.attrs,
        Expr::Return(expression) => &expression.attrs,
        Expr::While(expression) => &expression.attrs,
        _ => &[],
    }
}

/// A path: names joined by `::`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    /// The line of the last name.
    pub(super) line: usize,
    pub(super) names: Vec<String>,
    pub(super) after: After,
}

/// The token before a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum After {
    /// A token that does not belong to it.
    Nothing,
    /// A dot: the path is a field, or a method if parentheses follow.
    Dot { is_call: bool },
    /// The `>::` of a type.
    Type,
}

impl Path {
    /// Returns whether the path contains these names in this order, next to each other.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.names.windows(names.len()).any(|window| window == names)
    }
}

/// Every path in these tokens; groups (`std::{fs, io}`) are expanded, and a glob ends its path.
pub(super) fn paths(tokens: TokenStream) -> Vec<Path> {
    let mut found = Vec::new();
    walk(tokens, &mut found);
    found
}

fn walk(tokens: TokenStream, found: &mut Vec<Path>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at] {
            TokenTree::Ident(_) => {
                let after = before(&trees[..at]);
                at = path(&trees, at, Vec::new(), after, found);
            }
            TokenTree::Group(group) => {
                walk(group.stream(), found);
                at += 1;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Reads the path that begins with the name at `at`, after the prefix `names`; returns the index of the first token
/// after it.
fn path(trees: &[TokenTree], mut at: usize, mut names: Vec<String>, after: After, found: &mut Vec<Path>) -> usize {
    let mut line = 0;
    while let Some(TokenTree::Ident(name)) = trees.get(at) {
        let text = name.to_string();
        names.push(text.strip_prefix("r#").map_or(text.clone(), str::to_owned));
        line = name.span().start().line;
        at += 1;
        if !is_colons(trees, at) {
            break;
        }
        match trees.get(at + 2) {
            Some(TokenTree::Ident(_)) => at += 2,
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                spell_out(group.stream(), &names, after, found);
                return at + 3;
            }
            _ => break,
        }
    }
    let is_called =
        matches!(trees.get(at), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
    let after = if let After::Dot { .. } = after { After::Dot { is_call: is_called } } else { after };
    found.push(Path { line, names, after });
    at
}

fn spell_out(group: TokenStream, prefix: &[String], after: After, found: &mut Vec<Path>) {
    let trees: Vec<TokenTree> = group.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at] {
            TokenTree::Ident(name) if name == "as" => at += 2,
            TokenTree::Ident(_) => at = path(&trees, at, prefix.to_vec(), after, found),
            TokenTree::Punct(mark) if mark.as_char() == '*' => {
                found.push(Path { line: mark.span().start().line, names: prefix.to_vec(), after });
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn is_colons(trees: &[TokenTree], at: usize) -> bool {
    is_mark(trees.get(at), ':') && is_mark(trees.get(at + 1), ':')
}

fn is_mark(tree: Option<&TokenTree>, mark: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn before(trees: &[TokenTree]) -> After {
    let back = |count: usize| trees.len().checked_sub(count).and_then(|at| trees.get(at));
    if is_mark(back(1), '.') && !is_mark(back(2), '.') {
        After::Dot { is_call: false }
    } else if is_mark(back(1), ':') && is_mark(back(2), ':') && is_mark(back(3), '>') {
        After::Type
    } else {
        After::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<(usize, String)> {
        let source = Source::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let paths = source.paths().into_iter().filter(|path| path.names[0] == "std" || path.names[0] == "tokio");
        paths.map(|path| (path.line, path.names.join("::"))).collect()
    }

    /// The paths in these statements.
    fn inside(statements: &str) -> Vec<(usize, String)> {
        named(&format!("fn f<'a>() {{ {statements}\n}}"))
    }

    fn one(line: usize, path: &str) -> Vec<(usize, String)> {
        vec![(line, path.to_owned())]
    }

    #[test]
    fn prose_is_no_code() {
        for text in [
            "// std::fs",
            "/// std::fs::read\nstruct A;",
            "/* /* std::fs */ std::fs */",
            "\"std::fs\"",
            "\"\\\"std::fs\"",
            "r#\"\" std::fs\"#",
            "br\"std::fs\"",
            "'\"' // std::fs '\"'",
        ] {
            assert_eq!(inside(text), [], "{text}");
        }
    }

    #[test]
    fn code_behind_prose_is_code() {
        for text in [
            "/* */ std::fs",
            "\"http://host\"; std::fs",
            "r\"\\\"; std::fs",
            "'\"'; std::fs",
            "'\\''; std::fs",
            "g::<&'a str>(); std::fs",
            "m!(for\"\"); std::fs",
        ] {
            assert_eq!(inside(text), one(1, "std::fs"), "{text}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        assert_eq!(named("/*\n\n*/\nconst A: &str = \"\n\";\nuse std::fs;"), one(6, "std::fs"));
        assert_eq!(named("#[cfg(test)]\nmod tests {\n    fn x() {}\n}\nuse std::fs;"), one(5, "std::fs"));
    }

    #[test]
    fn groups_are_spelled_out() {
        let spelled = named(
            "use std::{\n    self,\n    collections::BTreeMap,\n    fs::{self, File as F},\n    io,\n};\nuse tokio::fs;",
        );
        let spelled: Vec<_> = spelled.iter().map(|(line, path)| format!("{line} {path}")).collect();
        assert_eq!(
            spelled,
            [
                "2 std::self",
                "3 std::collections::BTreeMap",
                "4 std::fs::self",
                "4 std::fs::File",
                "5 std::io",
                "7 tokio::fs"
            ]
        );
    }

    #[test]
    fn a_glob_ends_its_path() {
        assert_eq!(named("use std::fs::*;"), one(1, "std::fs"));
        assert_eq!(named("use std::{*, fs};"), [(1, "std".to_owned()), (1, "std::fs".to_owned())]);
    }

    #[test]
    fn arguments_of_macros_are_code() {
        assert_eq!(inside("assert!(a.b(std::fs::read(c)).is_ok());"), one(1, "std::fs::read"));
        assert_eq!(inside("m! { use std::{fs, io}; }").len(), 2);
    }

    #[test]
    fn a_name_that_only_ends_in_the_root_is_another() {
        assert_eq!(inside("my_std::fs"), []);
        assert_eq!(inside("::std::fs"), one(1, "std::fs"));
    }

    #[test]
    fn what_stands_before_a_path_is_told() {
        let after = |text: &str| Source::parse(text).unwrap().paths().last().map(|path| path.after);
        assert_eq!(after("const A: u8 = b;"), Some(After::Nothing));
        assert_eq!(after("const A: u8 = a..b;"), Some(After::Nothing));
        assert_eq!(after("const A: u8 = a.b;"), Some(After::Dot { is_call: false }));
        assert_eq!(after("const A: u8 = a.b();"), Some(After::Dot { is_call: true }));
        assert_eq!(after("const A: u8 = <B>::b;"), Some(After::Type));
    }

    #[test]
    fn what_is_for_tests_does_not_count() {
        assert_eq!(named("#[cfg(test)]\nuse std::fs;\nuse std::io;"), one(3, "std::io"));
        assert_eq!(
            named("#[cfg(all(test, unix))]\n#[allow(x)]\nfn f() -> [u8; 3] { { std::fs } }\nuse std::io;"),
            one(4, "std::io")
        );
        assert_eq!(named("#![cfg(test)]\nuse std::fs;"), []);
        for text in ["not(test)", "any(test, unix)", "unix", "feature = \"test\""] {
            assert_eq!(named(&format!("#[cfg({text})]\nuse std::fs;")), one(2, "std::fs"), "{text}");
        }
        for text in [
            "impl A {\n    #[cfg(test)]\n    fn f() { std::fs }\n}",
            "trait A {\n    #[cfg(test)]\n    fn f() { std::fs }\n}",
            "mod a {\n    #[cfg(test)]\n    use std::fs;\n}",
            "struct A {\n    #[cfg(test)]\n    a: std::fs::File,\n}",
            "enum A {\n    #[cfg(test)]\n    A(std::fs::File),\n}",
            "fn f() {\n    #[cfg(test)]\n    let a = std::fs;\n}",
            "fn f() {\n    #[cfg(test)]\n    std::fs::read();\n}",
            "fn f() {\n    match a {\n        #[cfg(test)]\n        b => std::fs,\n    }\n}",
        ] {
            assert_eq!(named(text), [], "{text}");
            assert_eq!(named(&text.replace("cfg(test)", "cfg(unix)")).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_no_rust_is_found() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "fn f() {}\nfn {}\n"), ("crates/a/src/b.rs", "fn f() {}\n")]);
        let found = check(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("crates/a/src/lib.rs", 2));
    }
}
