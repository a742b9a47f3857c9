//! Opening an agent's thread: started at its first time, resumed at every other.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::context;
use super::events::Configured;
use super::kept::Kept;
use super::record::Record;
use super::toolbox::{Caller, Toolbox};
use crate::codex::access::OwnConfig;
use crate::codex::wire::{Thread, ThreadOpened, ThreadOptions};
use crate::codex::{Client, Codex, CodexError, Subscription};
use crate::ids::ThreadId;

/// What Codex says of a thread of which nothing was kept (0.144.6 to 0.169.0).
const NOTHING_KEPT: &str = "no rollout found";

/// What Codex says when it is the tools that it does not take (0.144.6 and 0.169.0: "thread/start.dynamicTools requires
/// experimentalApi capability", "dynamic tool name must match …").
const NO_TOOLS: [&str; 2] = ["dynamicTools", "dynamic tool"];

/// The setting by which a steer ends the answer that is being written.
const INSTANT_INTERRUPT: &str = "features.instant_interrupt";

/// An open thread.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) thread: ThreadId,
    pub(super) events: Subscription,
    /// The file in which Codex keeps it, if it says so.
    pub(super) rollout: Option<PathBuf>,
    /// How it was opened, as Codex tells it.
    pub(super) configured: Box<Configured>,
    /// What the model has been told of its place.
    pub(super) context: String,
    /// Whether it was started with our tools.
    pub(super) has_tools: bool,
    /// Whether its commands run without a sandbox.
    pub(super) has_full_access: bool,
    /// What the next result should say of it.
    pub(super) note: Option<String>,
}

/// Opens the thread of an agent, and writes its record down before anything is said in the thread.
pub(super) async fn open(
    codex: Arc<Codex>,
    mut kept: Kept,
    toolbox: Option<Arc<dyn Toolbox>>,
) -> Result<(Box<Record>, Opened), Arc<str>> {
    let client = codex.connect().await.map_err(|error| Arc::from(error.to_string()))?;
    let cwd = kept.record.options.cwd.clone();
    let own = client.own_config(cwd.as_deref()).await.map_err(told)?;
    let manner = Manner { place: kept.place(), caller: kept.caller(), toolbox, own };
    let full_access = kept.full_access();
    let opened_at = Some(Timestamp::now());
    let record = &mut kept.record;
    let mut opened = match &record.thread_id {
        Some(thread) => match resume(&client, thread, record, &manner).await {
            Err(CodexError::Refused { message, .. }) if message.contains(NOTHING_KEPT) && record.turns == 0 => {
                let mut opened = start(&client, record, manner).await.map_err(told)?;
                opened.note = Some("Codex had kept nothing of its earlier thread; it has a new one.".into());
                opened
            }
            resumed => resumed.map_err(told)?,
        },
        None => start(&client, record, manner).await.map_err(told)?,
    };
    if opened.has_full_access
        && let Err(refused) = full_access.look(&client, record.options.cwd.as_deref()).await
    {
        client.release(opened.events).await;
        return Err(refused);
    }
    record.thread_id = Some(opened.thread.clone());
    record.context = Some(opened.context.clone());
    record.has_tools = opened.has_tools;
    record.model = opened.configured.model.clone().or(record.model.take());
    record.socket.clone_from(&client.info().socket);
    record.opened_at = opened_at;
    if std::mem::take(&mut record.closed) {
        record.reopened_at = opened_at;
    }
    let record = Box::new(record.clone());
    if let Err(error) = kept.save().await {
        tracing::warn!("{error}");
        opened.note = Some(format!("{error} The agent works, but cannot be resumed after a restart."));
    }
    Ok((record, opened))
}

/// A steer waits for the answer that is being written, unless somebody wants it otherwise: 0.169.0 drops that answer by
/// itself. Versions that do not know the setting always wait (0.144.6).
fn steers_wait(options: &mut ThreadOptions) {
    let said = options.config.contains_key(INSTANT_INTERRUPT)
        || options.config.get("features").is_some_and(|features| features.get("instant_interrupt").is_some());
    if !said {
        options.config.insert(INSTANT_INTERRUPT.to_owned(), false.into());
    }
}

/// What a thread is opened with beside what its agent's caller asked for.
struct Manner {
    place: String,
    caller: Caller,
    toolbox: Option<Arc<dyn Toolbox>>,
    own: OwnConfig,
}

impl Manner {
    /// For a thread that has our tools of itself.
    fn with_tools(&self, record: &Record, toolbox: &dyn Toolbox) -> ThreadOptions {
        self.options(record, toolbox.introduction())
    }

