//! What a new platform has: two example workspaces, a plugin and a secret.

use molecule_platform::{Act, Acted, PluginTree};
use molecule_proto::WorkspaceId;

use crate::World;

/// Makes the examples.
pub(crate) fn examples(world: &World) {
    let created = ["alice", "bob"].map(|name| {
        match world.act(Act::CreateWorkspace { name: name.to_owned(), url: None, parent: None }) {
            Acted::Created { id, .. } => Some(id),
            _ => None,
        }
    });
    if let [Some(first), _] = &created {
        secret(world, first);
    }
    let manifest = "name: hello\nversion: 1.0.0\ndescription: Says hello. An example of molecule dev.\n";
    let skill =
        "---\nname: hello\ndescription: Greets somebody by name.\n---\nGreet the person by name, in one sentence.\n";
    let plugin = PluginTree::new("hello").file("plugin.yaml", manifest).file("skills/hello/SKILL.md", skill);
    world.act(Act::AddPlugin { plugin });
}

fn secret(world: &World, id: &WorkspaceId) {
    let (key, value) = ("GREETING".to_owned(), "hello from molecule dev".to_owned());
    world.act(Act::SetSecret { id: id.clone(), key, value });
}
