//! The agents' tools as an MCP server of their own, for a thread that cannot have them otherwise.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::Value;

use super::error::ToolError;
use super::tools::structured;
use crate::session::{Caller, Toolbox};
use crate::tools::AgentTools;

/// The tools of one agent.
#[derive(Debug, Clone)]
pub struct AgentServer {
    tools: Arc<AgentTools>,
    caller: Caller,
}

impl AgentServer {
    /// Whoever is served speaks as this agent.
    pub fn new(tools: AgentTools, caller: Caller) -> AgentServer {
        AgentServer { tools: Arc::new(tools), caller }
    }
}

impl ServerHandler for AgentServer {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        info.instructions = self.tools.introduction().map(str::to_owned);
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let object = |schema: &Value| Arc::new(schema.as_object().cloned().unwrap_or_else(JsonObject::new));
        let tools = self.tools.tools().tools.iter();
        let tools =
            tools.map(|tool| Tool::new(tool.name.clone(), tool.description.clone(), object(&tool.input_schema)));
        Ok(ListToolsResult { tools: tools.collect(), ..ListToolsResult::default() })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let result = match self.tools.run_beside(self.caller.clone(), &request.name, arguments).await {
            Ok(answer) => structured(answer.text, answer.value),
            Err(refusal) => ToolError::new(refusal.code, refusal.message).into_result(),
        };
        Ok(result.into())
    }
}
