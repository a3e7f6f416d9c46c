//! Both demos run as programs: with their embedded platform, and with the test's platform in the environment.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use molecule_core::proto::WorkspaceId;
use molecule_platform::{Config, Dialect, Platform, Server, serve};

const DEMOS: [&str; 2] = ["remote-agent", "remote-agent-async"];
const LONG: Duration = Duration::from_secs(30);

/// A demo's program, without the settings of this process.
fn demo(name: &str) -> Command {
    // The examples are beside this test's own program, …/target/<profile>/deps/demo-<hash>.
    let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    let mut command = Command::new(profile.join("examples").join(name));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy().into_owned();
        if name.starts_with("MOLECULE_")
            || name.ends_with("_SECS")
            || name.starts_with("PLATFORM_")
            || name.starts_with("WORKSPACE_")
        {
            command.env_remove(variable);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A platform with one workspace, and a home for its agent.
struct World {
    server: Server,
    id: WorkspaceId,
    token: String,
    home: PathBuf,
}

impl World {
    fn new(name: &str) -> Self {
        let server = serve(Platform::new(Config::new(Dialect::Current)), "127.0.0.1:0").unwrap();
        let (id, token) = server.with(|platform, now| platform.create_workspace(now, "demo"));
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        Self { server, id, token: token.expose().to_owned(), home }
    }

    fn demo(&self, name: &str) -> Command {
        let mut command = demo(name);
        command
            .env("MOLECULE_PLATFORM_URL", self.server.url())
            .env("MOLECULE_WORKSPACE_ID", self.id.as_str())
            .env("MOLECULE_WORKSPACE_TOKEN", &self.token)
            .env("MOLECULE_HOME", &self.home)
            .env("HEARTBEAT_SECS", "0.05")
            .env("STATE_SECS", "0.05");
        command
    }

    fn wait_for_beats(&self, beats: usize) {
        let seen = self.server.wait_for(
            |requests| requests.iter().filter(|request| request.path == "/registry/heartbeat").count() >= beats,
            LONG,
        );
        assert!(seen, "no {beats} heartbeats came");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

fn assert_ended(output: &Output, how: &str, status: i32) {
    let out = lines(&output.stdout);
    assert_eq!(out.last().map(String::as_str), Some(how), "{out:?} {:?}", lines(&output.stderr));
    assert_eq!(output.status.code(), Some(status));
    assert!(output.stderr.is_empty(), "{:?}", lines(&output.stderr));
}

#[test]
fn with_nothing_set_it_lives_a_whole_life_and_is_paused() {
    for name in DEMOS {
        let output = demo(name).output().unwrap();
        assert_ended(&output, "ended: paused", 0);
        let story = lines(&output.stdout);
        assert!((16..=24).contains(&story.len()), "{story:?}");
        let called = &story[story.len() - 3..story.len() - 1];
        assert_eq!(called[0], "colleague calls the agent: \"welcome back\"");
        assert_eq!(called[1], "colleague accepted: the peer finds it when it polls");
        let told = |part: &str| assert!(story.iter().any(|line| line.contains(part)), "{part}: {story:?}");
        told("installed greeter 1.0.0: ");
        told("its tree_sha256, to pin it by: ");
        told("ready to greet from greeter");
        told("owner     writes \"hello\"");
        told("agent     got \"hello\" from the user");
        told("owner     reads \"you wrote: hello\"");
        assert!(!story.join("\n").contains("sk-demo"), "a secret is in the story: {story:?}");
    }
}

#[test]
fn a_deleted_workspace_ends_it() {
    for name in DEMOS {
        let world = World::new(&format!("deleted-{name}"));
        let child = world.demo(name).spawn().unwrap();
        world.wait_for_beats(2);
        world.server.with(|platform, now| platform.delete(now, &world.id, false));
        assert_ended(&child.wait_with_output().unwrap(), "ended: deleted", 0);
    }
}

#[test]
fn a_dead_token_ends_it_with_status_1() {
    for name in DEMOS {
        let world = World::new(&format!("dead-{name}"));
        let child = world.demo(name).spawn().unwrap();
        world.wait_for_beats(2);
        world.server.with(|platform, now| platform.rotate(now, &world.id));
        assert_ended(&child.wait_with_output().unwrap(), "ended: unauthorized", 1);
    }
}

#[test]
fn an_error_is_one_line_on_stderr_and_status_1() {
    for name in DEMOS {
        let world = World::new(&format!("error-{name}"));
        for (variable, value, part) in [
            ("MOLECULE_WORKSPACE_TOKEN", "wrong-token", "register failed: the token that is held was revoked"),
            ("MOLECULE_WORKSPACE_ID", "nonsense", "workspace id \"nonsense\" is not valid"),
            ("HEARTBEAT_SECS", "soon", "HEARTBEAT_SECS is \"soon\""),
            ("MOLECULE_PLATFORM_URL", "http://platform.example", "in clear"),
        ] {
            let output = world.demo(name).env(variable, value).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{variable}");
            let errors = lines(&output.stderr);
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains(part), "{errors:?}");
        }
    }
}

#[test]
fn the_older_names_of_the_variables_count_too() {
    let world = World::new("older-names");
    let mut command = world.demo("remote-agent");
    command.env_remove("MOLECULE_PLATFORM_URL").env_remove("MOLECULE_WORKSPACE_ID");
    command.env("PLATFORM_URL", world.server.url()).env("WORKSPACE_ID", world.id.as_str());
    let child = command.spawn().unwrap();
    world.wait_for_beats(1);
    world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
    assert_ended(&child.wait_with_output().unwrap(), "ended: paused", 0);
}

#[test]
fn molecule_dev_is_a_platform_like_another() {
    use molecule_dev::{Act, Acted, Dev, Options};

    for name in DEMOS {
        let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
        let act = |act| dev.world().act(act);
        let Acted::Created { id, token: Some(token) } =
            act(Act::CreateWorkspace { name: "demo".to_owned(), url: None, parent: None })
        else {
            panic!("it is never refused")
        };
        let mut command = demo(name);
        // The two lines that the program prints.
        command.env("PLATFORM_URL", dev.url()).env("WORKSPACE_ID", id.as_str());
        command.env("MOLECULE_WORKSPACE_TOKEN", token.expose()).env("MOLECULE_HOME", ":memory:");
        let child = command.env("HEARTBEAT_SECS", "0.05").env("STATE_SECS", "0.05").spawn().unwrap();
        let deadline = std::time::Instant::now() + LONG;
        while dev.world().read(None, |platform, _| platform.last_heartbeat(&id).is_none()).unwrap() {
            assert!(std::time::Instant::now() < deadline, "no heartbeat came");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(act(Act::Pause { id, cascade: false }), Acted::Count { count: 1 });
        assert_ended(&child.wait_with_output().unwrap(), "ended: paused", 0);
    }
}

/// Sends SIGTERM with the system's `kill`, which needs no unsafe code here.
#[cfg(unix)]
fn terminate(child: &Child) {
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn sigterm_stops_it() {
    for name in DEMOS {
        let world = World::new(&format!("sigterm-{name}"));
        let mut child = world.demo(name).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        world.wait_for_beats(2);
        terminate(&child);
        let story: Vec<String> = out.lines().map(Result::unwrap).collect();
        assert_eq!(story.last().map(String::as_str), Some("ended: stopped"), "{story:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
