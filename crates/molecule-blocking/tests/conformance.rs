//! The driver passes the suite of requests that every driver must pass.
#![cfg(any(feature = "rustls", feature = "platform-verifier"))]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use bytes::Bytes;
use http::{Request, Response};
use molecule_blocking::core::effect::{Dest, Fault, Limits, Outcome, Upload};
use molecule_blocking::{Client, Transport};
use molecule_conformance::files::{self, FileDriver};
use molecule_conformance::{Driver, Lookup, Report};
use molecule_host::Host;

struct Blocking;

impl Driver for Blocking {
    type Client = Client;

    fn client(&self, transport: &Transport, names: Option<Lookup>) -> Client {
        match names {
            Some(names) => Client::with_names(transport, names).unwrap(),
            None => Client::new(transport).unwrap(),
        }
    }

    fn send(&self, client: &Client, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault> {
        client.send(request, limits)
    }

    fn watch(
        &self,
        client: &Client,
        request: Request<Bytes>,
        limits: Limits,
        part: &mut dyn FnMut(Bytes),
    ) -> Result<Response<Bytes>, Fault> {
        let each = |piece| {
            part(piece);
            true
        };
        client.watch(request, limits, each)
    }
}

#[test]
fn the_driver_passes_the_suite() {
    // The suite sees that no cookie is said, even where the application's tree turns on those of ureq: without that feature
    // this does not compile.
    assert_eq!(ureq::agent().cookie_jar_lock().iter().count(), 0);
    let report = Report::of(&Blocking);
    println!("{}", report.table("blocking"));
    let complaints = report.complaints();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

impl FileDriver for Files {
    fn fetch(&self, host: &Host, request: Request<Bytes>, limits: Limits, dest: Dest) -> Result<Outcome, Fault> {
        self.0.fetch(host, request, limits, dest)
    }

    fn upload(&self, request: Request<Bytes>, limits: Limits, upload: Upload) -> Result<Response<Bytes>, Fault> {
        self.0.upload(request, limits, upload)
    }
}

struct Files(Client);

#[test]
fn the_driver_passes_the_suite_of_files() {
    let complaints = files::complaints(&Files(Client::new(&Transport::new()).unwrap()));
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
