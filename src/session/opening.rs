//! Opening an agent's thread: started at its first time, resumed at every other.

use std::sync::Arc;

use super::context;
use super::kept::Kept;
use crate::codex::wire::ThreadOptions;
use crate::codex::{Client, Codex, CodexError, Subscription};
use crate::ids::ThreadId;

/// What Codex says of a thread of which nothing was kept (0.144.6 to 0.169.0).
const NOTHING_KEPT: &str = "no rollout found";

/// The setting by which a steer ends the answer that is being written.
const INSTANT_INTERRUPT: &str = "features.instant_interrupt";

/// An open thread.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) thread: ThreadId,
    pub(super) events: Subscription,
    pub(super) model: Option<String>,
    /// What the model has been told of its place.
    pub(super) context: String,
    /// What the next result should say of it.
    pub(super) note: Option<String>,
}

/// Opens the thread of `record`, and writes the record down before anything is said in the thread.
pub(super) async fn open(codex: Arc<Codex>, mut kept: Kept) -> Result<Opened, Arc<str>> {
    let client = codex.connect().await.map_err(|error| Arc::from(error.to_string()))?;
    let place = kept.place();
    let record = &mut kept.record;
    let own = record.options.developer_instructions.take();
    let mut options = ThreadOptions {
        developer_instructions: Some(context::instructions(own.as_deref(), &place)),
        ..record.options.clone()
    };
    steers_wait(&mut options);
    record.options.developer_instructions = own;
    let mut opened = match &record.thread_id {
        Some(thread) => match resume(&client, thread, &options, record.context.clone()).await {
            Err(CodexError::Refused { message, .. }) if message.contains(NOTHING_KEPT) && record.turns == 0 => {
                let mut opened = start(&client, &options, place).await.map_err(told)?;
                opened.note = Some("Codex had kept nothing of its earlier thread; it has a new one.".into());
                opened
            }
            resumed => resumed.map_err(told)?,
        },
        None => start(&client, &options, place).await.map_err(told)?,
    };
    record.thread_id = Some(opened.thread.clone());
    record.context = Some(opened.context.clone());
    record.model.clone_from(&opened.model);
    record.socket.clone_from(&client.info().socket);
    if let Err(error) = kept.save().await {
        tracing::warn!("{error}");
        opened.note = Some(format!("{error} The agent works, but cannot be resumed after a restart."));
    }
    Ok(opened)
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

async fn start(client: &Client, options: &ThreadOptions, place: String) -> Result<Opened, CodexError> {
    let opened = client.thread_start(options).await?;
    let thread = opened.thread.id;
    let events = client.subscribe(&thread);
    Ok(Opened { client: client.clone(), thread, events, model: opened.model, context: place, note: None })
}

/// A resumed thread keeps the developer message that it has (0.169.0): what it was told is what it was told then.
async fn resume(
    client: &Client,
    thread: &ThreadId,
    options: &ThreadOptions,
    told: Option<String>,
) -> Result<Opened, CodexError> {
    let events = client.subscribe(thread);
    let opened = client.thread_resume(thread, options).await?;
    let context = told.unwrap_or_default();
    Ok(Opened { client: client.clone(), thread: thread.clone(), events, model: opened.model, context, note: None })
}

fn told(error: CodexError) -> Arc<str> {
    match error {
        CodexError::Refused { message, .. } if message.contains(NOTHING_KEPT) => Arc::from(format!(
            "{message}. Codex has nothing of this agent's thread here; was it started with another CODEX_HOME? The agent \
             is kept as it is."
        )),
        CodexError::Refused { message, .. } if message.contains("already has an active writer") => Arc::from(format!(
            "{message}. Another Codex or another atm-agent-mcp has this thread open; close it there, or start a new \
             agent."
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
