//! Which fields the bodies of a contract have.

use std::collections::BTreeSet;

use serde_json::Value;

/// Deepest field that is looked for; schemas may be recursive.
const DEEPEST: usize = 8;
/// Most fields that are remembered.
const MOST: usize = 20_000;

/// The fields of requests and those of answers, as JSON pointers with `*` for elements; what may have members of any name
/// ends in `/*`.
pub(crate) fn fields(document: &Value) -> (Vec<String>, Vec<String>) {
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let paths = document.get("paths").and_then(Value::as_object);
    for operation in paths.into_iter().flat_map(|paths| paths.values()).filter_map(Value::as_object) {
        for operation in operation.values().filter(|operation| operation.get("responses").is_some()) {
            bodies(document, operation.get("requestBody"), &mut asked);
            let parameters = operation.get("parameters").and_then(Value::as_array);
            parameters.into_iter().flatten().for_each(|one| bodies(document, Some(one), &mut asked));
            let responses = operation.get("responses").and_then(Value::as_object);
            responses
                .into_iter()
                .flat_map(|all| all.values())
                .for_each(|one| bodies(document, Some(one), &mut answered));
        }
    }
    (asked.into_iter().collect(), answered.into_iter().collect())
}

/// The fields of a body: of OpenAPI 3, by media type, or of 2.
fn bodies(document: &Value, body: Option<&Value>, fields: &mut BTreeSet<String>) {
    let Some(body) = body.map(|body| resolved(document, body)) else { return };
    let media = body.get("content").and_then(Value::as_object);
    let schemas = media.into_iter().flat_map(|media| media.values()).filter_map(|media| media.get("schema"));
    let is_of_2 =
        media.is_none() && body.get("in").and_then(Value::as_str).is_none_or(|place| place == "body");
    for schema in schemas.chain(body.get("schema").filter(|_| is_of_2)) {
        below(document, schema, &mut String::new(), 0, fields);
    }
}

fn below(document: &Value, schema: &Value, way: &mut String, depth: usize, fields: &mut BTreeSet<String>) {
    if depth > DEEPEST || fields.len() > MOST {
        return;
    }
    let schema = resolved(document, schema);
    for choice in ["allOf", "anyOf", "oneOf"] {
        for one in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
            below(document, one, way, depth + 1, fields);
        }
    }
    let mut step = |name: &str, schema: &Value| {
        let length = way.len();
        way.push('/');
        way.push_str(&name.replace('~', "~0").replace('/', "~1"));
        fields.insert(way.clone());
        below(document, schema, way, depth + 1, fields);
        way.truncate(length);
    };
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        step(name, schema);
    }
    for more in ["items", "additionalProperties"] {
        match schema.get(more) {
            None | Some(Value::Bool(false)) => {}
            Some(schema) => step("*", schema),
        }
    }
}

/// What a reference stands for.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let reference =
        value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn fields_are_those_of_every_body() {
        let document = json!({
            "paths": {"/a": {"post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/A"}}}}}},
            }}},
            "components": {"schemas": {"A": {"properties": {"n": {}, "more": {"additionalProperties": true}}}}},
        });
        let (asked, answered) = super::fields(&document);
        assert_eq!(asked, ["/more", "/more/*", "/n"]);
        assert_eq!(answered, ["/*", "/*/more", "/*/more/*", "/*/n"]);
    }
}
