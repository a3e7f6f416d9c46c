//! The endpoints of plugins (contract section 15).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{AvailablePlugin, PluginName, WorkspaceId, path};

use super::{Endpoint, JsonEndpoint, Mismatch, Repeat, rows};
use crate::config::Timeouts;
use crate::effect::plugin::StageId;
use crate::effect::{Dest, Limits, Staged};
use crate::error::{Error, ErrorKind, Result};
use crate::printable::ShownUrl;
use crate::session::{Auth, Draft};
use crate::unpack::UnpackPolicy;

/// `GET /workspaces/:id/plugins/available`: the plugins that the platform holds for the workspace's runtime (contract
/// section 15). A listed plugin cannot always be installed. At most 4 MiB; entries that cannot be decoded are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvailablePlugins;

impl JsonEndpoint for AvailablePlugins {
    type Answer = Vec<AvailablePlugin>;
    const OPERATION: &'static str = "list available plugins";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list of objects with a name";
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::available_plugins(workspace).into()
    }

    fn read(answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        rows(answer).map(|list| list.rows)
    }
}

/// `GET /workspaces/:id/plugins/:name/download`: a plugin's archive, unpacked while it is received (contract section
/// 15). The server may take five minutes to pack it before its first byte.
#[derive(Clone)]
pub(crate) struct DownloadPlugin {
    pub(crate) name: PluginName,
    pub(crate) source: Option<String>,
    pub(crate) policy: UnpackPolicy,
    /// The time limit of one download, and of the call with its retries.
    pub(crate) limit: Duration,
}

impl fmt::Debug for DownloadPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_deref().map(ShownUrl);
        f.debug_struct("DownloadPlugin").field("name", &self.name).field("source", &source).finish_non_exhaustive()
    }
}

impl DownloadPlugin {
    const PACKING: Duration = Duration::from_secs(330);
}

impl Endpoint for DownloadPlugin {
    type Answer = (StageId, Staged);
    const OPERATION: &'static str = "install plugin";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a gzip'd tar archive";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let path = path::plugin_download(workspace, &self.name, self.source.as_deref());
        Ok(Draft::new(Method::GET, path, Auth::Bearer).any_type())
    }

    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        let total = self.limit.min(left);
        let head = timeouts.answer.max(Self::PACKING).min(total);
        Limits { head, total, ..timeouts.limits(total, Self::MAX_BODY) }
    }

    fn deadline(&self, _: &Timeouts) -> Duration {
        self.limit
    }

    fn dest(&self) -> Option<Dest> {
        Some(Dest::Unpack(self.name.clone(), self.policy.clone()))
    }

    fn staged(&self, id: StageId, staged: Staged) -> Result<Self::Answer, (StageId, Staged)> {
        Ok((id, staged))
    }

    /// The server answers a name that it cannot use, or a source that it cannot reach, like a gateway's failure.
    fn refine(&self, error: Error) -> Error {
        let is_fetch = error.server_message().is_some_and(|message| message.starts_with("failed to fetch plugin"));
        if error.status() != Some(StatusCode::BAD_GATEWAY) || !is_fetch {
            return error;
        }
        error
            .of_kind(ErrorKind::Refused, "the platform cannot fetch the plugin from its source")
            .retryable(false)
            .remedy("check its name (lower-case letters, digits, '.', '_' and '-') and its source, which the platform must reach")
    }

    /// An archive never comes as a whole answer, since a driver streams it to its destination.
    fn accepts(&self, _: &Response<Bytes>) -> bool {
        false
    }

    fn decode(&self, _: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        Err(Mismatch::default())
    }
}
