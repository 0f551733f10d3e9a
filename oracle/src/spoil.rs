//! One mistake in a value, at a place of chance.

use serde_json::{Map, Value, json};

use crate::sample::{Flat, Sampler};

/// A place in a value and what stands there.
struct Spot<'d> {
    pointer: String,
    flat: Flat<'d>,
}

/// A value with one mistake, and what kind of mistake.
pub fn spoilt<'d>(
    sampler: &mut Sampler<'d>,
    value: &Value,
    schema: &'d Value,
) -> Option<(&'static str, Value)> {
    let mut spots = Vec::new();
    walk(sampler, value, schema, String::new(), &mut spots);
    for _ in 0..6 {
        let at = sampler.dice.below(spots.len());
        let spot = spots.get(at)?;
        let mut spoilt = value.clone();
        let target = spoilt.pointer_mut(&spot.pointer)?;
        if let Some(kind) = mistake(sampler, target, &spot.flat)
            && spoilt != *value
        {
            return Some((kind, spoilt));
        }
    }
    None
}

fn walk<'d>(
    sampler: &mut Sampler<'d>,
    value: &Value,
    schema: &'d Value,
    pointer: String,
    spots: &mut Vec<Spot<'d>>,
) {
    if spots.len() > 200 {
        return;
    }
    let flat = sampler.flat(schema);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(schema) = flat.properties.get(name.as_str()) {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(sampler, member, schema, format!("{pointer}/{name}"), spots);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = flat.word("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(sampler, item, schema, format!("{pointer}/{index}"), spots);
                }
            }
        }
        _ => {}
    }
    spots.push(Spot { pointer, flat });
}

fn mistake(sampler: &mut Sampler<'_>, value: &mut Value, flat: &Flat<'_>) -> Option<&'static str> {
    if sampler.dice.chance(25) {
        return wrong_type(sampler, value);
    }
    if sampler.dice.chance(8) {
        *value = Value::Null;
        return Some("null");
    }
    if flat.word("enum").is_some() {
        *value = match value {
            Value::String(text) => json!(format!("{text}zz")),
            _ => json!(987_654),
        };
        return Some("not in enum");
    }
    match value {
        Value::Object(members) => object(sampler, members, flat),
        Value::Array(items) => array(items, flat),
        Value::String(text) => string(text, flat),
        Value::Number(_) => number(sampler, value, flat),
        Value::Bool(_) => {
            *value = json!("maybe");
            Some("wrong type")
        }
        Value::Null => None,
    }
}

fn wrong_type(sampler: &mut Sampler<'_>, value: &mut Value) -> Option<&'static str> {
    let others = [json!("text"), json!(12), json!(1.5), json!(true), json!(["a"]), json!({"a": 1})];
    let other = sampler.dice.pick(&others)?.clone();
    let is_same = std::mem::discriminant(&other) == std::mem::discriminant(value);
    *value = other;
    (!is_same).then_some("wrong type")
}

fn object(
    sampler: &mut Sampler<'_>,
    members: &mut Map<String, Value>,
    flat: &Flat<'_>,
) -> Option<&'static str> {
    let required: Vec<&str> =
        flat.required.iter().copied().filter(|name| members.contains_key(*name)).collect();
    let read_only: Vec<&str> = flat
        .properties
        .iter()
        .filter(|(_, schema)| sampler.document.follow(schema).get("readOnly") == Some(&Value::Bool(true)))
        .map(|(name, _)| *name)
        .collect();
    match sampler.dice.below(3) {
        0 if !required.is_empty() => {
            let name = *sampler.dice.pick(&required)?;
            members.remove(name);
            Some("field missing")
        }
        1 if !read_only.is_empty() => {
            let name = *sampler.dice.pick(&read_only)?;
            members.insert(name.to_owned(), json!("x"));
            Some("field of answers")
        }
        _ => {
            members.insert("zz_unknown".to_owned(), json!(1));
            Some("field unknown")
        }
    }
}

fn array(items: &mut Vec<Value>, flat: &Flat<'_>) -> Option<&'static str> {
    if let Some(most) = flat.word("maxItems").and_then(Value::as_u64).filter(|most| *most < 200) {
        let first = items.first().cloned().unwrap_or(json!("x"));
        while (items.len() as u64) <= most {
            items.push(first.clone());
        }
        return Some("too many items");
    }
    if flat.word("uniqueItems") == Some(&Value::Bool(true)) && !items.is_empty() {
        items.push(items[0].clone());
        return Some("an item twice");
    }
    if flat.word("minItems").and_then(Value::as_u64).is_some_and(|least| least > 0) {
        items.clear();
        return Some("too few items");
    }
    None
}

fn string(text: &mut String, flat: &Flat<'_>) -> Option<&'static str> {
    let count = |word: &str| flat.word(word).and_then(Value::as_u64);
    if let Some(most) = count("maxLength").filter(|most| *most < 6_000) {
        *text = "a".repeat(usize::try_from(most).ok()? + 1);
        return Some("too long");
    }
    if flat.word("pattern").is_some() {
        *text = " !".to_owned();
        return Some("not the pattern");
    }
    if count("minLength").is_some_and(|least| least > 0) {
        text.clear();
        return Some("too short");
    }
    if flat.word("format").is_some() {
        *text = "not-a-format".to_owned();
        return Some("not the format");
    }
    None
}

fn number(sampler: &mut Sampler<'_>, value: &mut Value, flat: &Flat<'_>) -> Option<&'static str> {
    let bound = |word: &str| flat.word(word).and_then(Value::as_f64).filter(|bound| bound.abs() < 1e12);
    let is_integer = flat.types().contains(&"integer");
    if let Some(most) = bound("maximum") {
        *value = json!(most as i64 + 1);
        return Some("too large");
    }
    if let Some(least) = bound("minimum") {
        *value = json!(least as i64 - 1);
        return Some("too small");
    }
    match is_integer {
        true if sampler.dice.chance(50) => {
            *value = json!(7.0);
            Some("a whole number with a point")
        }
        true => {
            *value = json!(7.5);
            Some("a part of a number")
        }
        false => None,
    }
}
