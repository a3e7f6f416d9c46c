//! The suite of bodies that are files: one that is saved while it arrives, and one that is read while it is sent.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use molecule_core::effect::{Dest, Fault, FaultKind, FileDest, FilePart, Limits, Outcome, Phase, Sent, Upload};
use molecule_host::{Host, Storage, seed};

use super::facades::ID;
use super::peer::{ClosedPort, Connection, ScriptedPeer};

/// A limit that nothing reaches.
const PATIENCE: Duration = Duration::from_secs(8);

/// A limit that is meant to pass.
const SHORT: Duration = Duration::from_millis(200);

const CONTENT: &[u8] = b"the content of a file";

/// The HTTP client of a facade and its host, as a driver uses them.
pub trait FileDriver {
    /// Performs [`Effect::Fetch`](molecule_core::effect::Effect::Fetch).
    ///
    /// # Errors
    /// A fault, if the body is not saved and no other answer came; it may be an outcome, too.
    fn fetch(&self, host: &Host, request: Request<Bytes>, limits: Limits, dest: Dest) -> Result<Outcome, Fault>;

    /// Performs [`Effect::Upload`](molecule_core::effect::Effect::Upload).
    ///
    /// # Errors
    /// A fault, if there is no answer.
    fn upload(&self, request: Request<Bytes>, limits: Limits, upload: Upload) -> Result<Response<Bytes>, Fault>;
}

/// Performs the suite; returns a complaint for every difference.
///
/// # Panics
/// If the machine has no ports, threads or temporary directory left.
pub fn complaints(driver: &impl FileDriver) -> Vec<String> {
    let directory = std::env::temp_dir().join(format!("molecule-files-{:016x}", seed()));
    fs::create_dir(&directory).expect("a temporary directory can be made");
    let store = Storage::Memory.open(&ID.parse().expect("a UUID")).expect("memory has room");
    let suite = Suite { driver, host: Host::new(store), directory: directory.clone(), complaints: Vec::new() };
    let complaints = suite.run();
    let _ = fs::remove_dir_all(directory);
    complaints
}

struct Suite<'a, D> {
    driver: &'a D,
    host: Host,
    directory: PathBuf,
    complaints: Vec<String>,
}

