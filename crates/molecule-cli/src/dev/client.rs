//! Calls of the running `molecule dev`: JSON over HTTP, with the admin token.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use molecule_async::core::proto::{WorkspaceView, printable};
use molecule_async::extend::Bytes;
use molecule_dev::{Act, Acted, Chaos, Running};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::is_somebodys;
use crate::exit::{self, Failure};

/// The most bytes of an answer.
const MOST_ANSWER: usize = 16 << 20;

/// How long a call may take: the server is on this machine.
const LONGEST: Duration = Duration::from_secs(30);

/// The server that runs on a log.
pub(super) struct Client {
    /// Its host and port.
    authority: String,
    token: Zeroizing<String>,
}

impl Client {
    /// Finds the server that runs on this log.
    pub(super) fn find(log: &Path) -> Result<Self, Failure> {
        let running = Running::of(log).ok_or_else(|| {
            let log = log.display();
            let text = format!("no `molecule dev` runs on {log}: start one, or name its log with --file");
            Failure::new(exit::ERROR, text)
        })?;
        let authority = running.url.trim_start_matches("http://").to_owned();
        Ok(Self { authority, token: Zeroizing::new(running.admin_token) })
    }

    /// Has an act done.
    pub(super) async fn act(&self, act: &Act) -> Result<Acted, Failure> {
        self.call(Method::POST, "act", Some(act)).await
    }

    /// The faults that are provoked now.
    pub(super) async fn chaos(&self) -> Result<Chaos, Failure> {
        self.call(Method::GET, "chaos", None::<&()>).await
    }

    /// Sets the faults that are provoked from now on.
    pub(super) async fn set_chaos(&self, chaos: &Chaos) -> Result<(), Failure> {
        let _: Value = self.call(Method::POST, "chaos", Some(chaos)).await?;
        Ok(())
    }

    /// Moves the clock forward.
    pub(super) async fn forward(&self, by: Duration) -> Result<(), Failure> {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let _: Value = self.call(Method::POST, "forward", Some(&json!({ "ms": ms }))).await?;
        Ok(())
    }

    /// The workspaces that are somebody's, and not removed, by name.
    pub(super) async fn workspaces(&self) -> Result<Vec<WorkspaceView>, Failure> {
        let mut all: Vec<WorkspaceView> = self.call(Method::GET, "workspaces", None::<&()>).await?;
        all.retain(is_somebodys);
        all.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(all)
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        name: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(exit::ERROR, format!("`molecule dev` at {} does not answer: {why}", self.authority))
        };
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| failed(&error))?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("/dev/api/{name}"))
            .header("host", &self.authority)
            .header("authorization", format!("Bearer {}", self.token.as_str()))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error))?;
        let answered = async {
            let stream = TcpStream::connect(&self.authority).await.map_err(|error| failed(&error))?;
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
            // It ends with the sender.
            tokio::spawn(connection);
            let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MOST_ANSWER).collect().await.map_err(|error| failed(&error))?;
            Ok::<_, Failure>((status, body.to_bytes()))
        };
        let (status, body) = timeout(LONGEST, answered).await.map_err(|error| failed(&error))??;
        if !status.is_success() {
            let told = serde_json::from_slice::<Value>(&body).ok();
            let told = told.as_ref().and_then(|told| told["error"].as_str()).map(str::to_owned);
            let why = printable::line(&told.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned()));
            return Err(Failure::new(exit::ERROR, format!("`molecule dev` answered {status}: {why}")));
        }
        serde_json::from_slice(&body).map_err(|error| failed(&error))
    }
}
