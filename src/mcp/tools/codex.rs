//! `codex` and `codex-reply`: a turn of a new agent, or of one that is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::CallToolResponse;
use rmcp::service::RequestContext;
use serde_json::Value;

use super::turn::run;
use crate::config::AgentDefaults;
use crate::ids::{AgentId, AgentName};
use crate::mcp::args::{self, CodexArgs, ReplyArgs};
use crate::mcp::error::ToolError;
use crate::mcp::server::Shared;
use crate::plain::both_ends;
use crate::policy::{ApprovalPolicy, Sandbox};
use crate::session::{Found, Handle, NewAgent, Record, ThreadOptions, Who};

/// The largest prompt file, in bytes: four for each character of a prompt.
const FILE_MAX: u64 = 4 * args::PROMPT_MAX as u64;
/// How much of a path stands in an error, in characters.
const PATH_MAX: usize = 400;

pub(super) async fn codex(
    shared: &Arc<Shared>,
    mut args: CodexArgs,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    if args.profile.is_some() {
        return Err(ToolError::arguments(
            "argument profile: Codex has no profiles any more. Pass the profile's settings in config, or its model, \
             sandbox and approval-policy as arguments, or define a role in .atm.toml and pass role.",
        ));
    }
    // An agent that is continued has settings of its own: only what this call says changes them.
    let defaults = match (&args.agent_id, args.role.as_deref()) {
        (None, role) => shared.settings.for_role(role),
        (Some(_), Some(role)) => shared.settings.role_alone(role),
        (Some(_), None) => Ok(AgentDefaults::default()),
    };
    let defaults = defaults.map_err(|error| ToolError::arguments(format!("argument role: {error}")))?;
    let identity = args.identity.take().map(|name| AgentName::parse(&name)).transpose();
    let identity = identity.map_err(|error| ToolError::arguments(error.to_string()))?;
    let cwd = directory(shared, args.cwd.as_deref(), context).await?;
    let prompt = match (args.prompt.take(), args.agent_file.take()) {
        (Some(prompt), None) => prompt,
        (None, Some(file)) => read_prompt("argument agent_file", &cwd.join(&file))?,
        (Some(_), Some(_)) => return Err(ToolError::arguments("give prompt or agent_file, not both")),
        (None, None) => {
            return Err(ToolError::arguments(
                "argument prompt: it is missing; say what the agent is to do (or name a file in agent_file)",
            ));
        }
    };
    let prompt = args::prompt(prompt)?;
    let background = args.background;
    let mut notes: Vec<String> = Vec::new();
    let role = defaults.role.clone();
    let mut given = given_options(&mut args, defaults, &mut notes)?;
    let handle = match args.agent_id.as_deref() {
        Some(id) => {
            given.cwd = args.cwd.is_some().then(|| cwd.to_string_lossy().into_owned());
            continued(shared, id, NewAgent { identity, role, options: given }, &mut notes).await?
        }
        None => {
            if let Some(name) = &identity {
                notes.extend(namesake(shared, name));
                notes.extend(shared.office.member_called(name));
            }
            let given = with_general_settings(shared, given)?;
            let options = ThreadOptions { cwd: Some(cwd.to_string_lossy().into_owned()), ..given };
            shared.roster.start(NewAgent { identity, role, options })?
        }
    };
    run(shared, &handle, prompt, background, notes, context).await
}

pub(super) async fn reply(
    shared: &Arc<Shared>,
    args: ReplyArgs,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    let missing = || ToolError::arguments("argument prompt: it is missing; say what the agent is to do next");
    let prompt = args::prompt(args.prompt.ok_or_else(missing)?)?;
    let who = args::who(
        args.agent_id.as_deref(),
        args.identity.as_deref(),
        args.thread_id.as_deref(),
        args.conversation_id.as_deref(),
    )?;
    let handle = shared.roster.session(&args::somebody(who)?).await?;
    run(shared, &handle, prompt, args.background, Vec::new(), context).await
}

/// An agent of an earlier time, or a live one, by its id; what this call gives goes before what it had.
async fn continued(
    shared: &Shared,
    id: &str,
    NewAgent { identity, role, options: given }: NewAgent,
    notes: &mut Vec<String>,
) -> Result<Handle, ToolError> {
    let agent = AgentId::parse(id).map_err(|_| args::unknown("agent_id", id))?;
    if let Found::Live(handle) = shared.roster.find(&Who::Agent(agent.clone()))? {
        if given != ThreadOptions::default() || identity.is_some_and(|name| name != *handle.identity()) {
            notes.push("The agent is live: its name, model, sandbox and other settings stay as they are.".into());
        }
        return Ok(handle);
    }
    let change = |record: &mut Record| {
        if let Some(identity) = identity {
            record.identity = identity;
            record.named = true;
        }
        record.role = role.or(record.role.take());
        let kept = std::mem::take(&mut record.options);
        record.options = ThreadOptions {
            cwd: given.cwd.or(kept.cwd),
            model: given.model.or(kept.model),
            sandbox: given.sandbox.or(kept.sandbox),
            approval_policy: given.approval_policy.or(kept.approval_policy),
            base_instructions: given.base_instructions.or(kept.base_instructions),
            developer_instructions: given.developer_instructions.or(kept.developer_instructions),
            config: kept.config.into_iter().chain(given.config).collect(),
        };
    };
    Ok(shared.roster.resume(&agent, change).await?)
}

