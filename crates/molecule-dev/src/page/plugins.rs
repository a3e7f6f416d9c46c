//! The view of the registry: its plugins, the rule that one breaks, and how another one gets in.

use std::io::Read;

use flate2::read::GzDecoder;
use maud::{Markup, html};
use molecule_platform::{Entry, PluginTree};
use serde_json::{Value, json};

use super::form::{File, Form};
use super::html::{self, count};
use super::scene::Scene;

/// The most bytes of all files of a plugin, which is the server's own limit.
const MOST_BYTES: u64 = 100 << 20;
/// The most entries of a plugin.
const MOST_ENTRIES: usize = 5000;

pub(crate) fn page(scene: Scene<'_>) -> Markup {
    html! {
        h1 { "Plugins" }
        section class="panel" aria-label="The registry" { (list(scene)) }
        section class="panel" {
            h2 { "Add a plugin" }
            p class="muted small" { "A folder, or an archive (" code { ".tar.gz" } "). It replaces a plugin of the same name. Nothing is refused here: as on the server, a broken plugin is
                listed, and its download says what is wrong." }
            div class="columns two" {
                form hx-post="/dev/act/add-plugin" hx-encoding="multipart/form-data" hx-target="#notice" data-reset {
                    fieldset disabled[!scene.is_live()] class="acts" {
                        label class="file" { "Folder" input type="file" name="folder" webkitdirectory multiple required; }
                        button type="submit" { "Add the folder" }
                    }
                }
                form hx-post="/dev/act/add-plugin" hx-encoding="multipart/form-data" hx-target="#notice" data-reset {
                    fieldset disabled[!scene.is_live()] class="acts" {
                        label class="file" { "Archive" input type="file" name="archive" accept=".gz,.tgz" required; }
                        button type="submit" { "Add the archive" }
                    }
                }
            }
        }
    }
}

/// The plugins, live.
pub(crate) fn list(scene: Scene<'_>) -> Markup {
    let plugins: Vec<&PluginTree> = scene.platform.plugins().collect();
    html::live(
        "plugins",
        "/dev/plugins/list",
        html! {
            @if plugins.is_empty() {
                (html::empty("The registry is empty.", "Add a folder with a plugin.yaml, and an agent can install it by its name."))
            }
            @for plugin in plugins { (shown(scene, plugin)) }
        },
    )
}

fn shown(scene: Scene<'_>, plugin: &PluginTree) -> Markup {
    let entries: Vec<(String, &Entry)> = plugin.entries().collect();
    let checked = scene.platform.check_plugin(plugin.name());
    html! {
        div id={ "plugin-" (html::encoded(plugin.name())) } {
            p {
                strong { (html::name(plugin.name())) } " "
                @match &checked {
                    Ok(()) => { span class="chip good" { "can be installed" } }
                    Err(_) => { span class="chip bad" { "breaks a rule" } }
                }
                " " span class="muted small" { (count(entries.len(), "entry")) }
            }
            @if let Err(refusal) = &checked {
                p class="bad small" { (html::short(&refusal.error, 400)) }
                ul { @for violation in refusal.violations.iter().flatten() { li class="bad small" { (html::short(violation, 400)) } } }
            }
            details {
                summary { "Files" }
                ul class="mono" {
                    @for (path, entry) in entries.iter().take(200) {
                        li { (html::short(path, 300)) @if let Entry::File { bytes, .. } = entry { span class="muted" { " " (bytes.len()) " B" } } }
                    }
                    @if entries.len() > 200 { li class="muted" { "and " (entries.len() - 200) " more" } }
                }
            }
            form hx-post="/dev/act/remove-plugin" hx-target="#notice" {
                input type="hidden" name="name" value=(html::encoded(plugin.name()));
                button type="submit" disabled[!scene.is_live()] aria-label={ "Remove " (html::name(plugin.name())) } { "Remove" }
            }
        }
    }
}

/// Reads the plugin of a form: the files of a folder, or one archive.
///
/// # Errors
/// Why it is no plugin, as a sentence.
pub(crate) fn read(form: &Form) -> Result<PluginTree, String> {
    match form.files.as_slice() {
        [] => Err("no file was sent".to_owned()),
        [archive] if archive.name.ends_with(".gz") || archive.name.ends_with(".tgz") => of_archive(archive),
        files => of_folder(files),
    }
}

fn of_folder(files: &[File]) -> Result<PluginTree, String> {
    let mut name = None;
    let mut entries = Vec::new();
    for file in files {
        let (folder, path) = file.name.split_once('/').ok_or_else(|| format!("{:?} is not in a folder", file.name))?;
        if *name.get_or_insert(folder) != folder {
            return Err("the files are of more than one folder".to_owned());
        }
        // A browser tells no permission bits.
        let runs = path.ends_with(".sh") || file.content.starts_with(b"#!");
        entries.push(entry(path, if runs { 0o755 } else { 0o644 }, &file.content));
    }
    let name = name.ok_or("the folder is empty")?;
    tree(name, entries)
}

fn of_archive(file: &File) -> Result<PluginTree, String> {
    let unreadable = |error: std::io::Error| format!("the archive cannot be read: {error}");
    // A bomb ends at the limit, and is then a cut archive.
    let mut archive = tar::Archive::new(GzDecoder::new(&file.content[..]).take(MOST_BYTES + (1 << 20)));
    let mut entries = Vec::new();
    for found in archive.entries().map_err(unreadable)? {
        let mut found = found.map_err(unreadable)?;
        if entries.len() == MOST_ENTRIES {
            return Err(format!("the archive has more than {MOST_ENTRIES} entries"));
        }
        let path = found.path().map_err(unreadable)?.to_str().ok_or("a path in the archive is not UTF-8")?.to_owned();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        let mode = found.header().mode().map_err(unreadable)? & 0o777;
        let kind = found.header().entry_type();
        if path.is_empty() {
            continue;
        }
        if kind.is_dir() {
            entries.push(json!({"path": path, "type": "directory", "mode": mode}));
        } else if kind.is_symlink() {
            let target = found.link_name().map_err(unreadable)?.and_then(|target| Some(target.to_str()?.to_owned()));
            entries.push(
                json!({"path": path, "type": "link", "target": target.ok_or("a link in the archive has no target")?}),
            );
        } else if kind.is_file() {
            let mut content = Vec::new();
            found.read_to_end(&mut content).map_err(unreadable)?;
            entries.push(entry(&path, mode, &content));
        } else {
            return Err(format!("{path:?} in the archive is neither a file nor a folder nor a link"));
        }
    }
    let stem = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = [".tar.gz", ".tgz", ".gz"].into_iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
    // An archive of the folder itself, or of what is in it.
    let root = entries
        .iter()
        .filter_map(|entry| entry["path"].as_str()?.split('/').next())
        .collect::<std::collections::BTreeSet<_>>();
    match root.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Err("the archive is empty".to_owned()),
        [folder] if !entries.iter().any(|entry| entry["path"] == **folder && entry["type"] != "directory") => {
            let folder = (*folder).to_owned();
            let below = format!("{folder}/");
            let inner = entries.into_iter().filter_map(|mut entry| {
                let path = entry["path"].as_str()?.strip_prefix(&below)?.to_owned();
                entry["path"] = json!(path);
                Some(entry)
            });
            tree(&folder, inner.collect())
        }
        _ => tree(stem, entries),
    }
}

