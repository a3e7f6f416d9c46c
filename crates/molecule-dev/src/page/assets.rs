//! The files of the page: served under a name with their digest, so that browsers may keep them for ever.

use std::sync::OnceLock;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A file that the page loads.
pub(crate) struct Asset {
    stem: &'static str,
    extension: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: Bytes,
    /// The path under which it is served.
    pub(crate) path: String,
}

const FILES: [(&str, &str, &str, &[u8]); 5] = [
    ("htmx", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/vendor/htmx.min.js")),
    ("hx-sse", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/vendor/hx-sse.min.js")),
    ("page", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/page.js")),
    ("page", "css", "text/css; charset=utf-8", include_bytes!("../../assets/page.css")),
    ("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
];

fn all() -> &'static [Asset] {
    static ALL: OnceLock<Vec<Asset>> = OnceLock::new();
    ALL.get_or_init(|| {
        let asset =
            |(stem, extension, content_type, content): (&'static str, &'static str, &'static str, &'static [u8])| {
                let digest: String = Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                let path = format!("/dev/assets/{stem}.{digest}.{extension}");
                Asset { stem, extension, content_type, content: Bytes::from_static(content), path }
            };
        FILES.into_iter().map(asset).collect()
    })
}

/// The file at a path; `None` if there is none, also if the digest is that of another version.
pub(crate) fn at(path: &str) -> Option<&'static Asset> {
    all().iter().find(|asset| asset.path == path)
}

/// The path of a file, such as `page.css`.
pub(crate) fn path(name: &str) -> &'static str {
    let asset = all()
        .iter()
        .find(|asset| name.strip_suffix(asset.extension).and_then(|stem| stem.strip_suffix('.')) == Some(asset.stem));
    &asset.expect("the shell names the files of this list alone, which its test loads").path
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_served_under_the_name_with_its_digest_alone() {
        let path = path("page.css");
        let digest = path.strip_prefix("/dev/assets/page.").unwrap().strip_suffix(".css").unwrap();
        assert!(digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{path}");
        assert_eq!(at(path).unwrap().content_type, "text/css; charset=utf-8");
        for other in ["/dev/assets/page.css", "/dev/assets/page.0000000000000000.css", "/dev/assets/../page.rs"] {
            assert!(at(other).is_none(), "{other}");
        }
        assert_ne!(path, super::path("page.js"));
    }
}
