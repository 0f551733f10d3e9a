//! What the alternatives of a composition are, before they are translated.

use serde_json::{Map, Value, json};

use super::document::{Document, is_annotation};

impl Document {
    /// Whether `schema` says by itself what other properties may be there.
    pub(super) fn opens(&self, schema: &Value) -> bool {
        self.behind(schema).is_some_and(|(_, schema)| schema.get("additionalProperties").is_some())
    }

    /// An object of which the document says nothing: free-form.
    pub(super) fn is_any_object(&self, schema: &Value) -> bool {
        let Some((_, Value::Object(object))) = self.behind(schema) else { return false };
        let is_typed = object.get("type").and_then(Value::as_str) == Some("object");
        let is_bare = object.iter().all(|(keyword, value)| {
            matches!(keyword.as_str(), "type" | "nullable" | "required" | "minProperties" | "maxProperties")
                || is_annotation(keyword)
                || keyword == "properties" && value.as_object().is_some_and(Map::is_empty)
        });
        is_typed && is_bare
    }

    /// Whether an object can meet `schema`, as far as types and values tell.
    pub(super) fn may_be_object(&self, schema: &Value, depth: usize) -> bool {
        let Some((_, Value::Object(object))) = self.behind(schema) else { return true };
        let is_object = |value: &Value| value.as_str() == Some("object");
        let by_type = match object.get("type") {
            None => true,
            Some(Value::Array(all)) => all.iter().any(is_object),
            Some(one) => is_object(one),
        };
        let by_value =
            object.get("enum").and_then(Value::as_array).is_none_or(|all| all.iter().any(Value::is_object))
                && object.get("const").is_none_or(Value::is_object);
        if !by_type || !by_value || depth > 16 {
            return by_type && by_value;
        }
        let list = |keyword: &str| object.get(keyword).and_then(Value::as_array);
        list("allOf").is_none_or(|all| all.iter().all(|one| self.may_be_object(one, depth + 1)))
            && ["anyOf", "oneOf"]
                .iter()
                .all(|k| list(k).is_none_or(|all| all.iter().any(|one| self.may_be_object(one, depth + 1))))
    }

    /// What a `discriminator` says of one alternative: its property is there and names it.
    pub(super) fn discriminated(&self, object: &Map<String, Value>, alternative: &Value) -> Option<Value> {
        let discriminator = object.get("discriminator")?;
        let property = discriminator.get("propertyName")?.as_str()?;
        let pointer = self.alias(alternative)?;
        let name = pointer.rsplit('/').next()?;
        let is_target = |target: &Value| {
            target.as_str() == Some(name) || self.resolve(target).is_ok_and(|(at, _)| at == pointer)
        };
        let mapping = discriminator.get("mapping").and_then(Value::as_object);
        let mapped = mapping.into_iter().flatten().filter(|(_, target)| is_target(target));
        let mut names: Vec<&str> = mapped.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() && self.pins(alternative, property, 0) {
            // The schema says itself which values are its own, and real documents do not always use its name.
            return Some(json!({ "required": [property] }));
        }
        if !names.contains(&name) {
            names.push(name);
        }
        Some(json!({ "properties": { property: { "enum": names } }, "required": [property] }))
    }

    /// Whether `schema` lists the values of `property`.
    fn pins(&self, schema: &Value, property: &str, depth: usize) -> bool {
        let Some((_, Value::Object(object))) = self.behind(schema) else { return false };
        let own = object.get("properties").and_then(|all| all.get(property));
        let own = own.and_then(|own| self.behind(own));
        if own.is_some_and(|(_, own)| own.get("enum").is_some() || own.get("const").is_some()) {
            return true;
        }
        let all = object.get("allOf").and_then(Value::as_array).into_iter().flatten();
        depth < 8 && all.into_iter().any(|one| self.pins(one, property, depth + 1))
    }
}
