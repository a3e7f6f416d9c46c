//! Feeds calls and their compositions with arbitrary answers.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use molecule_core::machines::{Beat, Call, Recover, Register};
use molecule_core::{Recovery, endpoint};
use molecule_fuzz::{Happening, Setup, TOKEN, drive};

#[derive(Debug, Arbitrary)]
enum Which {
    Secrets,
    State,
    View,
    Beat,
    Register,
    RecoverOwn,
    RecoverAdmin,
}

fuzz_target!(|input: (Setup, Which, Vec<Happening>)| {
    let (setup, which, happenings) = input;
    let session = setup.session();
    match which {
        Which::Secrets => drive(Call::new(endpoint::Secrets), session, happenings),
        Which::State => drive(Call::new(endpoint::PollState), session, happenings),
        Which::View => drive(Call::new(endpoint::View), session, happenings),
        Which::Beat => drive(Beat::new(), session, happenings),
        Which::Register => drive(Register::new(), session, happenings),
        Which::RecoverOwn => drive(Recover::new(Recovery::Own), session, happenings),
        Which::RecoverAdmin => {
            let admin = Recovery::admin(TOKEN).expect("it is a token");
            drive(Recover::new(admin), session, happenings);
        }
    }
});
