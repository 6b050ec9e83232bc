//! The service's flow, from intake to release, with every part real but the worker's rebuild.

mod approval;
mod configuration;
mod http;
mod intake;
mod lease;
mod moments;
mod release;
mod report;
mod second_factor;
mod waiting;
