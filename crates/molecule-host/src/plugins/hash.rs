//! The hash of an installed plugin, over its files on the disk.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use molecule_core::effect::plugin::Hashed;
use molecule_core::plugin::{Line, Tree};
use molecule_core::proto::PluginName;
use sha2::{Digest, Sha256};

use super::dir::{Kind, TELLS_EXECUTABLES, is_executable};
use super::place::{Place, failed};
use super::receipt;
use super::walk::{Step, Walk};
use crate::store::StoreError;

const PIECE: usize = 128 * 1024;

/// Hashes the plugin's files; `None` if it is not installed. Links are reported and not followed. An unreadable file is
/// an error, so that nothing can avoid being hashed.
pub(super) fn hash(place: &Place, plugin: &PluginName) -> Result<Option<Hashed>, StoreError> {
    let Some(dir) = place.open()? else { return Ok(None) };
    if !place.holds(&dir, plugin)? {
        return Ok(None);
    }
    let root = place.path(plugin.as_str());
    let receipt = receipt::read(place, &dir, plugin)?;
    let mut hashed = Hashed { tree: Tree::new(), others: Vec::new(), tells_executables: TELLS_EXECUTABLES, receipt };
    let mut buffer = vec![0; PIECE];
    let walk = dir.open(OsStr::new(plugin.as_str())).and_then(Walk::new);
    let mut walk = walk.map_err(|error| failed(&root, "read", error))?;
    while let Some(step) = walk.next().map_err(|error| failed(&root, "read", error))? {
        match step {
            Step::Entry(name, Kind::File) => {
                let at = path(&walk, &name);
                let line = line(&walk, &name, &mut buffer).map_err(|error| failed(&root.join(&at), "read", error))?;
                match (line, plain(&at)) {
                    (Some(line), Some(path)) => drop(hashed.tree.insert(path, line)),
                    (Some(_), None) | (None, _) => hashed.others.push(shown(&at)),
                }
            }
            Step::Entry(name, Kind::Directory | Kind::Link | Kind::Other) => {
                hashed.others.push(shown(&path(&walk, &name)));
            }
            Step::Enter(_) | Step::Leave(_) => {}
            Step::Closed(name, error) => return Err(failed(&root.join(path(&walk, &name)), "read", error)),
        }
    }
    hashed.others.sort();
    Ok(Some(hashed))
}

fn path(walk: &Walk, name: &OsString) -> PathBuf {
    walk.path().chain([name.as_os_str()]).collect()
}

/// The path in the form of a tree's line; `None` if it cannot have that form.
fn plain(path: &std::path::Path) -> Option<String> {
    let components: Option<Vec<&str>> = path.iter().map(OsStr::to_str).collect();
    let path = components?.join("/");
    (!path.chars().any(char::is_control)).then_some(path)
}

fn shown(path: &std::path::Path) -> String {
    plain(path).unwrap_or_else(|| path.to_string_lossy().escape_debug().to_string())
}

/// The file's line in a tree; `None` if it is no longer a regular file.
fn line(walk: &Walk, name: &OsStr, buffer: &mut [u8]) -> io::Result<Option<Line>> {
    let mut file = walk.here().open_file(name)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let executable = is_executable(&file)?;
    Ok(Some(Line { sha256: sha256(&mut file, buffer)?, executable }))
}

fn sha256(file: &mut File, buffer: &mut [u8]) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
