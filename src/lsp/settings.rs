//! The settings that an editor gives.

use serde_json::Value;

/// The section of an editor's settings that is Syncline's.
pub const SECTION: &str = "syncline";

/// Syncline's section of what a client sends with `workspace/didChangeConfiguration`: some send all settings, some only
/// the section, some nothing.
pub fn section_of(settings: Value) -> Option<Value> {
    match settings {
        Value::Object(mut fields) => Some(fields.remove(SECTION).unwrap_or(Value::Object(fields))),
        _ => None,
    }
}

/// `log.level` of a section.
pub fn log_level(section: &Value) -> Option<&str> {
    section.get("log")?.get("level")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_section_is_found_in_what_clients_send() {
        let section = json!({"log": {"level": "debug"}});
        assert_eq!(section_of(json!({"syncline": section, "other": 1})), Some(section.clone()));
        assert_eq!(section_of(section.clone()), Some(section.clone()));
        assert_eq!(section_of(Value::Null), None);
        assert_eq!(log_level(&section), Some("debug"));
        assert_eq!(log_level(&json!({"log": 3})), None);
    }
}