/// A hint at an agent of an earlier time that had the same name.
fn namesake(shared: &Shared, name: &AgentName) -> Option<String> {
    match shared.roster.find(&Who::Name(name.clone())) {
        Ok(Found::Kept(record)) => Some(format!(
            "An earlier agent was called {name} too; it can be continued with codex {{\"agent_id\": \"{}\"}}.",
            record.agent_id
        )),
        _ => None,
    }
}

/// What this call and its role give the thread; what nobody set is left to Codex.
fn given_options(
    args: &mut CodexArgs,
    defaults: AgentDefaults,
    notes: &mut Vec<String>,
) -> Result<ThreadOptions, ToolError> {
    let named = |argument: &str, error: String| ToolError::arguments(format!("argument {argument}: {error}"));
    let sandbox = args.sandbox.as_deref().map(Sandbox::parse).transpose();
    let sandbox = sandbox.map_err(|error| named("sandbox", error.to_string()))?.or(defaults.sandbox);
    let retired = args.approval_policy.as_deref() == Some(ApprovalPolicy::RETIRED);
    let approval_policy = args.approval_policy.as_deref().map(ApprovalPolicy::parse).transpose();
    let approval_policy = approval_policy.map_err(|error| named("approval-policy", error.to_string()))?;
    if retired {
        notes.push("approval-policy on-failure is not known to Codex any more; it was taken as on-request.".into());
    } else if approval_policy.is_none()
        && let Some(note) = defaults.note
    {
        notes.push(note.to_string());
    }
    let mut config = std::mem::take(&mut args.config);
    let effort = args.reasoning_effort.take().or(defaults.reasoning_effort);
    config.extend(effort.map(|effort| ("model_reasoning_effort".to_owned(), Value::from(effort))));
    config.extend(args.compact_prompt.take().map(|prompt| ("compact_prompt".to_owned(), Value::from(prompt))));
    Ok(ThreadOptions {
        cwd: None,
        model: args.model.take().or(defaults.model),
        sandbox,
        approval_policy: approval_policy.or(defaults.approval_policy),
        base_instructions: args.base_instructions.take(),
        developer_instructions: args.developer_instructions.take(),
        config,
    })
}

/// What the settings give every new agent, behind what its call gives.
fn with_general_settings(shared: &Shared, mut given: ThreadOptions) -> Result<ThreadOptions, ToolError> {
    let settings = &shared.settings;
    let file = |key: &str, path: &Option<PathBuf>| path.as_deref().map(|path| read_prompt(key, path)).transpose();
    if given.base_instructions.is_none() {
        given.base_instructions = file("setting base_prompt_file", &settings.base_prompt_file)?;
    }
    let extra = file("setting extra_instructions_file", &settings.extra_instructions_file)?;
    given.developer_instructions = match (given.developer_instructions, extra) {
        (Some(own), Some(extra)) => Some(format!("{own}\n\n{extra}")),
        (own, extra) => own.or(extra),
    };
    if settings.subagents {
        given.config.insert("features.multi_agent".to_owned(), Value::from(true));
    }
    Ok(given)
}

/// The working directory, which must be there.
async fn directory(
    shared: &Shared,
    cwd: Option<&str>,
    context: &RequestContext<RoleServer>,
) -> Result<PathBuf, ToolError> {
    let given = Path::new(cwd.unwrap_or("."));
    let path = if given.is_absolute() { given.to_owned() } else { shared.base(&context.peer).await.join(given) };
    let path = path.components().collect::<PathBuf>();
    if path.is_dir() {
        return Ok(path);
    }
    Err(ToolError::arguments(format!(
        "argument cwd: {} is not a directory that is there; name one, or leave cwd out",
        both_ends(&path.to_string_lossy(), PATH_MAX)
    ))
    .with("path", path.display().to_string()))
}

/// The text of a file that holds a prompt or instructions.
fn read_prompt(named_by: &str, path: &Path) -> Result<String, ToolError> {
    let failed = |why: String| {
        ToolError::new(
            "AGENT_FILE_NOT_FOUND",
            format!(
                "{named_by}: the file {} cannot be read: {why}; name another",
                both_ends(&path.to_string_lossy(), PATH_MAX)
            ),
        )
        .with("path", path.display().to_string())
    };
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !size.is_file() {
        return Err(failed("it is not a file".into()));
    }
    if size.len() > FILE_MAX {
        return Err(failed(format!("it has {} bytes, at most {FILE_MAX} are allowed", size.len())));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}
