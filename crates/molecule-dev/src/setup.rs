//! What a new platform has: two example workspaces, a plugin and a secret, or the acts of a scenario.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use molecule_platform::{Act, Acted, PluginTree};
use molecule_proto::WorkspaceId;
use serde::Deserialize;
use serde_json::Value;

use crate::World;
use crate::chaos::Chaos;

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

/// The acts of the first start, from a file of JSON lines.
///
/// A line is an act, such as `{"act": "create_workspace", "name": "alice"}`, or `{"chaos": {"rules": […]}}`, or
/// `{"forward_ms": 180000}`. The text `"$alice"` stands for the id of the workspace that an earlier line created under
/// this name. Empty lines, and those that start with `#`, are nothing.
#[derive(Debug)]
pub(crate) struct Scenario {
    name: String,
    lines: Vec<(usize, Value)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    chaos: Option<Chaos>,
    forward_ms: Option<u64>,
}

impl Scenario {
    /// Reads the file; nothing has happened if it is not readable.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        let mut scenario = Self { name, lines: Vec::new() };
        for (place, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            match serde_json::from_str(line) {
                Ok(value) => scenario.lines.push((place + 1, value)),
                Err(error) => return Err(scenario.wrong(place + 1, &error.to_string())),
            }
        }
        Ok(scenario)
    }

    /// Performs the acts in order.
    pub(crate) fn perform(&self, world: &World) -> io::Result<()> {
        let mut ids = BTreeMap::new();
        for (line, value) in &self.lines {
            let value = named(value.clone(), &ids).map_err(|why| self.wrong(*line, &why))?;
            if value.get("act").is_none() {
                let switch: Switch =
                    serde_json::from_value(value).map_err(|error| self.wrong(*line, &error.to_string()))?;
                if let Some(chaos) = switch.chaos {
                    world.set_chaos(chaos);
                }
                if let Some(ms) = switch.forward_ms {
                    world.forward(Duration::from_millis(ms));
                }
                continue;
            }
            let name = value["name"].as_str().map(str::to_owned);
            let act: Act = serde_json::from_value(value).map_err(|error| self.wrong(*line, &error.to_string()))?;
            match (world.act(act), name) {
                (Acted::Refused { why }, _) => return Err(self.wrong(*line, &why)),
                (Acted::Created { id, .. }, Some(name)) => drop(ids.insert(name, id)),
                _ => {}
            }
        }
        Ok(())
    }

    fn wrong(&self, line: usize, why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{}, line {line}: {why}", self.name))
    }
}

/// Puts ids in place of names.
fn named(value: Value, ids: &BTreeMap<String, WorkspaceId>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) => match ids.get(name) {
                Some(id) => Value::from(id.to_string()),
                None => return Err(format!("no earlier line created a workspace named {name:?}")),
            },
            None => Value::String(text),
        },
        Value::Array(values) => values.into_iter().map(|value| named(value, ids)).collect::<Result<_, _>>()?,
        // The words of people may start with `$`.
        Value::Object(map) => {
            let is_text =
                |key: &str| matches!(key, "text" | "value" | "title" | "name" | "prompt" | "content" | "plugin");
            let pairs = map.into_iter().map(|(key, value)| {
                let value = if is_text(&key) { value } else { named(value, ids)? };
                Ok((key, value))
            });
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
        other => other,
    })
}
