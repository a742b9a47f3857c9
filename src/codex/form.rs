//! Whether what somebody filled in is as the form of an MCP server says.

use serde_json::Value;

/// What of this is not as its form says, if something is not.
pub(super) fn unfit(form: &Value, content: &Value) -> Option<String> {
    let Some(fields) = content.as_object() else { return Some("is no object".to_owned()) };
    let mut required = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.find(|name| !fields.contains_key(*name)) {
        return Some(format!("has no {missing:?}"));
    }
    let mut unfit = fields.iter().filter(|(name, value)| !fits(&form["properties"][name], value));
    unfit.next().map(|(name, _)| format!("has a {name:?} that is none"))
}

/// Whether a value is of its field's type, and one of its choices where there are some.
fn fits(field: &Value, value: &Value) -> bool {
    let is_of_type = match field["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("array") => value.is_array(),
        _ => true,
    };
    let choices = field["enum"].as_array();
    let titled = field["oneOf"].as_array();
    let is_choice = choices.is_none_or(|choices| choices.contains(value))
        && titled.is_none_or(|titled| titled.iter().any(|choice| choice["const"] == *value));
    is_of_type && is_choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_of_a_form_is_of_its_type_and_one_of_its_choices() {
        for (field, good, bad) in [
            (json!({"type": "integer"}), json!(7), json!(7.5)),
            (json!({"type": "number"}), json!(7.5), json!("7")),
            (json!({"type": "boolean"}), json!(true), json!("yes")),
            (json!({"type": "string", "enum": ["a", "b"]}), json!("a"), json!("c")),
            (json!({"type": "string", "oneOf": [{"const": "a", "title": "A"}]}), json!("a"), json!("A")),
        ] {
            assert!(fits(&field, &good) && !fits(&field, &bad), "{field}");
        }
        assert!(fits(&json!({}), &json!({"any": 1})), "what we do not know is taken");
    }
}
