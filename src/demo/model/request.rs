//! What Codex asked the model, read the way a script or an assertion wants it.

use serde_json::Value;

/// One request to the model: the whole history of a thread, and the tools it offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The body as it came.
    pub body: Value,
}

impl Request {
    /// The text of the last message of the user, or nothing: the prompt, for Codex puts what else it says as the user before it.
    pub fn last_user_text(&self) -> String {
        let last = self.messages("user").last();
        last.map(|item| texts_of(&item["content"]).join("\n")).unwrap_or_default()
    }

    /// The texts of all messages of `role`: "developer", "user" or "assistant".
    ///
    /// Codex's base instructions are the first text of the developer in 0.169.0, but stand in
    /// `body["instructions"]` in 0.144.6.
    pub fn texts(&self, role: &str) -> Vec<String> {
        self.messages(role).flat_map(|item| texts_of(&item["content"])).map(str::to_owned).collect()
    }

    /// What the tools gave back, in order.
    pub fn outputs(&self) -> Vec<String> {
        self.input().iter().filter(|item| is_output(item)).map(|item| texts_of(&item["output"]).join("\n")).collect()
    }

    /// Whether the last thing the model is told is a tool's output and not a message of the user.
    ///
    /// What the developer or the model itself said after it does not count.
    pub fn last_item_is_output(&self) -> bool {
        self.input().iter().rfind(|item| is_output(item) || is_message(item, "user")).is_some_and(is_output)
    }

    /// The tools on offer, in order; one in a namespace is `namespace.name`, and one without a name goes by its type, such as `web_search`.
    pub fn tool_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for tool in array(&self.body["tools"]) {
            let name = name_of(tool);
            match &tool["tools"] {
                Value::Array(members) => names.extend(members.iter().map(|m| format!("{name}.{}", name_of(m)))),
                _ => names.push(name.to_owned()),
            }
        }
        names
    }

    fn input(&self) -> &[Value] {
        array(&self.body["input"])
    }

    fn messages(&self, role: &str) -> impl Iterator<Item = &Value> {
        self.input().iter().filter(move |item| is_message(item, role))
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_message(item: &Value, role: &str) -> bool {
    item["type"] == "message" && item["role"] == role
}

fn is_output(item: &Value) -> bool {
    item["type"] == "function_call_output" || item["type"] == "custom_tool_call_output"
}

fn name_of(tool: &Value) -> &str {
    tool["name"].as_str().or(tool["type"].as_str()).unwrap_or_default()
}

/// The texts in a content, which is a string or a list of parts.
fn texts_of(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        parts => array(parts).iter().filter_map(|part| part["text"].as_str()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(role: &str, text: &str) -> Value {
        json!({ "type": "message", "role": role, "content": [{ "type": "input_text", "text": text }] })
    }

    fn request(input: &[Value]) -> Request {
        Request { body: json!({ "input": input }) }
    }

    #[test]
    fn the_prompt_is_the_last_message_of_the_user() {
        let request = request(&[
            message("developer", "rules"),
            message("user", "<environment_context>"),
            message("user", "SAY hi"),
            message("developer", "late rules"),
        ]);
        assert_eq!(request.last_user_text(), "SAY hi");
        assert_eq!(request.texts("user"), ["<environment_context>", "SAY hi"]);
        assert_eq!(request.texts("developer"), ["rules", "late rules"]);
        assert!(!request.last_item_is_output());
    }

    #[test]
    fn outputs_are_text_whether_they_come_as_a_string_or_as_parts() {
        let request = request(&[
            message("user", "RUN ls"),
            json!({ "type": "function_call", "call_id": "a", "name": "exec_command", "arguments": "{}" }),
            json!({ "type": "function_call_output", "call_id": "a", "output": "one" }),
            json!({ "type": "custom_tool_call_output", "output": [{ "type": "input_text", "text": "two" }] }),
            message("developer", "be quick"),
        ]);
        assert_eq!(request.outputs(), ["one", "two"]);
        assert!(request.last_item_is_output());
    }

    #[test]
    fn tools_have_a_name_a_type_or_a_namespace() {
        let tools = json!([
            { "type": "function", "name": "exec_command" },
            { "type": "web_search" },
            { "type": "namespace", "name": "atm", "tools": [{ "type": "function", "name": "send" }] },
        ]);
        let request = Request { body: json!({ "tools": tools }) };
        assert_eq!(request.tool_names(), ["exec_command", "web_search", "atm.send"]);
    }

    #[test]
    fn an_empty_request_says_nothing() {
        let request = Request { body: Value::Null };
        assert_eq!(request.last_user_text(), "");
        assert!(!request.last_item_is_output());
        assert!(request.outputs().is_empty() && request.tool_names().is_empty());
    }
}
