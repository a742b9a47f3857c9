//! The model of the soak: it says something, at once or after a while, runs a command, fails, is cut off, or is silent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atm_agent_mcp::demo::model::{Gate, Reply, Request};
use fastrand::Rng;
use serde_json::json;

/// With it a prompt begins that is never answered.
pub(super) const SILENCE: &str = "SILENCE";
/// The longest time for which an answer is held, in milliseconds.
const HELD: u64 = 2_000;

/// Whether the model is calm: then it says something at once, but to a prompt for silence.
#[derive(Debug, Clone, Default)]
pub(super) struct Calm(Arc<AtomicBool>);

impl Calm {
    pub(super) fn begins(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The script.
pub(super) fn script(rng: Rng, calm: Calm) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let rng = Mutex::new(rng);
    move |request| {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner).fork();
        if request.last_user_text().starts_with(SILENCE) {
            return Reply::Silence;
        }
        if request.last_item_is_output() || calm.is_there() {
            return Reply::say("ok");
        }
        match rng.u8(..20) {
            0..7 => Reply::say("ok, at once"),
            7..12 => held(&mut rng, Reply::say("ok, after a while")),
            12..17 => {
                let cmd = format!("sleep 0.{}; touch made-{}", rng.u8(..9), rng.u16(..));
                Reply::call("exec_command", json!({"cmd": cmd, "login": false}))
            }
            17 => failure(),
            18 => held(&mut rng, failure()),
            // The connection is closed, and no panic is shown.
            _ => std::panic::resume_unwind(Box::new("cut off")),
        }
    }
}

fn failure() -> Reply {
    Reply::Fail { status: 500, message: "the soak wants it".to_owned() }
}

fn held(rng: &mut Rng, reply: Reply) -> Reply {
    let (gate, held) = (Gate::new(), Duration::from_millis(rng.u64(..HELD)));
    let opened = gate.clone();
    tokio::spawn(async move {
        tokio::time::sleep(held).await;
        opened.open();
    });
    reply.after(&gate)
}
