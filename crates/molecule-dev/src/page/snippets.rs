//! The lines that connect an agent to a workspace, under the names that the program, the crates and the docs have.

use maud::{Markup, html};
use molecule_proto::{Token, WorkspaceId};

use super::html;

/// The programs as the README has them, and the address and the id there.
const BLOCKING: &str = include_str!("../../assets/snippets/blocking.rs");
const ASYNC: &str = include_str!("../../assets/snippets/async.rs");
const URL: &str = "https://your-platform.example.com";
const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
/// What stands in place of a token that is no longer known.
const NO_TOKEN: &str = "the-token-that-the-platform-showed";

/// All snippets of a workspace; `token` is its newest one, if it has one.
pub(crate) fn all(url: &str, id: &WorkspaceId, token: Option<&Token>) -> Markup {
    let variables = variables(url, id, token);
    let fitted = |program: &str| program.replace(URL, url).replace(ID, id.as_str());
    let mcp = mcp(url, id);
    let of = |what: &str| format!("{what}-{id}");
    html! {
        p class="small muted" {
            "Give these two lines to a shell first. "
            @if token.is_some() { "A real platform shows the token once, when it is made." } @else { "Its agent's first register makes the token." }
        }
        (html::copied(&of("variables"), &variables))
        details open { summary { "Shell" }
            p class="small muted" { "An agent that answers each message with its own text:" }
            (html::copied(&of("shell"), "molecule register\nmolecule run --echo\n"))
        }
        details { summary { "Rust, blocking" } (html::copied(&of("blocking"), &fitted(BLOCKING))) }
        details { summary { "Rust, async" } (html::copied(&of("async"), &fitted(ASYNC))) }
        details { summary { "MCP, for coding agents" }
            p class="small muted" { "After " code { "molecule register" } ", which stores the token:" }
            (html::copied(&of("mcp"), &mcp))
        }
    }
}

fn variables(url: &str, id: &WorkspaceId, token: Option<&Token>) -> String {
    let token = token.map_or(NO_TOKEN, Token::expose);
    format!("export PLATFORM_URL={url} WORKSPACE_ID={id}\nexport MOLECULE_WORKSPACE_TOKEN={token}\n")
}

fn mcp(url: &str, id: &WorkspaceId) -> String {
    let configuration = serde_json::json!({
        "mcpServers": {
            "molecule-research": {
                "command": "molecule",
                "args": ["mcp"],
                "env": {"PLATFORM_URL": url, "WORKSPACE_ID": id},
            },
        },
    });
    format!("{configuration:#}\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn read(path: &str) -> String {
        fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn the_snippets_are_those_of_the_docs() {
        assert!(
            read("README.md").contains(&format!("```rust,no_run\n{BLOCKING}```")),
            "the README has another program"
        );
        assert!(BLOCKING.contains(URL) && BLOCKING.contains(ID) && ASYNC.contains(URL) && ASYNC.contains(ID));
        let id: WorkspaceId = ID.parse().unwrap();
        let token = Token::new(NO_TOKEN).unwrap();
        let begin = read("docs/agents/README.md").replace("$ ", "");
        assert!(begin.contains(&variables(URL, &id, Some(&token))), "docs/agents/README.md has other variables");
        assert!(begin.contains("molecule register\nmolecule run --echo\n"), "docs/agents/README.md has other commands");
        let docs: serde_json::Value = {
            let page = read("docs/agents/mcp.md");
            serde_json::from_str(page.split("```json").nth(1).unwrap().split("```").next().unwrap()).unwrap()
        };
        assert_eq!(serde_json::from_str::<serde_json::Value>(&mcp(URL, &id)).unwrap(), docs);
    }

    #[test]
    fn the_token_stands_in_the_variables_alone() {
        let id: WorkspaceId = ID.parse().unwrap();
        let token = Token::new("tok-1234567890").unwrap();
        let shown = all("http://127.0.0.1:7420", &id, Some(&token)).into_string();
        assert_eq!(shown.matches("tok-1234567890").count(), 1);
        assert!(shown.contains("http://127.0.0.1:7420") && !shown.contains(URL));
    }
}
