//! What was waived in writing: by whom, why, and until when.

use portcullis_core::policy::ActionSpec;
use portcullis_core::roles::unlimited;
use serde::{Deserialize, Serialize};

use super::{End, Frame, end, moment};
use crate::config::Place;
use crate::config::settings::{GraphWaiver, Settings, Waiver, over};

/// Something that is asked of everybody and of this not, because somebody wrote so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverReview {
    /// What is waived: `owner` of what a request names, or `limits` of a role.
    pub kind: WaiverKind,
    /// Of what, in a few words.
    pub of: String,
    /// Where it is written.
    pub place: String,
    /// Why.
    pub reason: String,
    /// Who answers for it, where that is written.
    pub by: Option<String>,
    /// When it ends.
    pub until: Option<String>,
    /// Whether it has ended, or will soon.
    pub end: Option<End>,
    /// Whether the older review did not have it.
    #[serde(default)]
    pub is_new: bool,
}

/// What is waived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaiverKind {
    /// That an object has an owner.
    Owner,
    /// That a role does not allow every operation.
    Limits,
}

/// Every waiver of a configuration, those of object bindings first.
pub(super) fn waivers(
    settings: &Settings,
    actions: &[ActionSpec],
    former: Option<&[WaiverReview]>,
    frame: Frame,
) -> Vec<WaiverReview> {
    let apis =
        settings.apis.iter().flat_map(|api| api.waivers.iter().map(|one| of_api(&api.name, one, frame)));
    let graphs = settings.graphs.iter();
    let graphs = graphs.flat_map(|graph| graph.waivers.iter().map(|one| of_graph(&graph.name, one, frame)));
    let roles = settings.roles.iter().flat_map(|roles| {
        unlimited(&roles.book, actions).into_iter().filter_map(move |one| {
            let (reason, by) = one.said?;
            Some(WaiverReview {
                kind: WaiverKind::Limits,
                of: format!("the role `{}` allows every operation", one.role.name),
                place: written(&roles.place(one.role.mark)),
                reason: reason.to_owned(),
                by: by.map(str::to_owned),
                until: one.until.map(moment),
                end: end(one.until, frame),
                is_new: false,
            })
        })
    });
    let mut all: Vec<WaiverReview> = apis.chain(graphs).chain(roles).collect();
    for one in &mut all {
        let is_known = |old: &WaiverReview| old.kind == one.kind && old.of == one.of;
        one.is_new = former.is_some_and(|former| !former.iter().any(is_known));
    }
    all
}

fn of_api(api: &str, waiver: &Waiver, frame: Frame) -> WaiverReview {
    let mut of = format!("`{}` of `{api}` needs no owner", waiver.parameter);
    if !waiver.stands_in.is_empty() {
        of += &format!(" in the {}", waiver.stands_in);
    }
    let until = waiver.until.map(over);
    WaiverReview {
        kind: WaiverKind::Owner,
        of: of + &only(&waiver.operations),
        place: written(&waiver.place),
        reason: waiver.reason.clone(),
        by: waiver.by.clone(),
        until: until.map(moment),
        end: end(until, frame),
        is_new: false,
    }
}

fn of_graph(graph: &str, waiver: &GraphWaiver, frame: Frame) -> WaiverReview {
    let fields: Vec<String> = waiver.fields.iter().map(|(field, _)| field.clone()).collect();
    let until = waiver.until.map(over);
    WaiverReview {
        kind: WaiverKind::Owner,
        of: format!("`{}` of `{graph}` needs no owner{}", waiver.argument.0, only(&fields)),
        place: written(&waiver.place),
        reason: waiver.reason.clone(),
        by: waiver.by.clone(),
        until: until.map(moment),
        end: end(until, frame),
        is_new: false,
    }
}

fn only(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(", ")) }
}

fn written(place: &Place) -> String {
    format!("{}:{}", place.file, place.at.line)
}
