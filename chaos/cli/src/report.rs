//! placeholder
pub fn page(data: &serde_json::Value) -> String {
    data.to_string()
}
