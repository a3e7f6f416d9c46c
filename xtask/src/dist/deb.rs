//! A Debian package: an `ar` archive of a version, the control files, and the files themselves (`deb(5)`). It has no
//! dependencies, since the program is static, and no scripts.

use std::path::Path;

use super::build::Built;
use super::entries::{Content, Entries, Epoch, gz};
use super::sums::md5;
use super::{metadata, read};
use crate::Failure;

/// The name of the package, and of its directory of documents.
const NAME: &str = "molecule-cli";

/// What Debian calls the processors for which Rust has static targets.
const ARCHITECTURES: [(&str, &str); 7] = [
    ("x86_64", "amd64"),
    ("i686", "i386"),
    ("aarch64", "arm64"),
    ("armv7", "armhf"),
    ("riscv64gc", "riscv64"),
    ("powerpc64le", "ppc64el"),
    ("s390x", "s390x"),
];

pub(super) fn file_name(built: &Built) -> Result<String, Failure> {
    Ok(format!("{NAME}_{}_{}.deb", version(&built.version), architecture(built.processor())?))
}

/// Makes the package.
pub(super) fn write(
    root: &Path,
    built: &Built,
    pages: &Entries,
    licences: &str,
    epoch: Epoch,
) -> Result<Vec<u8>, Failure> {
    let files = files(root, built, pages, licences)?.with_parents();
    let metadata = metadata(root, &["--no-deps"])?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages.find(|package| package["name"] == NAME).ok_or("there is no crate molecule-cli")?;
    let text = |key: &str| manifest[key].as_str().ok_or_else(|| format!("the manifest of {NAME} has no {key}"));
    let about = About {
        version: version(&built.version),
        architecture: architecture(built.processor())?,
        authors: manifest["authors"][0].as_str().ok_or("the manifest of molecule-cli has no authors")?,
        homepage: text("repository")?,
        description: text("description")?,
    };
    package(&files, &about, epoch)
}

/// What the control file says of a package.
struct About<'a> {
    version: String,
    architecture: &'static str,
    authors: &'a str,
    homepage: &'a str,
    description: &'a str,
}

fn package(files: &Entries, about: &About<'_>, epoch: Epoch) -> Result<Vec<u8>, Failure> {
    let mut control = Entries::default();
    control.file("control", 0o644, self::control(files, about).into_bytes());
    control.file("md5sums", 0o644, md5sums(files).into_bytes());
    let control = gz(&dotted(&control, epoch)?)?;
    let data = gz(&dotted(files, epoch)?)?;
    ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control), ("data.tar.gz", &data)], epoch)
}

/// Paths begin with `./` in both archives, whose first entry is that directory.
fn dotted(entries: &Entries, epoch: Epoch) -> Result<Vec<u8>, Failure> {
    let mut whole = Entries::default();
    whole.directory(".", 0o755);
    let first = whole.tar("", epoch)?;
    let rest = entries.tar("./", epoch)?;
    let head = first.get(..512).ok_or("dist: an archive has no head")?;
    Ok([head, &rest].concat())
}

fn files(root: &Path, built: &Built, pages: &Entries, licences: &str) -> Result<Entries, Failure> {
    let mut files = Entries::default();
    files.file("usr/bin/molecule", 0o755, built.binary.clone());
    if built.has_mcp() {
        files.link("usr/bin/molecule-mcp", "molecule");
    }
    let packaging = root.join("crates/molecule-cli/packaging");
    files.file("usr/lib/systemd/system/molecule@.service", 0o644, read(&packaging.join("molecule@.service"))?);
    // It holds tokens.
    files.directory("etc/molecule", 0o700);
    let documents = format!("usr/share/doc/{NAME}");
    files.file(&format!("{documents}/examples/agent.env"), 0o644, read(&packaging.join("agent.env"))?);
    files.file(&format!("{documents}/README.md"), 0o644, read(&root.join("crates/molecule-cli/README.md"))?);
    files.file(&format!("{documents}/changelog.gz"), 0o644, gz(&read(&root.join("CHANGELOG.md"))?)?);
    let own = [read(&root.join("LICENSE-MIT"))?, b"\n\n".to_vec(), read(&root.join("LICENSE-APACHE"))?].concat();
    let copyright = format!(
        "The program is licensed under MIT or Apache-2.0, as you choose. Both texts follow; {documents}/THIRD-PARTY.txt.gz\nhas those of the crates in it.\n\n{}",
        String::from_utf8_lossy(&own)
    );
    files.file(&format!("{documents}/copyright"), 0o644, copyright.into_bytes());
    files.file(&format!("{documents}/THIRD-PARTY.txt.gz"), 0o644, gz(licences.as_bytes())?);
    for (path, content) in pages.files() {
        let (directory, name) = path.split_once('/').ok_or_else(|| format!("dist: {path} is in no directory"))?;
        let installed = match (directory, name) {
            ("man", name) => Some((format!("usr/share/man/man1/{name}.gz"), gz(content)?)),
            ("completions", "molecule.bash") => {
                Some(("usr/share/bash-completion/completions/molecule".to_owned(), content.to_vec()))
            }
            ("completions", "_molecule") => {
                Some(("usr/share/zsh/vendor-completions/_molecule".to_owned(), content.to_vec()))
            }
            ("completions", "molecule.fish") => {
                Some(("usr/share/fish/vendor_completions.d/molecule.fish".to_owned(), content.to_vec()))
            }
            // PowerShell has no such directory.
            _ => None,
        };
        if let Some((path, content)) = installed {
            files.file(&path, 0o644, content);
        }
    }
    Ok(files)
}

