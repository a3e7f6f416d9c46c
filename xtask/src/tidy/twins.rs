//! Checks that files which both facades have differ only in `async`, `.await`, the crate's name, and a short list of
//! lines.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Item, LitStr};

use super::source::Visible;
use super::tree::Tree;
use super::{Finding, finding};

const BLOCKING: &str = "molecule-blocking";
const ASYNC: &str = "molecule-async";

/// Files that are compared as a whole.
const FILES: [&str; 3] = ["agent.rs", "builder.rs", "extend.rs"];

/// The file whose public `use`s are compared, so that both facades re-export the same names.
const ROOT: &str = "lib.rs";

/// Doc lines of the async facade that the blocking one does not have; they are not compared.
const ASYNC_ALONE: [(&str, &str); 4] = [
    // A dropped future abandons its call; a blocking call cannot be left.
    (
        "agent.rs",
        "If the future is dropped, the install is given up. The plugin's lock is given back once nothing of it is left.",
    ),
    // Example programs of the async facade need a runtime.
    ("extend.rs", "# tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {"),
    ("extend.rs", "# Ok::<(), Box<dyn std::error::Error>>(())"),
    ("extend.rs", "# })?;"),
];

/// Reports the first difference of each file, and listed lines that no file contains.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let whole = FILES.iter().map(|file| (*file, false));
    let compared = whole.chain([(ROOT, true)]).flat_map(|(file, by_uses)| check_file(tree, file, by_uses));
    compared.collect()
}

fn check_file(tree: &Tree, file: &str, by_uses: bool) -> Vec<Finding> {
    let paths = [BLOCKING, ASYNC].map(|facade| format!("crates/{facade}/src/{file}"));
    let words = paths.each_ref().map(|path| words_of(tree, path, by_uses));
    let [Some(mut blocking), Some(mut other)] = words else {
        let gone = paths.iter().zip(&words).filter(|(_, words)| words.is_none());
        return gone.map(|(path, _)| finding(path, 1, "the file is missing; it is compared by this name")).collect();
    };
    let allowed: Vec<&str> = ASYNC_ALONE.iter().filter(|(of, _)| *of == file).map(|(_, line)| *line).collect();
    let is_stale = |line: &&&str| !other.iter().any(|word| word.text == **line);
    let stale = allowed.iter().filter(is_stale).map(|line| {
        finding(&paths[1], 1, format!("`{line}` does not stand here any more; take it from xtask's `ASYNC_ALONE`"))
    });
    let stale: Vec<Finding> = stale.collect();
    for words in [&mut blocking, &mut other] {
        words.retain(|word| !allowed.contains(&word.text.as_str()));
    }
    stale.into_iter().chain(difference(&paths, &blocking, &other)).collect()
}

/// The first word in which the files differ.
fn difference(paths: &[String; 2], blocking: &[Word], other: &[Word]) -> Option<Finding> {
    let at = (0..blocking.len().max(other.len()))
        .find(|&at| blocking.get(at).map(|word| &word.text) != other.get(at).map(|word| &word.text))?;
    let shown = |words: &[Word]| words.get(at).map_or("the end".to_owned(), |word| format!("`{}`", word.text));
    let line = |words: &[Word]| words.get(at).or(words.last()).map_or(1, |word| word.line);
    let sentence = format!(
        "{} stands here and {} at {}:{}; write it alike in both, or name the difference in xtask's `ASYNC_ALONE`",
        shown(other),
        shown(blocking),
        paths[0],
        line(blocking)
    );
    Some(finding(&paths[1], line(other), sentence))
}

/// A token, or a doc line.
struct Word {
    line: usize,
    text: String,
}

/// The words of a file that are compared; `None` if it is missing.
fn words_of(tree: &Tree, path: &str, by_uses: bool) -> Option<Vec<Word>> {
    let source = tree.source(path)?;
    let tokens = if by_uses {
        let uses = source.file.items.iter().filter(|item| match item {
            Item::Use(item) => Visible::of(&item.vis) == Visible::Everywhere,
            _ => false,
        });
        uses.map(|item| item.to_token_stream()).collect()
    } else {
        source.file.to_token_stream()
    };
    let mut words = Vec::new();
    read(tokens, &mut words);
    Some(words)
}

fn read(tokens: TokenStream, words: &mut Vec<Word>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, tree) in trees.iter().enumerate() {
        let line = tree.span().start().line;
        let is = |at: usize, text: &str| trees.get(at).is_some_and(|tree| tree.to_string() == text);
        match tree {
            TokenTree::Group(group) => match documentation(group.stream()) {
                Some(text) if text.is_empty() => {}
                Some(text) => words.push(Word { line, text }),
                None => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    words.push(Word { line, text: open.to_owned() });
                    read(group.stream(), words);
                    words.push(Word { line: group.span_close().end().line, text: close.to_owned() });
                }
            },
            // The marks before an attribute are skipped, so that a doc line is one word.
            TokenTree::Punct(mark) if mark.as_char() == '#' => {}
            TokenTree::Punct(mark) if mark.as_char() == '!' && at > 0 && is(at - 1, "#") => {}
            // A trailing comma depends only on how rustfmt breaks the list.
            TokenTree::Punct(mark) if mark.as_char() == ',' && at + 1 == trees.len() => {}
            TokenTree::Punct(mark) if mark.as_char() == '.' && is(at + 1, "await") => {}
            TokenTree::Ident(word) if word == "async" || word == "await" => {}
            other => words.push(Word { line, text: common(&other.to_string()) }),
        }
    }
}

