//! A loop that receives and answers without an inbox, for comparison: it reads the feed, appends to a file and sends the
//! replies, by hyper and the file system alone.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use molecule_core::proto::{ActivityId, ActivityRow, Message, RpcRequest, SendParams, path};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinSet, spawn_blocking};

use crate::bare::BareHyper;
use crate::bare_inbox::page;
use crate::receiving::Workspace;
use crate::{Outcome, runtime};

/// The connections for replies: as many as an agent has replies on their way at once.
const CONNECTIONS: usize = 8;

/// The loop of one workspace.
#[derive(Debug, Clone)]
pub struct BareReplies {
    /// The platform's port.
    pub port: u16,
    /// The workspace that receives.
    pub workspace: Workspace,
    /// The file to which it appends. It is not there yet.
    pub file: PathBuf,
    /// The most messages of one append.
    pub gathered: usize,
    /// The bytes that are appended for a message.
    pub bytes: usize,
    /// Whether each append is on the disk before its replies are sent.
    pub sync: bool,
}

impl BareReplies {
    /// Has `count` messages sent, and answers them. Returns the number of messages a second, from the first append to the
    /// end of the last reply.
    ///
    /// # Errors
    /// The errors of the client and of the file, and those of `send`.
    pub fn rate(&self, count: u32, send: impl FnOnce() -> Outcome) -> Outcome<f64> {
        runtime()?.block_on(async {
            let mut feed = self.connect().await?;
            let newest = page(&mut feed, &self.workspace, &[("limit", "1")]).await?;
            let base = newest.first().ok_or("the feed has no row to begin at")?.id.clone();
            send()?;
            let mut tasks = JoinSet::new();
            let (sender, mut rows) = channel(self.gathered);
            tasks.spawn(read(feed, self.workspace.clone(), base, sender));
            let mut replies = Vec::new();
            for _ in 0..CONNECTIONS {
                let (sender, rows) = channel(self.gathered);
                tasks.spawn(answer(self.connect().await?, rows));
                replies.push(sender);
            }
            let file = Arc::new(File::options().create_new(true).append(true).open(&self.file)?);
            let (mut begun, mut received) = (None, 0);
            while received < count as usize {
                let mut group = Vec::with_capacity(self.gathered);
                if rows.recv_many(&mut group, self.gathered).await == 0 {
                    return Err(format!("the feed ended after {received} messages").into());
                }
                begun.get_or_insert_with(Instant::now);
                let (file, content, sync) = (file.clone(), vec![b'x'; self.bytes * group.len()], self.sync);
                spawn_blocking(move || append(&file, &content, sync)).await??;
                for row in group {
                    replies[received % CONNECTIONS].send(row).await?;
                    received += 1;
                }
            }
            drop((replies, rows));
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(f64::from(count) / begun.ok_or("there was no message")?.elapsed().as_secs_f64())
        })
    }

    async fn connect(&self) -> Outcome<BareHyper> {
        BareHyper::connect_as(self.port, self.workspace.id.clone(), &self.workspace.token).await
    }
}

/// Reads the rows behind the base page by page, until there are no more.
async fn read(mut feed: BareHyper, workspace: Workspace, base: ActivityId, rows: Sender<ActivityRow>) -> Outcome {
    let mut since = base;
    loop {
        let query = [("limit", "500"), ("since_id", since.as_str()), ("include", "peer_info")];
        let page = page(&mut feed, &workspace, &query).await?;
        let Some(last) = page.last().map(|last| last.id.clone()) else { return Ok(()) };
        for row in page {
            if rows.send(row).await.is_err() {
                return Ok(());
            }
        }
        since = last;
    }
}

/// Sends a reply to each message, through the proxy.
async fn answer(mut connection: BareHyper, mut rows: Receiver<ActivityRow>) -> Outcome {
    while let Some(row) = rows.recv().await {
        let peer = row.source_id.ok_or("the message has no sender")?;
        let reply = Message::text("got it").with_id(row.id.as_str());
        let reply = reply.with_metadata("molecule.in_reply_to", row.id.as_str()).with_metadata("molecule.hops", 1);
        let body = serde_json::to_vec(&RpcRequest::send(row.id.as_str(), SendParams::new(reply)))?;
        let answer = connection.post(&path::a2a(&peer), body).await?.collect().await?.to_bytes();
        serde_json::from_slice::<serde_json::Value>(&answer)?;
    }
    Ok(())
}

fn append(mut file: &File, content: &[u8], sync: bool) -> io::Result<()> {
    file.write_all(content)?;
    if sync { file.sync_data() } else { Ok(()) }
}
