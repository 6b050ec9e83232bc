//! What tests of the service share: the real service on a folder of its own with a clock that the test moves, maintainers
//! with authenticators, tarballs, and a worker's honest report made by hand; the same service listening, another registry
//! beside it, and the real npm.

mod archive;
mod fixture;
mod real_npm;
mod served;
mod worker;

pub(crate) use archive::{Pack, package_json};
pub(crate) use fixture::{Authenticator, Fixture, PACKAGE, PASSWORD, staging};
pub(crate) use real_npm::{Ran, RealNpm, node, npm_folder, programs};
pub(crate) use served::{ELSEWHERE_ETAG, Elsewhere, Served};
pub(crate) use worker::{COMMIT, honest, judged_with, observations};
