//! What a process serves over HTTP, beside its mounts or without any.

use super::log;
use super::serve::host;
use crate::config::EndpointSettings;
use crate::gateway::{Admin, CertificateFiles, Gateway, GatewaySettings, RateSettings};
use crate::model::Result;
use crate::store::{self, Announced, Store};
use crate::telemetry::Metrics;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Where a process is reached over HTTP.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Served {
    /// The S3 API.
    pub s3: Option<String>,
    /// Metrics, health and readiness.
    pub admin: Option<String>,
}

/// The endpoints of a process or a mount. Requests end with it.
pub(super) struct Endpoint {
    gateway: Option<Gateway>,
    admin: Option<Admin>,
    _announced: Vec<Announced>,
}

impl Endpoint {
    /// Serves what is asked for. `ending`: the process takes no new work.
    pub(super) fn start(
        store: &Arc<Store>,
        metrics: &Arc<Metrics>,
        settings: &EndpointSettings,
        ending: &Arc<AtomicBool>,
    ) -> Result<Self> {
        settings.check()?;
        let files = settings.certificate.clone().zip(settings.key.clone());
        let certificate = files.map(|(certificate, key)| CertificateFiles { certificate, key });
        let limits = super::open::door_limits(store.dir());
        let rates = RateSettings { per_key: limits.request_rate, per_stranger: limits.unsigned_rate };
        let connections_per_client = limits.connections_per_client;
        let of_address = |address| GatewaySettings { address, certificate, connections_per_client, rates };
        let gateway = settings.s3.map(of_address).map(|settings| Gateway::new(store, metrics, settings)).transpose()?;
        let admin = settings.admin.map(|address| Admin::new(store, metrics, address, ending)).transpose()?;
        let mut announced = Vec::new();
        if let Some(gateway) = &gateway {
            let url = gateway.url();
            tracing::info!(address = %gateway.address(), url, "serves S3");
            announced.push(store.show_endpoint(store::Endpoint { serves: "s3", url }));
        }
        if let Some(admin) = &admin {
            let url = admin.url();
            tracing::info!(url, "tells of itself");
            announced.push(store.show_endpoint(store::Endpoint { serves: "admin", url }));
        }
        Ok(Self { gateway, admin, _announced: announced })
    }

    /// Where it is reached.
    pub(super) fn served(&self) -> Served {
        Served { s3: self.gateway.as_ref().map(Gateway::url), admin: self.admin.as_ref().map(Admin::url) }
    }

    /// Lets requests that run end within `grace`, and cuts the others off. Who watches is answered until this is dropped.
    pub(super) fn end(&mut self, grace: Duration) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.end(grace);
        }
    }
}

/// Serves the store in `dir` over S3 until a signal comes; makes the store when its directory is absent or empty. `ready`
/// hears where it is reached. No thread may run yet.
///
/// # Errors
/// [`Kind::StoreBusy`](crate::model::Kind::StoreBusy) when another process owns the store,
/// [`Kind::AlreadyExists`](crate::model::Kind::AlreadyExists) when an address is in use, and what opening says.
pub fn serve_s3(dir: &Path, settings: &EndpointSettings, ready: impl FnOnce(&Served)) -> Result<()> {
    log::begin(None);
    let store = super::open::ensure(dir)?;
    host(
        &store,
        |node| node.serve_s3(settings),
        |started| {
            if let Ok(served) = started {
                ready(served);
            }
        },
    )
}