/// The text of a doc line, from the tokens inside its attribute.
fn documentation(tokens: TokenStream) -> Option<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    match &trees[..] {
        [TokenTree::Ident(doc), TokenTree::Punct(_), TokenTree::Literal(text)] if doc == "doc" => {
            let text: LitStr = syn::parse_str(&text.to_string()).ok()?;
            Some(common(text.value().trim_end().strip_prefix(' ').unwrap_or_default()))
        }
        _ => None,
    }
}

/// Removes the parts of a text in which the facades may differ.
fn common(text: &str) -> String {
    text.replace(&BLOCKING.replace('-', "_"), &ASYNC.replace('-', "_")).replace(".await", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "/// An agent.\npub struct Agent;\nimpl Agent {\n    /// Calls.\n    pub fn call(&self) -> Result<()> {\n        \
        self.driver.call(Call::new(1))\n    }\n}\n";

    /// The findings if one file of both facades has these texts, and all others are as they are today.
    fn found(file: &str, blocking: &str, other: &str) -> Vec<(usize, String)> {
        let today = Tree::read(&crate::root()).unwrap();
        let paths = [BLOCKING, ASYNC].map(|facade| format!("crates/{facade}/src/{file}"));
        let others = today.files().filter(|(path, _)| path.starts_with("crates/molecule-") && path.ends_with(".rs"));
        let files: Vec<_> = others.filter(|(path, _)| !paths.contains(&(*path).to_owned())).collect();
        let own = [(paths[0].as_str(), blocking), (paths[1].as_str(), other)];
        let findings = check(&Tree::of(&[files, own.to_vec()].concat()));
        findings.into_iter().map(|finding| (finding.line, finding.sentence)).collect()
    }

    fn differences(blocking: &str, other: &str) -> Vec<usize> {
        found("builder.rs", blocking, other).into_iter().map(|(line, _)| line).collect()
    }

    const NONE: [usize; 0] = [];

    #[test]
    fn async_and_await_and_the_crates_name_are_no_difference() {
        let other = AGENT.replace("pub fn", "pub async fn").replace("(1))", "(1)).await");
        assert_eq!(differences(AGENT, &other), NONE);
        assert_eq!(differences("use molecule_blocking::A;", "use molecule_async::A;"), NONE);
        assert_eq!(differences("fn f() { g(1, 2) }", "fn f() {\n    g(\n        1,\n        2,\n    ).await\n}"), NONE);
    }

    #[test]
    fn a_word_more_or_another_one_is_a_difference() {
        assert_eq!(differences(AGENT, &AGENT.replace("(1)", "(2)")), [6]);
        assert_eq!(differences(AGENT, &AGENT.replace("/// Calls.", "/// Calls anew.")), [4]);
        assert_eq!(differences(AGENT, &AGENT.replace("    /// Calls.\n", "    /// Calls.\n    /// And waits.\n")), [5]);
        assert_eq!(differences(AGENT, &AGENT.replace("    /// Calls.\n", "    /// Calls.\n    #[inline]\n")), [5]);
        assert_eq!(differences("fn f() -> bool { a }", "fn f() -> bool {\n    !a\n}"), [2]);
        assert_eq!(differences(AGENT, &format!("{AGENT}struct B;\n")), [9]);
        assert_eq!(differences(&format!("{AGENT}struct B;\n"), AGENT), [8]);
        let (line, sentence) = &found("builder.rs", AGENT, &AGENT.replace("(1)", "(2)"))[0];
        assert!(
            sentence.starts_with("`2` stands here and `1` at crates/molecule-blocking/src/builder.rs:6;"),
            "{line}"
        );
    }

    #[test]
    fn a_line_of_the_list_may_stand_in_the_async_file_and_has_to() {
        let (_, line) = ASYNC_ALONE[0];
        let other = AGENT.replace("/// Calls.", &format!("/// Calls.\n    ///\n    /// {line}"));
        assert_eq!(found("agent.rs", AGENT, &other), []);
        let stale = &found("agent.rs", AGENT, AGENT)[0].1;
        assert!(stale.starts_with(&format!("`{line}` does not stand here any more")), "{stale}");
        assert_eq!(found("agent.rs", &other, AGENT).len(), 1);
    }

    #[test]
    fn what_one_facade_re_exports_the_other_does() {
        let lib = "//! Blocking.\nmod tcp;\nuse a::B;\npub use core::{Error, Event};\n";
        let other = "//! Async.\nmod act;\npub use core::{Error, Event};\n";
        assert_eq!(found("lib.rs", lib, other), []);
        assert_eq!(found("lib.rs", lib, &other.replace(", Event", "")).len(), 1);
    }

    #[test]
    fn a_file_that_is_gone_is_a_finding() {
        let findings = check(&Tree::of(&[("crates/molecule-async/src/agent.rs", AGENT)]));
        assert_eq!(findings.len(), 7);
        assert_eq!(findings[0].path, "crates/molecule-blocking/src/agent.rs");
    }

    #[test]
    fn both_facades_of_this_project_are_twins() {
        assert_eq!(check(&Tree::read(&crate::root()).unwrap()), []);
    }
}
