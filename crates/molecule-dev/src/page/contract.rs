//! The contract's section of a route, as text beside an exchange.

use maud::{Markup, html};
use molecule_proto::Dialect;

const CURRENT: &str = include_str!("../../assets/contract/current.txt");
const APRIL: &str = include_str!("../../assets/contract/april.txt");

/// What the contract says of a section such as `12.4`; its number alone if there is no such section.
pub(crate) fn beside(dialect: Dialect, number: &str) -> Markup {
    let (page, prefix) = match dialect {
        Dialect::April => (APRIL, "April contract"),
        Dialect::Current => (CURRENT, "Contract"),
    };
    let (title, text) = section(page, number).unwrap_or_default();
    html! {
        details {
            summary { (prefix) " section " (number) @if !title.is_empty() { ": " (title.replace('`', "")) } }
            @if !text.is_empty() { pre tabindex="0" { (text) } }
        }
    }
}

/// The title and the text of a section, with the sections in it.
fn section<'a>(page: &'a str, number: &str) -> Option<(&'a str, &'a str)> {
    let heading = |line: &'a str| {
        let title = line.trim_start_matches('#');
        let depth = line.len() - title.len();
        (depth > 0 && title.starts_with(' ')).then(|| (depth, title.trim_start()))
    };
    let mut start = None;
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        if let Some((depth, title)) = heading(line) {
            match start {
                Some((found, name, from)) if depth <= found => return Some((name, page[from..at].trim())),
                Some(_) => {}
                None => {
                    let of_title = title.split([' ', '\n']).next().unwrap_or_default().trim_end_matches('.');
                    if of_title == number {
                        start = Some((depth, title[of_title.len()..].trim_start_matches('.').trim(), at + line.len()));
                    }
                }
            }
        }
        at += line.len();
    }
    start.map(|(_, name, from)| (name, page[from..].trim()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_number_with_those_below_it() {
        let page = "# t\n\n## 1. One\n\na\n\n### 1.1 In one\n\nb\n\n## 12. Twelve\n\nc\n";
        assert_eq!(section(page, "1").unwrap(), ("One", "a\n\n### 1.1 In one\n\nb"));
        assert_eq!(section(page, "1.1").unwrap(), ("In one", "b"));
        assert_eq!(section(page, "12").unwrap(), ("Twelve", "c"));
        assert_eq!(section(page, "2"), None);
        assert!(section(CURRENT, "4").unwrap().0.contains("/registry/register"));
        assert!(section(APRIL, "4").is_some());
    }

    #[test]
    fn the_copies_are_the_contract() {
        for (name, copy) in [("current", CURRENT), ("april", APRIL)] {
            let path = format!("{}/../../docs/contract/{name}.md", env!("CARGO_MANIFEST_DIR"));
            let is_same = std::fs::read_to_string(path).unwrap() == copy;
            assert!(is_same, "copy docs/contract/{name}.md to crates/molecule-dev/assets/contract/{name}.txt");
        }
    }
}
