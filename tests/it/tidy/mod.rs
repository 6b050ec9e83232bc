//! The repository's own rules, as tests: what a reviewer would otherwise have to remember. Each message says what to do
//! instead. Nothing of the program is run here; only its files are read.

mod bans;
mod corpus_names;
mod imports;
mod lengths;
mod manifests;
mod map;
mod migrations;
mod rust_text;
mod threats;
mod tree;
