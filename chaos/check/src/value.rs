//! A value of a history, whichever notation it was written in.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What JSON and EDN have in common. A keyword is text without its colon; a set is a list.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    /// Any other number, as it was written.
    Number(String),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// A field of a map, by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Value::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// The same, taken out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let Value::Map(pairs) = self else { return None };
        let pair = pairs.iter_mut().find(|(key, _)| key.text() == Some(name))?;
        Some(std::mem::replace(&mut pair.1, Value::Nil))
    }

    /// Text, without the colon that a keyword keeps when EDN was turned into JSON.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text.strip_prefix(':').unwrap_or(text)),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// A number, also where it had to become the text of a JSON key.
    pub fn int_key(&self) -> Option<i64> {
        self.int().or_else(|| self.text()?.parse().ok())
    }

    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_nil(&self) -> bool {
        *self == Value::Nil
    }

    pub fn json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Nil => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(n) => (*n).into(),
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Value::json).collect()),
            Value::Map(pairs) => {
                let name = |key: &Value| match key {
                    Value::Text(text) => text.clone(),
                    other => other.to_string(),
                };
                Json::Object(pairs.iter().map(|(key, value)| (name(key), value.json())).collect())
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.json())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Nil)
            }

            fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
                Ok(Value::Bool(b))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
                Ok(Value::Int(n))
            }

            fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
                Ok(i64::try_from(n).map_or_else(|_| Value::Number(n.to_string()), Value::Int))
            }

            fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
                Ok(Value::Number(n.to_string()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    pairs.push((Value::Text(key), value));
                }
                Ok(Value::Map(pairs))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
