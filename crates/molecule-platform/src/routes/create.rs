//! `POST /workspaces` (contract section 16.1; April 10.1).

use http::StatusCode;
use molecule_proto::{CreateRefusal, CreatedWorkspace, Dialect, WorkspaceId, WorkspaceStatus};
use serde_json::json;

use crate::json::{Fields, Malformed};
use crate::owner::{CreateRefused, Plan};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::routes::register::known_mode;
use crate::tokens::TokenKind;

/// The runtimes whose agents run outside the platform.
pub(super) const EXTERNAL_LIKE: [&str; 3] = ["external", "kimi", "kimi-cli"];
/// The runtimes that the current server starts in containers.
const MANAGED: [&str; 5] = ["claude-code", "codex", "hermes", "langgraph", "openclaw"];

impl From<Malformed> for CreateError {
    fn from(_: Malformed) -> Self {
        Self::Refused(Refusal::bad_request("invalid workspace payload"))
    }
}

/// A refusal, or an answer in another format.
enum CreateError {
    Refused(Refusal),
    Answered(Box<Response>),
}

impl From<Refusal> for CreateError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Platform {
    pub(crate) fn post_workspace(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let created = match self.config.dialect {
            Dialect::April => plan_april(body).and_then(|plan| self.created_april(call, plan)),
            Dialect::Current => plan_current(body).and_then(|plan| self.created_current(call, plan)),
        };
        match created {
            Ok(response) => Ok(response),
            Err(CreateError::Refused(refusal)) => Err(refusal),
            Err(CreateError::Answered(response)) => Ok(*response),
        }
    }

    fn created_april(&mut self, call: &Call<'_>, (plan, external): (Plan, bool)) -> Result<Response, CreateError> {
        let has_url = !plan.url.is_empty();
        let failed = |_| Refusal::internal("failed to create workspace");
        let id = self.create(call.now, plan).map_err(failed)?;
        if !external {
            let body = json!({"id": id, "status": WorkspaceStatus::Provisioning,
                              "awareness_namespace": format!("workspace:{id}"), "workspace_access": "none"});
            return Ok(reply::json(StatusCode::CREATED, &body));
        }
        Ok(self.created_external(call, id, has_url))
    }

    fn created_current(&mut self, call: &Call<'_>, plan: Plan) -> Result<Response, CreateError> {
        let (has_url, managed, parent) = (!plan.url.is_empty(), plan.managed, plan.parent.clone());
        let id = self.create(call.now, plan).map_err(|refused| match refused {
            CreateRefused::UnsafeUrl(reason) => {
                CreateError::Refused(Refusal::bad_request(format!("unsafe workspace URL: {reason}")))
            }
            CreateRefused::NoParent => no_parent(parent.as_ref().map_or("", WorkspaceId::as_str)),
        })?;
        if managed {
            let body = json!({"id": id, "status": WorkspaceStatus::Provisioning});
            return Ok(reply::json(StatusCode::CREATED, &body));
        }
        Ok(self.created_external(call, id, has_url))
    }

    /// The answer for an external workspace. A workspace with a URL counts as online and gets no token here: its first
    /// register mints it.
    fn created_external(&mut self, call: &Call<'_>, id: WorkspaceId, has_url: bool) -> Response {
        let answer = if has_url {
            CreatedWorkspace::external(id, WorkspaceStatus::Online, None)
        } else {
            let token = self.tokens.mint(&mut self.random, call.now.unix, &id, TokenKind::Instance);
            let connection = self.connection(call, &id, Some(token));
            CreatedWorkspace::external(id, WorkspaceStatus::AwaitingAgent, Some(connection))
        };
        reply::json(StatusCode::CREATED, &answer)
    }
}

/// Reads the body by April's rules: it accepts any runtime, and `external` alone does not set the runtime in the row.
fn plan_april(body: &[u8]) -> Result<(Plan, bool), CreateError> {
    let fields = Fields::read(body)?;
    let runtime = fields.text("runtime")?;
    let external = fields.truth("external")? || runtime == "external";
    let mut plan = common(&fields)?;
    if plan.name.len() > 255 || plan.name.contains(|c: char| "\r\n{}[]|>*&!".contains(c)) {
        return Err(Refusal::bad_request("invalid workspace fields").into());
    }
    if let Some(parent) = fields.optional_text("parent_id")? {
        let unknown = Refusal::internal("failed to create workspace");
        plan.parent = Some(parent.parse().map_err(|_| CreateError::Refused(unknown))?);
    }
    plan.managed = !external;
    if plan.managed {
        plan.url.clear();
    }
    plan.runtime = match runtime.as_str() {
        _ if external && !plan.url.is_empty() => "external".to_owned(),
        "" => "langgraph".to_owned(),
        _ => runtime,
    };
    Ok((plan, external))
}

fn plan_current(body: &[u8]) -> Result<Plan, CreateError> {
    let fields = Fields::read(body)?;
    let mut plan = common(&fields)?;
    let (external, runtime) = (fields.truth("external")?, fields.text("runtime")?);
    plan.delivery_mode = known_mode(&fields.text("delivery_mode")?)?;
    plan.runtime = match (runtime.as_str(), external) {
        ("", true) => "external".to_owned(),
        ("", false) => "hermes".to_owned(),
        (known, _) if EXTERNAL_LIKE.contains(&known) => runtime,
        (_, true) => {
            let error = "external workspaces must use runtime \"external\", \"kimi\", or \"kimi-cli\"";
            return Err(unsupported(error, &runtime));
        }
        (known, false) if MANAGED.contains(&known) => runtime,
        (_, false) => return Err(unsupported("unsupported workspace runtime", &runtime)),
    };
    plan.managed = !EXTERNAL_LIKE.contains(&plan.runtime.as_str());
    if let Some(parent) = fields.optional_text("parent_id")?.filter(|parent| !parent.is_empty()) {
        plan.parent = Some(parent.parse().map_err(|_| no_parent(&parent))?);
    }
    Ok(plan)
}

fn common(fields: &Fields) -> Result<Plan, CreateError> {
    let name = fields.text("name")?;
    if name.is_empty() {
        return Err(Malformed.into());
    }
    let role = fields.optional_text("role")?.filter(|role| !role.is_empty());
    Ok(Plan { name, role, url: fields.text("url")?, tier: fields.optional_integer("tier")?, ..Plan::default() })
}

fn unsupported(error: &str, runtime: &str) -> CreateError {
    unprocessable(&CreateRefusal::runtime(error, runtime))
}

fn no_parent(parent: &str) -> CreateError {
    unprocessable(&CreateRefusal::parent(parent))
}

fn unprocessable(refusal: &CreateRefusal) -> CreateError {
    CreateError::Answered(Box::new(reply::json(StatusCode::UNPROCESSABLE_ENTITY, refusal)))
}
