//! A DSSE envelope of any bytes, and what is sealed from its payload again.
#![no_main]

use countersign_core::attestation::{Envelope, PAYLOAD_TYPE, pre_authentication};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(data) else { return };
    let Some(payload) = envelope.payload_bytes() else { return };
    let _ = pre_authentication(&envelope.payload_type, &payload);
    let sealed = Envelope::seal(&payload, "key", <[u8]>::to_vec);
    assert_eq!(sealed.payload_bytes(), Some(payload.clone()));
    assert_eq!(sealed.payload_type, PAYLOAD_TYPE);
});
