//! The plugins of the workspace on this machine, and those that an author writes.

mod archive;
mod author;
mod tree;

use molecule_async::core::proto::printable;
use molecule_async::{Agent, AvailablePlugin, InstalledPlugin, Plugin, Setup, Verification};
use serde_json::{Map, Value};

use super::done;
use crate::args::{self, SetupChoice};
use crate::exit::{self, Failure};
use crate::output::Output;

pub(super) async fn run(agent: &Agent, command: args::Plugins, output: &Output) -> Result<u8, Failure> {
    match command {
        args::Plugins::List => {
            let plugins = agent.plugins().await?;
            output.result(&plugins, || plugins.iter().map(installed).collect::<Vec<_>>().join("\n"))?;
            Ok(exit::OK)
        }
        args::Plugins::Available => {
            let plugins = agent.available_plugins().await?;
            output.result(&plugins, || plugins.iter().map(available).collect::<Vec<_>>().join("\n"))?;
            Ok(exit::OK)
        }
        args::Plugins::Install { name, source, tree_sha256, setup } => {
            let plugin = Plugin::new(name).setup(if setup == SetupChoice::Run { Setup::Run } else { Setup::Skip });
            let plugin = source.into_iter().fold(plugin, Plugin::source);
            install(agent, tree_sha256.into_iter().fold(plugin, Plugin::tree_sha256), output).await
        }
        args::Plugins::Verify { name } => verify(agent, name, output).await,
        args::Plugins::Author(command) => author(&command, output),
        args::Plugins::Uninstall { name } => match agent.uninstall_plugin(&name).await? {
            true => done(output, "removed", "removed"),
            false => Err(Failure::new(exit::ERROR, format!("no plugin {name} is installed"))),
        },
    }
}

/// What needs no workspace.
pub(super) fn author(command: &args::Author, output: &Output) -> Result<u8, Failure> {
    author::run(command, output)
}

/// The result is an [`Installed`](molecule_async::Installed).
async fn install(agent: &Agent, plugin: Plugin, output: &Output) -> Result<u8, Failure> {
    let installed = agent.install_plugin(plugin).await;
    output.progress_ended();
    let installed = installed?;
    output.result(&installed, || {
        let version = installed.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        let verb = if installed.replaced { "replaced" } else { "installed" };
        let (name, files, bytes) = (&installed.name, installed.files, installed.bytes);
        let first = format!("{verb} {name}{version}: {files} files, {bytes} bytes, in {}", installed.path.display());
        let second = format!("tree sha256: {}", installed.tree_sha256);
        [first, second, installed.setup.to_string()].map(|line| printable::line(&line)).join("\n")
    })?;
    Ok(if installed.setup.is_good() { exit::OK } else { exit::ERROR })
}

/// The result is an object: of each plugin's name, its [`Verification`].
async fn verify(agent: &Agent, name: Option<String>, output: &Output) -> Result<u8, Failure> {
    let names = match name {
        Some(name) => vec![name],
        None => agent.plugins().await?.into_iter().map(|plugin| plugin.name.to_string()).collect(),
    };
    let (mut shapes, mut lines, mut is_good) = (Map::new(), Vec::new(), true);
    for name in names {
        let Some(verified) = agent.verify_plugin(&name).await? else {
            return Err(Failure::new(exit::ERROR, format!("no plugin {name} is installed")));
        };
        is_good &= verified.is_intact();
        lines.extend(verification(&name, &verified));
        shapes.insert(name, serde_json::to_value(&verified).unwrap_or(Value::Null));
    }
    output.result(&shapes, || lines.join("\n"))?;
    Ok(if is_good { exit::OK } else { exit::ERROR })
}

fn verification(name: &str, verified: &Verification) -> Vec<String> {
    let changes = match verified {
        Verification::Compared(changes) => changes,
        _ => return vec![format!("{name}: no receipt of its install can be read; install it again")],
    };
    let verdict = if verified.is_intact() { "as it was installed" } else { "changed since it was installed" };
    let files = [("changed", &changes.changed), ("missing", &changes.missing), ("added", &changes.added)];
    let files = files.into_iter().flat_map(|(what, paths)| paths.iter().map(move |path| format!("  {what} {path}")));
    std::iter::once(format!("{name}: {verdict}")).chain(files.map(|line| printable::line(&line))).collect()
}

fn installed(plugin: &InstalledPlugin) -> String {
    let version = plugin.version.as_deref().unwrap_or("-");
    printable::line(&format!("{}  {version}  {}", plugin.name, plugin.path.display()))
}

fn available(plugin: &AvailablePlugin) -> String {
    let version = if plugin.version.is_empty() { "-" } else { &plugin.version };
    printable::line(&format!("{}  {version}  {}", plugin.name, plugin.description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_without_a_receipt_is_told_what_to_do() {
        assert_eq!(verification("x", &Verification::NoReceipt).len(), 1);
        assert_eq!(serde_json::json!(Verification::NoReceipt), serde_json::json!("no_receipt"));
    }
}
