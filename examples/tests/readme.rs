//! The README's first programs run as they are printed, for an ordinary workspace: its owner created it, and the
//! platform showed its token once. The test supplies only the reader's own URL, id and token.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIALECTS, World};
use molecule_platform::Dialect;

const PROGRAMS: [&str; 2] = ["readme", "readme-async"];

#[test]
fn the_first_program_works_as_printed() {
    for program in PROGRAMS {
        for dialect in DIALECTS {
            let world = World::new(dialect, program);
            let output = world.run(program, Some(&world.token));
            let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            assert_eq!(output.status.code(), Some(0), "{program}, {dialect:?}: {out} {err}");
            assert_eq!(out, "1 secrets\nended: stopped\n", "{program}, {dialect:?}: {err}");
            assert!(err.contains("registered"), "{program}, {dialect:?}: {err}");
            assert!(!err.contains("sk-readme") && !err.contains(&world.token), "{program}, {dialect:?}: {err}");
            // The platform accepted the token, and it is stored: the next start needs no variable.
            let again = world.run(program, None);
            assert_eq!(again.stdout, b"1 secrets\nended: stopped\n", "{program}, {dialect:?}: {again:?}");
        }
    }
}

#[test]
fn without_its_token_it_says_in_one_sentence_what_to_do() {
    for program in PROGRAMS {
        let world = World::new(Dialect::Current, &format!("lost-{program}"));
        let output = world.run(program, None);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        // The error follows the events, which the program prints too.
        let errors: Vec<_> = err.lines().filter(|line| line.starts_with("Error: ")).collect();
        assert!(matches!(errors[..], [told] if err.trim_end().ends_with(told)), "{err}");
        assert!(errors[0].starts_with("Error: register failed: the platform already issued a token"), "{err}");
        assert!(
            err.contains("give token(…), or set MOLECULE_WORKSPACE_TOKEN and build with from_env() or or_env()"),
            "{err}"
        );
    }
}