fn control(files: &Entries, about: &About<'_>) -> String {
    let About { version, architecture, authors, homepage, description } = about;
    let (short, long) = describe(description);
    format!(
        "Package: {NAME}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {authors}\nInstalled-Size: {}\nSection: net\nPriority: optional\nHomepage: {homepage}\nDescription: {short}\n {long}\n",
        installed_kib(files)
    )
}

/// The description of a manifest is a sentence with a full stop; a package's first line has none.
fn describe(description: &str) -> (String, &str) {
    let short = description.trim_end_matches('.').replace('`', "");
    (
        short,
        "It registers, keeps its token, sends heartbeats, hands each message to a program of yours, and sends the reply.",
    )
}

/// As dpkg counts: each file in whole KiB, and one KiB for anything else.
fn installed_kib(files: &Entries) -> u64 {
    let size = |(_, content): &(u32, Content)| match content {
        Content::File(bytes) => (bytes.len() as u64).div_ceil(1024),
        Content::Directory | Content::Link(_) => 1,
    };
    files.0.values().map(size).sum()
}

fn md5sums(files: &Entries) -> String {
    files.files().map(|(path, content)| format!("{}  {path}\n", md5(content))).collect()
}

/// Debian sorts `1.0~rc1` before `1.0`, and takes `-` for the end of the upstream version.
fn version(version: &str) -> String {
    version.replace('-', "~")
}

fn architecture(processor: &str) -> Result<&'static str, Failure> {
    let known = ARCHITECTURES.iter().find(|(name, _)| *name == processor);
    known.map(|(_, debian)| *debian).ok_or_else(|| format!("dist: Debian has no name for the processor {processor}"))
}

/// An `ar` archive in the form that dpkg reads.
fn ar(members: &[(&str, &[u8])], epoch: Epoch) -> Result<Vec<u8>, Failure> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", epoch.0, 0, 0, "100644", content.len());
        // A field that is too long would move those behind it.
        if head.len() != 60 {
            return Err(format!("dist: {name} with {} bytes fits into no ar archive", content.len()));
        }
        archive.extend(head.as_bytes());
        archive.extend(*content);
        if content.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About<'static> {
        About {
            version: version("1.2.0-rc.1"),
            architecture: "amd64",
            authors: "Somebody <somebody@example.com>",
            homepage: "https://forge/repo",
            description: "The `molecule` program: any program becomes an agent.",
        }
    }

    fn some() -> Entries {
        let mut files = Entries::default();
        files.file("usr/bin/molecule", 0o755, vec![7; 1025]);
        files.link("usr/bin/molecule-mcp", "molecule");
        files.directory("etc/molecule", 0o700);
        files.with_parents()
    }

    #[test]
    fn the_members_of_ar_begin_at_even_places() {
        let archive =
            ar(&[("debian-binary", b"2.0\n"), ("odd", b"abc"), ("even", b"xy")], Epoch(1_796_062_325)).unwrap();
        let head = "debian-binary   1796062325  0     0     100644  4         `\n";
        assert_eq!(&archive[..8], b"!<arch>\n");
        assert_eq!(&archive[8..68], head.as_bytes());
        assert_eq!(&archive[68..72], b"2.0\n");
        assert_eq!(&archive[132..136], b"abc\n");
        assert!(archive[136..].starts_with(b"even            "));
        assert!(ar(&[("a-name-that-is-too-long", b"")], Epoch(0)).is_err());
    }

    #[test]
    fn the_control_file_has_the_size_and_a_version_that_sorts() {
        let text = control(&some(), &about());
        assert!(text.contains("\nVersion: 1.2.0~rc.1\n"), "{text}");
        // Two KiB of the program, a link, and the directories etc, etc/molecule, usr and usr/bin.
        assert!(text.contains("\nInstalled-Size: 7\n"), "{text}");
        assert!(text.contains("\nDescription: The molecule program: any program becomes an agent\n It "), "{text}");
        assert!(text.ends_with(".\n"), "{text}");
    }

    #[test]
    fn the_same_files_are_the_same_package() {
        let one = package(&some(), &about(), Epoch(1_796_062_325)).unwrap();
        assert_eq!(one, package(&some(), &about(), Epoch(1_796_062_325)).unwrap());
        assert_ne!(one, package(&some(), &about(), Epoch(1_796_062_326)).unwrap());
    }

    #[test]
    fn both_archives_begin_with_their_directory() {
        let packed = dotted(&some(), Epoch(0)).unwrap();
        let mut archive = tar::Archive::new(&*packed);
        let raw = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap());
        let raw: Vec<String> = raw.collect();
        assert_eq!(
            raw,
            ["./", "./etc/", "./etc/molecule/", "./usr/", "./usr/bin/", "./usr/bin/molecule", "./usr/bin/molecule-mcp"]
        );
    }

    #[test]
    fn sums_are_of_files_alone() {
        assert_eq!(md5sums(&some()), format!("{}  usr/bin/molecule\n", md5(&[7; 1025])));
    }

    #[test]
    fn processors_have_debians_names() {
        assert_eq!(architecture("aarch64"), Ok("arm64"));
        assert!(architecture("sparc64").unwrap_err().contains("sparc64"));
    }
}
