//! Where a process is reached over HTTP: addresses, and what it proves itself by.

use crate::model::{Error, Kind, Result};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where and how the S3 API is served, and where the process tells of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndpointSettings {
    /// Where the S3 API is served.
    pub s3: Option<SocketAddr>,
    /// Its certificate, a file in PEM; with it TLS is spoken and nothing else.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, a file in PEM.
    pub key: Option<PathBuf>,
    /// Where metrics, health and readiness are told, on this machine only.
    pub admin: Option<SocketAddr>,
}

impl EndpointSettings {
    /// Checks that what belongs together is there.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`], saying what is missing.
    pub fn check(&self) -> Result<()> {
        let why = match (self.s3, &self.certificate, &self.key) {
            (_, Some(_), None) => "the certificate's key is missing",
            (_, None, Some(_)) => "the key's certificate is missing",
            (None, Some(_), _) => "the address that the certificate is for is missing",
            _ => return Ok(()),
        };
        Err(Error::new(Kind::InvalidArgument, "cannot serve S3 over TLS")
            .why(why)
            .mend("name the address, the certificate and the key together"))
    }
}

/// Reads the address of an endpoint: `IP:PORT`, or `localhost:PORT`. Port 0 is any that is free.
///
/// # Errors
/// [`Kind::InvalidArgument`] for anything else.
pub fn parse_address(text: &str) -> Result<SocketAddr> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse(),
        None => text.parse(),
    };
    let mend = "write it like 127.0.0.1:9000, [::1]:9000 or 0.0.0.0:9000 for every network";
    address.map_err(|_| Error::bad_value("address", text, "it is no IP address and port", mend))
}

/// Reads an address that only this machine reaches.
///
/// # Errors
/// [`Kind::InvalidArgument`] for anything else.
pub fn parse_local_address(text: &str) -> Result<SocketAddr> {
    let address = parse_address(text)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    let why = "others than this machine reach it, and who asks there is not asked for a name";
    Err(Error::bad_value("address", text, why, "write it like 127.0.0.1:9001 or [::1]:9001"))
}

#[cfg(test)]
mod tests {
    use super::{EndpointSettings, parse_address, parse_local_address};

    #[test]
    fn the_admin_address_is_this_machines() {
        for text in ["127.0.0.1:0", "localhost:9001", "[::1]:9001", "127.8.8.8:1"] {
            assert!(parse_local_address(text).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:9001", "192.168.0.1:9001", "[::]:9001", "9001"] {
            assert!(parse_local_address(text).is_err(), "{text}");
        }
        assert!(parse_address("0.0.0.0:9001").is_ok());
    }

    #[test]
    fn certificate_and_key_belong_together() {
        let said = |s3: bool, certificate: bool, key: bool| {
            let settings = EndpointSettings {
                s3: s3.then(|| ([127, 0, 0, 1], 0).into()),
                certificate: certificate.then(|| "cert.pem".into()),
                key: key.then(|| "key.pem".into()),
                admin: None,
            };
            settings.check().err().map(|error| error.reason().to_owned())
        };
        assert_eq!([said(true, false, false), said(true, true, true), said(false, false, false)], [None, None, None]);
        assert!(said(true, true, false).unwrap().contains("key is missing"));
        assert!(said(true, false, true).unwrap().contains("certificate is missing"));
        assert!(said(false, true, true).unwrap().contains("address"));
    }
}
