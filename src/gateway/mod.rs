//! The door of S3's clients: HTTP comes in, calls of the engine are made, HTTP goes out.
//!
//! Owns the listening socket, a runtime of its own, and what every request gets: limits, a check of its signature, a
//! principal, ids, a line in the log. The package s3s speaks the protocol, but for forms of browsers, which `form` reads;
//! `guard` refuses what s3s would let pass, and `bridge` is where asynchronous code meets the engine, which blocks. May not
//! know: kernels, mounts, the command line. Locks: the table of connections in `connections`, a leaf.

mod admin;
mod answer;
mod auth;
mod body;
mod bridge;
mod collect;
mod connections;
mod cors;
mod error;
mod expires;
mod form;
mod guard;
mod listen;
mod metered;
mod operations;
mod pace;
mod piece;
mod rates;
mod rechunked;
mod resigned;
mod sent;
mod service;
mod tls;
mod turns;

pub use admin::Admin;
pub use listen::{Gateway, GatewaySettings};
pub use rates::RateSettings;
pub use tls::CertificateFiles;

use crate::access::Access;
use crate::model::Result;
use crate::store::Store;
use crate::sys::entropy::SystemEntropy;
use crate::telemetry::Metrics;
use answer::{Door, Served};
use auth::{Keys, Rights};
use bridge::Bridge;
use expires::Again;
use rates::Rates;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use service::Service;
use std::sync::Arc;

/// Largest body of XML, in bytes: 10,000 parts of an upload with their checksums, and 1,000 keys to delete with every
/// character written as a reference, fit.
const XML_BYTES_MAX: usize = 8 << 20;

impl Gateway {
    /// Serves the store until it is dropped.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`](crate::model::Kind::AlreadyExists) when the address is in use,
    /// [`Kind::InvalidArgument`](crate::model::Kind::InvalidArgument) for a certificate or key that cannot be used, otherwise
    /// what the system says.
    pub fn new(store: &Arc<Store>, metrics: &Arc<Metrics>, settings: GatewaySettings) -> Result<Self> {
        let access = Access::new(Arc::clone(store), Arc::new(SystemEntropy));
        let bridge = Bridge::new(Arc::clone(store), Arc::new(access));
        let mut config = S3Config::default();
        config.xml_max_body_size = XML_BYTES_MAX;
        // No form comes here.
        (config.post_object_max_file_size, config.form_max_fields_size, config.form_max_parts) = (0, 0, 0);
        let config = Arc::new(StaticConfigProvider::new(Arc::new(config)));
        let rates = Arc::new(Rates::new(settings.rates));
        let builder = || {
            let mut builder = S3ServiceBuilder::new(Service::new(bridge.clone()));
            builder.set_config(Arc::clone(&config) as _);
            // Both, always: without the first the second is not asked.
            builder.set_auth(Keys::new(bridge.clone()));
            builder.set_access(Rights::new(bridge.clone(), Arc::clone(&rates)));
            builder.set_host(auth::Hosts);
            builder
        };
        let mut outer = builder();
        outer.set_route(Again::new(builder().build()));
        let scheme = if settings.certificate.is_some() { "https" } else { "http" };
        let served = Served { service: outer.build(), bridge: bridge.clone(), rates, scheme };
        let door = Door::new(served, Arc::clone(metrics), Arc::new(SystemEntropy));
        Self::start(door, settings)
    }
}
