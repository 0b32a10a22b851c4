//! A schedule as a request body: the whole document, or a merge patch of its spec.

use super::{JOB_TYPES, PATCH_TYPES, UNREADABLE, check_type, json, loaded, read};
use crate::gateway::openapi::{Input, Operation, schema_of};
use crate::gateway::problem::{BadField, Kind, Problem};
use crate::job::schedule;
use axum::extract::{FromRequest, Request};
use schemars::json_schema;
use scrapering_crds::ScrapeScheduleFile;
use serde_json::Value;

/// A checked schedule.
pub(in crate::gateway) struct ScheduleBody(pub(in crate::gateway) ScrapeScheduleFile);

impl<S: Send + Sync> FromRequest<S> for ScheduleBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let loaded = loaded::<ScrapeScheduleFile, _>(request, state, schedule::load, Kind::InvalidSchedule).await?;
        Ok(Self(loaded.file))
    }
}

impl Input for ScheduleBody {
    fn describe(operation: &mut Operation) {
        operation.read("The schedule.", &JOB_TYPES, schema_of::<ScrapeScheduleFile>);
        operation.may_fail(&UNREADABLE);
        operation.may_fail(&[Kind::InvalidSchedule]);
    }
}

/// A merge patch of a schedule's spec (RFC 7396); whether the rest makes sense is judged with the whole schedule.
pub(in crate::gateway) struct SchedulePatch(pub(in crate::gateway) Value);

impl<S: Send + Sync> FromRequest<S> for SchedulePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers(), &PATCH_TYPES)?;
        let bytes = read(request, state).await?;
        Self::of(json(&bytes)?).map_err(|errors| Problem::of_fields(Kind::InvalidPatch, errors))
    }
}

impl SchedulePatch {
    fn of(patch: Value) -> Result<Self, Vec<BadField>> {
        let Value::Object(mut fields) = patch else {
            return Err(vec![BadField::at_path(".", "must be an object, such as {\"spec\":{\"suspend\":true}}")]);
        };
        let spec = fields.remove("spec").unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let mut errors: Vec<BadField> = fields
            .keys()
            .map(|name| BadField::below(&[name], "cannot be changed; only what stands in spec can"))
            .collect();
        if !spec.is_object() {
            errors.push(BadField::at_path("spec", "must be an object"));
        }
        if errors.is_empty() { Ok(Self(spec)) } else { Err(errors) }
    }
}

impl Input for SchedulePatch {
    fn describe(operation: &mut Operation) {
        operation.read("What changes.", &PATCH_TYPES, |_| {
            json_schema!({
                "type": "object",
                "properties": {"spec": {
                    "type": "object",
                    "description": "Any field of the schedule's spec; null removes one.",
                    "examples": [{"suspend": true}, {"schedule": "0 4 * * *", "timeZone": null}],
                }},
                "additionalProperties": false,
            })
        });
        operation.may_fail(&UNREADABLE);
        operation.may_fail(&[Kind::InvalidPatch]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_the_spec_and_nothing_else() {
        let good = SchedulePatch::of(json!({"spec": {"suspend": true}})).map(|patch| patch.0);
        assert_eq!(good.expect("good"), json!({"suspend": true}));
        for (patch, pointer) in
            [(json!(7), ""), (json!({"spec": 7}), "/spec"), (json!({"metadata": {"name": "x"}}), "/metadata")]
        {
            let errors = SchedulePatch::of(patch).map(|_| ()).expect_err("bad");
            assert_eq!(errors[0].pointer, pointer);
        }
    }
}
