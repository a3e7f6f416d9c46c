//! Printable forms of text from outside: control characters and characters that disguise a text are escaped, and URLs
//! are shown without the parts that may be secret.

use std::fmt::{self, Write};

/// Whether the character can control a terminal or disguise a text: control characters, characters that change the
/// direction of text, and Unicode line ends.
pub fn is_deceptive(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes a text printable on one line. A text that is printable already does not change.
pub fn line(text: &str) -> String {
    written(text, false)
}

/// Makes a text printable, and keeps its line ends and tabs.
pub fn lines(text: &str) -> String {
    written(text, true)
}

fn written(text: &str, keeps_lines: bool) -> String {
    let mut printable = String::with_capacity(text.len());
    // Writing to a `String` does not fail.
    let _ = Printable { inner: &mut printable, keeps_lines }.write_str(text);
    printable
}

/// A writer that escapes deceptive characters and passes the text on to an inner writer.
pub struct Printable<'a, W> {
    inner: &'a mut W,
    keeps_lines: bool,
}

impl<'a, W: Write> Printable<'a, W> {
    /// A writer that writes one line: line ends and tabs are escaped.
    pub fn line(inner: &'a mut W) -> Self {
        Self { inner, keeps_lines: false }
    }

    /// A writer that keeps line ends and tabs.
    pub fn lines(inner: &'a mut W) -> Self {
        Self { inner, keeps_lines: true }
    }
}

impl<W: Write> Write for Printable<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_kept = |char| self.keeps_lines && matches!(char, '\n' | '\t');
        let mut rest = text;
        while let Some((at, char)) = rest.char_indices().find(|(_, char)| is_deceptive(*char) && !is_kept(*char)) {
            self.inner.write_str(&rest[..at])?;
            write!(self.inner, "{}", char.escape_default())?;
            rest = &rest[at + char.len_utf8()..];
        }
        self.inner.write_str(rest)
    }
}

/// Shows a URL on one line, without its user info, query and fragment, which may contain a password or a key. A text
/// that is not a URL is shown in the same way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShownUrl<'a>(pub &'a str);

impl fmt::Display for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = match self.0.split_once("//") {
            Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => (Some(scheme), rest),
            Some(_) | None => (None, self.0),
        };
        let mut f = Printable::line(f);
        if let Some(scheme) = scheme {
            write!(f, "{scheme}//")?;
        }
        let whole = rest.split(['?', '#']).next().unwrap_or_default();
        let authority = whole.split(['/', '\\']).next().unwrap_or_default();
        // A password with `/`, `?` or `#` ends the authority too early, so that the text before a later `@` may be the
        // password's rest.
        let is_odd =
            authority.rsplit_once(':').is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some((_, host)) = authority.rsplit_once('@') {
            f.write_str(host)?;
            f.write_str(&whole[authority.len()..])
        } else if is_odd && rest.contains('@') && !authority.starts_with('[') {
            f.write_str("…")
        } else {
            f.write_str(whole)
        }
    }
}

impl fmt::Debug for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_simply_shown_is_escaped_once() {
        let bidi = [
            '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
        ];
        let others =
            ['\u{2028}', '\u{2029}', '\u{200e}', '\u{200f}', '\u{61c}', '\u{1b}', '\u{7f}', '\u{9b}', '\0', '\r'];
        for char in bidi.into_iter().chain(others) {
            let text = format!("a{char}b");
            let shown = format!("a{}b", char.escape_default());
            assert_eq!((line(&text), lines(&text)), (shown.clone(), shown.clone()));
            assert_eq!(line(&shown), shown, "what is printable stays");
        }
        assert_eq!((line("a\n\tb"), lines("a\n\tb")), ("a\\n\\tb".to_owned(), "a\n\tb".to_owned()));
        assert_eq!(line("zażółć 🦀 \\ \"'"), "zażółć 🦀 \\ \"'");
        assert_eq!(line("\u{202e}\u{202e}"), "\\u{202e}\\u{202e}");
    }

    #[test]
    fn a_url_is_shown_without_user_info_and_query() {
        for (url, shown) in [
            ("https://host.example/a/b", "https://host.example/a/b"),
            ("https://user:pass@host.example:8443/a?token=x#y", "https://host.example:8443/a"),
            ("https://token@host.example", "https://host.example"),
            ("https://a@b@host.example/", "https://host.example/"),
            ("//user:pass@host.example/a", "//host.example/a"),
            ("https://user:p/ss@host.example/", "https://…"),
            ("https://user:p#ss@host.example/", "https://…"),
            ("https://user:p?ss@host.example/", "https://…"),
            ("https://host.example/@me", "https://host.example/@me"),
            ("https://[::1]:80/@me?q", "https://[::1]:80/@me"),
            ("/login?next=x", "/login"),
            ("github://user:secret@owner/repo#v1", "github://owner/repo"),
            ("github://owner/repo", "github://owner/repo"),
            ("user:pass@proxy:3128", "proxy:3128"),
            ("https://host.example/\u{202e}\u{1b}[2J", "https://host.example/\\u{202e}\\u{1b}[2J"),
            ("", ""),
        ] {
            assert_eq!(ShownUrl(url).to_string(), shown, "{url}");
            assert_eq!(format!("{:?}", ShownUrl(url)), format!("\"{shown}\""));
        }
    }
}
