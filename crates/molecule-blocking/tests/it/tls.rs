//! The loop over TLS: its threads have small stacks.

use std::sync::{Arc, Mutex};

use molecule_blocking::{Ended, Event, Stopper};
use molecule_conformance::{Certificate, PeerAction, ScriptedPeer, trusted, welcome};

use crate::common::*;

#[test]
fn the_loop_runs_over_tls_on_its_small_stacks() {
    let peer = ScriptedPeer::start(|connection| {
        connection.perform([PeerAction::Secure(Certificate::Good)]);
        connection.answer(welcome);
    });
    let stopper: Arc<Mutex<Option<Stopper>>> = Arc::default();
    let inside = stopper.clone();
    let builder = builder(&peer.secure_url()).extra_ca(trusted()).timeouts(patient()).on_event(move |event| {
        if *event == Event::Online {
            inside.lock().unwrap().iter().for_each(Stopper::stop);
        }
    });
    let agent = builder.build().unwrap();
    *stopper.lock().unwrap() = Some(agent.stopper());
    assert_eq!(agent.run_heartbeat_loop().unwrap(), Ended::Stopped);
}
