//! Whatever the program does that handles messages, the agent goes on: in `sh` and in Python.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::process::Child;

use common::{ECHO, World, read_until, terminate, told, wait_for};
use molecule_platform::Dialect;

/// A handler in Python: it answers each line with its text.
const PYTHON_ECHO: &str = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    print(json.dumps({"id": message["id"], "reply": "you wrote: " + message["text"]}), flush=True)
"#;

/// The program with something in `sh` or in Python before it answers.
fn lines(language: &str, before: &str) -> Vec<String> {
    let (program, script) = match language {
        "sh" => ("sh", format!("{before}\n{ECHO}")),
        _ => ("python3", format!("{before}\n{PYTHON_ECHO}")),
    };
    ["--", program, "-c", &script].map(str::to_owned).to_vec()
}

fn start(world: &World, line: &[String]) -> Child {
    let args: Vec<&str> = line.iter().map(|text| &**text).collect();
    world.start(&args)
}

fn stop(child: Child) -> String {
    terminate(&child);
    let (code, out, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{out}{err}");
    err
}

/// Reads a stream to its end, and counts its bytes.
fn count(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()).unwrap())
}

/// The most memory that a process has had, in bytes.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

const MIB: u64 = 1024 * 1024;

/// 100 MB of lines on both outputs, which nobody asked for: they take time and no memory.
#[test]
fn a_flood_of_lines_on_both_outputs_holds_nothing_up_and_takes_no_memory() {
    let sh = r#"
junk=$(head -c 1000 /dev/zero | tr '\0' x)
yes "$junk" | head -c 100000000 & yes "$junk" | head -c 100000000 >&2; wait; echo"#;
    let python = r#"
import sys
for _ in range(1000):
    sys.stdout.buffer.write((b"x" * 999 + b"\n") * 100)
    sys.stderr.buffer.write((b"x" * 999 + b"\n") * 100)
sys.stdout.flush()
"#;
    for (language, before) in [("sh", sh), ("python", python)] {
        let world = World::new(Dialect::Current, &format!("flood-{language}"));
        let line = lines(language, before);
        let args: Vec<&str> = ["run"].into_iter().chain(line.iter().map(|text| &**text)).collect();
        let mut child = world.molecule(&args).spawn().unwrap();
        let passed_on = count(child.stderr.take().unwrap());
        world.write("hello");
        world.wait_for_words(&["you wrote: hello"]);
        #[cfg(target_os = "linux")]
        assert!(peak(&child) < 64 * MIB, "{language}: {} MiB", peak(&child) / MIB);
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        // Each line has the workspace's name before it.
        assert!(passed_on.join().unwrap() >= 100_000_000, "{language}");
    }
}

