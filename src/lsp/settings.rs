//! The settings that an editor gives.

use serde_json::{Map, Value};

use crate::core::settings::means_a_setting;

/// The section of an editor's settings that is Syncline's.
pub const SECTION: &str = "syncline";

/// Syncline's section of what a client sends with `workspace/didChangeConfiguration`: some send all settings, some only
/// the section, some nothing. What is other servers' is left out; `None` when nothing is left.
pub fn section_of(settings: Value) -> Option<Value> {
    let Value::Object(mut fields) = settings else { return None };
    match fields.contains_key(SECTION) {
        true => fields.retain(|name, _| is_in_section(name)),
        false => fields.retain(|name, _| is_in_section(name) || means_a_setting(name)),
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// What a client gives as Syncline's section, unless nothing in it is: some give all settings, some those of another.
pub fn own(section: Value) -> Option<Value> {
    let is_own = |fields: &Map<String, Value>| fields.keys().any(|name| is_in_section(name) || means_a_setting(name));
    match &section {
        Value::Object(fields) if fields.contains_key(SECTION) => section_of(section),
        Value::Object(fields) if is_own(fields) => Some(section),
        _ => None,
    }
}

fn is_in_section(name: &str) -> bool {
    name.strip_prefix(SECTION).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `log.level` of a section.
pub fn log_level(section: &Value) -> Option<&str> {
    section.get(SECTION).unwrap_or(section).get("log")?.get("level")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_section_is_found_in_what_clients_send() {
        let section = json!({"log": {"level": "debug"}});
        assert_eq!(section_of(json!({"syncline": section, "other": 1})), Some(json!({"syncline": section})));
        assert_eq!(section_of(section.clone()), Some(section.clone()));
        assert_eq!(own(section.clone()), Some(section.clone()));
        assert_eq!(section_of(json!({"syncline.log.level": "x", "Lua": 1})), Some(json!({"syncline.log.level": "x"})));
        assert_eq!(log_level(&section), Some("debug"));
        assert_eq!(log_level(&json!({"syncline": section})), Some("debug"));
        assert_eq!(log_level(&json!({"log": 3})), None);
    }

    #[test]
    fn what_is_nobody_s_or_another_s_is_no_section() {
        let others =
            json!({"rust-analyzer": {"check": 1}, "Lua": {}, "gopls": {}, "vim": {}, "yaml": {}, "clangd": {}});
        for nobody_s in [json!({}), json!(null), json!([]), json!("x"), others.clone()] {
            assert_eq!(section_of(nobody_s.clone()), None, "{nobody_s}");
            assert_eq!(own(nobody_s.clone()), None, "{nobody_s}");
        }
        let mut all = others;
        all["index"] = json!({"exclud": []});
        assert_eq!(section_of(all.clone()), Some(json!({"index": {"exclud": []}})));
        all["syncline"] = json!({"indx": {}});
        assert_eq!(section_of(all.clone()), Some(json!({"syncline": {"indx": {}}})));
        assert_eq!(own(all), Some(json!({"syncline": {"indx": {}}})));
        // Mistyped, and told to be so.
        assert_eq!(section_of(json!({"indx": {}})), Some(json!({"indx": {}})));
        assert_eq!(own(json!({"indx": {}, "x": 1})), Some(json!({"indx": {}, "x": 1})));
    }
}
