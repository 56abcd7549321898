//! The services on a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use super::jobs::JobsService;
use super::work::WorkService;
use super::{Aggregator, Tokens};
use crate::FleetError;
use crate::protocol::MAX_MESSAGE;
use crate::protocol::wire::jobs_server::JobsServer;
use crate::protocol::wire::work_server::WorkServer;

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// Whether an aggregator may listen there: beyond this host, tokens are needed, and either TLS or the caller's word that
/// the network is trusted.
///
/// # Errors
/// [`FleetError::Settings`], saying what is missing.
pub fn check_exposure(
    address: SocketAddr,
    tls: bool,
    insecure: bool,
    tokens: &Tokens,
) -> Result<(), FleetError> {
    let wrong = |why: String| Err(FleetError::Settings { why });
    if tokens.are_set() && !tokens.are_apart() {
        return wrong("the submitters' and the provers' token must differ".to_owned());
    }
    if address.ip().is_loopback() {
        return Ok(());
    }
    if !tokens.are_set() {
        return wrong(format!(
            "{address} can be reached from other hosts: set a token for submitters and one for provers"
        ));
    }
    if !tls && !insecure {
        return wrong(format!(
            "{address} can be reached from other hosts, and tokens would travel in the clear: \
             give --tls-cert and --tls-key, or --insecure where the network is trusted"
        ));
    }
    Ok(())
}

impl Aggregator {
    /// Serves until [`Aggregator::stop`]; then no new request is taken, and those that run are finished.
    ///
    /// # Errors
    /// [`FleetError::Settings`] for a certificate that is none; [`FleetError::Internal`] where the socket fails.
    pub async fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        tls: Option<&Tls>,
    ) -> Result<(), FleetError> {
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .tcp_nodelay(true)
            .trace_fn(crate::watch::trace::of_request);
        if let Some(tls) = tls {
            let identity = Identity::from_pem(&tls.certificate, &tls.key);
            let config = ServerTlsConfig::new().identity(identity);
            server = server
                .tls_config(config)
                .map_err(|error| FleetError::Settings {
                    why: format!("certificate or key cannot be used: {error}"),
                })?;
        }
        let jobs = JobsServer::new(JobsService(Arc::clone(self)));
        let work = WorkServer::new(WorkService(Arc::clone(self)));
        let tokens = self.settings.tokens.clone();
        let jobs = InterceptedService::new(
            jobs.max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
            move |request| tokens.check_submit(request),
        );
        let tokens = self.settings.tokens.clone();
        let work = InterceptedService::new(
            work.max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
            move |request| tokens.check_work(request),
        );
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = server
            .add_service(jobs)
            .add_service(work)
            .serve_with_incoming_shutdown(incoming, self.stopped());
        let (served, (), ()) = tokio::join!(serving, self.sweep(), self.tell_need());
        served.map_err(|error| FleetError::Internal {
            why: format!("serving ended: {error}"),
        })
    }
}
