//! A look at Rust source that is just sharp enough for the rules: what is code, and which paths it names.

/// The text with comments, string and character literals, and items for tests blanked out; lines keep their numbers.
pub(super) fn code(text: &str) -> String {
    without_tests(&without_prose(text))
}

/// Every path that begins with one of `roots` (`std`, say), with the number of its line; groups are spelled out.
pub(super) fn paths(code: &str, roots: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in roots {
        for (at, _) in code.match_indices(root) {
            let begins = !code[..at].ends_with(is_word);
            let rest = &code[at + root.len()..];
            if begins && rest.trim_start().starts_with("::") {
                let line = line_of(code, at);
                expand(root, rest, line, &mut found);
            }
        }
    }
    found
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Follows `rest` behind `prefix` and gives back what it did not use. `std` and `::{fs, io::Read}` make two paths.
fn expand<'a>(prefix: &str, rest: &'a str, line: usize, found: &mut Vec<(usize, String)>) -> &'a str {
    let Some(behind) = rest.trim_start().strip_prefix("::") else {
        found.push((line, prefix.to_owned()));
        return rest;
    };
    let line = line + newlines(rest, behind);
    let here = behind.trim_start();
    let line = line + newlines(behind, here);
    if let Some(mut group) = here.strip_prefix('{') {
        let mut line = line;
        loop {
            let item = group.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            line += newlines(group, item);
            if item.is_empty() {
                return item;
            }
            if let Some(behind) = item.strip_prefix('}') {
                return behind;
            }
            let end = item.find(|c: char| !is_word(c)).unwrap_or(item.len());
            if end == 0 {
                // A glob or something else that names nothing.
                group = &item[item.chars().next().map_or(0, char::len_utf8)..];
                continue;
            }
            let after = expand(&format!("{prefix}::{}", &item[..end]), &item[end..], line, found);
            line += newlines(item, after);
            group = after;
        }
    }
    let end = here.find(|c: char| !is_word(c)).unwrap_or(here.len());
    if end == 0 {
        found.push((line, prefix.to_owned()));
        return here;
    }
    expand(&format!("{prefix}::{}", &here[..end]), &here[end..], line, found)
}

/// Line breaks in `whole` before its tail `rest`.
fn newlines(whole: &str, rest: &str) -> usize {
    whole[..whole.len() - rest.len()].matches('\n').count()
}

fn without_prose(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let prose = comment(rest).or_else(|| raw_string(rest, &kept)).or_else(|| literal(rest));
        match prose {
            Some(length) => {
                let (gone, left) = rest.split_at(length);
                kept.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = left;
            }
            None => {
                kept.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    kept
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(rest.len())
}

fn raw_string(rest: &str, before: &str) -> Option<usize> {
    let quoted = rest.strip_prefix('r')?;
    // `br` and `cr` open raw strings too; any other letter before the `r` makes it the end of a name.
    let name = before.trim_end_matches(is_word);
    if !matches!(&before[name.len()..], "" | "b" | "c") {
        return None;
    }
    let opening = quoted.trim_start_matches('#');
    let hashes = quoted.len() - opening.len();
    let body = opening.strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&closing).map_or(body.len(), |end| end + closing.len());
    Some(rest.len() - body.len() + end)
}

fn literal(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    match chars.next()?.1 {
        '"' => Some(closed(rest, '"')),
        '\'' => {
            let (_, first) = chars.next()?;
            let (_, second) = chars.next()?;
            // Anything else that begins so is a lifetime.
            (first == '\\' || second == '\'').then(|| closed(rest, '\''))
        }
        _ => None,
    }
}

fn closed(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

fn without_tests(code: &str) -> String {
    if code.contains("#![cfg(test)]") {
        return code.chars().filter(|&c| c == '\n').collect();
    }
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| rest.find(mark)).min() {
        let (before, item) = rest.split_at(at);
        let (gone, left) = item.split_at(item_length(item));
        kept.push_str(before);
        kept.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = left;
    }
    kept + rest
}

/// The length of one item with its attributes: up to its closing brace, or the semicolon of one that has no body.
fn item_length(item: &str) -> usize {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, c) in item.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return at + 1;
                }
            }
            ';' if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<(usize, String)> {
        paths(&code(text), &["std", "tokio"])
    }

    fn one(line: usize, path: &str) -> Vec<(usize, String)> {
        vec![(line, path.to_owned())]
    }

    #[test]
    fn prose_is_no_code() {
        for text in [
            "// std::fs",
            "/// std::fs::read",
            "/* /* std::fs */ std::fs */",
            "\"std::fs\"",
            "\"\\\"std::fs\"",
            "r#\"\" std::fs\"#",
            "br\"std::fs\"",
            "'\"' // std::fs '\"'",
        ] {
            assert_eq!(named(text), [], "{text}");
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
            "&'a str; std::fs",
            "for\"\"; std::fs",
        ] {
            assert_eq!(named(text), one(1, "std::fs"), "{text}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        assert_eq!(named("/*\n\n*/\n\"\n\"\nstd::fs"), one(6, "std::fs"));
        assert_eq!(named("#[cfg(test)]\nmod tests {\n    x\n}\nstd::fs"), one(5, "std::fs"));
    }

    #[test]
    fn groups_are_spelled_out() {
        let spelled = named(
            "use std::{\n    self,\n    collections::BTreeMap,\n    fs::{self, File},\n    io,\n};\nuse tokio::fs;",
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
        assert_eq!(named("use std::{*, fs};"), one(1, "std::fs"));
    }

    #[test]
    fn a_name_that_only_ends_in_the_root_is_another() {
        assert_eq!(named("my_std::fs"), []);
        assert_eq!(named("::std::fs"), one(1, "std::fs"));
    }

    #[test]
    fn items_for_tests_do_not_count() {
        assert_eq!(named("#[cfg(test)]\nuse std::fs;\nstd::io"), one(3, "std::io"));
        assert_eq!(
            named("#[cfg(all(test, unix))]\n#[allow(x)]\nfn f() -> [u8; 3] { { std::fs } }\nstd::io"),
            one(4, "std::io")
        );
        assert_eq!(named("#![cfg(test)]\nuse std::fs;"), []);
        assert_eq!(named("#[cfg(not(test))]\nuse std::fs;"), one(2, "std::fs"));
    }
}
