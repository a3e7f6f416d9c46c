//! Sends a request whose body is made of files, with constant memory.

use std::io::{self, Read};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use molecule_core::effect::{Fault, Limits, Upload};
use molecule_host::Uploading;

use crate::http::Client;

impl Client {
    /// Sends a request whose body is made of files. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn upload(&self, request: Request<Bytes>, limits: Limits, files: Upload) -> Result<Response<Bytes>, Fault> {
        upload(self, (request, limits, files))
    }
}

/// Sends the request with the files, and reads the whole answer.
pub(crate) fn upload(
    client: &Client,
    (request, limits, upload): (Request<Bytes>, Limits, Upload),
) -> Result<Response<Bytes>, Fault> {
    let mut files = Files { uploading: Uploading::open(&upload)?, fault: None };
    let (mut head, _) = request.into_parts();
    head.headers.insert(CONTENT_LENGTH, files.uploading.length().into());
    let sent = client.open_with_body(Request::from_parts(head, &mut files as &mut dyn Read), limits);
    // The fault of a file is the cause of the broken request.
    match files.fault {
        Some(fault) => Err(fault),
        None => sent?.whole(limits),
    }
}

/// The files as ureq reads them.
struct Files {
    uploading: Uploading,
    fault: Option<Fault>,
}

impl Read for Files {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.uploading.read(buffer).map_err(|fault| {
            self.fault = Some(fault);
            io::Error::other("a file cannot be read")
        })
    }
}
