//! `plugins new`, `check` and `pack`: for those who write plugins. They need no workspace and no platform.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use molecule_async::PluginName;
use molecule_async::core::plugin::{ContentSha256, PluginManifest, Verified};
use molecule_async::core::unpack::Unpacked;
use serde::Serialize;

use super::archive;
use super::tree::{Tree, failed, shown};
use crate::args;
use crate::exit::{self, Failure};
use crate::output::Output;

const MANIFEST: &str = "plugin.yaml";

/// The most bytes of a `plugin.yaml`; an installer takes no longer one.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// The result: the plugin as an installer sees it.
#[derive(Serialize)]
struct Checked {
    name: PluginName,
    version: Option<String>,
    files: u64,
    directories: u64,
    /// Bytes of all files together.
    bytes: u64,
    /// Bytes of the archive.
    archive_bytes: u64,
    has_setup: bool,
    /// What installers can pin.
    tree_sha256: String,
    /// The digest of the content, which `plugin.yaml` may declare.
    manifest_sha256: ContentSha256,
    /// Directories of version control, which are no part of it.
    left_out: Vec<String>,
    /// What is allowed, and may be unwanted.
    warnings: Vec<String>,
    /// Where the archive was written; null after a check.
    archive: Option<String>,
}

pub(super) fn run(command: &args::Author, output: &Output) -> Result<u8, Failure> {
    match command {
        args::Author::New { directory, name } => new(directory, name.as_deref(), output),
        args::Author::Check { directory, declare } => {
            if *declare {
                declare_digest(directory)?;
            }
            let (tree, name) = read(directory)?;
            let (unpacked, verified) = archive::pack(&tree, &name, io::sink())?;
            report(&tree, name, (&unpacked, &verified), None, output)
        }
        args::Author::Pack { directory, output: to } => pack(directory, to.as_deref(), output),
    }
}

/// Makes the skeleton of a plugin.
fn new(directory: &Path, name: Option<&str>, output: &Output) -> Result<u8, Failure> {
    let name = name.map(str::to_owned).or_else(|| own_name(directory)).unwrap_or_default();
    let name = plugin_name(&name)?;
    match fs::read_dir(directory) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Failure::usage(format!("{} is not empty; give a new directory", shown(directory))));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
        }
        Err(error) => return Err(failed(directory, &error)),
    }
    let files = [
        (MANIFEST, format!("name: {name}\nversion: 0.1.0\ndescription: Says what this plugin is for.\n")),
        ("rules/example.md", "# Rules\n\nSay here what an agent with this plugin does and does not do.\n".to_owned()),
        (
            "skills/example/SKILL.md",
            "---\nname: example\ndescription: Says when this skill is used.\n---\n\nSay here how it is done.\n"
                .to_owned(),
        ),
    ];
    for (path, content) in files {
        let path = directory.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, content));
        made.map_err(|error| failed(&path, &error))?;
    }
    let (tree, name) = read(directory)?;
    let (unpacked, verified) = archive::pack(&tree, &name, io::sink())?;
    output.note(&format!("made the plugin {name} in {}", shown(directory)));
    report(&tree, name, (&unpacked, &verified), None, output)
}

/// Writes the archive beside the plugin's directory, or where the author wants it. An archive that is there is replaced
/// once the new one is whole and good.
fn pack(directory: &Path, to: Option<&Path>, output: &Output) -> Result<u8, Failure> {
    let (tree, name) = read(directory)?;
    if to.is_some_and(|to| to.as_os_str() == "-") {
        let (unpacked, verified) = archive::pack(&tree, &name, io::stdout().lock())?;
        return report_beside(&tree, name, (&unpacked, &verified), output);
    }
    let root = fs::canonicalize(directory).map_err(|error| failed(directory, &error))?;
    let to = match to {
        Some(to) => to.to_owned(),
        None => root.parent().unwrap_or(&root).join(format!("{name}.tar.gz")),
    };
    let beside = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = fs::canonicalize(beside).map_err(|error| failed(beside, &error))?;
    if beside.starts_with(&root) {
        let why = format!("{} is in the plugin's own directory, of which it would be a part", shown(&to));
        return Err(Failure::usage(format!("{why}; give --output FILE elsewhere")));
    }
    let file_name = to.file_name().ok_or_else(|| Failure::usage(format!("{} names no file", shown(&to))))?;
    let mut part_name = std::ffi::OsString::from(".");
    part_name.push(file_name);
    part_name.push(format!(".{}", std::process::id()));
    let part = Part(beside.join(part_name));
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&part.0);
    let mut out = BufWriter::new(file.map_err(|error| failed(&part.0, &error))?);
    let (unpacked, verified) = archive::pack(&tree, &name, &mut out)?;
    out.flush().map_err(|error| failed(&part.0, &error))?;
    fs::rename(&part.0, beside.join(file_name)).map_err(|error| failed(&to, &error))?;
    report(&tree, name, (&unpacked, &verified), Some(&to), output)
}

/// A file that is removed unless it got its name.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads the plugin's directory, and the name by which it is installed.
fn read(directory: &Path) -> Result<(Tree, PluginName), Failure> {
    let tree = Tree::read(directory)?;
    let manifest = manifest(directory)?;
    let name = manifest.name.or_else(|| own_name(directory)).unwrap_or_default();
    Ok((tree, plugin_name(&name)?))
}

