//! The rules by which a plugin is refused.

use std::fmt;

/// Defines each rule once: its variant, its name, and the clause that `Rule::says` returns.
macro_rules! rules {
    ($($variant:ident = $name:literal, $says:literal;)*) => {
        /// A rule for plugins. `Display` shows the rule's name, [`says`](Self::says) returns what it requires.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!("`", $name, "`: ", $says, ".")] $variant,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The rule's name, in lower case with hyphens. Names are stable across versions.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the rule requires, as a clause.
            pub fn says(self) -> &'static str {
                match self { $(Self::$variant => $says,)* }
            }
        }
    };
}

rules! {
    // The download.
    ContentEncoding = "content-encoding", "the archive is sent without a content encoding on top";
    ArchiveBytes = "archive-bytes", "the download stays within its limit";
    NotGzip = "not-gzip", "the download is a gzip archive";
    // gzip.
    GzipHeader = "gzip-header", "each gzip member has a valid header";
    Deflate = "deflate", "the compressed data are valid";
    GzipChecksum = "gzip-checksum", "each gzip member's checksum and length match its content";
    GzipTruncated = "gzip-truncated", "the gzip stream is whole";
    GzipTrailing = "gzip-trailing", "nothing but zeros follows the last gzip member";
    UnpackedBytes = "unpacked-bytes", "the unpacked stream stays within its limit";
    // tar.
    PartialBlock = "partial-block", "the archive consists of whole blocks of 512 bytes";
    Checksum = "checksum", "each header's checksum matches";
    Magic = "magic", "each header is a ustar, GNU or V7 header";
    Number = "number", "numbers are octal with spaces or NULs around them, or positive in base 256, and a mode is at most 07777";
    PaxRecord = "pax-record", "pax records are `length key=value` and a line end, of exactly that length";
    PaxDuplicate = "pax-duplicate", "a pax header has each key once";
    PaxPath = "pax-path", "a pax `path` is UTF-8, not empty, and without NUL";
    PaxSize = "pax-size", "a pax `size` is digits alone";
    PaxCharset = "pax-charset", "pax headers are in UTF-8";
    PaxGlobal = "pax-global", "a global pax header names no path, link or size";
    LongName = "long-name", "a GNU long name is not empty and holds nothing behind its end";
    ExtensionRepeated = "extension-repeated", "an entry has one extension header of a kind";
    ExtensionConflict = "extension-conflict", "a pax header and a GNU long name do not both name an entry";
    ExtensionDangling = "extension-dangling", "an extension header is followed by its entry";
    MetadataBytes = "metadata-bytes", "the extension headers before one entry stay within their limit";
    MetadataHeaders = "metadata-headers", "there are few extension headers before one entry";
    EndMark = "end-mark", "the archive ends with two blocks of zeros";
    AfterEnd = "after-end", "nothing but zeros follows the end mark";
    // Types of entries.
    Sparse = "sparse", "no file is sparse";
    Device = "device", "no entry is a device";
    Fifo = "fifo", "no entry is a FIFO";
    Contiguous = "contiguous", "no entry is a contiguous file";
    EntryType = "entry-type", "every entry is of a known type";
    Link = "link", "no entry is a link, where links are rejected";
    LinkSize = "link-size", "a link has no content";
    LinkTarget = "link-target", "an extension header gives a link's target to a link alone";
    LinkManifest = "link-manifest", "`plugin.yaml` is no link";
    DirectorySize = "directory-size", "a directory has no content";
    FileSlash = "file-slash", "a file's name does not end in `/`, where its header is not one of V7, which has directories by that alone";
    // Names.
    PathBytes = "path-bytes", "a path stays within its limit";
    ComponentBytes = "component-bytes", "a component of a path has at most 255 bytes";
    Depth = "depth", "a path stays within its limit of components";
    NameUtf8 = "name-utf8", "names are UTF-8";
    NameEmpty = "name-empty", "an entry that is no directory has a name";
    NameAbsolute = "name-absolute", "a path does not begin with `/`";
    NameParent = "name-parent", "no component of a path is `..`";
    NameBackslash = "name-backslash", "no name holds a backslash";
    NameColon = "name-colon", "no name holds a colon";
    NameControl = "name-control", "no name holds a control character";
    NameSpace = "name-space", "no component of a path begins or ends with a space";
    NameDot = "name-dot", "no component of a path ends with a dot";
    NameDevice = "name-device", "no component of a path is a name that Windows keeps for a device";
    NameReserved = "name-reserved", "on Windows no name holds one of `<>|?*\"`";
    NameCase = "name-case", "`plugin.yaml` and `setup.sh` are in lower case";
    // Numbers and collisions of files and directories.
    Entries = "entries", "the archive stays within its limit of entries";
    NamesBytes = "names-bytes", "all names together stay within their limit";
    Duplicate = "duplicate", "no two files have one name";
    FileOverDirectory = "file-over-directory", "no file has the name of a directory";
    DirectoryOverFile = "directory-over-file", "no directory has the name of a file";
    Collision = "collision", "no two names are one to the file system";
    // The manifest and the digests.
    ManifestMissing = "manifest-missing", "there is a regular file `plugin.yaml` at the root";
    ManifestBytes = "manifest-bytes", "`plugin.yaml` stays within its limit";
    ManifestUtf8 = "manifest-utf8", "`plugin.yaml` is UTF-8";
    ManifestYaml = "manifest-yaml", "`plugin.yaml` is one document of valid YAML";
    ManifestMapping = "manifest-mapping", "`plugin.yaml` is a mapping, its keys plain text";
    ManifestDuplicate = "manifest-duplicate", "no mapping of `plugin.yaml` has a key twice";
    ManifestDepth = "manifest-depth", "`plugin.yaml` is not nested more than 64 deep";
    ManifestAliases = "manifest-aliases", "aliases of `plugin.yaml` stand for at most 10,000 nodes";
    ManifestName = "manifest-name", "the name in `plugin.yaml` is the one that was asked for";
    ManifestDigest = "manifest-digest", "the sha256 in `plugin.yaml` is a text of 64 lower-case hexadecimal digits";
    ContentMismatch = "content-mismatch", "the content has the digest that `plugin.yaml` declares";
    TreeMismatch = "tree-mismatch", "the tree has the digest that the caller pinned";
    ReceiptBytes = "receipt-bytes", "what is kept of the plugin, a line for each of its files, has at most 16 MiB";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unlike_and_in_kebab_case() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))));
    }
}
