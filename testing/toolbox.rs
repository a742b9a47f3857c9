//! A toolbox for tests: its tools say who called them, fail, or hang.

use atm_agent_mcp::session::{Caller, McpServer, Tool, ToolResult, Toolbox, Tools};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What every agent is told of them.
pub(crate) const INTRODUCTION: &str = "You have the tools echo, fail and hang of the namespace atm.";

/// The tools `echo`, `fail` and `hang`, or some of them.
#[derive(Debug)]
pub(crate) struct TestTools {
    tools: Tools,
    server: Option<McpServer>,
    hanging: watch::Sender<usize>,
}

impl TestTools {
    pub(crate) fn new(names: &[&str]) -> TestTools {
        let tool = |name: &&str| Tool {
            name: (*name).to_owned(),
            description: "For a test.".to_owned(),
            input_schema: json!({"type": "object", "properties": {"text": {"type": "string"}}}),
        };
        let tools = Tools {
            name: "atm".to_owned(),
            description: "For tests.".to_owned(),
            tools: names.iter().map(tool).collect(),
        };
        TestTools { tools, server: None, hanging: watch::Sender::new(0) }
    }

    /// All three of them.
    pub(crate) fn all() -> TestTools {
        TestTools::new(&["echo", "fail", "hang"])
    }

    /// The same, which a server has too.
    pub(crate) fn with_server(self, server: McpServer) -> TestTools {
        TestTools { server: Some(server), ..self }
    }

    /// Waits until so many calls hang.
    pub(crate) async fn hanging(&self, count: usize) {
        self.hanging.subscribe().wait_for(|hanging| *hanging == count).await.expect("it is there");
    }
}

impl Toolbox for TestTools {
    fn tools(&self) -> &Tools {
        &self.tools
    }

    fn introduction(&self) -> Option<&str> {
        Some(INTRODUCTION)
    }

    fn server(&self, caller: &Caller) -> Option<McpServer> {
        let mut server = self.server.clone()?;
        server.env.insert("AGENT".to_owned(), caller.name.to_string());
        Some(server)
    }

    fn call<'a>(&'a self, caller: Caller, tool: &'a str, arguments: Value) -> BoxFuture<'a, ToolResult> {
        async move {
            match tool {
                "echo" => Ok(format!("{} {} said {arguments}", caller.name, caller.agent).into()),
                "fail" => Err(format!("{} has failed", caller.name)),
                _ => {
                    let _hangs = Hangs::begin(&self.hanging);
                    std::future::pending().await
                }
            }
        }
        .boxed()
    }
}

/// One call that hangs, until it is dropped.
struct Hangs<'a>(&'a watch::Sender<usize>);

impl<'a> Hangs<'a> {
    fn begin(all: &'a watch::Sender<usize>) -> Hangs<'a> {
        all.send_modify(|hanging| *hanging += 1);
        Hangs(all)
    }
}

impl Drop for Hangs<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|hanging| *hanging -= 1);
    }
}
