//! A platform on this machine, to try an agent with.
//!
//! It prints the variables that name a workspace of its own, ready for a shell. Each line of its standard input is a message
//! of the workspace's user, and what the agent says to the user is printed. It ends with its input.
//!
//! ```console
//! $ cargo run -p molecule-cli --example local-platform
//! ```

// The program prints for the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::sync::Arc;
use std::time::Duration;

use molecule_async::WorkspaceId;
use molecule_async::core::proto::ActivityRow;
use molecule_platform::{Config, Dialect, Platform, Server, serve};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Arc::new(serve(Platform::new(Config::new(Dialect::Current)), "127.0.0.1:0")?);
    let (id, token) = server.with(|platform, now| {
        let (id, token) = platform.create_workspace(now, "mine");
        platform.set_secret(now, &id, "OPENAI_API_KEY", "sk-local");
        (id, token)
    });
    // The platform forgets everything at its end, and so shall the agent's files.
    let home = std::env::temp_dir().join(format!("molecule-local-{}", std::process::id()));
    println!("export PLATFORM_URL={} WORKSPACE_ID={id}", server.url());
    println!("export MOLECULE_WORKSPACE_TOKEN={} MOLECULE_HOME='{}'", token.expose(), home.display());
    eprintln!(
        "# Give these lines to a shell, and start an agent there. What you type here is said to it; Ctrl-D ends this."
    );
    let (listening, of) = (server.clone(), id.clone());
    std::thread::spawn(move || listen(&listening, &of));
    for line in stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            server.with(|platform, now| platform.send_user_message(now, &id, line));
        }
    }
    match std::fs::remove_dir_all(&home) {
        Err(error) if home.exists() => Err(format!("{} cannot be removed: {error}", home.display()).into()),
        _ => Ok(()),
    }
}

/// Prints what the agent says to its user.
fn listen(server: &Server, id: &WorkspaceId) {
    let mut heard = 0;
    loop {
        let mut said = Vec::new();
        let is_more = |platform: &Platform| {
            said = platform.activity(id).into_iter().rev().filter_map(text).collect();
            said.len() > heard
        };
        if server.wait_until(is_more, Duration::from_secs(3600)) {
            said[heard..].iter().for_each(|text| println!("agent: {text}"));
            heard = said.len();
        }
    }
}

/// The text of a message to the user.
fn text(row: &ActivityRow) -> Option<String> {
    let body = row.response_body.as_ref().filter(|_| row.is_notice())?;
    body.get("result")?.as_str().map(str::to_owned)
}
