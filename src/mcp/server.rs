//! The MCP server: what the client calls, and where it goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CustomRequest, CustomResult, ErrorCode, ErrorData,
    GetTaskParams, GetTaskResult, Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, Peer, RequestContext};
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::OnceCell;

use super::asking::{self, Asking};
use super::audit::Call;
use super::events::Tellings;
use super::tasks::{self, Tasks};
use super::tools;
use super::{catalog, codes};
use crate::config::Settings;
use crate::journal::Journal;
pub(super) use crate::plain::shown;
use crate::queue::Queues;
use crate::session::Roster;
use crate::tools::Office;

/// How long the client may take to tell its roots.
const ROOTS: Duration = Duration::from_secs(2);

/// The server; clones share it.
#[derive(Debug, Clone)]
pub struct Server {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) roster: Arc<Roster>,
    pub(super) queues: Queues,
    pub(super) office: Office,
    pub(super) journal: Journal,
    pub(super) settings: Settings,
    pub(super) asking: Asking,
    pub(super) tellings: Tellings,
    pub(super) tasks: Tasks,
    pub(super) started: Instant,
    own_directory: PathBuf,
    client_root: OnceCell<Option<PathBuf>>,
    pub(super) tools: Vec<Tool>,
}

impl Server {
    /// A server of these agents, with their queues and their mail.
    pub fn new(
        roster: Arc<Roster>,
        queues: Queues,
        office: Office,
        journal: Journal,
        settings: Settings,
        own_directory: PathBuf,
    ) -> Server {
        let tools = catalog::tools();
        let started = Instant::now();
        let client_root = OnceCell::new();
        Server {
            shared: Arc::new(Shared {
                roster,
                queues,
                office,
                journal,
                settings,
                asking: Asking::default(),
                tellings: Tellings::default(),
                tasks: Tasks::default(),
                started,
                own_directory,
                client_root,
                tools,
            }),
        }
    }
}

impl Server {
    /// Asks the client's user what agents ask, and tells the client what happens, for ever.
    pub async fn attend(self) {
        tokio::join!(asking::attend(&self.shared), self.shared.tellings.attend());
    }
}

impl Shared {
    /// Where a relative directory begins: at the client's first root, if it has one, else at our own directory.
    pub(super) async fn base(&self, peer: &Peer<RoleServer>) -> &Path {
        let root = self.client_root.get_or_init(|| async {
            let has_roots = peer.peer_info().is_some_and(|info| info.capabilities.roots.is_some());
            if !has_roots {
                return None;
            }
            first_root(peer).await
        });
        root.await.as_deref().unwrap_or(&self.own_directory)
    }
}

#[expect(
    deprecated,
    reason = "clients of the revisions before 2026-07-28 have roots, and no other way to say where they work"
)]
async fn first_root(peer: &Peer<RoleServer>) -> Option<PathBuf> {
    let roots = tokio::time::timeout(ROOTS, peer.list_roots()).await.ok()?.ok()?;
    roots.roots.iter().find_map(|root| directory(&root.uri))
}

/// The directory of a `file://` URI, if it is there.
fn directory(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("file://")?;
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // `file:///C:/x` is the directory `C:/x`.
    let text = if cfg!(windows) { text.trim_start_matches('/').to_owned() } else { text };
    let path = PathBuf::from(text);
    (path.is_absolute() && path.is_dir()).then_some(path)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tasks().build());
        info.server_info = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        info.server_info.title = Some("atm-agent-mcp".to_owned());
        info.instructions = Some(catalog::INSTRUCTIONS.to_owned());
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult { tools: self.shared.tools.clone(), ..ListToolsResult::default() })
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name;
        let call = Call::of(&name, request.arguments.as_ref());
        let result = match request.request_state {
            Some(state) => tools::go_on(&self.shared, &state, request.input_responses, &context).await,
            None => tools::call(&self.shared, &name, request.arguments, &context).await,
        };
        let result = result.unwrap_or_else(|error| error.into_result().into());
        call.ended(&self.shared, &result);
        Ok(result)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        tasks::get(&self.shared, &request.task_id).await
    }

    async fn update_task(&self, request: UpdateTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        tasks::update(&self.shared, &request.task_id, request.input_responses).await
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        tasks::cancel(&self.shared, &request.task_id).await
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.shared.asking.opened(&context.peer);
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // rmcp reads a known method with parameters of the wrong form as one that it does not know.
        let message = match request.method.as_str() {
            "tools/call" => {
                let name = request.params.as_ref().and_then(|params| params["name"].as_str());
                let why = "params must be an object with name (a string) and arguments (an object)";
                Call::of(name.unwrap_or("tools/call"), None).refused(&self.shared, &format!("tools/call: {why}"));
                why
            }
            "tasks/get" | "tasks/cancel" => "params must be an object with taskId (a string)",
            "tasks/update" => "params must be an object with taskId (a string) and inputResponses (an object)",
            "initialize" | "server/discover" | "tools/list" | "ping" => {
                "params are not of the form that MCP gives them"
            }
            method => {
                let message = format!(
                    "unknown method \"{}\"; this server has tools/list, tools/call, tasks/get, tasks/update and tasks/cancel",
                    shown(method)
                );
                return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
            }
        };
        let message = format!("{}: {message}", request.method);
        Err(ErrorData::invalid_params(message, Some(codes::data("INVALID_SESSION_PARAMS"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_directory_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let spaced = dir.path().join("a b");
        std::fs::create_dir(&spaced).unwrap();
        let path = spaced.display().to_string().replace('\\', "/").replace(' ', "%20");
        let uri = if cfg!(windows) { format!("file:///{path}") } else { format!("file://{path}") };
        assert_eq!(directory(&uri), Some(spaced));
        assert_eq!(directory("file:///nowhere/at/all"), None);
        assert_eq!(directory("https://example.com/"), None);
        assert_eq!(directory("file:///%zz"), None);
    }
}
