//! The name that a stranger's file gets on this machine.

use molecule_proto::is_device_name;

use crate::printable::is_deceptive;

/// The most bytes of a name. File systems take 255; a caller may add something.
pub(crate) const LONGEST: usize = 120;

/// The longest extension that is kept where a name is cut.
const LONGEST_EXTENSION: usize = 20;

/// Makes a name safe as one component of a path, on every system: without folders, control characters and characters
/// that a system or a shell treats in its own way, with no dot, blank or hyphen at its start and no dot or blank at its
/// end, no name of a device, at most 120 bytes. `file` if nothing is left.
pub(crate) fn cleaned(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |char: char| match char {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
        char if char.is_control() || is_deceptive(char) => '_',
        char => char,
    };
    let safe: String = last.chars().map(safe).collect();
    let kept = safe.trim_start_matches(|char: char| char == '.' || char == '-' || char.is_whitespace());
    let kept = trim_end(&cut(kept)).to_owned();
    match kept.as_str() {
        "" => "file".to_owned(),
        // Windows also ignores blanks before the extension.
        kept if is_device_name(kept.split('.').next().unwrap_or_default().trim_end()) => format!("_{kept}"),
        _ => kept,
    }
}

fn trim_end(name: &str) -> &str {
    name.trim_end_matches(|char: char| char == '.' || char.is_whitespace())
}

/// Cuts a long name before its extension.
fn cut(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= LONGEST_EXTENSION { extension } else { "" };
    let mut end = LONGEST - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_stranger_is_one_safe_component() {
        for (name, expected) in [
            ("report.pdf", "report.pdf"),
            ("żółw 🦀.txt", "żółw 🦀.txt"),
            ("../../x", "x"),
            ("..\\..\\x.exe", "x.exe"),
            ("/etc/passwd", "passwd"),
            ("C:\\a\\b c.png", "b c.png"),
            ("C:evil", "C_evil"),
            ("..", "file"),
            ("", "file"),
            ("/", "file"),
            (".bashrc", "bashrc"),
            ("...ssh", "ssh"),
            ("-rf", "rf"),
            ("a\0b\nc\u{7f}d", "a_b_c_d"),
            ("invoice\u{202e}fdp.exe", "invoice_fdp.exe"),
            ("what?*|.txt", "what___.txt"),
            ("dots...", "dots"),
            ("blank ", "blank"),
            ("con", "_con"),
            ("NUL.tar.gz", "_NUL.tar.gz"),
            ("com1 .txt", "_com1 .txt"),
            ("console.txt", "console.txt"),
        ] {
            assert_eq!(cleaned(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_before_its_extension_and_between_characters() {
        let long = cleaned(&format!("{}.tar.gz", "ż".repeat(300)));
        assert!(long.len() <= LONGEST && long.ends_with("ż.gz"), "{long}");
        assert_eq!(cleaned(&format!("a.{}", "n".repeat(300))).len(), LONGEST);
        let cut_at_blank = cleaned(&format!("{}      {}", "n".repeat(LONGEST - 3), "m".repeat(200)));
        assert_eq!(cut_at_blank, "n".repeat(LONGEST - 3));
    }
}
