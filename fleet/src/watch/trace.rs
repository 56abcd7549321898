//! Traces: one a job, from its submission over every task at its prover to the verification of each proof.
//!
//! ```text
//!   submit ─┬─ plan
//!           ├─ task (prover) ─┬─ fetch
//!           │                 ├─ prove
//!           │                 └─ deliver ── Work/Deliver (aggregator) ── verify
//!           └─ task …
//! ```
//!
//! A context travels as W3C's `traceparent`: in the metadata of every call that is made within a span, in the job from its
//! submission on, and with each task to its prover. Spans are [`tracing`]'s: without a subscriber they cost next to nothing.

use std::collections::HashMap;

use axum::http::Request;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::FleetError;
use crate::store::Claim;

/// The header, as W3C names it.
pub const TRACEPARENT: &str = "traceparent";

/// Spans on their way to a collector.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Exports by OTLP over gRPC, as the `OTEL_*` variables say; none where neither `OTEL_EXPORTER_OTLP_ENDPOINT` nor
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` names a collector. `service` is what this process is called where
    /// `OTEL_SERVICE_NAME` does not say it. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`FleetError::Settings`] for an endpoint that cannot be used.
    pub fn from_environment(service: &str) -> Result<Option<Self>, FleetError> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let disabled = std::env::var("OTEL_SDK_DISABLED");
        let named = set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        if !named || disabled.is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_tonic().build();
        Self::exporting(exporter, (!set("OTEL_SERVICE_NAME")).then_some(service)).map(Some)
    }

    /// Exports to this collector, whatever the variables say of one. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`FleetError::Settings`] for an endpoint that cannot be used.
    pub fn to(endpoint: &str, service: &str) -> Result<Self, FleetError> {
        let exporter = SpanExporter::builder().with_tonic();
        Self::exporting(exporter.with_endpoint(endpoint).build(), Some(service))
    }

    fn exporting(
        exporter: Result<SpanExporter, ExporterBuildError>,
        service: Option<&str>,
    ) -> Result<Self, FleetError> {
        let exporter = exporter.map_err(|error| FleetError::Settings {
            why: format!("traces cannot be sent to that endpoint: {error}"),
        })?;
        let mut resource = Resource::builder();
        if let Some(service) = service {
            resource = resource.with_service_name(service.to_owned());
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter);
        Ok(Self::over(provider.build()))
    }

    /// Over a provider of the caller's own.
    #[must_use]
    pub const fn over(provider: SdkTracerProvider) -> Self {
        Self { provider }
    }

    /// What a subscriber needs to feed it. It takes this project's spans alone: those of the connections that carry the
    /// traces away would never end.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let ours = |target: &str| target.starts_with("starkwright");
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("starkwright"))
            .with_filter(filter_fn(move |of| {
                ours(of.target()) && *of.level() <= Level::INFO
            }))
    }

    /// Sends what is left, for at most five seconds. Spans that a collector does not take are lost without an error.
    ///
    /// # Errors
    /// [`FleetError::Internal`] where the exporter does not end in time.
    pub async fn finish(self) -> Result<(), FleetError> {
        // It waits for the exporter, which may need this thread.
        let shutdown = tokio::task::spawn_blocking(move || self.provider.shutdown());
        let internal = |why: String| FleetError::Internal { why };
        let ended = shutdown
            .await
            .map_err(|error| internal(error.to_string()))?;
        ended.map_err(|error| internal(format!("the last traces were not sent: {error}")))
    }
}

fn context(traceparent: &str) -> Option<Context> {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    let valid = context.span().span_context().is_valid();
    valid.then_some(context)
}

/// A span's context; none without a subscriber that exports.
pub(crate) fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Puts a span, not yet entered, under a context that came from elsewhere, where that is one.
pub(crate) fn adopt(span: &Span, traceparent: &str) {
    if let Some(context) = context(traceparent) {
        // Nobody exports: nothing to put anywhere.
        let _ = span.set_parent(context);
    }
}

/// A job's context: this span's; where nobody exports here, the one given; without one, a new one, so that its provers'
/// spans meet in one trace all the same.
pub(crate) fn of_job(span: &Span, given: &str) -> String {
    let fresh = || {
        let (trace, parent) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
        format!("00-{trace:032x}-{parent:016x}-01")
    };
    traceparent(span).unwrap_or_else(|| match context(given) {
        Some(_) => given.to_owned(),
        None => fresh(),
    })
}

/// The span of a task at its prover.
pub(crate) fn of_task(claim: &Claim, prover: &str) -> Span {
    let span = tracing::info_span!(
        "task",
        job = %claim.task.job,
        number = claim.task.number,
        kind = claim.spec.kind,
        machine = %claim.machine,
        prover,
    );
    adopt(&span, &claim.trace);
    span
}

/// The span of a call that says which trace it belongs to. Others, claims and heartbeats above all, get none.
pub(crate) fn of_request<T>(request: &Request<T>) -> Span {
    let given = request.headers().get(TRACEPARENT);
    let Some(context) = given.and_then(|given| context(given.to_str().ok()?)) else {
        return Span::none();
    };
    let path = request.uri().path().trim_start_matches('/');
    let span = tracing::info_span!("call", otel.name = path, otel.kind = "server");
    let _ = span.set_parent(context);
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_keeps_the_trace_it_was_given_and_gets_one_where_that_is_none() {
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of_job(&Span::none(), given), given);
        for none in [
            "",
            "nonsense",
            &given.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        ] {
            let fresh = of_job(&Span::none(), none);
            assert!(context(&fresh).is_some(), "{fresh}");
            assert_ne!(fresh, of_job(&Span::none(), none));
        }
    }
}
