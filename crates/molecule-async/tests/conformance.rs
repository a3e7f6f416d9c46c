//! The driver passes the suite of requests that every driver must pass.
#![cfg(any(feature = "rustls", feature = "platform-verifier"))]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use bytes::Bytes;
use http::{Request, Response};
use molecule_async::core::effect::{Dest, Fault, Limits, Outcome, Upload};
use molecule_async::{Client, Transport};
use molecule_conformance::files::{self, FileDriver};
use molecule_conformance::{Driver, Lookup, Report};
use molecule_host::Host;
use tokio::runtime::{Builder, Runtime};

struct Async(Runtime);

impl Driver for Async {
    type Client = Client;

    fn client(&self, transport: &Transport, names: Option<Lookup>) -> Client {
        match names {
            Some(names) => Client::with_names(transport, names).unwrap(),
            None => Client::new(transport).unwrap(),
        }
    }

    fn send(&self, client: &Client, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, Fault> {
        self.0.block_on(client.send(request, limits))
    }

    fn watch(
        &self,
        client: &Client,
        request: Request<Bytes>,
        limits: Limits,
        part: &mut dyn FnMut(Bytes),
    ) -> Result<Response<Bytes>, Fault> {
        self.0.block_on(client.watch(request, limits, part))
    }
}

#[test]
fn the_driver_passes_the_suite() {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let report = Report::of(&Async(runtime));
    println!("{}", report.table("async"));
    let complaints = report.complaints();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

struct Files(Runtime, Client);

impl FileDriver for Files {
    fn fetch(&self, host: &Host, request: Request<Bytes>, limits: Limits, dest: Dest) -> Result<Outcome, Fault> {
        self.0.block_on(self.1.fetch(host, request, limits, dest))
    }

    fn upload(&self, request: Request<Bytes>, limits: Limits, upload: Upload) -> Result<Response<Bytes>, Fault> {
        self.0.block_on(self.1.upload(request, limits, upload))
    }
}

#[test]
fn the_driver_passes_the_suite_of_files() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let complaints = files::complaints(&Files(runtime, Client::new(&Transport::new()).unwrap()));
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
