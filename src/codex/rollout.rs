//! The file in which Codex keeps a thread: what its model is given again after a resume, a line each.
//!
//! It is read where `thread/turns/list` does not say whether the model has a tool's result: 0.169.0 shows a call of ours as
//! complete before it keeps the result, and after a crash between the two the model is told "aborted"; 0.144.6 does not show
//! such calls at all. In the file of both the result stands as `response_item`, of type `function_call_output`, or
//! `custom_tool_call_output` around what was called from JavaScript.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type", default)]
    kind: String,
}

/// Which of these texts stand in results of tools that the thread's model has. They must look in JSON as they do outside of it.
pub fn found_in_results(rollout: &Path, mut texts: Vec<String>) -> io::Result<HashSet<String>> {
    let mut reader = BufReader::new(File::open(rollout)?);
    let mut found = HashSet::new();
    let mut line = Vec::new();
    while !texts.is_empty() && reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if texts.iter().any(|wanted| text.contains(wanted.as_str())) && is_result(&text) {
            found.extend(texts.extract_if(.., |wanted| text.contains(wanted.as_str())));
        }
        line.clear();
    }
    Ok(found)
}

fn is_result(line: &str) -> bool {
    let line = serde_json::from_str::<Line>(line);
    line.is_ok_and(|line| line.kind == "response_item" && line.payload.kind.ends_with("_output"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_what_stands_in_a_result_that_is_kept_whole_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rollout.jsonl");
        let line = |kind: &str, payload: Value| json!({"timestamp": "t", "type": kind, "payload": payload}).to_string();
        let lines = [
            line("response_item", json!({"type": "function_call_output", "call_id": "c", "output": "x</one>\n"})),
            line(
                "response_item",
                json!({"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "</two>"}]}),
            ),
            line("response_item", json!({"type": "message", "content": [{"text": "</said>"}]})),
            // 0.169.0 says so of a call before it keeps the result.
            line("event_msg", json!({"type": "item_completed", "item": {"contentItems": [{"text": "</early>"}]}})),
            line("response_item", json!({"type": "function_call_output", "output": "</torn>"})),
        ];
        let mut text = lines.join("\n");
        text.pop();
        std::fs::write(&path, text).unwrap();
        let all = ["</one>", "</two>", "</said>", "</early>", "</torn>"].map(str::to_owned);
        let found = found_in_results(&path, all.to_vec()).unwrap();
        assert_eq!(found, HashSet::from(["</one>", "</two>"].map(str::to_owned)));
        assert!(found_in_results(&dir.path().join("absent"), all.to_vec()).is_err());
    }
}
