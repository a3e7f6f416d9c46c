//! Checks that lines end with LF only, whatever git's configuration: Git for Windows checks out CRLF unless
//! `.gitattributes` forbids it, and then bash cannot read `.ci/run`.

use super::tree::Tree;
use super::{Finding, finding};

const ATTRIBUTES: &str = ".gitattributes";

/// The rule for every file that no later rule concerns.
const RULE: &str = "* text=auto eol=lf";

/// Checks the rule, and every text file except the recordings, which are as their servers wrote them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rules = tree.text(ATTRIBUTES).unwrap_or_default();
    let rule = (!rules.lines().any(|line| line == RULE)).then(|| {
        finding(ATTRIBUTES, 1, format!("begin with `{RULE}`, or Git for Windows changes the ends of all lines"))
    });
    let own = tree.files().filter(|(path, _)| !path.starts_with("fixtures/"));
    let returns = own.filter_map(|(path, text)| {
        let line = text.split('\n').position(|line| line.ends_with('\r'))?;
        Some(finding(path, line + 1, "a line ends with a carriage return; end it with a line feed alone"))
    });
    rule.into_iter().chain(returns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        check(&Tree::of(files)).iter().map(|finding| (finding.path.clone(), finding.line)).collect()
    }

    #[test]
    fn a_tree_that_git_for_windows_would_change_is_found() {
        assert_eq!(found(&[]), [(ATTRIBUTES.to_owned(), 1)]);
        assert_eq!(found(&[(ATTRIBUTES, "* text=auto\n")]), [(ATTRIBUTES.to_owned(), 1)]);
        assert_eq!(found(&[(ATTRIBUTES, "# Why.\n* text=auto eol=lf\n/fixtures/** -text\n")]), []);
    }

    #[test]
    fn a_carriage_return_is_found_outside_the_recordings() {
        let rule = (ATTRIBUTES, "* text=auto eol=lf\n");
        assert_eq!(found(&[rule, (".ci/run", "set -eu\ncd ..\r\ncargo\r\n")]), [(".ci/run".to_owned(), 2)]);
        assert_eq!(found(&[rule, ("a.md", "last\r\n")]), [("a.md".to_owned(), 1)]);
        assert_eq!(found(&[rule, ("fixtures/corpus/a.http", "GET /\r\n"), ("b.md", "b\n")]), []);
    }
}
