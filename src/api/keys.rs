//! `GET /v1/keys`: the public keys that verdicts are signed with. Whoever checks an attestation offline keeps this.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::app::App;

/// The keys, for everybody.
pub(super) async fn list(State(app): State<App>) -> Json<Value> {
    let signer = &app.signer;
    let key = json!({ "keyid": signer.key_id(), "algorithm": "ed25519", "public_key": signer.public_key_pem() });
    Json(json!({ "keys": [key] }))
}
