//! The statement that a verdict supports, and the exact bytes to sign: a DSSE envelope (secure-systems-lab/dsse, v1.0.2)
//! around an in-toto statement over the report's digest and the subject. Keys and signing itself are not known here.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    artifact::{Sha256, Subject},
    canonical,
    report::Report,
    timestamp::Timestamp,
    verdict::Outcome,
};

/// The payload type of every envelope of ours.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The predicate of a verdict's statement.
pub const PREDICATE_TYPE: &str = "https://countersign.dev/verdict/v1";

/// A DSSE envelope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The statement, in base64.
    pub payload: String,
    /// What the payload is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Signatures over the pre-authentication encoding.
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// Which key.
    pub keyid: String,
    /// The signature, in base64.
    pub sig: String,
}

impl Envelope {
    /// The envelope of this payload, signed by `sign` over the pre-authentication encoding.
    pub fn seal(payload: &[u8], keyid: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        let signature = sign(&pre_authentication(PAYLOAD_TYPE, payload));
        Self {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature {
                keyid: keyid.to_owned(),
                sig: STANDARD.encode(signature),
            }],
        }
    }

    /// The payload's own bytes; none where it is not base64. They are what was signed: never re-serialise them.
    pub fn payload_bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.payload).ok()
    }
}

/// The bytes that are signed (DSSE v1: `DSSEv1 SP len(type) SP type SP len(body) SP body`, lengths in decimal bytes).
pub fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The statement of a final report, as canonical JSON. None where there is nothing to attest: an inconclusive verdict,
/// or a source that nobody enrolled.
pub fn statement(subject: &Subject, report: &Report, verified_at: Timestamp) -> Option<Vec<u8>> {
    let outcome = report.verdict.filter(|outcome| match outcome {
        Outcome::Pass | Outcome::Fail => true,
        Outcome::Inconclusive => false,
    })?;
    let purl = format!(
        "pkg:npm/{}@{}?repository_url={}",
        subject.name.as_str().replacen('@', "%40", 1),
        subject.version,
        subject.registry
    );
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": purl, "digest": { "sha512": subject.sha512 } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "verifier": { "id": "countersign", "version": env!("CARGO_PKG_VERSION") },
            "timeVerified": verified_at,
            "verificationResult": match outcome { Outcome::Pass => "PASSED", Outcome::Fail | Outcome::Inconclusive => "FAILED" },
            "class": report.class,
            "level": report.level,
            "verification": report.id,
            "reportSha256": report_digest(report),
            "manifestSha256": subject.manifest_sha256,
            "distTag": subject.dist_tag,
            "access": subject.access,
            "source": report.source,
            "planSha256": report.plan.as_ref().map(|plan| plan.digest),
        },
    });
    Some(canonical::to_text(&statement).into_bytes())
}

/// The digest of a report's canonical form without its links and `next`, which depend on where it is served.
pub fn report_digest(report: &Report) -> Sha256 {
    let mut bare = report.clone();
    bare.links.clear();
    bare.next =
        crate::report::Next { who: String::new(), what: String::new(), command: None, url: None };
    if let Some(rebuild) = &mut bare.rebuild {
        rebuild.log = None;
    }
    canonical::digest(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pre_authentication_encoding_is_that_of_the_specification() {
        let bytes = pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn an_envelope_carries_the_very_bytes_that_were_signed() {
        let envelope = Envelope::seal(b"{}", "key", |bytes| bytes.to_vec());
        assert_eq!(envelope.payload_bytes().unwrap(), b"{}");
        assert_eq!(
            STANDARD.decode(&envelope.signatures[0].sig).unwrap(),
            pre_authentication(PAYLOAD_TYPE, b"{}")
        );
    }
}
