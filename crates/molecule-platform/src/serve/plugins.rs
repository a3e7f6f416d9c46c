//! The loader of plugins from a disk.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::plugin::{Entry, PluginTree};

/// Reads a directory of plugins, one folder for each, like the server's registry. Files in that directory and links to
/// folders are not plugins.
///
/// ```no_run
/// use molecule_platform::{Config, Dialect, Platform, serve};
///
/// let mut platform = Platform::new(Config::new(Dialect::Current));
/// for plugin in serve::load_plugins("plugins")? {
///     platform.add_plugin(plugin);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Everything in a folder is read, dot files too, with its permission bits. On a system without permission bits, files
/// have 0644 and directories 0755. Symbolic links stay symbolic links.
///
/// # Errors
/// The errors of reading, and [`ErrorKind::InvalidData`] for an entry that no plugin can hold: a name that is not
/// UTF-8, a device, a pipe, a socket. Each error names the path.
pub fn load_plugins(directory: impl AsRef<Path>) -> io::Result<Vec<PluginTree>> {
    let mut plugins = Vec::new();
    for (name, path) in children(directory.as_ref())? {
        if fs::symlink_metadata(&path).map_err(at(&path))?.is_dir() {
            plugins.push(load(name, &path)?);
        }
    }
    plugins.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(plugins)
}

fn load(name: String, root: &Path) -> io::Result<PluginTree> {
    let mut plugin = PluginTree::new(name);
    // The directories that are still to be read, each with its path in the plugin.
    let mut waiting = vec![(String::new(), root.to_owned())];
    while let Some((above, directory)) = waiting.pop() {
        for (name, path) in children(&directory)? {
            let inside = format!("{above}{name}");
            let entry = entry(&path)?;
            if matches!(entry, Entry::Directory { .. }) {
                waiting.push((format!("{inside}/"), path.clone()));
            }
            plugin.insert(&inside, entry).map_err(|problem| invalid(&path, problem))?;
        }
    }
    Ok(plugin)
}

fn entry(path: &Path) -> io::Result<Entry> {
    let metadata = fs::symlink_metadata(path).map_err(at(path))?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        Ok(Entry::Directory { mode: permissions(&metadata) })
    } else if kind.is_file() {
        let bytes = Bytes::from(fs::read(path).map_err(at(path))?);
        Ok(Entry::File { mode: permissions(&metadata), bytes })
    } else if kind.is_symlink() {
        let target = fs::read_link(path).map_err(at(path))?;
        let target = target.into_os_string().into_string().map_err(|_| invalid(path, "its target is not UTF-8"))?;
        Ok(Entry::Link { target })
    } else {
        Err(invalid(path, "it is no file, directory or symbolic link"))
    }
}

/// The entries of a directory: name and path.
fn children(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let listed = fs::read_dir(directory).map_err(at(directory))?;
    listed
        .map(|child| {
            let child = child.map_err(at(directory))?;
            let path = child.path();
            let name = child.file_name().into_string().map_err(|_| invalid(&path, "its name is not UTF-8"))?;
            Ok((name, path))
        })
        .collect()
}

#[cfg(unix)]
fn permissions(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn permissions(metadata: &Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}

/// Adds the path to an error of the operating system.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn invalid(path: &Path, problem: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{} cannot be in a plugin: {problem}", path.display()))
}