/// Reads `plugin.yaml`. One that is missing or is no file is left to the check.
fn manifest(directory: &Path) -> Result<PluginManifest, Failure> {
    let path = directory.join(MANIFEST);
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() && found.len() <= MAX_MANIFEST => {}
        _ => return Ok(PluginManifest::default()),
    }
    let content = fs::read(&path).map_err(|error| failed(&path, &error))?;
    PluginManifest::parse(&content)
        .map_err(|refusal| Failure::new(exit::ERROR, format!("no installer takes it: {refusal}")))
}

/// The name of the directory.
fn own_name(directory: &Path) -> Option<String> {
    let whole = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    Some(whole.file_name()?.to_str()?.to_owned())
}

fn plugin_name(name: &str) -> Result<PluginName, Failure> {
    name.parse().map_err(|error| {
        Failure::usage(format!(
            "{error}; name it in {MANIFEST}, or give --name to a new one: letters, digits, '.', '_' and '-'"
        ))
    })
}

/// Has `plugin.yaml` declare the digest of the content as it is.
fn declare_digest(directory: &Path) -> Result<(), Failure> {
    let path = directory.join(MANIFEST);
    let before = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
    let lines = before.lines().filter(|line| !line.starts_with("sha256:"));
    let without = lines.fold(String::new(), |text, line| text + line + "\n");
    let put = |text: &str| fs::write(&path, text).map_err(|error| failed(&path, &error));
    put(&without)?;
    let declared =
        read(directory).and_then(|(tree, name)| archive::pack(&tree, &name, io::sink())).and_then(|(_, verified)| {
            put(&format!("{without}sha256: \"{}\"\n", verified.content.digest()))?;
            // Whatever else the file is, it is read as before.
            read(directory).and_then(|(tree, name)| archive::pack(&tree, &name, io::sink())).map(drop)
        });
    if declared.is_err() {
        put(&before)?;
    }
    declared
}

fn report(
    tree: &Tree,
    name: PluginName,
    (unpacked, verified): (&Unpacked, &Verified),
    archive: Option<&Path>,
    output: &Output,
) -> Result<u8, Failure> {
    let checked = checked(tree, name, (unpacked, verified), archive);
    checked.warnings.iter().for_each(|warning| output.warning(warning));
    output.result(&checked, || text(&checked))?;
    Ok(exit::OK)
}

/// Tells of an archive on stdout, on stderr.
fn report_beside(tree: &Tree, name: PluginName, parts: (&Unpacked, &Verified), output: &Output) -> Result<u8, Failure> {
    let checked = checked(tree, name, parts, None);
    checked.warnings.iter().for_each(|warning| output.warning(warning));
    text(&checked).lines().for_each(|line| output.note(line));
    Ok(exit::OK)
}

fn checked(
    tree: &Tree,
    name: PluginName,
    (unpacked, verified): (&Unpacked, &Verified),
    archive: Option<&Path>,
) -> Checked {
    let mut warnings = Vec::new();
    if verified.manifest.name.is_none() {
        warnings.push(format!("{MANIFEST} has no `name`: the platform serves only a plugin that has one"));
    }
    if verified.manifest.version.is_none() {
        warnings.push(format!("{MANIFEST} has no `version`: the platform serves only a plugin that has one"));
    }
    if name.as_str().bytes().any(|byte| byte.is_ascii_uppercase()) {
        warnings.push(format!("the name {name} has capital letters: the platform serves only names in lower case"));
    }
    let has_description = unpacked.manifest.as_deref().is_some_and(|manifest| {
        let mut lines = manifest.split(|byte| *byte == b'\n');
        lines.any(|line| line.starts_with(b"description:") || line.starts_with(b"{"))
    });
    if !has_description {
        warnings.push(format!("{MANIFEST} has no `description`: the platform serves only a plugin that has one"));
    }
    let is_reserved = |path: &&str| path.contains(['<', '>', '|', '?', '*', '"']);
    if let Some((path, _)) = unpacked.tree.files().find(|(path, _)| is_reserved(path)) {
        warnings.push(format!("{path} cannot be installed on Windows, where a name has none of <>|?*\""));
    }
    Checked {
        version: verified.manifest.version.clone(),
        files: unpacked.files,
        directories: unpacked.directories,
        bytes: unpacked.bytes,
        archive_bytes: unpacked.received,
        has_setup: unpacked.has_setup,
        tree_sha256: verified.tree.to_string(),
        manifest_sha256: verified.content,
        left_out: tree.left_out.clone(),
        warnings,
        archive: archive.map(|path| path.display().to_string()),
        name,
    }
}

fn text(checked: &Checked) -> String {
    let version = checked.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let (files, bytes, archive) = (checked.files, checked.bytes, checked.archive_bytes);
    let mut lines = vec![format!("{}{version}: {files} files, {bytes} bytes, {archive} in an archive", checked.name)];
    if checked.has_setup {
        lines.push("setup.sh is run at the install".to_owned());
    }
    lines.push(format!("tree sha256:    {}", checked.tree_sha256));
    let how = if checked.manifest_sha256.is_declared() { "declared" } else { "not declared" };
    lines.push(format!("content sha256: {} ({how})", checked.manifest_sha256.digest()));
    if !checked.left_out.is_empty() {
        lines.push(format!("left out: {}", checked.left_out.join(", ")));
    }
    lines.extend(checked.archive.as_ref().map(|archive| format!("written to {archive}")));
    lines.iter().map(|line| molecule_async::core::proto::printable::line(line)).collect::<Vec<_>>().join("\n")
}
