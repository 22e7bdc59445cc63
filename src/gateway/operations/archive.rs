//! Restoring archived objects (RST).

use super::super::bridge::Bridge;
use super::super::error::{invalid, not_built, told};
use super::{object_key, version_id};
use crate::model::RestoreTier;
use crate::store::{Granted, RestoreWish};
use s3s::dto::{RestoreObjectInput, RestoreObjectOutput, RestoreRequest};
use s3s::{S3Request, S3Response, S3Result};

fn wish(request: Option<RestoreRequest>) -> S3Result<RestoreWish> {
    let Some(request) = request else { return Ok(RestoreWish::default()) };
    if request.select_parameters.is_some() || request.output_location.is_some() || request.type_.is_some() {
        return Err(not_built("restores that select"));
    }
    let tier = request.glacier_job_parameters.map(|parameters| parameters.tier).or(request.tier);
    let tier = tier.map_or(Ok(RestoreTier::default()), |tier| {
        RestoreTier::named(tier.as_str()).ok_or_else(|| invalid(format!("there is no tier {:?}", tier.as_str())))
    })?;
    // What is negative is no number of days, as 0 is none.
    let days = request.days.map(|days| u32::try_from(days).unwrap_or(0));
    Ok(RestoreWish { days, tier })
}

/// RST-1: 202 for a restore that begins, 200 for a copy that is there and lives on.
pub(in super::super) async fn restore(
    bridge: &Bridge,
    request: S3Request<RestoreObjectInput>,
) -> S3Result<S3Response<RestoreObjectOutput>> {
    let input = request.input;
    let (key, version) = (object_key(&input.key)?, version_id(input.version_id.as_deref())?);
    let wish = wish(input.restore_request)?;
    let restored = move |store: &std::sync::Arc<crate::store::Store>| {
        let granted = store.restore_archived(&input.bucket, &key, version, wish)?;
        store.sync()?;
        Ok::<_, crate::model::Error>(granted)
    };
    let granted = bridge.change(move |store| restored(store).map_err(|error| told(&error))).await?;
    let mut response = S3Response::new(RestoreObjectOutput::default());
    if !matches!(granted, Granted::Renewed(_)) {
        response.extensions.insert(Accepted);
    }
    Ok(response)
}

/// The mark of an answer to what goes on, which is 202: the protocol's library knows only 200.
#[derive(Clone, Copy)]
pub(in super::super) struct Accepted;
