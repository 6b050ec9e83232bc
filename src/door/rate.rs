//! How often one address may ask. Each process counts for itself; what has to hold over all processes, the guesses at an account, stands
//! in the database.

use std::{net::IpAddr, num::NonZeroU32, sync::Mutex, time::Duration};

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use countersign_core::limits::{
    ADDRESSES_COUNTED_MAX, REQUESTS_AT_ONCE_SECONDS, SIGN_INS_AT_ONCE_MAX, SIGN_INS_PER_MINUTE_MAX,
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use super::ClientAddress;
use crate::{app::App, error::Error};

/// The counts of one process.
#[derive(Debug)]
pub(crate) struct Rates {
    requests: Option<Counted>,
    sign_ins: Counted,
}

/// Counts by address, of so many addresses at most.
#[derive(Debug)]
struct Counted {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    /// Held by the one that forgets addresses.
    forgetting: Mutex<()>,
}

impl Counted {
    fn new(quota: Quota) -> Self {
        Self { limiter: RateLimiter::keyed(quota), forgetting: Mutex::new(()) }
    }

    /// How long to wait, where the address has asked too often.
    fn too_often(&self, address: ClientAddress) -> Option<Duration> {
        if self.limiter.len() > ADDRESSES_COUNTED_MAX
            && let Ok(_alone) = self.forgetting.try_lock()
        {
            // Whoever asked nothing for a while is as one who never asked.
            self.limiter.retain_recent();
        }
        let refused = self.limiter.check_key(&address.counted()).err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }
}

impl Rates {
    /// With so many requests a second for each address; 0 is without a bound.
    pub(crate) fn new(requests_per_second: u32) -> Self {
        let at_once = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let requests = NonZeroU32::new(requests_per_second).map(|number| {
            let burst = number.get().saturating_mul(REQUESTS_AT_ONCE_SECONDS);
            Counted::new(Quota::per_second(number).allow_burst(at_once(burst)))
        });
        let sign_ins = Quota::per_minute(at_once(SIGN_INS_PER_MINUTE_MAX));
        let sign_ins = Counted::new(sign_ins.allow_burst(at_once(SIGN_INS_AT_ONCE_MAX)));
        Self { requests, sign_ins }
    }
}

/// Every request, before it reaches a route. This machine itself, with its workers, is counted where it signs in alone.
pub(crate) async fn requests(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(address) = whose(&app, &request) else { return next.run(request).await };
    let any = app.rates.requests.as_ref().filter(|_| !address.is_loopback());
    if let Some(wait) = any.and_then(|counted| counted.too_often(address)) {
        return too_often(wait, "requests");
    }
    if signs_in(request.method(), request.uri().path())
        && let Some(wait) = app.rates.sign_ins.too_often(address)
    {
        return too_often(wait, "sign-ins");
    }
    next.run(request).await
}

/// Whether it shows a password: each costs a hash, and a list of leaked ones is tried at many accounts.
fn signs_in(method: &Method, path: &str) -> bool {
    (*method == Method::POST && path == "/sign-in")
        || (*method == Method::PUT && path.starts_with("/-/user/"))
}

fn whose(app: &App, request: &Request) -> Option<ClientAddress> {
    let peer = request.extensions().get::<ClientAddress>()?;
    Some(peer.behind(&app.config.trusted_proxies, request.headers()))
}

fn too_often(wait: Duration, of_what: &str) -> Response {
    let seconds = wait.as_secs() + 1;
    let text = format!("too many {of_what} from this address; try again in {seconds} s");
    Error::refused(StatusCode::TOO_MANY_REQUESTS, text).retry_after(seconds).into_response()
}
