//! Reads arbitrary bytes from the token's and the secret's slots of the store.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_core::Options;
use molecule_core::effect::{Effect, HostOp, HostResult, Outcome, Slot, Stored};
use molecule_core::machine::{Cx, Machine, Now, Session, Step};
use molecule_core::machines::Register;
use molecule_proto::{Time, UnixTime};
use zeroize::Zeroizing;

fuzz_target!(|slots: (Vec<u8>, Vec<u8>)| {
    let (token, secret) = slots;
    let options = Options::new("https://platform.example", "7fda77bf-a467-441c-9fab-7d8aba8e6040");
    let mut session = Session::new(options.build().expect("these options make sense"), 1);
    let mut register = Register::new();
    let now = Now { mono: Time::from_nanos(1), unix: UnixTime::from_secs(0) };
    loop {
        match register.poll(&mut Cx { now, session: &mut session }) {
            Step::Start(id, Effect::Host(op)) => {
                let result = match op {
                    HostOp::Load(slot) => {
                        let bytes = if slot == Slot::Token { &token } else { &secret };
                        HostResult::Loaded(Some(Stored::new(Zeroizing::new(bytes.clone()), "a file")))
                    }
                    HostOp::SetAside(_) => HostResult::SetAside("elsewhere".to_owned()),
                    _ => HostResult::Prepared,
                };
                let taken = register.feed(&mut Cx { now, session: &mut session }, id, Outcome::Host(result));
                assert!(taken.is_ok());
            }
            // The store was read, and its content was accepted.
            Step::Start(
                _,
                Effect::Http(..)
                | Effect::Fetch(..)
                | Effect::Upload(..)
                | Effect::Watch(..)
                | Effect::Handle(_)
                | Effect::Decode(_),
            )
            | Step::Idle(_) => return,
            Step::Done(Err(error)) => {
                let text = format!("{error} {error:?}");
                let quoted = std::str::from_utf8(&token)
                    .is_ok_and(|token| token.trim().len() > 16 && text.contains(token.trim()));
                assert!(!quoted, "{text}");
                return;
            }
            Step::Done(Ok(_)) => panic!("registered without asking"),
            Step::Cancel(_) | Step::Event(_) => {}
        }
    }
});