/// Whoever reads stderr slowly, or not at all, holds up the program that writes there, and not the agent.
#[test]
fn a_flood_that_nobody_reads_costs_no_heartbeat() {
    let world = World::new(Dialect::Current, "unread");
    let mut child = world.molecule(&["run", "--", "sh", "-c", &format!("yes noise >&2 & {ECHO}")]).spawn().unwrap();
    world.write("hello");
    world.wait_for_words(&["you wrote: hello"]);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A line without an end is no answer: the program is ended at 16 MiB of it, and started again.
#[test]
fn a_line_without_an_end_ends_the_program_and_not_the_agent() {
    for (language, before) in [
        ("sh", "head -c 100000000 /dev/zero | tr '\\0' x"),
        ("python", "import sys\nsys.stdout.write('x' * 100_000_000)\nsys.stdout.flush()"),
    ] {
        let world = World::new(Dialect::Current, &format!("endless-{language}"));
        let mut child = start(&world, &lines(language, before));
        read_until(child.stderr.take().unwrap(), |line| line.contains("a line of more than 16777216 bytes"));
        #[cfg(target_os = "linux")]
        assert!(peak(&child) < 128 * MIB, "{language}: {} MiB", peak(&child) / MIB);
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn junk_is_reported_and_not_fatal() {
    for (language, before) in [
        ("sh", r#"echo hello; echo '[]'; echo '{"id":"nobody","ack":true}'; printf '\377\000\n{"id":1}\n'"#),
        (
            "python",
            r#"import sys; sys.stdout.buffer.write(b'hello\n[]\n{"id":"nobody","ack":true}\n\xff\x00\n{"id":1}\n')"#,
        ),
    ] {
        let world = World::new(Dialect::Current, &format!("junk-{language}"));
        let child = start(&world, &lines(language, before));
        world.write("hello");
        world.wait_for_words(&["you wrote: hello"]);
        let err = stop(child);
        assert_eq!(err.matches("is no JSON object").count(), 4, "{err}");
        assert!(err.contains("names a message that it does not have"), "{err}");
    }
}

/// A program that hangs keeps one conversation waiting and no stop: the drain ends, and the message is kept.
#[test]
fn a_program_that_hangs_is_ended_with_the_agent_and_loses_no_message() {
    for (language, line) in [
        ("sh", ["--", "sh", "-c", "trap '' TERM HUP INT; read -r line; echo has it >&2; while :; do sleep 1; done"]),
        (
            "python",
            [
                "--",
                "python3",
                "-c",
                "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsys.stdin.readline()\nprint('has it', file=sys.stderr, flush=True)\ntime.sleep(3600)",
            ],
        ),
    ] {
        let world = World::new(Dialect::Current, &format!("hangs-{language}"));
        let mut child = world.start(&[&["--drain", "0.5"], &line[..]].concat());
        world.write("hello");
        read_until(child.stderr.take().unwrap(), |line| line.contains("has it"));
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let listed = world.json(&["inbox", "list"]);
        assert_eq!(listed[0]["text"], "hello", "{listed}");
        let child = start(&world, &lines(language, ""));
        world.wait_for_words(&["you wrote: hello"]);
        stop(child);
        assert_eq!(world.said(), ["you wrote: hello"]);
    }
}

#[test]
fn a_program_that_dies_again_and_again_is_started_again_and_again() {
    for (language, line) in [
        (
            "sh",
            r#"[ -e "$MARK" ] && exec sh -c "$REST"; read -r line; [ -e "$MARK.1" ] && touch "$MARK"; touch "$MARK.1"; kill -9 $$"#,
        ),
        (
            "python",
            "import os, sys\nmark = os.environ['MARK']\nif os.path.exists(mark): exec(os.environ['REST']); sys.exit()\nsys.stdin.readline()\nif os.path.exists(mark + '.1'): open(mark, 'w')\nopen(mark + '.1', 'w')\nos.abort()",
        ),
    ] {
        let world = World::new(Dialect::Current, &format!("dies-{language}"));
        std::fs::create_dir_all(&world.home).unwrap();
        let program = if language == "sh" { "sh" } else { "python3" };
        let mut command = world.molecule(&["run", "--attempts", "5", "--", program, "-c", line]);
        command.env("MARK", world.home.join("mark")).env("REST", if language == "sh" { ECHO } else { PYTHON_ECHO });
        let child = command.spawn().unwrap();
        world.write("hello");
        world.wait_for_words(&["you wrote: hello"]);
        let err = stop(child);
        assert_eq!(err.matches("it is started again").count(), 2, "{err}");
        assert_eq!(world.said(), ["you wrote: hello"]);
    }
}

/// What the program leaves running in its group does not outlive it, and does not hold its end up.
#[test]
fn children_in_the_background_end_with_the_program() {
    for (language, before) in [
        ("sh", "sleep 3600 & echo \"left $!\" >&2"),
        (
            "python",
            "import subprocess, sys\nprint('left', subprocess.Popen(['sleep', '3600']).pid, file=sys.stderr, flush=True)",
        ),
    ] {
        let world = World::new(Dialect::Current, &format!("background-{language}"));
        let mut child = start(&world, &lines(language, before));
        let left = read_until(child.stderr.take().unwrap(), |line| line.contains("left "));
        let left: u32 = left.last().unwrap().split("left ").nth(1).unwrap().trim().parse().unwrap();
        world.write("hello");
        world.wait_for_words(&["you wrote: hello"]);
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let is_there =
            || std::fs::read_to_string(format!("/proc/{left}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        // It was killed before the program ended, and the kernel carries that out soon after.
        wait_for(&format!("{language}: {left} ends"), || !is_there());
    }
}

/// A program that reads no more and lives on gets its messages again by another start, once it has ended.
#[test]
fn a_program_that_closes_its_stdin_still_answers_what_it_has() {
    for (language, line) in [
        (
            "sh",
            r#"read -r line; exec 0<&-; id=$(printf '%s' "$line" | sed 's/^{"v":1,"id":"\([^"]*\)".*/\1/'); sleep 1; printf '{"id":"%s","reply":"done"}\n' "$id"; sleep 3600"#,
        ),
        (
            "python",
            "import json, os, sys, time\nline = sys.stdin.readline()\nos.close(0)\ntime.sleep(1)\nprint(json.dumps({'id': json.loads(line)['id'], 'reply': 'done'}), flush=True)\ntime.sleep(3600)",
        ),
    ] {
        let program = if language == "sh" { "sh" } else { "python3" };
        let world = World::new(Dialect::Current, &format!("closes-{language}"));
        let child = world.start(&["--drain", "0.5", "--", program, "-c", line]);
        world.write("hello");
        world.wait_for_words(&["done"]);
        // This one reaches nobody, and stays in the inbox.
        world.write("and you?");
        terminate(&child);
        assert_eq!(told(child.wait_with_output().unwrap()).0, 0);
        let child = start(&world, &lines(language, ""));
        world.wait_for_words(&["you wrote: and you?"]);
        stop(child);
        assert_eq!(world.said(), ["done", "you wrote: and you?"]);
    }
}
