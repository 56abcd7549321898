//! The status page: one file without outside parts, the state behind it as JSON and as a stream of events, the figures
//! for Prometheus. It is read-only, has no token, and bounds what any number of viewers can ask of the queue.

mod html;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::forecast::Forecaster;
use super::gauges;
use super::state::State;
use super::tree::Tree;
use crate::FleetError;
use crate::aggregator::Aggregator;
use crate::task::JobId;

/// How long an answer of the queue serves everybody who asks.
const FRESH: Duration = Duration::from_millis(900);
/// How often viewers are told what changed.
const BEAT: Duration = Duration::from_secs(1);
/// Most viewers of the stream at a time.
const VIEWERS: usize = 100;
/// Most trees that are kept.
const TREES: usize = 64;

/// A tree, and when it was read.
type Kept = (Instant, Arc<Tree>);

/// The page of one aggregator.
pub struct Page {
    aggregator: Arc<Aggregator>,
    forecaster: Option<Arc<dyn Forecaster>>,
    // Each lock is held while the queue answers: viewers wait for one answer instead of asking for many.
    state: Mutex<Option<(Instant, Arc<State>)>>,
    trees: Mutex<BTreeMap<JobId, Kept>>,
    viewers: Arc<Semaphore>,
}

impl Aggregator {
    /// Serves the status page, its data and `/metrics` until [`Self::stop`]. There is no token: whoever reaches the
    /// listener may read names of provers, jobs and devices, and nothing else.
    ///
    /// # Errors
    /// [`FleetError::Internal`] where the socket fails.
    pub async fn serve_page(self: &Arc<Self>, listener: TcpListener) -> Result<(), FleetError> {
        Page::new(Arc::clone(self), Some(self.forecaster()))
            .serve(listener)
            .await
    }
}

impl Page {
    /// The page of this aggregator, with forecasts where somebody makes them.
    #[must_use]
    pub fn new(aggregator: Arc<Aggregator>, forecaster: Option<Arc<dyn Forecaster>>) -> Self {
        Self {
            aggregator,
            forecaster,
            state: Mutex::default(),
            trees: Mutex::default(),
            viewers: Arc::new(Semaphore::new(VIEWERS)),
        }
    }

    /// Serves until the aggregator stops.
    ///
    /// # Errors
    /// [`FleetError::Internal`] where the socket fails.
    pub async fn serve(self, listener: TcpListener) -> Result<(), FleetError> {
        let aggregator = Arc::clone(&self.aggregator);
        let stopped = async move { aggregator.stopped().await };
        let served = axum::serve(listener, self.router())
            .with_graceful_shutdown(stopped)
            .await;
        served.map_err(|error| FleetError::Internal {
            why: format!("serving the page ended: {error}"),
        })
    }

    /// Its routes, for a server of the caller's own.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/events", get(events))
            .route("/metrics", get(metrics))
            .route("/api/state", get(state))
            .route("/api/jobs/{id}", get(tree))
            .route("/healthz", get(healthz))
            .layer(axum::middleware::map_response(guarded))
            .with_state(Arc::new(self))
    }

    async fn state(&self) -> Result<Arc<State>, FleetError> {
        let mut kept = self.state.lock().await;
        if let Some((at, state)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(state));
        }
        let state = State::of(&self.aggregator, self.forecaster.as_deref()).await;
        let state = Arc::new(state?);
        *kept = Some((Instant::now(), Arc::clone(&state)));
        Ok(state)
    }

    async fn tree(&self, id: JobId) -> Result<Arc<Tree>, FleetError> {
        let mut kept = self.trees.lock().await;
        if let Some((at, tree)) = kept.get(&id) {
            // Trees that are counted rather than drawn take longer to read.
            let fresh = if tree.nodes.is_empty() {
                5 * FRESH
            } else {
                FRESH
            };
            if at.elapsed() < fresh {
                return Ok(Arc::clone(tree));
            }
        }
        let tree = Arc::new(Tree::of(self.aggregator.store(), id).await?);
        while kept.len() >= TREES {
            let oldest = kept.iter().min_by_key(|(_, (at, _))| *at);
            let Some((&oldest, _)) = oldest else { break };
            kept.remove(&oldest);
        }
        kept.insert(id, (Instant::now(), Arc::clone(&tree)));
        Ok(tree)
    }
}

/// An error, as an answer.
struct Failed(FleetError);

impl From<FleetError> for Failed {
    fn from(error: FleetError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let code = match &self.0 {
            FleetError::UnknownJob { .. } => StatusCode::NOT_FOUND,
            FleetError::Malformed { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let why = serde_json::json!({ "error": self.0.to_string() });
        (code, Json(why)).into_response()
    }
}

/// Headers that keep an answer what it is, whatever is in it.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        // The page has a policy of its own.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    let same = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-resource-policy", same);
    response
}

async fn page() -> Result<Response, Failed> {
    let (html, policy) = html::page();
    let policy = HeaderValue::from_str(&policy).map_err(|error| FleetError::Internal {
        why: format!("the page's policy is no header: {error}"),
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok((headers, Html(html)).into_response())
}

async fn state(Shared(page): Shared<Arc<Page>>) -> Result<Json<State>, Failed> {
    Ok(Json(State::clone(&*page.state().await?)))
}

async fn tree(
    Shared(page): Shared<Arc<Page>>,
    Path(id): Path<String>,
) -> Result<Json<Tree>, Failed> {
    let id: JobId = id.parse()?;
    Ok(Json(Tree::clone(&*page.tree(id).await?)))
}

async fn healthz(Shared(page): Shared<Arc<Page>>) -> Result<&'static str, Failed> {
    page.state().await?;
    Ok("ok\n")
}

async fn metrics(Shared(page): Shared<Arc<Page>>) -> Result<Response, Failed> {
    let state = page.state().await;
    let state = state.inspect_err(|error| tracing::warn!(%error, "scraped without the queue"));
    let text = gauges::render(page.aggregator.metrics(), state.ok().as_deref());
    let text = text.map_err(|error| FleetError::Internal {
        why: format!("the figures cannot be written: {error}"),
    })?;
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, form)], text).into_response())
}

/// What a viewer of the stream has been told.
struct Viewer {
    page: Arc<Page>,
    told: Option<Arc<State>>,
    beat: tokio::time::Interval,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    /// The next state that differs from the one told before.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            self.beat.tick().await;
            let state = match self.page.state().await {
                Ok(state) => state,
                Err(error) => {
                    self.told = None;
                    let why = serde_json::json!({ "error": error.to_string() });
                    let event = Event::default().event("trouble").data(why.to_string());
                    return Some((event, self));
                }
            };
            if self
                .told
                .as_ref()
                .is_none_or(|told| told.view != state.view)
            {
                let event = Event::default().json_data(&*state).ok()?;
                self.told = Some(state);
                return Some((event, self));
            }
        }
    }
}

async fn events(Shared(page): Shared<Arc<Page>>) -> Response {
    let Ok(place) = Arc::clone(&page.viewers).try_acquire_owned() else {
        let why = serde_json::json!({ "error": "too many viewers: read /api/state now and then" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(why)).into_response();
    };
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let viewer = Viewer {
        page: Arc::clone(&page),
        told: None,
        beat,
        _place: place,
    };
    let events = stream::unfold(viewer, Viewer::next);
    Sse::new(until_stopped(events, page))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

/// A stream that ends with the aggregator: it would keep the server from ending.
fn until_stopped(
    events: impl Stream<Item = Event>,
    page: Arc<Page>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let stopped = async move { page.aggregator.stopped().await };
    events.map(Ok).take_until(stopped)
}
