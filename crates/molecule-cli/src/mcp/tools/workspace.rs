//! Tools about the workspace itself.

use molecule_async::core::endpoint::{Existence, View};
use molecule_async::core::proto::printable;
use molecule_async::{AgentCard, Plugin, Setup};
use serde_json::{Value, json};

use super::{text, why};
use crate::mcp::inbox::Standing;
use crate::mcp::member::Member;
use crate::mcp::params::Params;
use crate::mcp::server::Server;

/// The workspace as the platform has it, and who has its inbox here.
pub(super) async fn info(member: &Member) -> Result<String, String> {
    let mut info = match member.agent().send(&View).await.map_err(why)? {
        Existence::Present(view) => json!(view),
        Existence::Removed => return Err("the workspace is deleted".to_owned()),
        _ => return Err("the platform has no such workspace".to_owned()),
    };
    let inbox = match member.inbox.known_standing().await {
        Standing::Here => format!("held by this program, {} messages wait", member.inbox.len()),
        Standing::Starting => "this program has not reached the platform yet".to_owned(),
        Standing::Elsewhere(who) => format!("held by another program: {who}"),
        Standing::Off(why) => format!("not held here: {why}"),
    };
    info["inbox"] = json!(inbox);
    Ok(text(&info))
}

pub(super) async fn update_card(member: &Member, params: &Params) -> Result<String, String> {
    let card = params.object("card")?;
    let card: AgentCard = serde_json::from_value(Value::Object(card))
        .map_err(|_| "`card` has a name, description, role or url that is no text".to_owned())?;
    member.agent().update_card(card).await.map_err(why)?;
    Ok(text(&json!({ "success": true })))
}

/// Installs a plugin on this machine. Its setup.sh is code of whoever wrote it, and is run only if whoever started the
/// program said so.
pub(super) async fn install_plugin(server: &Server, member: &Member, params: &Params) -> Result<String, String> {
    let source = params.text("source")?.trim().to_owned();
    let name = match params.optional_text("name")? {
        Some(name) => name.trim().to_owned(),
        None => name_of(&source).to_owned(),
    };
    let mut plugin = Plugin::new(&*name).setup(server.options.setup);
    if source != name {
        plugin = plugin.source(source);
    }
    let installed = member.agent().install_plugin(plugin).await.map_err(why)?;
    let mut shape = json!(installed);
    if server.options.setup == Setup::Skip && installed.path.join("setup.sh").exists() {
        shape["note"] = json!("its setup.sh was not run; a person may do that with `molecule plugins install`");
    }
    shape["summary"] = json!(printable::line(&installed.setup.to_string()));
    Ok(text(&shape))
}

/// The plugin's name in a source: the last part of its path, without a version.
fn name_of(source: &str) -> &str {
    let path = source.split('#').next().unwrap_or(source);
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    last.strip_suffix(".git").unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_the_name_of_its_plugin() {
        for (source, name) in [
            ("molecule-dev", "molecule-dev"),
            ("github://acme/my-plugin#v1", "my-plugin"),
            ("gitea://git.example/acme/my-plugin.git", "my-plugin"),
            ("github://acme/my-plugin/#main", "my-plugin"),
        ] {
            assert_eq!(name_of(source), name, "{source}");
        }
    }
}
