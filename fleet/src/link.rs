//! A connection to an aggregator: where it is, whether it is encrypted, and who asks.

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::FleetError;
use crate::watch::trace::{TRACEPARENT, traceparent};

/// How to reach an aggregator.
#[derive(Clone, Default)]
pub struct Address {
    /// `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. Without a scheme it is http on this host and https beyond.
    pub url: String,
    /// The token to show.
    pub token: Option<String>,
    /// The authority that the aggregator's certificate is checked with, in PEM; without it, the web's.
    pub authority: Option<Vec<u8>>,
    /// Whether an unencrypted connection to another host is wanted.
    pub insecure: bool,
}

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// A channel that shows the token.
pub(crate) type Link = InterceptedService<Channel, Bearer>;

/// Shows a token and, where there is one, the trace that a request belongs to.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        let metadata = request.metadata_mut();
        if !metadata.contains_key(TRACEPARENT)
            && let Some(trace) = traceparent(&tracing::Span::current())
            && let Ok(trace) = trace.parse()
        {
            metadata.insert(TRACEPARENT, trace);
        }
        Ok(request)
    }
}

impl Address {
    /// The address alone, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.url
    }

    /// A channel to it. Nothing is sent yet: connections are made, and made again, as requests need them.
    ///
    /// # Errors
    /// [`FleetError::Malformed`] for what is no address or token; [`FleetError::Settings`] where tokens would travel in the
    /// clear; and for a certificate that is none.
    pub(crate) fn link(&self) -> Result<Link, FleetError> {
        let (scheme, rest) = match self.url.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest),
            Some((scheme, _)) => {
                return Err(self.malformed(format!("{scheme}:// is neither http:// nor https://")));
            }
            None => (None, self.url.as_str()),
        };
        let host = rest.rsplit_once(':').map_or("", |(host, _)| host);
        let port = rest
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if host.is_empty() || port.is_none() {
            return Err(self.malformed("write HOST:PORT".to_owned()));
        }
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        let encrypted = match scheme {
            Some(scheme) => scheme == "https",
            None => self.authority.is_some() || !(local || self.insecure),
        };
        if !(encrypted || local || self.insecure) {
            return Err(FleetError::Settings {
                why: format!(
                    "{} is another host and http is not encrypted: use https://, or --insecure where the network is trusted",
                    self.url
                ),
            });
        }
        let url = format!("{}://{rest}", if encrypted { "https" } else { "http" });
        let mut endpoint = Endpoint::from_shared(url)
            .map_err(|error| self.malformed(error.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        if encrypted {
            let unusable = |error: String| FleetError::Settings {
                why: format!("the authority's certificate cannot be used: {error}"),
            };
            let config = match &self.authority {
                // Of a file without any, an authority that nobody has would be made.
                Some(pem) if CertificateDer::from_pem_slice(pem).is_err() => {
                    return Err(unusable("there is none in PEM".to_owned()));
                }
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_webpki_roots(),
            };
            endpoint = endpoint
                .tls_config(config)
                .map_err(|error| unusable(error.to_string()))?;
        }
        let token = self.token.as_ref().map(|token| {
            let value = MetadataValue::try_from(format!("Bearer {token}"));
            value.map_err(|_| FleetError::Malformed {
                what: "token",
                why: "it has characters that no header takes".to_owned(),
            })
        });
        let bearer = Bearer(token.transpose()?);
        Ok(InterceptedService::new(endpoint.connect_lazy(), bearer))
    }

    fn malformed(&self, why: String) -> FleetError {
        FleetError::Malformed {
            what: "address",
            why: format!("{:?}: {why}", self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str, insecure: bool) -> Result<Link, FleetError> {
        Address {
            url: url.to_owned(),
            insecure,
            ..Address::default()
        }
        .link()
    }

    #[tokio::test]
    async fn addresses_without_encryption_stay_on_this_host() {
        for url in [
            "127.0.0.1:1",
            "localhost:80",
            "[::1]:7000",
            "http://127.0.0.1:1",
        ] {
            assert!(link(url, false).is_ok(), "{url}");
        }
        assert!(link("http://10.0.0.1:1", false).is_err());
        assert!(link("http://10.0.0.1:1", true).is_ok());
        for url in [
            "",
            "host",
            "host:",
            ":1",
            "host:99999",
            "ftp://host:1",
            "http://:1",
        ] {
            assert!(link(url, true).is_err(), "{url}");
        }
    }
}