    /// For one that has not: a server has the same, if there is one.
    fn without_tools(&self, record: &Record) -> ThreadOptions {
        let toolbox = self.toolbox.as_deref();
        match toolbox.and_then(|toolbox| Some((toolbox, toolbox.server(&self.caller)?))) {
            Some((toolbox, server)) => self.with_tools(record, toolbox).with_server(&toolbox.tools().name, &server),
            None => self.options(record, None),
        }
    }

    fn options(&self, record: &Record, introduction: Option<&str>) -> ThreadOptions {
        let own = record.options.developer_instructions.as_deref();
        let instructions = context::instructions(own, &self.place, introduction);
        let mut options = ThreadOptions { developer_instructions: Some(instructions), ..record.options.clone() };
        steers_wait(&mut options);
        self.own.leave_to_people(record.cwd(), &mut options);
        options
    }
}

async fn start(client: &Client, record: &Record, manner: Manner) -> Result<Opened, CodexError> {
    let (opened, has_tools) = started(client, record, &manner).await?;
    let has_full_access = opened.has_full_access();
    let Thread { id: thread, path: rollout } = opened.thread.clone();
    let events = client.subscribe(&thread);
    let (client, context, configured) = (client.clone(), manner.place, configured(opened));
    Ok(Opened { client, thread, events, rollout, configured, context, has_tools, has_full_access, note: None })
}

/// A new thread, and whether it has our tools.
async fn started(client: &Client, record: &Record, manner: &Manner) -> Result<(ThreadOpened, bool), CodexError> {
    if let Some(toolbox) = manner.toolbox.as_deref() {
        match client.thread_start_with(&manner.with_tools(record, toolbox), toolbox.tools()).await {
            Err(CodexError::Refused { message, .. }) if NO_TOOLS.iter().any(|words| message.contains(words)) => {
                tracing::warn!("this Codex does not take the tools of an agent: {message}");
            }
            started => return Ok((started?, true)),
        }
    }
    Ok((client.thread_start(&manner.without_tools(record)).await?, false))
}

/// A resumed thread keeps the developer message that it has (0.169.0): what it was told is what it was told then.
async fn resume(client: &Client, thread: &ThreadId, record: &Record, manner: &Manner) -> Result<Opened, CodexError> {
    let options = match manner.toolbox.as_deref().filter(|_| record.has_tools) {
        Some(toolbox) => manner.with_tools(record, toolbox),
        None => manner.without_tools(record),
    };
    let events = client.subscribe(thread);
    let opened = client.thread_resume(thread, &options).await?;
    let has_full_access = opened.has_full_access();
    let (client, context, has_tools) = (client.clone(), record.context.clone().unwrap_or_default(), record.has_tools);
    let (thread, rollout, configured) = (thread.clone(), opened.thread.path.clone(), configured(opened));
    Ok(Opened { client, thread, events, rollout, configured, context, has_tools, has_full_access, note: None })
}

fn configured(opened: ThreadOpened) -> Box<Configured> {
    let ThreadOpened { model, model_provider, reasoning_effort, approval_policy, cwd, .. } = opened;
    Box::new(Configured { model, model_provider, reasoning_effort, approval_policy, cwd })
}

fn told(error: CodexError) -> Arc<str> {
    match error {
        CodexError::Refused { message, .. } if message.contains(NOTHING_KEPT) => Arc::from(format!(
            "{message}. Codex has nothing of this agent's thread here; was it started with another CODEX_HOME? The agent \
             is kept as it is."
        )),
        CodexError::Refused { message, .. } if message.contains("already has an active writer") => Arc::from(format!(
            "{message}. Another Codex has this thread open: a person's own, or that of another server, which keeps it for a \
             minute after the agent was closed there, or parked to make room (0.169.0). The agent is kept as it is: close it there, or \
             try again in a minute, or start a new agent."
        )),
        error => Arc::from(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_steer_waits_for_the_answer_unless_the_caller_wants_it_otherwise() {
        let opened_with = |config: Value| {
            let Value::Object(config) = config else { panic!("an object") };
            let mut options = ThreadOptions { config, ..ThreadOptions::default() };
            steers_wait(&mut options);
            Value::Object(options.config)
        };
        assert_eq!(opened_with(json!({})), json!({"features.instant_interrupt": false}));
        for own in [json!({"features.instant_interrupt": true}), json!({"features": {"instant_interrupt": true}})] {
            assert_eq!(opened_with(own.clone()), own);
        }
        let other = json!({"features": {"other": true}});
        assert_eq!(opened_with(other)["features.instant_interrupt"], false);
    }
}
