//! Files that reach an agent's own server: the world is the driver that stores them on the agent's disk.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use molecule_core::machines::{Answer, Ingest, IngestStep, Refusal};
use molecule_proto::{UploadedFile, WorkspaceId};

use crate::clients::FORM;
use crate::clock::platform_now;
use crate::peers::By;
use crate::relay::AgentRequest;
use crate::served::Delivery;
use crate::world::{ADMIN, Happening, World};

/// A form with files that a server receives. They are on the disk as files once the form has come to its end.
pub(crate) struct FormInFlight {
    pub(crate) process: usize,
    pub(crate) exchange: AgentRequest,
    delivery: Rc<Delivery>,
    ingest: Ingest,
    /// The pieces that have not arrived.
    rest: std::vec::IntoIter<Bytes>,
    /// The file that arrives.
    current: Option<(UploadedFile, Vec<u8>)>,
    complete: Vec<(UploadedFile, Vec<u8>)>,
}

/// The body of a form with this many files, whose contents name the action.
pub(crate) fn form(act: usize, files: usize) -> Bytes {
    let mut body = String::new();
    for file in 0..files {
        let head = format!("content-disposition: form-data; name=\"files\"; filename=\"{act}-{file}.txt\"");
        body.push_str(&format!("--sim\r\n{head}\r\ncontent-type: text/plain\r\n\r\nfile {file} of act {act}\r\n"));
    }
    body.push_str("--sim--\r\n");
    body.into()
}

impl World<'_> {
    /// Lets a person upload one to three files for an agent with a server. Each fourth time the person goes away in the middle.
    pub(crate) fn hand_files_over(&mut self, act: usize, to: &WorkspaceId) {
        let whole = form(act, 1 + act % 3);
        let body = if act % 4 == 3 { whole.slice(..whole.len() / 2) } else { whole };
        let request = Request::post(format!("/workspaces/{to}/chat/uploads"))
            .header(AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(CONTENT_TYPE, HeaderValue::from_static(FORM))
            .body(body)
            .expect("the request is valid");
        // Nobody here waits for the platform's answer.
        let _ = self.platform.handle(platform_now(self.now), None, request);
        self.pump(By::Platform);
    }

    /// Begins to receive a form.
    pub(crate) fn form_begins(
        &mut self,
        process: usize,
        exchange: AgentRequest,
        delivery: Rc<Delivery>,
        head: &Parts,
        body: &Bytes,
    ) {
        let ingest = match Ingest::of(&head.headers) {
            Ok(ingest) => ingest,
            Err(refusal) => return self.replies(process, exchange, &delivery, Answer::Ready(refusal.answer())),
        };
        let mut pieces = Vec::new();
        let mut rest = body.clone();
        while !rest.is_empty() {
            let length = self.rng.usize(1..200).min(rest.len());
            pieces.push(rest.split_to(length));
        }
        let rest = pieces.into_iter();
        let form = FormInFlight { process, exchange, delivery, ingest, rest, current: None, complete: Vec::new() };
        self.requests += 1;
        let number = self.requests;
        self.forms.insert(number, form);
        self.plan(self.now, Happening::FormFlows(number));
    }

    /// Takes the next piece of a form.
    pub(crate) fn form_flows(&mut self, number: u64) {
        let Some(mut form) = self.forms.remove(&number) else { return };
        match self.store(&mut form) {
            None => {
                let soon = Duration::from_millis(self.rng.u64(1..400));
                self.forms.insert(number, form);
                self.plan(self.now + soon, Happening::FormFlows(number));
            }
            Some(Ok(answer)) => self.replies(form.process, form.exchange, &form.delivery, Answer::Ready(answer)),
            Some(Err(refusal)) => {
                self.replies(form.process, form.exchange, &form.delivery, Answer::Ready(refusal.answer()));
            }
        }
    }

    /// Stores what has arrived of a form; `None` if more is to come.
    fn store(&mut self, form: &mut FormInFlight) -> Option<Result<Response<Bytes>, Refusal>> {
        let disk = self.agents[form.delivery.target].disk.clone();
        match form.rest.next() {
            Some(piece) => form.ingest.push(&piece),
            None => return Some(Err(Ingest::CUT)),
        }
        loop {
            match form.ingest.poll() {
                Err(refusal) => return Some(Err(refusal)),
                Ok(IngestStep::More) => return None,
                Ok(IngestStep::Begin { name, mime_type }) => {
                    let mut file = UploadedFile::new(format!("{:016x}-{name}", self.rng.u64(..)), name, 0);
                    file.mime_type = mime_type;
                    form.current = Some((file, Vec::new()));
                }
                Ok(IngestStep::Content(bytes)) => {
                    if let Some((_, content)) = &mut form.current {
                        content.extend_from_slice(&bytes);
                    }
                }
                Ok(IngestStep::End) => {
                    let Some((mut file, content)) = form.current.take() else { continue };
                    file.size = content.len() as u64;
                    form.complete.push((file, content));
                }
                Ok(IngestStep::Complete) => {
                    let mut files = Vec::new();
                    for (mut file, content) in std::mem::take(&mut form.complete) {
                        match disk.put_file(&file.uri, content) {
                            Ok(uri) => file.uri = uri,
                            Err(_) => {
                                files.iter().for_each(|file: &UploadedFile| disk.remove_file(&file.uri));
                                return Some(Err(Ingest::NOT_STORED));
                            }
                        }
                        files.push(file);
                    }
                    return Some(Ok(Ingest::stored(files)));
                }
            }
        }
    }

    /// Gives up the forms whose callers or whose server are gone.
    pub(crate) fn leave_forms(&mut self, is_left: impl Fn(&FormInFlight) -> bool) {
        self.forms.retain(|_, form| !is_left(form));
    }
}