impl<D: FileDriver> Suite<'_, D> {
    fn run(mut self) -> Vec<String> {
        self.saves();
        self.saves_nothing_else();
        self.uploads();
        self.uploads_nothing_else();
        self.complaints
    }

    fn check(&mut self, case: &str, is_right: bool, told: impl FnOnce() -> String) {
        if !is_right {
            self.complaints.push(format!("{case}: {}", told()));
        }
    }

    /// Saves what the peer answers.
    fn save(&self, script: impl Fn(&mut Connection) + Send + Sync + 'static, limits: Limits) -> Result<Outcome, Fault> {
        let peer = ScriptedPeer::start(script);
        let path = self.directory.join("saved");
        let dest = FileDest { path, name: "own".to_owned(), max_bytes: 100_000, replace: false };
        match self.driver.fetch(&self.host, request(&peer.url(), Method::GET), limits, Dest::File(dest)) {
            Ok(Outcome::Failed(fault)) => Err(fault),
            outcome => outcome,
        }
    }

    fn saves(&mut self) {
        let content: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        let sent = content.clone();
        let outcome = self.save(
            move |peer| {
                peer.request();
                peer.send(head(sent.len()));
                for piece in sent.chunks(7_000) {
                    peer.send(piece);
                }
            },
            patient(),
        );
        let path = self.directory.join("saved");
        let is_right = matches!(&outcome, Ok(Outcome::Saved(saved)) if saved.path == path && saved.bytes == 100_000)
            && fs::read(&path).is_ok_and(|saved| saved == content)
            && self.entries() == 1;
        self.check("save: a file in pieces", is_right, || format!("{outcome:?}"));
        let outcome = self.save(
            |peer| {
                peer.request();
                peer.send(head(CONTENT.len()));
                peer.send(CONTENT);
            },
            patient(),
        );
        let is_kept = fs::read(&path).is_ok_and(|saved| saved == content) && self.entries() == 1;
        let is_right =
            is_kept && matches!(&outcome, Err(fault) if fault.kind == FaultKind::Host(io::ErrorKind::AlreadyExists));
        self.check("save: a file that exists is kept", is_right, || format!("{outcome:?}"));
        let _ = fs::remove_file(path);
    }

    fn saves_nothing_else(&mut self) {
        type Script = fn(&mut Connection);
        let cases: [(&str, Script, FaultKind); 5] = [
            ("save: cut", |peer| half(peer), FaultKind::Interrupted),
            (
                "save: stalled",
                |peer| {
                    half(peer);
                    peer.is_left();
                },
                FaultKind::Timeout(Phase::Read),
            ),
            (
                "save: too large, as it says",
                |peer| {
                    peer.request();
                    peer.send(head(100_001));
                    peer.is_left();
                },
                FaultKind::TooLarge,
            ),
            (
                "save: too large, and it does not say so",
                |peer| {
                    peer.request();
                    peer.send("HTTP/1.1 200 OK\r\ncontent-disposition: attachment\r\n\r\n");
                    peer.send(vec![0; 100_001]);
                },
                FaultKind::TooLarge,
            ),
            (
                "save: another page",
                |peer| {
                    peer.request();
                    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npage");
                },
                FaultKind::Protocol,
            ),
        ];
        for (case, script, kind) in cases {
            let limits = if kind == FaultKind::Timeout(Phase::Read) { patient().read(SHORT) } else { patient() };
            let outcome = self.save(script, limits);
            let left = self.entries();
            let is_right = matches!(&outcome, Err(fault) if fault.kind == kind) && left == 0;
            self.check(case, is_right, || format!("{outcome:?}, and {left} files"));
        }
        let outcome = self.save(
            |peer| {
                peer.request();
                peer.send("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone");
            },
            patient(),
        );
        let is_right = matches!(&outcome, Ok(Outcome::Response(answer)) if answer.status() == 404 && answer.body() == "gone")
            && self.entries() == 0;
        self.check("save: a refusal is an answer", is_right, || format!("{outcome:?}"));
    }

    fn entries(&self) -> usize {
        fs::read_dir(&self.directory).map_or(0, Iterator::count)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, content).expect("the temporary directory has room");
        path
    }

    fn uploads(&mut self) {
        let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        let paths = [self.file("one", CONTENT), self.file("two", &large)];
        let upload = upload(&paths);
        let whole = [&upload.before(0), CONTENT, &upload.before(1), &large, &upload.after()].concat();
        for (case, status) in [("upload: two files", 200), ("upload: refused after the last byte", 413)] {
            let peer = ScriptedPeer::start(move |peer| {
                peer.request();
                peer.send(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok"));
            });
            let answer = self.driver.upload(request(&peer.url(), Method::POST), patient(), upload.clone());
            let arrived = peer.requests();
            let is_right = matches!(&answer, Ok(answer) if answer.status() == status && answer.body() == "ok")
                && arrived.len() == 1
                && arrived[0].body == whole
                && arrived[0].header("content-length") == Some(&whole.len().to_string())
                && arrived[0].header("transfer-encoding").is_none();
            self.check(case, is_right, || format!("{answer:?}, {} requests", arrived.len()));
        }
    }

    fn uploads_nothing_else(&mut self) {
        let (good, empty) = (self.file("good", CONTENT), self.file("empty", b""));
        let large = self.file("large", b"x");
        let sized = File::options().write(true).open(&large).and_then(|file| file.set_len(100 * 1024 * 1024 + 1));
        sized.expect("the file system has sparse files");
        for (case, bad) in [
            ("upload: an empty file", empty),
            ("upload: a missing file", self.directory.join("missing")),
            ("upload: a directory", self.directory.clone()),
            ("upload: a file that is too large", large),
        ] {
            let peer = ScriptedPeer::start(|peer| drop(peer.request()));
            let answer =
                self.driver.upload(request(&peer.url(), Method::POST), patient(), upload(&[good.clone(), bad]));
            let is_right = matches!(&answer, Err(Fault { sent: Sent::No, kind: FaultKind::File, source: Some(_), .. }))
                && peer.opened() == 0;
            self.check(case, is_right, || format!("{answer:?}, {} connections", peer.opened()));
        }
        let peer = ScriptedPeer::start(|peer| drop(peer.request()));
        let answer =
            self.driver.upload(request(&peer.url(), Method::POST), patient(), upload(std::slice::from_ref(&good)));
        let is_right = matches!(&answer, Err(Fault { sent: Sent::Maybe, kind: FaultKind::Interrupted, .. }));
        self.check("upload: no answer", is_right, || format!("{answer:?}"));
        let peer = ScriptedPeer::start(|peer| {
            peer.request();
            peer.is_left();
        });
        let limits = patient().head(SHORT);
        let answer =
            self.driver.upload(request(&peer.url(), Method::POST), limits, upload(std::slice::from_ref(&good)));
        let is_right = matches!(&answer, Err(Fault { sent: Sent::Maybe, kind: FaultKind::Timeout(Phase::Head), .. }));
        self.check("upload: no answer within the limit", is_right, || format!("{answer:?}"));
        let closed = ClosedPort::new();
        let answer = self.driver.upload(request(&closed.url(), Method::POST), patient(), upload(&[good]));
        let is_right = matches!(&answer, Err(Fault { sent: Sent::No, kind: FaultKind::Connect, .. }));
        self.check("upload: nobody there", is_right, || format!("{answer:?}"));
    }
}

fn half(peer: &mut Connection) {
    peer.request();
    peer.send(head(1000));
    peer.send(CONTENT);
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-disposition: attachment; filename=\"x\"\r\ncontent-length: {length}\r\n\r\n")
}

fn patient() -> Limits {
    Limits::of(PATIENCE, 64 * 1024)
}

fn upload(paths: &[PathBuf]) -> Upload {
    let part = |path: &PathBuf| FilePart {
        path: path.clone(),
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        mime_type: Some("text/plain".to_owned()),
    };
    Upload::new(paths.iter().map(part).collect(), "a-boundary-of-the-suite-0123456789".to_owned())
}

fn request(url: &str, method: Method) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = format!("{url}/files").parse().expect("the peer's URL is one");
    request
}