fn entry(path: &str, mode: u32, content: &[u8]) -> Value {
    use base64::Engine;
    let content = base64::engine::general_purpose::STANDARD.encode(content);
    json!({"path": path, "type": "file", "mode": mode, "base64": content})
}

fn tree(name: &str, entries: Vec<Value>) -> Result<PluginTree, String> {
    serde_json::from_value(json!({"name": name, "entries": entries})).map_err(|error| format!("no plugin: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;
    use molecule_platform::{Config, Dialect, Platform};
    use molecule_proto::{Now, UnixTime};

    use super::*;

    fn file(name: &str, content: &[u8]) -> File {
        File { name: name.to_owned(), content_type: String::new(), content: Bytes::copy_from_slice(content) }
    }

    fn form(files: Vec<File>) -> Form {
        let mut form = Form::default();
        form.files = files;
        form
    }

    #[test]
    fn a_folder_of_a_browser_is_a_plugin() {
        let files = vec![
            file("mine/plugin.yaml", b"name: mine\n"),
            file("mine/skills/a.md", b"a"),
            file("mine/setup.sh", b"#!/bin/sh\n"),
        ];
        let tree = read(&form(files)).unwrap();
        let expected = PluginTree::new("mine")
            .file("plugin.yaml", "name: mine\n")
            .file("skills/a.md", "a")
            .executable("setup.sh", "#!/bin/sh\n");
        assert_eq!(tree, expected);
    }

    #[test]
    fn an_archive_of_a_folder_or_of_its_content_is_a_plugin() {
        let expected =
            PluginTree::new("mine").file("plugin.yaml", "name: mine\n").directory("skills").link("l", "plugin.yaml");
        let packed = |prefix: &str| {
            let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
            let mut add = |path: &str, kind, content: &[u8]| {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(kind);
                header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
                header.set_size(content.len() as u64);
                if kind == tar::EntryType::Symlink {
                    header.set_link_name("plugin.yaml").unwrap();
                }
                archive.append_data(&mut header, format!("{prefix}{path}"), content).unwrap();
            };
            add("plugin.yaml", tar::EntryType::Regular, b"name: mine\n");
            add("skills/", tar::EntryType::Directory, b"");
            add("l", tar::EntryType::Symlink, b"");
            archive.into_inner().unwrap().finish().unwrap()
        };
        for prefix in ["", "./", "mine/"] {
            assert_eq!(read(&form(vec![file("mine.tar.gz", &packed(prefix))])).unwrap(), expected, "{prefix}");
        }
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_its_reason() {
        let of = |files| read(&form(files)).unwrap_err();
        assert!(of(vec![]).contains("no file"));
        assert!(of(vec![file("plugin.yaml", b"")]).contains("not in a folder"));
        assert!(of(vec![file("a/x", b""), file("b/y", b"")]).contains("more than one folder"));
        assert!(of(vec![file("a/../../etc/passwd", b"")]).contains("no plugin"));
        assert!(of(vec![file("a.tgz", b"not gzip")]).contains("cannot be read"));
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![0; 3 << 20]).unwrap();
        assert!(of(vec![file("a.tgz", &bomb.finish().unwrap())]).contains("empty"));
    }

    #[test]
    fn the_rule_that_a_plugin_breaks_stands_beside_it() {
        let mut platform = Platform::new(Config::new(Dialect::Current));
        platform
            .add_plugin(PluginTree::new("good").file("plugin.yaml", "name: good\nversion: 1.0.0\ndescription: d\n"));
        platform.add_plugin(PluginTree::new("<b>").file("plugin.yaml", "name: bad\nversion: one\n"));
        let scene = Scene {
            platform: &platform,
            now: Now { unix: UnixTime::from_secs(1), ..Now::default() },
            at: None,
            url: "",
        };
        let shown = page(scene).into_string();
        assert_eq!(shown.matches("can be installed").count(), 1);
        assert_eq!(shown.matches("breaks a rule").count(), 1);
        assert!(shown.contains("&lt;b&gt;") && !shown.contains("<b>"));
    }
}
