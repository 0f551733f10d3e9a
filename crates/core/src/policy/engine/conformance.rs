//! Cedar's own integration tests, kept outside this repository, through the index.

#![expect(clippy::disallowed_methods, reason = "a test reads its cases from files")]

use std::path::{Path, PathBuf};

use cedar_policy::{Context, Entities as CedarEntities, EntityUid, Request as CedarRequest, Schema};
use serde_json::Value;

use super::*;

/// `shared/data/cedar` beside the repository, if it is there.
fn suite() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|above| above.join("shared/data/cedar")).find(|path| path.is_dir())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn entity_of(entities: &Entities, uid: &EntityUID) -> Entity {
    entities
        .iter()
        .find(|entity| entity.uid() == uid)
        .cloned()
        .unwrap_or_else(|| Entity::with_uid(uid.clone()))
}

fn respond(set: &cedar_policy::PolicySet, request: &CedarRequest, entities: &CedarEntities) -> Response {
    let engine = Engine::new(set, &[], &Roles::default());
    let (request, entities): (&Request, &Entities) = (request.as_ref(), entities.as_ref());
    let [principal, action, resource] = [request.principal(), request.action(), request.resource()]
        .map(|entry| entity_of(entities, entry.uid().unwrap()));
    let core: &PolicySet = set.as_ref();
    let admitted = core.policies().enumerate().filter(|(_, policy)| {
        admits_action(policy.template().action_constraint(), &action)
            && admits_resource(policy.template().resource_constraint().as_inner(), &resource)
    });
    let buckets = Buckets::new(admitted, &engine.names);
    let principal = Prepared::new(principal, &engine.names);
    let mut tally = Tally::default();
    let conditional = engine.admitted(&buckets, &principal, &mut tally);
    let evaluator = Evaluator::new(request.clone(), entities, Extensions::all_available());
    engine.settle(&evaluator, &conditional, &mut tally);
    tally.response()
}

fn run(suite: &Path, file: &Path) -> usize {
    let read = |name: &Value| std::fs::read_to_string(suite.join(name.as_str().unwrap())).unwrap();
    let case: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (schema, _) =
        Schema::from_cedarschema_str(&read(&case["schema"])).map(|(s, w)| (s, w.count())).unwrap();
    let set: cedar_policy::PolicySet = read(&case["policies"]).parse().unwrap();
    let entities = CedarEntities::from_json_str(&read(&case["entities"]), Some(&schema)).unwrap();
    let requests = case["requests"].as_array().unwrap();
    for request in requests {
        let uid = |name: &str| EntityUid::from_json(request[name].clone()).unwrap();
        let action = uid("action");
        let context = Context::from_json_value(request["context"].clone(), Some((&schema, &action))).unwrap();
        let asked = CedarRequest::new(uid("principal"), action, uid("resource"), context, None).unwrap();
        let response = respond(&set, &asked, &entities);
        let ids: Vec<SmolStr> =
            set.as_ref().policies().map(|policy| policy.id().clone().into_smolstr()).collect();
        let names = |indexes: &[u32]| {
            let mut names: Vec<&str> =
                indexes.iter().map(|index| &*ids[usize::try_from(*index).unwrap()]).collect();
            names.sort_unstable();
            Value::from(names)
        };
        let expected = |name: &str| {
            let mut names: Vec<&str> =
                request[name].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
            names.sort_unstable();
            Value::from(names)
        };
        let at = format!("{}: {}", file.display(), request["description"]);
        assert_eq!(response.is_allowed, request["decision"] == "allow", "{at}");
        assert_eq!(names(&response.reasons), expected("reason"), "{at}");
        assert_eq!(names(&response.errors), expected("errors"), "{at}");
    }
    requests.len()
}

#[test]
fn cedars_own_integration_tests_pass_through_the_index() {
    let Some(suite) = suite() else {
        println!("SKIPPED: shared/data/cedar is not beside the repository");
        return;
    };
    let requests: usize = files(&suite.join("tests")).iter().map(|file| run(&suite, file)).sum();
    println!("{requests} requests of cedar's integration tests");
    assert!(requests > 50, "{requests}");
}
