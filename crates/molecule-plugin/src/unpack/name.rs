//! Names of entries: the rules for them, and the paths that they become.

use std::fmt;
use std::str;

use crate::{InstallLimits, Refusal, Rule};

const COMPONENT_BYTES: usize = 255;

/// The path of a file or directory that may be made: relative, UTF-8, components with `/` between them. No component has a
/// special meaning on any operating system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(String);

impl EntryPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components: at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The path of the directory that it is in, or `None` at the root.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// Its last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, name)| name)
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// The path of a directory above this one: the text before the `/` at this place.
    pub(super) fn up_to(&self, end: usize) -> Self {
        Self(self.0[..end].to_owned())
    }

    /// Reads a name as an archive has it; `None` is the root itself.
    ///
    /// Lengths are checked first, so that a huge name costs nothing.
    pub(super) fn read(raw: &[u8], limits: &InstallLimits) -> Result<Option<Self>, Refusal> {
        if raw.len() > limits.max_path_bytes {
            let detail = format!("the path has {} bytes, more than {}", raw.len(), limits.max_path_bytes);
            return Err(Refusal::new(Rule::PathBytes, detail));
        }
        let plain = || raw.split(|byte| *byte == b'/').filter(|component| !matches!(component, [] | [b'.']));
        if let Some(long) = plain().map(<[u8]>::len).find(|length| *length > COMPONENT_BYTES) {
            let detail = format!("a component of the path has {long} bytes");
            return Err(Refusal::new(Rule::ComponentBytes, detail));
        }
        if plain().nth(limits.max_depth).is_some() {
            let detail = format!("the path has more than {} components", limits.max_depth);
            return Err(Refusal::new(Rule::Depth, detail));
        }
        let text = str::from_utf8(raw).map_err(|_| Refusal::new(Rule::NameUtf8, "the name is not UTF-8"))?;
        if text.starts_with('/') {
            return Err(Refusal::new(Rule::NameAbsolute, "the path begins with `/`"));
        }
        let mut path = String::with_capacity(text.len());
        for component in text.split('/').filter(|component| !matches!(*component, "" | ".")) {
            judge(component, cfg!(windows))?;
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(component);
        }
        if path.is_empty() {
            return Ok(None);
        }
        for name in ["plugin.yaml", "setup.sh"] {
            if path != name && folded(&path) == name {
                return Err(Refusal::new(Rule::NameCase, format!("the name is another spelling of `{name}`")));
            }
        }
        Ok(Some(Self(path)))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn judge(component: &str, windows: bool) -> Result<(), Refusal> {
    let refused = |rule, what: &str| Err(Refusal::new(rule, format!("the name {what}")));
    if component == ".." {
        return refused(Rule::NameParent, "holds the component `..`");
    }
    if component.bytes().any(|byte| byte == b'\\') {
        return refused(Rule::NameBackslash, "holds a backslash");
    }
    if component.bytes().any(|byte| byte == b':') {
        return refused(Rule::NameColon, "holds a colon");
    }
    if component.chars().any(char::is_control) {
        return refused(Rule::NameControl, "holds a control character");
    }
    if component.starts_with(' ') || component.ends_with(' ') {
        return refused(Rule::NameSpace, "has a component with a space at its start or end");
    }
    if component.ends_with('.') {
        return refused(Rule::NameDot, "has a component with a dot at its end");
    }
    if is_device(component) {
        return refused(Rule::NameDevice, "is that of a device on Windows");
    }
    if windows && component.contains(['<', '>', '|', '?', '*', '"']) {
        return refused(Rule::NameReserved, "holds a character that Windows does not take");
    }
    Ok(())
}

/// Names that Windows reserves, in any case and with any extension.
fn is_device(component: &str) -> bool {
    let stem = component.split_once('.').map_or(component, |(stem, _)| stem).trim_end_matches(' ');
    // The longest is CONOUT$; COM¹ has five bytes.
    if !(3..=7).contains(&stem.len()) {
        return false;
    }
    let is = |name: &str| stem.eq_ignore_ascii_case(name);
    let numbered = |name: &str| {
        let number = stem.get(..3).filter(|start| start.eq_ignore_ascii_case(name)).map(|_| &stem[3..]);
        number.is_some_and(|number| {
            let mut chars = number.chars();
            matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    ["con", "prn", "aux", "nul", "conin$", "conout$"].into_iter().any(is) || numbered("com") || numbered("lpt")
}

/// The name in lower case, as a file system that ignores case compares it. Of the letters outside ASCII only the long s
/// becomes a letter that matters here.
fn folded(name: &str) -> String {
    name.chars().map(|char| if char == '\u{17f}' { 's' } else { char.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &[u8]) -> Result<Option<String>, Rule> {
        let path = EntryPath::read(raw, &InstallLimits::default());
        path.map(|path| path.map(EntryPath::into_string)).map_err(|refusal| refusal.rule())
    }

    #[test]
    fn empty_components_and_dots_drop_out() {
        for (raw, path) in [
            ("a/b", Some("a/b")),
            ("./a//b/./c/", Some("a/b/c")),
            (".", None),
            ("./", None),
            ("", None),
            ("././/", None),
            (".hidden/..a/b..c/...d", Some(".hidden/..a/b..c/...d")),
            ("zażółć 🦀", Some("zażółć 🦀")),
            ("a b", Some("a b")),
        ] {
            assert_eq!(read(raw.as_bytes()), Ok(path.map(str::to_owned)), "{raw:?}");
        }
    }

    #[test]
    fn each_rule_of_names_refuses() {
        let long = "a".repeat(256);
        let deep = vec!["a"; 65].join("/");
        let path = [
            "a".repeat(250).as_str(),
            "b",
            &"c".repeat(250),
            &"d".repeat(250),
            &"e".repeat(250),
            "f".repeat(20).as_str(),
        ]
        .join("/");
        for (raw, rule) in [
            (&b"a/../b"[..], Rule::NameParent),
            (b"..", Rule::NameParent),
            (b"a/..", Rule::NameParent),
            (b"/a", Rule::NameAbsolute),
            (b"/", Rule::NameAbsolute),
            (b"//a", Rule::NameAbsolute),
            (b"a\\b", Rule::NameBackslash),
            (b"C:a", Rule::NameColon),
            (b"a/b:stream", Rule::NameColon),
            (b"a\nb", Rule::NameControl),
            (b"a\x7f", Rule::NameControl),
            ("a\u{9f}".as_bytes(), Rule::NameControl),
            (b" a", Rule::NameSpace),
            (b"a /b", Rule::NameSpace),
            (b"a.", Rule::NameDot),
            (b"a./b", Rule::NameDot),
            (b"...", Rule::NameDot),
            (b"con", Rule::NameDevice),
            (b"a/CON.txt", Rule::NameDevice),
            (b"NUL.tar.gz", Rule::NameDevice),
            (b"com1", Rule::NameDevice),
            ("LPT³.x".as_bytes(), Rule::NameDevice),
            ("COM¹".as_bytes(), Rule::NameDevice),
            (b"aux .c", Rule::NameDevice),
            (b"conout$", Rule::NameDevice),
            (b"CONIN$.x", Rule::NameDevice),
            (b"Plugin.yaml", Rule::NameCase),
            (b"SETUP.SH", Rule::NameCase),
            ("\u{17f}etup.sh".as_bytes(), Rule::NameCase),
            (b"a\xff", Rule::NameUtf8),
            (b"\xed\xa0\x80", Rule::NameUtf8),
            (long.as_bytes(), Rule::ComponentBytes),
            (deep.as_bytes(), Rule::Depth),
            (path.as_bytes(), Rule::PathBytes),
        ] {
            assert_eq!(read(raw), Err(rule), "{}", String::from_utf8_lossy(raw));
        }
        for fine in [
            "console",
            "com",
            "com10",
            "lpt",
            "nulls",
            "aux-file",
            "common",
            "a/Plugin.yaml",
            "a/SETUP.sh",
            "plugin.yml",
            "COM¹x",
            "coms",
        ] {
            assert_eq!(read(fine.as_bytes()), Ok(Some(fine.to_owned())));
        }
        let bounds = [vec!["a"; 64].join("/"), "a".repeat(255), path[..1_024].to_owned()];
        for fine in bounds {
            assert_eq!(read(fine.as_bytes()), Ok(Some(fine.clone())));
        }
    }

    #[test]
    fn windows_refuses_more_characters() {
        for name in ["a<b", "a>b", "a|b", "a?b", "a*b", "a\"b"] {
            assert_eq!(judge(name, true).map_err(|refusal| refusal.rule()), Err(Rule::NameReserved));
            assert_eq!(judge(name, false), Ok(()));
        }
    }
}
