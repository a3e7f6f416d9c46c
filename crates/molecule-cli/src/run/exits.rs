//! What the end of a program says about the messages that it had.

use std::process::ExitStatus;

use super::unhandled::Unhandled;
use crate::exit::TRY_AGAIN;

/// The codes by which a shell says that a program could not be started: it may not be run, or is not there.
const NOT_STARTED: [i32; 2] = [126, 127];

/// Judges the end of a program that has not handled its message. 75 asks for another try. 126 and 127 say that nothing was
/// started, which no message has earned. Everything else, a signal too, counts as an attempt.
pub(super) fn judge(status: ExitStatus) -> Unhandled {
    match status.code() {
        Some(code) if code == i32::from(TRY_AGAIN) => Unhandled::again("the program asks for another try"),
        Some(code) if NOT_STARTED.contains(&code) => {
            Unhandled::again(format!("the program could not be started: {status}"))
        }
        _ => Unhandled::Failed(format!("the program failed: {status}")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_the_program_did_not_do_is_no_attempt() {
        let is_again = |status| matches!(judge(ExitStatus::from_raw(status)), Unhandled::TryAgain(_));
        let of_codes: Vec<_> = (0..=255).filter(|code| is_again(code << 8)).collect();
        assert_eq!(of_codes, [75, 126, 127]);
        assert!((1..32).all(|signal| !is_again(signal)), "a crash counts");
    }
}
